//! Snapshots: what a session has computed, in a file, so that a long prompt is read once and not at every start.
//!
//! ```text
//! magic "NIBBLESN", version u32, format of keys and values u32, SHA-256 of the model's source,
//! tokens u64, elements of the hidden state u64
//! the tokens (u32), the hidden state (f32)
//! for each layer: the first position that is kept u64, keys and then values, each [kv head][position][row u16]
//! checksum of all that u64 (XXH3-64)
//! ```
//!
//! Everything is little-endian. A restored session goes on with the bits of the one that was saved. Nothing of a file is taken
//! over before all of it was checked.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use nibble_kernels::KvFormat;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::atomic_file::AtomicFile;
use crate::kv::{Half, LayerCache, Slot};
use crate::mmap::MappedFile;
use crate::{Error, Model, Result, SessionOptions, TokenId};

const MAGIC: [u8; 8] = *b"NIBBLESN";

/// The version of the format, in every file.
const VERSION: u32 = 1;

const HALVES: [Half; 2] = [Half::Keys, Half::Values];

/// What a snapshot belongs to.
pub(crate) struct Owner<'a> {
    /// SHA-256 of the file that the model was packed from.
    source: &'a [u8; 32],
    format: KvFormat,
    /// Width of a hidden state.
    embedding: usize,
    /// Tokens of the vocabulary.
    vocabulary: usize,
    /// Tokens that the session holds.
    context: usize,
}

impl<'a> Owner<'a> {
    /// A session with these options over this model.
    pub fn new(model: &'a Model, options: &SessionOptions) -> Self {
        let config = model.config();
        Self {
            source: model.fingerprint(),
            format: options.kv_format,
            embedding: config.embedding,
            vocabulary: config.vocabulary,
            context: options.context,
        }
    }
}

/// The end of a timeline: its tokens, and the hidden state of the last one, which is empty where it is not known.
pub(crate) struct Timeline {
    pub tokens: Vec<TokenId>,
    pub hidden: Vec<f32>,
}

/// Writes a snapshot to `path`, whole or not at all.
pub(crate) fn save(
    path: &Path,
    owner: &Owner,
    tokens: &[TokenId],
    hidden: &[f32],
    caches: &[LayerCache],
) -> Result<()> {
    let mut writer = Writer { file: AtomicFile::create(path)?, checksum: Xxh3::new() };
    let mut bytes = Vec::new();
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(number(owner.format).to_le_bytes());
    bytes.extend(owner.source);
    bytes.extend((tokens.len() as u64).to_le_bytes());
    bytes.extend((hidden.len() as u64).to_le_bytes());
    bytes.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
    bytes.extend(hidden.iter().flat_map(|element| element.to_le_bytes()));
    writer.append(&bytes)?;
    for cache in caches {
        let first = cache.first_kept(tokens.len());
        writer.append(&(first as u64).to_le_bytes())?;
        for half in HALVES {
            for head in 0..cache.shape().heads {
                bytes.clear();
                for position in first..tokens.len() {
                    bytes.extend(cache.row_at(half, head, position).iter().flat_map(|element| element.to_le_bytes()));
                }
                writer.append(&bytes)?;
            }
        }
    }
    writer.finish()
}

struct Writer {
    file: AtomicFile,
    checksum: Xxh3,
}

impl Writer {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.checksum.update(bytes);
        self.file.append(bytes)
    }

    fn finish(mut self) -> Result<()> {
        let checksum = self.checksum.digest();
        self.file.append(&checksum.to_le_bytes())?;
        self.file.commit()
    }
}

/// Maps the snapshot at `path`.
pub(crate) fn map(path: &Path) -> Result<MappedFile> {
    let file = File::open(path).map_err(|source| Error::Io { doing: "open", path: path.to_owned(), source })?;
    MappedFile::new(&file, path)
}

/// Maps the snapshot that is a part of another file.
pub(crate) fn map_part(file: &File, part: Range<u64>, name: &Path) -> Result<MappedFile> {
    MappedFile::part(file, name, part).map_err(|error| match error {
        Error::BadModelFile { path, why } => Error::UnfitSnapshot { path, why },
        error => error,
    })
}

/// Reads a snapshot, which is called `name` in errors, into `caches`, which are written to only if it fits.
pub(crate) fn restore(map: &MappedFile, name: &Path, owner: &Owner, caches: &mut [LayerCache]) -> Result<Timeline> {
    read(map, owner, caches).map_err(|why| Error::UnfitSnapshot { path: name.to_owned(), why })
}

/// As [`restore`]; says in words what does not fit.
fn read(map: &MappedFile, owner: &Owner, caches: &mut [LayerCache]) -> Result<Timeline, String> {
    let bytes = map.head();
    let Some(rest) = bytes.strip_prefix(&MAGIC) else { return Err("it is no snapshot".into()) };
    let mut reader = Reader(rest);
    let version = reader.u32()?;
    if version != VERSION {
        return Err(format!("it has version {version} of the format, and this Nibble reads version {VERSION}"));
    }
    let (content, sum) = bytes.split_last_chunk().ok_or(CUT)?;
    if bytes.len() as u64 != map.len() || xxh3_64(content) != u64::from_le_bytes(*sum) {
        return Err("it is damaged or was cut short".into());
    }
    if reader.u32()? != number(owner.format) {
        return Err("its keys and values are in another format than the session's".into());
    }
    if reader.take(owner.source.len())? != owner.source {
        return Err("it belongs to another model".into());
    }
    let (count, width) = (reader.u64()?, reader.u64()?);
    if count > owner.context as u64 {
        return Err(format!("it has {count} tokens, and the session's context {}", owner.context));
    }
    if count == 0 || ![0, owner.embedding as u64].contains(&width) {
        return Err(CUT.into());
    }
    let (count, width) = (count as usize, width as usize);
    let tokens: Vec<TokenId> = reader.take(4 * count)?.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
    let hidden = reader.take(4 * width)?.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    if tokens.iter().any(|&token| token as usize >= owner.vocabulary) {
        return Err("it has tokens that the model does not know".into());
    }
    let mut layers = Vec::with_capacity(caches.len());
    for cache in &*caches {
        let first = usize::try_from(reader.u64()?).ok().filter(|&first| first <= cache.first_seen(count)).ok_or(CUT)?;
        layers.push((first, reader.take(HALVES.len() * cache.shape().heads * (count - first) * cache.row_bytes())?));
    }
    if reader.0.len() != size_of_val(sum) {
        return Err(CUT.into());
    }
    for (cache, (first, bytes)) in caches.iter_mut().zip(layers) {
        let (heads, row) = (cache.shape().heads, cache.row_bytes());
        cache.begin_at(first);
        for (half, bytes) in HALVES.into_iter().zip(bytes.chunks_exact(heads * (count - first) * row)) {
            for (head, bytes) in bytes.chunks_exact((count - first) * row).enumerate() {
                for (position, bytes) in (first..).zip(bytes.chunks_exact(row)) {
                    let to = cache.row_mut(half, head, Slot::Prefix(position));
                    to.iter_mut().zip(bytes.as_chunks().0).for_each(|(to, &from)| *to = u16::from_le_bytes(from));
                }
            }
        }
    }
    Ok(Timeline { tokens, hidden })
}

/// What cannot be where the checksum is right, unless somebody made the file so.
const CUT: &str = "its parts do not fit together";

/// The bytes that are still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("as many as were asked for"))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

/// The format's number in the file.
fn number(format: KvFormat) -> u32 {
    match format {
        KvFormat::F16 => 0,
        KvFormat::Q8_0 => 1,
    }
}
