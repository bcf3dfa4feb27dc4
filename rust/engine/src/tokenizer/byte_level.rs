//! Byte-level BPE (`tokenizer.ggml.model = "gpt2"`): words of bytes, merged by rank (Radford et al., 2019).
//!
//! The merging is the `tokenizers` crate's.

use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Merges, Vocab};

use super::pre::{Kind, PreTokenizer};
use crate::tokenizer_source::gpt2_alphabet;
use crate::{TokenId, TokenKind, TokenizerSource};

/// The tables in the form the merging needs. Building takes tens of milliseconds; see [`super`] for when it happens.
#[derive(Debug)]
pub(super) struct ByteLevel {
    pre: PreTokenizer,
    bpe: BPE,
    /// Whether the byte is a token: a vocabulary may lack some, and they are dropped from a text as llama.cpp does.
    known: [bool; 256],
}

impl ByteLevel {
    pub(super) fn new(source: &TokenizerSource, kind: Kind) -> Self {
        let vocabulary = &source.vocabulary;
        let text = (0..vocabulary.len() as TokenId).filter(|&t| vocabulary.kind(t) == TokenKind::Normal);
        let pieces: Vocab = text.map(|t| (source.piece(t).into_owned(), t)).collect();
        let alphabet = gpt2_alphabet();
        let known = std::array::from_fn(|byte| pieces.contains_key(alphabet[byte].encode_utf8(&mut [0; 4]) as &str));
        // A merge that starts from or leads to no token can never be part of an encoding.
        let is_token = |piece: &str| pieces.contains_key(piece);
        let merges: Merges = source
            .merge_pairs()
            .filter(|(a, b)| is_token(a) && is_token(b) && is_token(&[*a, *b].concat()))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        let bpe = BPE::builder()
            .vocab_and_merges(pieces, merges)
            .ignore_merges(kind.ignore_merges)
            // The crate's cache would keep what people type for as long as the thread lives.
            .cache_capacity(0)
            .build()
            .expect("every merge was checked against the vocabulary");
        Self { pre: PreTokenizer::new(kind), bpe, known }
    }

    /// Appends the tokens of `text`.
    pub(super) fn encode(&self, text: &str, out: &mut Vec<TokenId>) {
        let alphabet = gpt2_alphabet();
        for word in self.pre.words(text) {
            for run in word.as_bytes().split(|&byte| !self.known[usize::from(byte)]) {
                let run: String = run.iter().map(|&byte| alphabet[usize::from(byte)]).collect();
                let tokens = self.bpe.tokenize(&run).expect("BPE without dropout encodes every known character");
                out.extend(tokens.into_iter().map(|token| token.id));
            }
        }
    }
}
