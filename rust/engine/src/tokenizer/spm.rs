//! SentencePiece-style BPE with byte fallback (`tokenizer.ggml.model = "llama"`): Gemma, Llama 2, Mistral.
//!
//! Adjacent pieces are merged, always the pair whose concatenation has the highest score, the leftmost of equals, for as
//! long as some concatenation is a token: llama.cpp's reading of SentencePiece's BPE (`llm_tokenizer_spm_session`). A
//! character that is no token becomes one token per byte.
//!
//! It works on the vocabulary where it lies. A vocabulary of 262,144 tokens as hash tables is tens of megabytes of
//! private memory, which a keyboard does not have; a test shows that the `tokenizers` crate gives the same tokens.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::{TokenId, TokenKind, TokenizerSource};

/// A piece of the text. Pieces form a list; a piece that was merged into its left neighbour has length 0.
struct Symbol {
    start: usize,
    len: usize,
    /// The token that the piece is, once it has been merged.
    token: Option<TokenId>,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours whose concatenation is a token.
#[derive(PartialEq)]
struct Pair {
    score: f32,
    token: TokenId,
    left: usize,
    right: usize,
    len: usize,
}

impl Eq for Pair {}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The token for a text. Only normal tokens: byte tokens stand for bytes, and whole-text tokens were cut out before.
fn find(source: &TokenizerSource, text: &[u8]) -> Option<TokenId> {
    let vocabulary = &source.vocabulary;
    let start = vocabulary.sorted().partition_point(|&t| vocabulary.bytes(t) < text);
    let same = vocabulary.sorted()[start..].iter().copied().take_while(|&t| vocabulary.bytes(t) == text);
    same.into_iter().find(|&t| vocabulary.kind(t) == TokenKind::Normal)
}

/// The token of every byte, in order of the byte; a byte without one is the unknown token, if there is one.
pub(super) fn byte_tokens(source: &TokenizerSource) -> [Option<TokenId>; 256] {
    let vocabulary = &source.vocabulary;
    let mut tokens = [source.unknown; 256];
    for t in (0..vocabulary.len() as TokenId).filter(|&t| vocabulary.kind(t) == TokenKind::Byte) {
        if let [byte] = vocabulary.bytes(t) {
            tokens[usize::from(*byte)] = Some(t);
        }
    }
    tokens
}

/// Appends the tokens of `text`, whose `▁` counts as a space, as the model's alphabet has it.
pub(super) fn encode(source: &TokenizerSource, bytes: &[Option<TokenId>; 256], text: &str, out: &mut Vec<TokenId>) {
    let text = text.replace('▁', " ");
    let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
    for (i, (start, c)) in text.char_indices().enumerate() {
        symbols.push(Symbol { start, len: c.len_utf8(), token: None, previous: i.checked_sub(1), next: Some(i + 1) });
    }
    let Some(last) = symbols.last_mut() else { return };
    last.next = None;

    let mut pairs = BinaryHeap::new();
    let offer = |pairs: &mut BinaryHeap<Pair>, symbols: &[Symbol], left: usize, right: usize| {
        let start = symbols[left].start;
        let len = symbols[left].len + symbols[right].len;
        if let Some(token) = find(source, &text.as_bytes()[start..start + len]) {
            // Adding zero makes -0 and 0 the same score.
            pairs.push(Pair { score: source.scores[token as usize] + 0.0, token, left, right, len });
        }
    };
    for right in 1..symbols.len() {
        offer(&mut pairs, &symbols, right - 1, right);
    }
    while let Some(Pair { token, left, right, len, .. }) = pairs.pop() {
        let (a, b) = (symbols[left].len, symbols[right].len);
        if a == 0 || b == 0 || a + b != len {
            continue; // one of the two was merged with another since
        }
        symbols[left].len = len;
        symbols[left].token = Some(token);
        symbols[right].len = 0;
        let next = symbols[right].next;
        symbols[left].next = next;
        if let Some(previous) = symbols[left].previous {
            offer(&mut pairs, &symbols, previous, left);
        }
        if let Some(next) = next {
            symbols[next].previous = Some(left);
            offer(&mut pairs, &symbols, left, next);
        }
    }

    let mut at = Some(0);
    while let Some(i) = at {
        let piece = &text.as_bytes()[symbols[i].start..][..symbols[i].len];
        match symbols[i].token.or_else(|| find(source, piece)) {
            Some(token) => out.push(token),
            None => out.extend(piece.iter().filter_map(|&byte| bytes[usize::from(byte)])),
        }
        at = symbols[i].next;
    }
}
