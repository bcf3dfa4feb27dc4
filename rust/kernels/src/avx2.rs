//! Variants for x86-64 with AVX2, FMA and F16C, and with the 256-bit dot product instructions as well.
#![allow(clippy::needless_range_loop, reason = "t and r run over registers, several arrays of them at a time")]

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use crate::activation::{TILE, word};
use crate::attention::{RUN, RunBlock};
use crate::cpu::{Avx2, AvxVnni};
use crate::format::marker::{self, Marker};
use crate::format::{Format, GROUP};
use crate::matrix::Matrix;
use crate::ops::{LANES, Lanes, Simd};
use crate::product::{self, Product, Variant};

/// Sixteen floats in two registers. Only to be used in code that is compiled for this tier, and runs where it can.
pub(crate) struct Vector;

// SAFETY of all methods: `Ops::avx2` takes the proof that the CPU has the instructions; arrays are as long as what is read.
impl Simd for Vector {
    type V = Rows<__m256>;

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_set1_ps(x); 2] }
    }

    #[inline(always)]
    fn load(x: &Lanes) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))] }
    }

    #[inline(always)]
    fn store([low, high]: Self::V) -> Lanes {
        let mut out = [0.0; LANES];
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), low);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), high);
        }
        out
    }

    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn sum([low, high]: Self::V) -> f32 {
        // SAFETY: see above.
        unsafe {
            let eight = _mm256_add_ps(low, high);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn sums(vs: [Self::V; 4]) -> [f32; 4] {
        let mut out = [0.0; 4];
        // SAFETY: see above.
        unsafe {
            let [a, b, c, d] = vs.map(|[low, high]| _mm256_add_ps(low, high));
            let in_halves =
                |x, y| _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(x, y), _mm256_permute2f128_ps::<0x31>(x, y));
            let (ab, cd) = (_mm256_castps_pd(in_halves(a, b)), _mm256_castps_pd(in_halves(c, d)));
            let pairs = _mm256_add_ps(
                _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)),
                _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)),
            );
            // a and c in the lower half, b and d in the upper one, each in an even place.
            let acbd = _mm256_add_ps(pairs, _mm256_movehdup_ps(pairs));
            let (ac, bd) = (_mm256_castps256_ps128(acbd), _mm256_extractf128_ps::<1>(acbd));
            _mm_storeu_ps(out.as_mut_ptr(), _mm_blend_ps::<0b1010>(ac, _mm_moveldup_ps(bd)));
        }
        out
    }

    #[inline(always)]
    fn prefetch(at: *const u16) {
        // SAFETY: a prefetch of any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    #[inline(always)]
    fn widen(x: &[u16; LANES]) -> Self::V {
        // SAFETY: see above.
        unsafe { halves(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn narrow(v: Self::V) -> [u16; LANES] {
        let mut out = [0; LANES];
        for i in 0..2 {
            // SAFETY: see above.
            unsafe {
                let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v[i]);
                _mm_storeu_si128(out.as_mut_ptr().add(8 * i).cast(), halves);
            }
        }
        out
    }

    #[inline(always)]
    fn widen_codes(x: &[u16; LANES / 2]) -> Self::V {
        // SAFETY: see above.
        unsafe {
            let codes = _mm_loadu_si128(x.as_ptr().cast());
            [codes, _mm_srli_si128::<8>(codes)].map(|codes| _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)))
        }
    }

    /// Four keys at a time, in 16 bits: their products have room in 32, two by two.
    #[inline(always)]
    fn code_dots<const Q: usize>(queries: [&[i8; RUN]; Q], keys: RunBlock<'_>, r: usize) -> [Self::V; Q] {
        let mut out = [[0.0; LANES]; Q];
        // SAFETY: see above.
        unsafe {
            let mut wide = [[_mm256_setzero_si256(); 2]; Q];
            for q in 0..Q {
                wide[q] = in_16_bits(queries[q].as_ptr().cast());
            }
            for k in (0..LANES).step_by(4) {
                let mut key = [[_mm256_setzero_si256(); 2]; 4];
                for n in 0..4 {
                    key[n] = in_16_bits(keys.codes(k + n, r).as_ptr().cast());
                }
                for q in 0..Q {
                    let mut sums = [_mm256_setzero_si256(); 4];
                    for n in 0..4 {
                        let low = _mm256_madd_epi16(key[n][0], wide[q][0]);
                        sums[n] = _mm256_add_epi32(low, _mm256_madd_epi16(key[n][1], wide[q][1]));
                    }
                    let [a, b, c, d] = sums;
                    let eight = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
                    let four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
                    _mm_storeu_ps(out[q].as_mut_ptr().add(k), _mm_cvtepi32_ps(four));
                }
            }
        }
        let mut dots = [Self::splat(0.0); Q];
        for q in 0..Q {
            dots[q] = Self::load(&out[q]);
        }
        dots
    }

    #[inline(always)]
    fn larger(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above. The instruction gives its second operand where one is no number.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            [_mm256_max_ps(_mm256_andnot_ps(sign, b[0]), a[0]), _mm256_max_ps(_mm256_andnot_ps(sign, b[1]), a[1])]
        }
    }

    #[inline(always)]
    fn largest([low, high]: Self::V) -> f32 {
        // SAFETY: see above.
        unsafe {
            let eight = _mm256_max_ps(low, high);
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn codes([low, high]: Self::V) -> ([u8; LANES], i32) {
        // SAFETY: see above. A NaN is the first operand of a maximum.
        unsafe {
            let (lowest, highest) = (_mm256_set1_ps(-127.0), _mm256_set1_ps(127.0));
            let low = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(low, lowest), highest));
            let high = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(high, lowest), highest));
            let shorts = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
            bytes_and_sum(_mm_packs_epi16(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256::<1>(shorts)))
        }
    }
}

/// 32 signed bytes in 16 bits each.
///
/// # Safety
/// As all of [`Vector`]; there are so many.
#[inline(always)]
unsafe fn in_16_bits(at: *const __m128i) -> [__m256i; 2] {
    // SAFETY: the caller's promise.
    unsafe { [_mm256_cvtepi8_epi16(_mm_loadu_si128(at)), _mm256_cvtepi8_epi16(_mm_loadu_si128(at.add(1)))] }
}

/// Sixteen signed bytes, and their sum.
///
/// # Safety
/// The CPU has AVX.
#[inline(always)]
pub(crate) unsafe fn bytes_and_sum(codes: __m128i) -> ([u8; LANES], i32) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut bytes = [0; LANES];
        _mm_storeu_si128(bytes.as_mut_ptr().cast(), codes);
        // Sums of unsigned bytes, by halves: 128 was added to each.
        let halves = _mm_sad_epu8(_mm_xor_si128(codes, _mm_set1_epi8(-128)), _mm_setzero_si128());
        let sum = _mm_cvtsi128_si32(_mm_add_epi32(halves, _mm_srli_si128::<8>(halves)));
        (bytes, sum - 128 * LANES as i32)
    }
}

/// The matrix products.
pub(crate) fn product(_: Avx2) -> fn(Format) -> Product {
    product::of::<Maddubs>
}

/// The matrix products with dot product instructions.
pub(crate) fn product_vnni(_: AvxVnni) -> fn(Format) -> Product {
    product::of::<Dpbusd>
}

/// Unsigned codes times signed activations in pairs, added up in 16 bits as far as that is exact.
pub(crate) struct Maddubs;

/// Unsigned codes times signed activations in fours, added up in 32 bits.
struct Dpbusd;

impl Variant for Maddubs {
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn blocks<F: Marker, const T: usize>(
        w: &Matrix<'_>,
        group: usize,
        tile: &[u8],
        results: &mut [[f32; GROUP]; T],
    ) {
        let codes = Packed::of(w, group);
        // SAFETY: the caller's promise; these are the group's codes.
        unsafe { group_times_tile::<Self, F, _, T>(codes, w, group, tile, results) }
    }

    /// Unpacking ahead costs about as much as it saves in two tiles.
    const TOKENS_WORTH_UNPACKING: usize = 4 * TILE;

    fn unpacked_bytes(format: Format) -> Option<usize> {
        // Bytes need no unpacking, and only heads have two nibbles, for few tokens at a time.
        (!matches!(format, Format::Q8_0 | Format::Q8_0N)).then_some(format.block() * GROUP)
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn unpack<F: Marker>(w: &Matrix<'_>, group: usize, panel: &mut [MaybeUninit<u8>]) {
        let mut codes = Packed::of(w, group);
        for run in panel[..w.cols() * GROUP].chunks_exact_mut(32 * GROUP) {
            // SAFETY: `codes` is in turn at each run of 32 columns, which are as many as `panel` has room for.
            unsafe {
                macro_rules! steps {
                    ($($i:literal)*) => {
                        $(for r in 0..2 {
                            let rows = codes.rows::<F, $i>(r);
                            _mm256_storeu_si256(run.as_mut_ptr().add($i * 64 + r * 32).cast(), rows);
                        })*
                    };
                }
                steps!(0 1 2 3 4 5 6 7);
            }
            codes = codes.skip::<F>(1);
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn unpacked_blocks<F: Marker>(
        w: &Matrix<'_>,
        group: usize,
        panel: &[MaybeUninit<u8>],
        tile: &[u8],
        results: &mut [[f32; GROUP]; TILE],
    ) {
        let codes = Unpacked(panel[..w.cols() * GROUP].as_ptr().cast());
        // SAFETY: the caller's promise; these are the group's codes.
        unsafe { group_times_tile::<Self, F, _, TILE>(codes, w, group, tile, results) }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn floats<F: Marker>(columns: &[u8], x: &[[u8; 4]], result: &mut [f32; GROUP]) {
        let mut chains = [[_mm256_setzero_ps(); 2]; 4];
        let columns = columns.chunks_exact(4 * F::FORMAT.code_bytes());
        let rest = columns.remainder();
        for (columns, x) in columns.zip(x.as_chunks::<4>().0) {
            for c in 0..4 {
                let (w, x) = (float_column::<F>(&columns[c * F::FORMAT.code_bytes()..]), f32::from_le_bytes(x[c]));
                for r in 0..2 {
                    chains[c][r] = _mm256_fmadd_ps(w[r], _mm256_set1_ps(x), chains[c][r]);
                }
            }
        }
        let columns = rest.chunks_exact(F::FORMAT.code_bytes());
        for ((column, x), chain) in columns.zip(x.as_chunks::<4>().1).zip(&mut chains) {
            let (w, x) = (float_column::<F>(column), f32::from_le_bytes(*x));
            for r in 0..2 {
                chain[r] = _mm256_fmadd_ps(w[r], _mm256_set1_ps(x), chain[r]);
            }
        }
        for (r, result) in result.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let [a, b, c, d] = chains.map(|chain| chain[r]);
            let sum = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
            // SAFETY: eight floats.
            unsafe { _mm256_storeu_ps(result.as_mut_ptr(), sum) };
        }
    }
}

impl Variant for Dpbusd {
    #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
    unsafe fn blocks<F: Marker, const T: usize>(
        w: &Matrix<'_>,
        group: usize,
        tile: &[u8],
        results: &mut [[f32; GROUP]; T],
    ) {
        let codes = Packed::of(w, group);
        // SAFETY: the caller's promise; these are the group's codes.
        unsafe { group_times_tile::<Self, F, _, T>(codes, w, group, tile, results) }
    }

    #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
    unsafe fn floats<F: Marker>(columns: &[u8], x: &[[u8; 4]], result: &mut [f32; GROUP]) {
        // SAFETY: the caller's promise; this tier includes the other.
        unsafe { Maddubs::floats::<F>(columns, x, result) }
    }
}

/// A way to multiply codes by activations and to add up the products, on their way to 32 bits in a register of its own.
///
/// # Safety
/// All methods: the CPU has its instructions.
trait Multiply {
    /// Whether unsigned codes may be whole bytes, or else those of Q8_0N have to be multiplied nibble by nibble.
    const BYTES: bool;

    /// How many products of four columns may be added up until [`Self::finish`].
    fn run(format: Format) -> usize;

    /// Eight rows of codes times four activations of a token, added to `part` if it is one.
    unsafe fn multiply<F: Marker>(part: Option<__m256i>, w: __m256i, x: __m256i) -> __m256i;

    /// `s`, and `part` times `factors`, which are for blocks with sub-scales.
    unsafe fn finish<F: Marker>(s: __m256i, part: __m256i, factors: __m256i) -> __m256i;

    /// Factors, from the sub-scales of two sub-blocks for eight rows, in 16-bit pairs: those of the first one and of the
    /// second one.
    unsafe fn factors(pairs: __m256i) -> [__m256i; 2];

    /// `s` less the sum of the activations times the offset of a format's codes.
    unsafe fn less_offset<F: Marker>(s: __m256i, sum: __m256i) -> __m256i;
}

impl Multiply for Maddubs {
    const BYTES: bool = false;

    /// A product of two pairs is at most 2 * 127 * the largest code; 32767 holds this many of them.
    #[inline(always)]
    fn run(format: Format) -> usize {
        match format {
            Format::Q8_0 => 1,
            Format::Q6_K => 2,
            Format::Q5_0 | Format::Q5_1 | Format::Q5_K => 4,
            _ => 8,
        }
    }

    #[inline(always)]
    unsafe fn multiply<F: Marker>(part: Option<__m256i>, w: __m256i, x: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe {
            let product = if let Format::Q8_0 = F::FORMAT {
                // The instruction wants one side unsigned: |w| and x with the sign of w.
                _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w))
            } else {
                _mm256_maddubs_epi16(w, x)
            };
            part.map_or(product, |part| _mm256_add_epi16(part, product))
        }
    }

    #[inline(always)]
    unsafe fn finish<F: Marker>(s: __m256i, part: __m256i, factors: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe {
            let factors = if F::FORMAT.block() == 32 { _mm256_set1_epi16(1) } else { factors };
            _mm256_add_epi32(s, _mm256_madd_epi16(part, factors))
        }
    }

    /// Each twice.
    #[inline(always)]
    unsafe fn factors(pairs: __m256i) -> [__m256i; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let first = _mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13);
            let second = _mm_setr_epi8(2, 3, 2, 3, 6, 7, 6, 7, 10, 11, 10, 11, 14, 15, 14, 15);
            [
                _mm256_shuffle_epi8(pairs, _mm256_broadcastsi128_si256(first)),
                _mm256_shuffle_epi8(pairs, _mm256_broadcastsi128_si256(second)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn less_offset<F: Marker>(s: __m256i, sum: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe {
            match F::FORMAT {
                Format::Q4_0 => _mm256_sub_epi32(s, _mm256_slli_epi32::<3>(sum)),
                Format::Q5_0 => _mm256_sub_epi32(s, _mm256_slli_epi32::<4>(sum)),
                Format::Q8_0N => _mm256_sub_epi32(s, _mm256_slli_epi32::<7>(sum)),
                _ => s,
            }
        }
    }
}

impl Multiply for Dpbusd {
    const BYTES: bool = true;

    /// As many as have the same factor.
    #[inline(always)]
    fn run(format: Format) -> usize {
        if let Format::Q6_K = format { 4 } else { 8 }
    }

    #[inline(always)]
    unsafe fn multiply<F: Marker>(part: Option<__m256i>, w: __m256i, x: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe {
            // The instruction wants codes unsigned: 128 is added to signed ones, and comes off as an offset.
            let w = if let Format::Q8_0 = F::FORMAT { _mm256_xor_si256(w, _mm256_set1_epi8(-128)) } else { w };
            _mm256_dpbusd_avx_epi32(part.unwrap_or(_mm256_setzero_si256()), w, x)
        }
    }

    #[inline(always)]
    unsafe fn finish<F: Marker>(s: __m256i, part: __m256i, factors: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe {
            let part = if F::FORMAT.block() == 32 { part } else { _mm256_mullo_epi32(part, factors) };
            _mm256_add_epi32(s, part)
        }
    }

    /// In 32 bits.
    #[inline(always)]
    unsafe fn factors(pairs: __m256i) -> [__m256i; 2] {
        // SAFETY: the caller's promise.
        unsafe { [_mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(pairs)), _mm256_srai_epi32::<16>(pairs)] }
    }

    #[inline(always)]
    unsafe fn less_offset<F: Marker>(s: __m256i, sum: __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe {
            match F::FORMAT {
                Format::Q8_0 => _mm256_sub_epi32(s, _mm256_slli_epi32::<7>(sum)),
                _ => Maddubs::less_offset::<F>(s, sum),
            }
        }
    }
}

/// How far ahead of their use weights are fetched, in bytes of each plane's share of 32 columns: hardware prefetchers stop
/// at the end of a page.
pub(crate) const AHEAD: usize = 12;

/// The 16 rows of a group, in two registers.
type Rows<V> = [V; 2];

/// The codes of a group, from some column on.
pub(crate) trait Codes: Copy {
    /// Those of columns 4 * I to 4 * I + 3 for half of the rows, a byte each.
    ///
    /// # Safety
    /// There are 32 columns of format F, the CPU has the tier's instructions, and r is below 2.
    unsafe fn rows<F: Marker, const I: usize>(self, r: usize) -> __m256i;

    /// The lower nibbles, where these are the upper ones of Q8_0N.
    fn lower(self) -> Self;

    /// The same, `runs` runs of 32 columns further on.
    fn skip<F: Marker>(self, runs: usize) -> Self;

    /// Asks for what lies [`AHEAD`] runs further on.
    fn prefetch<F: Marker>(self);
}

/// Where one block of a group and of a tile lies.
#[derive(Clone, Copy)]
struct Block<C> {
    codes: C,
    scales: *const u8,
    record: *const u8,
}

/// A group of rows times a tile of T tokens.
///
/// # Safety
/// As [`Variant::blocks`]; `codes` is at the group's first column.
#[inline(always)]
unsafe fn group_times_tile<M: Multiply, F: Marker, C: Codes, const T: usize>(
    codes: C,
    w: &Matrix<'_>,
    group: usize,
    tile: &[u8],
    results: &mut [[f32; GROUP]; T],
) {
    let mut at = Block { codes, scales: w.scales(group).as_ptr(), record: tile.as_ptr() };
    // SAFETY: the caller's promise; `at` is in turn at each of the blocks that `w` and the tile have.
    unsafe {
        let mut acc = [[_mm256_setzero_ps(); 2]; T];
        for _ in 0..w.blocks() {
            // `const` spares LLVM the one that would be inlined only to be thrown away.
            if const { F::FORMAT.block() == 32 } {
                block::<M, F, C, T>(at, &mut acc);
            } else {
                superblock::<M, F, C, T>(at, &mut acc);
            }
            at.codes = at.codes.skip::<F>(F::FORMAT.block() / 32);
            at.scales = at.scales.wrapping_add(F::FORMAT.scale_bytes());
            at.record = at.record.wrapping_add(T * F::FORMAT.activation().record());
        }
        for (result, acc) in results.iter_mut().zip(acc) {
            for (result, acc) in result.as_chunks_mut::<8>().0.iter_mut().zip(acc) {
                _mm256_storeu_ps(result.as_mut_ptr(), acc);
            }
        }
    }
}

/// 32 columns with one scale.
///
/// # Safety
/// `at` is at a block of format F and of a tile of T tokens, all of which may be read.
#[inline(always)]
unsafe fn block<M: Multiply, F: Marker, C: Codes, const T: usize>(at: Block<C>, acc: &mut [Rows<__m256>; T]) {
    // SAFETY: what is read is in the block, whose layout `format.rs` and `activation.rs` give.
    unsafe {
        at.codes.prefetch::<F>();
        _mm_prefetch::<_MM_HINT_T0>(at.scales.wrapping_add(AHEAD * F::FORMAT.scale_bytes()).cast());
        let mut s = [[_mm256_setzero_si256(); 2]; T];
        let factors = [[_mm256_setzero_si256(); 2]; 2];
        if let Format::Q8_0N = F::FORMAT
            && !M::BYTES
        {
            dot::<M, marker::Q4_0, C, T>(at.codes, at.record, factors, &mut s);
            // Not `map`, which is not always inlined.
            for s in s.as_flattened_mut() {
                *s = _mm256_slli_epi32::<4>(*s);
            }
            dot::<M, marker::Q4_0, C, T>(at.codes.lower(), at.record, factors, &mut s);
        } else {
            dot::<M, F, C, T>(at.codes, at.record, factors, &mut s);
        }
        let (d, m) = (halves(at.scales), at.scales.wrapping_add(2 * GROUP));
        let per_token = at.record.add(32 * T).cast::<f32>();
        for t in 0..T {
            let da = _mm256_broadcast_ss(&*per_token.add(t));
            let sum = _mm256_set1_epi32(per_token.add(2 * T + t).cast::<i32>().read_unaligned());
            for r in 0..2 {
                let s = M::less_offset::<F>(s[t][r], sum);
                acc[t][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), _mm256_mul_ps(d[r], da), acc[t][r]);
                if let Format::Q4_1 | Format::Q5_1 = F::FORMAT {
                    let da_sum = _mm256_broadcast_ss(&*per_token.add(T + t));
                    acc[t][r] = _mm256_fmadd_ps(halves(m)[r], da_sum, acc[t][r]);
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
unsafe fn superblock<M: Multiply, F: Marker, C: Codes, const T: usize>(at: Block<C>, acc: &mut [Rows<__m256>; T]) {
    // SAFETY: what is read is in the block, whose layout `format.rs` and `activation.rs` give.
    unsafe {
        let six = matches!(F::FORMAT, Format::Q6_K);
        // Both in i16 pairs of adjacent sub-blocks: what has to be added up per pair (minima, or scales for the offset).
        let (scales, minima) = (at.scales.add(if six { 32 } else { 64 }), at.scales.add(if six { 32 } else { 192 }));
        let sums = at.record.add(T * if six { 260 } else { 292 });
        let mut s = [[_mm256_setzero_si256(); 2]; T];
        let mut m = [[_mm256_setzero_si256(); 2]; T];
        for sub in 0..8 {
            let codes = at.codes.skip::<F>(sub);
            codes.prefetch::<F>();
            _mm_prefetch::<_MM_HINT_T0>(at.scales.wrapping_add(2 * F::FORMAT.scale_bytes() + sub * 64).cast());
            let mut factors = [[_mm256_setzero_si256(); 2]; 2];
            for r in 0..2 {
                let pair = pairs::<F>(scales.add(if six { sub } else { sub / 2 } * 32 + r * 16));
                let [even, odd] = M::factors(pair);
                let same = if sub % 2 == 0 { even } else { odd };
                (factors[0][r], factors[1][r]) = if six { (even, odd) } else { (same, same) };
            }
            dot::<M, F, C, T>(codes, at.record.add(sub * 32 * T), factors, &mut s);
            if six || sub % 2 == 0 {
                let p = if six { sub } else { sub / 2 };
                for r in 0..2 {
                    let pair = pairs::<F>(minima.add(p * 32 + r * 16));
                    for t in 0..T {
                        let sum = _mm256_set1_epi32(sums.add((p * T + t) * 4).cast::<i32>().read_unaligned());
                        m[t][r] = _mm256_add_epi32(m[t][r], _mm256_madd_epi16(pair, sum));
                    }
                }
            }
        }
        let d = halves(at.scales);
        for t in 0..T {
            let da = _mm256_broadcast_ss(&*at.record.add(T * 256 + t * 4).cast());
            for r in 0..2 {
                let s = if six { _mm256_sub_epi32(s[t][r], _mm256_slli_epi32::<5>(m[t][r])) } else { s[t][r] };
                acc[t][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), _mm256_mul_ps(d[r], da), acc[t][r]);
                if !six {
                    let dmin = _mm256_mul_ps(halves(at.scales.add(2 * GROUP))[r], da);
                    acc[t][r] = _mm256_fnmadd_ps(dmin, _mm256_cvtepi32_ps(m[t][r]), acc[t][r]);
                }
            }
        }
    }
}

/// Adds the products of 32 columns to `s`, with `factors` for the first 16 columns and for the others.
///
/// # Safety
/// There are 32 columns of format F, and of a tile of T tokens.
#[inline(always)]
unsafe fn dot<M: Multiply, F: Marker, C: Codes, const T: usize>(
    codes: C,
    activations: *const u8,
    factors: [Rows<__m256i>; 2],
    s: &mut [Rows<__m256i>; T],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut part = [[_mm256_setzero_si256(); 2]; T];
        // Spelt out, since the shifts of each step are constants.
        macro_rules! steps {
            ($($i:literal)*) => {
                $(step::<M, F, C, T, $i>(codes, activations, factors[$i / 4], &mut part, s);)*
            };
        }
        steps!(0 1 2 3 4 5 6 7);
    }
}

/// Columns 4 * I to 4 * I + 3 of [`dot`]: into `part` and, at the end of a run, from there to `s`.
///
/// # Safety
/// As [`dot`].
#[inline(always)]
unsafe fn step<M: Multiply, F: Marker, C: Codes, const T: usize, const I: usize>(
    codes: C,
    activations: *const u8,
    factors: Rows<__m256i>,
    part: &mut [Rows<__m256i>; T],
    s: &mut [Rows<__m256i>; T],
) {
    let run = M::run(F::FORMAT);
    // SAFETY: the caller's promise.
    unsafe {
        let w = [codes.rows::<F, I>(0), codes.rows::<F, I>(1)];
        for t in 0..T {
            let x = _mm256_set1_epi32(activations.cast::<i32>().add(word(I, T, t)).read_unaligned());
            for r in 0..2 {
                let before = if I.is_multiple_of(run) { None } else { Some(part[t][r]) };
                part[t][r] = pin(M::multiply::<F>(before, w[r], x));
            }
        }
        if I % run == run - 1 {
            for t in 0..T {
                for r in 0..2 {
                    s[t][r] = pin(M::finish::<F>(s[t][r], part[t][r], factors[r]));
                }
            }
        }
    }
}

/// Nothing, at a fixed place. Left alone, LLVM first unpacks all the weights of a block and then goes token by token, which
/// takes more registers than there are.
///
/// # Safety
/// The CPU has AVX.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn pin(mut x: __m256i) -> __m256i {
    // SAFETY: it does nothing.
    unsafe { asm!("/* {0} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags)) };
    x
}

/// Codes as they lie in the model file.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    pub codes: *const u8,
    pub high: *const u8,
}

impl Packed {
    /// Those of a group, from its first column on.
    #[inline(always)]
    pub fn of(w: &Matrix<'_>, group: usize) -> Self {
        Self { codes: w.codes(group).as_ptr(), high: w.high(group).as_ptr() }
    }
}

impl Codes for Packed {
    #[inline(always)]
    unsafe fn rows<F: Marker, const I: usize>(self, r: usize) -> __m256i {
        // SAFETY: the caller's promise; the layout is `format.rs`'s.
        unsafe {
            let load = |p: *const u8, i: usize| _mm256_loadu_si256(p.add(i * 64 + r * 32).cast());
            if let Format::Q8_0 = F::FORMAT {
                return load(self.codes, I);
            }
            let x = load(self.codes, I % 4);
            let x = if I < 4 { x } else { _mm256_srli_epi16::<4>(x) };
            let nibble = _mm256_and_si256(x, _mm256_set1_epi8(15));
            if let Format::Q8_0N = F::FORMAT {
                let x = load(self.high, I % 4);
                let x = if I < 4 { x } else { _mm256_srli_epi16::<4>(x) };
                let lower = _mm256_and_si256(x, _mm256_set1_epi8(15));
                return _mm256_or_si256(_mm256_slli_epi16::<4>(nibble), lower);
            }
            // Shifts by 16 bits: what crosses from one byte to the next is masked out.
            match F::FORMAT {
                Format::Q5_0 | Format::Q5_1 | Format::Q5_K => {
                    let x = load(self.high, 0);
                    let x = match I {
                        0 => _mm256_slli_epi16::<4>(x),
                        1 => _mm256_slli_epi16::<3>(x),
                        2 => _mm256_slli_epi16::<2>(x),
                        3 => _mm256_slli_epi16::<1>(x),
                        4 => x,
                        5 => _mm256_srli_epi16::<1>(x),
                        6 => _mm256_srli_epi16::<2>(x),
                        _ => _mm256_srli_epi16::<3>(x),
                    };
                    _mm256_or_si256(nibble, _mm256_and_si256(x, _mm256_set1_epi8(0x10)))
                }
                Format::Q6_K => {
                    let x = load(self.high, I / 4);
                    let x = match I % 4 {
                        0 => _mm256_slli_epi16::<4>(x),
                        1 => _mm256_slli_epi16::<2>(x),
                        2 => x,
                        _ => _mm256_srli_epi16::<2>(x),
                    };
                    _mm256_or_si256(nibble, _mm256_and_si256(x, _mm256_set1_epi8(0x30)))
                }
                _ => nibble,
            }
        }
    }

    #[inline(always)]
    fn lower(self) -> Self {
        Self { codes: self.high, ..self }
    }

    #[inline(always)]
    fn skip<F: Marker>(self, runs: usize) -> Self {
        let in_block = F::FORMAT.block() / 32;
        Self {
            codes: self.codes.wrapping_add(runs * (F::FORMAT.code_bytes() / in_block)),
            high: self.high.wrapping_add(runs * (F::FORMAT.high_bytes() / in_block)),
        }
    }

    #[inline(always)]
    fn prefetch<F: Marker>(self) {
        let in_block = F::FORMAT.block() / 32;
        for (plane, bytes) in
            [(self.codes, F::FORMAT.code_bytes() / in_block), (self.high, F::FORMAT.high_bytes() / in_block)]
        {
            for line in (0..bytes).step_by(64) {
                // SAFETY: a prefetch of any address is allowed.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(plane.wrapping_add(AHEAD * bytes + line).cast()) };
            }
        }
    }
}

/// Codes that were unpacked to a byte each: `[run of 32 columns][I 0..8][row 16][4]`.
#[derive(Clone, Copy)]
struct Unpacked(*const u8);

impl Codes for Unpacked {
    #[inline(always)]
    unsafe fn rows<F: Marker, const I: usize>(self, r: usize) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_si256(self.0.add(I * 64 + r * 32).cast()) }
    }

    /// Whole codes: Q8_0N is not unpacked.
    #[inline(always)]
    fn lower(self) -> Self {
        self
    }

    #[inline(always)]
    fn skip<F: Marker>(self, runs: usize) -> Self {
        Self(self.0.wrapping_add(runs * 32 * GROUP))
    }

    /// They were just written.
    #[inline(always)]
    fn prefetch<F: Marker>(self) {}
}

/// 16 halves, widened.
///
/// # Safety
/// 32 bytes may be read.
#[inline(always)]
unsafe fn halves(p: *const u8) -> Rows<__m256> {
    // SAFETY: the caller's promise.
    unsafe { [_mm256_cvtph_ps(_mm_loadu_si128(p.cast())), _mm256_cvtph_ps(_mm_loadu_si128(p.add(16).cast()))] }
}

/// The sub-scales of two adjacent sub-blocks for eight rows, as 16-bit pairs.
///
/// # Safety
/// 16 bytes may be read.
#[inline(always)]
unsafe fn pairs<F: Marker>(p: *const u8) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        let bytes = _mm_loadu_si128(p.cast());
        if let Format::Q6_K = F::FORMAT { _mm256_cvtepi8_epi16(bytes) } else { _mm256_cvtepu8_epi16(bytes) }
    }
}

/// One column of a group of floats.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn float_column<F: Marker>(column: &[u8]) -> Rows<__m256> {
    let column = &column[..F::FORMAT.code_bytes()];
    // SAFETY: the slice has 16 elements of the format's size.
    unsafe {
        match F::FORMAT {
            Format::F16 => halves(column.as_ptr()),
            Format::BF16 => [0, 16].map(|at| {
                let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(column.as_ptr().add(at).cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
            }),
            _ => [0, 32].map(|at| _mm256_loadu_ps(column.as_ptr().add(at).cast())),
        }
    }
}
