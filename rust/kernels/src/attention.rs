//! Attention of some rows over stored keys and values (Vaswani et al., 2017).
//!
//! Keys and values are widened block by block, and each block serves all queries before the next one is touched: a row of
//! one token has a few heads that share them, a tile of a prefill or of a tree's branches has some tens. The order of every sum is that of one
//! query alone: a score is summed in [`LANES`] accumulators over the dimensions, an output in one chain over the positions.

use std::ops::Range;

use crate::format::ShapeError;
use crate::ops::{LANES, Lanes, Simd, exponentials, f16_to_f32, widen};

/// Positions that are widened together: a block of them, and the queries it meets, stay in a first-level cache.
const BLOCK: usize = LANES;

/// Lanes of a [`Part`].
const LANES_OF_PART: usize = 4;

/// Elements of a head are taken in parts of so many, the last one filled up with zeros: in registers all at once.
pub(crate) type Part = [Lanes; LANES_OF_PART];

const PART: usize = LANES * LANES_OF_PART;

/// The most queries that share a load of a value.
const MOST_QUERIES: usize = 4;

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
        let width = head_dim.next_multiple_of(PART);
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
    let (positions, parts) = (attention.positions(), head_dim.div_ceil(PART));
    let count = seen.len() * heads;
    let (block, rest) = scratch.split_at_mut(BLOCK * parts * PART);
    let (queries, rest) = rest.split_at_mut(count * parts * PART);
    let (sums, rest) = rest.split_at_mut(count * parts * PART);
    let (inverses, scores) = rest.split_at_mut(count);
    let [block, queries, sums] = [block, queries, sums].map(in_parts);
    let query_of = |i: usize| i / heads * attention.stride + i % heads * head_dim;
    for (i, query) in queries.chunks_exact_mut(parts).enumerate() {
        let padded = query.as_flattened_mut().as_flattened_mut();
        padded[..head_dim].copy_from_slice(&attention.queries[query_of(i)..][..head_dim]);
        padded[head_dim..].fill(0.0);
    }
    // What all rows share, and then what each has alone, which is numbered from there on.
    let first_own = attention.count(shared.keys);
    let of_rows = || {
        let own = own.iter().enumerate().map(|(row, &own)| (row..row + 1, own, first_own));
        [(0..seen.len(), shared, 0)].into_iter().chain(own)
    };

    for (rows, segments, first) in of_rows() {
        let mut blocks = Blocks::new(attention, segments.keys, first);
        while let Some((first, len)) = blocks.widen_next::<S>(block) {
            for row in rows.clone() {
                let part = overlap(&seen[row], first, len);
                for i in row * heads..(row + 1) * heads {
                    let query = &queries[i * parts..][..parts];
                    let scores = &mut scores[i * positions + first..][part.clone()];
                    self::scores::<S>(query, block, part.start, attention.scale, scores);
                }
            }
        }
    }
    for (i, (scores, inverse)) in scores.chunks_exact_mut(positions).zip(&mut *inverses).enumerate() {
        *inverse = 1.0 / exponentials(&mut scores[seen[i / heads].clone()]);
    }

    sums.as_flattened_mut().as_flattened_mut().fill(0.0);
    for (rows, segments, first) in of_rows() {
        let mut blocks = Blocks::new(attention, segments.values, first);
        while let Some((first, len)) = blocks.widen_next::<S>(block) {
            for row in rows.clone() {
                let part = overlap(&seen[row], first, len);
                if part.is_empty() {
                    continue;
                }
                let values = &block[part.start * parts..part.end * parts];
                let (mut i, end) = (row * heads, (row + 1) * heads);
                while i < end {
                    let (sums, queries) = (&mut sums[i * parts..], S::QUERIES.min(end - i));
                    let weights = Weights { scores: &scores[i * positions + first..], positions, part: &part, parts };
                    match queries {
                        1 => add_weighted::<S, 1>(weights, values, sums),
                        2 => add_weighted::<S, 2>(weights, values, sums),
                        3 => add_weighted::<S, 3>(weights, values, sums),
                        _ => add_weighted::<S, MOST_QUERIES>(weights, values, sums),
                    }
                    i += queries;
                }
            }
        }
    }
    for (i, (sums, inverse)) in sums.chunks_exact(parts).zip(inverses).enumerate() {
        let out = &mut out[i / heads * stride + i % heads * head_dim..][..head_dim];
        for (out, sum) in out.iter_mut().zip(sums.as_flattened().as_flattened()) {
            *out = sum * *inverse;
        }
    }
}

#[inline(always)]
fn in_parts(floats: &mut [f32]) -> &mut [Part] {
    floats.as_chunks_mut().0.as_chunks_mut().0
}

/// The positions of some segments, a block at a time.
struct Blocks<'a> {
    segments: &'a [&'a [u16]],
    /// What is left of the segment before these.
    rest: &'a [u16],
    head_dim: usize,
    format: KvFormat,
    /// The number of the next position.
    first: usize,
}

impl<'a> Blocks<'a> {
    /// Numbers them from `first` on.
    #[inline(always)]
    fn new(attention: &Attention<'a>, segments: &'a [&'a [u16]], first: usize) -> Self {
        let &Attention { head_dim, format, .. } = attention;
        Self { segments, rest: &[], head_dim, format, first }
    }

    /// Widens the rows of the next block, filled up to whole parts with zeros; returns the number of its first position, and how
    /// many there are. Those past these hold whatever was there before.
    #[inline(always)]
    fn widen_next<S: Simd>(&mut self, block: &mut [Part]) -> Option<(usize, usize)> {
        let &mut Self { head_dim, format, first, .. } = self;
        let (width, row) = (block.len() / BLOCK * PART, format.row(head_dim).unwrap_or(head_dim));
        while self.rest.is_empty() {
            let (next, others) = self.segments.split_first()?;
            (self.rest, self.segments) = (next, others);
        }
        let (rows, rest) = self.rest.split_at_checked(BLOCK * row).unwrap_or((self.rest, &[]));
        let len = rows.len() / row;
        (self.rest, self.first) = (rest, first + len);
        let block = block.as_flattened_mut().as_flattened_mut();
        if format == KvFormat::F16 && head_dim == width {
            f16_to_f32::<S>(rows, &mut block[..rows.len()]);
        } else {
            for (row, wide) in rows.chunks_exact(row).zip(block.chunks_exact_mut(width)) {
                let (wide, rest) = wide.split_at_mut(head_dim);
                match format {
                    KvFormat::F16 => f16_to_f32::<S>(row, wide),
                    KvFormat::Q8_0 => q8_to_f32::<S>(row, wide),
                }
                rest.fill(0.0);
            }
        }
        Some((first, len))
    }
}

/// Widens a row in [`KvFormat::Q8_0`].
#[inline(always)]
fn q8_to_f32<S: Simd>(row: &[u16], out: &mut [f32]) {
    let out = out.as_chunks_mut::<LANES>().0.as_chunks_mut::<{ RUN / LANES }>().0;
    for ([d, codes @ ..], out) in row.as_chunks::<RUN_STORED>().0.iter().zip(out) {
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

/// `scores[i] = scale * (query . key (start + i))`, for a query in parts and the keys of a block.
#[inline(always)]
fn scores<S: Simd>(query: &[Part], keys: &[Part], start: usize, scale: f32, scores: &mut [f32]) {
    let parts = query.len();
    if scores.len() < ENOUGH {
        for (score, key) in scores.iter_mut().zip(keys[start * parts..].chunks_exact(parts)) {
            let [dot] = dots::<S, 1>(query, key, |_| 0);
            *score = S::sum(dot) * scale;
        }
        return;
    }
    let all = S::store(S::mul(S::dots(query, keys), S::splat(scale)));
    scores.copy_from_slice(&all[start..][..scores.len()]);
}

/// From so many scores on, computing those of a whole block takes less.
const ENOUGH: usize = 4;

/// The products of a query with N keys, not yet summed up; the n-th with key `of(n)`.
#[inline(always)]
pub(crate) fn dots<S: Simd, const N: usize>(query: &[Part], keys: &[Part], of: fn(usize) -> usize) -> [S::V; N] {
    let parts = query.len();
    let mut acc = [S::splat(0.0); N];
    for (p, query) in query.iter().enumerate() {
        let keys: [&Part; N] = std::array::from_fn(|n| &keys[of(n) * parts + p]);
        for (c, query) in query.iter().enumerate() {
            let query = S::load(query);
            for n in 0..N {
                acc[n] = S::fma(query, S::load(&keys[n][c]), acc[n]);
            }
        }
    }
    acc
}

/// What several queries weight the values of a block with.
#[derive(Clone, Copy)]
struct Weights<'a> {
    /// Those of the first query, from the block's first position on; those of the next one are `positions` further on.
    scores: &'a [f32],
    positions: usize,
    /// The positions of the block that the queries see.
    part: &'a Range<usize>,
    /// Parts of a value.
    parts: usize,
}

/// Adds the weighted sums of rows of values to `sums`, for Q queries.
#[inline(always)]
fn add_weighted<S: Simd, const Q: usize>(weights: Weights<'_>, values: &[Part], sums: &mut [Part]) {
    let Weights { scores, positions, part, parts } = weights;
    let mut of_query = [&scores[..0]; Q];
    for (q, weights) in of_query.iter_mut().enumerate() {
        *weights = &scores[q * positions..][part.clone()];
    }
    for p in 0..parts {
        let mut acc = [[S::splat(0.0); LANES_OF_PART]; Q];
        for (q, acc) in acc.iter_mut().enumerate() {
            for (acc, sum) in acc.iter_mut().zip(&sums[q * parts + p]) {
                *acc = S::load(sum);
            }
        }
        for (k, value) in values[p..].iter().step_by(parts).enumerate() {
            for q in 0..Q {
                let weight = S::splat(of_query[q][k]);
                for c in 0..LANES_OF_PART {
                    acc[q][c] = S::fma(weight, S::load(&value[c]), acc[q][c]);
                }
            }
        }
        for (q, acc) in acc.iter().enumerate() {
            for (sum, acc) in sums[q * parts + p].iter_mut().zip(acc) {
                *sum = S::store(*acc);
            }
        }
    }
}
