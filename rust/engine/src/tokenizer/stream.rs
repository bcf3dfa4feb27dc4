//! Tokens to text, one at a time, without ever splitting a character.

use std::sync::Arc;

use crate::{TokenId, TokenKind, Vocabulary};

/// Bytes to text as they come. Bytes that are not UTF-8 become U+FFFD as in [`String::from_utf8_lossy`]; an unfinished
/// character waits for its rest.
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    /// The beginning of a character, at most three bytes.
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Takes `bytes` and returns the text that is now certain.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut done = 0;
        while done < self.pending.len() {
            match std::str::from_utf8(&self.pending[done..]) {
                Ok(rest) => {
                    text.push_str(rest);
                    done = self.pending.len();
                }
                Err(error) => {
                    let valid = done + error.valid_up_to();
                    text.push_str(std::str::from_utf8(&self.pending[done..valid]).unwrap_or_default());
                    done = valid;
                    let Some(bad) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    done += bad;
                }
            }
        }
        self.pending.drain(..done);
        text
    }

    /// Ends the text: U+FFFD if a character is unfinished.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

/// Decodes a stream of tokens. What it returns, put together, is the tokens' [`decode`](crate::Tokenizer::decode).
#[derive(Clone, Debug)]
pub struct StreamDecoder {
    vocabulary: Arc<Vocabulary>,
    text: Utf8Stream,
    show_control: bool,
}

impl StreamDecoder {
    pub(super) fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self { vocabulary, text: Utf8Stream::default(), show_control: false }
    }

    /// Gives control tokens their names as text instead of nothing: for logs and debugging.
    pub fn show_control(mut self, show: bool) -> Self {
        self.show_control = show;
        self
    }

    /// Takes a token and returns the text that is now certain; it may be empty. An id that the vocabulary does not have
    /// is U+FFFD.
    pub fn push(&mut self, token: TokenId) -> String {
        if token as usize >= self.vocabulary.len() {
            return self.finish() + "\u{fffd}";
        }
        match self.vocabulary.kind(token) {
            TokenKind::Normal | TokenKind::UserDefined | TokenKind::Byte => {
                self.text.push(self.vocabulary.bytes(token))
            }
            TokenKind::Control | TokenKind::Unknown | TokenKind::Unused if self.show_control => {
                self.finish() + &String::from_utf8_lossy(self.vocabulary.bytes(token))
            }
            TokenKind::Control | TokenKind::Unknown | TokenKind::Unused => String::new(),
        }
    }

    /// Ends the text: U+FFFD if a character is unfinished.
    pub fn finish(&mut self) -> String {
        self.text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cutting_of_any_bytes_gives_the_lossy_text(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0xc0..=0xf7u8, 0x80..=0xbfu8], 0..40),
            cut in 1..6usize,
        ) {
            let mut stream = Utf8Stream::default();
            let mut text: String = bytes.chunks(cut).map(|part| stream.push(part)).collect();
            text += &stream.finish();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_character_waits_until_it_is_whole() {
        let mut stream = Utf8Stream::default();
        assert_eq!("🙂".bytes().map(|byte| stream.push(&[byte])).collect::<Vec<_>>(), ["", "", "", "🙂"]);
        assert_eq!(stream.push(&[0xf0, 0x9f]), "");
        assert_eq!(stream.finish(), "\u{fffd}");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn control_tokens_give_no_text_unless_asked() {
        let tokens = [("a", TokenKind::Normal), ("<end>", TokenKind::Control)];
        let vocabulary = Vocabulary::new(tokens.map(|(text, kind)| (text.into(), kind))).unwrap();
        let decode = |mut decoder: StreamDecoder| [0, 1, 9, 0].map(|t| decoder.push(t)).concat();
        let decoder = StreamDecoder::new(Arc::new(vocabulary));
        assert_eq!(decode(decoder.clone()), "a\u{fffd}a");
        assert_eq!(decode(decoder.show_control(true)), "a<end>\u{fffd}a");
    }
}
