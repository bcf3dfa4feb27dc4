//! Products of many tokens: a group is unpacked once for all their tiles.
//!
//! A panel holds a group in the order in which it is read: its first eight rows, block by block, then the others. Codes are
//! bytes from which the offset has been taken off; scales have been widened to 32 bits, and are in the order of the sums.
//!
//! The sums of sub-blocks are not started anew for each, where they have room for all of a superblock: with the sums S1, S2, ...
//! up to the end of each sub-block, sc1 S1 + sc2 (S2 - S1) + ... is (sc1 - sc2) S1 + (sc2 - sc3) S2 + ... + sc8 S8. It is
//! these differences that a panel has for `sc`. Integers may overflow on the way: what comes out is exact.
//!
//! | formats | one block of eight rows |
//! |---|---|
//! | Q4_0, Q5_0, Q8_0 | codes, `d` |
//! | Q4_1, Q5_1 | codes, `d`, `m` |
//! | Q4_K, Q5_K | 8 times codes and `sc`; `d`, `dmin`, and the sub-minima as if they were codes of eight columns |
//! | Q6_K | 8 times codes and two `sc`; `d` |

use std::arch::aarch64::*;
use std::arch::asm;
use std::mem::MaybeUninit;

use super::dot::{self, Columns, Grid, Masks, Multiply};
use super::{
    Block, add_multiplied, add_scaled, by_token, hold, in_memory, per_lane, prefetch, scales, sub_minima,
    sub_scales_of, subtract_minima, take_four,
};
use crate::activation::TILE;
use crate::format::marker::Marker;
use crate::format::{Format, GROUP};
use crate::matrix::{Matrix, offset};

/// Bytes of the codes of 32 columns and eight rows.
const CODES: usize = 32 * 8;

/// Bytes of a vector for each vector of eight rows.
const fn vector_bytes<M: Multiply>() -> usize {
    16 * M::LANES.len()
}

/// Sub-scales for 32 columns.
const fn sub_scales(format: Format) -> usize {
    match format.block() {
        32 => 0,
        _ if matches!(format, Format::Q6_K) => 2,
        _ => 1,
    }
}

/// Whether codes have a minimum, rather than an offset.
const fn has_minima(format: Format) -> bool {
    matches!(format, Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K)
}

/// Bytes of 32 columns of eight rows.
const fn run_bytes<M: Multiply>(format: Format) -> usize {
    CODES + sub_scales(format) * vector_bytes::<M>()
}

/// Bytes of a block of eight rows.
const fn half_bytes<M: Multiply>(format: Format) -> usize {
    let scales = if has_minima(format) { 2 } else { 1 };
    let minima = if has_minima(format) && format.block() == 256 { CODES / 4 } else { 0 };
    format.block() / 32 * run_bytes::<M>(format) + scales * vector_bytes::<M>() + minima
}

/// Bytes of a group's block.
pub(super) fn bytes<M: Multiply>(format: Format) -> usize {
    2 * half_bytes::<M>(format)
}

/// Fills the panel.
///
/// # Safety
/// The CPU has the instructions, and `w` has format F.
#[inline(always)]
pub(super) unsafe fn unpack<M: Multiply, F: Marker>(w: &Matrix<'_>, group: usize, panel: &mut [MaybeUninit<u8>]) {
    let mut panel = panel[..w.blocks() * bytes::<M>(F::FORMAT)].as_mut_ptr().cast::<u8>();
    for half in 0..2 {
        let mut at = Block {
            columns: Columns {
                codes: w.codes(group).as_ptr().wrapping_add(32 * half),
                high: w.high(group).as_ptr().wrapping_add(32 * half),
                activations: std::ptr::null(),
                masks: Masks::new::<F>(),
            },
            scales: w.scales(group).as_ptr().wrapping_add(16 * half),
            fetches: half == 0,
        };
        for _ in 0..w.blocks() {
            // SAFETY: `at` is in turn at each of the blocks, for each of which the panel has room.
            unsafe { unpack_block::<M, F>(at, panel) };
            panel = panel.wrapping_add(half_bytes::<M>(F::FORMAT));
            at.columns.codes = at.columns.codes.wrapping_add(F::FORMAT.code_bytes());
            at.columns.high = at.columns.high.wrapping_add(F::FORMAT.high_bytes());
            at.scales = at.scales.wrapping_add(F::FORMAT.scale_bytes());
        }
    }
}

/// A block of eight rows.
///
/// # Safety
/// `at` is at a block of format F, `panel` has room for it, and the CPU has the instructions.
#[inline(always)]
unsafe fn unpack_block<M: Multiply, F: Marker>(at: Block, panel: *mut u8) {
    let mut panel = Writer(panel);
    let mut columns = at.columns;
    if at.fetches {
        for _ in 0..F::FORMAT.block() / 32 {
            prefetch::<F, 1>(columns);
            columns = columns.next::<F, TILE>();
        }
        columns = at.columns;
    }
    // SAFETY: what is read is in the block, whose layout `format.rs` gives; as much is written as there is room for.
    unsafe {
        if const { F::FORMAT.block() == 32 } {
            panel.codes::<M, F>(columns);
        } else {
            // Sub-scales come in pairs, for 16 columns each or for 32.
            let six = matches!(F::FORMAT, Format::Q6_K);
            let (pairs, first) = if six { (8, 2 * GROUP) } else { (4, 4 * GROUP) };
            let pair = |p: usize| sub_scales_of::<M, F, 2>(at.scales.wrapping_add(first + 32 * p));
            let mut next = pair(0);
            for p in 0..pairs {
                let factors = if M::GOES_ON { next } else { pair(p) };
                next = if M::GOES_ON && p + 1 < pairs { pair(p + 1) } else { [[vdupq_n_s32(0); 4]; 2] };
                panel.codes::<M, F>(columns);
                columns = columns.next::<F, TILE>();
                panel.integers::<M>(changes::<M>(factors[0], factors[1]));
                if !six {
                    panel.codes::<M, F>(columns);
                    columns = columns.next::<F, TILE>();
                }
                panel.integers::<M>(changes::<M>(factors[1], next[0]));
            }
        }
        panel.floats::<M>(M::by_row(scales::<2>(at.scales)));
        if !has_minima(F::FORMAT) {
            return;
        }
        let m = M::by_row(scales::<2>(at.scales.wrapping_add(2 * GROUP)));
        panel.floats::<M>(m);
        if const { F::FORMAT.block() == 256 } {
            for minima in sub_minima::<M>(at.scales) {
                panel.write(minima);
            }
        }
    }
}

/// What is multiplied by the sums up to the end of a sub-block with these sub-scales, before one with the next ones.
#[inline(always)]
fn changes<M: Multiply>(mut factors: [int32x4_t; 4], next: [int32x4_t; 4]) -> [int32x4_t; 4] {
    if M::GOES_ON {
        for p in 0..M::rows(2) {
            // SAFETY: NEON is in the baseline.
            factors[p] = unsafe { vsubq_s32(factors[p], next[p]) };
        }
    }
    factors
}

/// The integers that codes stand for.
#[inline(always)]
fn without_offset<F: Marker>(codes: int8x16_t) -> int8x16_t {
    // SAFETY: NEON is in the baseline.
    unsafe { vsubq_s8(codes, vdupq_n_s8(offset(F::FORMAT) as i8)) }
}

/// Where a panel is filled. There is room for what is written.
struct Writer(*mut u8);

impl Writer {
    #[inline(always)]
    unsafe fn write(&mut self, bytes: int8x16_t) {
        // SAFETY: the caller's promise, here and below.
        unsafe { vst1q_s8(self.0.cast(), bytes) };
        self.0 = self.0.wrapping_add(16);
    }

    /// The vectors of eight rows.
    #[inline(always)]
    unsafe fn integers<M: Multiply>(&mut self, vectors: [int32x4_t; 4]) {
        for vector in &vectors[..M::rows(2)] {
            // SAFETY: see above.
            unsafe { self.write(vreinterpretq_s8_s32(*vector)) };
        }
    }

    #[inline(always)]
    unsafe fn floats<M: Multiply>(&mut self, vectors: [float32x4_t; 4]) {
        // SAFETY: see above.
        unsafe { self.integers::<M>(vectors.map(|vector| vreinterpretq_s32_f32(vector))) };
    }

    /// 32 columns of eight rows.
    #[inline(always)]
    unsafe fn codes<M: Multiply, F: Marker>(&mut self, at: Columns) {
        // SAFETY: see above.
        unsafe {
            // All before any is written: LLVM does not know that nothing which is read changes.
            let mut columns = [[vdupq_n_s8(0); 4]; 4];
            macro_rules! eights {
                ($($k:literal: $i:literal $next:literal)*) => {$(
                    for r in 0..2 {
                        columns[$k][r] = without_offset::<F>(dot::unpack::<F, $i>(at, r));
                        columns[$k][2 + r] = without_offset::<F>(dot::unpack::<F, $next>(at, r));
                    }
                )*};
            }
            eights!(0: 0 1 1: 2 3 2: 4 5 3: 6 7);
            for columns in columns {
                self.0 = M::write(columns, self.0);
            }
        }
    }
}

/// A group of rows times a tile of [`TILE`] tokens.
///
/// # Safety
/// `panel` was filled by [`unpack`] for `w`, the tile has as many blocks, and the CPU has the instructions.
#[inline(always)]
pub(super) unsafe fn blocks<M: Multiply, F: Marker>(
    w: &Matrix<'_>,
    panel: &[MaybeUninit<u8>],
    tile: &[u8],
    results: &mut [[f32; GROUP]; TILE],
) {
    let mut panel = panel.as_ptr().cast::<u8>();
    if const { F::FORMAT.block() == 32 } {
        panel = panel.wrapping_add(CODES);
    }
    for half in 0..2 {
        let mut activations = tile.as_ptr();
        if const { F::FORMAT.block() == 32 } {
            activations = activations.wrapping_add(32 * TILE);
        }
        // SAFETY: `panel` and `activations` are in turn at each of the blocks; a row of results has four times four floats.
        unsafe {
            let mut acc = [[vdupq_n_f32(0.0); 4]; TILE];
            for _ in 0..w.blocks() {
                if const { F::FORMAT.block() == 32 } {
                    block::<M, F>(&mut panel, &mut activations, &mut acc);
                } else {
                    superblock::<M, F>(panel, activations, &mut acc);
                    panel = panel.wrapping_add(half_bytes::<M>(F::FORMAT));
                    activations = activations.wrapping_add(TILE * F::FORMAT.activation().record());
                }
            }
            for t in 0..TILE {
                for r in 0..2 {
                    vst1q_f32(results[t].as_mut_ptr().wrapping_add(8 * half + 4 * r), M::result(&acc, t, r));
                }
            }
        }
    }
}

/// `from` and the products of eight rows, and of EIGHTS times eight columns.
///
/// # Safety
/// `panel` is at the first of these codes, `activations` at theirs.
#[inline(always)]
unsafe fn dot<M: Multiply, F: Marker, const EIGHTS: usize>(
    panel: *const u8,
    activations: *const u8,
    from: Grid<int32x4_t>,
) -> Grid<int32x4_t> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut part = M::start::<TILE>(from, activations);
        // Spelt out: LLVM does not always see how short a loop is.
        macro_rules! eights {
            ($($k:literal)*) => {$(
                if const { $k < EIGHTS } {
                    let x = activations.wrapping_add(32 * $k);
                    M::add_next::<F, TILE>(eight(panel.wrapping_add(64 * $k)), x, &mut part, $k == 0);
                }
            )*};
        }
        eights!(0 1 2 3);
        M::finish::<F, TILE, 2>(part, from)
    }
}

/// Eight columns of eight rows.
///
/// # Safety
/// `panel` is at these.
#[inline(always)]
unsafe fn eight(panel: *const u8) -> [int8x16_t; 4] {
    // SAFETY: the caller's promise.
    [0, 16, 32, 48].map(|i| unsafe { vld1q_s8(panel.wrapping_add(i).cast()) })
}

/// A vector for each vector of eight rows.
///
/// # Safety
/// That many may be read.
#[inline(always)]
unsafe fn vectors<M: Multiply>(panel: *const u8) -> [float32x4_t; 4] {
    let mut vectors = [0.0; 4].map(|zero| {
        // SAFETY: NEON is in the baseline.
        unsafe { vdupq_n_f32(zero) }
    });
    for (i, vector) in vectors[..M::rows(2)].iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *vector = unsafe { vld1q_f32(panel.wrapping_add(16 * i).cast()) };
    }
    vectors
}

/// A product of 32 columns with one scale. What is read last takes the pointers to the next block.
///
/// # Safety
/// `panel` and `activations` are behind the codes of a block.
#[inline(always)]
unsafe fn block<M: Multiply, F: Marker>(
    panel: &mut *const u8,
    activations: &mut *const u8,
    acc: &mut Grid<float32x4_t>,
) {
    // SAFETY: what is read is in the block.
    unsafe {
        let codes = panel.wrapping_sub(CODES);
        let mut s = dot::<M, F, 4>(codes, activations.wrapping_sub(32 * TILE), by_token([vdupq_n_s32(0); TILE]));
        // Scales that were read before would take registers from the sums.
        hold::<M, TILE>(&mut s, 0..M::rows(2));
        let da_sum = per_lane::<TILE>(activations.wrapping_add(4 * TILE).cast());
        let da = take_four::<F, TILE>(activations);
        let [d, m] = take_scales::<M, F>(panel);
        add_scaled::<M, TILE, 2>(acc, s, d, M::by_token::<TILE>(da));
        if has_minima(F::FORMAT) {
            let da_sum = M::by_token::<TILE>(da_sum);
            for u in 0..M::tokens(TILE) {
                for p in 0..M::rows(2) {
                    acc[u][p] = vfmaq_f32(acc[u][p], m[p], vreinterpretq_f32_s32(da_sum[u]));
                }
            }
        }
    }
}

/// The vectors of scales and of minima at `p`, which moves on to those of the next block; LLVM would take another instruction for
/// that.
///
/// # Safety
/// They may be read.
#[inline(always)]
unsafe fn take_scales<M: Multiply, F: Marker>(p: &mut *const u8) -> [[float32x4_t; 4]; 2] {
    macro_rules! take {
        ($($before:literal)*; $($register:ident)*) => {
            asm!(
                $(concat!("ldp ", $before),)*
                "ldp {a:q}, {b:q}, [{p}], #{bytes}",
                $($register = out(vreg) $register,)*
                p = inout(reg) *p, bytes = const half_bytes::<M>(F::FORMAT),
                options(readonly, nostack, preserves_flags)
            )
        };
    }
    // SAFETY: the caller's promise; nothing but the outputs changes.
    unsafe {
        let (a, b, c, d, e, f, g, h);
        match (M::LANES.len(), has_minima(F::FORMAT)) {
            (2, false) => {
                take!(; a b);
                [[a, b, a, b]; 2]
            }
            (2, true) => {
                take!("{c:q}, {d:q}, [{p}, #32]"; a b c d);
                [[a, b, a, b], [c, d, c, d]]
            }
            (_, false) => {
                take!("{c:q}, {d:q}, [{p}, #32]"; a b c d);
                [[a, b, c, d]; 2]
            }
            (_, true) => {
                take!("{c:q}, {d:q}, [{p}, #32]" "{e:q}, {f:q}, [{p}, #64]" "{g:q}, {h:q}, [{p}, #96]"; a b c d e f g h);
                [[a, b, c, d], [e, f, g, h]]
            }
        }
    }
}

/// A product of 256 columns with sub-scales.
///
/// # Safety
/// As [`block`].
#[inline(always)]
unsafe fn superblock<M: Multiply, F: Marker>(panel: *const u8, activations: *const u8, acc: &mut Grid<float32x4_t>) {
    // SAFETY: what is read is in the block.
    unsafe {
        in_memory(acc);
        let zero = by_token([vdupq_n_s32(0); TILE]);
        let mut sums = Sums { of_columns: zero, scaled: zero };
        let mut at = (panel, activations);
        // Two at a time: the end of a loop takes instructions too.
        for _ in 0..4 {
            at = run::<M, F>(at, &mut sums);
            at = run::<M, F>(at, &mut sums);
        }
        let s = sums.scaled;
        let scales = panel.wrapping_add(8 * run_bytes::<M>(F::FORMAT));
        let per_token = activations.wrapping_add(256 * TILE);
        let da = M::by_token::<TILE>(per_lane::<TILE>(per_token.cast()));
        add_scaled::<M, TILE, 2>(acc, s, vectors::<M>(scales), da);
        if !has_minima(F::FORMAT) {
            return;
        }
        let minima = eight(scales.wrapping_add(2 * vector_bytes::<M>()));
        let dmin = vectors::<M>(scales.wrapping_add(vector_bytes::<M>()));
        subtract_minima::<M, F, TILE, 2>(acc, [minima; 2], dmin, per_token);
    }
}

/// The integer sums of a superblock.
struct Sums {
    /// Of all columns up to here, if a [`Multiply`] goes on.
    of_columns: Grid<int32x4_t>,
    /// Times sub-scales.
    scaled: Grid<int32x4_t>,
}

/// Adds the products of 32 columns to the sums; returns where the next ones are.
///
/// # Safety
/// `panel` and `activations` are at 32 columns.
#[inline(always)]
unsafe fn run<M: Multiply, F: Marker>(
    (panel, activations): (*const u8, *const u8),
    sums: &mut Sums,
) -> (*const u8, *const u8) {
    let factors = panel.wrapping_add(CODES);
    // SAFETY: the caller's promise.
    unsafe {
        if const { sub_scales(F::FORMAT) == 1 } {
            sub_block::<M, F, 4>(panel, activations, factors, sums);
        } else {
            sub_block::<M, F, 2>(panel, activations, factors, sums);
            let (panel, activations) = (panel.wrapping_add(CODES / 2), activations.wrapping_add(16 * TILE));
            sub_block::<M, F, 2>(panel, activations, factors.wrapping_add(vector_bytes::<M>()), sums);
        }
    }
    (panel.wrapping_add(run_bytes::<M>(F::FORMAT)), activations.wrapping_add(32 * TILE))
}

/// Adds the products of EIGHTS times eight columns to the sums.
///
/// # Safety
/// As [`dot`]; `factors` is at a vector for each vector of eight rows.
#[inline(always)]
unsafe fn sub_block<M: Multiply, F: Marker, const EIGHTS: usize>(
    panel: *const u8,
    activations: *const u8,
    factors: *const u8,
    sums: &mut Sums,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let s = dot::<M, F, EIGHTS>(panel, activations, sums.of_columns);
        let factors = vectors::<M>(factors).map(|factors| vreinterpretq_s32_f32(factors));
        add_multiplied::<M, TILE>(&mut sums.scaled, s, factors, 0..M::rows(2));
        // LLVM would rather compute the next ones at once, and run out of registers.
        hold::<M, TILE>(&mut sums.scaled, 0..M::rows(2));
        if M::GOES_ON {
            sums.of_columns = s;
        }
    }
}
