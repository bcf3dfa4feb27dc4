//! The block formats: how big they are in a GGUF file and how they are laid out once packed.
//!
//! Packed, a matrix is cut into groups of [`GROUP`] rows (the last one padded with zero scales and zero codes), and three
//! planes follow one another, each starting on [`ALIGN`] bytes and each ordered by group, then by block along a row:
//!
//! | plane | formats | one group's block |
//! |---|---|---|
//! | codes | 4, 5 and 6 bits, Q8_0N (the upper nibbles) | per 32 columns `[j 0..4][row 16][4 B]`: byte b of (j, row) holds column 4j+b in its low nibble and 16+4j+b in its high one |
//! | codes | Q8_0 | per 32 columns `[j 0..8][row 16][4 B]`: signed, byte b is column 4j+b |
//! | codes | F32, F16, BF16 | per column `[row 16]` elements as they are |
//! | high bits | Q5_0, Q5_1, Q5_K | per 32 columns `[row 16][4 B]`: bit i of byte b is the fifth bit of column 4i+b |
//! | high bits | Q6_K | per 32 columns `[half 2][row 16][4 B]`: bits 2j and 2j+1 of byte b are the upper bits of column 16*half+4j+b |
//! | high bits | Q8_0N | the lower nibbles, in the layout of codes |
//! | scales | Q4_0, Q5_0, Q8_0, Q8_0N | per 32 columns f16 `d[16]` |
//! | scales | Q4_1, Q5_1 | per 32 columns f16 `d[16]`, f16 `m[16]` |
//! | scales | Q4_K, Q5_K | per 256 columns f16 `d[16]`, f16 `dmin[16]`, u8 `sc[4][16][2]`, u8 `m[4][16][2]`: entry `[p][row][i]` belongs to sub-block 2p+i |
//! | scales | Q6_K | per 256 columns f16 `d[16]`, i8 `sc[8][16][2]`: the same, over sub-blocks of 16 |
//!
//! Codes are stored unsigned and scales as the f16 of the source, so packing loses nothing. The block formats themselves
//! are those of ggml (`ggml-common.h`, `ggml-quants.c`).

use std::fmt;
use std::ops::Range;

use crate::activation::ActivationKind;

/// Rows that are stored, and computed, together.
pub const GROUP: usize = 16;

/// Alignment in bytes of every plane of a packed matrix, counted from its start: a cache line and the widest vector.
pub const ALIGN: usize = 64;

/// A buffer or a view does not have the shape that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShapeError {
    what: &'static str,
    wanted: usize,
    got: usize,
}

impl ShapeError {
    /// Err unless `got` is what is `wanted`; `what` names the quantity.
    pub(crate) fn unless_equal(what: &'static str, wanted: usize, got: usize) -> Result<(), Self> {
        if wanted == got { Ok(()) } else { Err(Self { what, wanted, got }) }
    }

    pub(crate) fn new(what: &'static str, wanted: usize, got: usize) -> Self {
        Self { what, wanted, got }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrong shape: {} must be {}, not {}", self.what, self.wanted, self.got)
    }
}

impl std::error::Error for ShapeError {}

/// How the weights of one matrix are stored, named as in GGUF files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "the names under which these formats are known")]
pub enum Format {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a single.
    BF16,
    /// 4 bits, blocks of 32: d * (q - 8).
    Q4_0,
    /// 4 bits, blocks of 32: d * q + m.
    Q4_1,
    /// 5 bits, blocks of 32: d * (q - 16).
    Q5_0,
    /// 5 bits, blocks of 32: d * q + m.
    Q5_1,
    /// 8 bits, blocks of 32: d * q.
    Q8_0,
    /// 4 bits, blocks of 256 with 8 sub-blocks: d * sc * q - dmin * m.
    Q4_K,
    /// 5 bits, blocks of 256 with 8 sub-blocks: d * sc * q - dmin * m.
    Q5_K,
    /// 6 bits, blocks of 256 with 16 sub-blocks: d * sc * (q - 32).
    Q6_K,
    /// Q8_0 in two nibbles, each in a plane of its own: d * (16 * upper + lower - 128). No format of files: a matrix of Q8_0
    /// is packed like this where its upper nibbles are to be read alone, see [`Matrix::upper`](crate::Matrix::upper).
    Q8_0N,
}

impl Format {
    /// The formats of GGUF files.
    pub const GGUF: [Self; 11] = {
        let [gguf @ .., _] = Self::ALL;
        gguf
    };

    /// Every format, in the order of the enum.
    pub const ALL: [Self; 12] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
        Self::Q8_0N,
    ];

    /// The name used by GGUF tools.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4_K => "Q4_K",
            Self::Q5_K => "Q5_K",
            Self::Q6_K => "Q6_K",
            Self::Q8_0N => "Q8_0N",
        }
    }

    /// The number that this format, or the one it is packed from, has in a GGUF tensor table (`enum ggml_type`).
    pub const fn ggml(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 | Self::Q8_0N => 8,
            Self::Q4_K => 12,
            Self::Q5_K => 13,
            Self::Q6_K => 14,
            Self::BF16 => 30,
        }
    }

    /// The format with this number in a GGUF tensor table, if it is one of ours.
    pub fn from_ggml(number: u32) -> Option<Self> {
        Self::GGUF.into_iter().find(|format| format.ggml() == number)
    }

    /// Columns that share a scale: 1, 32 or 256. A row is a whole number of blocks.
    pub const fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 | Self::Q8_0N => 32,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// What the activations have to be quantized to before they meet weights of this format.
    pub const fn activation(self) -> ActivationKind {
        match self.block() {
            1 => ActivationKind::F32,
            32 => ActivationKind::Q8,
            _ => ActivationKind::Q8K,
        }
    }

    /// Bytes of one block in a GGUF file.
    pub(crate) const fn source_block(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 | Self::Q8_0N => 34,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }

    /// Bytes of a group's block in the plane of codes.
    pub(crate) const fn code_bytes(self) -> usize {
        match self {
            Self::F32 => 4 * GROUP,
            Self::F16 | Self::BF16 => 2 * GROUP,
            Self::Q8_0 => 32 * GROUP,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0N => 16 * GROUP,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => 128 * GROUP,
        }
    }

    /// Bytes of a group's block in the plane of high bits.
    pub(crate) const fn high_bytes(self) -> usize {
        match self {
            Self::Q5_0 | Self::Q5_1 => 4 * GROUP,
            Self::Q5_K => 32 * GROUP,
            Self::Q6_K => 64 * GROUP,
            Self::Q8_0N => 16 * GROUP,
            _ => 0,
        }
    }

    /// Bytes of a group's block in the plane of scales.
    pub(crate) const fn scale_bytes(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 0,
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 | Self::Q8_0N => 2 * GROUP,
            Self::Q4_1 | Self::Q5_1 => 4 * GROUP,
            Self::Q4_K | Self::Q5_K => 20 * GROUP,
            Self::Q6_K => 18 * GROUP,
        }
    }

    /// Bytes of a matrix in a GGUF file; None if a row is not a whole number of blocks, or the size overflows.
    pub fn source_len(self, rows: usize, cols: usize) -> Option<usize> {
        if !cols.is_multiple_of(self.block()) {
            return None;
        }
        (cols / self.block()).checked_mul(self.source_block())?.checked_mul(rows)
    }

    /// Bytes of a packed matrix, a multiple of [`ALIGN`]; None if a row is not a whole number of blocks, or the size
    /// overflows.
    pub fn packed_len(self, rows: usize, cols: usize) -> Option<usize> {
        Some(Planes::new(self, rows, cols)?.len)
    }
}

/// The formats as types, so that a kernel's body is written once and compiled for each.
pub(crate) mod marker {
    use super::Format;

    pub trait Marker {
        const FORMAT: Format;
    }

    macro_rules! markers {
        ($($name:ident)*) => {$(
            #[allow(non_camel_case_types, reason = "as in Format")]
            pub struct $name;

            impl Marker for $name {
                const FORMAT: Format = Format::$name;
            }
        )*};
    }
    markers!(F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K Q8_0N);
}

/// Where the planes of a packed matrix lie.
pub(crate) struct Planes {
    pub codes: Range<usize>,
    pub high: Range<usize>,
    pub scales: Range<usize>,
    pub len: usize,
}

impl Planes {
    pub fn new(format: Format, rows: usize, cols: usize) -> Option<Self> {
        if !cols.is_multiple_of(format.block()) {
            return None;
        }
        let blocks = rows.div_ceil(GROUP).checked_mul(cols / format.block())?;
        let mut len = 0usize;
        let mut plane = |block_bytes: usize| {
            let start = len;
            let end = start.checked_add(blocks.checked_mul(block_bytes)?)?;
            len = end.checked_next_multiple_of(ALIGN)?;
            Some(start..end)
        };
        let (codes, high, scales) =
            (plane(format.code_bytes())?, plane(format.high_bytes())?, plane(format.scale_bytes())?);
        Some(Self { codes, high, scales, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_formats() {
        // The published bits per weight, and the packed planes add nothing but the sub-block scales kept as bytes.
        assert_eq!(Format::Q4_0.source_len(16, 64), Some(16 * 36));
        assert_eq!(Format::Q4_0.packed_len(16, 64), Some(16 * 36));
        assert_eq!(Format::Q6_K.source_len(2, 256), Some(420));
        assert_eq!(Format::Q4_K.packed_len(1, 256), Some(16 * (128 + 20)));
        assert_eq!(Format::F32.packed_len(17, 3), Some(2 * 16 * 3 * 4));
    }

    #[test]
    fn broken_blocks_and_overflow_have_no_size() {
        assert_eq!(Format::Q4_0.source_len(1, 33), None);
        assert_eq!(Format::Q4_K.packed_len(1, 128), None);
        assert_eq!(Format::F32.source_len(usize::MAX, 2), None);
        assert_eq!(Format::Q8_0.packed_len(usize::MAX, 1 << 40), None);
    }

    #[test]
    fn ggml_numbers_round_trip() {
        for format in Format::GGUF {
            assert_eq!(Format::from_ggml(format.ggml()), Some(format));
        }
        assert_eq!(Format::from_ggml(Format::Q8_0N.ggml()), Some(Format::Q8_0));
        assert_eq!(Format::from_ggml(10), None); // Q2_K
    }
}
