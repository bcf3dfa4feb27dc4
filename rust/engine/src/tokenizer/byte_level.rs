//! Byte-level BPE (`tokenizer.ggml.model = "gpt2"`): words of bytes, merged by rank (Radford et al., 2019).
//!
//! It works on the tables of the model file where they lie; tests show that the `tokenizers` crate gives the same tokens.

use std::cmp::Reverse;

use super::merge::merge;
use super::pre::{Kind, PreTokenizer};
use crate::{TokenId, TokenKind, TokenizerSource};

/// What encoding needs beside the tables.
#[derive(Debug)]
pub(super) struct ByteLevel {
    pre: PreTokenizer,
    ignore_merges: bool,
    /// The token of every byte: a vocabulary may lack some, and they are dropped from a text as llama.cpp does.
    bytes: [Option<TokenId>; 256],
}

impl ByteLevel {
    /// Compiles the patterns of `kind`; milliseconds.
    pub(super) fn new(source: &TokenizerSource, kind: Kind) -> Self {
        let bytes = std::array::from_fn(|byte| source.vocabulary.find_kind(&[byte as u8], TokenKind::Normal));
        Self { pre: PreTokenizer::new(kind), ignore_merges: kind.ignore_merges, bytes }
    }

    /// Appends the tokens of `text`.
    pub(super) fn encode(&self, source: &TokenizerSource, text: &str, out: &mut Vec<TokenId>) {
        for word in self.pre.words(text) {
            for run in word.as_bytes().split(|&byte| self.bytes[usize::from(byte)].is_none()) {
                let whole = if self.ignore_merges { source.vocabulary.find_kind(run, TokenKind::Normal) } else { None };
                match whole {
                    Some(token) => out.push(token),
                    None => self.encode_run(source, run, out),
                }
            }
        }
    }

    /// Appends the tokens of a part of a word whose bytes are all tokens.
    fn encode_run(&self, source: &TokenizerSource, run: &[u8], out: &mut Vec<TokenId>) {
        let pieces = run.iter().map(|&byte| (1, self.bytes[usize::from(byte)]));
        let merged = merge(pieces, |left, right| {
            let merge = source.merges.get(left.token?, right.token?)?;
            Some((Reverse(merge.rank), merge.merged))
        });
        out.extend(merged.filter_map(|symbol| symbol.token));
    }
}
