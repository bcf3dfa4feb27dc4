//! Attention of some rows over stored keys and values (Vaswani et al., 2017).
//!
//! Keys and values are widened block by block, and each block serves all queries before the next one is touched: a row of
//! one token has a few heads that share them, a tile of a prefill or of a tree's branches has some tens. The order of every sum is that of one
//! query alone: a score is summed in [`LANES`] accumulators over the dimensions, an output in one chain over the positions.

use std::ops::Range;

use crate::format::ShapeError;
use crate::ops::{LANES, Lanes, Simd, exponentials, f16_to_f32, widen};

/// Positions that are widened together: a block of them, and the queries it meets, stay in a first-level cache.
const BLOCK: usize = 16;

/// Scores that are summed up together.
pub(crate) const TOGETHER: usize = 4;

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KvFormat {
    /// Half precision.
    #[default]
    F16,
    /// 8 bits with one half as the scale of 32 elements, the largest of which has 127 steps.
    Q8_0,
}

/// Elements that share a scale in [`KvFormat::Q8_0`], and the halves that they and it take.
pub(crate) const RUN: usize = 32;
pub(crate) const RUN_STORED: usize = 1 + RUN / 2;

impl KvFormat {
    /// Halves that a row of `head_dim` elements takes; `None` if it is no whole number of blocks.
    pub fn row(self, head_dim: usize) -> Option<usize> {
        match self {
            Self::F16 => Some(head_dim),
            Self::Q8_0 => head_dim.is_multiple_of(RUN).then_some(head_dim / RUN * RUN_STORED),
        }
    }
}

/// Keys, and as many values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Segments<'a> {
    /// Segments of `[positions][head_dim]` stored elements that follow one another.
    pub keys: &'a [&'a [u16]],
    /// The same for the values.
    pub values: &'a [&'a [u16]],
}

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
    /// How keys and values are stored.
    pub format: KvFormat,
    /// What all rows share: a prefix, or pieces of it.
    pub shared: Segments<'a>,
    /// What follows for each row alone: its branch of a tree. Empty where no row has anything of its own.
    pub own: &'a [Segments<'a>],
    /// For each row, which of the shared and then its own positions it sees. Any mask or window is a matter of these.
    pub seen: &'a [Range<usize>],
}

impl<'a> Attention<'a> {
    /// Floats of scratch for `rows` rows of `heads` heads that look at `positions` positions each, at most.
    pub fn scratch(rows: usize, heads: usize, head_dim: usize, positions: usize) -> usize {
        let width = head_dim.next_multiple_of(LANES);
        let queries = rows.saturating_mul(heads);
        (BLOCK * width).saturating_add(queries.saturating_mul(2 * width + 1 + positions))
    }

    /// Positions in some segments.
    fn count(&self, segments: &[&[u16]]) -> usize {
        let row = self.format.row(self.head_dim).unwrap_or(self.head_dim).max(1);
        segments.iter().map(|segment| segment.len()).sum::<usize>() / row
    }

    fn own(&self, row: usize) -> Segments<'a> {
        self.own.get(row).copied().unwrap_or_default()
    }

    /// Positions of the row that has most.
    fn positions(&self) -> usize {
        let own = self.own.iter().map(|own| self.count(own.keys)).max().unwrap_or(0);
        self.count(self.shared.keys) + own
    }

    /// Whether everything fits together, an output with `stride` from row to row included.
    pub(crate) fn check(&self, scratch: usize, out: usize, stride: usize) -> Result<(), ShapeError> {
        let &Self { head_dim, heads, .. } = self;
        let at_least = |what, wanted: usize, got: usize| {
            if got < wanted { Err(ShapeError::new(what, wanted, got)) } else { Ok(()) }
        };
        at_least("head dimension, at least", 1, head_dim)?;
        let row = self.format.row(head_dim).ok_or(ShapeError::new("head dimension, as a multiple", RUN, head_dim))?;
        if !self.own.is_empty() {
            ShapeError::unless_equal("rows with segments of their own", self.seen.len(), self.own.len())?;
        }
        for Segments { keys, values } in self.own.iter().chain([&self.shared]) {
            ShapeError::unless_equal("segments of values", keys.len(), values.len())?;
            for (keys, values) in keys.iter().zip(*values) {
                if !keys.len().is_multiple_of(row) {
                    return Err(ShapeError::new("length of a segment of keys, as a multiple", row, keys.len()));
                }
                ShapeError::unless_equal("length of a segment of values", keys.len(), values.len())?;
            }
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
        let shared = self.count(self.shared.keys);
        for (row, seen) in self.seen.iter().enumerate() {
            at_least("positions seen, at least", 1, seen.len())?;
            at_least("positions there are, at least", seen.end, shared + self.count(self.own(row).keys))?;
        }
        Ok(())
    }
}

/// See [`Kernels::attend`](crate::Kernels::attend).
#[inline(always)]
pub(crate) fn attend<S: Simd>(attention: &Attention<'_>, scratch: &mut [f32], out: &mut [f32], stride: usize) {
    let &Attention { heads, head_dim, shared, own, seen, .. } = attention;
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
    // What all rows share, and then what each has alone, which is numbered from there on.
    let first_own = attention.count(shared.keys);
    let parts = || {
        let own = own.iter().enumerate().map(|(row, &own)| (row..row + 1, own, first_own));
        [(0..seen.len(), shared, 0)].into_iter().chain(own)
    };

    for (rows, segments, first) in parts() {
        each_block::<S>(attention, segments.keys, first, block, |first, keys| {
            let of_rows = rows.start * heads..rows.end * heads;
            let queries = queries.chunks_exact(chunks);
            let queries = scores.chunks_exact_mut(positions).zip(queries).enumerate();
            for (i, (scores, query)) in queries.take(of_rows.end).skip(of_rows.start) {
                let part = overlap(&seen[i / heads], first, keys.len() / chunks);
                let scores = &mut scores[first + part.start..first + part.end];
                let keys = &keys[part.start * chunks..part.end * chunks];
                self::scores::<S>(query, keys, attention.scale, scores);
            }
        });
    }
    for (i, (scores, inverse)) in scores.chunks_exact_mut(positions).zip(&mut *inverses).enumerate() {
        *inverse = 1.0 / exponentials(&mut scores[seen[i / heads].clone()]);
    }

    sums.as_flattened_mut().fill(0.0);
    for (rows, segments, first) in parts() {
        each_block::<S>(attention, segments.values, first, block, |first, values| {
            let of_rows = rows.start * heads..rows.end * heads;
            let sums = scores.chunks_exact(positions).zip(sums.chunks_exact_mut(chunks)).enumerate();
            for (i, (weights, sums)) in sums.take(of_rows.end).skip(of_rows.start) {
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
    }
    for (i, (sums, inverse)) in sums.chunks_exact(chunks).zip(inverses).enumerate() {
        let out = &mut out[i / heads * stride + i % heads * head_dim..][..head_dim];
        for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
            *out = sum * *inverse;
        }
    }
}

/// Calls `visit(position, rows)` for all positions of the segments, numbered from `first` on, a block at a time, widened and
/// filled up to whole chunks with zeros.
#[inline(always)]
fn each_block<S: Simd>(
    attention: &Attention<'_>,
    segments: &[&[u16]],
    mut first: usize,
    block: &mut [Lanes],
    mut visit: impl FnMut(usize, &[Lanes]),
) {
    let &Attention { head_dim, format, .. } = attention;
    let (chunks, row) = (head_dim.div_ceil(LANES), format.row(head_dim).unwrap_or(head_dim));
    for rows in segments.iter().flat_map(|segment| segment.chunks(BLOCK * row)) {
        let wide = &mut block[..rows.len() / row * chunks];
        for (row, wide) in rows.chunks_exact(row).zip(wide.chunks_exact_mut(chunks)) {
            match format {
                KvFormat::F16 => {
                    let wide = wide.as_flattened_mut();
                    f16_to_f32::<S>(row, &mut wide[..head_dim]);
                    wide[head_dim..].fill(0.0);
                }
                KvFormat::Q8_0 => q8_to_f32::<S>(row, wide),
            }
        }
        visit(first, wide);
        first += rows.len() / row;
    }
}

/// Widens a row in [`KvFormat::Q8_0`].
#[inline(always)]
fn q8_to_f32<S: Simd>(row: &[u16], out: &mut [Lanes]) {
    let runs = row.as_chunks::<RUN_STORED>().0.iter().zip(out.as_chunks_mut::<{ RUN / LANES }>().0);
    for ([d, codes @ ..], out) in runs {
        let d = S::splat(widen(*d));
        for (out, codes) in out.iter_mut().zip(codes.as_chunks::<{ LANES / 2 }>().0) {
            *out = S::store(S::fma(d, S::widen_codes(codes), S::splat(0.0)));
        }
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
