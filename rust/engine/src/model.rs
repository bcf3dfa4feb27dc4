//! A model: the packed file, mapped, with what its metadata mean.

use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use nibble_kernels::{Format, KvFormat};

use crate::calibration::{self, Calibration, CalibrationProgress};
use crate::error::Fault;
use crate::memory::MemoryPlan;
use crate::metadata::Metadata;
use crate::packed::{OpenOptions, PackedFile};
use crate::screen::Screen;
use crate::tokenizer_source::TokenizerSource;
use crate::weights::{Tensor, Weights};
use crate::{
    CancelToken, ChatTemplate, Config, Error, Message, Result, Session, SessionOptions, TokenId, Tokenizer, Vocabulary,
    arch,
};

/// How much of a model is stored in one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatShare {
    /// The format.
    pub format: Format,
    /// Tensors in it.
    pub tensors: usize,
    /// Bytes they take, packed.
    pub bytes: u64,
}

/// An open model. Cloning it shares it; the file is unmapped when the last clone, and the last session over one, is gone.
#[derive(Clone)]
pub struct Model(Arc<Inner>);

struct Inner {
    /// Where the file is, if it is whole and a file of its own.
    path: Option<PathBuf>,
    metadata: Metadata,
    source: [u8; 32],
    length: u64,
    config: Config,
    weights: Weights,
    screen: Option<Screen>,
    formats: Vec<FormatShare>,
    tokenizer_source: Arc<TokenizerSource>,
    /// Made when it is first asked for.
    tokenizer: OnceLock<Arc<Tokenizer>>,
    chat_template: OnceLock<Option<ChatTemplate>>,
}

impl Model {
    /// Opens the packed file at `path` and checks every byte of it.
    ///
    /// # Errors
    /// [`Error::BadModelFile`](crate::Error::BadModelFile) says what is wrong with the file and what to do;
    /// [`Error::Io`](crate::Error::Io) that it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// Opens the packed file at `path`, checked as `options` say.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_with(path: &Path, options: &OpenOptions) -> Result<Self> {
        Self::checked(PackedFile::open(path, options)?, path, Some(path))
    }

    /// Opens the packed file that is a part of another one: of an app's package, where it is stored uncompressed. `name` is
    /// what it is called in errors. A part that begins on a multiple of 64 bytes is read fastest.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_part(file: &File, part: Range<u64>, name: &Path, options: &OpenOptions) -> Result<Self> {
        Self::checked(PackedFile::open_part(file, part, name, options)?, name, None)
    }

    fn checked(file: PackedFile, name: &Path, path: Option<&Path>) -> Result<Self> {
        let model = Self::new(file, true, path).map_err(|fault| fault.in_packed(name))?;
        Tokenizer::check(model.tokenizer_source())?;
        Ok(model)
    }

    /// The model of a file, whose screen may be missing: it takes a model to fit one.
    pub(crate) fn unscreened(file: PackedFile) -> Result<Self, Fault> {
        Self::new(file, false, None)
    }

    /// The model of a file; one that is not whole yet has no screen.
    fn new(file: PackedFile, whole: bool, path: Option<&Path>) -> Result<Self, Fault> {
        let config = arch::config(&file.metadata, file.vocabulary.len())?;
        let weights = Weights::collect(&config, |name, shape| match file.tensors.get(name) {
            Some(tensor) if tensor.shape() != shape => {
                Err(Fault::damaged(format!("the tensor {name} is {} and should be {shape}", tensor.shape())))
            }
            tensor => Ok(tensor.cloned()),
        })?;
        let screen = if whole { Screen::collect(&weights, |name| file.tensors.get(name).cloned())? } else { None };
        let formats = Format::ALL.into_iter().filter_map(|format| {
            let bytes = file.tensors.values().filter(|tensor| tensor.format() == format).map(Tensor::bytes);
            let (tensors, bytes) = bytes.fold((0, 0), |(tensors, sum), bytes| (tensors + 1, sum + bytes as u64));
            (tensors > 0).then_some(FormatShare { format, tensors, bytes })
        });
        let formats = formats.collect();
        let tokenizer_source =
            TokenizerSource::new(&file.metadata, Arc::new(file.vocabulary), file.merges, file.scores)?;
        Ok(Self(Arc::new(Inner {
            path: path.map(Path::to_owned),
            metadata: file.metadata,
            source: file.source,
            length: file.length,
            config,
            weights,
            screen,
            formats,
            tokenizer_source: Arc::new(tokenizer_source),
            tokenizer: OnceLock::new(),
            chat_template: OnceLock::new(),
        })))
    }

    /// The shape of the decoder.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Bytes and kind of every token.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.0.tokenizer_source.vocabulary
    }

    /// What the tokenizer is made of.
    pub fn tokenizer_source(&self) -> &Arc<TokenizerSource> {
        &self.0.tokenizer_source
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        self.0.tokenizer.get_or_init(|| {
            let tokenizer = Tokenizer::new(self.0.tokenizer_source.clone());
            Arc::new(tokenizer.expect("checked when the model was opened"))
        })
    }

    /// The chat template; `None` for a base model.
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.0.chat_template.get_or_init(|| ChatTemplate::new(self.tokenizer().clone())).as_ref()
    }

    /// The chat template over `messages`, tokenised, up to where the assistant begins to speak.
    ///
    /// # Errors
    /// [`Error::NoChatTemplate`] for a base model, [`Error::ChatTemplate`] when it cannot be rendered for these messages.
    pub fn chat(&self, messages: &[Message]) -> Result<Vec<TokenId>> {
        let template = self.chat_template().ok_or(Error::NoChatTemplate)?;
        Ok(self.tokenizer().encode_prompt(&template.render(messages, true)?))
    }

    /// SHA-256 of the file that the model was packed from.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.0.source
    }

    /// The model's name, if the file gives one.
    pub fn name(&self) -> Option<&str> {
        self.0.metadata.string("general.name")
    }

    /// The model's licence, if the file gives one.
    pub fn licence(&self) -> Option<&str> {
        self.0.metadata.string("general.license")
    }

    /// What the head multiplies a hidden state with to get the logit of `token`: a row of its matrix, `[embedding]`.
    ///
    /// # Errors
    /// [`Error::UnknownToken`].
    pub fn head_row(&self, token: TokenId) -> Result<Vec<f32>> {
        let head = self.0.weights.output.matrix();
        if token as usize >= head.rows() {
            return Err(Error::UnknownToken { token, size: head.rows() });
        }
        let mut row = vec![0.0; head.cols()];
        head.dequantize_row(token as usize, &mut row);
        Ok(row)
    }

    /// The formats of its tensors, in the order of [`Format::ALL`].
    pub fn formats(&self) -> &[FormatShare] {
        &self.0.formats
    }

    /// What the model and a session of `context` tokens take, whose keys and values are in `kv_format`.
    pub fn memory_plan(&self, context: usize, kv_format: KvFormat) -> MemoryPlan {
        MemoryPlan::new(&self.0.config, self.0.length, context, kv_format)
    }

    /// Bytes that a session with these options writes to at most, as [`Session::memory`] has them once it is open. Nothing is
    /// reserved.
    ///
    /// # Errors
    /// As [`Model::session`], but for [`Error::OutOfMemory`].
    pub fn session_memory(&self, options: &SessionOptions) -> Result<u64> {
        Session::memory_needed(self, options)
    }

    /// A new timeline over this model. Sessions share the weights and nothing else; each has its own cache and threads.
    ///
    /// # Errors
    /// [`Error::TierUnavailable`] when the options force kernels that this CPU cannot run, [`Error::KvFormatUnavailable`] when they
    /// ask for keys and values in Q8_0 that the heads do not divide into, [`Error::OutOfMemory`] when the system has no room for it.
    pub fn session(&self, options: SessionOptions) -> Result<Session> {
        Session::new(self.clone(), options)
    }

    /// Measures on how many threads this model is fastest on this machine, and keeps the result in a small file beside the
    /// packed one, for every later session whose options leave the number open. Takes about two seconds for a small model,
    /// and should have the machine to itself. `progress` is called after each measurement. Of a model that was opened from a
    /// [part of a file](Self::open_part) the result is kept until the process ends.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) when `progress` breaks, or `cancel` says so, which stops a measurement under way.
    /// That the file cannot be written is no error: the result says so.
    pub fn calibrate(
        &self,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(CalibrationProgress) -> ControlFlow<()>,
    ) -> Result<Calibration> {
        calibration::calibrate(self, cancel, progress)
    }

    /// Whether the head is stored so that the tokens with the highest logits are found without computing all logits; see
    /// [`LanguageModel::sync_top`](crate::LanguageModel::sync_top).
    pub fn has_screened_head(&self) -> bool {
        self.0.screen.is_some()
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Bytes of the packed file.
    pub(crate) fn length(&self) -> u64 {
        self.0.length
    }

    pub(crate) fn screen(&self) -> Option<&Screen> {
        self.0.screen.as_ref()
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.0.weights
    }
}
