//! Variants for x86-64 with AVX-512 and its dot product instructions: the 16 rows of a group are one register.
#![allow(clippy::needless_range_loop, reason = "t runs over registers, several arrays of them at a time")]

use std::arch::x86_64::*;
use std::ops::Range;

use crate::activation::{Activations, TILE, word};
use crate::attention::{self, Part, RUN, RunBlock};
use crate::avx2::{self, AHEAD, Codes, Packed};
use crate::cpu::Avx512Vnni;
use crate::format::marker::Marker;
use crate::format::{Format, GROUP};
use crate::matrix::{Matrix, OutMut};
use crate::ops::{LANES, Lanes, Simd};
use crate::product::{self, Product, Variant};

/// Sixteen floats in a register. Only to be used in code that is compiled for this tier, and runs where it can.
pub(crate) struct Vector;

// SAFETY of all methods: `Ops::avx512` takes the proof that the CPU has the instructions; arrays are as long as what is read.
impl Simd for Vector {
    type V = __m512;

    const QUERIES: usize = 4;
    const QUERIES_OF_RUNS: usize = 4;
    const RUNS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(x: &Lanes) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }

    #[inline(always)]
    fn store(v: __m512) -> Lanes {
        let mut out = [0.0; LANES];
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), v) };
        out
    }

    #[inline(always)]
    fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn sum(v: __m512) -> f32 {
        avx2::Vector::sum(halves_of(v))
    }

    #[inline(always)]
    fn sums([a, b, c, d]: [__m512; 4]) -> [f32; 4] {
        // SAFETY: see above.
        unsafe {
            let ab = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
            let cd = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(c, d), _mm512_shuffle_f32x4::<0xee>(c, d));
            let abcd = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(ab, cd), _mm512_shuffle_f32x4::<0xdd>(ab, cd));
            let two = _mm512_add_ps(abcd, _mm512_permute_ps::<0x4e>(abcd));
            let one = _mm512_add_ps(two, _mm512_permute_ps::<0xb1>(two));
            let mut out = [0.0; 4];
            _mm_storeu_ps(out.as_mut_ptr(), _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, one)));
            out
        }
    }

    #[inline(always)]
    fn dots(query: &[Part], keys: &[Part]) -> __m512 {
        const OF: [(usize, usize); 16] = in_order(1);
        sums(attention::dots::<Self, 16, 1>([query], keys, &OF))
    }

    /// Eight keys at a time: a load of a key serves both queries.
    #[inline(always)]
    fn two_dots(queries: [&[Part]; 2], keys: &[Part]) -> [__m512; 2] {
        const OF: [(usize, usize); 16] = in_order(2);
        let low = sums(attention::dots::<Self, 16, 2>(queries, keys, &OF));
        let high = sums(attention::dots::<Self, 16, 2>(queries, &keys[8 * queries[0].len()..], &OF));
        // SAFETY: see above.
        unsafe { [_mm512_shuffle_f32x4::<0x44>(low, high), _mm512_shuffle_f32x4::<0xee>(low, high)] }
    }

    #[inline(always)]
    fn prefetch(at: *const u16) {
        avx2::Vector::prefetch(at);
    }

    #[inline(always)]
    fn widen(x: &[u16; LANES]) -> __m512 {
        // SAFETY: see above.
        unsafe { widened(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn narrow(v: __m512) -> [u16; LANES] {
        let mut out = [0; LANES];
        // SAFETY: see above.
        unsafe {
            let halves = _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), halves);
        }
        out
    }

    #[inline(always)]
    fn widen_codes(x: &[u16; LANES / 2]) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast()))) }
    }

    /// Two keys to a register.
    #[inline(always)]
    fn code_dots<const Q: usize>(queries: [&[i8; RUN]; Q], keys: RunBlock<'_>, r: usize) -> [__m512; Q] {
        // SAFETY: see above.
        unsafe {
            // Keys become unsigned, and 128 times the query is taken off beforehand.
            let flip = _mm512_set1_epi8(-128);
            let (mut query, mut start) = ([flip; Q], [flip; Q]);
            for q in 0..Q {
                query[q] = _mm512_broadcast_i64x4(_mm256_loadu_si256(queries[q].as_ptr().cast()));
                let zero = _mm512_setzero_si512();
                start[q] = _mm512_sub_epi32(zero, _mm512_dpbusd_epi32(zero, flip, query[q]));
            }
            let mut dots = [[flip; 8]; Q];
            for n in 0..8 {
                let k = n / 4 * 8 + n % 4;
                let low = _mm512_castsi256_si512(_mm256_loadu_si256(keys.codes(k, r).as_ptr().cast()));
                let high = _mm256_loadu_si256(keys.codes(k + 4, r).as_ptr().cast());
                let two = _mm512_xor_si512(_mm512_inserti64x4::<1>(low, high), flip);
                for q in 0..Q {
                    dots[q][n] = _mm512_dpbusd_epi32(start[q], two, query[q]);
                }
            }
            let mut out = [_mm512_setzero_ps(); Q];
            for q in 0..Q {
                out[q] = _mm512_cvtepi32_ps(integer_sums(dots[q]));
            }
            out
        }
    }

    #[inline(always)]
    fn larger(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above. The instruction gives its second operand where one is no number.
        unsafe { _mm512_max_ps(_mm512_abs_ps(b), a) }
    }

    #[inline(always)]
    fn largest(v: __m512) -> f32 {
        avx2::Vector::largest(halves_of(v))
    }

    #[inline(always)]
    fn codes(v: __m512) -> ([u8; LANES], i32) {
        // SAFETY: see above. A NaN is the first operand of a maximum.
        unsafe {
            let at_least = _mm512_max_ps(v, _mm512_set1_ps(-127.0));
            let codes = _mm512_cvtps_epi32(_mm512_min_ps(at_least, _mm512_set1_ps(127.0)));
            avx2::bytes_and_sum(_mm512_cvtepi32_epi8(codes))
        }
    }
}

/// Which query and which key each vector has to be of, for the [`sums`] to be those of one query and then those of the next.
const fn in_order(queries: usize) -> [(usize, usize); 16] {
    let mut of = [(0, 0); 16];
    let mut n = 0;
    while n < 16 {
        let (lane, keys) = (n % 4 * 4 + n / 4, 16 / queries);
        of[n] = (lane / keys, lane % keys);
        n += 1;
    }
    of
}

/// The lanes of each vector added in halves; that of vector n in lane n % 4 * 4 + n / 4.
#[inline(always)]
fn sums(mut vs: [__m512; 16]) -> __m512 {
    // SAFETY: as all of `Vector`.
    unsafe {
        for i in 0..8 {
            let (a, b) = (vs[2 * i], vs[2 * i + 1]);
            vs[i] = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
        }
        for i in 0..4 {
            let (a, b) = (vs[2 * i], vs[2 * i + 1]);
            vs[i] = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
        }
        for i in 0..2 {
            let (a, b) = (_mm512_castps_pd(vs[2 * i]), _mm512_castps_pd(vs[2 * i + 1]));
            let (low, high) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
            vs[i] = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
        }
        let [a, b, ..] = vs;
        _mm512_add_ps(_mm512_shuffle_ps::<0x88>(a, b), _mm512_shuffle_ps::<0xdd>(a, b))
    }
}

/// The sums of the halves of each vector: of the lower ones of the first four vectors, of their upper ones, and so on.
#[inline(always)]
fn integer_sums(mut vs: [__m512i; 8]) -> __m512i {
    // SAFETY: as all of `Vector`.
    unsafe {
        for i in 0..4 {
            let (a, b) = (vs[2 * i], vs[2 * i + 1]);
            vs[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        }
        for i in 0..2 {
            let (a, b) = (vs[2 * i], vs[2 * i + 1]);
            vs[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        }
        let [a, b, ..] = vs;
        _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b))
    }
}

/// The first eight lanes and the others.
#[inline(always)]
fn halves_of(v: __m512) -> [__m256; 2] {
    // SAFETY: as all of `Vector`.
    unsafe { [_mm512_castps512_ps256(v), _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v)))] }
}

/// The matrix products.
pub(crate) fn product(_: Avx512Vnni) -> fn(Format) -> Product {
    product::of::<Dpbusd>
}

/// Unsigned codes times signed activations in fours, added up in 32 bits.
struct Dpbusd;

/// Bytes of floats from what is multiplied to what is fetched.
const FLOATS_AHEAD: usize = 4096;

impl Variant for Dpbusd {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn blocks<F: Marker, const T: usize>(
        w: &Matrix<'_>,
        group: usize,
        tile: &[u8],
        results: &mut [[f32; GROUP]; T],
    ) {
        // SAFETY: the caller's promise; a result has sixteen floats.
        unsafe {
            let [acc] = groups_times_tile::<F, T, 1>(w, [Weights::of(w, group)], tile.as_ptr());
            for t in 0..T {
                _mm512_storeu_ps(results[t].as_mut_ptr(), acc[t]);
            }
        }
    }

    /// Of one group, loading the activations takes longer than multiplying by them; but two of Q6_K want more registers than there
    /// are.
    fn pairs(format: Format) -> bool {
        format != Format::Q6_K
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn pair<F: Marker>(
        w: &Matrix<'_>,
        group: usize,
        x: &Activations<'_>,
        tokens: Range<usize>,
        outs: &mut [OutMut<'_>; 2],
    ) {
        let at = [Weights::of(w, group), Weights::of(w, group + 1)];
        for first in tokens.step_by(TILE) {
            let record = x.tile(first).0.as_ptr();
            // SAFETY: the caller's promise.
            let acc = unsafe {
                if const { F::FORMAT.block() == 32 } {
                    groups_times_tile::<F, TILE, 2>(w, at, record)
                } else {
                    pair_times_tile::<F>(w, at, record)
                }
            };
            for g in 0..2 {
                for t in 0..TILE {
                    let out = outs[g].token_mut(first + t);
                    let lanes = ((1u32 << out.len().min(GROUP)) - 1) as u16;
                    // SAFETY: as many floats as `out` has.
                    unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), lanes, acc[g][t]) };
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn floats<F: Marker>(columns: &[u8], x: &[[u8; 4]], result: &mut [f32; GROUP]) {
        let mut chains = [_mm512_setzero_ps(); 4];
        for (columns, x) in columns.chunks(4 * F::FORMAT.code_bytes()).zip(x.chunks(4)) {
            for line in (FLOATS_AHEAD..FLOATS_AHEAD + columns.len()).step_by(64) {
                _mm_prefetch::<_MM_HINT_T0>(columns.as_ptr().wrapping_add(line).cast());
            }
            let columns = columns.chunks_exact(F::FORMAT.code_bytes());
            for ((chain, column), x) in chains.iter_mut().zip(columns).zip(x) {
                *chain = _mm512_fmadd_ps(float_column::<F>(column), _mm512_set1_ps(f32::from_le_bytes(*x)), *chain);
            }
        }
        let [a, b, c, d] = chains;
        let sum = _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d));
        // SAFETY: sixteen floats.
        unsafe { _mm512_storeu_ps(result.as_mut_ptr(), sum) };
    }
}

/// G groups of rows times a tile of T tokens.
///
/// # Safety
/// As [`Variant::blocks`]; `at` are at the first blocks of groups of `w`.
#[inline(always)]
unsafe fn groups_times_tile<F: Marker, const T: usize, const G: usize>(
    w: &Matrix<'_>,
    mut at: [Weights; G],
    mut record: *const u8,
) -> [[__m512; T]; G] {
    let after = After::the_last_of(at);
    let runs = F::FORMAT.block() / 32;
    // SAFETY: the caller's promise; `at` and `record` are in turn at each of the blocks that `w` and the tile have.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); T]; G];
        for left in (1..=w.blocks()).rev() {
            let ahead = Ahead { after, left: left * runs };
            // As for AVX2.
            if const { F::FORMAT.block() == 32 } {
                block::<F, T, G>(at, record, ahead, &mut acc);
            } else if const { matches!(F::FORMAT, Format::Q6_K) } {
                for g in 0..G {
                    superblock_of_sixteens::<F, T>(at[g], record, ahead, &mut acc[g]);
                }
            } else {
                superblock::<F, T, G>(at, record, ahead, &mut acc);
            }
            for at in &mut at {
                at.codes = at.codes.skip::<F>(F::FORMAT.block() / 32);
                at.scales = at.scales.wrapping_add(F::FORMAT.scale_bytes());
            }
            record = record.wrapping_add(T * F::FORMAT.activation().record());
        }
        acc
    }
}

/// [`groups_times_tile`] apart from the loop over tiles, in which LLVM would keep what leaves no registers for superblocks.
///
/// # Safety
/// As there, and the CPU has the tier's instructions.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn pair_times_tile<F: Marker>(w: &Matrix<'_>, at: [Weights; 2], record: *const u8) -> [[__m512; TILE]; 2] {
    // SAFETY: the caller's promise.
    unsafe { groups_times_tile::<F, TILE, 2>(w, at, record) }
}

/// Where one block of a group lies.
#[derive(Clone, Copy)]
struct Weights {
    codes: Packed,
    scales: *const u8,
}

impl Weights {
    /// The first one.
    #[inline(always)]
    fn of(w: &Matrix<'_>, group: usize) -> Self {
        Self { codes: Packed::of(w, group), scales: w.scales(group).as_ptr() }
    }
}

/// From the end of a group to what is needed next: the group behind, but where that is taken at the same time the one after it.
#[derive(Clone, Copy)]
struct After {
    codes: usize,
    high: usize,
    scales: usize,
}

impl After {
    /// After these groups, which lie one behind the other.
    #[inline(always)]
    fn the_last_of<const G: usize>(at: [Weights; G]) -> Self {
        let (first, last) = (at[0], at[G - 1]);
        Self {
            codes: last.codes.codes.addr() - first.codes.codes.addr(),
            high: last.codes.high.addr() - first.codes.high.addr(),
            scales: last.scales.addr() - first.scales.addr(),
        }
    }

    #[inline(always)]
    fn of(self, at: Weights) -> Weights {
        let codes =
            Packed { codes: at.codes.codes.wrapping_add(self.codes), high: at.codes.high.wrapping_add(self.high) };
        Weights { codes, scales: at.scales.wrapping_add(self.scales) }
    }
}

/// What is fetched while a block is multiplied.
#[derive(Clone, Copy)]
struct Ahead {
    after: After,
    /// Runs of 32 columns from the beginning of this block to the end of its group.
    left: usize,
}

impl Ahead {
    /// Asks for what lies [`AHEAD`] runs after run `sub` of the blocks `at`, and for a share of the scales.
    #[inline(always)]
    fn prefetch<F: Marker>(self, at: &[Weights], sub: usize) {
        let (runs, bytes) = (F::FORMAT.block() / 32, F::FORMAT.scale_bytes());
        let blocks = AHEAD.div_ceil(runs);
        for &at in at {
            let next = self.after.of(at);
            let codes = if sub + AHEAD < self.left { at.codes } else { next.codes };
            codes.skip::<F>(sub).prefetch::<F>();
            let scales = if blocks * runs < self.left { at.scales } else { next.scales };
            for line in (sub * 64..bytes).step_by(64 * runs) {
                // SAFETY: a prefetch of any address is allowed.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(scales.wrapping_add(blocks * bytes + line).cast()) };
            }
        }
    }
}

/// 32 columns with one scale.
///
/// # Safety
/// `at` are at blocks of format F and `record` at that of a tile of T tokens, all of which may be read.
#[inline(always)]
unsafe fn block<F: Marker, const T: usize, const G: usize>(
    at: [Weights; G],
    record: *const u8,
    ahead: Ahead,
    acc: &mut [[__m512; T]; G],
) {
    // SAFETY: what is read is in the block, whose layout `format.rs` and `activation.rs` give.
    unsafe {
        ahead.prefetch::<F>(&at, 0);
        let per_token = record.add(32 * T).cast::<f32>();
        let mut s = [[_mm512_setzero_si512(); T]; G];
        for t in 0..T {
            let sum = _mm512_set1_epi32(per_token.add(2 * T + t).cast::<i32>().read_unaligned());
            let offset = match F::FORMAT {
                Format::Q4_0 => _mm512_slli_epi32::<3>(sum),
                Format::Q5_0 => _mm512_slli_epi32::<4>(sum),
                Format::Q8_0 | Format::Q8_0N => _mm512_slli_epi32::<7>(sum),
                _ => continue,
            };
            for s in &mut s {
                s[t] = _mm512_sub_epi32(_mm512_setzero_si512(), offset);
            }
        }
        let mut codes = [at[0].codes; G];
        for g in 1..G {
            codes[g] = at[g].codes;
        }
        let [s] = dots::<F, T, G, 1>(codes, record, [s]);
        for t in 0..T {
            let da = _mm512_set1_ps(per_token.add(t).read_unaligned());
            for g in 0..G {
                let d = widened(at[g].scales);
                acc[g][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s[g][t]), _mm512_mul_ps(d, da), acc[g][t]);
                if let Format::Q4_1 | Format::Q5_1 = F::FORMAT {
                    let da_sum = _mm512_set1_ps(per_token.add(T + t).read_unaligned());
                    let m = widened(at[g].scales.wrapping_add(2 * GROUP));
                    acc[g][t] = _mm512_fmadd_ps(m, da_sum, acc[g][t]);
                }
            }
        }
    }
}

/// 256 columns with sub-scales and minima.
///
/// # Safety
/// As [`block`].
#[inline(always)]
unsafe fn superblock<F: Marker, const T: usize, const G: usize>(
    at: [Weights; G],
    record: *const u8,
    ahead: Ahead,
    acc: &mut [[__m512; T]; G],
) {
    // SAFETY: what is read is in the block, whose layout `format.rs` and `activation.rs` give.
    unsafe {
        let sums = record.add(T * 292);
        let zero = _mm512_setzero_si512();
        let (mut s, mut m) = ([[zero; T]; G], [[zero; T]; G]);
        for sub in 0..8 {
            ahead.prefetch::<F>(&at, sub);
            let mut codes = [at[0].codes; G];
            for g in 0..G {
                codes[g] = at[g].codes.skip::<F>(sub);
            }
            let [dots] = dots::<F, T, G, 1>(codes, record.add(sub * 32 * T), [[[zero; T]; G]]);
            // Scales, and then minima, in 16-bit pairs of adjacent sub-blocks.
            let p = sub / 2;
            for g in 0..G {
                let pair = pairs::<F>(at[g].scales.add(64 + p * 32));
                let pair = if sub % 2 == 0 { _mm512_slli_epi32::<16>(pair) } else { pair };
                let scale = _mm512_srai_epi32::<16>(pair);
                for t in 0..T {
                    s[g][t] = _mm512_add_epi32(s[g][t], _mm512_mullo_epi32(dots[g][t], scale));
                }
                if sub % 2 == 0 {
                    let pair = pairs::<F>(at[g].scales.add(192 + p * 32));
                    for t in 0..T {
                        let sum = _mm512_set1_epi32(sums.add((p * T + t) * 4).cast::<i32>().read_unaligned());
                        m[g][t] = _mm512_add_epi32(m[g][t], _mm512_madd_epi16(pair, sum));
                    }
                }
            }
        }
        for t in 0..T {
            let da = _mm512_set1_ps(record.add(T * 256 + t * 4).cast::<f32>().read_unaligned());
            for g in 0..G {
                let (d, dmin) = (widened(at[g].scales), widened(at[g].scales.add(2 * GROUP)));
                acc[g][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s[g][t]), _mm512_mul_ps(d, da), acc[g][t]);
                acc[g][t] = _mm512_fnmadd_ps(_mm512_mul_ps(dmin, da), _mm512_cvtepi32_ps(m[g][t]), acc[g][t]);
            }
        }
    }
}

/// 256 columns of Q6_K, each 16 of which have a scale.
///
/// # Safety
/// As [`block`].
#[inline(always)]
unsafe fn superblock_of_sixteens<F: Marker, const T: usize>(
    at: Weights,
    record: *const u8,
    ahead: Ahead,
    acc: &mut [__m512; T],
) {
    // SAFETY: what is read is in the block, whose layout `format.rs` and `activation.rs` give.
    unsafe {
        let sums = record.add(T * 260);
        let zero = _mm512_setzero_si512();
        let (mut s, mut m) = ([zero; T], [zero; T]);
        for sub in 0..8 {
            ahead.prefetch::<F>(&[at], sub);
            let codes = at.codes.skip::<F>(sub);
            let pair = pairs::<F>(at.scales.add(32 + sub * 32));
            let (even, odd) = (_mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(pair)), _mm512_srai_epi32::<16>(pair));
            let [[first], [second]] = dots::<F, T, 1, 2>([codes], record.add(sub * 32 * T), [[[zero; T]]; 2]);
            for t in 0..T {
                s[t] = _mm512_add_epi32(s[t], _mm512_mullo_epi32(first[t], even));
                s[t] = _mm512_add_epi32(s[t], _mm512_mullo_epi32(second[t], odd));
                // For the offset of the codes.
                let sum = _mm512_set1_epi32(sums.add((sub * T + t) * 4).cast::<i32>().read_unaligned());
                m[t] = _mm512_add_epi32(m[t], _mm512_madd_epi16(pair, sum));
            }
        }
        let d = widened(at.scales);
        for t in 0..T {
            let da = _mm512_set1_ps(record.add(T * 256 + t * 4).cast::<f32>().read_unaligned());
            let s = _mm512_sub_epi32(s[t], _mm512_slli_epi32::<5>(m[t]));
            acc[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s), _mm512_mul_ps(d, da), acc[t]);
        }
    }
}

/// Adds the products of 32 columns to `sums`, which are for N runs of columns.
///
/// # Safety
/// There are 32 columns of format F, and of a tile of T tokens.
#[inline(always)]
unsafe fn dots<F: Marker, const T: usize, const G: usize, const N: usize>(
    codes: [Packed; G],
    activations: *const u8,
    mut sums: [[[__m512i; T]; G]; N],
) -> [[[__m512i; T]; G]; N] {
    // SAFETY: the caller's promise.
    unsafe {
        // Spelt out, since the shifts of each step are constants.
        macro_rules! steps {
            ($($i:literal)*) => {$({
                let mut w = [_mm512_setzero_si512(); G];
                for g in 0..G {
                    w[g] = rows::<F, $i>(codes[g]);
                }
                for t in 0..T {
                    let x = _mm512_set1_epi32(activations.cast::<i32>().add(word($i, T, t)).read_unaligned());
                    for g in 0..G {
                        let sum = &mut sums[$i * N / 8][g][t];
                        *sum = _mm512_dpbusd_epi32(*sum, w[g], x);
                    }
                }
            })*};
        }
        steps!(0 1 2 3 4 5 6 7);
        sums
    }
}

/// The codes of columns 4 * I to 4 * I + 3 of all rows, a byte each; 128 is added to signed ones.
///
/// # Safety
/// There are 32 columns of format F, and the CPU has the tier's instructions.
#[inline(always)]
unsafe fn rows<F: Marker, const I: usize>(at: Packed) -> __m512i {
    // SAFETY: the caller's promise; the layout is `format.rs`'s.
    unsafe {
        let load = |p: *const u8, i: usize| _mm512_loadu_si512(p.add(i * 64).cast());
        if let Format::Q8_0 = F::FORMAT {
            return _mm512_xor_si512(load(at.codes, I), _mm512_set1_epi8(-128));
        }
        let x = load(at.codes, I % 4);
        let x = if I < 4 { x } else { _mm512_srli_epi16::<4>(x) };
        let nibble = _mm512_and_si512(x, _mm512_set1_epi8(15));
        if let Format::Q8_0N = F::FORMAT {
            let x = load(at.high, I % 4);
            let x = if I < 4 { x } else { _mm512_srli_epi16::<4>(x) };
            let lower = _mm512_and_si512(x, _mm512_set1_epi8(15));
            return _mm512_or_si512(_mm512_slli_epi16::<4>(nibble), lower);
        }
        // Shifts by 16 bits: what crosses from one byte to the next is masked out.
        match F::FORMAT {
            Format::Q5_0 | Format::Q5_1 | Format::Q5_K => {
                let x = load(at.high, 0);
                let x = match I {
                    0 => _mm512_slli_epi16::<4>(x),
                    1 => _mm512_slli_epi16::<3>(x),
                    2 => _mm512_slli_epi16::<2>(x),
                    3 => _mm512_slli_epi16::<1>(x),
                    4 => x,
                    5 => _mm512_srli_epi16::<1>(x),
                    6 => _mm512_srli_epi16::<2>(x),
                    _ => _mm512_srli_epi16::<3>(x),
                };
                _mm512_or_si512(nibble, _mm512_and_si512(x, _mm512_set1_epi8(0x10)))
            }
            Format::Q6_K => {
                let x = load(at.high, I / 4);
                let x = match I % 4 {
                    0 => _mm512_slli_epi16::<4>(x),
                    1 => _mm512_slli_epi16::<2>(x),
                    2 => x,
                    _ => _mm512_srli_epi16::<2>(x),
                };
                _mm512_or_si512(nibble, _mm512_and_si512(x, _mm512_set1_epi8(0x30)))
            }
            _ => nibble,
        }
    }
}

/// 16 halves, widened.
///
/// # Safety
/// 32 bytes may be read.
#[inline(always)]
unsafe fn widened(p: *const u8) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) }
}

/// The sub-scales of two adjacent sub-blocks for all rows, as 16-bit pairs.
///
/// # Safety
/// 32 bytes may be read.
#[inline(always)]
unsafe fn pairs<F: Marker>(p: *const u8) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        let bytes = _mm256_loadu_si256(p.cast());
        if let Format::Q6_K = F::FORMAT { _mm512_cvtepi8_epi16(bytes) } else { _mm512_cvtepu8_epi16(bytes) }
    }
}

/// One column of a group of floats.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn float_column<F: Marker>(column: &[u8]) -> __m512 {
    let column = &column[..F::FORMAT.code_bytes()];
    // SAFETY: the slice has 16 elements of the format's size.
    unsafe {
        match F::FORMAT {
            Format::F16 => widened(column.as_ptr()),
            Format::BF16 => {
                let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(column.as_ptr().cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
            }
            _ => _mm512_loadu_ps(column.as_ptr().cast()),
        }
    }
}
