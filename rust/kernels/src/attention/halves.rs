//! Attention over keys and values in half precision.
//!
//! Where several rows look at a block it is widened once for all of them; one row takes it as it is stored. A score is summed in
//! [`LANES`] accumulators over the dimensions.
#![allow(clippy::needless_range_loop, reason = "k runs over the weights of several queries, and over values")]

use std::ops::Range;

use super::{Attention, BLOCK, Block, LANES_OF_PART, MOST_QUERIES, PART, Part, Stored, Tile};
use crate::ops::{LANES, Lanes, Simd, f16_to_f32};

/// [`KvFormat::F16`](super::KvFormat::F16).
pub(super) struct Halves;

impl Stored for Halves {
    #[inline(always)]
    fn prepare<S: Simd>(tile: &mut Tile<'_>) {
        let (parts, head_dim) = (tile.parts, tile.attention.head_dim);
        for i in 0..tile.queries.len() / parts {
            let padded = tile.queries[i * parts..][..parts].as_flattened_mut().as_flattened_mut();
            padded[..head_dim].copy_from_slice(tile.attention.query(i));
            padded[head_dim..].fill(0.0);
        }
    }

    #[inline(always)]
    fn scores<S: Simd>(tile: &mut Tile<'_>, block: &Block<'_>) {
        let &mut Tile { attention, positions, parts, ref queries, .. } = tile;
        let &Attention { heads, head_dim, scale, .. } = attention;
        if takes_stored::<S>(tile) {
            let part = block.overlap(&attention.seen[0]);
            let keys = Rows::of(block, &part, head_dim);
            let scores = &mut tile.scores[block.first + part.start..];
            match heads {
                1 => stored_scores::<S, 1>(queries, keys, scale, scores, positions),
                2 => stored_scores::<S, 2>(queries, keys, scale, scores, positions),
                3 => stored_scores::<S, 3>(queries, keys, scale, scores, positions),
                _ => stored_scores::<S, MOST_QUERIES>(queries, keys, scale, scores, positions),
            }
            return;
        }
        widen::<S>(block, head_dim, tile.wide);
        let keys = &tile.wide[..];
        let mut of_queries = block.rows.start * heads..block.rows.end * heads;
        while let Some(i) = of_queries.next() {
            let of_query = |i: usize| (block.overlap(&attention.seen[i / heads]), &queries[i * parts..][..parts]);
            let (part, query) = of_query(i);
            let next = of_queries.clone().next().map(of_query).filter(|(part, _)| part.len() >= ENOUGH);
            let (scores, others) = tile.scores[i * positions..].split_at_mut(positions);
            let scores = &mut scores[block.first..][part.clone()];
            if part.len() < ENOUGH {
                few_scores::<S>(query, &keys[part.start * parts..], scale, scores);
                continue;
            }
            let scale = S::splat(scale);
            if let Some((next_part, next_query)) = next {
                of_queries.next();
                let [dots, next_dots] = S::two_dots([query, next_query], keys);
                write_part(S::store(S::mul(dots, scale)), part, scores);
                let scores = &mut others[block.first..][next_part.clone()];
                write_part(S::store(S::mul(next_dots, scale)), next_part, scores);
            } else {
                write_part(S::store(S::mul(S::dots(query, keys), scale)), part, scores);
            }
        }
    }

    #[inline(always)]
    fn add_values<S: Simd>(tile: &mut Tile<'_>, block: &Block<'_>) {
        let &mut Tile { attention, positions, parts, .. } = tile;
        let &Attention { heads, head_dim, .. } = attention;
        if takes_stored::<S>(tile) {
            let part = block.overlap(&attention.seen[0]);
            let values = Rows::of(block, &part, head_dim);
            let weights = Weights { scores: &tile.scores[block.first..], positions, part, parts };
            weights.add_all::<S, _>(values, tile.sums, heads);
            return;
        }
        widen::<S>(block, head_dim, tile.wide);
        for row in block.rows.clone() {
            let part = block.overlap(&attention.seen[row]);
            if part.is_empty() {
                continue;
            }
            let values = Widened { values: &tile.wide[part.start * parts..part.end * parts], parts };
            let (mut i, end) = (row * heads, (row + 1) * heads);
            while i < end {
                let queries = S::QUERIES.min(end - i);
                let scores = &tile.scores[i * positions + block.first..];
                let weights = Weights { scores, positions, part: part.clone(), parts };
                weights.add_all::<S, _>(values, &mut tile.sums[i * parts..], queries);
                i += queries;
            }
        }
    }
}

/// Whether the few queries of one row take a key or a value together, so that it can be widened there.
#[inline(always)]
fn takes_stored<S: Simd>(tile: &Tile<'_>) -> bool {
    let &Attention { heads, head_dim, seen, .. } = tile.attention;
    seen.len() == 1 && S::QUERIES > 1 && heads <= S::QUERIES && head_dim == tile.parts * PART
}

/// Widens the rows of a block, filled up to whole parts with zeros. Those past them hold whatever was there before.
#[inline(always)]
fn widen<S: Simd>(block: &Block<'_>, head_dim: usize, wide: &mut [Part]) {
    let width = wide.len() / BLOCK * PART;
    let wide = wide.as_flattened_mut().as_flattened_mut();
    if head_dim == width {
        f16_to_f32::<S>(block.stored, &mut wide[..block.stored.len()]);
    } else {
        for (row, wide) in block.stored.chunks_exact(head_dim).zip(wide.chunks_exact_mut(width)) {
            let (wide, rest) = wide.split_at_mut(head_dim);
            f16_to_f32::<S>(row, wide);
            rest.fill(0.0);
        }
    }
}

/// The scores of the Q queries of one row with keys as they are stored, `positions` apart from query to query.
#[inline(always)]
fn stored_scores<S: Simd, const Q: usize>(
    queries: &[Part],
    keys: Rows<'_>,
    scale: f32,
    scores: &mut [f32],
    positions: usize,
) {
    let count = keys.rows.len() / keys.row;
    let in_fours = count / 4 * 4;
    for k in (0..in_fours).step_by(4) {
        let dots = stored_dots::<S, Q, 4>(queries, keys, k);
        for q in 0..Q {
            let sums = S::sums(dots[q]);
            let scores: &mut [f32; 4] = scores[q * positions + k..].first_chunk_mut().expect("four scores more");
            for n in 0..4 {
                scores[n] = sums[n] * scale;
            }
        }
    }
    for k in in_fours..count {
        let dots = stored_dots::<S, Q, 1>(queries, keys, k);
        for q in 0..Q {
            scores[q * positions + k] = S::sum(dots[q][0]) * scale;
        }
    }
}

/// The products of each query with the N keys from k on, not yet summed up.
#[inline(always)]
fn stored_dots<S: Simd, const Q: usize, const N: usize>(queries: &[Part], keys: Rows<'_>, k: usize) -> [[S::V; N]; Q] {
    let parts = queries.len() / Q;
    let mut acc = [[S::splat(0.0); N]; Q];
    for p in 0..parts {
        for c in 0..LANES_OF_PART {
            let mut query = [S::splat(0.0); Q];
            for q in 0..Q {
                query[q] = S::load(&queries[q * parts + p][c]);
            }
            for n in 0..N {
                let key = keys.lanes::<S>(k + n, p, c);
                for q in 0..Q {
                    acc[q][n] = S::fma(query[q], key, acc[q][n]);
                }
            }
        }
    }
    acc
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
struct Weights<'a> {
    /// Those of the first query, from the block's first position on; those of the next one are `positions` further on.
    scores: &'a [f32],
    positions: usize,
    /// The positions of the block that the queries see.
    part: Range<usize>,
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

/// As they are stored, `row` halves each.
#[derive(Clone, Copy)]
struct Rows<'a> {
    rows: &'a [u16],
    row: usize,
}

impl<'a> Rows<'a> {
    /// This part of a block.
    #[inline(always)]
    fn of(block: &Block<'a>, part: &Range<usize>, head_dim: usize) -> Self {
        Self { rows: &block.stored[part.start * head_dim..part.end * head_dim], row: head_dim }
    }
}

impl Values for Rows<'_> {
    #[inline(always)]
    fn lanes<S: Simd>(self, k: usize, p: usize, c: usize) -> S::V {
        let part: &[[u16; LANES]; LANES_OF_PART] = &self.rows[k * self.row..].as_chunks().0.as_chunks().0[p];
        S::widen(&part[c])
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
