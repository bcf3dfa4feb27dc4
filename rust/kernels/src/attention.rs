//! Attention of some rows over stored keys and values (Vaswani et al., 2017).
//!
//! Keys and values are taken block by block, and each block serves all queries before the next one is touched: a row of one token
//! has a few heads that share them, a tile of a prefill or of a tree's branches has some tens. The order of every sum is that of
//! one query alone: an output is one chain over the positions, and how a score is summed its format says.

mod halves;
mod runs;

use std::ops::Range;

pub(crate) use halves::dots;
pub(crate) use runs::{RUN, RUN_STORED, RunBlock};

use crate::format::ShapeError;
use crate::ops::{LANES, Lanes, Simd, exponentials};

/// Positions that are taken together: a block of them, and the queries it meets, stay in a first-level cache.
const BLOCK: usize = LANES;

/// How many halves are between the block that is read and what is fetched: hardware does not fetch beyond the end of a page.
const AHEAD: usize = 4096;

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

    /// One of all the query heads.
    fn query(&self, i: usize) -> &'a [f32] {
        &self.queries[i / self.heads * self.stride + i % self.heads * self.head_dim..][..self.head_dim]
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
    match attention.format {
        KvFormat::F16 => attend_to::<S, halves::Halves>(attention, scratch, out, stride),
        KvFormat::Q8_0 if attention.head_dim == 64 => {
            // The usual size, as a constant: where each of a block's sixteen rows begins takes as long to compute as they do.
            attend_to::<S, runs::Runs>(&Attention { head_dim: 64, ..*attention }, scratch, out, stride);
        }
        KvFormat::Q8_0 => attend_to::<S, runs::Runs>(attention, scratch, out, stride),
    }
}

/// A way to store keys and values: what a block of them takes.
trait Stored {
    /// Takes over the queries.
    fn prepare<S: Simd>(tile: &mut Tile<'_>);
    /// Computes the scores of the queries that see something of a block of keys. What is written for positions that they do not
    /// see means nothing; it may be up to [`LANES`] positions past the last one.
    fn scores<S: Simd>(tile: &mut Tile<'_>, block: &Block<'_>);
    /// Adds a block of values, weighted with what has become of the scores, to the sums of the queries that see it.
    fn add_values<S: Simd>(tile: &mut Tile<'_>, block: &Block<'_>);
}

/// The rows of an attention on their way.
struct Tile<'a> {
    attention: &'a Attention<'a>,
    /// From the scores of a query to those of the next one.
    positions: usize,
    /// Parts of a head.
    parts: usize,
    /// Room for a widened block.
    wide: &'a mut [Part],
    /// Room for what has become of the queries.
    queries: &'a mut [Part],
    sums: &'a mut [Part],
    scores: &'a mut [f32],
}

/// Keys or values of some positions, [`BLOCK`] at most.
struct Block<'a> {
    /// The rows that may see it.
    rows: Range<usize>,
    /// The number of its first position.
    first: usize,
    len: usize,
    stored: &'a [u16],
}

impl Block<'_> {
    /// The part of it that is seen, counted from its first position.
    #[inline(always)]
    fn overlap(&self, seen: &Range<usize>) -> Range<usize> {
        let within = |position: usize| position.saturating_sub(self.first).min(self.len);
        within(seen.start)..within(seen.end)
    }
}

#[inline(always)]
fn attend_to<S: Simd, F: Stored>(attention: &Attention<'_>, scratch: &mut [f32], out: &mut [f32], stride: usize) {
    let &Attention { heads, head_dim, shared, own, seen, .. } = attention;
    let (positions, parts) = (scores_of(attention.positions()), head_dim.div_ceil(PART));
    let count = seen.len() * heads;
    // A register of AVX-512 is a cache line: one that lies across two takes twice as long.
    let aligned = scratch.as_ptr().align_offset(size_of::<Lanes>()).min(LANES);
    let (wide, rest) = scratch[aligned..].split_at_mut(BLOCK * parts * PART);
    let (queries, rest) = rest.split_at_mut(count * parts * PART);
    let (sums, rest) = rest.split_at_mut(count * parts * PART);
    let (inverses, scores) = rest.split_at_mut(count);
    sums.fill(0.0);
    let [wide, queries, sums] = [wide, queries, sums].map(|floats| floats.as_chunks_mut().0.as_chunks_mut().0);
    let mut tile = Tile { attention, positions, parts, wide, queries, sums, scores };
    for segment in [shared.keys.first(), shared.values.first()].into_iter().flatten() {
        fetch::<S>(&segment[..segment.len().min(AHEAD)]);
    }
    F::prepare::<S>(&mut tile);
    // What all rows share, and then what each has alone, which is numbered from there on.
    let first_own = attention.count(shared.keys);
    let of_rows = || {
        let own = own.iter().enumerate().map(|(row, &own)| (row..row + 1, own, first_own));
        [(0..seen.len(), shared, 0)].into_iter().chain(own)
    };

    for (rows, segments, first) in of_rows() {
        let mut blocks = Blocks::new(attention, segments.keys, rows, first);
        while let Some(block) = blocks.next::<S>() {
            F::scores::<S>(&mut tile, &block);
        }
    }
    for (i, (scores, inverse)) in tile.scores.chunks_exact_mut(positions).zip(&mut *inverses).enumerate() {
        *inverse = 1.0 / exponentials(&mut scores[seen[i / heads].clone()]);
    }
    for (rows, segments, first) in of_rows() {
        let mut blocks = Blocks::new(attention, segments.values, rows, first);
        while let Some(block) = blocks.next::<S>() {
            F::add_values::<S>(&mut tile, &block);
        }
    }
    for (i, (sums, inverse)) in tile.sums.chunks_exact(parts).zip(inverses).enumerate() {
        let out = &mut out[i / heads * stride + i % heads * head_dim..][..head_dim];
        for (out, sum) in out.iter_mut().zip(sums.as_flattened().as_flattened()) {
            *out = sum * *inverse;
        }
    }
}

/// Room for the scores of a query, [`LANES`] more than there are: an odd number of cache lines, or else those of all queries at one
/// position would meet in one set of the cache.
const fn scores_of(positions: usize) -> usize {
    (positions.saturating_add(2 * LANES - 1) / LANES * LANES) | LANES
}

/// Asks for what no block before it has asked for.
#[inline(always)]
fn fetch<S: Simd>(stored: &[u16]) {
    stored.chunks(CACHE_LINE).for_each(|line| S::prefetch(line.as_ptr()));
}

/// The positions of some segments, a block at a time.
struct Blocks<'a> {
    segments: &'a [&'a [u16]],
    /// What is left of the segment before these.
    rest: &'a [u16],
    /// Halves of a stored row.
    row: usize,
    /// The rows that may see them.
    rows: Range<usize>,
    /// The number of the next position.
    first: usize,
}

impl<'a> Blocks<'a> {
    /// Numbers them from `first` on.
    #[inline(always)]
    fn new(attention: &Attention<'a>, segments: &'a [&'a [u16]], rows: Range<usize>, first: usize) -> Self {
        let row = attention.format.row(attention.head_dim).unwrap_or(attention.head_dim);
        Self { segments, rest: &[], row, rows, first }
    }

    #[inline(always)]
    fn next<S: Simd>(&mut self) -> Option<Block<'a>> {
        let (first, row) = (self.first, self.row);
        while self.rest.is_empty() {
            let (next, others) = self.segments.split_first()?;
            (self.rest, self.segments) = (next, others);
        }
        let (stored, rest) = self.rest.split_at_checked(BLOCK * row).unwrap_or((self.rest, &[]));
        for line in (0..BLOCK * row).step_by(CACHE_LINE) {
            S::prefetch(stored.as_ptr().wrapping_add(AHEAD + line));
        }
        let len = stored.len() / row;
        (self.rest, self.first) = (rest, first + len);
        Some(Block { rows: self.rows.clone(), first, len, stored })
    }
}
