//! Files mapped read-only, the tables that live in them, and memory that the system has yet to give.
//!
//! The one module of model files with `unsafe` in it: everything above sees slices.

use std::alloc::{Layout, alloc_zeroed};
use std::any::Any;
use std::fs::File;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::{Error, Result};

/// Windows begin at multiples of this, so whatever is no longer than it lies whole in one window.
const STRIDE: u64 = 1 << 30;

/// Longest table in bytes: two windows overlap by this much.
pub(crate) const LONGEST: u64 = STRIDE - (1 << 14);

/// A file mapped read-only, in windows under 2 GiB each: iOS refuses larger ones on small address spaces.
#[derive(Clone)]
pub(crate) struct MappedFile {
    windows: Vec<Arc<Mmap>>,
    len: u64,
    stride: u64,
}

impl MappedFile {
    /// Maps all of `file`, which was opened from `path`.
    pub(crate) fn new(file: &File, path: &Path) -> Result<Self> {
        let failed = |source| Error::Io { doing: "map", path: path.to_owned(), source };
        Self::with_stride(file, path, 0..file.metadata().map_err(failed)?.len(), STRIDE)
    }

    /// Maps some bytes of `file`, wherever they begin; `path` is what it is called in errors.
    pub(crate) fn part(file: &File, path: &Path, part: Range<u64>) -> Result<Self> {
        let failed = |source| Error::Io { doing: "map", path: path.to_owned(), source };
        let len = file.metadata().map_err(failed)?.len();
        if part.start > part.end || part.end > len {
            let why = format!("the part from {} to {} is not within its {len} bytes", part.start, part.end);
            return Err(Error::BadModelFile { path: path.to_owned(), why });
        }
        Self::with_stride(file, path, part, STRIDE)
    }

    fn with_stride(file: &File, path: &Path, part: Range<u64>, stride: u64) -> Result<Self> {
        let failed = |source| Error::Io { doing: "map", path: path.to_owned(), source };
        let len = part.end - part.start;
        let window = 2 * stride - (1 << 14);
        let mut windows = Vec::new();
        let mut offset = 0;
        while offset < len {
            let end = len.min(offset + window);
            // SAFETY: the map is read-only and private to us as far as the language can tell. Another process that
            // wrote into the file could change what we read: model files are never written in place, only replaced
            // by renaming, and every index read from a mapping is bounds-checked when it is used.
            let map = unsafe {
                let mut options = memmap2::MmapOptions::new();
                options.offset(part.start + offset).len((end - offset) as usize).map(file).map_err(failed)?
            };
            windows.push(Arc::new(map));
            if end == len {
                break;
            }
            offset += stride;
        }
        Ok(Self { windows, len, stride })
    }

    /// Length of the file in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// As much of the beginning of the file as one window holds.
    pub(crate) fn head(&self) -> &[u8] {
        self.windows.first().map_or(&[], |map| map)
    }

    /// `bytes` bytes from `offset` as a table of `T`; `None` if they are not all in the file, not aligned for `T`, no
    /// multiple of its size, or longer than 1 GiB.
    pub(crate) fn table<T: Plain>(&self, offset: u64, bytes: u64) -> Option<Table<T>> {
        let end = offset.checked_add(bytes)?;
        if end > self.len || bytes > self.stride - (1 << 14) {
            return None;
        }
        if bytes == 0 {
            return Some(Table::from(Vec::new()));
        }
        let index = ((offset / self.stride) as usize).min(self.windows.len() - 1);
        let start = index as u64 * self.stride;
        let map = &self.windows[index];
        let slice = map.get((offset - start) as usize..(end - start) as usize)?;
        let size = size_of::<T>();
        if slice.len() % size != 0 || slice.as_ptr().align_offset(align_of::<T>()) != 0 {
            return None;
        }
        let data = std::ptr::slice_from_raw_parts(slice.as_ptr().cast::<T>(), slice.len() / size);
        Some(Table { data, _owner: map.clone(), _items: PhantomData })
    }
}

/// All of a file as bytes that are read when they are looked at, for files below 1 GiB that are never written in place.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened or mapped, or is too long.
pub fn map_file(path: &Path) -> Result<Table<u8>> {
    let file = File::open(path).map_err(|source| Error::Io { doing: "open", path: path.to_owned(), source })?;
    whole(&MappedFile::new(&file, path)?, path)
}

/// As [`map_file`], some bytes of an open file, wherever they begin; `name` is what it is called in errors.
///
/// # Errors
/// [`Error::Io`] if the file cannot be mapped or the part is too long, [`Error::BadModelFile`] if the part is not within it.
pub fn map_part(file: &File, part: Range<u64>, name: &Path) -> Result<Table<u8>> {
    whole(&MappedFile::part(file, name, part)?, name)
}

fn whole(mapped: &MappedFile, path: &Path) -> Result<Table<u8>> {
    mapped.table(0, mapped.len()).ok_or_else(|| {
        let source = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
        Error::Io { doing: "map", path: path.to_owned(), source }
    })
}

/// `len` zeros, of which only what is written to takes memory; `None` where the system has no room for them.
pub(crate) fn zeros<T: Plain>(len: usize) -> Option<Vec<T>> {
    let layout = Layout::array::<T>(len).ok()?;
    if layout.size() == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the layout has a size.
    let start = unsafe { alloc_zeroed(layout) }.cast::<T>();
    if start.is_null() {
        return None;
    }
    // SAFETY: the allocator that a `Vec` uses gave these bytes for an array of `len` items just now, and zeros are values of `T`.
    Some(unsafe { Vec::from_raw_parts(start, len, len) })
}

/// Types of which every bit pattern is a value.
///
/// # Safety
/// Implement it only for those.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: every bit pattern is a `u8`.
unsafe impl Plain for u8 {}
// SAFETY: every bit pattern is a `u16`.
unsafe impl Plain for u16 {}
// SAFETY: every bit pattern is a `u32`.
unsafe impl Plain for u32 {}
// SAFETY: every bit pattern is an `f32`.
unsafe impl Plain for f32 {}

/// A shared, immutable slice that lives in a mapped file or on the heap; cloning it copies nothing.
pub struct Table<T> {
    data: *const [T],
    _owner: Arc<dyn Any + Send + Sync>,
    _items: PhantomData<T>,
}

// SAFETY: a table only hands out shared references to plain data that its owner keeps alive and nobody changes.
unsafe impl<T: Plain> Send for Table<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Table<T> {}

impl<T: Plain> From<Vec<T>> for Table<T> {
    fn from(items: Vec<T>) -> Self {
        let owner = Arc::new(items);
        Self { data: std::ptr::from_ref(owner.as_slice()), _owner: owner, _items: PhantomData }
    }
}

impl<T> AsRef<[T]> for Table<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { data: self.data, _owner: self._owner.clone(), _items: PhantomData }
    }
}

impl<T> Deref for Table<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `data` was made from a slice of `_owner`, which neither moves nor changes while it is shared, and
        // `_owner` lives as long as `self`.
        unsafe { &*self.data }
    }
}

impl<T> std::fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table[{}]", self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn tables_come_out_of_every_window() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let words: Vec<u32> = (0..100_000).collect();
        for word in &words {
            file.write_all(&word.to_le_bytes()).unwrap();
        }
        let stride = 1 << 16;
        let map = MappedFile::with_stride(file.as_file(), file.path(), 0..400_000, stride).unwrap();
        assert_eq!(map.len(), 400_000);
        assert!(map.windows.len() > 3);
        let longest = stride - (1 << 14);
        for offset in (0..400_000 - longest).step_by(4096) {
            let table = map.table::<u32>(offset, longest).unwrap();
            assert_eq!(*table, words[offset as usize / 4..(offset + longest) as usize / 4]);
        }
        assert_eq!(*map.table::<u32>(399_996, 4).unwrap(), [99_999]);
        assert!(map.table::<u32>(0, longest + 4).is_none(), "longer than a window");
        assert!(map.table::<u32>(2, 4).is_none(), "not aligned");
        assert!(map.table::<u32>(0, 6).is_none(), "not whole");
        assert!(map.table::<u8>(400_000, 1).is_none(), "past the end");
        assert!(map.table::<u8>(u64::MAX, 2).is_none(), "overflow");
    }

    #[test]
    fn a_part_begins_anywhere() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let words: Vec<u32> = (0..100_000).collect();
        for word in &words {
            file.write_all(&word.to_le_bytes()).unwrap();
        }
        for start in [0, 4, 20_004, 65_536] {
            let part = start..start + 200_000;
            let map = MappedFile::with_stride(file.as_file(), file.path(), part, 1 << 16).unwrap();
            assert_eq!(map.len(), 200_000);
            for offset in [0, 16_384, 100_000] {
                let table = map.table::<u32>(offset, 4_000).unwrap();
                assert_eq!(*table, words[(start + offset) as usize / 4..][..1_000]);
            }
            assert!(map.table::<u32>(199_996, 8).is_none(), "past the end of the part");
        }
        for part in [400_000..400_001, 0..400_001, std::ops::Range { start: 8, end: 4 }] {
            let error = MappedFile::part(file.as_file(), file.path(), part).err().unwrap().to_string();
            assert!(error.contains("is not within its 400000 bytes"), "{error}");
        }
    }

    #[test]
    fn zeros_are_given_or_refused() {
        assert_eq!(zeros::<u16>(3), Some(vec![0; 3]));
        assert_eq!(zeros::<f32>(0), Some(Vec::new()));
        assert_eq!(zeros::<f32>(isize::MAX as usize / 4), None, "more than there is of addresses");
        assert_eq!(zeros::<f32>(usize::MAX), None, "more than can be counted");
    }

    #[test]
    fn a_table_outlives_the_file_it_came_from() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"still here").unwrap();
        let table = MappedFile::new(file.as_file(), file.path()).unwrap().table::<u8>(0, 10).unwrap();
        drop(file);
        assert_eq!(&*table.clone(), b"still here");
    }
}
