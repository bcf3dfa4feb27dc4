//! `--model`: a name, a packed file or a GGUF becomes a language model that runs.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nibble_engine::{
    CancelToken, CandleModel, Error, KvFormat, LanguageModel, Model, Session, SessionOptions, Threads, TokenId,
};

use crate::failure::{Failure, Result};
use crate::fetch;
use crate::registry::Registry;
use crate::store::Store;
use crate::terminal::{byte_bar, note};

/// The arguments of every command that runs a model.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// A name from `nibble models`, a packed file or a GGUF; without it, the default model
    #[arg(short, long, value_name = "NAME|FILE")]
    pub model: Option<String>,
    /// Threads that compute; without it, as many as suit the model and the machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Tokens that the context holds: the text and what is written after it
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(16..=1 << 20))]
    context_size: u32,
    /// How keys and values are kept; q8_0 takes half the memory and is a little off
    #[arg(long, value_enum, default_value_t = KvCache::F16, hide_possible_values = true, value_name = "f16|q8_0")]
    kv_cache: KvCache,
    /// Who computes
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
}

/// How keys and values are kept.
#[derive(Clone, Copy, clap::ValueEnum)]
enum KvCache {
    F16,
    #[value(name = "q8_0")]
    Q8,
}

/// Who computes.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    /// Nibble where it has a graph for the architecture, else candle
    Auto,
    /// Nibble's own graphs
    Native,
    /// candle-transformers: more architectures, slower, all weights in memory
    Candle,
}

/// A file that is ready to run.
pub enum Source {
    /// On Nibble's own graphs.
    Packed {
        /// The packed file.
        path: PathBuf,
        /// The GGUF that it was packed from, if the packed file is one of ours.
        from: Option<PathBuf>,
    },
    /// On candle's.
    Gguf {
        /// The GGUF.
        path: PathBuf,
        /// Why it is not on Nibble's, unless that was asked for.
        because: Option<Error>,
    },
}

impl Source {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Packed { path, .. } | Self::Gguf { path, .. } => path,
        }
    }
}

impl ModelArgs {
    /// The same with another model.
    pub fn with(&self, model: &str) -> Self {
        Self { model: Some(model.to_owned()), ..self.clone() }
    }

    /// Opens the model, packing it first if that was not done before.
    pub fn open(&self) -> Result<Runner> {
        self.start(&self.prepare()?, self.context_size())
    }

    /// Finds the model's file, and packs it if that was not done before.
    pub fn prepare(&self) -> Result<Source> {
        let store = Store::new();
        let path = locate(&store, self.model.as_deref())?;
        match (is_gguf(&path)?, self.backend) {
            (true, Backend::Candle) => Ok(Source::Gguf { path, because: None }),
            (false, Backend::Candle) => Err(Failure::Usage(format!(
                "{} is not a GGUF, and candle reads nothing else; give the GGUF that it was packed from",
                path.display()
            ))),
            (false, _) => Ok(Source::Packed { path, from: None }),
            (true, backend) => match pack(&store, &path, false)? {
                Packing::Done { packed, .. } => Ok(Source::Packed { path: packed, from: Some(path) }),
                Packing::Unsupported(error) if backend == Backend::Auto => {
                    Ok(Source::Gguf { path, because: Some(error) })
                }
                Packing::Unsupported(error) => Err(error.into()),
            },
        }
    }

    /// Opens what [`prepare`](Self::prepare) found, with a context of `context` tokens.
    pub fn start(&self, source: &Source, context: usize) -> Result<Runner> {
        let model = match source {
            Source::Packed { path, from } => open_packed(path, from.as_deref())?,
            Source::Gguf { path, because } => {
                return match (CandleModel::open(path), because) {
                    (Ok(model), _) => Ok(Runner::Candle(Box::new(model))),
                    // The second refusal explains itself only after the first.
                    (Err(error), Some(first)) => Err(Failure::Failed(format!("{first}; {error}"))),
                    (Err(error), None) => Err(error.into()),
                };
            }
        };
        Ok(Runner::Native(Box::new(self.session(&model, context)?)))
    }

    /// A session over `model`, with the threads that were asked for.
    pub fn session(&self, model: &Model, context: usize) -> Result<Session> {
        let (threads, kv_format) = (self.threads.map_or(0, usize::from), self.kv_format());
        Ok(model.session(SessionOptions { context, threads, kv_format, ..SessionOptions::default() })?)
    }

    /// How keys and values are to be kept.
    pub fn kv_format(&self) -> KvFormat {
        match self.kv_cache {
            KvCache::F16 => KvFormat::F16,
            KvCache::Q8 => KvFormat::Q8_0,
        }
    }

    /// Tokens of context that were asked for.
    pub fn context_size(&self) -> usize {
        self.context_size as usize
    }
}

/// Opens the packed file at `path`; packs it again from the GGUF `from` if it cannot be used.
pub fn open_packed(path: &Path, from: Option<&Path>) -> Result<Model> {
    match (Model::open(path), from) {
        (Err(error), Some(gguf)) => {
            note(&format!("{error}; packing it again"));
            pack(&Store::new(), gguf, true)?;
            Ok(Model::open(path)?)
        }
        (opened, _) => Ok(opened?),
    }
}

/// Which file `name` means: a model of the registry that is here, or a file; without a name, the default model.
pub fn locate(store: &Store, name: Option<&str>) -> Result<PathBuf> {
    let registry = Registry::load()?;
    let entry = match name {
        None => registry.default_entry(),
        Some(name) => match registry.find(name) {
            Some(entry) => entry,
            None => return existing_file(&registry, name),
        },
    };
    if let Some(file) = fetch::find(store, entry.wanted())? {
        return Ok(file);
    }
    // The GGUF may be deleted once it is packed.
    let packed = store.packed_path(entry.file.as_ref(), &entry.sha256);
    packed.is_file().then_some(packed).ok_or_else(|| {
        let name = &entry.name;
        Failure::Failed(format!("the model {name} is not on this machine; fetch it once with `nibble pull {name}`"))
    })
}

/// `name` as the path of a file, which is not in the registry.
pub fn existing_file(registry: &Registry, name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let looks_like_a_path =
        name.contains(['/', '\\']) || path.extension().is_some_and(|e| e == "gguf" || e == "nibble");
    Err(match looks_like_a_path {
        true => Failure::Failed(format!("there is no file {name}; `nibble models` lists what can be fetched by name")),
        false => registry.unknown(name),
    })
}

/// Whether the file begins as a GGUF does; whatever does not is left to the reader of packed files to judge.
fn is_gguf(path: &Path) -> Result<bool> {
    let mut magic = Vec::new();
    let read = File::open(path).and_then(|f| f.take(4).read_to_end(&mut magic));
    read.map_err(|e| Failure::io("read", path, &e))?;
    Ok(magic == b"GGUF")
}

/// What became of a GGUF that was to be packed.
pub enum Packing {
    /// It is packed.
    Done {
        /// The packed file.
        packed: PathBuf,
        /// Whether it was made just now.
        made: bool,
    },
    /// It is sound, but Nibble's own graphs do not run it.
    Unsupported(Error),
}

/// Packs the GGUF `file` into the cache, if it is not there or if `force`d.
pub fn pack(store: &Store, file: &Path, force: bool) -> Result<Packing> {
    let packed = store.packed_path(file, &store.sha256(file)?);
    if !force && packed.is_file() {
        return Ok(Packing::Done { packed, made: false });
    }
    store.packed()?;
    let name = packed.file_name().expect("a packed file has a name").to_string_lossy().into_owned();
    let _lock = store.lock(&name)?;
    if !force && packed.is_file() {
        return Ok(Packing::Done { packed, made: false });
    }
    let bar = byte_bar("packing", 0);
    let done = nibble_engine::pack(file, &packed, &mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    match done {
        Ok(()) => {
            store.delete_earlier(&packed);
            Ok(Packing::Done { packed, made: true })
        }
        Err(error @ Error::Unsupported { .. }) => Ok(Packing::Unsupported(error)),
        Err(error) => Err(error.into()),
    }
}

/// `2 threads`, or `4 threads in prefill, 2 in decode`.
pub fn in_words(threads: Threads) -> String {
    let Threads { prefill, decode } = threads;
    let noun = if prefill == 1 { "thread" } else { "threads" };
    match prefill == decode {
        true => format!("{prefill} {noun}"),
        false => format!("{prefill} {noun} in prefill, {decode} in decode"),
    }
}

/// A language model that runs.
pub enum Runner {
    /// On Nibble's own graphs.
    Native(Box<Session>),
    /// On candle's.
    Candle(Box<CandleModel>),
}

impl Runner {
    /// The model.
    pub fn model(&mut self) -> &mut dyn LanguageModel {
        match self {
            Self::Native(session) => session.as_mut(),
            Self::Candle(model) => model.as_mut(),
        }
    }

    /// What stops a computation under way, where it can be stopped.
    pub fn cancel_token(&self) -> Option<CancelToken> {
        match self {
            Self::Native(session) => Some(session.cancel_token()),
            Self::Candle(_) => None,
        }
    }

    /// How it computes, in words: `2 threads, avx2`.
    pub fn how(&self) -> String {
        match self {
            Self::Native(session) => format!("{}, {}", in_words(session.threads()), session.tier().name()),
            Self::Candle(_) => "candle".to_owned(),
        }
    }

    /// The tokens of a person's text, with the BOS that the model wants. Never empty.
    pub fn encode(&mut self, text: &str) -> Result<Vec<TokenId>> {
        let model = self.model();
        let tokens: Vec<_> = model.bos().into_iter().chain(model.encode(text)).collect();
        match tokens.is_empty() {
            true => Err(Failure::Failed("there is no text; give some".to_owned())),
            false => Ok(tokens),
        }
    }

    /// Shows the logits `[vocabulary]` of every position of `tokens` to `visit`.
    pub fn score(&mut self, tokens: &[TokenId], mut visit: impl FnMut(usize, &[f32])) -> Result<()> {
        match self {
            Self::Native(session) => session.score(tokens, visit)?,
            Self::Candle(model) => {
                for end in 1..=tokens.len() {
                    visit(end - 1, model.sync(&tokens[..end])?);
                }
            }
        }
        Ok(())
    }
}
