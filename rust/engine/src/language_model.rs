//! What a task sees of a model: one mutable timeline, and a token tree that grows from its end.
//!
//! Implemented by [`Session`](crate::Session), by the candle backend, and by the fake models of tests.

use std::sync::Arc;

use crate::head::best_of;
use crate::{Adapter, Error, Result, Vocabulary};

/// A token's id: its row in the vocabulary.
pub type TokenId = u32;

/// A point in the token tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node(pub u32);

impl Node {
    /// The end of the synced prefix, where the tree begins.
    pub const ROOT: Node = Node(0);
}

/// One turn of a conversation, in the terms of chat templates.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// A causal language model with one timeline.
///
/// Callers hand over the whole prefix they want; the model works out what of it is new. There is no
/// append-only call to misuse.
pub trait LanguageModel {
    /// Bytes and kind of every token.
    fn vocabulary(&self) -> &Vocabulary;

    /// Encodes text that a person wrote: whatever looks like a control token in it stays text, and no
    /// BOS is added.
    fn encode(&self, text: &str) -> Vec<TokenId>;

    /// The text of `tokens`; bytes that are not UTF-8 become U+FFFD.
    fn decode(&self, tokens: &[TokenId]) -> String;

    /// The token to put in front of every prefix, if the model wants one.
    fn bos(&self) -> Option<TokenId>;

    /// Whether `token` ends a text or a turn.
    fn is_end(&self, token: TokenId) -> bool;

    /// The model's chat template over `messages`, tokenised, up to where the assistant begins to speak.
    ///
    /// # Errors
    /// [`Error::NoChatTemplate`](crate::Error::NoChatTemplate) for a base model.
    fn chat(&self, messages: &[Message]) -> Result<Vec<TokenId>>;

    /// The model's name, if it is known.
    fn name(&self) -> Option<&str> {
        None
    }

    /// Has an adapter move all hidden states from now on, or none. What is known of keys and values stays. A model that cannot be
    /// adapted stays as it is.
    ///
    /// # Errors
    /// [`Error::UnfitAdapter`] where it is for another model.
    fn adapt(&mut self, adapter: Option<&Arc<Adapter>>) -> Result<()> {
        let _ = adapter;
        Ok(())
    }

    /// How many tokens a prefix may hold.
    fn context_limit(&self) -> usize;

    /// How many tokens the layers have to compute for [`sync`](Self::sync) to this prefix: none where it is the timeline, or the
    /// timeline and a path of the tree. A model that does not know says all.
    fn missing(&self, prefix: &[TokenId]) -> usize {
        prefix.len()
    }

    /// Makes the timeline equal `prefix`, which is not empty, computing only what is new, and drops every node unless
    /// the prefix is unchanged. Returns the logits `[vocabulary]` of the last position.
    ///
    /// # Errors
    /// When the prefix does not fit, holds an unknown token, or the call is cancelled.
    fn sync(&mut self, prefix: &[TokenId]) -> Result<&[f32]>;

    /// As [`sync`](Self::sync), but gives the `k` tokens with the highest logits and these, the highest first and of equal ones
    /// the lowest id first, in `top`.
    ///
    /// They are those of `sync`, bit for bit; for a model with a
    /// [screened head](crate::Model::has_screened_head), which does not compute the others, with a probability: a token is
    /// missed if its logit is more than 7 standard deviations above what half of the head's bits estimate.
    ///
    /// # Errors
    /// As `sync`.
    fn sync_top(&mut self, prefix: &[TokenId], k: usize, top: &mut Vec<(TokenId, f32)>) -> Result<()> {
        best_of(self.sync(prefix)?, k, top);
        Ok(())
    }

    /// As [`sync`](Self::sync), but gives the logits of `tokens` only, in their order, in `logits`. What it takes grows with
    /// their number.
    ///
    /// # Errors
    /// As `sync`, and when one of `tokens` is unknown.
    fn sync_some(&mut self, prefix: &[TokenId], tokens: &[TokenId], logits: &mut Vec<f32>) -> Result<()> {
        let size = self.vocabulary().len();
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= size) {
            return Err(Error::UnknownToken { token, size });
        }
        let all = self.sync(prefix)?;
        logits.clear();
        logits.extend(tokens.iter().map(|&token| all[token as usize]));
        Ok(())
    }

    /// Adds one row per (parent, token) to the tree, all in one batch, so that the weights are read
    /// once. A parent is [`Node::ROOT`] or a node of an earlier call. Returns the new nodes in order.
    ///
    /// # Errors
    /// [`Error::TreeFull`](crate::Error::TreeFull) when more rows than [`room`](Self::room) are asked for; otherwise as `sync`.
    fn grow(&mut self, rows: &[(Node, TokenId)]) -> Result<Vec<Node>>;

    /// Logits `[vocabulary]` of row `i` of the last [`grow`](Self::grow); valid until the next call that computes.
    fn logits(&self, i: usize) -> &[f32];

    /// How many rows the next [`grow`](Self::grow) can take.
    fn room(&self) -> usize;
}
