//! The engine: model files, tokenizer, chat template, graphs, KV cache, sessions and sampling.
//!
//! It knows nothing of prompts, products or bindings; those live to its right in `ARCHITECTURE.md`.
#![deny(unsafe_code)]

mod cache;
mod error;
mod language_model;
mod vocabulary;

pub use cache::cache_dir;
pub use error::{Error, Result};
pub use language_model::{LanguageModel, Message, Node, TokenId};
pub use vocabulary::{TokenKind, Vocabulary};
