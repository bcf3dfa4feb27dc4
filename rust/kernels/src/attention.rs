//! Attention of some rows over keys and values in half precision (Vaswani et al., 2017).
//!
//! Keys and values are widened block by block, and each block serves all queries before the next one is touched: a row of
//! one token has a few heads that share them, a tile of a prefill has some tens. The order of every sum is that of one
//! query alone: a score is summed in [`LANES`] accumulators over the dimensions, an output in one chain over the positions.

use std::ops::Range;

use crate::format::ShapeError;
use crate::ops::{LANES, Lanes, Simd, exponentials, f16_to_f32};

/// Positions that are widened together: a block of them, and the queries it meets, stay in a first-level cache.
const BLOCK: usize = 16;

/// Scores that are summed up together.
pub(crate) const TOGETHER: usize = 4;

/// Some rows, each with the query heads that share one key/value head, and what they look at.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Head h of row r is at `r * stride + h * head_dim`.
    pub queries: &'a [f32],
    /// From one row of the queries to the next.
    pub stride: usize,
    /// Query heads of a row.
    pub heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// What a score is multiplied with before the softmax.
    pub scale: f32,
    /// Segments of `[positions][head_dim]` halves that follow one another: a shared prefix, then a branch's own rows.
    pub keys: &'a [&'a [u16]],
    /// The same for the values.
    pub values: &'a [&'a [u16]],
    /// For each row, which of the positions it sees. Any mask or window is a matter of these and of the segments.
    pub seen: &'a [Range<usize>],
}

impl Attention<'_> {
    /// Floats of scratch for `rows` rows of `heads` heads that look at `positions` positions.
    pub fn scratch(rows: usize, heads: usize, head_dim: usize, positions: usize) -> usize {
        let width = head_dim.next_multiple_of(LANES);
        let queries = rows.saturating_mul(heads);
        (BLOCK * width).saturating_add(queries.saturating_mul(2 * width + 1 + positions))
    }

    fn positions(&self) -> usize {
        self.keys.iter().map(|keys| keys.len()).sum::<usize>() / self.head_dim
    }

    /// Whether everything fits together, an output with `stride` from row to row included.
    pub(crate) fn check(&self, scratch: usize, out: usize, stride: usize) -> Result<(), ShapeError> {
        let &Self { head_dim, heads, .. } = self;
        let at_least = |what, wanted: usize, got: usize| {
            if got < wanted { Err(ShapeError::new(what, wanted, got)) } else { Ok(()) }
        };
        at_least("head dimension, at least", 1, head_dim)?;
        ShapeError::unless_equal("segments of values", self.keys.len(), self.values.len())?;
        for (keys, values) in self.keys.iter().zip(self.values) {
            if !keys.len().is_multiple_of(head_dim) {
                return Err(ShapeError::new("length of a segment of keys, as a multiple", head_dim, keys.len()));
            }
            ShapeError::unless_equal("length of a segment of values", keys.len(), values.len())?;
        }
        let (rows, positions) = (self.seen.len(), self.positions());
        let row = heads.saturating_mul(head_dim);
        let needed =
            |stride: usize| rows.checked_sub(1).map_or(0, |last| last.saturating_mul(stride).saturating_add(row));
        for (what, wanted, got) in [
            ("stride of the queries, at least", row, self.stride),
            ("stride of the attention's output, at least", row, stride),
            ("length of the queries, at least", needed(self.stride), self.queries.len()),
            ("length of the attention's output, at least", needed(stride), out),
            ("scratch of the attention, at least", Self::scratch(rows, heads, head_dim, positions), scratch),
        ] {
            at_least(what, wanted, got)?;
        }
        for seen in self.seen {
            at_least("positions seen, at least", 1, seen.len())?;
            at_least("positions there are, at least", seen.end, positions)?;
        }
        Ok(())
    }
}

/// See [`Kernels::attend`](crate::Kernels::attend).
#[inline(always)]
pub(crate) fn attend<S: Simd>(attention: &Attention<'_>, scratch: &mut [f32], out: &mut [f32], stride: usize) {
    let &Attention { heads, head_dim, scale, keys, values, seen, .. } = attention;
    let (positions, chunks) = (attention.positions(), head_dim.div_ceil(LANES));
    let count = seen.len() * heads;
    let (block, rest) = scratch.split_at_mut(BLOCK * chunks * LANES);
    let (queries, rest) = rest.split_at_mut(count * chunks * LANES);
    let (sums, rest) = rest.split_at_mut(count * chunks * LANES);
    let (inverses, scores) = rest.split_at_mut(count);
    let [block, queries, sums] = [block, queries, sums].map(|floats| floats.as_chunks_mut::<LANES>().0);
    let query_of = |i: usize| i / heads * attention.stride + i % heads * head_dim;
    for (i, query) in queries.chunks_exact_mut(chunks).enumerate() {
        pad(&attention.queries[query_of(i)..][..head_dim], query);
    }

    each_block::<S>(keys, head_dim, block, |first, keys| {
        let rows = scores.chunks_exact_mut(positions).zip(queries.chunks_exact(chunks));
        for (i, (scores, query)) in rows.enumerate() {
            let part = overlap(&seen[i / heads], first, keys.len() / chunks);
            let scores = &mut scores[first + part.start..first + part.end];
            self::scores::<S>(query, &keys[part.start * chunks..part.end * chunks], scale, scores);
        }
    });
    for (i, (scores, inverse)) in scores.chunks_exact_mut(positions).zip(&mut *inverses).enumerate() {
        *inverse = 1.0 / exponentials(&mut scores[seen[i / heads].clone()]);
    }

    sums.as_flattened_mut().fill(0.0);
    each_block::<S>(values, head_dim, block, |first, values| {
        let rows = scores.chunks_exact(positions).zip(sums.chunks_exact_mut(chunks));
        for (i, (weights, sums)) in rows.enumerate() {
            let part = overlap(&seen[i / heads], first, values.len() / chunks);
            let weights = &weights[first + part.start..first + part.end];
            let values = &values[part.start * chunks..part.end * chunks];
            let mut at = 0;
            while chunks - at >= 4 {
                add_weighted::<S, 4>(weights, values, at, sums);
                at += 4;
            }
            while at < chunks {
                add_weighted::<S, 1>(weights, values, at, sums);
                at += 1;
            }
        }
    });
    for (i, (sums, inverse)) in sums.chunks_exact(chunks).zip(inverses).enumerate() {
        let out = &mut out[i / heads * stride + i % heads * head_dim..][..head_dim];
        for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
            *out = sum * *inverse;
        }
    }
}

/// Calls `visit(first position, rows)` for all positions of the segments, a block at a time, widened and filled up to whole
/// chunks with zeros.
#[inline(always)]
fn each_block<S: Simd>(
    segments: &[&[u16]],
    head_dim: usize,
    block: &mut [Lanes],
    mut visit: impl FnMut(usize, &[Lanes]),
) {
    let chunks = head_dim.div_ceil(LANES);
    let mut first = 0;
    for rows in segments.iter().flat_map(|segment| segment.chunks(BLOCK * head_dim)) {
        let wide = &mut block[..rows.len() / head_dim * chunks];
        for (row, wide) in rows.chunks_exact(head_dim).zip(wide.chunks_exact_mut(chunks)) {
            let wide = wide.as_flattened_mut();
            f16_to_f32::<S>(row, &mut wide[..head_dim]);
            wide[head_dim..].fill(0.0);
        }
        visit(first, wide);
        first += rows.len() / head_dim;
    }
}

/// The part of `seen` that lies in the `len` positions from `first` on, counted from there.
#[inline(always)]
fn overlap(seen: &Range<usize>, first: usize, len: usize) -> Range<usize> {
    let within = |position: usize| position.saturating_sub(first).min(len);
    within(seen.start)..within(seen.end)
}

#[inline(always)]
fn pad(row: &[f32], padded: &mut [Lanes]) {
    let padded = padded.as_flattened_mut();
    padded[..row.len()].copy_from_slice(row);
    padded[row.len()..].fill(0.0);
}

/// `scores[k] = scale * (query . key k)`
#[inline(always)]
fn scores<S: Simd>(query: &[Lanes], keys: &[Lanes], scale: f32, scores: &mut [f32]) {
    let chunks = query.len();
    let (fours, ones) = scores.as_chunks_mut::<TOGETHER>();
    let (keys_of_fours, keys_of_ones) = keys.split_at(fours.len() * TOGETHER * chunks);
    for (scores, keys) in fours.iter_mut().zip(keys_of_fours.chunks_exact(TOGETHER * chunks)) {
        *scores = dots::<S, TOGETHER>(query, keys, S::sums).map(|score| score * scale);
    }
    for (score, key) in ones.iter_mut().zip(keys_of_ones.chunks_exact(chunks)) {
        [*score] = dots::<S, 1>(query, key, |[acc]| [S::sum(acc)]).map(|score| score * scale);
    }
}

/// The products of a query with N keys.
#[inline(always)]
fn dots<S: Simd, const N: usize>(query: &[Lanes], keys: &[Lanes], sums: impl Fn([S::V; N]) -> [f32; N]) -> [f32; N] {
    let mut keys = keys.chunks_exact(query.len());
    let keys: [&[Lanes]; N] = std::array::from_fn(|_| keys.next().unwrap_or_default());
    let mut acc = [S::splat(0.0); N];
    for (c, query) in query.iter().enumerate() {
        let query = S::load(query);
        for n in 0..N {
            acc[n] = S::fma(query, S::load(&keys[n][c]), acc[n]);
        }
    }
    sums(acc)
}

/// Adds the weighted sum of rows of values to `sums`, in C chunks from chunk `at` on.
#[inline(always)]
fn add_weighted<S: Simd, const C: usize>(weights: &[f32], values: &[Lanes], at: usize, sums: &mut [Lanes]) {
    let chunks = sums.len();
    let sums: &mut [Lanes; C] = (&mut sums[at..at + C]).try_into().expect("C chunks");
    let mut acc = sums.each_ref().map(|sum| S::load(sum));
    for (weight, value) in weights.iter().zip(values.chunks_exact(chunks)) {
        let (weight, value) = (S::splat(*weight), &value[at..at + C]);
        for c in 0..C {
            acc[c] = S::fma(weight, S::load(&value[c]), acc[c]);
        }
    }
    *sums = acc.map(S::store);
}
