//! What a tokenizer is made of, as the model file states it; [`crate::tokenizer`] makes one from it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Fault;
use crate::metadata::Metadata;
use crate::mmap::Table;
use crate::{Merges, TokenId, TokenKind, Vocabulary};

/// GGUF's `tokenizer.ggml.model`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenizerKind {
    /// `gpt2`: byte-level BPE with merges.
    Gpt2,
    /// `llama`: SentencePiece-style BPE by score, with byte fallback.
    Llama,
}

/// Everything a tokenizer needs.
#[derive(Clone, Debug)]
pub struct TokenizerSource {
    /// The algorithm.
    pub kind: TokenizerKind,
    /// The pre-tokenizer's name, GGUF's `tokenizer.ggml.pre`; `default` when the file names none.
    pub pre: String,
    /// Bytes and kinds of the tokens.
    pub vocabulary: Arc<Vocabulary>,
    /// What is merged, and in what order; empty for `llama`.
    pub merges: Merges,
    /// Score of every token; empty for `gpt2`.
    pub scores: Table<f32>,
    /// Whether a text begins with `bos`.
    pub add_bos: bool,
    /// Whether a text ends with `eos`.
    pub add_eos: bool,
    /// Whether a space is put in front of a text.
    pub add_space_prefix: bool,
    /// Begin of text.
    pub bos: Option<TokenId>,
    /// End of text.
    pub eos: Option<TokenId>,
    /// End of turn.
    pub eot: Option<TokenId>,
    /// Unknown.
    pub unknown: Option<TokenId>,
    /// The chat template, Jinja source.
    pub chat_template: Option<String>,
}

impl TokenizerSource {
    /// From the metadata and the tables; the defaults are llama.cpp's (`llama_vocab::impl::load`).
    pub(crate) fn new(
        metadata: &Metadata,
        vocabulary: Arc<Vocabulary>,
        merges: Merges,
        scores: Table<f32>,
    ) -> Result<Self, Fault> {
        let kind = kind(metadata)?;
        let size = vocabulary.len();
        let pre = metadata.string("tokenizer.ggml.pre").unwrap_or("default").to_owned();
        let token = |name: &str| -> Result<Option<TokenId>, Fault> {
            let key = format!("tokenizer.ggml.{name}_token_id");
            match metadata.count(&key)? {
                Some(id) if id >= size => {
                    Err(Fault::damaged(format!("{key} is {id}, but the vocabulary ends at {size}")))
                }
                id => Ok(id.map(|id| id as TokenId)),
            }
        };
        let flag = |name: &str| metadata.bool(&format!("tokenizer.ggml.{name}"));
        let llama = kind == TokenizerKind::Llama;
        let default = |id: TokenId| (llama && (id as usize) < size).then_some(id);
        if llama && scores.len() != size {
            return Err(Fault::damaged(format!("{} token scores for {size} tokens", scores.len())));
        }
        Ok(Self {
            kind,
            add_bos: flag("add_bos_token").unwrap_or(llama || crate::tokenizer::implies_bos(&pre)),
            add_eos: flag("add_eos_token").unwrap_or(false),
            add_space_prefix: flag("add_space_prefix").unwrap_or(llama),
            bos: token("bos")?.or(default(1)),
            eos: token("eos")?.or(default(2)),
            eot: token("eot")?,
            unknown: token("unknown")?.or(default(0)),
            chat_template: metadata.string("tokenizer.chat_template").map(str::to_owned),
            pre,
            vocabulary,
            merges,
            scores,
        })
    }

    /// The token as the file's alphabet spells it: GPT-2's byte alphabet, or with `▁` for a space and `<0xNN>` for bytes.
    pub fn piece(&self, token: TokenId) -> Cow<'_, str> {
        let bytes = self.vocabulary.bytes(token);
        match (self.vocabulary.kind(token), self.kind) {
            (TokenKind::Normal, TokenizerKind::Gpt2) => {
                let alphabet = gpt2_alphabet();
                bytes.iter().map(|&byte| alphabet[usize::from(byte)]).collect()
            }
            (TokenKind::Normal, TokenizerKind::Llama) => String::from_utf8_lossy(bytes).replace(' ', "▁").into(),
            (TokenKind::Byte, _) => bytes.iter().map(|byte| format!("<0x{byte:02X}>")).collect(),
            _ => String::from_utf8_lossy(bytes),
        }
    }
}

/// The kind that the metadata names.
pub(crate) fn kind(metadata: &Metadata) -> Result<TokenizerKind, Fault> {
    match metadata.string("tokenizer.ggml.model") {
        Some("gpt2") => Ok(TokenizerKind::Gpt2),
        Some("llama") => Ok(TokenizerKind::Llama),
        Some(other) => {
            Err(Fault::unsupported(format!("the tokenizer {other:.40?}, and there are only gpt2 and llama")))
        }
        None => Err(Fault::damaged("the key tokenizer.ggml.model is missing")),
    }
}

/// The bytes that a piece of a GGUF stands for in a text.
pub(crate) fn text_bytes(piece: &str, token: TokenKind, tokenizer: TokenizerKind, inverse: &Gpt2Bytes) -> Vec<u8> {
    match (token, tokenizer) {
        (TokenKind::Normal, TokenizerKind::Gpt2) => inverse.decode(piece),
        (TokenKind::Normal, TokenizerKind::Llama) => piece.replace('▁', " ").into_bytes(),
        (TokenKind::Byte, _) => {
            let hex = piece.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
            match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(byte) => vec![byte],
                None => piece.as_bytes().to_vec(),
            }
        }
        _ => piece.as_bytes().to_vec(),
    }
}

/// GPT-2's alphabet: the character that stands for each byte (Radford et al. 2019, `bytes_to_unicode` of the release).
/// Printable Latin-1 stands for itself, the rest for 256 and on in order.
pub(crate) fn gpt2_alphabet() -> &'static [char; 256] {
    static ALPHABET: std::sync::LazyLock<[char; 256]> = std::sync::LazyLock::new(|| {
        let mut next = 256;
        std::array::from_fn(|byte| {
            let code = match byte {
                0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => byte as u32,
                _ => {
                    next += 1;
                    next - 1
                }
            };
            char::from_u32(code).expect("below 0x200 every code is a character")
        })
    });
    &ALPHABET
}

/// GPT-2's alphabet backwards.
pub(crate) struct Gpt2Bytes(std::collections::HashMap<char, u8>);

impl Gpt2Bytes {
    pub(crate) fn new() -> Self {
        Self((0..=255).map(|byte: u8| (gpt2_alphabet()[usize::from(byte)], byte)).collect())
    }

    /// The bytes of `piece`; characters outside the alphabet stay as they are.
    pub(crate) fn decode(&self, piece: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(piece.len());
        for c in piece.chars() {
            match self.0.get(&c) {
                Some(&byte) => bytes.push(byte),
                None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gpt2_alphabet_is_a_bijection_with_known_letters() {
        let alphabet = gpt2_alphabet();
        assert_eq!((alphabet[b' ' as usize], alphabet[b'\n' as usize], alphabet[b'a' as usize]), ('Ġ', 'Ċ', 'a'));
        assert_eq!(alphabet[0xad], 'Ń');
        let all: String = alphabet.iter().collect();
        assert_eq!(Gpt2Bytes::new().decode(&all), (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn pieces_become_bytes_and_bytes_become_pieces() {
        let inverse = Gpt2Bytes::new();
        let cases = [
            (TokenizerKind::Gpt2, TokenKind::Normal, "Ġthe", &b" the"[..]),
            (TokenizerKind::Gpt2, TokenKind::Control, "<|im_end|>", b"<|im_end|>"),
            (TokenizerKind::Llama, TokenKind::Normal, "▁the", b" the"),
            (TokenizerKind::Llama, TokenKind::Byte, "<0xE2>", b"\xe2"),
            (TokenizerKind::Llama, TokenKind::UserDefined, "  ", b"  "),
        ];
        for (kind, token, piece, bytes) in cases {
            assert_eq!(text_bytes(piece, token, kind, &inverse), bytes);
            let mut metadata = Metadata::default();
            let name = if kind == TokenizerKind::Gpt2 { "gpt2" } else { "llama" };
            metadata.insert("tokenizer.ggml.model".into(), name.into());
            let filler = std::iter::repeat_n((Vec::new(), TokenKind::Unused), 2);
            let vocabulary = Vocabulary::new(std::iter::once((bytes.to_vec(), token)).chain(filler)).unwrap();
            let merges = Merges::new(&vocabulary, []);
            let source = TokenizerSource::new(&metadata, Arc::new(vocabulary), merges, vec![0.0; 3].into()).unwrap();
            assert_eq!(source.piece(0), piece);
            assert_eq!(source.add_bos, kind == TokenizerKind::Llama);
        }
    }
}
