//! What the matrix products of all SIMD tiers share: the walk over a run of tokens, tile by tile.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::activation::{Activations, TILE};
use crate::format::marker::{self, Marker};
use crate::format::{Format, GROUP};
use crate::matrix::{Matrix, OutMut};

/// The product of one group of rows with a run of tokens that starts at a whole tile. Shapes have been checked; the output
/// has the group's rows (fewer than [`GROUP`] in the last one) and all tokens.
pub(crate) type Product = fn(&Matrix<'_>, usize, &Activations<'_>, Range<usize>, &mut OutMut<'_>);

/// One tier's way to multiply, for code that runs only where the CPU has the tier's instructions.
pub(crate) trait Variant {
    /// A group of block-quantized rows times a tile of T tokens.
    ///
    /// # Safety
    /// The CPU has the tier's instructions; `tile` is a whole tile of T tokens, as long as the rows of `w`, which has
    /// format F.
    unsafe fn blocks<F: Marker, const T: usize>(
        w: &Matrix<'_>,
        group: usize,
        tile: &[u8],
        results: &mut [[f32; GROUP]; TILE],
    );

    /// From how many tokens on a group is unpacked once for all of them.
    const TOKENS_WORTH_UNPACKING: usize;

    /// Bytes of a group's block once it is unpacked, if unpacking is of use.
    fn unpacked_bytes(format: Format) -> Option<usize>;

    /// Unpacks a group into `panel`: codes to a byte each, and whatever else is better done once than for every tile.
    ///
    /// # Safety
    /// The CPU has the tier's instructions; `w` has format F; `panel` has room for all blocks.
    unsafe fn unpack<F: Marker>(w: &Matrix<'_>, group: usize, panel: &mut [MaybeUninit<u8>]);

    /// As [`Self::blocks`] for a tile of [`TILE`] tokens, with what [`Self::unpack`] wrote.
    ///
    /// # Safety
    /// As both.
    unsafe fn unpacked_blocks<F: Marker>(
        w: &Matrix<'_>,
        group: usize,
        panel: &[MaybeUninit<u8>],
        tile: &[u8],
        results: &mut [[f32; GROUP]; TILE],
    );

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
    }
}

/// Room for an unpacked group, on a cache line; a group that is longer is unpacked as it is used. 4096 columns fit in any
/// format.
#[repr(align(64))]
struct Panel([MaybeUninit<u8>; 96 << 10]);

fn block_product<V: Variant, F: Marker>(
    w: &Matrix<'_>,
    group: usize,
    x: &Activations<'_>,
    tokens: Range<usize>,
    out: &mut OutMut<'_>,
) {
    if let Some(bytes) = V::unpacked_bytes(F::FORMAT)
        && tokens.len() >= V::TOKENS_WORTH_UNPACKING
        && w.blocks() * bytes <= size_of::<Panel>()
    {
        unpacked_product::<V, F>(w, group, x, tokens, out);
    } else {
        tiles::<V, F>(w, group, None, x, tokens, out);
    }
}

/// [`block_product`] by way of a panel. Apart from it, because a large frame costs every call, and one token has no use for it.
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
    tiles::<V, F>(w, group, Some(&panel.0), x, tokens, out);
}

/// All tiles of a run of tokens, with the group's codes unpacked beforehand or not.
#[inline(always)]
fn tiles<V: Variant, F: Marker>(
    w: &Matrix<'_>,
    group: usize,
    panel: Option<&[MaybeUninit<u8>]>,
    x: &Activations<'_>,
    tokens: Range<usize>,
    out: &mut OutMut<'_>,
) {
    for first in tokens.step_by(TILE) {
        let (tile, width) = x.tile(first);
        let mut results = [[0.0; GROUP]; TILE];
        // SAFETY: `of` is called where the CPU has the instructions; the tile is `width` tokens wide, and the panel was filled.
        unsafe {
            match (width, panel) {
                (1, _) => V::blocks::<F, 1>(w, group, tile, &mut results),
                (2, _) => V::blocks::<F, 2>(w, group, tile, &mut results),
                (3, _) => V::blocks::<F, 3>(w, group, tile, &mut results),
                (_, None) => V::blocks::<F, TILE>(w, group, tile, &mut results),
                (_, Some(panel)) => V::unpacked_blocks::<F>(w, group, panel, tile, &mut results),
            }
        }
        for (t, result) in results[..width].iter().enumerate() {
            let out = out.token_mut(first + t);
            match out.as_mut_array::<GROUP>() {
                // No call, which is what it is for whole groups, which are most.
                Some(out) => *out = *result,
                None => out.copy_from_slice(&result[..out.len()]),
            }
        }
    }
}

fn float_product<V: Variant, F: Marker>(
    w: &Matrix<'_>,
    group: usize,
    x: &Activations<'_>,
    tokens: Range<usize>,
    out: &mut OutMut<'_>,
) {
    let bytes = x.token_bytes();
    for token in tokens {
        let (tile, _) = x.tile(token / TILE * TILE);
        let x = tile[token % TILE * bytes..][..bytes].as_chunks().0;
        let mut result = [0.0; GROUP];
        // SAFETY: as above.
        unsafe { V::floats::<F>(w.codes(group), x, &mut result) };
        let out = out.token_mut(token);
        out.copy_from_slice(&result[..out.len()]);
    }
}
