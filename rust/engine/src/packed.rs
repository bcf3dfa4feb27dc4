//! The Nibble model file: one model, packed for the kernels, mapped and used in place.
//!
//! ```text
//! header    16 KiB: magic "NIBBLEMF", version u32, flags u32 (0), SHA-256 of the source, length of the file u64,
//!           7 sections of { offset u64, length u64, checksum u64 }, zeros, checksum of all that u64
//! tensors   matrices as `nibble_kernels::pack` lays them out, vectors as f32; a head of Q8_0 in nibbles, and its screen
//! sections  manifest (JSON: the GGUF's metadata and the table of tensors), then the tables of `Section`
//! ```
//!
//! Everything is little-endian. Tensors and sections begin on multiples of 64 bytes, the first tensor on a page of 16 KiB;
//! they follow one another without a gap, and each one's checksum (XXH3-64) covers the zeros up to the next. So every byte
//! of the file is under a checksum. Tables are used where they lie: opening computes nothing from them but checksums and
//! a look at their bounds.

mod read;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};

use crate::metadata::Metadata;

pub use read::{OpenOptions, Verify};
pub use write::{PackProgress, pack, pack_expecting};

pub(crate) use read::{PackedFile, source_of};

const _: () = assert!(cfg!(target_endian = "little"), "tables are used as they lie in the file");

const MAGIC: [u8; 8] = *b"NIBBLEMF";
/// The version of the format, in every file; others are refused, since a file can be packed again from its GGUF.
pub const VERSION: u32 = 3;
/// Length of the header, and the largest page size of the systems we run on.
const PAGE: u64 = 16 << 10;
/// What tensors and sections begin on.
const ALIGN: u64 = nibble_kernels::ALIGN as u64;

/// The parts of the file beside the tensors, in the order in which they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Section {
    Manifest,
    /// The bytes of all tokens, and where each ends (u32).
    TokenBytes,
    TokenEnds,
    /// The kind of each token (u8).
    TokenKinds,
    /// The text tokens sorted by bytes (u32).
    TokensSorted,
    /// The merges: left, right, rank, merged (u32 each), sorted.
    Merges,
    /// The score of each token (f32).
    Scores,
}

impl Section {
    const ALL: [Self; 7] = [
        Self::Manifest,
        Self::TokenBytes,
        Self::TokenEnds,
        Self::TokenKinds,
        Self::TokensSorted,
        Self::Merges,
        Self::Scores,
    ];
}

/// Where a tensor or a section lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Extent {
    offset: u64,
    length: u64,
    checksum: u64,
}

impl Extent {
    /// The length with the zeros up to the next extent; `None` on overflow.
    fn padded(&self) -> Option<u64> {
        self.length.checked_next_multiple_of(ALIGN)
    }
}

/// The header, without what surrounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    source: [u8; 32],
    length: u64,
    sections: [Extent; Section::ALL.len()],
}

/// The manifest: what is read with names, as JSON so that a person can read it too.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    metadata: Metadata,
    tensors: Vec<Entry>,
}

/// A tensor in the manifest.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    /// As GGUF tools name it.
    format: String,
    /// `[rows, cols]` of a matrix, `[len]` of a vector.
    shape: Vec<usize>,
    #[serde(flatten)]
    extent: Extent,
}

impl Header {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PAGE as usize);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(self.source);
        bytes.extend(self.length.to_le_bytes());
        for extent in &self.sections {
            for number in [extent.offset, extent.length, extent.checksum] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes.resize(PAGE as usize - 8, 0);
        bytes.extend(checksum(&bytes).to_le_bytes());
        bytes
    }

    /// The version of the format of the packed file that begins with `bytes`, where it is not the one that is read.
    fn other_version(bytes: &[u8]) -> Option<u32> {
        let version = bytes.strip_prefix(&MAGIC)?.first_chunk().map(|&bytes| u32::from_le_bytes(bytes))?;
        (version != VERSION).then_some(version)
    }

    /// What is wrong, in words, where `bytes` are no header that this version reads.
    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("it is empty".into());
        }
        if bytes.starts_with(b"GGUF") {
            return Err("it is a GGUF, not yet packed".into());
        }
        if !bytes.starts_with(&MAGIC) {
            return Err("it is not a Nibble model file".into());
        }
        let Some(page) = bytes.get(..PAGE as usize) else { return Err("it was cut short".into()) };
        let u64_at = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"));
        let (content, sum) = page.split_at(PAGE as usize - 8);
        if sum != checksum(content).to_le_bytes() {
            return Err("its header is damaged".into());
        }
        let extent = |i: usize| {
            let at = 56 + 24 * i;
            Extent { offset: u64_at(at), length: u64_at(at + 8), checksum: u64_at(at + 16) }
        };
        Ok(Self {
            source: page[16..48].try_into().expect("32 bytes"),
            length: u64_at(48),
            sections: std::array::from_fn(extent),
        })
    }
}

/// The checksum of tensors, sections and the header.
fn checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}
