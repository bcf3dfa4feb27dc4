//! The engine: model files, tokenizer, chat template, graphs, KV cache, sessions and sampling.
//!
//! It knows nothing of prompts, products or bindings; those live to its right in `ARCHITECTURE.md`.
#![deny(unsafe_code)]

mod adapter;
mod arch;
mod atomic_file;
mod cache;
mod calibration;
#[cfg(feature = "candle")]
mod candle_backend;
mod config;
mod cores;
mod crew;
mod download;
mod error;
mod generate;
mod gguf;
mod guide;
mod head;
mod hexadecimal;
mod kv;
mod language_model;
mod manifest;
mod memory;
mod merges;
mod metadata;
#[allow(unsafe_code)]
mod mmap;
mod model;
mod model_store;
mod packed;
mod partial;
mod power;
mod rope;
mod sampler;
mod schema;
mod screen;
mod session;
mod snapshot;
mod strings;
mod template;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod threads;
mod tokenizer;
mod tokenizer_source;
mod transformer;
mod turns;
mod vocabulary;
mod watchdog;
mod weights;

pub use adapter::Adapter;
pub use cache::cache_dir;
pub use calibration::{CALIBRATION_SUFFIX, Calibration, CalibrationProgress, ThreadSpeed};
#[cfg(feature = "candle")]
pub use candle_backend::CandleModel;
pub use config::{Config, Gate, Layer, Rope};
pub use crew::Threads;
pub use download::{Download, DownloadOptions};
pub use error::{Error, Result};
pub use generate::{Finish, Generation, Generator, Piece, Stop};
pub use hexadecimal::{from_hexadecimal, hexadecimal};
pub use language_model::{LanguageModel, Message, Node, TokenId};
pub use manifest::{About, CHUNK, Licence, Manifest, public_key};
pub use memory::MemoryPlan;
pub use merges::{Merge, Merges};
pub use mmap::{Table, map_file, map_part};
pub use model::{FormatShare, Model};
pub use model_store::{InstalledModel, ModelStore};
pub use packed::{OpenOptions, PackProgress, VERSION as PACKED_VERSION, Verify, pack, pack_expecting};
pub use partial::close_json;
pub use power::PowerState;
pub use sampler::{Sampler, Sampling, SplitMix64, log_prob, log_sum_exp, most_probable};
pub use schema::{Schema, SchemaFault};
pub use session::{CancelToken, Overflow, Session, SessionOptions};
pub use strings::Strings;
pub use template::{ChatTemplate, Prompt};
pub use threads::{Priority, worker_thread_ids};
pub use tokenizer::{StreamDecoder, Tokenizer, Utf8Stream};
pub use tokenizer_source::{TokenizerKind, TokenizerSource};
pub use turns::Turn;
pub use vocabulary::{TokenKind, Vocabulary};

pub use nibble_kernels::{Format, KvFormat};
