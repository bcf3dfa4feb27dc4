//! The engine: model files, tokenizer, chat template, graphs, KV cache, sessions and sampling.
//!
//! It knows nothing of prompts, products or bindings; those live to its right in `ARCHITECTURE.md`.
#![deny(unsafe_code)]

mod arch;
mod atomic_file;
mod cache;
mod config;
mod error;
mod gguf;
mod language_model;
mod memory;
mod metadata;
#[allow(unsafe_code)]
mod mmap;
mod model;
mod packed;
mod strings;
mod template;
mod tokenizer;
mod tokenizer_source;
mod vocabulary;
mod weights;

pub use cache::cache_dir;
pub use config::{Config, Gate, Layer, Rope};
pub use error::{Error, Result};
pub use language_model::{LanguageModel, Message, Node, TokenId};
pub use memory::MemoryPlan;
pub use mmap::Table;
pub use model::Model;
pub use packed::{OpenOptions, PackProgress, Verify, pack};
pub use strings::Strings;
pub use template::{ChatTemplate, Prompt};
pub use tokenizer::{StreamDecoder, Tokenizer, Utf8Stream};
pub use tokenizer_source::{TokenizerKind, TokenizerSource};
pub use vocabulary::{TokenKind, Vocabulary};
