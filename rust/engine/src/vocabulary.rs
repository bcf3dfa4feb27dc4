//! Bytes and kind of every token, and the tokens sorted by bytes so that a byte prefix is a range.

use std::ops::Range;

use crate::mmap::Table;
use crate::strings::Strings;
use crate::{Error, Result, TokenId};

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

impl TokenKind {
    /// From GGUF's number; anything unknown is taken for an unused row.
    pub(crate) fn from_gguf(value: u8) -> Self {
        match value {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            6 => Self::Byte,
            _ => Self::Unused,
        }
    }
}

/// The tokens of one model. Its tables live in the mapped model file, or on the heap when made from tokens.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    strings: Strings,
    kinds: Table<u8>,
    sorted: Table<TokenId>,
}

impl Vocabulary {
    /// From the real bytes and the kind of every token, in the order of their ids.
    ///
    /// # Errors
    /// When the bytes of all tokens together exceed 4 GiB.
    pub fn new(tokens: impl IntoIterator<Item = (Vec<u8>, TokenKind)>) -> Result<Self> {
        let mut kinds = Vec::new();
        let strings = Strings::collect(tokens.into_iter().map(|(bytes, kind)| {
            kinds.push(kind as u8);
            bytes
        }))
        .ok_or(Error::VocabularyTooLarge)?;
        let mut vocabulary = Self { strings, kinds: kinds.into(), sorted: Vec::new().into() };
        let mut sorted: Vec<TokenId> = (0..vocabulary.len() as TokenId)
            .filter(|&t| matches!(vocabulary.kind(t), TokenKind::Normal | TokenKind::UserDefined | TokenKind::Byte))
            .collect();
        sorted.sort_by(|&a, &b| vocabulary.bytes(a).cmp(vocabulary.bytes(b)).then(a.cmp(&b)));
        vocabulary.sorted = sorted.into();
        Ok(vocabulary)
    }

    /// From the tables of a model file; `None` if they do not belong together.
    pub(crate) fn from_tables(strings: Strings, kinds: Table<u8>, sorted: Table<TokenId>) -> Option<Self> {
        let known = sorted.iter().all(|&token| (token as usize) < strings.len());
        (kinds.len() == strings.len() && known).then_some(Self { strings, kinds, sorted })
    }

    /// The tables to store: strings, kinds, sorted ids.
    pub(crate) fn tables(&self) -> (&Strings, &[u8], &[TokenId]) {
        (&self.strings, &self.kinds, &self.sorted)
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
        self.strings.get(token as usize)
    }

    /// The bytes that `token` adds to a text: none if it is not a text token. Panics if there is no such token.
    pub fn text(&self, token: TokenId) -> &[u8] {
        match self.kind(token) {
            TokenKind::Normal | TokenKind::UserDefined | TokenKind::Byte => self.bytes(token),
            TokenKind::Control | TokenKind::Unknown | TokenKind::Unused => &[],
        }
    }

    /// What `token` is for. Panics if there is no such token.
    pub fn kind(&self, token: TokenId) -> TokenKind {
        TokenKind::from_gguf(self.kinds[token as usize])
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
        self.with_bytes(bytes).next()
    }

    /// As [`find`](Self::find), among text tokens of one kind.
    pub fn find_kind(&self, bytes: &[u8], kind: TokenKind) -> Option<TokenId> {
        self.with_bytes(bytes).find(|&t| self.kind(t) == kind)
    }

    /// The text tokens with exactly these bytes, in order of their ids.
    pub(crate) fn with_bytes(&self, bytes: &[u8]) -> impl Iterator<Item = TokenId> {
        let start = self.sorted.partition_point(|&t| self.bytes(t) < bytes);
        self.sorted[start..].iter().copied().take_while(move |&t| self.bytes(t) == bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range_of_the_sorted_text_tokens() {
        let token = |bytes: &[u8], kind| (bytes.to_vec(), kind);
        let vocabulary = Vocabulary::new([
            token(b"<s>", TokenKind::Control),
            token(b"the", TokenKind::Normal),
            token(b"then", TokenKind::Normal),
            token(b"t", TokenKind::Byte),
            token(b"than", TokenKind::UserDefined),
            token(b"the", TokenKind::Normal),
        ])
        .unwrap();
        assert_eq!(vocabulary.len(), 6);
        assert_eq!(vocabulary.sorted(), [3, 4, 1, 5, 2]);
        assert_eq!(vocabulary.sorted()[vocabulary.prefix_range(b"the")], [1, 5, 2]);
        assert_eq!(vocabulary.prefix_range(b"").len(), 5);
        assert_eq!(vocabulary.prefix_range(b"x").len(), 0);
        assert_eq!(vocabulary.find(b"the"), Some(1), "the lowest id of equals");
        assert_eq!(vocabulary.find(b"<s>"), None, "control tokens are not text");
        let of_kind = |kind| vocabulary.find_kind(b"than", kind);
        assert_eq!((of_kind(TokenKind::Normal), of_kind(TokenKind::UserDefined)), (None, Some(4)));
        assert_eq!((vocabulary.bytes(0), vocabulary.kind(0)), (&b"<s>"[..], TokenKind::Control));
    }

    #[test]
    fn tables_that_do_not_belong_together_are_refused() {
        let strings = || Strings::collect(["a", "b"]).unwrap();
        assert!(Vocabulary::from_tables(strings(), vec![1, 1].into(), vec![1, 0].into()).is_some());
        assert!(Vocabulary::from_tables(strings(), vec![1].into(), vec![0].into()).is_none());
        assert!(Vocabulary::from_tables(strings(), vec![1, 1].into(), vec![2].into()).is_none());
        assert!(Strings::from_tables(vec![b'a'; 3].into(), vec![2, 1, 3].into()).is_none());
        assert!(Strings::from_tables(vec![b'a'; 3].into(), vec![1, 2].into()).is_none());
    }
}
