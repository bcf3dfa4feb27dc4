//! Packing: a GGUF goes in, a model file comes out, whole or not at all.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;

use nibble_kernels::Format;
use sha2::{Digest, Sha256};

use super::{ALIGN, Entry, Extent, Header, Manifest, PAGE, PackedFile, Section, checksum};
use crate::atomic_file::AtomicFile;
use crate::error::Fault;
use crate::gguf::{Gguf, GgufTensor};
use crate::mmap::{self, MappedFile};
use crate::screen::fit::fit;
use crate::tokenizer_source::TokenizerSource;
use crate::weights::{Shape, Tensor, Weights};
use crate::{Error, Model, Result, Tokenizer, Vocabulary, arch};

/// How far packing has come, in bytes of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackProgress {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Packs the GGUF at `source` into a model file at `dest`.
///
/// The file is written beside `dest` and renamed when it is complete and on disk, so `dest` is never half a file, whatever
/// happens; two processes that pack the same model do no harm. `progress` is called after each piece; when it breaks,
/// nothing is left behind. Needs memory for the largest tensor and, where the head is Q8_0, for a session: its screen is fitted to
/// what the model makes of some sentences.
///
/// # Errors
/// [`Error::Cancelled`] when `progress` breaks, [`Error::DamagedGguf`] or [`Error::Unsupported`] for a file that cannot be
/// packed, [`Error::Io`] when the disk is full or a file cannot be read or written.
pub fn pack(source: &Path, dest: &Path, progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>) -> Result<()> {
    pack_expecting(source, dest, None, progress)
}

/// As [`pack`]; with `expect_source`, only a GGUF that has this SHA-256.
///
/// # Errors
/// As [`pack`]; [`Error::DamagedGguf`] for another one.
pub fn pack_expecting(
    source: &Path,
    dest: &Path,
    expect_source: Option<[u8; 32]>,
    progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>,
) -> Result<()> {
    let gguf = Gguf::open(source)?;
    let tokenizer = gguf.tokenizer_source()?;
    Tokenizer::check(&tokenizer)?;
    let tensors = plan(&gguf, tokenizer.vocabulary.len()).map_err(|fault| fault.in_gguf(source))?;

    let packed: u64 = tensors.iter().map(|(_, tensor)| tensor.bytes.len() as u64).sum();
    // Fitting a screen takes about as long as the rest.
    let screened = tensors.iter().any(|(_, tensor)| tensor.stored == Format::Q8_0N);
    let fitting = if screened { packed } else { 0 };
    let total = gguf.len() + packed + fitting;
    let mut done = 0;
    let mut advance = |bytes: u64| {
        done += bytes;
        match progress(PackProgress { done, total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    };
    let mut hasher = Sha256::new();
    for piece in gguf.pieces() {
        hasher.update(&*piece);
        advance(piece.len() as u64)?;
    }
    let fingerprint: [u8; 32] = hasher.finalize().into();
    if expect_source.is_some_and(|expected| expected != fingerprint) {
        return Err(Fault::damaged("its SHA-256 is not the one that was asked for").in_gguf(source));
    }

    let mut file = AtomicFile::create(dest)?;
    let mut writer = Writer { file: &mut file, offset: 0 };
    writer.append(&mut vec![0; PAGE as usize])?;
    let mut entries = Vec::with_capacity(tensors.len());
    let mut buffer = Vec::new();
    for (name, tensor) in &tensors {
        tensor.pack_into(&mut buffer);
        let extent = writer.append(&mut buffer)?;
        entries.push(tensor.entry(name, extent));
        advance(tensor.bytes.len() as u64)?;
    }
    if screened {
        let model = so_far(&gguf, &tokenizer, &writer.file.map()?, &entries).map_err(|fault| fault.in_gguf(source))?;
        let mut fitted = 0;
        let screen = fit(&model, |share| {
            let now = (f64::from(share) * fitting as f64) as u64;
            let more = now.saturating_sub(fitted);
            fitted += more;
            advance(more)
        })?;
        for (name, tensor) in screen {
            let Tensor::Matrix { format, rows, cols, packed } = tensor else { unreachable!("a screen has matrices") };
            let extent = writer.append(&mut packed.to_vec())?;
            entries.push(Entry { name: name.into(), format: format.name().into(), shape: vec![rows, cols], extent });
        }
    }
    let manifest = Manifest { metadata: gguf.metadata(), tensors: entries };
    let sections = sections(&manifest, &tokenizer);
    let mut extents = [Extent::default(); Section::ALL.len()];
    for (extent, mut bytes) in extents.iter_mut().zip(sections) {
        *extent = writer.append(&mut bytes)?;
    }
    let header = Header { source: fingerprint, length: writer.offset, sections: extents };
    file.write_at_start(&header.to_bytes())?;
    file.commit()
}

/// The tensors that the graph needs, in its order, each checked; nothing else may be in the file.
fn plan(gguf: &Gguf, vocabulary: usize) -> Result<Vec<(String, GgufTensor)>, Fault> {
    let config = arch::config(&gguf.metadata(), vocabulary)?;
    let mut tensors: Vec<(String, GgufTensor)> = Vec::new();
    let weights = Weights::collect(&config, |name, shape| {
        let Some(tensor) = gguf.tensor(name)? else { return Ok(None) };
        if tensor.shape != shape {
            return Err(Fault::damaged(format!("the tensor {name} is {} and should be {shape}", tensor.shape)));
        }
        if matches!(shape, Shape::Vector(_)) && tensor.format != Format::F32 {
            return Err(Fault::unsupported(format!("{name} in {}, and there is only F32", tensor.format.name())));
        }
        if tensor.packed_len().is_none_or(|len| len as u64 > mmap::LONGEST) {
            return Err(Fault::unsupported(format!("a tensor over 1 GiB ({name})")));
        }
        tensors.push((name.to_owned(), tensor));
        Ok(Some(tensors.len() - 1))
    })?;
    let (_, head) = &mut tensors[weights.output];
    if head.format == Format::Q8_0 {
        head.stored = Format::Q8_0N;
    }
    let known: HashSet<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    match gguf.names().filter(|name| !known.contains(name)).min() {
        Some(name) => {
            let architecture = config.architecture;
            Err(Fault::unsupported(format!("the tensor {name}, which the {architecture} graph has no use for")))
        }
        None => Ok(tensors),
    }
}

impl GgufTensor {
    fn packed_len(&self) -> Option<usize> {
        match self.shape {
            Shape::Vector(_) => Some(self.bytes.len()),
            Shape::Matrix { rows, cols } => self.stored.packed_len(rows, cols),
        }
    }

    /// The tensor as it is stored, in `out`.
    fn pack_into(&self, out: &mut Vec<u8>) {
        out.clear();
        match self.shape {
            Shape::Vector(_) => out.extend_from_slice(&self.bytes),
            Shape::Matrix { rows, cols } => {
                out.resize(self.packed_len().expect("checked by `plan`"), 0);
                nibble_kernels::pack(self.stored, rows, cols, &self.bytes, out).expect("checked by `plan`");
            }
        }
    }

    fn entry(&self, name: &str, extent: Extent) -> Entry {
        let shape = match self.shape {
            Shape::Vector(len) => vec![len],
            Shape::Matrix { rows, cols } => vec![rows, cols],
        };
        Entry { name: name.to_owned(), format: self.stored.name().to_owned(), shape, extent }
    }
}

/// The model of which all tensors but the screen's were written to `file`.
fn so_far(gguf: &Gguf, tokenizer: &TokenizerSource, file: &MappedFile, entries: &[Entry]) -> Result<Model, Fault> {
    let tensors = entries.iter().map(|entry| Ok((entry.name.clone(), entry.tensor(file)?)));
    Model::unscreened(PackedFile {
        source: [0; 32],
        length: file.len(),
        metadata: gguf.metadata(),
        vocabulary: Vocabulary::clone(&tokenizer.vocabulary),
        merges: tokenizer.merges.clone(),
        scores: tokenizer.scores.clone(),
        tensors: tensors.collect::<Result<_, Fault>>()?,
    })
}

/// The sections' bytes, in the order of [`Section::ALL`].
fn sections(manifest: &Manifest, tokenizer: &TokenizerSource) -> [Vec<u8>; Section::ALL.len()] {
    let (tokens, kinds, sorted) = tokenizer.vocabulary.tables();
    let (token_bytes, token_ends) = tokens.tables();
    let u32s = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Section::ALL.map(|section| match section {
        Section::Manifest => serde_json::to_vec_pretty(manifest).expect("maps with string keys are JSON"),
        Section::TokenBytes => token_bytes.to_vec(),
        Section::TokenEnds => u32s(token_ends),
        Section::TokenKinds => kinds.to_vec(),
        Section::TokensSorted => u32s(sorted),
        Section::Merges => u32s(tokenizer.merges.table()),
        Section::Scores => tokenizer.scores.iter().flat_map(|score| score.to_le_bytes()).collect(),
    })
}

/// Appends tensors and sections.
struct Writer<'a> {
    file: &'a mut AtomicFile,
    offset: u64,
}

impl Writer<'_> {
    /// Appends `bytes` and zeros up to the alignment; says where they went and what their checksum is.
    fn append(&mut self, bytes: &mut Vec<u8>) -> Result<Extent> {
        let (offset, length) = (self.offset, bytes.len() as u64);
        bytes.resize(bytes.len().next_multiple_of(ALIGN as usize), 0);
        self.file.append(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(Extent { offset, length, checksum: checksum(bytes) })
    }
}
