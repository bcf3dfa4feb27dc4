//! Along a text that is to meet a schema: which tokens may come next, and which must.
//!
//! The trie of tokens is the vocabulary's own table of tokens sorted by their bytes: those that begin alike are neighbours, so
//! a byte that may not come next rules out a range of them. Nothing is built, and nothing is kept for it in memory.

use std::collections::VecDeque;

use llguidance::earley::{BiasComputer, Parser, ParserRecognizer};
use llguidance::toktrie::{Recognizer, SimpleVob, TokTrie};

use crate::schema::NO_TOKENS;
use crate::{Error, Result, Schema, SchemaFault, TokenId, Vocabulary};

/// The state of one text.
pub(crate) struct Guide {
    parser: Parser,
    /// Tokens of bytes that must come next.
    forced: VecDeque<TokenId>,
}

impl Guide {
    /// At the start of a text.
    pub fn new(schema: &Schema) -> Self {
        Self { parser: schema.parser(), forced: VecDeque::new() }
    }

    /// The next token, where there is no choice: one of those that `encode` makes of the bytes that must come next. Its last one
    /// is left open, as it may go on beyond these.
    pub fn forced(
        &mut self,
        vocabulary: &Vocabulary,
        encode: impl FnOnce(&str) -> Vec<TokenId>,
    ) -> Result<Option<TokenId>> {
        if self.forced.is_empty() {
            let bytes = self.must()?;
            let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            if text.len() > 1 {
                let mut tokens = encode(text);
                tokens.pop();
                let mut rest = text.as_bytes();
                // A tokenizer may put a space in front of a text.
                let fit = tokens.iter().all(|&token| {
                    let after = rest.strip_prefix(vocabulary.text(token));
                    rest = after.unwrap_or(rest);
                    after.is_some()
                });
                self.forced.extend(tokens.into_iter().filter(|_| fit));
            }
        }
        Ok(self.forced.pop_front())
    }

    /// Takes the bytes of the next token.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<()> {
        // A number that no token of the parser's has: it knows bytes only.
        self.parser.apply_token(bytes, TokenId::MAX).map_err(|_| too_complex())?;
        self.check()
    }

    /// Whether the text may end here.
    pub fn may_end(&mut self) -> Result<bool> {
        Ok(self.must()?.is_empty() && self.parser.is_accepting())
    }

    /// Whether the text must end here.
    pub fn must_end(&mut self) -> Result<bool> {
        if !self.may_end()? {
            return Ok(false);
        }
        let next = self.ask(|next| {
            let mut bytes = SimpleVob::alloc(1 << u8::BITS);
            (0..=u8::MAX).filter(|&byte| next.byte_allowed(byte)).for_each(|byte| bytes.allow_token(byte.into()));
            bytes
        })?;
        Ok(next.is_zero())
    }

    /// Leaves those of `tokens` whose text may come next. Tokens without text may not.
    pub fn retain(&mut self, vocabulary: &Vocabulary, tokens: &mut Vec<(TokenId, f32)>) -> Result<()> {
        let must = self.must()?;
        let fit = self.ask(|next| {
            let mut fit = SimpleVob::alloc(tokens.len());
            for (i, &(token, _)) in tokens.iter().enumerate() {
                let bytes = vocabulary.text(token);
                let known = bytes.len().min(must.len());
                if !bytes.is_empty() && bytes[..known] == must[..known] {
                    let pushed = bytes[known..].iter().take_while(|&&byte| next.try_push_byte(byte)).count();
                    next.pop_bytes(pushed);
                    fit.set(i, known + pushed == bytes.len());
                }
            }
            fit
        })?;
        let mut i = 0..;
        tokens.retain(|_| i.next().is_some_and(|i| fit.get(i)));
        Ok(())
    }

    /// All tokens whose text may come next, in `tokens`.
    pub fn all(&mut self, vocabulary: &Vocabulary, tokens: &mut Vec<TokenId>) -> Result<()> {
        tokens.clear();
        let must = self.must()?;
        // Those that end within what must come next.
        for end in 1..must.len() {
            tokens.extend(vocabulary.with_bytes(&must[..end]));
        }
        let sorted = &vocabulary.sorted()[vocabulary.prefix_range(&must)];
        let fit = self.ask(|next| walk(next, sorted.len(), |i| &vocabulary.bytes(sorted[i])[must.len()..]))?;
        fit.iter_set_entries(|i| tokens.push(sorted[i]));
        tokens.retain(|&token| !vocabulary.bytes(token).is_empty());
        Ok(())
    }

    /// The bytes that must come next.
    fn must(&mut self) -> Result<Vec<u8>> {
        let bytes = self.parser.force_bytes().to_vec();
        self.check()?;
        Ok(bytes)
    }

    /// What `question` finds out by pushing bytes behind those that must come next.
    fn ask(&mut self, question: impl Fn(&mut ParserRecognizer<'_>) -> SimpleVob + Send + Sync) -> Result<SimpleVob> {
        // It keeps the answer to the question before.
        self.parser.invalidate_bias_cache();
        let answer = self.parser.compute_bias(&Question(question), &[]);
        self.check()?;
        Ok(answer)
    }

    fn check(&self) -> Result<()> {
        if self.parser.get_error().is_some() { Err(too_complex()) } else { Ok(()) }
    }
}

impl std::fmt::Debug for Guide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guide").finish_non_exhaustive()
    }
}

fn too_complex() -> Error {
    let why = "the text has come to where it takes more than a grammar may".to_owned();
    Error::UnfitSchema { fault: SchemaFault::TooComplex, why, at: "#".to_owned() }
}

/// What a parser is asked. It bounds the work that this takes.
struct Question<F>(F);

impl<F: Fn(&mut ParserRecognizer<'_>) -> SimpleVob + Send + Sync> BiasComputer for Question<F> {
    fn compute_bias(&self, next: &mut ParserRecognizer<'_>, _: &[u8]) -> SimpleVob {
        next.trie_started("");
        let answer = (self.0)(next);
        next.trie_finished();
        answer
    }

    fn trie(&self) -> &TokTrie {
        NO_TOKENS.tok_trie()
    }
}

/// Which of `len` texts may come next, which `text` gives in the order of their bytes.
fn walk<'a>(next: &mut ParserRecognizer<'_>, len: usize, text: impl Fn(usize) -> &'a [u8]) -> SimpleVob {
    let mut fit = SimpleVob::alloc(len);
    let (mut i, mut pushed): (usize, &[u8]) = (0, &[]);
    while i < len {
        let bytes = text(i);
        let common = pushed.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        next.pop_bytes(pushed.len() - common);
        let more = bytes[common..].iter().take_while(|&&byte| next.try_push_byte(byte)).count();
        pushed = &bytes[..common + more];
        if pushed.len() == bytes.len() {
            fit.allow_token(i as TokenId);
            i += 1;
        } else {
            let refused = &bytes[..=pushed.len()];
            i += leap(len - i, |ahead| text(i + ahead).starts_with(refused));
        }
    }
    fit
}

/// How many of `len` elements, the first of which is, are `alike`; those that are not come behind those that are. The ranges
/// are mostly short, so it looks near before it looks far.
fn leap(len: usize, alike: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (1, 2);
    while high <= len && alike(high - 1) {
        (low, high) = (high, 2 * high);
    }
    high = high.min(len + 1);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if alike(middle - 1) { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests;
