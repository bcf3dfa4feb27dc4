//! Views over quantized activations, in the order in which the kernels read them.
//!
//! Tokens are taken [`TILE`] at a time; what is left makes one narrower tile. A tile of w tokens is, block after block:
//!
//! | kind | one block of a tile |
//! |---|---|
//! | Q8, 32 columns | i8 `codes[4][w][8]`, f32 `d[w]`, f32 `d * sum[w]`, i32 `sum[w]` |
//! | Q8K, 256 columns | i8 `codes[32][w][8]`, f32 `d[w]`, i16 `sums of 16[8][w][2]`, i16 `sums of 32[4][w][2]` |
//!
//! where `codes[k][token][b]` is column 8k+b, and sums are of codes. F32 activations are plain rows `[token][cols]`.
//!
//! Most instructions multiply four columns at a time ([`word`] says where they are); matrix multiplication wants eight.

use crate::format::ShapeError;

/// Tokens that are computed together.
pub const TILE: usize = 4;

/// Where, in words of four codes, columns 4 * i to 4 * i + 3 of token `t` are in a tile of `width` tokens.
#[inline(always)]
pub(crate) const fn word(i: usize, width: usize, t: usize) -> usize {
    (i / 2 * width + t) * 2 + i % 2
}

/// How activations are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActivationKind {
    /// 8 bits with one scale per 32 columns.
    Q8,
    /// 8 bits with one scale per 256 columns.
    Q8K,
    /// As they are.
    F32,
}

impl ActivationKind {
    /// Columns that share a scale.
    pub(crate) const fn block(self) -> usize {
        match self {
            Self::Q8 => 32,
            Self::Q8K => 256,
            Self::F32 => 1,
        }
    }

    /// Bytes of one token's block.
    pub(crate) const fn record(self) -> usize {
        match self {
            Self::Q8 => 32 + 4 + 4 + 4,
            Self::Q8K => 256 + 4 + 32 + 16,
            Self::F32 => 4,
        }
    }
}

/// Quantized activations, `[tokens][cols]`.
#[derive(Clone, Copy)]
pub struct Activations<'a> {
    kind: ActivationKind,
    tokens: usize,
    cols: usize,
    data: &'a [u8],
}

impl<'a> Activations<'a> {
    /// Floats as they are, `[tokens][cols]`.
    pub fn floats(x: &'a [f32], cols: usize) -> Result<Self, ShapeError> {
        const { assert!(cfg!(target_endian = "little"), "kernels read floats as little-endian bytes") };
        let tokens = x.len() / cols.max(1);
        ShapeError::unless_equal("length of activations", tokens * cols, x.len())?;
        // SAFETY: these are the bytes of the floats, and every byte may be read.
        let data = unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), size_of_val(x)) };
        Ok(Self { kind: ActivationKind::F32, tokens, cols, data })
    }

    /// Bytes that `tokens` rows of `cols` columns take.
    pub fn bytes(kind: ActivationKind, tokens: usize, cols: usize) -> usize {
        cols.div_ceil(kind.block()).saturating_mul(kind.record()).saturating_mul(tokens)
    }

    /// How they are stored.
    pub fn kind(&self) -> ActivationKind {
        self.kind
    }

    /// Rows.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes of one token.
    pub(crate) fn token_bytes(&self) -> usize {
        self.cols / self.kind.block() * self.kind.record()
    }

    /// The tile that starts at token `first`, and its width.
    #[inline(always)]
    pub(crate) fn tile(&self, first: usize) -> (&'a [u8], usize) {
        let width = TILE.min(self.tokens - first);
        (&self.data[first * self.token_bytes()..][..width * self.token_bytes()], width)
    }
}

/// Activations to be written by [`Kernels::quantize`](crate::Kernels::quantize).
pub struct ActivationsMut<'a> {
    kind: ActivationKind,
    tokens: usize,
    cols: usize,
    data: &'a mut [u8],
}

impl<'a> ActivationsMut<'a> {
    /// A view over the first [`Activations::bytes`] of `data`; its contents mean nothing until they are quantized.
    pub fn new(kind: ActivationKind, tokens: usize, cols: usize, data: &'a mut [u8]) -> Result<Self, ShapeError> {
        if !cols.is_multiple_of(kind.block()) {
            return Err(ShapeError::new("columns, as a multiple", kind.block(), cols));
        }
        let bytes = Activations::bytes(kind, tokens, cols);
        if data.len() < bytes {
            return Err(ShapeError::new("bytes of activations, at least", bytes, data.len()));
        }
        Ok(Self { kind, tokens, cols, data: &mut data[..bytes] })
    }

    /// How they are stored.
    pub fn kind(&self) -> ActivationKind {
        self.kind
    }

    /// Rows.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The same view for a shorter time.
    pub fn reborrow(&mut self) -> ActivationsMut<'_> {
        ActivationsMut { data: self.data, ..*self }
    }

    /// For reading, once they are quantized.
    pub fn as_ref(&self) -> Activations<'_> {
        Activations { kind: self.kind, tokens: self.tokens, cols: self.cols, data: self.data }
    }

    /// The same, for as long as the buffer is borrowed.
    pub fn into_ref(self) -> Activations<'a> {
        Activations { kind: self.kind, tokens: self.tokens, cols: self.cols, data: self.data }
    }

    /// Two views, the first with `tiles` tiles of [`TILE`] tokens (or as many as there are), so that threads can quantize
    /// disjoint parts.
    pub fn split_tiles(self, tiles: usize) -> (Self, Self) {
        let Self { kind, tokens, cols, data } = self;
        let at = tiles.saturating_mul(TILE).min(tokens);
        let (first, second) = data.split_at_mut(at * (cols / kind.block() * kind.record()));
        (Self { kind, tokens: at, cols, data: first }, Self { kind, tokens: tokens - at, cols, data: second })
    }

    /// The bytes of the tile that starts at token `first`, and its width.
    #[inline(always)]
    pub(crate) fn tile_mut(&mut self, first: usize) -> (&mut [u8], usize) {
        let width = TILE.min(self.tokens - first);
        let token_bytes = self.cols / self.kind.block() * self.kind.record();
        (&mut self.data[first * token_bytes..][..width * token_bytes], width)
    }
}
