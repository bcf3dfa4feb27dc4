//! What people use a model for: keyboard prediction and message replies, over any
//! [`LanguageModel`](nibble_engine::LanguageModel).
//!
//! A task owns the policy, not the model: it is handed the model at every call, and should be the only user of that
//! session between calls. There is no SIMD and no file format here.
#![forbid(unsafe_code)]

pub mod keyboard;
pub mod reply;
#[cfg(test)]
mod testing;

pub use keyboard::Keyboard;
pub use reply::Replier;
