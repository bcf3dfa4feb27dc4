//! A model file, opened: what it is, what it takes, and what is made over it.

use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use nibble_engine::{CancelToken, OpenOptions, Verify, from_hexadecimal, hexadecimal};

use crate::error::{NibbleError, Result};
use crate::keyboard::{Keyboard, KeyboardOptions};
use crate::reply::Replier;
use crate::schemas::Schemas;
use crate::session::{Session, SessionOptions};
use crate::{descriptor, lock, logging};

/// How a model file is opened.
#[derive(Clone, Debug, uniffi::Record)]
pub struct ModelOptions {
    /// Checks every byte of the weights against its checksum. Without it everything else is checked, and the weights are read
    /// when they are first used: milliseconds, whatever the size of the model.
    #[uniffi(default = true)]
    pub check_weights: bool,
    /// The SHA-256 of the GGUF that the file must have been packed from, in hexadecimal; any will do where there is none.
    #[uniffi(default = None)]
    pub source_sha256: Option<String>,
    /// Bytes that everything over the model may write to together: opening what would go beyond that fails, and so does a request to
    /// what gave its memory back and finds it taken.
    #[uniffi(default = None)]
    pub memory_limit: Option<u64>,
}

/// What a model is.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct ModelInfo {
    /// Its name, if the file gives one.
    pub name: Option<String>,
    /// Its licence, if the file gives one.
    pub licence: Option<String>,
    /// The SHA-256 of the GGUF that it was packed from, in hexadecimal.
    pub source_sha256: String,
    /// Tokens of the vocabulary.
    pub vocabulary: u32,
    /// Tokens that it was trained to see at once.
    pub context: u32,
    /// Whether it follows a chat; a base model only continues texts.
    pub has_chat_template: bool,
}

/// What a model takes, and what is made over it, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct MemoryPlan {
    /// The model file, mapped read-only: clean pages, which processes share and the system may drop.
    pub mapped: u64,
    /// What the session writes to at most: its keys and values when the context is full, and its buffers.
    pub session: u64,
    /// The part of that which keys and values take.
    pub kv: u64,
    /// Keys and values of 1,000 tokens of context.
    pub kv_per_1000_tokens: u64,
    /// What a keyboard writes to at most, on as many threads as the session.
    pub keyboard: u64,
    /// What a replier writes to at most, on as many threads as the session.
    pub replier: u64,
}

/// How short memory is. Each level gives back what the ones before it do, and more; all of it comes back by itself when it is
/// needed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, uniffi::Enum)]
pub enum MemoryPressure {
    /// The caches of sessions.
    Moderate,
    /// Those of keyboards and repliers too: what was computed for the word at the cursor is computed again.
    Low,
    /// The mapping of the model file too.
    Critical,
}

/// An open model. Everything made over it shares its weights.
#[derive(uniffi::Object)]
pub struct Model {
    pub(crate) shared: Arc<Shared>,
    info: ModelInfo,
}

#[uniffi::export]
impl Model {
    /// Opens the packed model file at `path`.
    #[uniffi::constructor]
    pub fn open(path: String, options: ModelOptions) -> Result<Arc<Self>> {
        Self::open_at(Place::Path(path.into()), &options)
    }

    /// Opens the packed model file that lies in an open file, `length` bytes from `offset` on: an asset that an app's package
    /// holds uncompressed. It is mapped from there, not copied. The descriptor is the caller's, who may close it afterwards.
    #[uniffi::constructor]
    pub fn open_descriptor(descriptor: i32, offset: u64, length: u64, options: ModelOptions) -> Result<Arc<Self>> {
        let (file, part) = descriptor::part(descriptor, offset, length)?;
        Self::open_at(Place::Part(file, part), &options)
    }

    /// What it is.
    pub fn info(&self) -> ModelInfo {
        self.info.clone()
    }

    /// The tokens of a text, without a BOS; whatever looks like a control token in it is text.
    pub fn tokenize(&self, text: String) -> Result<Vec<u32>> {
        Ok(self.shared.open()?.tokenizer().encode(&text))
    }

    /// The text of tokens; bytes that are not UTF-8 become U+FFFD.
    pub fn detokenize(&self, tokens: Vec<u32>) -> Result<String> {
        let model = self.shared.open()?;
        let size = model.vocabulary().len();
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= size) {
            return Err(nibble_engine::Error::UnknownToken { token, size }.into());
        }
        Ok(model.tokenizer().decode(&tokens))
    }

    /// What this model takes, and a session, a keyboard or a replier over it.
    pub fn memory_plan(&self, options: SessionOptions) -> Result<MemoryPlan> {
        memory_plan_of(&self.shared.open()?, &options)
    }

    /// A new timeline for texts and chats.
    pub fn session(&self, options: SessionOptions) -> Result<Arc<Session>> {
        Session::open(&self.shared, options)
    }

    /// A new keyboard.
    pub fn keyboard(&self, options: KeyboardOptions) -> Result<Arc<Keyboard>> {
        Keyboard::open(&self.shared, options)
    }

    /// A new replier.
    pub fn replier(&self, threads: u32, memory_limit: Option<u64>) -> Result<Arc<Replier>> {
        Replier::open(&self.shared, threads, memory_limit)
    }

    /// What measures on how many threads this model is fastest on this device.
    pub fn calibration(&self) -> Arc<Calibration> {
        Arc::new(Calibration { model: Arc::clone(&self.shared), cancel: CancelToken::default() })
    }

    /// Gives memory back. What runs goes on, and gives its memory back when it is done.
    pub fn memory_pressure(&self, pressure: MemoryPressure) {
        self.shared.yield_to(pressure);
    }

    /// Closes the model and everything made over it; what runs ends with an error. Closing twice does nothing.
    pub fn close(&self) {
        self.shared.close();
    }
}

/// A measurement of how many threads a model is fastest on: one blocking call, stopped from other threads.
#[derive(uniffi::Object)]
pub struct Calibration {
    model: Arc<Shared>,
    cancel: CancelToken,
}

#[uniffi::export]
impl Calibration {
    /// Measures, and keeps the result beside the model's file, for every later session, keyboard and replier that leaves the number open;
    /// of a model in an open file, until the process ends. Takes a few seconds, and should have the device to itself; closing the model
    /// stops it.
    pub fn run(&self) -> Result<()> {
        let outcome = self.model.open()?.calibrate(&self.cancel, &mut |_| {
            if self.model.check_open().is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if matches!(outcome, Err(nibble_engine::Error::Cancelled)) {
            self.model.check_open()?;
        }
        Ok(outcome.map(drop)?)
    }

    /// Stops it; nothing is kept.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Model {
    fn open_at(place: Place, options: &ModelOptions) -> Result<Arc<Self>> {
        logging::begin();
        let expect_source = options.source_sha256.as_deref().map(sha256).transpose()?;
        let verify = if options.check_weights { Verify::Full } else { Verify::Header };
        let model = place.open(&OpenOptions { verify, expect_source })?;
        let info = info(&model);
        let source = *model.fingerprint();
        let shared = Shared {
            place,
            source,
            memory_limit: options.memory_limit.unwrap_or(u64::MAX),
            written: AtomicU64::new(0),
            state: Mutex::new(State::Mapped(model)),
            sleepers: Mutex::default(),
            schemas: Schemas::default(),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared), info }))
    }
}

/// What the model file at `path` would take, and what is made over it. Reads little of the file.
#[uniffi::export]
pub fn memory_plan(path: String, options: SessionOptions) -> Result<MemoryPlan> {
    memory_plan_at(&Place::Path(path.into()), &options)
}

/// As [`memory_plan`], of the model file that is `length` bytes of an open file, from `offset` on.
#[uniffi::export]
pub fn memory_plan_descriptor(
    descriptor: i32,
    offset: u64,
    length: u64,
    options: SessionOptions,
) -> Result<MemoryPlan> {
    let (file, part) = descriptor::part(descriptor, offset, length)?;
    memory_plan_at(&Place::Part(file, part), &options)
}

fn memory_plan_at(place: &Place, options: &SessionOptions) -> Result<MemoryPlan> {
    memory_plan_of(&place.open(&OpenOptions { verify: Verify::Header, ..OpenOptions::default() })?, options)
}

fn memory_plan_of(model: &nibble_engine::Model, options: &SessionOptions) -> Result<MemoryPlan> {
    let threads = options.threads;
    let options = options.to_engine()?;
    let plan = model.memory_plan(options.context, options.kv_format);
    Ok(MemoryPlan {
        mapped: plan.mapped,
        session: model.session_memory(&options)?,
        kv: plan.kv,
        kv_per_1000_tokens: plan.kv_per_1000_tokens,
        keyboard: Keyboard::settings(model, threads).memory(model)?,
        replier: Replier::settings(threads).memory(model)?,
    })
}

fn info(model: &nibble_engine::Model) -> ModelInfo {
    ModelInfo {
        name: model.name().map(str::to_owned),
        licence: model.licence().map(str::to_owned),
        source_sha256: hexadecimal(model.fingerprint()),
        vocabulary: model.vocabulary().len() as u32,
        context: model.config().context_length as u32,
        has_chat_template: model.chat_template().is_some(),
    }
}

/// A SHA-256 that was given in hexadecimal.
pub(crate) fn sha256(text: &str) -> Result<[u8; 32]> {
    from_hexadecimal(text)
        .ok_or_else(|| NibbleError::invalid("source_sha256 is no SHA-256: give 64 hexadecimal digits"))
}

/// Where a model file is.
enum Place {
    Path(PathBuf),
    /// Bytes of a file that stays open, so that they can be mapped again.
    Part(File, Range<u64>),
}

impl Place {
    fn open(&self, options: &OpenOptions) -> Result<nibble_engine::Model> {
        Ok(match self {
            Self::Path(path) => nibble_engine::Model::open_with(path, options)?,
            Self::Part(file, part) => {
                nibble_engine::Model::open_part(file, part.clone(), Path::new(descriptor::NAME), options)?
            }
        })
    }
}

/// What the objects over one model share.
pub(crate) struct Shared {
    place: Place,
    source: [u8; 32],
    /// Bytes that all of them may write to.
    memory_limit: u64,
    /// Bytes that they may write to already.
    written: AtomicU64,
    state: Mutex<State>,
    sleepers: Mutex<Vec<Weak<dyn Sleeper>>>,
    pub schemas: Schemas,
}

enum State {
    Mapped(nibble_engine::Model),
    /// Given back; mapped again when it is needed.
    Unmapped,
    Closed,
}

/// Memory of a model's limit that is taken until this is dropped.
pub(crate) struct Memory {
    model: Arc<Shared>,
    bytes: u64,
}

impl Memory {
    /// Takes so many bytes; or says how many are left, if that is less.
    pub fn take(model: &Arc<Shared>, bytes: u64) -> std::result::Result<Self, u64> {
        let within = |written: u64| written.checked_add(bytes).filter(|&written| written <= model.memory_limit);
        match model.written.fetch_update(Ordering::SeqCst, Ordering::SeqCst, within) {
            Ok(_) => Ok(Self { model: Arc::clone(model), bytes }),
            Err(written) => Err(model.memory_limit - written),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.model.written.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

/// An object over the model, which holds memory.
pub(crate) trait Sleeper: Send + Sync {
    /// Gives back what `pressure` asks for.
    fn yield_to(&self, pressure: MemoryPressure);
    /// Stops what runs, and gives everything back.
    fn model_closed(&self);
}

impl Shared {
    /// The engine's model, mapped again if it was given back.
    pub fn open(&self) -> Result<nibble_engine::Model> {
        let mut state = self.state();
        match &*state {
            State::Mapped(model) => Ok(model.clone()),
            State::Closed => Err(NibbleError::closed("model")),
            State::Unmapped => {
                // It was checked before; another model in its place is an error.
                let options = OpenOptions { verify: Verify::Header, expect_source: Some(self.source) };
                let model = self.place.open(&options)?;
                *state = State::Mapped(model.clone());
                Ok(model)
            }
        }
    }

    pub fn check_open(&self) -> Result<()> {
        if matches!(*self.state(), State::Closed) { Err(NibbleError::closed("model")) } else { Ok(()) }
    }

    /// Has `sleeper` give its memory back from now on.
    pub fn enrol(&self, sleeper: Weak<dyn Sleeper>) {
        let mut sleepers = lock(&self.sleepers);
        sleepers.retain(|sleeper| sleeper.strong_count() > 0);
        sleepers.push(sleeper);
    }

    fn yield_to(&self, pressure: MemoryPressure) {
        self.schemas.clear();
        self.each_sleeper(|sleeper| sleeper.yield_to(pressure));
        let mut state = self.state();
        if pressure == MemoryPressure::Critical && matches!(*state, State::Mapped(_)) {
            *state = State::Unmapped;
        }
    }

    fn close(&self) {
        *self.state() = State::Closed;
        self.schemas.clear();
        self.each_sleeper(|sleeper| sleeper.model_closed());
    }

    fn each_sleeper(&self, f: impl Fn(&dyn Sleeper)) {
        let sleepers = lock(&self.sleepers).clone();
        sleepers.iter().filter_map(Weak::upgrade).for_each(|sleeper| f(&*sleeper));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
