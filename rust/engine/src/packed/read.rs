//! Opening a packed model file: nothing in it is believed before it was checked.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use nibble_kernels::{Format, Matrix};

use super::{Entry, Extent, Header, Manifest, PAGE, Section, VERSION, checksum};
use crate::error::Fault;
use crate::metadata::Metadata;
use crate::mmap::{MappedFile, Plain, Table};
use crate::strings::Strings;
use crate::weights::Tensor;
use crate::{Error, Merges, Result, Vocabulary};

/// How much of a packed file is checked when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Every byte.
    #[default]
    Full,
    /// Everything but the bytes of the weights, which are read when they are first used.
    Header,
}

/// How to open a packed file.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// How much is checked.
    pub verify: Verify,
    /// The SHA-256 of the file that it must have been packed from; any will do where there is none.
    pub expect_source: Option<[u8; 32]>,
}

/// An open packed file.
pub(crate) struct PackedFile {
    /// SHA-256 of the file that it was packed from.
    pub source: [u8; 32],
    /// Length in bytes.
    pub length: u64,
    pub metadata: Metadata,
    pub vocabulary: Vocabulary,
    pub merges: Merges,
    pub scores: Table<f32>,
    pub tensors: HashMap<String, Tensor>,
}

impl PackedFile {
    pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Io { doing: "open", path: path.to_owned(), source })?;
        Self::open_mapped(&MappedFile::new(&file, path)?, path, options)
    }

    /// Opens the packed file that is a part of another one, called `path`.
    pub(crate) fn open_part(file: &File, part: Range<u64>, path: &Path, options: &OpenOptions) -> Result<Self> {
        Self::open_mapped(&MappedFile::part(file, path, part)?, path, options)
    }

    pub(crate) fn open_mapped(file: &MappedFile, path: &Path, options: &OpenOptions) -> Result<Self> {
        if let Some(version) = Header::other_version(file.head()) {
            return Err(Error::ModelFileVersion { path: path.to_owned(), version, reads: VERSION });
        }
        Self::read(file, options).map_err(|fault| fault.in_packed(path))
    }

    fn read(file: &MappedFile, options: &OpenOptions) -> Result<Self, Fault> {
        let header = Header::from_bytes(file.head()).map_err(Fault::damaged)?;
        if header.length != file.len() {
            let (is, was) = (file.len(), header.length);
            return Err(Fault::damaged(format!("it has {is} bytes and was written with {was}")));
        }
        if options.expect_source.is_some_and(|expected| expected != header.source) {
            return Err(Fault::damaged("it was packed from another model than the one asked for"));
        }
        let start = header.sections[0].offset;
        if !follow_on(start, &header.sections, header.length) {
            return Err(Fault::damaged("its sections do not follow one another"));
        }
        for (section, extent) in Section::ALL.iter().zip(&header.sections) {
            if !extent.is_sound(file) {
                return Err(Fault::damaged(format!("its section {section:?} is damaged")));
            }
        }
        let sections = Sections { file, extents: &header.sections };
        let manifest: Manifest = serde_json::from_slice(&sections.table::<u8>(Section::Manifest)?)
            .map_err(|error| Fault::damaged(format!("its manifest is wrong: {error}")))?;
        if !follow_on(PAGE, manifest.tensors.iter().map(|entry| &entry.extent), start) {
            return Err(Fault::damaged("its tensors do not follow one another"));
        }
        let tensors = manifest.tensors.iter().map(|entry| Ok((entry.name.clone(), entry.tensor(file)?)));
        let tensors = tensors.collect::<Result<_, Fault>>()?;
        if options.verify == Verify::Full {
            verify(file, &manifest.tensors)?;
        }
        let vocabulary = Vocabulary::from_tables(
            sections.strings(Section::TokenBytes, Section::TokenEnds)?,
            sections.table(Section::TokenKinds)?,
            sections.table(Section::TokensSorted)?,
        );
        let vocabulary = vocabulary.ok_or_else(|| Fault::damaged("its vocabulary tables do not belong together"))?;
        let merges = Merges::from_table(sections.table(Section::Merges)?, vocabulary.len());
        Ok(Self {
            source: header.source,
            length: header.length,
            metadata: manifest.metadata,
            merges: merges.ok_or_else(|| Fault::damaged("its merges do not belong to its vocabulary"))?,
            vocabulary,
            scores: sections.table(Section::Scores)?,
            tensors,
        })
    }
}

/// The SHA-256 of the file that the packed file at `path` was packed from, if it is one that this version reads. Only its header
/// is looked at.
pub(crate) fn source_of(path: &Path) -> Option<[u8; 32]> {
    let mut page = Vec::new();
    File::open(path).ok()?.take(PAGE).read_to_end(&mut page).ok()?;
    if Header::other_version(&page).is_some() {
        return None;
    }
    Header::from_bytes(&page).ok().map(|header| header.source)
}

/// The sections of a file, as tables.
struct Sections<'a> {
    file: &'a MappedFile,
    extents: &'a [Extent],
}

impl Sections<'_> {
    fn table<T: Plain>(&self, section: Section) -> Result<Table<T>, Fault> {
        let Extent { offset, length, .. } = self.extents[section as usize];
        self.file
            .table(offset, length)
            .ok_or_else(|| Fault::damaged(format!("its section {section:?} has {length} bytes, which cannot be")))
    }

    fn strings(&self, bytes: Section, ends: Section) -> Result<Strings, Fault> {
        Strings::from_tables(self.table(bytes)?, self.table(ends)?)
            .ok_or_else(|| Fault::damaged(format!("its sections {bytes:?} and {ends:?} do not belong together")))
    }
}

/// Whether the extents lie side by side from `start` to `end`.
fn follow_on<'a>(start: u64, extents: impl IntoIterator<Item = &'a Extent>, end: u64) -> bool {
    let reached = extents
        .into_iter()
        .try_fold(start, |next, extent| if extent.offset == next { next.checked_add(extent.padded()?) } else { None });
    reached == Some(end)
}

impl Extent {
    /// Whether the bytes are those that were written.
    fn is_sound(&self, file: &MappedFile) -> bool {
        let bytes = self.padded().and_then(|len| file.table::<u8>(self.offset, len));
        bytes.is_some_and(|bytes| checksum(&bytes) == self.checksum)
    }
}

impl Entry {
    /// The tensor, with its shape checked against its length.
    pub(super) fn tensor(&self, file: &MappedFile) -> Result<Tensor, Fault> {
        let Extent { offset, length, .. } = self.extent;
        let tensor = match *self.shape {
            [len] if self.format == Format::F32.name() => {
                file.table(offset, length).filter(|values| values.len() == len).map(Tensor::Vector)
            }
            [rows, cols] => Format::ALL.into_iter().find(|format| format.name() == self.format).and_then(|format| {
                let packed = file.table(offset, length)?;
                Matrix::new(format, rows, cols, &packed).is_ok().then_some(Tensor::Matrix {
                    format,
                    rows,
                    cols,
                    packed,
                })
            }),
            _ => None,
        };
        tensor.ok_or_else(|| {
            let Self { name, format, shape, .. } = self;
            Fault::damaged(format!("its tensor {name:.80} cannot be {shape:?} of {format:.80} in {length} bytes"))
        })
    }
}

/// Checks the checksums of all tensors, on two threads.
fn verify(file: &MappedFile, entries: &[Entry]) -> Result<(), Fault> {
    let first_damaged =
        |entries: &[Entry]| entries.iter().find(|entry| !entry.extent.is_sound(file)).map(|e| e.name.clone());
    let total: u64 = entries.iter().map(|entry| entry.extent.length).sum();
    let mut before = 0;
    let half = entries.iter().take_while(|entry| {
        before += entry.extent.length;
        before <= total / 2
    });
    let (front, back) = entries.split_at(half.count());
    let damaged = std::thread::scope(|scope| {
        let front = scope.spawn(|| first_damaged(front));
        let back = first_damaged(back);
        front.join().expect("checksums do not panic").or(back)
    });
    match damaged {
        Some(name) => Err(Fault::damaged(format!("its tensor {name:.80} is damaged"))),
        None => Ok(()),
    }
}
