//! Bytes and kind of every token, and the tokens sorted by bytes so that a byte prefix is a range.

use std::ops::Range;

use crate::{Result, TokenId};

/// What a token is for; the values are GGUF's `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TokenKind {
    /// Text.
    Normal = 1,
    /// Stands for what cannot be encoded.
    Unknown = 2,
    /// Steers the model; never text.
    Control = 3,
    /// Text that was added to the vocabulary as a whole.
    UserDefined = 4,
    /// A row without a meaning.
    Unused = 5,
    /// One byte, for text that no other token covers.
    Byte = 6,
}

/// The tokens of one model.
#[derive(Debug)]
pub struct Vocabulary {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    kinds: Vec<TokenKind>,
    sorted: Vec<TokenId>,
}

impl Vocabulary {
    /// From the real bytes and the kind of every token, in the order of their ids.
    ///
    /// # Errors
    /// When the bytes of all tokens together exceed 4 GiB.
    pub fn new(tokens: impl IntoIterator<Item = (Vec<u8>, TokenKind)>) -> Result<Self> {
        let (mut bytes, mut ends, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        for (token, kind) in tokens {
            bytes.extend_from_slice(&token);
            ends.push(bytes.len() as u32);
            kinds.push(kind);
        }
        let mut vocabulary = Self { bytes, ends, kinds, sorted: Vec::new() };
        let mut sorted: Vec<TokenId> = (0..vocabulary.len() as TokenId)
            .filter(|&t| matches!(vocabulary.kind(t), TokenKind::Normal | TokenKind::UserDefined | TokenKind::Byte))
            .collect();
        sorted.sort_by(|&a, &b| vocabulary.bytes(a).cmp(vocabulary.bytes(b)).then(a.cmp(&b)));
        vocabulary.sorted = sorted;
        Ok(vocabulary)
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The bytes that `token` stands for in a text. Panics if there is no such token.
    pub fn bytes(&self, token: TokenId) -> &[u8] {
        let i = token as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start as usize..self.ends[i] as usize]
    }

    /// What `token` is for. Panics if there is no such token.
    pub fn kind(&self, token: TokenId) -> TokenKind {
        self.kinds[token as usize]
    }

    /// The text tokens (normal, user-defined and byte) sorted by bytes, then id.
    pub fn sorted(&self) -> &[TokenId] {
        &self.sorted
    }

    /// The range of [`sorted`](Self::sorted) whose bytes begin with `prefix`.
    pub fn prefix_range(&self, prefix: &[u8]) -> Range<usize> {
        let start = self.sorted.partition_point(|&t| self.bytes(t) < prefix);
        let len = self.sorted[start..].partition_point(|&t| self.bytes(t).starts_with(prefix));
        start..start + len
    }

    /// The text token with exactly these bytes; the lowest id when there are several.
    pub fn find(&self, bytes: &[u8]) -> Option<TokenId> {
        let start = self.sorted.partition_point(|&t| self.bytes(t) < bytes);
        self.sorted.get(start).copied().filter(|&t| self.bytes(t) == bytes)
    }
}
