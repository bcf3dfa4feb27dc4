//! Attention of some rows over stored keys and values (Vaswani et al., 2017).
//!
//! Keys and values are widened block by block, and each block serves all queries before the next one is touched: a row of
//! one token has a few heads that share them, a tile of a prefill or of a tree's branches has some tens. (The values of one row
//! need not be kept: they are widened as they are added.) The order of every sum is that of one query alone: a score is summed
//! in [`LANES`] accumulators over the dimensions, an output in one chain over the positions.
#![allow(clippy::needless_range_loop, reason = "k runs over the weights of several queries, and over values")]

use std::ops::Range;

use crate::format::ShapeError;
use crate::ops::{LANES, Lanes, Simd, exponentials, f16_to_f32};

/// Positions that are widened together: a block of them, and the queries it meets, stay in a first-level cache.
const BLOCK: usize = LANES;

/// How many blocks are between the one that is read and the one that is fetched: hardware does not fetch beyond the end of a page.
const AHEAD: usize = 2;

/// Halves of a cache line.
const CACHE_LINE: usize = 32;

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
        (LANES + BLOCK * width)
            .saturating_add(queries.saturating_mul((2 * width + 1).saturating_add(scores_of(positions))))
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
    let (positions, parts) = (scores_of(attention.positions()), head_dim.div_ceil(PART));
    let count = seen.len() * heads;
    // A register of AVX-512 is a cache line: one that lies across two takes twice as long.
    let aligned = scratch.as_ptr().align_offset(size_of::<Lanes>()).min(LANES);
    let (block, rest) = scratch[aligned..].split_at_mut(BLOCK * parts * PART);
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
            let mut of_queries = rows.start * heads..rows.end * heads;
            while let Some(i) = of_queries.next() {
                let of_query = |i: usize| (overlap(&seen[i / heads], first, len), &queries[i * parts..][..parts]);
                let (part, query) = of_query(i);
                let (scores, others) = scores[i * positions..].split_at_mut(positions);
                let scores = &mut scores[first..][part.clone()];
                if part.len() < ENOUGH {
                    few_scores::<S>(query, &block[part.start * parts..], attention.scale, scores);
                    continue;
                }
                let scale = S::splat(attention.scale);
                if let Some(next) = of_queries.clone().next()
                    && let (next_part, next_query) = of_query(next)
                    && next_part.len() >= ENOUGH
                {
                    of_queries.next();
                    let [dots, next_dots] = S::two_dots([query, next_query], block);
                    write_part(S::store(S::mul(dots, scale)), part, scores);
                    let scores = &mut others[first..][next_part.clone()];
                    write_part(S::store(S::mul(next_dots, scale)), next_part, scores);
                } else {
                    write_part(S::store(S::mul(S::dots(query, block), scale)), part, scores);
                }
            }
        }
    }
    for (i, (scores, inverse)) in scores.chunks_exact_mut(positions).zip(&mut *inverses).enumerate() {
        *inverse = 1.0 / exponentials(&mut scores[seen[i / heads].clone()]);
    }

    sums.as_flattened_mut().as_flattened_mut().fill(0.0);
    // The few queries of one row take a value together, and it can be widened there.
    let at_once = seen.len() == 1 && S::QUERIES > 1 && heads <= S::QUERIES && head_dim == parts * PART;
    for (_, segments, first) in of_rows().filter(|_| at_once) {
        let mut blocks = Blocks::new(attention, segments.values, first);
        while let Some((first, rows)) = blocks.next::<S>() {
            let row = attention.format.row(head_dim).unwrap_or(head_dim);
            let part = overlap(&seen[0], first, rows.len() / row);
            let rows = &rows[part.start * row..part.end * row];
            let weights = Weights { scores: &scores[first..], positions, part: &part, parts };
            match attention.format {
                KvFormat::F16 => weights.add_all::<S, _>(F16Rows { rows, row }, sums, heads),
                KvFormat::Q8_0 => weights.add_all::<S, _>(Q8Rows { rows, row }, sums, heads),
            }
        }
    }
    for (rows, segments, first) in of_rows().filter(|_| !at_once) {
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
                    weights.add_all::<S, _>(Widened { values, parts }, sums, queries);
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

/// Room for the scores of a query: an odd number of cache lines, or else those of all queries at one position would meet in one set
/// of the cache.
const fn scores_of(positions: usize) -> usize {
    (positions.saturating_add(LANES - 1) / LANES * LANES) | LANES
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

    /// The number of the first position of the next block, and its rows.
    #[inline(always)]
    fn next<S: Simd>(&mut self) -> Option<(usize, &'a [u16])> {
        let first = self.first;
        let row = self.format.row(self.head_dim).unwrap_or(self.head_dim);
        while self.rest.is_empty() {
            let (next, others) = self.segments.split_first()?;
            (self.rest, self.segments) = (next, others);
        }
        let (rows, rest) = self.rest.split_at_checked(BLOCK * row).unwrap_or((self.rest, &[]));
        for line in (0..BLOCK * row).step_by(CACHE_LINE) {
            S::prefetch(rest.as_ptr().wrapping_add(AHEAD * BLOCK * row + line));
        }
        (self.rest, self.first) = (rest, first + rows.len() / row);
        Some((first, rows))
    }

    /// Widens the rows of the next block, filled up to whole parts with zeros; returns the number of its first position, and how
    /// many there are. Those past these hold whatever was there before.
    #[inline(always)]
    fn widen_next<S: Simd>(&mut self, block: &mut [Part]) -> Option<(usize, usize)> {
        let &mut Self { head_dim, format, .. } = self;
        let (first, rows) = self.next::<S>()?;
        let (width, row) = (block.len() / BLOCK * PART, format.row(head_dim).unwrap_or(head_dim));
        let len = rows.len() / row;
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
        let d = S::widen_to_all(*d);
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

/// `scores[i] = scale * (query . keys[i])`, for a query and keys in parts.
#[inline(always)]
fn few_scores<S: Simd>(query: &[Part], keys: &[Part], scale: f32, scores: &mut [f32]) {
    for (score, key) in scores.iter_mut().zip(keys.chunks_exact(query.len())) {
        let [dot] = dots::<S, 1, 1>([query], key, &[(0, 0)]);
        *score = S::sum(dot) * scale;
    }
}

/// Writes this part of the lanes.
#[inline(always)]
fn write_part(lanes: Lanes, part: Range<usize>, out: &mut [f32]) {
    match out.as_mut_array() {
        // No call, which is what it is for whole blocks, which are most.
        Some(out) => *out = lanes,
        None => out.copy_from_slice(&lanes[part]),
    }
}

/// From so many scores on, computing those of a whole block takes less.
const ENOUGH: usize = 4;

/// N products of queries with keys, not yet summed up; `of` says which query and which key each is of.
#[inline(always)]
pub(crate) fn dots<S: Simd, const N: usize, const Q: usize>(
    queries: [&[Part]; Q],
    keys: &[Part],
    of: &[(usize, usize); N],
) -> [S::V; N] {
    let parts = queries[0].len();
    let mut acc = [S::splat(0.0); N];
    for p in 0..parts {
        // Loops, as `map` and its like are not always inlined.
        let mut key = [&keys[0]; N];
        for n in 0..N {
            key[n] = &keys[of[n].1 * parts + p];
        }
        for c in 0..LANES_OF_PART {
            let mut query = [S::splat(0.0); Q];
            for q in 0..Q {
                query[q] = S::load(&queries[q][p][c]);
            }
            for n in 0..N {
                acc[n] = S::fma(query[of[n].0], S::load(&key[n][c]), acc[n]);
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

impl Weights<'_> {
    /// [`add_weighted`] for one to [`MOST_QUERIES`] queries.
    #[inline(always)]
    fn add_all<S: Simd, V: Values>(self, values: V, sums: &mut [Part], queries: usize) {
        match queries {
            1 => add_weighted::<S, V, 1>(self, values, sums),
            2 => add_weighted::<S, V, 2>(self, values, sums),
            3 => add_weighted::<S, V, 3>(self, values, sums),
            _ => add_weighted::<S, V, MOST_QUERIES>(self, values, sums),
        }
    }
}

/// Rows of values.
trait Values: Copy {
    /// The lanes `c` of part `p` of row `k`.
    fn lanes<S: Simd>(self, k: usize, p: usize, c: usize) -> S::V;
}

#[derive(Clone, Copy)]
struct Widened<'a> {
    values: &'a [Part],
    parts: usize,
}

impl Values for Widened<'_> {
    #[inline(always)]
    fn lanes<S: Simd>(self, k: usize, p: usize, c: usize) -> S::V {
        S::load(&self.values[k * self.parts + p][c])
    }
}

/// Rows in [`KvFormat::F16`], `row` halves each.
#[derive(Clone, Copy)]
struct F16Rows<'a> {
    rows: &'a [u16],
    row: usize,
}

impl Values for F16Rows<'_> {
    #[inline(always)]
    fn lanes<S: Simd>(self, k: usize, p: usize, c: usize) -> S::V {
        let part: &[[u16; LANES]; LANES_OF_PART] = &self.rows[k * self.row..].as_chunks().0.as_chunks().0[p];
        S::widen(&part[c])
    }
}

/// The same in [`KvFormat::Q8_0`].
#[derive(Clone, Copy)]
struct Q8Rows<'a> {
    rows: &'a [u16],
    row: usize,
}

impl Values for Q8Rows<'_> {
    #[inline(always)]
    fn lanes<S: Simd>(self, k: usize, p: usize, c: usize) -> S::V {
        let runs: &[[[u16; RUN_STORED]; PART / RUN]] = self.rows[k * self.row..].as_chunks().0.as_chunks().0;
        let [d, codes @ ..] = &runs[p][c / 2];
        S::fma(S::widen_to_all(*d), S::widen_codes(&codes.as_chunks().0[c % 2]), S::splat(0.0))
    }
}

/// Adds the weighted sums of rows of values to `sums`, for Q queries.
#[inline(always)]
fn add_weighted<S: Simd, V: Values, const Q: usize>(weights: Weights<'_>, values: V, sums: &mut [Part]) {
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
        for k in 0..part.len() {
            let mut value = [S::splat(0.0); LANES_OF_PART];
            for (c, value) in value.iter_mut().enumerate() {
                *value = values.lanes::<S>(k, p, c);
            }
            for q in 0..Q {
                let weight = S::splat(of_query[q][k]);
                for c in 0..LANES_OF_PART {
                    acc[q][c] = S::fma(weight, value[c], acc[q][c]);
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
