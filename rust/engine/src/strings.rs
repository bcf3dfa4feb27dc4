//! A list of byte strings in two tables: one blob, and where each string ends in it.

use crate::mmap::Table;

/// Byte strings by index; they live in a mapped file or on the heap.
#[derive(Clone, Debug)]
pub struct Strings {
    bytes: Table<u8>,
    ends: Table<u32>,
}

impl Strings {
    /// From the blob and the ends; `None` unless the ends rise from string to string and stop where the blob does.
    pub(crate) fn from_tables(bytes: Table<u8>, ends: Table<u32>) -> Option<Self> {
        let rising = ends.is_sorted();
        let whole = ends.last().map_or(0, |&end| end as usize) == bytes.len();
        (rising && whole).then_some(Self { bytes, ends })
    }

    /// From the strings themselves; `None` if they exceed 4 GiB together.
    pub(crate) fn collect<S: AsRef<[u8]>>(strings: impl IntoIterator<Item = S>) -> Option<Self> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for string in strings {
            bytes.extend_from_slice(string.as_ref());
            ends.push(u32::try_from(bytes.len()).ok()?);
        }
        Some(Self { bytes: bytes.into(), ends: ends.into() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// String `i`. Panics if there is no such string.
    pub fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start as usize..self.ends[i] as usize]
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The blob and the ends.
    pub(crate) fn tables(&self) -> (&[u8], &[u32]) {
        (&self.bytes, &self.ends)
    }
}
