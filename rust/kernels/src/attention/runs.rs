//! Attention over keys and values in 8 bits.
//!
//! A run of 32 elements shares a scale. Queries are made into such runs as well, so that 32 products are an exact sum of integers;
//! a score is `sum(dot * (d * scale))` over the runs, fused, in their order. A value counts `code * (d * weight)`, fused.
#![allow(clippy::needless_range_loop, reason = "k runs over the weights of several queries, and over values")]

use std::ops::Range;

use super::{Attention, BLOCK, Block, MOST_QUERIES, PART, Part, Stored, Tile};
use crate::ops::{LANES, Lanes, Simd, quantize_run};

/// Elements that share a scale in [`KvFormat::Q8_0`](super::KvFormat::Q8_0), and the halves that they and it take.
pub(crate) const RUN: usize = 32;
pub(crate) const RUN_STORED: usize = 1 + RUN / 2;

/// Lanes of a run.
const LANES_OF_RUN: usize = RUN / LANES;

/// [`KvFormat::Q8_0`](super::KvFormat::Q8_0).
pub(super) struct Runs;

/// A run of a query.
#[repr(C)]
struct QueryRun {
    /// The run's scale times that of the scores.
    scale: f32,
    codes: [i8; RUN],
}

/// A block of rows in runs, as many as there can be.
#[derive(Clone, Copy)]
pub(crate) struct RunBlock<'a> {
    stored: &'a [[u16; RUN_STORED]],
    /// Runs of a row.
    runs: usize,
}

impl<'a> RunBlock<'a> {
    /// Takes those that the block lacks from whatever is in `room`.
    #[inline(always)]
    fn of(block: &Block<'a>, runs: usize, room: &'a mut [Part]) -> Self {
        let mut stored = block.stored;
        if block.len < BLOCK {
            // SAFETY: any bits are a float and two halves.
            let (_, room, _) = unsafe { room.as_flattened_mut().as_flattened_mut().align_to_mut::<u16>() };
            room[..stored.len()].copy_from_slice(stored);
            stored = room;
        }
        Self { stored: &stored.as_chunks().0[..BLOCK * runs], runs }
    }

    /// Run r of row k.
    #[inline(always)]
    fn run(self, k: usize, r: usize) -> &'a [u16; RUN_STORED] {
        assert!(k < BLOCK && r < self.runs, "a run of the block");
        // SAFETY: there are as many.
        unsafe { self.stored.get_unchecked(k * self.runs + r) }
    }

    /// The codes of it, signed bytes, two to a word.
    #[inline(always)]
    pub fn codes(self, k: usize, r: usize) -> &'a [u16; RUN / 2] {
        let [_, codes @ ..] = self.run(k, r);
        codes
    }

    /// The scales of run r of all rows.
    #[inline(always)]
    fn scales<S: Simd>(self, r: usize) -> S::V {
        let mut halves = [0; LANES];
        for k in 0..LANES {
            halves[k] = self.run(k, r)[0];
        }
        S::widen(&halves)
    }
}

/// As runs, of which each takes the place of at most as many elements.
fn in_runs(queries: &mut [Part], count: usize) -> &mut [QueryRun] {
    // SAFETY: any bits are a float and a run.
    let (before, runs, _) = unsafe { queries.as_flattened_mut().as_flattened_mut().align_to_mut() };
    assert!(before.is_empty(), "floats are aligned as runs are");
    &mut runs[..count]
}

impl Stored for Runs {
    #[inline(always)]
    fn prepare<S: Simd>(tile: &mut Tile<'_>) {
        let &Attention { seen, heads, head_dim, scale, .. } = tile.attention;
        let (count, runs) = (seen.len() * heads, head_dim / RUN);
        for (i, query) in in_runs(tile.queries, count * runs).chunks_exact_mut(runs).enumerate() {
            for (run, x) in query.iter_mut().zip(tile.attention.query(i).as_chunks().0) {
                let (d, codes) = quantize_run::<S>(x);
                *run = QueryRun { scale: d * scale, codes: codes.map(u8::cast_signed) };
            }
        }
    }

    #[inline(always)]
    fn scores<S: Simd>(tile: &mut Tile<'_>, block: &Block<'_>) {
        let &Attention { seen, heads, head_dim, .. } = tile.attention;
        let (positions, runs) = (tile.positions, head_dim / RUN);
        let rows = RunBlock::of(block, runs, tile.wide);
        for r in 0..runs {
            let scales = rows.scales::<S>(r);
            for row in block.rows.clone() {
                if block.overlap(&seen[row]).is_empty() {
                    continue;
                }
                let (mut i, end) = (row * heads, (row + 1) * heads);
                while i < end {
                    let queries = MOST_QUERIES.min(end - i);
                    let of_queries = &in_runs(tile.queries, seen.len() * heads * runs)[i * runs..];
                    let scores = &mut tile.scores[i * positions + block.first..];
                    match queries {
                        1 => add_dots::<S, 1>(of_queries, rows, r, scales, scores, positions),
                        2 => add_dots::<S, 2>(of_queries, rows, r, scales, scores, positions),
                        3 => add_dots::<S, 3>(of_queries, rows, r, scales, scores, positions),
                        _ => add_dots::<S, MOST_QUERIES>(of_queries, rows, r, scales, scores, positions),
                    }
                    i += queries;
                }
            }
        }
    }

    #[inline(always)]
    fn add_values<S: Simd>(tile: &mut Tile<'_>, block: &Block<'_>) {
        let &Attention { seen, heads, head_dim, .. } = tile.attention;
        let (positions, parts) = (tile.positions, tile.parts);
        let rows = RunBlock::of(block, head_dim / RUN, tile.wide);
        for row in block.rows.clone() {
            let part = block.overlap(&seen[row]);
            if part.is_empty() {
                continue;
            }
            let (mut i, end) = (row * heads, (row + 1) * heads);
            while i < end {
                let queries = S::QUERIES_OF_RUNS.min(end - i);
                let mut weighted = Weighted {
                    rows,
                    part: part.clone(),
                    scores: &tile.scores[i * positions + block.first..],
                    positions,
                    sums: tile.sums[i * parts..].as_flattened_mut(),
                    width: parts * PART / LANES,
                };
                match queries {
                    1 => weighted.add_all::<S, 1>(),
                    2 => weighted.add_all::<S, 2>(),
                    3 => weighted.add_all::<S, 3>(),
                    _ => weighted.add_all::<S, MOST_QUERIES>(),
                }
                i += queries;
            }
        }
    }
}

/// Adds what run r has of the scores of Q queries.
#[inline(always)]
fn add_dots<S: Simd, const Q: usize>(
    queries: &[QueryRun],
    rows: RunBlock<'_>,
    r: usize,
    scales: S::V,
    scores: &mut [f32],
    positions: usize,
) {
    let mut codes = [&queries[0].codes; Q];
    for q in 0..Q {
        codes[q] = &queries[q * rows.runs + r].codes;
    }
    let dots = S::code_dots(codes, rows, r);
    for q in 0..Q {
        let scores: &mut Lanes = scores[q * positions..].first_chunk_mut().expect("room for a block more");
        let before = if r == 0 { S::splat(0.0) } else { S::load(scores) };
        *scores = S::store(S::fma(dots[q], S::mul(scales, S::splat(queries[q * rows.runs + r].scale)), before));
    }
}

/// In one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Aligned(Lanes);

/// The weighted values of a block, on their way into the sums of some queries.
struct Weighted<'a> {
    rows: RunBlock<'a>,
    /// The positions of the block that the queries see.
    part: Range<usize>,
    /// Those of the first query, from the block's first position on; those of the next one are `positions` further on.
    scores: &'a [f32],
    positions: usize,
    sums: &'a mut [Lanes],
    /// From the sums of a query to those of the next one.
    width: usize,
}

impl Weighted<'_> {
    #[inline(always)]
    fn add_all<S: Simd, const Q: usize>(&mut self) {
        let mut r = 0;
        while S::RUNS == 2 && r + 2 <= self.rows.runs {
            self.add::<S, Q, 2>(r);
            r += 2;
        }
        while r < self.rows.runs {
            self.add::<S, Q, 1>(r);
            r += 1;
        }
    }

    /// R runs from r on.
    #[inline(always)]
    fn add<S: Simd, const Q: usize, const R: usize>(&mut self, r: usize) {
        let &mut Self { rows, ref part, scores, positions, ref mut sums, width } = self;
        let mut weights = [[Aligned([0.0; LANES]); R]; Q];
        for j in 0..R {
            let scales = rows.scales::<S>(r + j);
            for q in 0..Q {
                let scores = scores[q * positions..].first_chunk().expect("room for a block more");
                weights[q][j].0 = S::store(S::mul(S::load(scores), scales));
            }
        }
        let mut acc = [[[S::splat(0.0); LANES_OF_RUN]; R]; Q];
        for q in 0..Q {
            for j in 0..R {
                for c in 0..LANES_OF_RUN {
                    acc[q][j][c] = S::load(&sums[q * width + (r + j) * LANES_OF_RUN + c]);
                }
            }
        }
        for (k, row) in part.clone().zip(rows.stored.chunks_exact(rows.runs).skip(part.start)) {
            let row: &[[u16; RUN_STORED]; R] = row[r..].first_chunk().expect("as many runs");
            for j in 0..R {
                let [_, codes @ ..] = &row[j];
                let (lanes, _) = codes.as_chunks();
                for c in 0..LANES_OF_RUN {
                    let value = S::widen_codes(&lanes[c]);
                    for q in 0..Q {
                        acc[q][j][c] = S::fma(S::splat(weights[q][j].0[k]), value, acc[q][j][c]);
                    }
                }
            }
        }
        for q in 0..Q {
            for j in 0..R {
                for c in 0..LANES_OF_RUN {
                    sums[q * width + (r + j) * LANES_OF_RUN + c] = S::store(acc[q][j][c]);
                }
            }
        }
    }
}
