//! Variants for aarch64: plain NEON, and NEON with dot products.
#![allow(clippy::needless_range_loop, reason = "t and q run over registers, several arrays of them at a time")]

use std::arch::aarch64::*;
use std::arch::asm;

use crate::activation::TILE;
use crate::cpu::{Neon, NeonDot};
use crate::format::marker::Marker;
use crate::format::{Format, GROUP};
use crate::matrix::Matrix;
use crate::ops::{LANES, Lanes, Simd};
use crate::product::{self, Product, Variant};

/// Sixteen floats in four registers.
pub(crate) struct Vector;

// SAFETY of all methods: NEON is in the aarch64 baseline; arrays are as long as what is read.
impl Simd for Vector {
    type V = Rows<float32x4_t>;

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: see above.
        unsafe { [vdupq_n_f32(x); 4] }
    }

    #[inline(always)]
    fn load(x: &Lanes) -> Self::V {
        // SAFETY: see above.
        [0, 4, 8, 12].map(|i| unsafe { vld1q_f32(x.as_ptr().add(i)) })
    }

    #[inline(always)]
    fn store(v: Self::V) -> Lanes {
        let mut out = [0.0; LANES];
        for q in 0..4 {
            // SAFETY: see above.
            unsafe { vst1q_f32(out.as_mut_ptr().add(4 * q), v[q]) };
        }
        out
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
    fn widen(x: &[u16; LANES]) -> Self::V {
        // SAFETY: see above.
        [0, 4, 8, 12].map(|i| unsafe { halves(x.as_ptr().add(i)) })
    }

    #[inline(always)]
    fn narrow(v: Self::V) -> [u16; LANES] {
        let mut out = [0; LANES];
        for q in 0..4 {
            // SAFETY: see above.
            unsafe { vst1_u16(out.as_mut_ptr().add(4 * q), vreinterpret_u16_f16(vcvt_f16_f32(v[q]))) };
        }
        out
    }
}

/// The matrix products of the baseline.
pub(crate) fn product(_: Neon) -> fn(Format) -> Product {
    product::of::<Smlal>
}

/// The matrix products with dot product instructions.
pub(crate) fn product_dot(_: NeonDot) -> fn(Format) -> Product {
    product::of::<Sdot>
}

/// How to multiply four bytes of each of four rows by four bytes of a token, and add up.
trait Multiply {
    /// Sums so far.
    type Part: Copy;

    /// How many steps a sum can take before it has to be widened.
    fn run(format: Format) -> usize;

    fn zero() -> Self::Part;

    /// # Safety
    /// The CPU has the instructions.
    unsafe fn step<const LANE: i32>(part: Self::Part, w: int8x16_t, x: int8x16_t) -> Self::Part;

    /// One sum per row.
    fn widen(part: Self::Part) -> int32x4_t;
}

/// Baseline: 16-bit sums for each row and byte.
struct Smlal;

impl Multiply for Smlal {
    type Part = [int16x8_t; 2];

    #[inline(always)]
    fn run(format: Format) -> usize {
        // A product is at most 127 times the largest code, and 32767 holds this many. Q6_K has a scale every four steps.
        match format {
            Format::Q8_0 => 2,
            Format::Q6_K => 4,
            _ => 8,
        }
    }

    #[inline(always)]
    fn zero() -> Self::Part {
        // SAFETY: NEON is in the baseline, here and below.
        unsafe { [vdupq_n_s16(0); 2] }
    }

    #[inline(always)]
    unsafe fn step<const LANE: i32>([low, high]: Self::Part, w: int8x16_t, x: int8x16_t) -> Self::Part {
        // SAFETY: as above.
        unsafe {
            let x = vreinterpretq_s8_s32(vdupq_laneq_s32::<LANE>(vreinterpretq_s32_s8(x)));
            [vmlal_s8(low, vget_low_s8(w), vget_low_s8(x)), vmlal_high_s8(high, w, x)]
        }
    }

    #[inline(always)]
    fn widen([low, high]: Self::Part) -> int32x4_t {
        // SAFETY: as above.
        unsafe { vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)) }
    }
}

/// Dot products of four bytes, straight into 32 bits.
struct Sdot;

impl Multiply for Sdot {
    type Part = int32x4_t;

    #[inline(always)]
    fn run(format: Format) -> usize {
        if format == Format::Q6_K { 4 } else { 8 }
    }

    #[inline(always)]
    fn zero() -> Self::Part {
        // SAFETY: NEON is in the baseline.
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn step<const LANE: i32>(mut part: Self::Part, w: int8x16_t, x: int8x16_t) -> Self::Part {
        // Rust 1.95 has no stable intrinsic for it; `vdotq_laneq_s32` takes over when it has.
        // SAFETY: the caller's promise; nothing but `part` changes.
        unsafe {
            asm!(
                "sdot {part:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
                part = inout(vreg) part, w = in(vreg) w, x = in(vreg) x, lane = const LANE,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        part
    }

    #[inline(always)]
    fn widen(part: Self::Part) -> int32x4_t {
        part
    }
}

impl Variant for Smlal {
    unsafe fn blocks<F: Marker, const T: usize>(
        w: &Matrix<'_>,
        group: usize,
        tile: &[u8],
        results: &mut [[f32; GROUP]; TILE],
    ) {
        // SAFETY: the caller's promise.
        unsafe { blocks::<Self, F, T>(w, group, tile, results) };
    }

    unsafe fn floats<F: Marker>(columns: &[u8], x: &[[u8; 4]], result: &mut [f32; GROUP]) {
        floats::<F>(columns, x, result);
    }
}

impl Variant for Sdot {
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn blocks<F: Marker, const T: usize>(
        w: &Matrix<'_>,
        group: usize,
        tile: &[u8],
        results: &mut [[f32; GROUP]; TILE],
    ) {
        // SAFETY: the caller's promise.
        unsafe { blocks::<Self, F, T>(w, group, tile, results) };
    }

    unsafe fn floats<F: Marker>(columns: &[u8], x: &[[u8; 4]], result: &mut [f32; GROUP]) {
        floats::<F>(columns, x, result);
    }
}

/// How far ahead of their use weights are fetched, in blocks.
const AHEAD: usize = 12;

/// The 16 rows of a group, in four registers.
type Rows<V> = [V; 4];

/// Where one block of a group and of a tile lies.
#[derive(Clone, Copy)]
struct Block {
    codes: *const u8,
    high: *const u8,
    scales: *const u8,
    record: *const u8,
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
    results: &mut [[f32; GROUP]; TILE],
) {
    let mut at = Block {
        codes: w.codes(group).as_ptr(),
        high: w.high(group).as_ptr(),
        scales: w.scales(group).as_ptr(),
        record: tile.as_ptr(),
    };
    // SAFETY: `at` is in turn at each of the blocks that `w` and the tile have; a row of results has four times four floats.
    unsafe {
        let mut acc = [[vdupq_n_f32(0.0); 4]; T];
        for _ in 0..w.blocks() {
            for (plane, bytes) in [
                (at.codes, F::FORMAT.code_bytes()),
                (at.high, F::FORMAT.high_bytes()),
                (at.scales, F::FORMAT.scale_bytes()),
            ] {
                prefetch(plane.wrapping_add(AHEAD * bytes * 32 / F::FORMAT.block()), bytes);
            }
            match F::FORMAT.block() {
                32 => block::<M, F, T>(at, &mut acc),
                _ => superblock::<M, F, T>(at, &mut acc),
            }
            at.codes = at.codes.wrapping_add(F::FORMAT.code_bytes());
            at.high = at.high.wrapping_add(F::FORMAT.high_bytes());
            at.scales = at.scales.wrapping_add(F::FORMAT.scale_bytes());
            at.record = at.record.wrapping_add(T * F::FORMAT.activation().record());
        }
        for (result, acc) in results.iter_mut().zip(acc) {
            for (q, acc) in acc.into_iter().enumerate() {
                vst1q_f32(result.as_mut_ptr().add(4 * q), acc);
            }
        }
    }
}

/// Asks for some bytes that will be read soon.
#[inline(always)]
fn prefetch(start: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(64) {
        // SAFETY: a prefetch of any address is allowed.
        unsafe {
            asm!(
                "prfm pldl1keep, [{0}]", in(reg) start.wrapping_add(line),
                options(readonly, nostack, preserves_flags)
            );
        }
    }
}

/// 32 columns with one scale.
///
/// # Safety
/// `at` is at a block of format F and of a tile of T tokens, all of which may be read.
#[inline(always)]
unsafe fn block<M: Multiply, F: Marker, const T: usize>(at: Block, acc: &mut [Rows<float32x4_t>; T]) {
    // SAFETY: what is read is in the block, whose layout `format.rs` and `activation.rs` give.
    unsafe {
        let per_token = at.record.add(32 * T).cast::<f32>();
        for q in [0, 2] {
            let mut s = [[vdupq_n_s32(0); 2]; T];
            dot::<M, F, T>(at.codes, at.high, at.record, q, |_, t, r, sum| s[t][r] = vaddq_s32(s[t][r], sum));
            for t in 0..T {
                let offset = match F::FORMAT {
                    Format::Q4_0 => 8,
                    Format::Q5_0 => 16,
                    _ => 0,
                };
                let sum = per_token.add(2 * T + t).cast::<i32>().read_unaligned();
                let (da, da_sum) = (per_token.add(t).read_unaligned(), per_token.add(T + t).read_unaligned());
                for r in 0..2 {
                    let s = if offset == 0 { s[t][r] } else { vsubq_s32(s[t][r], vdupq_n_s32(offset * sum)) };
                    let (d, acc) = (halves(at.scales.cast::<u16>().add(4 * (q + r))), &mut acc[t][q + r]);
                    *acc = vfmaq_f32(*acc, vcvtq_f32_s32(s), vmulq_n_f32(d, da));
                    if let Format::Q4_1 | Format::Q5_1 = F::FORMAT {
                        let m = halves(at.scales.cast::<u16>().add(GROUP + 4 * (q + r)));
                        *acc = vfmaq_n_f32(*acc, m, da_sum);
                    }
                }
            }
        }
    }
}

/// 256 columns with sub-scales.
///
/// # Safety
/// As [`block`].
#[inline(always)]
unsafe fn superblock<M: Multiply, F: Marker, const T: usize>(at: Block, acc: &mut [Rows<float32x4_t>; T]) {
    // SAFETY: what is read is in the block, whose layout `format.rs` and `activation.rs` give.
    unsafe {
        let six = matches!(F::FORMAT, Format::Q6_K);
        let (code_bytes, high_bytes) = (F::FORMAT.code_bytes() / 8, F::FORMAT.high_bytes() / 8);
        // Pairs of adjacent sub-blocks: scales, and what goes with the sums of codes (minima, or scales for the offset).
        let (scales, minima) = (at.scales.add(if six { 32 } else { 64 }), at.scales.add(if six { 32 } else { 192 }));
        let sums = at.record.add(T * if six { 260 } else { 292 }).cast::<i16>();
        for q in [0, 2] {
            let mut s = [[vdupq_n_s32(0); 2]; T];
            let mut m = [[vdupq_n_s32(0); 2]; T];
            for sub in 0..8 {
                let pair = if six { sub } else { sub / 2 };
                let mut factors = [[vdupq_n_s32(0); 2]; 2];
                for r in 0..2 {
                    let (even, odd) = split_pairs::<F>(scales.add(pair * 32 + (q + r) * 8));
                    let same = if sub % 2 == 0 { even } else { odd };
                    (factors[0][r], factors[1][r]) = if six { (even, odd) } else { (same, same) };
                }
                let (codes, high) = (at.codes.add(sub * code_bytes), at.high.add(sub * high_bytes));
                dot::<M, F, T>(codes, high, at.record.add(sub * 32 * T), q, |half, t, r, sum| {
                    s[t][r] = vmlaq_s32(s[t][r], sum, factors[half][r]);
                });
                if six || sub % 2 == 0 {
                    for r in 0..2 {
                        let (even, odd) = split_pairs::<F>(minima.add(pair * 32 + (q + r) * 8));
                        for t in 0..T {
                            let sum = sums.add((pair * T + t) * 2);
                            m[t][r] = vmlaq_n_s32(m[t][r], even, i32::from(sum.read_unaligned()));
                            m[t][r] = vmlaq_n_s32(m[t][r], odd, i32::from(sum.add(1).read_unaligned()));
                        }
                    }
                }
            }
            for t in 0..T {
                let da = at.record.add(T * 256).cast::<f32>().add(t).read_unaligned();
                for r in 0..2 {
                    let s = if six { vsubq_s32(s[t][r], vshlq_n_s32::<5>(m[t][r])) } else { s[t][r] };
                    let (d, acc) = (halves(at.scales.cast::<u16>().add(4 * (q + r))), &mut acc[t][q + r]);
                    *acc = vfmaq_f32(*acc, vcvtq_f32_s32(s), vmulq_n_f32(d, da));
                    if !six {
                        let dmin = halves(at.scales.cast::<u16>().add(GROUP + 4 * (q + r)));
                        *acc = vfmsq_f32(*acc, vmulq_n_f32(dmin, da), vcvtq_f32_s32(m[t][r]));
                    }
                }
            }
        }
    }
}

/// The products of 32 columns for the rows of registers `q` and `q + 1`, handed on by halves (16 columns), tokens and
/// registers in one or more sums.
///
/// # Safety
/// The pointers are at 32 columns of format F, and of a tile of T tokens; q is 0 or 2.
#[inline(always)]
unsafe fn dot<M: Multiply, F: Marker, const T: usize>(
    codes: *const u8,
    high: *const u8,
    activations: *const u8,
    q: usize,
    mut add: impl FnMut(usize, usize, usize, int32x4_t),
) {
    let mut part = [[M::zero(); 2]; T];
    let run = M::run(F::FORMAT);
    // Spelt out, since shifts and lanes are constants.
    macro_rules! steps {
        ($($i:literal)*) => {$(
            // SAFETY: the caller's promise.
            let w = unsafe { [unpack::<F, $i>(codes, high, q), unpack::<F, $i>(codes, high, q + 1)] };
            for t in 0..T {
                let word = $i * T + t;
                for r in 0..2 {
                    // SAFETY: as above; words come four to a register.
                    part[t][r] = unsafe {
                        let x = vld1q_s8(activations.add(word / 4 * 16).cast());
                        match word % 4 {
                            0 => M::step::<0>(part[t][r], w[r], x),
                            1 => M::step::<1>(part[t][r], w[r], x),
                            2 => M::step::<2>(part[t][r], w[r], x),
                            _ => M::step::<3>(part[t][r], w[r], x),
                        }
                    };
                    if $i % run == run - 1 {
                        add($i / 4, t, r, M::widen(part[t][r]));
                        part[t][r] = M::zero();
                    }
                }
            }
        )*};
    }
    steps!(0 1 2 3 4 5 6 7);
}

/// The codes of columns 4 * I to 4 * I + 3 for the four rows of register `q`, a byte each.
///
/// # Safety
/// As [`dot`], with q below 4.
#[inline(always)]
unsafe fn unpack<F: Marker, const I: usize>(codes: *const u8, high: *const u8, q: usize) -> int8x16_t {
    // SAFETY: the caller's promise.
    unsafe {
        let load = |p: *const u8, i: usize| vld1q_u8(p.add(i * 64 + q * 16));
        if let Format::Q8_0 = F::FORMAT {
            return vreinterpretq_s8_u8(load(codes, I));
        }
        let x = load(codes, I % 4);
        let nibble = if I < 4 { vandq_u8(x, vdupq_n_u8(15)) } else { vshrq_n_u8::<4>(x) };
        let code = match F::FORMAT {
            Format::Q5_0 | Format::Q5_1 | Format::Q5_K => {
                let x = load(high, 0);
                let x = match I {
                    0 => vshlq_n_u8::<4>(x),
                    1 => vshlq_n_u8::<3>(x),
                    2 => vshlq_n_u8::<2>(x),
                    3 => vshlq_n_u8::<1>(x),
                    4 => x,
                    5 => vshrq_n_u8::<1>(x),
                    6 => vshrq_n_u8::<2>(x),
                    _ => vshrq_n_u8::<3>(x),
                };
                vorrq_u8(nibble, vandq_u8(x, vdupq_n_u8(0x10)))
            }
            Format::Q6_K => {
                let x = load(high, I / 4);
                let x = match I % 4 {
                    0 => vshlq_n_u8::<4>(x),
                    1 => vshlq_n_u8::<2>(x),
                    2 => x,
                    _ => vshrq_n_u8::<2>(x),
                };
                vorrq_u8(nibble, vandq_u8(x, vdupq_n_u8(0x30)))
            }
            _ => nibble,
        };
        vreinterpretq_s8_u8(code)
    }
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

/// The sub-scales of two adjacent sub-blocks for four rows.
///
/// # Safety
/// Eight bytes may be read.
#[inline(always)]
unsafe fn split_pairs<F: Marker>(p: *const u8) -> (int32x4_t, int32x4_t) {
    // SAFETY: the caller's promise.
    unsafe {
        let pairs = match F::FORMAT {
            Format::Q6_K => vmovl_s8(vld1_s8(p.cast())),
            _ => vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p))),
        };
        let pairs = vreinterpretq_s32_s16(pairs);
        (vshrq_n_s32::<16>(vshlq_n_s32::<16>(pairs)), vshrq_n_s32::<16>(pairs))
    }
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
            vst1q_f32(result.as_mut_ptr().add(4 * q), vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)));
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
            Format::F16 => [0, 4, 8, 12].map(|i| halves(column.as_ptr().cast::<u16>().add(i))),
            Format::BF16 => [0, 4, 8, 12]
                .map(|i| vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(column.as_ptr().cast::<u16>().add(i))))),
            _ => [0, 4, 8, 12].map(|i| vld1q_f32(column.as_ptr().cast::<f32>().add(i))),
        }
    }
}
