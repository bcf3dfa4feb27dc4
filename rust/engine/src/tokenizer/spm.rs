//! SentencePiece-style BPE with byte fallback (`tokenizer.ggml.model = "llama"`): Gemma, Llama 2, Mistral.
//!
//! Adjacent pieces are merged, always the pair whose concatenation has the highest score, the leftmost of equals, for as
//! long as some concatenation is a token: llama.cpp's reading of SentencePiece's BPE (`llm_tokenizer_spm_session`). A
//! character that is no token becomes one token per byte.
//!
//! It works on the vocabulary where it lies. A vocabulary of 262,144 tokens as hash tables is tens of megabytes of
//! private memory, which a keyboard does not have; a test shows that the `tokenizers` crate gives the same tokens.

use std::cmp::Ordering;

use super::merge::{Symbol, merge};
use crate::{TokenId, TokenKind, TokenizerSource};

/// How early a merge is made.
#[derive(PartialEq)]
struct Score(f32);

impl Eq for Score {}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The token for a text. Only normal tokens: byte tokens stand for bytes, and whole-text tokens were cut out before.
fn find(source: &TokenizerSource, text: &[u8]) -> Option<TokenId> {
    source.vocabulary.find_kind(text, TokenKind::Normal)
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
    let piece = |symbol: &Symbol| &text.as_bytes()[symbol.start..symbol.start + symbol.len];
    let characters = text.chars().map(|c| (c.len_utf8(), None));
    let merged = merge(characters, |left, right| {
        let token = find(source, &text.as_bytes()[left.start..right.start + right.len])?;
        // Adding zero makes -0 and 0 the same score.
        Some((Score(source.scores[token as usize] + 0.0), token))
    });
    for symbol in merged {
        match symbol.token.or_else(|| find(source, piece(&symbol))) {
            Some(token) => out.push(token),
            None => out.extend(piece(&symbol).iter().filter_map(|&byte| bytes[usize::from(byte)])),
        }
    }
}
