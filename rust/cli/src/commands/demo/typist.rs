//! A text that is being typed, with the suggestions for its last word and how long each keystroke took.

use std::time::{Duration, Instant};

use nibble_tasks::keyboard::{Keyboard, Options, Query, Suggestion};

use crate::failure::Result;
use crate::model::Runner;

/// How many words are offered.
pub const OFFERED: usize = 3;

/// The state of a text field with a suggestion strip.
pub struct Typist {
    keyboard: Keyboard,
    /// What was said before, which the predictions may use.
    pub before: String,
    /// The text.
    pub text: String,
    /// The words on offer for its end, best first.
    pub offered: Vec<Suggestion>,
    /// From where in the text such a word stands.
    from: usize,
    /// How long each prediction took, in order.
    pub times: Vec<Duration>,
}

impl Typist {
    /// An empty text after `before`.
    pub fn new(before: String) -> Self {
        let keyboard = Keyboard::new(Options::default());
        Self { keyboard, before, text: String::new(), offered: Vec::new(), from: 0, times: Vec::new() }
    }

    /// Predicts for the text as it is now.
    pub fn predict(&mut self, runner: &mut Runner) -> Result<()> {
        let (done, typed) = self.text.split_at(word_start(&self.text));
        let context = format!("{}{done}", self.before);
        let query = Query { context: &context, typed, touches: &[], top: OFFERED };
        let start = Instant::now();
        let answer = self.keyboard.suggest(runner.model(), &query)?;
        self.times.push(start.elapsed());
        (self.offered, self.from) = (answer.suggestions, self.text.len().saturating_sub(answer.replaces));
        Ok(())
    }

    /// Takes away the last word, or the spaces after it and then the word.
    pub fn delete_word(&mut self) {
        self.text.truncate(self.text.trim_end().len());
        self.text.truncate(word_start(&self.text));
    }

    /// Puts suggestion `i` in place of the word being typed, if there is one.
    pub fn accept(&mut self, i: usize) {
        if let Some(suggestion) = self.offered.get(i) {
            // Letters that came after the prediction belong to the same word.
            self.text.truncate(self.from.min(self.text.len()));
            self.text.push_str(&suggestion.word);
            self.text.push(' ');
        }
    }

    /// The time of the last prediction and the median of all of them.
    pub fn latency(&self) -> Option<(Duration, Duration)> {
        let mut sorted = self.times.clone();
        sorted.sort();
        Some((*self.times.last()?, sorted[sorted.len() / 2]))
    }
}

/// Where the last word begins: after the last whitespace.
fn word_start(text: &str) -> usize {
    text.char_indices().rfind(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_begins_after_the_last_whitespace() {
        for (text, word) in [("", ""), ("hel", "hel"), ("see you", "you"), ("see you ", ""), ("a\u{3000}é", "é")] {
            assert_eq!(&text[word_start(text)..], word);
        }
    }
}
