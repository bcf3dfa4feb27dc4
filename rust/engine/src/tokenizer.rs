//! Text to tokens and back, token for token as llama.cpp does it on the same file.
//!
//! Text that a person wrote never becomes a control token: [`Tokenizer::encode`] takes look-alikes such as `<|im_end|>`
//! for the letters they are. Control tokens come only from a chat template's own text, through
//! [`Tokenizer::encode_prompt`].

mod byte_level;
mod merge;
mod pre;
mod special;
mod spm;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Arc, OnceLock};

use byte_level::ByteLevel;
pub(crate) use pre::implies_bos;
use special::{Fragment, SpecialTokens};
pub use stream::{StreamDecoder, Utf8Stream};

use crate::{Error, Prompt, Result, TokenId, TokenKind, TokenizerKind, TokenizerSource, Vocabulary};

/// Names of the tokens that end a text or a turn, whatever their kind in the file: llama.cpp's list
/// (`llama_vocab::impl::load`), as GGUF has no field for all of them.
const END_NAMES: [&str; 15] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<eos>",
    "</s>",
    "<EOT>",
    "[EOS]",
    "<｜end▁of▁sentence｜>",
];

/// The tokenizer of one model.
#[derive(Debug)]
pub struct Tokenizer {
    source: Arc<TokenizerSource>,
    /// User-defined tokens: whole pieces of ordinary text.
    whole: SpecialTokens,
    /// Control and unknown tokens.
    control: SpecialTokens,
    /// All of these, as a template's text may hold them.
    special: SpecialTokens,
    /// Tokens that end a text or a turn, sorted.
    ends: Vec<TokenId>,
    encoder: Encoder,
}

/// The algorithm between the special tokens.
#[derive(Debug)]
enum Encoder {
    /// Its tables are made when the first text is encoded, so that opening a model stays cheap.
    ByteLevel {
        kind: pre::Kind,
        tables: OnceLock<Box<ByteLevel>>,
    },
    Spm {
        bytes: Box<[Option<TokenId>; 256]>,
    },
}

impl Tokenizer {
    /// Whether [`Tokenizer::new`] will take `source`, without the work.
    pub(crate) fn check(source: &TokenizerSource) -> Result<()> {
        match source.kind {
            TokenizerKind::Gpt2 => pre::Kind::new(&source.pre).map(drop),
            TokenizerKind::Llama => Ok(()),
        }
    }

    /// From what the model file states.
    ///
    /// # Errors
    /// [`Error::UnsupportedTokenizer`] when the file names a pre-tokenizer that is not known.
    pub fn new(source: Arc<TokenizerSource>) -> Result<Self> {
        let vocabulary = &source.vocabulary;
        let encoder = match source.kind {
            TokenizerKind::Gpt2 => Encoder::ByteLevel { kind: pre::Kind::new(&source.pre)?, tables: OnceLock::new() },
            TokenizerKind::Llama => Encoder::Spm { bytes: Box::new(spm::byte_tokens(&source)) },
        };

        let mut ends: Vec<TokenId> = source.eos.into_iter().chain(source.eot).collect();
        ends.extend(END_NAMES.iter().filter_map(|name| vocabulary.find(name.as_bytes())));
        let (mut whole, mut control) = (Vec::new(), Vec::new());
        for token in 0..vocabulary.len() as TokenId {
            let kind = vocabulary.kind(token);
            if !matches!(kind, TokenKind::Control | TokenKind::Unknown | TokenKind::UserDefined) {
                continue;
            }
            let text = std::str::from_utf8(vocabulary.bytes(token)).unwrap_or_default();
            if END_NAMES.contains(&text) {
                ends.push(token);
            } else if kind == TokenKind::UserDefined {
                whole.push(token);
            } else {
                control.push(token);
            }
        }
        ends.sort_unstable();
        ends.dedup();
        control.extend(&ends);
        // A character alone cannot be told from the text around it, in a message least of all.
        let is_alone =
            |t: &TokenId| vocabulary.bytes(*t).utf8_chunks().flat_map(|part| part.valid().chars()).nth(1).is_none();
        control.retain(|token| !is_alone(token));
        Ok(Self {
            special: SpecialTokens::new(vocabulary, whole.iter().chain(&control).copied()),
            whole: SpecialTokens::new(vocabulary, whole.into_iter()),
            control: SpecialTokens::new(vocabulary, control.into_iter()),
            ends,
            encoder,
            source,
        })
    }

    /// Encodes text that a person wrote: look-alikes of control tokens stay text, and no BOS is added.
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut out = Vec::new();
        self.encode_text(text, &mut true, &mut out);
        out
    }

    /// Encodes bytes that should be text.
    ///
    /// # Errors
    /// [`Error::NotUtf8`] with the offset of the first byte that is not UTF-8.
    pub fn encode_bytes(&self, bytes: &[u8]) -> Result<Vec<TokenId>> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(self.encode(text)),
            Err(error) => Err(Error::NotUtf8 { offset: error.valid_up_to() }),
        }
    }

    /// Encodes a whole text by the model's own rule: with BOS before it and EOS behind it if the model wants them.
    pub fn encode_with_bos(&self, text: &str) -> Vec<TokenId> {
        let mut out = Vec::from_iter(self.bos());
        self.encode_text(text, &mut true, &mut out);
        if self.source.add_eos {
            out.extend(self.eos());
        }
        out
    }

    /// Encodes a rendered chat template: control tokens of the template's text become tokens, look-alikes that came with
    /// the messages do not. Begins with exactly one BOS if the model wants one, whether or not the template wrote it;
    /// nothing is added at the end, where the model is to go on.
    pub fn encode_prompt(&self, prompt: &Prompt) -> Vec<TokenId> {
        let mut out = Vec::new();
        let mut after_special = true;
        for fragment in self.special.split(self.vocabulary(), prompt.marked()) {
            match fragment {
                Fragment::Text(text) => self.encode_text(&prompt.unmark(text), &mut after_special, &mut out),
                Fragment::Token(token) => {
                    out.push(token);
                    after_special = true;
                }
            }
        }
        match self.bos() {
            Some(bos) if out.first() != Some(&bos) => out.insert(0, bos),
            _ => {}
        }
        out
    }

    /// Appends the tokens of `text`. `after_special`: whether the text begins, or follows a token that is no ordinary
    /// text; only there does a model that wants a space in front of a text get one.
    fn encode_text(&self, text: &str, after_special: &mut bool, out: &mut Vec<TokenId>) {
        for fragment in self.whole.split(self.vocabulary(), text) {
            match fragment {
                Fragment::Token(token) => {
                    out.push(token);
                    *after_special = true;
                }
                Fragment::Text(text) => {
                    let space = self.source.add_space_prefix && *after_special;
                    match &self.encoder {
                        Encoder::ByteLevel { kind, tables } => {
                            let tables = tables.get_or_init(|| Box::new(ByteLevel::new(&self.source, *kind)));
                            tables.encode(&self.source, text, out);
                        }
                        Encoder::Spm { bytes } if space => {
                            spm::encode(&self.source, bytes, &[" ", text].concat(), out);
                        }
                        Encoder::Spm { bytes } => spm::encode(&self.source, bytes, text, out),
                    }
                    *after_special = false;
                }
            }
        }
    }

    /// The text of `tokens`: their bytes one after the other, without control tokens. Bytes that are not UTF-8 become
    /// U+FFFD. A model that puts a space in front of every text has that space in the result.
    pub fn decode(&self, tokens: &[TokenId]) -> String {
        let mut decoder = self.decoder();
        let mut text = String::new();
        for &token in tokens {
            text += &decoder.push(token);
        }
        text + &decoder.finish()
    }

    /// A decoder for tokens that come one at a time.
    pub fn decoder(&self) -> StreamDecoder {
        StreamDecoder::new(self.source.vocabulary.clone())
    }

    /// Bytes and kind of every token.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.source.vocabulary
    }

    /// The token to put in front of every text, if the model wants one.
    pub fn bos(&self) -> Option<TokenId> {
        self.source.bos.filter(|_| self.source.add_bos)
    }

    /// The token that ends a text, if there is one.
    pub fn eos(&self) -> Option<TokenId> {
        self.source.eos
    }

    /// Whether `token` ends a text or a turn.
    pub fn is_end(&self, token: TokenId) -> bool {
        self.ends.binary_search(&token).is_ok()
    }

    /// What the model file states about its tokenizer.
    pub fn source(&self) -> &TokenizerSource {
        &self.source
    }

    /// `text` with `mark` inside everything that looks like a control token; see [`Prompt`].
    pub(crate) fn mark_control(&self, text: &str, mark: char) -> String {
        self.control.mark(self.vocabulary(), text, mark)
    }
}
