//! What the matrix products of all SIMD tiers share: the walk over a run of tokens, tile by tile.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::activation::{Activations, TILE};
use crate::format::marker::{self, Marker};
use crate::format::{Format, GROUP};
use crate::matrix::{Matrix, OutMut};

/// The product of some groups of rows with a run of tokens that starts at a whole tile. Shapes have been checked; the output
/// has the groups' rows (fewer than [`GROUP`] in the last one) and all tokens.
pub(crate) type Product = fn(&Matrix<'_>, Range<usize>, &Activations<'_>, Range<usize>, OutMut<'_>);

/// One tier's way to multiply, for code that runs only where the CPU has the tier's instructions.
pub(crate) trait Variant: Sized {
    /// A group of block-quantized rows times a tile of T tokens.
    ///
    /// # Safety
    /// The CPU has the tier's instructions; `tile` is a whole tile of T tokens, as long as the rows of `w`, which has
    /// format F.
    unsafe fn blocks<F: Marker, const T: usize>(
        w: &Matrix<'_>,
        group: usize,
        tile: &[u8],
        results: &mut [[f32; GROUP]; T],
    );

    /// Whether two groups take less together than one after the other, times whole tiles.
    fn pairs(_format: Format) -> bool {
        false
    }

    /// This group and the next one times whole tiles, of the tokens from `tokens.start` on.
    ///
    /// # Safety
    /// The CPU has the tier's instructions; `tokens` are whole tiles of `x`, which is as wide as `w`; `w` has format F.
    unsafe fn pair<F: Marker>(
        w: &Matrix<'_>,
        group: usize,
        x: &Activations<'_>,
        tokens: Range<usize>,
        outs: &mut [OutMut<'_>; 2],
    ) {
        for (i, out) in outs.iter_mut().enumerate() {
            for first in tokens.clone().step_by(TILE) {
                tile::<Self, F, TILE>(w, group + i, x.tile(first).0, first, out);
            }
        }
    }

    /// From how many tokens on a group is unpacked once for all of them.
    const TOKENS_WORTH_UNPACKING: usize = usize::MAX;

    /// Bytes of a group's block once it is unpacked, if unpacking is of use.
    fn unpacked_bytes(_format: Format) -> Option<usize> {
        None
    }

    /// Unpacks a group into `panel`: codes to a byte each, and whatever else is better done once than for every tile.
    ///
    /// # Safety
    /// The CPU has the tier's instructions; `w` has format F; `panel` has room for all blocks.
    unsafe fn unpack<F: Marker>(_w: &Matrix<'_>, _group: usize, _panel: &mut [MaybeUninit<u8>]) {}

    /// As [`Self::blocks`] for a tile of [`TILE`] tokens, with what [`Self::unpack`] wrote.
    ///
    /// # Safety
    /// As both.
    unsafe fn unpacked_blocks<F: Marker>(
        w: &Matrix<'_>,
        group: usize,
        _panel: &[MaybeUninit<u8>],
        tile: &[u8],
        results: &mut [[f32; GROUP]; TILE],
    ) {
        // SAFETY: the caller's promise.
        unsafe { Self::blocks::<F, TILE>(w, group, tile, results) }
    }

    /// A group of rows of floats, column by column, times one token.
    ///
    /// # Safety
    /// The CPU has the tier's instructions.
    unsafe fn floats<F: Marker>(columns: &[u8], x: &[[u8; 4]], result: &mut [f32; GROUP]);
}

/// The function of tier V for each format. Only to be called with a proof that the CPU has the tier's instructions.
pub(crate) fn of<V: Variant>(format: Format) -> Product {
    match format {
        Format::F32 => float_product::<V, marker::F32>,
        Format::F16 => float_product::<V, marker::F16>,
        Format::BF16 => float_product::<V, marker::BF16>,
        Format::Q4_0 => block_product::<V, marker::Q4_0>,
        Format::Q4_1 => block_product::<V, marker::Q4_1>,
        Format::Q5_0 => block_product::<V, marker::Q5_0>,
        Format::Q5_1 => block_product::<V, marker::Q5_1>,
        Format::Q8_0 => block_product::<V, marker::Q8_0>,
        Format::Q4_K => block_product::<V, marker::Q4_K>,
        Format::Q5_K => block_product::<V, marker::Q5_K>,
        Format::Q6_K => block_product::<V, marker::Q6_K>,
        Format::Q8_0N => block_product::<V, marker::Q8_0N>,
    }
}

/// Room for an unpacked group, on a cache line; a group that is longer is unpacked as it is used. 4096 columns fit in any
/// format.
#[repr(align(64))]
struct Panel([MaybeUninit<u8>; 100 << 10]);

fn block_product<V: Variant, F: Marker>(
    w: &Matrix<'_>,
    mut groups: Range<usize>,
    x: &Activations<'_>,
    tokens: Range<usize>,
    mut rest: OutMut<'_>,
) {
    while let Some(group) = groups.next() {
        let mut out;
        (out, rest) = split_group(rest);
        if tokens.len() == 1 {
            // At once: a token of its own is what decoding waits for.
            tile::<V, F, 1>(w, group, x.tile(tokens.start).0, tokens.start, &mut out);
        } else if V::pairs(F::FORMAT)
            && tokens.len() >= TILE
            && let Some(_) = groups.next()
        {
            let second;
            (second, rest) = split_group(rest);
            paired_product::<V, F>(w, group, x, tokens.clone(), [out, second]);
        } else if let Some(bytes) = V::unpacked_bytes(F::FORMAT)
            && tokens.len() >= V::TOKENS_WORTH_UNPACKING
            && w.blocks() * bytes <= size_of::<Panel>()
        {
            unpacked_product::<V, F>(w, group, x, tokens.clone(), &mut out);
        } else {
            tiles::<V, F>(w, group, x, tokens.clone(), &mut out);
        }
    }
}

/// The rows of the first group, and the others.
pub(crate) fn split_group(out: OutMut<'_>) -> (OutMut<'_>, OutMut<'_>) {
    let rows = out.rows().min(GROUP);
    out.split_rows(rows)
}

/// A run of tokens, tile by tile.
#[inline(never)]
fn tiles<V: Variant, F: Marker>(
    w: &Matrix<'_>,
    group: usize,
    x: &Activations<'_>,
    tokens: Range<usize>,
    out: &mut OutMut<'_>,
) {
    for first in tokens.step_by(TILE) {
        match x.tile(first) {
            (x, 1) => tile::<V, F, 1>(w, group, x, first, out),
            (x, 2) => tile::<V, F, 2>(w, group, x, first, out),
            (x, 3) => tile::<V, F, 3>(w, group, x, first, out),
            (x, _) => tile::<V, F, TILE>(w, group, x, first, out),
        }
    }
}

/// The tile `x` of T tokens, from `first` on.
#[inline(always)]
fn tile<V: Variant, F: Marker, const T: usize>(
    w: &Matrix<'_>,
    group: usize,
    x: &[u8],
    first: usize,
    out: &mut OutMut<'_>,
) {
    let mut results = [[0.0; GROUP]; T];
    // SAFETY: `of` is called where the CPU has the instructions, and the caller knows how wide the tile is.
    unsafe { V::blocks::<F, T>(w, group, x, &mut results) };
    write(&results, first, out);
}

/// A run of tokens by way of a panel. Apart from [`block_product`], because a large frame costs every call.
#[inline(never)]
fn unpacked_product<V: Variant, F: Marker>(
    w: &Matrix<'_>,
    group: usize,
    x: &Activations<'_>,
    tokens: Range<usize>,
    out: &mut OutMut<'_>,
) {
    let mut panel = Panel([MaybeUninit::uninit(); _]);
    // SAFETY: `of` is called where the CPU has the instructions, and the panel has room for all blocks.
    unsafe { V::unpack::<F>(w, group, &mut panel.0) };
    let rest = tokens.end - tokens.len() % TILE;
    for first in (tokens.start..rest).step_by(TILE) {
        let mut results = [[0.0; GROUP]; TILE];
        // SAFETY: as above; the panel was filled, and the tile is whole.
        unsafe { V::unpacked_blocks::<F>(w, group, &panel.0, x.tile(first).0, &mut results) };
        write(&results, first, out);
    }
    tiles::<V, F>(w, group, x, rest..tokens.end, out);
}

/// A run of tokens times two groups at once.
#[inline(never)]
fn paired_product<V: Variant, F: Marker>(
    w: &Matrix<'_>,
    group: usize,
    x: &Activations<'_>,
    tokens: Range<usize>,
    mut outs: [OutMut<'_>; 2],
) {
    let rest = tokens.end - tokens.len() % TILE;
    // SAFETY: `of` is called where the CPU has the instructions, and the tiles are whole.
    unsafe { V::pair::<F>(w, group, x, tokens.start..rest, &mut outs) };
    for (i, out) in outs.iter_mut().enumerate() {
        tiles::<V, F>(w, group + i, x, rest..tokens.end, out);
    }
}

/// Writes the results of the tokens from `first` on.
#[inline(always)]
fn write(results: &[[f32; GROUP]], first: usize, out: &mut OutMut<'_>) {
    for (t, result) in results.iter().enumerate() {
        copy(result, out.token_mut(first + t));
    }
}

/// The results of a group's rows, of which the last group has fewer, to the beginning of `out`.
#[inline(always)]
fn copy(result: &[f32; GROUP], out: &mut [f32]) {
    match out.first_chunk_mut() {
        // No call, which is what it is for whole groups, which are most.
        Some(out) => *out = *result,
        None => out.copy_from_slice(&result[..out.len()]),
    }
}

fn float_product<V: Variant, F: Marker>(
    w: &Matrix<'_>,
    groups: Range<usize>,
    x: &Activations<'_>,
    tokens: Range<usize>,
    mut out: OutMut<'_>,
) {
    let bytes = x.token_bytes();
    for (i, group) in groups.enumerate() {
        for token in tokens.clone() {
            let (tile, _) = x.tile(token / TILE * TILE);
            let x = tile[token % TILE * bytes..][..bytes].as_chunks().0;
            let mut result = [0.0; GROUP];
            // SAFETY: as above.
            unsafe { V::floats::<F>(w.codes(group), x, &mut result) };
            copy(&result, &mut out.token_mut(token)[i * GROUP..]);
        }
    }
}
