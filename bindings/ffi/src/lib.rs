//! What Kotlin, Swift and Python see of Nibble: one coarse and flat surface, made for the hand-written APIs on top of it.
//!
//! * `model.rs`: a model file, opened, and what is known about it;
//! * `session.rs`: text from a model; `keyboard.rs` and `reply.rs`: the tasks;
//! * `lexicon.rs` and `emoji.rs`: words for a keyboard, and what they call to mind; `learned.rs`: those of the person; `typing.rs`: a
//!   text field while it is typed in;
//! * `timeline.rs`: the engine's session behind each of these, which comes and goes with the memory that there is;
//! * `packing.rs`, `store.rs` and `download.rs`: model files on the device, before they are opened;
//! * `power.rs` and `logging.rs`: what the device can spare, and what goes to its log;
//! * `schemas.rs`: schemas that were compiled;
//! * `descriptor.rs`: files that the app has open already;
//! * `latest.rs`: requests of which only the newest matters;
//! * `error.rs`: everything that can go wrong, as one enum.
//!
//! Every function may be called from any thread, and returns when it is done: the languages above have their own ways to wait.
//! Streams are pulled, one piece a call. Nothing here calls back. Text that a user typed is in no error and in no log.
#![allow(unsafe_code, reason = "uniffi exports functions under names that the linker sees")]

mod descriptor;
mod download;
mod emoji;
mod error;
mod keyboard;
mod latest;
mod learned;
mod lexicon;
mod logging;
mod model;
mod packing;
mod power;
mod reply;
mod schemas;
mod session;
mod store;
#[cfg(test)]
mod tests;
mod timeline;
mod typing;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use download::{ByteRange, Download, Manifest};
pub use emoji::EmojiList;
pub use error::NibbleError;
pub use keyboard::{
    Field, Key, Keyboard, KeyboardOptions, KeyboardRequest, Layout, Suggestion, SuggestionKind, Suggestions,
};
pub use learned::{LearnedWord, LearnedWords};
pub use lexicon::Lexicon;
pub use logging::{LogLevel, set_log_level};
pub use model::{
    Calibration, MemoryPlan, MemoryPressure, Model, ModelInfo, ModelOptions, memory_plan, memory_plan_descriptor,
};
pub use packing::{PackProgress, Packing};
pub use power::{PowerState, set_power_state, worker_thread_ids};
pub use reply::{Replier, Replies, Reply, SilenceReason, Turn};
pub use session::{
    Finish, Generation, KvCache, Message, Overflow, Piece, Priority, Sampling, Session, SessionOptions, Stop,
    close_json,
};
pub use store::{InstalledModel, ModelStore};
pub use typing::{Edit, Strip, TypingSession};

uniffi::setup_scaffolding!("nibble");

/// What a mutex holds, for data that no panic leaves half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The version of the library, as in `Cargo.toml`.
#[uniffi::export]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
