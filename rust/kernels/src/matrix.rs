//! Views over caller-owned memory: packed weights to read, results to write.

use std::marker::PhantomData;

use crate::format::{Format, GROUP, Planes, ShapeError};
use crate::ops::widen;

/// A packed weight matrix, `[rows][cols]`; a product with it maps `cols` inputs to `rows` outputs.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    format: Format,
    rows: usize,
    cols: usize,
    codes: &'a [u8],
    high: &'a [u8],
    scales: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// A view over what [`pack`](crate::pack) wrote. Speed, not correctness, wants `packed` aligned to
    /// [`ALIGN`](crate::ALIGN).
    pub fn new(format: Format, rows: usize, cols: usize, packed: &'a [u8]) -> Result<Self, ShapeError> {
        let planes =
            Planes::new(format, rows, cols).ok_or(ShapeError::new("columns, as a multiple", format.block(), cols))?;
        ShapeError::unless_equal("bytes of a packed matrix", planes.len, packed.len())?;
        let (codes, high, scales) = (&packed[planes.codes], &packed[planes.high], &packed[planes.scales]);
        Ok(Self { format, rows, cols, codes, high, scales })
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// How the weights are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Groups of [`GROUP`] rows, the last one perhaps not full: the unit in which work is divided.
    pub fn groups(&self) -> usize {
        self.rows.div_ceil(GROUP)
    }

    /// Blocks along a row.
    pub(crate) fn blocks(&self) -> usize {
        self.cols / self.format.block()
    }

    /// The codes of one group: exactly its blocks, which is what lets the SIMD variants read them unchecked.
    pub(crate) fn codes(&self, group: usize) -> &'a [u8] {
        Self::section(self.codes, group, self.blocks() * self.format.code_bytes())
    }

    /// The high bits of one group.
    pub(crate) fn high(&self, group: usize) -> &'a [u8] {
        Self::section(self.high, group, self.blocks() * self.format.high_bytes())
    }

    /// The scales of one group.
    pub(crate) fn scales(&self, group: usize) -> &'a [u8] {
        Self::section(self.scales, group, self.blocks() * self.format.scale_bytes())
    }

    /// The upper nibbles of a matrix in [`Format::Q8_0N`], as one in [`Format::Q4_0`]: 16 times its weights are those of
    /// `self` but for the lower nibbles, which add 0 to 15 scales to each. `None` for any other format.
    pub fn upper(&self) -> Option<Self> {
        (self.format == Format::Q8_0N).then_some(Self { format: Format::Q4_0, high: &[], ..*self })
    }

    fn section(plane: &'a [u8], group: usize, len: usize) -> &'a [u8] {
        &plane[group * len..][..len]
    }

    /// Writes the values of one row, `[cols]`: what ggml's dequantization of the source gives, bit for bit.
    ///
    /// # Panics
    /// If there is no such row or `out` is not `cols` long.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows, "row {row} of a matrix of {} rows", self.rows);
        assert_eq!(out.len(), self.cols, "length of a dequantized row");
        let (group, lane) = (row / GROUP, row % GROUP);
        let (codes, high, scales) = (self.codes(group), self.high(group), self.scales(group));
        let block = self.format.block();
        for (b, out) in out.chunks_exact_mut(block).enumerate() {
            let codes = &codes[b * self.format.code_bytes()..];
            let high = &high[b * self.format.high_bytes()..];
            let scales = &scales[b * self.format.scale_bytes()..];
            let scale = |i: usize| half(scales, i * GROUP + lane);
            match self.format {
                Format::F32 | Format::F16 | Format::BF16 => out[0] = element(self.format, codes, lane),
                Format::Q4_0 | Format::Q5_0 | Format::Q8_0 | Format::Q8_0N => {
                    for (c, v) in out.iter_mut().enumerate() {
                        *v = scale(0) * (code(self.format, codes, high, lane, c) - offset(self.format)) as f32;
                    }
                }
                Format::Q4_1 | Format::Q5_1 => {
                    for (c, v) in out.iter_mut().enumerate() {
                        *v = scale(0) * code(self.format, codes, high, lane, c) as f32 + scale(1);
                    }
                }
                Format::Q4_K | Format::Q5_K => {
                    for (c, v) in out.iter_mut().enumerate() {
                        let (sc, m) = (sub_scale(scales, 64, lane, c / 32), sub_scale(scales, 192, lane, c / 32));
                        let q = code(self.format, codes, high, lane, c) as f32;
                        *v = scale(0) * f32::from(sc) * q - scale(1) * f32::from(m);
                    }
                }
                Format::Q6_K => {
                    for (c, v) in out.iter_mut().enumerate() {
                        let sc = sub_scale(scales, 32, lane, c / 16) as i8;
                        *v = scale(0) * f32::from(sc) * (code(self.format, codes, high, lane, c) - 32) as f32;
                    }
                }
            }
        }
    }
}

/// What is taken off a code to get the integer it stands for.
pub(crate) const fn offset(format: Format) -> i32 {
    match format {
        Format::Q4_0 => 8,
        Format::Q5_0 => 16,
        Format::Q6_K => 32,
        Format::Q8_0N => 128,
        _ => 0,
    }
}

/// The code of column `c` of a group's block, for row `lane` of the group.
#[inline(always)]
pub(crate) fn code(format: Format, codes: &[u8], high: &[u8], lane: usize, c: usize) -> i32 {
    let (sub, c) = (c / 32, c % 32);
    let (i, b) = (c / 4, c % 4); // i: which of the eight 4-byte steps of 32 columns
    if format.code_bytes() == 32 * GROUP {
        return i32::from(codes[i * 64 + lane * 4 + b] as i8);
    }
    let nibble_of = |plane: &[u8]| {
        let byte = plane[sub * 256 + i % 4 * 64 + lane * 4 + b];
        if i < 4 { byte & 15 } else { byte >> 4 }
    };
    let nibble = nibble_of(codes);
    if format == Format::Q8_0N {
        return i32::from(nibble << 4 | nibble_of(high));
    }
    let upper = match format {
        Format::Q5_0 | Format::Q5_1 | Format::Q5_K => high[sub * 64 + lane * 4 + b] >> i & 1,
        Format::Q6_K => high[sub * 128 + i / 4 * 64 + lane * 4 + b] >> (i % 4 * 2) & 3,
        _ => 0,
    };
    i32::from(nibble | upper << 4)
}

/// The scale or minimum of sub-block `sub`, from the pairs that start at byte `at` of a superblock's scales.
#[inline(always)]
pub(crate) fn sub_scale(scales: &[u8], at: usize, lane: usize, sub: usize) -> u8 {
    scales[at + sub / 2 * 32 + lane * 2 + sub % 2]
}

/// The f16 with index `i`, widened.
#[inline(always)]
pub(crate) fn half(bytes: &[u8], i: usize) -> f32 {
    widen(u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]))
}

/// The value of row `lane` in one column of a float matrix.
#[inline(always)]
pub(crate) fn element(format: Format, column: &[u8], lane: usize) -> f32 {
    match format {
        Format::F16 => half(column, lane),
        Format::BF16 => f32::from_bits(u32::from(u16::from_le_bytes([column[2 * lane], column[2 * lane + 1]])) << 16),
        _ => f32::from_le_bytes([column[4 * lane], column[4 * lane + 1], column[4 * lane + 2], column[4 * lane + 3]]),
    }
}

/// Where a product is written: `[tokens]` rows, `stride` apart, of which this view may touch a range of columns (the
/// matrix's rows). Split it, and threads write disjoint parts of the same buffer.
pub struct OutMut<'a> {
    // Not a slice: two views of one buffer interleave, token by token.
    start: *mut f32,
    tokens: usize,
    rows: usize,
    stride: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: an OutMut is an exclusive borrow of the elements it covers, as `&mut [f32]` is.
unsafe impl Send for OutMut<'_> {}
// SAFETY: as above; a shared OutMut gives out no element.
unsafe impl Sync for OutMut<'_> {}

impl<'a> OutMut<'a> {
    /// A view over all of `data`, `[tokens][rows]`.
    pub fn new(data: &'a mut [f32], tokens: usize, rows: usize) -> Result<Self, ShapeError> {
        ShapeError::unless_equal("length of an output", tokens.saturating_mul(rows), data.len())?;
        Ok(Self { start: data.as_mut_ptr(), tokens, rows, stride: rows, buffer: PhantomData })
    }

    /// Tokens, the outer dimension.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Rows of the matrix, the inner dimension: values per token that this view covers.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The same view for a shorter time.
    pub fn reborrow(&mut self) -> OutMut<'_> {
        OutMut { buffer: PhantomData, ..*self }
    }

    /// Two views: the rows before `at` and the rest.
    ///
    /// # Panics
    /// If `at` is beyond the last row.
    pub fn split_rows(self, at: usize) -> (Self, Self) {
        assert!(at <= self.rows, "split at row {at} of {}", self.rows);
        // Not `add`: with no tokens at all the result need not lie in the buffer.
        let second = Self { start: self.start.wrapping_add(at), rows: self.rows - at, ..self };
        (Self { rows: at, ..self }, second)
    }

    /// Two views: the tokens before `at` and the rest.
    ///
    /// # Panics
    /// If `at` is beyond the last token.
    pub fn split_tokens(self, at: usize) -> (Self, Self) {
        assert!(at <= self.tokens, "split at token {at} of {}", self.tokens);
        let second = Self { start: self.start.wrapping_add(at * self.stride), tokens: self.tokens - at, ..self };
        (Self { tokens: at, ..self }, second)
    }

    /// What this view covers of one token.
    ///
    /// # Panics
    /// If there is no such token.
    #[inline(always)]
    pub fn token_mut(&mut self, token: usize) -> &mut [f32] {
        assert!(token < self.tokens, "token {token} of {}", self.tokens);
        // SAFETY: `new` checked that every token has `stride` elements in the borrowed buffer, the splits keep
        // `rows` within them, and views made by a split are disjoint.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(token * self.stride), self.rows) }
    }
}
