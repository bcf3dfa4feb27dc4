//! What people use a model for: keyboard prediction and message replies, over any
//! [`LanguageModel`].
//!
//! A task owns the policy, not the model: it is handed the model at every call, and should be the only user of that
//! session between calls. There is no SIMD and no file format here.
#![forbid(unsafe_code)]

pub mod keyboard;
mod logits;
pub mod reply;
#[cfg(test)]
mod testing;

pub use keyboard::Keyboard;
pub use reply::Replier;

use nibble_engine::{LanguageModel, TokenId};

/// What stands before every text: BOS, or, for a model that wants none, the token that ends a text, since texts follow
/// each other in training. Without it a model has nothing to compare the first words with, and predicts them badly.
pub fn start_token(model: &dyn LanguageModel) -> TokenId {
    let ends = || (0..model.vocabulary().len() as TokenId).find(|&token| model.is_end(token));
    model.bos().or_else(ends).unwrap_or(0)
}
