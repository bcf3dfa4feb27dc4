//! Variants for aarch64: plain NEON, NEON with dot products, and with 8-bit matrix multiplication.
#![allow(clippy::needless_range_loop, reason = "t, u, p and r run over registers, several arrays of them at a time")]

mod dot;
mod panel;

use std::arch::aarch64::*;
use std::arch::asm;
use std::mem::MaybeUninit;
use std::ops::Range;

use crate::activation::TILE;
use crate::attention::{RUN, RunBlock};
use crate::cpu::{Neon, NeonDot, NeonI8mm};
use crate::format::marker::Marker;
use crate::format::{Format, GROUP};
use crate::matrix::{Matrix, offset};
use crate::ops::{LANES, Lanes, Simd};
use crate::product::{self, Product, Variant};
use dot::{ALL, Columns, FIRST, Grid, Masks, Multiply, SECOND, Sdot, Smlal, Smmla, dot, pin};

/// Sixteen floats in four registers. With dot products only to be used in code that is compiled for them, and runs where they are.
pub(crate) struct Vector<const DOT: bool>;

// SAFETY of all methods: NEON is in the aarch64 baseline, and `Ops::neon_dot` takes the proof that there are dot products; arrays
// are as long as what is read.
impl<const DOT: bool> Simd for Vector<DOT> {
    type V = Rows<float32x4_t>;

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: see above.
        unsafe { [vdupq_n_f32(x); 4] }
    }

    #[inline(always)]
    fn load(x: &Lanes) -> Self::V {
        // SAFETY: see above.
        [0, 4, 8, 12].map(|i| unsafe { vld1q_f32(x.as_ptr().wrapping_add(i)) })
    }

    #[inline(always)]
    fn store(v: Self::V) -> Lanes {
        let mut out = [0.0; LANES];
        for q in 0..4 {
            // SAFETY: see above.
            unsafe { vst1q_f32(out.as_mut_ptr().wrapping_add(4 * q), v[q]) };
        }
        out
    }

    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        [0, 1, 2, 3].map(|q| unsafe { vmulq_f32(a[q], b[q]) })
    }

    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see above.
        [0, 1, 2, 3].map(|q| unsafe { vfmaq_f32(c[q], a[q], b[q]) })
    }

    #[inline(always)]
    fn sum([a, b, c, d]: Self::V) -> f32 {
        // SAFETY: see above.
        unsafe {
            let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
            vaddv_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
        }
    }

    #[inline(always)]
    fn prefetch(at: *const u16) {
        // SAFETY: a prefetch of any address is allowed.
        unsafe { asm!("prfm pldl1keep, [{0}]", in(reg) at, options(readonly, nostack, preserves_flags)) };
    }

    #[inline(always)]
    fn widen(x: &[u16; LANES]) -> Self::V {
        // SAFETY: see above.
        [0, 4, 8, 12].map(|i| unsafe { halves(x.as_ptr().wrapping_add(i)) })
    }

    #[inline(always)]
    fn narrow(v: Self::V) -> [u16; LANES] {
        let mut out = [0; LANES];
        for q in 0..4 {
            // SAFETY: see above.
            unsafe { vst1_u16(out.as_mut_ptr().wrapping_add(4 * q), vreinterpret_u16_f16(vcvt_f16_f32(v[q]))) };
        }
        out
    }

    #[inline(always)]
    fn widen_codes(x: &[u16; LANES / 2]) -> Self::V {
        // SAFETY: see above.
        unsafe {
            let codes = vld1q_s8(x.as_ptr().cast());
            let (low, high) = (vmovl_s8(vget_low_s8(codes)), vmovl_high_s8(codes));
            let wide = [
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ];
            let [a, b, c, d] = wide;
            [vcvtq_f32_s32(a), vcvtq_f32_s32(b), vcvtq_f32_s32(c), vcvtq_f32_s32(d)]
        }
    }

    #[inline(always)]
    fn code_dots<const Q: usize>(queries: [&[i8; RUN]; Q], keys: RunBlock<'_>, r: usize) -> [Self::V; Q] {
        // SAFETY: see above.
        unsafe {
            let mut query = [[vdupq_n_s8(0); 2]; Q];
            for q in 0..Q {
                query[q] = [vld1q_s8(queries[q].as_ptr()), vld1q_s8(queries[q].as_ptr().add(16))];
            }
            let mut out = [[vdupq_n_f32(0.0); 4]; Q];
            for four in 0..4 {
                let mut dots = [[vdupq_n_s32(0); 4]; Q];
                for n in 0..4 {
                    let codes = keys.codes(4 * four + n, r).as_ptr().cast();
                    let key = [vld1q_s8(codes), vld1q_s8(codes.add(16))];
                    for q in 0..Q {
                        dots[q][n] = if DOT { dot::products(key, query[q]) } else { products(key, query[q]) };
                    }
                }
                for q in 0..Q {
                    let [a, b, c, d] = dots[q];
                    out[q][four] = vcvtq_f32_s32(vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
                }
            }
            out
        }
    }

    #[inline(always)]
    fn larger(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        [0, 1, 2, 3].map(|q| unsafe {
            let b = vabsq_f32(b[q]);
            // Not a maximum, which makes a NaN of a signalling one.
            vbslq_f32(vcgtq_f32(b, a[q]), b, a[q])
        })
    }

    #[inline(always)]
    fn largest([a, b, c, d]: Self::V) -> f32 {
        // SAFETY: see above.
        unsafe { vmaxvq_f32(vmaxq_f32(vmaxq_f32(a, c), vmaxq_f32(b, d))) }
    }

    #[inline(always)]
    fn codes(v: Self::V) -> ([u8; LANES], i32) {
        let mut bytes = [0; LANES];
        // SAFETY: see above.
        unsafe {
            let [a, b, c, d] = v.map(|x| {
                // Of a NaN and a number, these give the number.
                let x = vminnmq_f32(vmaxnmq_f32(x, vdupq_n_f32(-127.0)), vdupq_n_f32(127.0));
                vcvtnq_s32_f32(x)
            });
            let [low, high] = [[a, b], [c, d]].map(|[a, b]| vmovn_high_s32(vmovn_s32(a), b));
            let codes = vmovn_high_s16(vmovn_s16(low), high);
            vst1q_s8(bytes.as_mut_ptr().cast(), codes);
            (bytes, i32::from(vaddlvq_s8(codes)))
        }
    }
}

/// The products of 32 codes, none of the second ones -128, in four sums.
#[inline(always)]
fn products(a: [int8x16_t; 2], b: [int8x16_t; 2]) -> int32x4_t {
    // SAFETY: NEON is in the aarch64 baseline.
    unsafe {
        // Two products have room in 16 bits.
        let low = vmlal_high_s8(vmull_s8(vget_low_s8(a[0]), vget_low_s8(b[0])), a[0], b[0]);
        let high = vmlal_high_s8(vmull_s8(vget_low_s8(a[1]), vget_low_s8(b[1])), a[1], b[1]);
        vpadalq_s16(vpaddlq_s16(low), high)
    }
}

/// The matrix products of the baseline.
pub(crate) fn product(_: Neon) -> fn(Format) -> Product {
    product::of::<Plain>
}

/// The matrix products with dot product instructions.
pub(crate) fn product_dot(_: NeonDot) -> fn(Format) -> Product {
    product::of::<Dot>
}

/// The matrix products with 8-bit matrix multiplication.
pub(crate) fn product_i8mm(_: NeonI8mm) -> fn(Format) -> Product {
    product::of::<I8mm>
}

/// Makes a tier's products of one of the ways to multiply; those of an odd number of tokens can be another tier's.
macro_rules! tier {
    ($(#[$doc:meta])* $name:ident, $features:literal, $multiply:ident $(, odd: $odd:ident)?) => {
        $(#[$doc])*
        struct $name;

        impl Variant for $name {
            #[target_feature(enable = $features)]
            unsafe fn blocks<F: Marker, const T: usize>(
                w: &Matrix<'_>,
                group: usize,
                tile: &[u8],
                results: &mut [[f32; GROUP]; T],
            ) {
                // SAFETY: the caller's promise.
                unsafe {
                    match T {
                        $(1 | 3 => $odd::blocks::<F, T>(w, group, tile, results),)?
                        _ => blocks::<$multiply, F, T>(w, group, tile, results),
                    }
                }
            }

            const TOKENS_WORTH_UNPACKING: usize = $multiply::TILES_WORTH_UNPACKING * TILE;

            fn unpacked_bytes(format: Format) -> Option<usize> {
                // Only heads have two nibbles, for few tokens at a time.
                let unpacks = match format {
                    Format::Q8_0 => $multiply::UNPACKS_BYTES,
                    Format::Q8_0N => false,
                    _ => true,
                };
                unpacks.then_some(panel::bytes::<$multiply>(format))
            }

            #[target_feature(enable = $features)]
            unsafe fn unpack<F: Marker>(w: &Matrix<'_>, group: usize, panel: &mut [MaybeUninit<u8>]) {
                // SAFETY: the caller's promise.
                unsafe { panel::unpack::<$multiply, F>(w, group, panel) }
            }

            #[target_feature(enable = $features)]
            unsafe fn unpacked_blocks<F: Marker>(
                w: &Matrix<'_>,
                _group: usize,
                panel: &[MaybeUninit<u8>],
                tile: &[u8],
                results: &mut [[f32; GROUP]; TILE],
            ) {
                // SAFETY: the caller's promise.
                unsafe { panel::blocks::<$multiply, F>(w, panel, tile, results) }
            }

            unsafe fn floats<F: Marker>(columns: &[u8], x: &[[u8; 4]], result: &mut [f32; GROUP]) {
                floats::<F>(columns, x, result);
            }
        }
    };
}
tier!(
    /// Baseline.
    Plain,
    "neon",
    Smlal
);
tier!(
    /// With dot products.
    Dot,
    "neon,dotprod",
    Sdot
);
tier!(
    /// With 8-bit matrix multiplication, which is of no use without a pair of tokens.
    I8mm,
    "neon,dotprod,i8mm",
    Smmla,
    odd: Dot
);

/// How far ahead of their use weights are fetched, in runs of 32 columns.
const AHEAD: usize = 12;

/// The 16 rows of a group, in four registers.
type Rows<V> = [V; 4];

/// Where one block of a group and of a tile lies, from the first row on that is computed.
#[derive(Clone, Copy)]
struct Block {
    columns: Columns,
    scales: *const u8,
    /// Whether what comes later shall be fetched: not again for the other rows.
    fetches: bool,
}

/// A group of rows times a tile of T tokens.
///
/// # Safety
/// As [`Variant::blocks`].
#[inline(always)]
unsafe fn blocks<M: Multiply, F: Marker, const T: usize>(
    w: &Matrix<'_>,
    group: usize,
    tile: &[u8],
    results: &mut [[f32; GROUP]; T],
) {
    // The sums of all rows and of several tokens take more registers than there are.
    // SAFETY: the caller's promise.
    unsafe {
        if const { T == 1 } {
            rows::<M, F, T, 4>(w, group, tile, 0, results);
        } else {
            for q in [0, 2] {
                rows::<M, F, T, 2>(w, group, tile, q, results);
            }
        }
    }
}

/// R registers of rows, from `q` on, times a tile of T tokens.
///
/// # Safety
/// As [`Variant::blocks`]; q + R is at most 4.
#[inline(always)]
unsafe fn rows<M: Multiply, F: Marker, const T: usize, const R: usize>(
    w: &Matrix<'_>,
    group: usize,
    tile: &[u8],
    q: usize,
    results: &mut [[f32; GROUP]; T],
) {
    // Sizes that are known need not be computed.
    // SAFETY: the caller's promise.
    unsafe { std::hint::assert_unchecked(w.format() == F::FORMAT) };
    let mut at = Block {
        columns: Columns {
            codes: w.codes(group).as_ptr().wrapping_add(16 * q),
            high: w.high(group).as_ptr().wrapping_add(16 * q),
            activations: tile.as_ptr(),
            masks: Masks::new::<F>(),
        },
        // Halves, and pairs of bytes, of four rows are 8 bytes, whichever these are.
        scales: w.scales(group).as_ptr().wrapping_add(8 * q),
        fetches: q == 0,
    };
    // SAFETY: `at` is in turn at each of the blocks that `w` and the tile have; a row of results has four times four floats.
    unsafe {
        let mut acc = [[vdupq_n_f32(0.0); 4]; TILE];
        for _ in 0..w.blocks() {
            at = next::<M, F, T, R>(at, &mut acc);
        }
        for t in 0..T {
            for r in 0..R {
                vst1q_f32(results[t].as_mut_ptr().wrapping_add(4 * (q + r)), M::result(&acc, t, r));
            }
        }
    }
}

/// A product of the block at `at`; returns the next one.
///
/// # Safety
/// As [`block`].
#[inline(always)]
unsafe fn next<M: Multiply, F: Marker, const T: usize, const R: usize>(
    at: Block,
    acc: &mut Grid<float32x4_t>,
) -> Block {
    // SAFETY: the caller's promise.
    unsafe {
        if const { F::FORMAT.block() == 32 } {
            block::<M, F, T, R>(at, acc);
        } else {
            superblock::<M, F, T, R>(at, acc);
        }
    }
    Block {
        columns: Columns {
            codes: at.columns.codes.wrapping_add(F::FORMAT.code_bytes()),
            high: at.columns.high.wrapping_add(F::FORMAT.high_bytes()),
            activations: at.columns.activations.wrapping_add(T * F::FORMAT.activation().record()),
            ..at.columns
        },
        scales: at.scales.wrapping_add(F::FORMAT.scale_bytes()),
        ..at
    }
}

/// Asks for the codes and high bits that lie [`AHEAD`] runs of 32 columns further on than `at`, RUNS runs of them.
#[inline(always)]
fn prefetch<F: Marker, const RUNS: usize>(at: Columns) {
    macro_rules! lines {
        ($plane:ident, $bytes:ident: $($line:literal)*) => {$(
            if 64 * $line < RUNS * F::FORMAT.$bytes() * 32 / F::FORMAT.block() {
                // SAFETY: a prefetch of any address is allowed.
                unsafe {
                    asm!(
                        "prfm pldl1keep, [{0}, {1}]",
                        in(reg) at.$plane,
                        const AHEAD * F::FORMAT.$bytes() * 32 / F::FORMAT.block() + 64 * $line,
                        options(readonly, nostack, preserves_flags)
                    );
                }
            }
        )*};
    }
    lines!(codes, code_bytes: 0 1 2 3 4 5 6 7);
    lines!(high, high_bytes: 0 1 2 3);
}

/// A product of 32 columns with one scale.
///
/// # Safety
/// `at` is at a block of format F and of a tile of T tokens, all of which may be read, of R registers of rows.
#[inline(always)]
unsafe fn block<M: Multiply, F: Marker, const T: usize, const R: usize>(at: Block, acc: &mut Grid<float32x4_t>) {
    if at.fetches {
        prefetch::<F, 1>(at.columns);
    }
    // SAFETY: what is read is in the block, whose layout `format.rs` and `activation.rs` give.
    unsafe {
        let per_token = at.columns.activations.wrapping_add(32 * T).cast::<i32>();
        let zero = [vdupq_n_s32(0); TILE];
        let from = match offset(F::FORMAT) {
            // Whole bytes are joined to what they stand for.
            0 | 128 => zero,
            offset => M::by_token::<T>(vmulq_n_s32(per_lane::<T>(per_token.wrapping_add(2 * T)), -offset)),
        };
        let mut s = dot::<M, F, T, R, ALL>(at.columns, by_token(from));
        if T == 1 {
            // Scales that were read before would take registers from the sums.
            hold::<M, T>(&mut s, 0..M::rows(R));
        }
        let d = M::by_row(scales::<R>(at.scales));
        let [da, da_sum] = scales_of_tokens::<T>(per_token);
        add_scaled::<M, T, R>(acc, s, d, M::by_token::<T>(da));
        if let Format::Q4_1 | Format::Q5_1 = F::FORMAT {
            let m = M::by_row(scales::<R>(at.scales.wrapping_add(2 * GROUP)));
            let da_sum = M::by_token::<T>(da_sum);
            for u in 0..M::tokens(T) {
                for p in 0..M::rows(R) {
                    acc[u][p] = vfmaq_f32(acc[u][p], m[p], vreinterpretq_f32_s32(da_sum[u]));
                }
            }
        }
    }
}

/// The scales of a tile, and these times the sums of codes, each as [`per_lane`].
///
/// # Safety
/// `p` is behind the codes of a block of 32.
#[inline(always)]
unsafe fn scales_of_tokens<const T: usize>(p: *const i32) -> [int32x4_t; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        if const { T == 1 } {
            // In one register, of whose lanes there are instructions that make use: LLVM would rather load each apart.
            let both = pin(vreinterpretq_s32_s8(vcombine_s8(vld1_s8(p.cast()), vdup_n_s8(0))));
            return [vdupq_laneq_s32::<0>(both), vdupq_laneq_s32::<1>(both)];
        }
        [per_lane::<T>(p), per_lane::<T>(p.wrapping_add(T))]
    }
}

/// What is the same for all rows.
#[inline(always)]
fn by_token([a, b, c, d]: [int32x4_t; TILE]) -> Grid<int32x4_t> {
    // Not `map`, which is not always inlined.
    [[a; 4], [b; 4], [c; 4], [d; 4]]
}

/// `acc = fma(s, d * da, acc)`
#[inline(always)]
fn add_scaled<M: Multiply, const T: usize, const R: usize>(
    acc: &mut Grid<float32x4_t>,
    s: Grid<int32x4_t>,
    d: [float32x4_t; 4],
    da: [int32x4_t; TILE],
) {
    for u in 0..M::tokens(T) {
        for p in 0..M::rows(R) {
            // SAFETY: NEON is in the baseline.
            unsafe {
                let scale = vmulq_f32(d[p], vreinterpretq_f32_s32(da[u]));
                acc[u][p] = vfmaq_f32(acc[u][p], vcvtq_f32_s32(s[u][p]), scale);
            }
        }
    }
}

/// A product of 256 columns with sub-scales.
///
/// # Safety
/// As [`block`].
#[inline(always)]
unsafe fn superblock<M: Multiply, F: Marker, const T: usize, const R: usize>(at: Block, acc: &mut Grid<float32x4_t>) {
    // SAFETY: what is read is in the block, whose layout `format.rs` and `activation.rs` give.
    unsafe {
        let six = matches!(F::FORMAT, Format::Q6_K);
        if T > 1 {
            in_memory(acc);
        }
        let activations = at.columns.activations;
        let da = M::by_token::<T>(per_lane::<T>(activations.wrapping_add(256 * T).cast()));
        let sums = activations.wrapping_add(T * if six { 260 } else { 292 }).cast::<i16>();
        // Sub-scales come in pairs, of 16 columns each or of 32.
        let sub_scales = at.scales.wrapping_add(if six { 32 } else { 64 });
        let mut s = [[vdupq_n_s32(0); 4]; TILE];
        let mut columns = at.columns;
        for pair in 0..if six { 8 } else { 4 } {
            if at.fetches && six {
                prefetch::<F, 1>(columns);
            } else if at.fetches {
                prefetch::<F, 2>(columns);
            }
            let factors = sub_scales_of::<M, F, R>(sub_scales.wrapping_add(32 * pair));
            if const { matches!(F::FORMAT, Format::Q6_K) } {
                let [first, second] = pair_of_sums::<M, T>(sums.wrapping_add(2 * T * pair), -offset(F::FORMAT) as i16);
                multiply_add::<M, F, T, R, FIRST>(&mut s, columns, by_token(first), factors[0]);
                multiply_add::<M, F, T, R, SECOND>(&mut s, columns, by_token(second), factors[1]);
                columns = columns.next::<F, T>();
            } else {
                let zero = [[vdupq_n_s32(0); 4]; TILE];
                multiply_add::<M, F, T, R, ALL>(&mut s, columns, zero, factors[0]);
                columns = columns.next::<F, T>();
                multiply_add::<M, F, T, R, ALL>(&mut s, columns, zero, factors[1]);
                columns = columns.next::<F, T>();
            }
        }
        let d = M::by_row(scales::<R>(at.scales));
        add_scaled::<M, T, R>(acc, s, d, da);
        if six {
            return;
        }
        let dmin = M::by_row(scales::<R>(at.scales.wrapping_add(2 * GROUP)));
        // Of two registers of rows each.
        let minima = [sub_minima::<M>(at.scales), sub_minima::<M>(at.scales.wrapping_add(16))];
        subtract_minima::<M, F, T, R>(acc, minima, dmin, activations.wrapping_add(256 * T));
    }
}

/// Takes minima times sums off the results of a superblock; `minima` are those of two registers of rows each.
///
/// The sums of 32 columns are less than 128 times 32, so that their lower six bits and what is above these are bytes, and the
/// eight minima of a row, which are less than 64, can be multiplied like the codes of eight columns.
///
/// # Safety
/// As [`block`]; `per_token` is behind the activations of the superblock.
#[inline(always)]
unsafe fn subtract_minima<M: Multiply, F: Marker, const T: usize, const R: usize>(
    acc: &mut Grid<float32x4_t>,
    minima: [[int8x16_t; 4]; 2],
    dmin: [float32x4_t; 4],
    per_token: *const u8,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = [[vdupq_n_s32(0); 4]; TILE];
        let [low, high] = sums::<T>(per_token.wrapping_add(36 * T).cast());
        let mut part = M::start::<T>(zero, per_token);
        for r in (0..R).step_by(2) {
            M::add::<F, T>(minima[r / 2], high, &mut part, r, true);
        }
        let mut m = M::finish::<F, T, R>(part, zero);
        for m in &mut m[..M::tokens(T)] {
            for m in &mut m[..M::rows(R)] {
                *m = vshlq_n_s32::<6>(*m);
            }
        }
        let mut part = M::start::<T>(m, per_token);
        for r in (0..R).step_by(2) {
            M::add::<F, T>(minima[r / 2], low, &mut part, r, true);
        }
        let m = M::finish::<F, T, R>(part, m);
        let da = vreinterpretq_f32_s32(per_lane::<T>(per_token.cast()));
        add_scaled::<M, T, R>(acc, m, dmin, M::by_token::<T>(vreinterpretq_s32_f32(vnegq_f32(da))));
    }
}

/// The sub-minima of two registers of rows, in the order of eight columns.
///
/// # Safety
/// `scales` is at a block's scales, from the first row on that is meant.
#[inline(always)]
unsafe fn sub_minima<M: Multiply>(scales: *const u8) -> [int8x16_t; 4] {
    let pairs = scales.wrapping_add(12 * GROUP);
    // SAFETY: the caller's promise.
    unsafe {
        let [a, b, c, d] = [0, 32, 64, 96].map(|i| vld1q_s16(pairs.wrapping_add(i).cast()));
        let columns = [vzip1q_s16(a, b), vzip2q_s16(a, b), vzip1q_s16(c, d), vzip2q_s16(c, d)];
        M::ordered(columns.map(|columns| vreinterpretq_s8_s16(columns)))
    }
}

/// The sums of 32 columns, eight for each of T tokens, in the order of the activations of eight columns: their lower six bits,
/// and what is above these.
///
/// # Safety
/// `p` is at the sums of a tile.
#[inline(always)]
unsafe fn sums<const T: usize>(p: *const i16) -> [[int8x16_t; 2]; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let six = vdupq_n_s8(63);
        if const { T == 1 } {
            let sums = vld1q_s16(p);
            let (low, high) = (vmovn_s16(sums), vshrn_n_s16::<6>(sums));
            return [[vandq_s8(vcombine_s8(low, low), six); 2], [vcombine_s8(high, high); 2]];
        }
        let [a, b, c, d] =
            [0, 1, 2, 3].map(|pair| vreinterpretq_s16_s32(per_lane::<T>(p.wrapping_add(2 * T * pair).cast())));
        let low = |a, b| vandq_s8(vuzp1q_s8(vreinterpretq_s8_s16(a), vreinterpretq_s8_s16(b)), six);
        let high = |a, b| vshrn_high_n_s16::<6>(vshrn_n_s16::<6>(a), b);
        [by_pairs(low(a, c), low(b, d)), by_pairs(high(a, c), high(b, d))]
    }
}

/// Eight bytes of each token: in turns two from the first halves of both, then two from the second halves.
#[inline(always)]
fn by_pairs(a: int8x16_t, b: int8x16_t) -> [int8x16_t; 2] {
    // SAFETY: NEON is in the baseline.
    unsafe {
        let (a, b) = (vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b));
        let (a, b) = (vreinterpretq_s32_s16(vzip1q_s16(a, b)), vreinterpretq_s32_s16(vzip2q_s16(a, b)));
        [vreinterpretq_s8_s32(vzip1q_s32(a, b)), vreinterpretq_s8_s32(vzip2q_s32(a, b))]
    }
}

/// Leaves room for the integer sums of a superblock: all sums together take more registers than there are, and LLVM would
/// move them to and fro in the inner loop.
#[inline(always)]
fn in_memory(acc: &mut Grid<float32x4_t>) {
    // SAFETY: it does nothing; that LLVM does not know is the point.
    unsafe { asm!("/* {0} */", in(reg) acc, options(nostack, preserves_flags)) };
}

/// `s += dot * factors`, with a factor for each row.
///
/// # Safety
/// As [`dot`].
#[inline(always)]
unsafe fn multiply_add<M: Multiply, F: Marker, const T: usize, const R: usize, const HALF: usize>(
    s: &mut Grid<int32x4_t>,
    columns: Columns,
    from: Grid<int32x4_t>,
    factors: [int32x4_t; 4],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let half = M::rows(R / 2);
        if const { !(M::HALVES_ROWS || M::HALVES_SIX && R == 4 && matches!(F::FORMAT, Format::Q6_K)) } {
            add_multiplied::<M, T>(s, dot::<M, F, T, R, HALF>(columns, from), factors, 0..M::rows(R));
        } else if const { R == 2 } {
            add_multiplied::<M, T>(s, dot::<M, F, T, 1, HALF>(columns, from), factors, 0..half);
            // What is not done now would be done last, and take registers until then.
            hold::<M, T>(s, 0..half);
            add_multiplied::<M, T>(s, dot::<M, F, T, 1, HALF>(columns.after(1), from), factors, half..2 * half);
            hold::<M, T>(s, half..2 * half);
        } else {
            add_multiplied::<M, T>(s, dot::<M, F, T, 2, HALF>(columns, from), factors, 0..half);
            hold::<M, T>(s, 0..half);
            add_multiplied::<M, T>(s, dot::<M, F, T, 2, HALF>(columns.after(2), from), factors, half..2 * half);
            hold::<M, T>(s, half..2 * half);
        }
    }
}

/// Keeps the order of what is computed before and after it.
#[inline(always)]
fn hold<M: Multiply, const T: usize>(s: &mut Grid<int32x4_t>, rows: Range<usize>) {
    for s in &mut s[..M::tokens(T)] {
        for p in rows.clone() {
            s[p] = pin(s[p]);
        }
    }
}

/// `s += x * factors` for some vectors of rows, the first of which is the first of `x`.
#[inline(always)]
fn add_multiplied<M: Multiply, const T: usize>(
    s: &mut Grid<int32x4_t>,
    x: Grid<int32x4_t>,
    factors: [int32x4_t; 4],
    rows: Range<usize>,
) {
    for u in 0..M::tokens(T) {
        for p in rows.clone() {
            // SAFETY: NEON is in the baseline.
            s[u][p] = unsafe { vmlaq_s32(s[u][p], x[u][p - rows.start], factors[p]) };
        }
    }
}

/// A value of each of T tokens, in as many lanes; of one token, in all lanes.
///
/// # Safety
/// T values may be read.
#[inline(always)]
unsafe fn per_lane<const T: usize>(p: *const i32) -> int32x4_t {
    // SAFETY: the caller's promise; values need not be aligned.
    unsafe {
        let two = |p: *const i32| vreinterpret_s32_s8(vld1_s8(p.cast()));
        match T {
            1 => vdupq_n_s32(p.read_unaligned()),
            2 => vcombine_s32(two(p), two(p)),
            3 => vcombine_s32(two(p), vdup_n_s32(p.wrapping_add(2).read_unaligned())),
            _ => vreinterpretq_s32_s8(vld1q_s8(p.cast())),
        }
    }
}

/// Four values at `p`, which moves on by what a block of T tokens takes; LLVM would take another instruction for that.
///
/// # Safety
/// They may be read.
#[inline(always)]
unsafe fn take_four<F: Marker, const T: usize>(p: &mut *const u8) -> int32x4_t {
    let four;
    // SAFETY: the caller's promise; nothing but the outputs changes.
    unsafe {
        asm!(
            "ldr {four:q}, [{p}], #{bytes}",
            four = out(vreg) four, p = inout(reg) *p, bytes = const T * F::FORMAT.activation().record(),
            options(readonly, nostack, preserves_flags)
        );
    }
    four
}

/// The sums of a pair of sub-blocks, times `factor`, as vectors of T tokens.
///
/// # Safety
/// T pairs may be read.
#[inline(always)]
unsafe fn pair_of_sums<M: Multiply, const T: usize>(p: *const i16, factor: i16) -> [[int32x4_t; TILE]; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let pairs = vreinterpretq_s16_s32(per_lane::<T>(p.cast()));
        let (a, b) = (vget_low_s16(pairs), vget_high_s16(pairs));
        let (a, b) = (vmull_n_s16(a, factor), vmull_n_s16(b, factor));
        let (first, second) = match T {
            1 => (vdupq_laneq_s32::<0>(a), vdupq_laneq_s32::<1>(a)),
            _ => (vuzp1q_s32(a, b), vuzp2q_s32(a, b)),
        };
        [M::by_token::<T>(first), M::by_token::<T>(second)]
    }
}

/// The f16 scales of R registers of rows.
///
/// # Safety
/// 8 * R bytes may be read.
#[inline(always)]
unsafe fn scales<const R: usize>(p: *const u8) -> [float32x4_t; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut scales = [vdupq_n_f32(0.0); 4];
        for r in (0..R).step_by(2) {
            let two = vreinterpretq_f16_u16(vld1q_u16(p.cast::<u16>().wrapping_add(4 * r)));
            (scales[r], scales[r + 1]) = (vcvt_f32_f16(vget_low_f16(two)), vcvt_high_f32_f16(two));
        }
        scales
    }
}

/// The sub-scales of two adjacent sub-blocks for R registers of rows, as vectors of rows.
///
/// # Safety
/// 8 * R bytes may be read.
#[inline(always)]
unsafe fn sub_scales_of<M: Multiply, F: Marker, const R: usize>(p: *const u8) -> [[int32x4_t; 4]; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut vectors = [[vdupq_n_s32(0); 4]; 2];
        for r in (0..R).step_by(2) {
            let even = vld1q_u8(p.wrapping_add(8 * r));
            let odd = vreinterpretq_u8_u16(vshrq_n_u16::<8>(vreinterpretq_u16_u8(even)));
            for (vectors, bytes) in vectors.iter_mut().zip([even, odd]) {
                let signs = match F::FORMAT {
                    Format::Q6_K => vreinterpretq_u8_s8(vshrq_n_s8::<7>(vreinterpretq_s8_u8(bytes))),
                    _ => vdupq_n_u8(0),
                };
                for (p, lanes) in M::LANES.iter().enumerate() {
                    vectors[M::rows(r) + p] = widen(bytes, signs, lanes);
                }
            }
        }
        vectors
    }
}

/// The even bytes with these indices, each with its sign to a lane.
#[inline(always)]
fn widen(bytes: uint8x16_t, signs: uint8x16_t, lanes: &[u8; 4]) -> int32x4_t {
    let mut indices = [0; 16];
    for (i, lane) in lanes.iter().enumerate() {
        indices[4 * i] = 2 * lane;
        indices[4 * i + 1..4 * i + 4].fill(16 + 2 * lane);
    }
    // SAFETY: NEON is in the baseline.
    unsafe { vreinterpretq_s32_u8(vqtbl2q_u8(uint8x16x2_t(bytes, signs), vld1q_u8(indices.as_ptr()))) }
}

/// Four halves, widened.
///
/// # Safety
/// Eight bytes may be read.
#[inline(always)]
unsafe fn halves(p: *const u16) -> float32x4_t {
    // SAFETY: the caller's promise.
    unsafe { vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))) }
}

/// A group of rows of floats times one token.
fn floats<F: Marker>(columns: &[u8], x: &[[u8; 4]], result: &mut [f32; GROUP]) {
    // SAFETY: NEON is in the baseline; a result has four times four floats.
    unsafe {
        let mut chains = [[vdupq_n_f32(0.0); 4]; 4];
        let columns = columns.chunks_exact(4 * F::FORMAT.code_bytes());
        let rest = columns.remainder();
        for (columns, x) in columns.zip(x.as_chunks::<4>().0) {
            for c in 0..4 {
                let w = float_column::<F>(&columns[c * F::FORMAT.code_bytes()..]);
                for q in 0..4 {
                    chains[c][q] = vfmaq_n_f32(chains[c][q], w[q], f32::from_le_bytes(x[c]));
                }
            }
        }
        let columns = rest.chunks_exact(F::FORMAT.code_bytes());
        for ((column, x), chain) in columns.zip(x.as_chunks::<4>().1).zip(&mut chains) {
            let w = float_column::<F>(column);
            for q in 0..4 {
                chain[q] = vfmaq_n_f32(chain[q], w[q], f32::from_le_bytes(*x));
            }
        }
        for q in 0..4 {
            let [a, b, c, d] = chains.map(|chain| chain[q]);
            vst1q_f32(result.as_mut_ptr().wrapping_add(4 * q), vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)));
        }
    }
}

/// One column of a group of floats.
#[inline(always)]
fn float_column<F: Marker>(column: &[u8]) -> Rows<float32x4_t> {
    let column = &column[..F::FORMAT.code_bytes()];
    // SAFETY: the slice has 16 elements of the format's size.
    unsafe {
        match F::FORMAT {
            Format::F16 => [0, 4, 8, 12].map(|i| halves(column.as_ptr().cast::<u16>().wrapping_add(i))),
            Format::BF16 => [0, 4, 8, 12].map(|i| {
                vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(column.as_ptr().cast::<u16>().wrapping_add(i))))
            }),
            _ => [0, 4, 8, 12].map(|i| vld1q_f32(column.as_ptr().cast::<f32>().wrapping_add(i))),
        }
    }
}
