//! Which part of a long text the model reads.
//!
//! The start of the window stays where it is while text is added, so that the model's cache stays valid, and moves
//! on by a block when the window is full. It is found again by the text it begins with: an editor may
//! hand over the whole text or its last few hundred characters.

use nibble_engine::LanguageModel;

use super::text::suffix;

/// No more of a text than this is looked at; the longest window is shorter.
pub(super) const TAIL: usize = 8 << 10;
/// Tokens left free for the one that stands before the text and for those of a word.
const LONGEST_PATH: usize = 33;
/// What a window is recognised by.
const HEAD: usize = 64;

/// The window over one text.
#[derive(Clone)]
pub(super) struct Window {
    limit: usize,
    keep: usize,
    head: String,
}

impl Window {
    /// A window of at most `limit` tokens, cut down to `keep` when it is full.
    pub fn new(limit: usize, keep: usize) -> Self {
        Self { limit: limit.max(1), keep: keep.clamp(1, limit.max(1)), head: String::new() }
    }

    /// The end of `text` that the model should read.
    pub fn over<'a>(&mut self, model: &dyn LanguageModel, text: &'a str) -> &'a str {
        let limit = self.limit.min(model.context_limit().saturating_sub(LONGEST_PATH)).max(1);
        let tail = suffix(text, TAIL);
        let known = if self.head.len() < HEAD { None } else { tail.find(&self.head) };
        let mut window = &tail[known.unwrap_or(0)..];
        let mut tokens = model.encode(window).len();
        if known.is_some() && tokens < self.keep.min(limit) / 2 {
            window = tail;
            tokens = model.encode(window).len();
        }
        if tokens > limit {
            while tokens > self.keep.min(limit) {
                window = drop_words(window, window.len() * (tokens - self.keep.min(limit)) / tokens);
                tokens = model.encode(window).len();
            }
        }
        let mut head = HEAD.min(window.len());
        while !window.is_char_boundary(head) {
            head += 1;
        }
        window[..head].clone_into(&mut self.head);
        window
    }
}

/// `text` without its first `bytes` bytes (one at least) and what is left of the word that they end in, if that is not long.
fn drop_words(text: &str, bytes: usize) -> &str {
    let rest = suffix(text, text.len() - bytes.max(1));
    match rest.find(char::is_whitespace) {
        Some(end) if end < HEAD && !rest[end..].trim_start().is_empty() => rest[end..].trim_start(),
        _ => rest,
    }
}
