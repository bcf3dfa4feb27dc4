//! Everything that is not a matrix product: quantization of activations, normalisation, position, activation functions,
//! attention.
//!
//! Each operation is written once, as an inlined body over slices in a form that LLVM vectorises, and compiled for each
//! tier. Rounding is the same everywhere: no operation is reordered or fused by the compiler, `mul_add` is one rounding on
//! every CPU, and every sum runs in [`LANES`] accumulators (element i into number i mod 16) that are then added in halves.

use crate::activation::{ActivationKind, ActivationsMut, TILE};
use crate::attention::{self, Attention, Part, RUN, RUN_STORED, RunBlock};

/// Accumulators of a sum: two registers of AVX2, four of NEON, one of AVX-512.
pub(crate) const LANES: usize = 16;

pub(crate) type Lanes = [f32; LANES];

/// How a rotary embedding pairs the elements of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RopeStyle {
    /// Element 2i with 2i + 1 (llama).
    Interleaved,
    /// Element i with i + n/2 (gemma, qwen, phi: "neox").
    Halves,
}

/// Sixteen floats in registers: for the operations that LLVM does not vectorise well enough by itself.
pub(crate) trait Simd: Sized {
    type V: Copy;
    /// How many queries an attention weights values for at once, a part at a time: as there are registers, up to four.
    const QUERIES: usize = 1;
    /// The same where it is a run at a time, and how many runs.
    const QUERIES_OF_RUNS: usize = 3;
    const RUNS: usize = 1;

    fn splat(x: f32) -> Self::V;
    fn load(x: &Lanes) -> Self::V;
    fn store(v: Self::V) -> Lanes;
    fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a * b + c, rounded once.
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// All sixteen, added in halves.
    fn sum(v: Self::V) -> f32;
    /// As [`Self::sum`], for four at once.
    #[inline(always)]
    fn sums(vs: [Self::V; 4]) -> [f32; 4] {
        vs.map(Self::sum)
    }
    /// The products of a query with the sixteen keys of a block, all of so many parts.
    #[inline(always)]
    fn dots(query: &[Part], keys: &[Part]) -> Self::V {
        const FOUR: &[(usize, usize); 4] = &[(0, 0), (0, 1), (0, 2), (0, 3)];
        let mut all = [0.0; LANES];
        let fours = all.as_chunks_mut::<4>().0;
        fours[0] = Self::sums(attention::dots::<Self, 4, 1>([query], keys, FOUR));
        fours[1] = Self::sums(attention::dots::<Self, 4, 1>([query], &keys[4 * query.len()..], FOUR));
        fours[2] = Self::sums(attention::dots::<Self, 4, 1>([query], &keys[8 * query.len()..], FOUR));
        fours[3] = Self::sums(attention::dots::<Self, 4, 1>([query], &keys[12 * query.len()..], FOUR));
        Self::load(&all)
    }
    /// As [`Self::dots`], for two queries.
    #[inline(always)]
    fn two_dots(queries: [&[Part]; 2], keys: &[Part]) -> [Self::V; 2] {
        [Self::dots(queries[0], keys), Self::dots(queries[1], keys)]
    }
    /// Asks for a cache line.
    fn prefetch(_at: *const u16) {}
    fn widen(x: &[u16; LANES]) -> Self::V;
    fn narrow(v: Self::V) -> [u16; LANES];
    /// Sixteen signed bytes, two to a word, as floats.
    fn widen_codes(x: &[u16; LANES / 2]) -> Self::V;
    /// The products of some queries' runs with run r of sixteen keys, summed exactly: it takes no more than 20 bits.
    #[inline(always)]
    fn code_dots<const Q: usize>(queries: [&[i8; RUN]; Q], keys: RunBlock<'_>, r: usize) -> [Self::V; Q] {
        queries.map(|query| {
            let dots: Lanes = std::array::from_fn(|k| {
                let codes = keys.codes(k, r).iter().flat_map(|two| two.to_le_bytes());
                query.iter().zip(codes).map(|(&q, k)| i32::from(q) * i32::from(k.cast_signed())).sum::<i32>() as f32
            });
            Self::load(&dots)
        })
    }
    /// The magnitudes of `b` where they are larger than `a`; NaNs in `b` are passed over.
    fn larger(a: Self::V, b: Self::V) -> Self::V;
    /// The largest of all sixteen, none of them a NaN.
    fn largest(v: Self::V) -> f32;
    /// Each to the nearest integer between -127 and 127, ties to even, as a signed byte, and the sum of all. A NaN becomes -127.
    fn codes(v: Self::V) -> ([u8; LANES], i32);
}

/// The definition.
pub(crate) struct Portable;

impl Simd for Portable {
    type V = Lanes;

    #[inline(always)]
    fn splat(x: f32) -> Lanes {
        [x; LANES]
    }

    #[inline(always)]
    fn load(x: &Lanes) -> Lanes {
        *x
    }

    #[inline(always)]
    fn store(v: Lanes) -> Lanes {
        v
    }

    #[inline(always)]
    fn mul(a: Lanes, b: Lanes) -> Lanes {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn fma(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }

    #[inline(always)]
    fn sum(v: Lanes) -> f32 {
        halves(v, |a, b| a + b)
    }

    #[inline(always)]
    fn widen(x: &[u16; LANES]) -> Lanes {
        x.map(widen)
    }

    #[inline(always)]
    fn narrow(v: Lanes) -> [u16; LANES] {
        v.map(narrow)
    }

    #[inline(always)]
    fn widen_codes(x: &[u16; LANES / 2]) -> Lanes {
        std::array::from_fn(|i| f32::from(x[i / 2].to_le_bytes()[i % 2] as i8))
    }

    #[inline(always)]
    fn larger(a: Lanes, b: Lanes) -> Lanes {
        std::array::from_fn(|i| larger(a[i], b[i].abs()))
    }

    #[inline(always)]
    fn largest(v: Lanes) -> f32 {
        halves(v, larger)
    }

    #[inline(always)]
    fn codes(v: Lanes) -> ([u8; LANES], i32) {
        let codes = v.map(|x| {
            // The comparisons also turn a NaN into a number.
            let x = if x > -127.0 { x } else { -127.0 };
            let x = if x < 127.0 { x } else { 127.0 };
            (x + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32
        });
        (codes.map(|code| code as u8), codes.iter().sum())
    }
}

/// Half to single precision, exactly; a signalling NaN becomes quiet, as IEEE 754 and all hardware have it.
#[inline(always)]
pub(crate) fn widen(half: u16) -> f32 {
    const TWO_TO_MINUS_14: u32 = 113 << 23;
    let sign = u32::from(half & 0x8000) << 16;
    let rest = u32::from(half & 0x7fff) << 13;
    let normal = rest + (112 << 23);
    // The mantissa of a subnormal, put below a leading one and that one taken off again.
    let subnormal = (f32::from_bits(rest | TWO_TO_MINUS_14) - f32::from_bits(TWO_TO_MINUS_14)).to_bits();
    let special = rest | 0x7f80_0000 | if rest > 0x0f80_0000 { 0x0040_0000 } else { 0 };
    let finite = if rest < 1 << 23 { subnormal } else { normal };
    f32::from_bits(sign | if rest >= 0x0f80_0000 { special } else { finite })
}

/// Single to half precision, to the nearest, ties to even; too large becomes infinite, NaN stays NaN (and quiet).
#[inline(always)]
pub(crate) fn narrow(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let rest = bits & 0x7fff_ffff;
    let normal = (rest.wrapping_sub(112 << 23) + 0xfff + (rest >> 13 & 1)) >> 13;
    // Next to 0.5 the last place of a single is 2^-24, that of a subnormal half: the addition rounds.
    let subnormal = (f32::from_bits(rest) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let finite = if rest < 113 << 23 { subnormal } else { normal };
    let special = if rest > 0x7f80_0000 { 0x7e00 | rest >> 13 & 0x3ff } else { 0x7c00 };
    sign | if rest >= 0x4780_0000 { special } else { finite } as u16
}

/// Adds 1.5 * 2^23, which leaves the nearest integer (ties to even) in the low bits.
const ROUND: f32 = 12_582_912.0;

/// e^x to 1.2 units in the last place over all of f32, subnormal results and infinities included. The method is the usual
/// one (Cephes `expf`): x = n ln 2 + r, a polynomial on |r| <= ln 2 / 2 fitted by Remez, and 2^n by way of the exponent.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -104.0;
    const HIGHEST: f32 = 89.0;
    // Written so that a NaN goes through.
    let x = if LOWEST > x { LOWEST } else { x };
    let x = if HIGHEST < x { HIGHEST } else { x };
    let (p, n) = exp_parts(x);
    // 2^n in two factors, since n runs from -150 to 128.
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// [`exp`] of what is not above zero, with zero for results under 3e-38: in an exponent there is room for the others.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    const LOWEST: f32 = -86.5;
    let (p, n) = exp_parts(x);
    // Written so that a NaN goes through.
    if x < LOWEST { 0.0 } else { p * power_of_two(n) }
}

/// p and n of e^x = p * 2^n.
#[inline(always)]
fn exp_parts(x: f32) -> (f32, i32) {
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, the first with room for a product by n.
    let r = n.mul_add(-0.693_145_75, x);
    let r = n.mul_add(-1.428_606_8e-6, r);
    let p = 1.987_569_1e-4f32;
    let p = p.mul_add(r, 1.398_2e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let p = (p * r).mul_add(r, r) + 1.0;
    (p, shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32)
}

/// 2^n, for n from -126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// Natural logarithm of a positive, finite number, the same on every platform (which libm's is not).
fn ln(x: f32) -> f32 {
    let bits = f64::from(x).to_bits(); // normal in f64 even if subnormal in f32
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh s, and |s| < 0.172.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let mut series = 0.0;
    for k in (0..10).rev() {
        series = series * s * s + 1.0 / f64::from(2 * k + 1);
    }
    (2.0 * s * series + f64::from(exponent) * std::f64::consts::LN_2) as f32
}

#[inline(always)]
fn halves(mut acc: Lanes, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            acc[i] = combine(acc[i], acc[i + width]);
        }
        width /= 2;
    }
    acc[0]
}

/// Folds `x` into 16 accumulators, the last ones perhaps one element short, and those into one.
#[inline(always)]
fn reduce(x: &[f32], start: f32, step: impl Fn(f32, f32) -> f32, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut acc = [start; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            acc[i] = step(acc[i], chunk[i]);
        }
    }
    for (acc, &x) in acc.iter_mut().zip(rest) {
        *acc = step(*acc, x);
    }
    halves(acc, combine)
}

/// The largest bound of a group of rows, or infinity where one is not finite, which says nothing about its row.
#[inline(always)]
fn group_bound<S: Simd>(estimates: &Lanes, margins: &Lanes) -> f32 {
    let rows = S::fma(S::load(estimates), S::splat(16.0), S::load(margins));
    // Zero times what is not finite is no number, and of finite rows there is no sum that overflows.
    let finite = !S::sum(S::mul(rows, S::splat(0.0))).is_nan();
    if finite { S::largest(rows) } else { f32::INFINITY }
}

/// NaNs are passed over.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[inline(always)]
fn max(x: &[f32]) -> f32 {
    reduce(x, f32::NEG_INFINITY, larger, larger)
}

/// Replaces x by e^(x - max), and returns the sum. What is less than 3e-38 counts as zero.
#[inline(always)]
pub(crate) fn exponentials(x: &mut [f32]) -> f32 {
    let max = max(x);
    let mut acc = [0.0; LANES];
    let (chunks, rest) = x.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            chunk[i] = exp_of_negative(chunk[i] - max);
            acc[i] += chunk[i];
        }
    }
    for (acc, x) in acc.iter_mut().zip(rest) {
        *x = exp_of_negative(*x - max);
        *acc += *x;
    }
    halves(acc, |a, b| a + b)
}

/// To single precision, exactly.
#[inline(always)]
pub(crate) fn f16_to_f32<S: Simd>(x: &[u16], out: &mut [f32]) {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let (out_chunks, out_rest) = out.as_chunks_mut::<LANES>();
    for (out, x) in out_chunks.iter_mut().zip(chunks) {
        *out = S::store(S::widen(x));
    }
    for (out, &x) in out_rest.iter_mut().zip(rest) {
        *out = widen(x);
    }
}

/// Scale, and its inverse, of a whole number of [`LANES`]: 127 steps up to the largest magnitude. Blocks too small for an inverse
/// count as zero.
#[inline(always)]
fn scales<S: Simd>(x: &[f32]) -> (f32, f32) {
    let lanes = x.as_chunks::<LANES>().0;
    let d = S::largest(lanes.iter().fold(S::splat(0.0), |largest, x| S::larger(largest, S::load(x)))) / 127.0;
    if d >= f32::MIN_POSITIVE { (d, 1.0 / d) } else { (0.0, 0.0) }
}

/// Writes the codes of one token's run of 32 columns at stride 8 * width, and returns their sums by halves.
#[inline(always)]
fn codes<S: Simd>(x: &[f32; 32], inverse: f32, out: &mut [u8], width: usize, t: usize) -> [i32; 2] {
    let mut sums = [0; 2];
    for (half, (x, sum)) in x.as_chunks::<LANES>().0.iter().zip(&mut sums).enumerate() {
        let bytes;
        (bytes, *sum) = S::codes(S::mul(S::load(x), S::splat(inverse)));
        for (k, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
            out[((2 * half + k) * width + t) * 8..][..8].copy_from_slice(eight);
        }
    }
    sums
}

/// The scale and the codes of 32 elements.
#[inline(always)]
pub(crate) fn quantize_run<S: Simd>(x: &[f32; RUN]) -> (f32, [u8; RUN]) {
    let (scale, inverse) = scales::<S>(x);
    let mut bytes = [0; RUN];
    codes::<S>(x, inverse, &mut bytes, 1, 0);
    (scale, bytes)
}

/// The operations themselves.
mod body {
    pub(super) use super::f16_to_f32;
    use super::*;
    pub(super) use crate::attention::attend;

    #[inline(always)]
    pub fn quantize<S: Simd>(x: &[f32], out: &mut ActivationsMut<'_>) {
        let (kind, cols) = (out.kind(), out.cols());
        if cols == 0 {
            return;
        }
        for first in (0..out.tokens()).step_by(TILE) {
            let (tile, width) = out.tile_mut(first);
            for (t, row) in x.chunks_exact(cols).skip(first).take(width).enumerate() {
                match kind {
                    ActivationKind::F32 => {
                        let (words, _) = tile[t * 4 * cols..][..4 * cols].as_chunks_mut::<4>();
                        for (word, x) in words.iter_mut().zip(row) {
                            *word = x.to_le_bytes();
                        }
                    }
                    ActivationKind::Q8 => {
                        let records = tile.chunks_exact_mut(width * kind.record());
                        for (record, x) in records.zip(row.as_chunks::<32>().0) {
                            let (d, inverse) = scales::<S>(x);
                            let [a, b] = codes::<S>(x, inverse, record, width, t);
                            let mut word = |i: usize, bytes: [u8; 4]| {
                                record[(i * width + t) * 4..][..4].copy_from_slice(&bytes);
                            };
                            word(8, d.to_le_bytes());
                            word(9, (d * (a + b) as f32).to_le_bytes());
                            word(10, (a + b).to_le_bytes());
                        }
                    }
                    ActivationKind::Q8K => {
                        let records = tile.chunks_exact_mut(width * kind.record());
                        for (record, x) in records.zip(row.as_chunks::<256>().0) {
                            let (d, inverse) = scales::<S>(x);
                            record[(64 * width + t) * 4..][..4].copy_from_slice(&d.to_le_bytes());
                            for (sub, x) in x.as_chunks::<32>().0.iter().enumerate() {
                                let [a, b] = codes::<S>(x, inverse, &mut record[sub * 32 * width..], width, t);
                                let mut short = |i: usize, sum: i32| {
                                    record[260 * width + i * 2..][..2].copy_from_slice(&(sum as i16).to_le_bytes());
                                };
                                short((sub * width + t) * 2, a);
                                short((sub * width + t) * 2 + 1, b);
                                short(16 * width + (sub / 2 * width + t) * 2 + sub % 2, a + b);
                            }
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    pub fn f32_to_q8<S: Simd>(x: &[f32], out: &mut [u16]) {
        for (x, [d, stored @ ..]) in x.as_chunks::<RUN>().0.iter().zip(out.as_chunks_mut::<RUN_STORED>().0) {
            let (scale, bytes) = quantize_run::<S>(x);
            *d = narrow(scale);
            for (stored, bytes) in stored.iter_mut().zip(bytes.as_chunks().0) {
                *stored = u16::from_le_bytes(*bytes);
            }
        }
    }

    #[inline(always)]
    pub fn rms_norm(x: &mut [f32], weight: &[f32], eps: f32) {
        let squares = reduce(x, 0.0, |acc, x| x.mul_add(x, acc), |a, b| a + b);
        let scale = 1.0 / (squares / x.len() as f32 + eps).sqrt();
        for (x, weight) in x.iter_mut().zip(weight) {
            *x = *x * scale * weight;
        }
    }

    #[inline(always)]
    pub fn add(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }

    #[inline(always)]
    pub fn group_bounds<S: Simd>(estimates: &[f32], margins: &[f32], bounds: &mut [f32]) {
        let ((estimates, last), (margins, last_margins)) = (estimates.as_chunks(), margins.as_chunks());
        for (out, (estimates, margins)) in bounds.iter_mut().zip(estimates.iter().zip(margins)) {
            *out = group_bound::<S>(estimates, margins);
        }
        if !last.is_empty() {
            // Lower than any bound that is finite, but one that may take its place.
            let (mut estimates_of_last, mut margins_of_last) = ([0.0; LANES], [f32::MIN; LANES]);
            estimates_of_last[..last.len()].copy_from_slice(last);
            margins_of_last[..last.len()].copy_from_slice(last_margins);
            bounds[estimates.len()] = group_bound::<S>(&estimates_of_last, &margins_of_last);
        }
    }

    #[inline(always)]
    pub fn scale(x: &mut [f32], factor: f32) {
        for x in x {
            *x *= factor;
        }
    }

    #[inline(always)]
    pub fn rope(x: &mut [f32], cos: &[f32], sin: &[f32], style: RopeStyle) {
        let rotate = |a: f32, b: f32, cos: f32, sin: f32| (a * cos - b * sin, a * sin + b * cos);
        match style {
            RopeStyle::Interleaved => {
                for (([a, b], &cos), &sin) in x.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
                    (*a, *b) = rotate(*a, *b, cos, sin);
                }
            }
            RopeStyle::Halves => {
                let (first, second) = x.split_at_mut(cos.len());
                for (((a, b), &cos), &sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                    (*a, *b) = rotate(*a, *b, cos, sin);
                }
            }
        }
    }

    #[inline(always)]
    pub fn silu_mul(gate: &mut [f32], up: &[f32]) {
        for (gate, up) in gate.iter_mut().zip(up) {
            *gate = *gate / (1.0 + exp(-*gate)) * up;
        }
    }

    #[inline(always)]
    pub fn gelu_mul(gate: &mut [f32], up: &[f32]) {
        // x/2 (1 + tanh u) = x / (1 + e^-2u), with u = sqrt(2/pi) (x + 0.044715 x^3).
        const MINUS_TWO_SQRT_2_PI: f32 = -1.595_769;
        for (gate, up) in gate.iter_mut().zip(up) {
            let x = *gate;
            let u = (0.044_715 * x * x).mul_add(x, x);
            *gate = x / (1.0 + exp(MINUS_TWO_SQRT_2_PI * u)) * up;
        }
    }

    #[inline(always)]
    pub fn softmax(x: &mut [f32]) {
        let inverse = 1.0 / exponentials(x);
        scale(x, inverse);
    }

    #[inline(always)]
    pub fn log_sum_exp(x: &[f32]) -> f32 {
        let max = max(x);
        if max == f32::NEG_INFINITY {
            return max;
        }
        max + ln(reduce(x, 0.0, |acc, x| acc + exp(x - max), |a, b| a + b))
    }

    #[inline(always)]
    pub fn f32_to_f16<S: Simd>(x: &[f32], out: &mut [u16]) {
        let (chunks, rest) = x.as_chunks::<LANES>();
        let (out_chunks, out_rest) = out.as_chunks_mut::<LANES>();
        for (out, x) in out_chunks.iter_mut().zip(chunks) {
            *out = S::narrow(S::load(x));
        }
        for (out, &x) in out_rest.iter_mut().zip(rest) {
            *out = narrow(x);
        }
    }
}

/// The operations, compiled with these features: for a constructor that takes the proof that they are there.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! compiled {
    ($features:literal; $($name:ident $(::<$vector:ident>)? ($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {{
        $(
            fn $name($($arg: $type),*) $(-> $result)? {
                #[target_feature(enable = $features)]
                fn inner($($arg: $type),*) $(-> $result)? {
                    body::$name $(::<$vector>)? ($($arg),*)
                }
                // SAFETY: only the table made here leads to this function, and its maker had the proof.
                unsafe { inner($($arg),*) }
            }
        )*
        Ops { $($name,)* }
    }};
}

/// The table of operations, and one constructor per tier that compiles each body with that tier's instructions.
macro_rules! operations {
    ($($name:ident $(::<$vector:ident>)? ($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        /// One tier's variant of every operation.
        pub(crate) struct Ops {
            $(pub $name: fn($($type),*) $(-> $result)?,)*
        }

        impl Ops {
            pub fn scalar() -> Self {
                Self { $($name: body::$name $(::<operations!(@portable $vector)>)?,)* }
            }

            #[cfg(target_arch = "x86_64")]
            pub fn avx2(_: crate::cpu::Avx2) -> Self {
                type Vector = crate::avx2::Vector;
                compiled!("avx2,fma,f16c"; $($name $(::<$vector>)? ($($arg: $type),*) $(-> $result)?;)*)
            }

            #[cfg(target_arch = "x86_64")]
            pub fn avx512(_: crate::cpu::Avx512Vnni) -> Self {
                type Vector = crate::avx512::Vector;
                compiled!("avx512f,avx512bw,avx512vl,avx512vnni"; $($name $(::<$vector>)? ($($arg: $type),*) $(-> $result)?;)*)
            }

            /// NEON is part of the aarch64 baseline, so the bodies are compiled with it as they are.
            #[cfg(target_arch = "aarch64")]
            pub fn neon(_: crate::cpu::Neon) -> Self {
                type Vector = crate::neon::Vector<false>;
                Self { $($name: body::$name $(::<$vector>)?,)* }
            }

            #[cfg(target_arch = "aarch64")]
            pub fn neon_dot(_: crate::cpu::NeonDot) -> Self {
                type Vector = crate::neon::Vector<true>;
                compiled!("dotprod"; $($name $(::<$vector>)? ($($arg: $type),*) $(-> $result)?;)*)
            }
        }
    };
    (@portable $vector:ident) => { Portable };
}

operations! {
    quantize::<Vector>(x: &[f32], out: &mut ActivationsMut<'_>);
    rms_norm(x: &mut [f32], weight: &[f32], eps: f32);
    add(x: &mut [f32], y: &[f32]);
    group_bounds::<Vector>(estimates: &[f32], margins: &[f32], bounds: &mut [f32]);
    scale(x: &mut [f32], factor: f32);
    rope(x: &mut [f32], cos: &[f32], sin: &[f32], style: RopeStyle);
    silu_mul(gate: &mut [f32], up: &[f32]);
    gelu_mul(gate: &mut [f32], up: &[f32]);
    softmax(x: &mut [f32]);
    log_sum_exp(x: &[f32]) -> f32;
    f32_to_f16::<Vector>(x: &[f32], out: &mut [u16]);
    f32_to_q8::<Vector>(x: &[f32], out: &mut [u16]);
    f16_to_f32::<Vector>(x: &[u16], out: &mut [f32]);
    attend::<Vector>(attention: &Attention<'_>, scratch: &mut [f32], out: &mut [f32], stride: usize);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance to the true value in units in the last place of a single, subnormal ones included.
    fn ulps(got: f32, wanted: f64) -> f64 {
        let exponent = (wanted.log2().floor() as i32).max(-126);
        (f64::from(got) - wanted).abs() / 2f64.powi(exponent - 23)
    }

    #[test]
    fn exp_is_within_the_stated_error_over_its_whole_range() {
        let mut worst = 0.0f64;
        for i in 0..=400_000 {
            let x = -103.9 + i as f32 * (192.6 / 400_000.0);
            worst = worst.max(ulps(exp(x), f64::from(x).exp()));
        }
        assert!(worst <= 1.2, "{worst}");
    }

    #[test]
    fn exp_of_negative_is_exp_down_to_where_it_is_zero() {
        for x in (0..=1_040_000).map(|i| i as f32 * -1e-4) {
            let wanted = if x < -86.5 { 0.0 } else { exp(x) };
            assert_eq!(exp_of_negative(x).to_bits(), wanted.to_bits(), "{x}");
        }
        assert_eq!(exp_of_negative(f32::NEG_INFINITY), 0.0);
        assert!(exp_of_negative(f32::NAN).is_nan());
    }

    #[test]
    fn exp_reaches_zero_one_infinity_and_nan() {
        assert_eq!([exp(0.0), exp(-0.0)], [1.0; 2]);
        assert_eq!([-104.0, -1e30, f32::NEG_INFINITY].map(exp), [0.0; 3]);
        assert_eq!([88.73, 1e30, f32::INFINITY].map(exp), [f32::INFINITY; 3]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn ln_is_correctly_rounded_almost_everywhere() {
        for i in 1..100_000u32 {
            let x = f32::from_bits(i * 21_390); // all magnitudes up to infinity
            let wanted = f64::from(x).ln();
            assert!((f64::from(ln(x)) - wanted).abs() <= 0.51 * f64::from(f32::EPSILON) * wanted.abs(), "{x:e}");
        }
    }
}
