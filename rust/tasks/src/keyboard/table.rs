//! What every token of a vocabulary is to a word: made once per model, from the tokens' bytes alone.

use std::collections::HashSet;
use std::ops::Range;

use nibble_engine::{LanguageModel, TokenId, Vocabulary};

use super::text::{self, Shape};
use crate::start_token;

/// The tokens of one model, sorted for the search over words.
pub(super) struct WordTable {
    /// Per token: what its bytes are to a word once its leading whitespace is behind.
    shapes: Vec<Option<Shape>>,
    /// The text tokens that do not begin with whitespace, sorted by bytes: all that can follow inside a word.
    inner: Vec<TokenId>,
    /// The tokens that end a word: what begins with whitespace or punctuation, and the ends of text.
    ends: Vec<TokenId>,
    /// What stands before every text.
    start: TokenId,
    /// The whitespace that tokens with a beginning of a word begin with.
    leads: HashSet<Box<[u8]>>,
    /// The tokens that are a space and a word with capitals inside it, sorted by the word in small letters.
    capitals: Vec<TokenId>,
}

/// Which of the two byte-sorted orders of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// All text tokens.
    All,
    /// Those that do not begin with whitespace.
    Inner,
}

impl WordTable {
    /// Reads the vocabulary: milliseconds.
    pub fn new(model: &dyn LanguageModel) -> Self {
        let vocabulary = model.vocabulary();
        let mut shapes = vec![None; vocabulary.len()];
        let (mut inner, mut ends, mut leads, mut capitals) = (Vec::new(), Vec::new(), HashSet::new(), Vec::new());
        for &token in vocabulary.sorted() {
            let bytes = vocabulary.bytes(token);
            if bytes.is_empty() || model.is_end(token) {
                continue;
            }
            let body = after_whitespace(bytes);
            let shape = text::shape(body);
            shapes[token as usize] = Some(shape);
            let spaced = body.len() < bytes.len();
            if !spaced {
                inner.push(token);
            }
            if spaced && !body.is_empty() && shape == Shape::Word {
                leads.insert(bytes[..bytes.len() - body.len()].into());
            }
            if spaced || shape == Shape::Break {
                ends.push(token);
            }
            if capitalised_inside(bytes).is_some() {
                capitals.push(token);
            }
        }
        ends.extend((0..vocabulary.len() as TokenId).filter(|&token| model.is_end(token)));
        let word = |token: TokenId| capitalised_inside(vocabulary.bytes(token)).unwrap_or_default();
        capitals.sort_by(|&a, &b| in_small_letters(word(a)).cmp(in_small_letters(word(b))));
        inner.shrink_to_fit();
        ends.shrink_to_fit();
        capitals.shrink_to_fit();
        Self { shapes, inner, ends, start: start_token(model), leads, capitals }
    }

    /// Bytes that the table of so many tokens takes at most: each may be inside of words and end them, or be a word with capitals.
    pub fn memory(vocabulary: usize) -> usize {
        vocabulary * (size_of::<Option<Shape>>() + 2 * size_of::<TokenId>())
    }

    /// The tokens of `order`, sorted by bytes.
    pub fn tokens<'a>(&'a self, vocabulary: &'a Vocabulary, order: Order) -> &'a [TokenId] {
        match order {
            Order::All => vocabulary.sorted(),
            Order::Inner => &self.inner,
        }
    }

    /// The range of `tokens` (one of the orders) whose bytes begin with `prefix`.
    pub fn range(vocabulary: &Vocabulary, tokens: &[TokenId], prefix: &[u8]) -> Range<usize> {
        let start = tokens.partition_point(|&t| vocabulary.bytes(t) < prefix);
        start..start + tokens[start..].partition_point(|&t| vocabulary.bytes(t).starts_with(prefix))
    }

    /// What stands before every text.
    pub fn start(&self) -> TokenId {
        self.start
    }

    /// How many bytes of the whitespace `gap` no token holds together with a beginning of a word.
    pub fn apart(&self, gap: &str) -> usize {
        let mut starts = gap.char_indices().map(|(start, _)| start);
        starts.find(|&start| self.leads.contains(&gap.as_bytes()[start..])).unwrap_or(gap.len())
    }

    /// The tokens that end a word when they follow it.
    pub fn ends(&self) -> &[TokenId] {
        &self.ends
    }

    /// The ways to write `word`, which is in small letters, with capitals inside it that the vocabulary has a token for: "NASA", "YouTube".
    pub fn with_capitals<'a>(&self, vocabulary: &'a Vocabulary, word: &str) -> impl Iterator<Item = &'a str> {
        let written = |token: TokenId| capitalised_inside(vocabulary.bytes(token)).unwrap_or_default();
        let start = self.capitals.partition_point(|&token| in_small_letters(written(token)).lt(word.bytes()));
        let found = self.capitals[start..].iter().map(move |&token| written(token));
        found.take_while(move |written| in_small_letters(written).eq(word.bytes()))
    }

    /// Whether a word goes on through the bytes of `token` from `known` on, those before being settled.
    ///
    /// `pending` is the beginning of a character that the path left unfinished, `begun` whether the word has a
    /// character already: none begins with an apostrophe or a hyphen.
    pub fn continues(
        &self,
        vocabulary: &Vocabulary,
        token: TokenId,
        known: usize,
        pending: &[u8],
        begun: bool,
    ) -> bool {
        let bytes = vocabulary.bytes(token);
        if known >= bytes.len() {
            return true;
        }
        let rest = &bytes[known..];
        let shape = match self.shapes[token as usize] {
            None => return false,
            Some(_) if !pending.is_empty() => text::shape(&[pending, rest].concat()),
            Some(Shape::Word) if known >= bytes.len() - after_whitespace(bytes).len() => Shape::Word,
            Some(_) => text::shape(rest),
        };
        shape == Shape::Word && (begun || !text::split_valid(rest).0.starts_with(text::is_joiner))
    }
}

/// The word that a token is behind its space, if it has a capital inside it: one of the letters of ASCII, as almost all of these are.
fn capitalised_inside(bytes: &[u8]) -> Option<&str> {
    let word = std::str::from_utf8(bytes.strip_prefix(b" ")?).ok()?;
    let letters = word.bytes().all(|byte| byte.is_ascii_alphabetic());
    (letters && word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())).then_some(word)
}

fn in_small_letters(word: &str) -> impl Iterator<Item = u8> {
    word.bytes().map(|byte| byte.to_ascii_lowercase())
}

/// `bytes` without the whitespace they begin with.
fn after_whitespace(bytes: &[u8]) -> &[u8] {
    let text = text::split_valid(bytes).0;
    &bytes[text.len() - text.trim_start().len()..]
}
