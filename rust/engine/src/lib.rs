//! The engine: model files, tokenizer, chat template, graphs, KV cache, sessions and sampling.
//!
//! It knows nothing of prompts, products or bindings; those live to its right in `ARCHITECTURE.md`.
#![deny(unsafe_code)]

mod cache;
mod error;
mod language_model;
mod metadata;
#[allow(unsafe_code)]
mod mmap;
mod strings;
mod template;
mod tokenizer;
mod tokenizer_source;
mod vocabulary;

pub use cache::cache_dir;
pub use error::{Error, Result};
pub use language_model::{LanguageModel, Message, Node, TokenId};
pub use mmap::Table;
pub use strings::Strings;
pub use template::{ChatTemplate, Prompt};
pub use tokenizer::{StreamDecoder, Tokenizer, Utf8Stream};
pub use tokenizer_source::{TokenizerKind, TokenizerSource};
pub use vocabulary::{TokenKind, Vocabulary};
