//! Text from a model: sessions, and generations that are pulled piece by piece.

use std::path::Path;
use std::sync::{Arc, Mutex};

use nibble_engine::{CancelToken, KvFormat};

use crate::error::{NibbleError, Result};
use crate::model::{MemoryPressure, Shared};
use crate::timeline::{Settings, Timeline};
use crate::{descriptor, lock};

/// How a session is set up.
#[derive(Clone, Debug, uniffi::Record)]
pub struct SessionOptions {
    /// Tokens that the timeline holds: the text and what is written after it. At most what the model was trained for.
    #[uniffi(default = 2048)]
    pub context: u32,
    /// What happens to a longer text.
    pub overflow: Overflow,
    /// Threads that compute; 0 takes as many as suit the model and the device.
    #[uniffi(default = 0)]
    pub threads: u32,
    /// How urgent the session's work is.
    pub priority: Priority,
    /// How keys and values are kept.
    pub kv_cache: KvCache,
    /// Bytes that the session may write to; opening it fails where it would take more.
    #[uniffi(default = None)]
    pub memory_limit: Option<u64>,
}

/// What happens to a text that is longer than the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum Overflow {
    /// An error.
    #[default]
    Fail,
    /// The first `keep` tokens stay, and the oldest of the others are forgotten.
    Slide {
        /// Tokens at the start that are never forgotten.
        keep: u32,
    },
}

/// How urgent work is. While something more urgent is under way anywhere in the app, what is less urgent waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum Priority {
    /// Nobody waits. One thread, unless the options ask for more.
    Background,
    /// Somebody waits for the result.
    #[default]
    Interactive,
    /// Somebody types.
    Keystroke,
}

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum KvCache {
    /// 16 bits each.
    #[default]
    F16,
    /// Half of that; a little off.
    Q8,
}

/// One turn of a chat.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// How tokens are chosen. The default is greedy: always the most probable one.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Sampling {
    /// Divides the logits before the draw; 0 takes the most probable token.
    #[uniffi(default = 0.0)]
    pub temperature: f32,
    /// Keeps the most probable tokens, so many; 0 keeps all.
    #[uniffi(default = 40)]
    pub top_k: u32,
    /// Keeps the smallest set of most probable tokens whose mass reaches this; 1 keeps all.
    #[uniffi(default = 0.95)]
    pub top_p: f32,
    /// Drops tokens less probable than this share of the most probable one; 0 drops none.
    #[uniffi(default = 0.05)]
    pub min_p: f32,
    /// Makes recent tokens less probable; 1 changes nothing.
    #[uniffi(default = 1.0)]
    pub repetition_penalty: f32,
    /// How many recent tokens the penalty looks at.
    #[uniffi(default = 64)]
    pub repetition_window: u32,
    /// Where the randomness starts: the same seed, the same text.
    #[uniffi(default = 0)]
    pub seed: u64,
    /// A JSON schema: the text is JSON that meets it, unless it is cut by a limit, a stop string or a cancel.
    #[uniffi(default = None)]
    pub schema: Option<String>,
}

/// When a generation ends, apart from the model's own end.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Stop {
    /// After so many tokens; without it, the context is the limit.
    #[uniffi(default = None)]
    pub max_tokens: Option<u32>,
    /// When the text holds one of these, which is not returned.
    #[uniffi(default = [])]
    pub strings: Vec<String>,
}

/// What one token added.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Piece {
    /// The token.
    pub token: u32,
    /// The text that became certain with it: whole characters, possibly none.
    pub text: String,
}

/// Why a generation came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Finish {
    /// The model ended its text or its turn, or the text is all that its schema asks for.
    EndOfText,
    /// There are as many tokens as were asked for.
    MaxTokens,
    /// The text came to a stop string.
    StopString,
}

/// One timeline over a model. A text that begins as the one before it did is read from where they part.
#[derive(uniffi::Object)]
pub struct Session {
    pub(crate) timeline: Arc<Timeline<()>>,
}

#[uniffi::export]
impl Session {
    /// Goes on with a text. Whatever is wrong with the arguments is said by the first piece.
    pub fn generate(&self, prompt: String, sampling: Sampling, stop: Stop) -> Arc<Generation> {
        self.write(sampling, stop, move |model| {
            let tokenizer = model.tokenizer();
            Ok(tokenizer.bos().into_iter().chain(tokenizer.encode(&prompt)).collect())
        })
    }

    /// Answers the last turn of a chat, by the model's chat template. Whatever is wrong with the arguments is said by the first piece.
    pub fn chat(&self, messages: Vec<Message>, sampling: Sampling, stop: Stop) -> Arc<Generation> {
        let messages: Vec<_> = messages.into_iter().map(Message::into_engine).collect();
        self.write(sampling, stop, move |model| Ok(model.chat(&messages)?))
    }

    /// Writes what the session has computed to a file, whole or not at all, so that a long beginning of a text need not be computed
    /// at every start. The file may be shipped: it holds for the same model on any device.
    pub fn save_snapshot(&self, path: String) -> Result<()> {
        self.timeline.run(&CancelToken::default(), |session, ()| Ok(session.save(Path::new(&path))?))
    }

    /// Takes over what a session had computed when the file was written; says how many tokens. A text that begins with them goes
    /// on from there. Where the file does not fit, the session is as it was.
    pub fn restore_snapshot(&self, path: String) -> Result<u32> {
        self.timeline.run(&CancelToken::default(), |session, ()| Ok(session.restore(Path::new(&path))? as u32))
    }

    /// As `restore_snapshot`, from a snapshot that lies in an open file, `length` bytes from `offset` on: an asset that an app's package
    /// holds uncompressed. The descriptor is the caller's, who may close it afterwards.
    pub fn restore_snapshot_descriptor(&self, descriptor: i32, offset: u64, length: u64) -> Result<u32> {
        let (file, part) = descriptor::part(descriptor, offset, length)?;
        self.timeline.run(&CancelToken::default(), |session, ()| {
            Ok(session.restore_part(&file, part, Path::new(descriptor::NAME))? as u32)
        })
    }

    /// Closes the session and what it writes; what runs ends with an error. Closing twice does nothing.
    pub fn close(&self) {
        self.timeline.close();
    }
}

impl Session {
    pub(crate) fn open(model: &Arc<Shared>, options: SessionOptions) -> Result<Arc<Self>> {
        let settings = Settings {
            name: "session",
            session: options.to_engine()?,
            context_is_asked_for: true,
            beside: 0,
            memory_limit: options.memory_limit,
            yields_at: MemoryPressure::Moderate,
        };
        Ok(Arc::new(Self { timeline: Timeline::open(model, settings, || ())? }))
    }

    /// A text that begins with the tokens that `prompt` makes.
    fn write(
        &self,
        sampling: Sampling,
        stop: Stop,
        prompt: impl Fn(&nibble_engine::Model) -> Result<Vec<u32>> + Send + 'static,
    ) -> Arc<Generation> {
        let timeline = Arc::clone(&self.timeline);
        Generation::new(&self.timeline, move |cancel| {
            let model = timeline.model()?;
            let (sampling, stop) = (sampling.to_engine(model)?, stop.to_engine()?);
            go_on(cancel)?;
            let tokens = prompt(&model.open()?)?;
            if tokens.is_empty() {
                return Err(nibble_engine::Error::EmptyPrefix.into());
            }
            Ok(nibble_engine::Generation::new(tokens, sampling, stop))
        })
    }
}

/// A text under way: computed one piece at a time, when it is asked for.
#[derive(uniffi::Object)]
pub struct Generation {
    writer: Arc<dyn Writer>,
    cancel: CancelToken,
    text: Mutex<Text>,
}

enum Text {
    /// Nothing was asked for yet.
    Asked(Begin),
    Begun(Box<nibble_engine::Generation>),
    Closed,
}

/// Makes what there is before the first piece: a prompt of tokens, a schema. It looks at the token between one and the next.
type Begin = Box<dyn Fn(&CancelToken) -> Result<nibble_engine::Generation> + Send>;

#[uniffi::export]
impl Generation {
    /// The next piece; none after the last one.
    pub fn next(&self) -> Result<Option<Piece>> {
        let mut text = lock(&self.text);
        if let Text::Asked(begin) = &*text {
            go_on(&self.cancel)?;
            *text = Text::Begun(Box::new(begin(&self.cancel)?));
        }
        let Text::Begun(generation) = &mut *text else { return Err(NibbleError::closed("generation")) };
        if generation.finish().is_some() {
            return Ok(None);
        }
        let piece = self.writer.write(generation, &self.cancel)?;
        Ok(piece.map(|piece| Piece { token: piece.token, text: piece.text }))
    }

    /// Why there is no further piece; none while there is one, and where an error ended the text.
    pub fn finish(&self) -> Option<Finish> {
        let Text::Begun(generation) = &*lock(&self.text) else { return None };
        Some(match generation.finish()? {
            nibble_engine::Finish::EndOfText => Finish::EndOfText,
            nibble_engine::Finish::MaxTokens => Finish::MaxTokens,
            nibble_engine::Finish::StopString => Finish::StopString,
        })
    }

    /// Stops it, also in the midst of a piece, within the time of one layer; before the first piece, of tokenising the prompt or of
    /// compiling the schema. Every `next` from now on is an error.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Stops it and forgets its text. Closing twice does nothing.
    pub fn close(&self) {
        self.cancel.cancel();
        *lock(&self.text) = Text::Closed;
    }
}

impl Generation {
    /// A text that `timeline` is to write, and `begin` begins when its first piece is asked for.
    pub(crate) fn new<T: Send + 'static>(
        timeline: &Arc<Timeline<T>>,
        begin: impl Fn(&CancelToken) -> Result<nibble_engine::Generation> + Send + 'static,
    ) -> Arc<Self> {
        let writer = Arc::clone(timeline) as _;
        Arc::new(Self { writer, cancel: CancelToken::default(), text: Mutex::new(Text::Asked(Box::new(begin))) })
    }
}

/// An error once a text is not wanted any more.
pub(crate) fn go_on(cancel: &CancelToken) -> Result<()> {
    if cancel.is_cancelled() { Err(NibbleError::cancelled()) } else { Ok(()) }
}

/// What computes the pieces of a generation: any timeline.
trait Writer: Send + Sync {
    fn write(
        &self,
        generation: &mut nibble_engine::Generation,
        cancel: &CancelToken,
    ) -> Result<Option<nibble_engine::Piece>>;
}

impl<T: Send + 'static> Writer for Timeline<T> {
    fn write(
        &self,
        generation: &mut nibble_engine::Generation,
        cancel: &CancelToken,
    ) -> Result<Option<nibble_engine::Piece>> {
        self.run(cancel, |session, _| Ok(generation.next(session).transpose()?))
    }
}

/// The beginning of a JSON text as a whole one, so that it can be decoded while the rest is being written: what is open is closed,
/// and what is not certain yet is left out. Nothing while nothing is certain.
#[uniffi::export]
pub fn close_json(text: String) -> Option<String> {
    nibble_engine::close_json(&text)
}

impl Message {
    fn into_engine(self) -> nibble_engine::Message {
        nibble_engine::Message { role: self.role, content: self.content }
    }
}

impl SessionOptions {
    pub(crate) fn to_engine(&self) -> Result<nibble_engine::SessionOptions> {
        if self.context == 0 {
            return Err(NibbleError::invalid("context is 0; a session holds at least one token"));
        }
        Ok(nibble_engine::SessionOptions {
            context: self.context as usize,
            overflow: match self.overflow {
                Overflow::Fail => nibble_engine::Overflow::Error,
                Overflow::Slide { keep } => nibble_engine::Overflow::Slide { keep: keep as usize },
            },
            threads: self.threads as usize,
            priority: match self.priority {
                Priority::Background => nibble_engine::Priority::Background,
                Priority::Interactive => nibble_engine::Priority::Interactive,
                Priority::Keystroke => nibble_engine::Priority::Keystroke,
            },
            // What it writes goes on from its end: nothing here branches.
            max_nodes: 0,
            kv_format: match self.kv_cache {
                KvCache::F16 => KvFormat::F16,
                KvCache::Q8 => KvFormat::Q8_0,
            },
            ..nibble_engine::SessionOptions::default()
        })
    }
}

impl Sampling {
    pub(crate) fn to_engine(&self, model: &Shared) -> Result<nibble_engine::Sampling> {
        let &Self { temperature, top_k, top_p, min_p, repetition_penalty, repetition_window, seed, ref schema } = self;
        let in_range = |name: &str, value: f32, range: std::ops::RangeInclusive<f32>| {
            if range.contains(&value) {
                return Ok(value);
            }
            Err(NibbleError::invalid(format!("{name} is {value}; it goes from {} to {}", range.start(), range.end())))
        };
        Ok(nibble_engine::Sampling {
            temperature: in_range("temperature", temperature, 0.0..=100.0)?,
            top_k: top_k as usize,
            top_p: in_range("top_p", top_p, 0.0..=1.0)?,
            min_p: in_range("min_p", min_p, 0.0..=1.0)?,
            repetition_penalty: in_range("repetition_penalty", repetition_penalty, 0.01..=100.0)?,
            repetition_window: repetition_window as usize,
            seed,
            schema: schema.as_deref().map(|text| model.schemas.get(text)).transpose()?,
        })
    }
}

impl Stop {
    fn to_engine(&self) -> Result<nibble_engine::Stop> {
        if self.strings.iter().any(String::is_empty) {
            return Err(NibbleError::invalid("a stop string is empty; leave it out"));
        }
        Ok(nibble_engine::Stop { max_tokens: self.max_tokens.map(|max| max as usize), strings: self.strings.clone() })
    }
}
