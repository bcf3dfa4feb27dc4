//! How often a token ends its word.
//!
//! A word's exact probability needs one forward pass at its end, for the mass of what may follow. Until the model was
//! asked there, that mass is what the word's last token has shown on earlier occasions, mixed with a guess
//! from the length of the word.

use std::collections::HashMap;

use nibble_engine::TokenId;

/// Running means of the mass of an end after every token seen.
#[derive(Default)]
pub(super) struct EndRates {
    seen: HashMap<TokenId, (f32, f32)>,
}

impl EndRates {
    /// Takes in ln B as measured after a word that ends with `token`.
    pub fn learn(&mut self, token: TokenId, ends: f64) {
        let (sum, count) = self.seen.entry(token).or_default();
        *sum += ends.exp() as f32;
        *count += 1.0;
    }

    /// ln B to expect after `word`, which ends with `token`.
    pub fn expected(&self, token: TokenId, word: &str) -> f64 {
        let &(sum, count) = self.seen.get(&token).unwrap_or(&(0.0, 0.0));
        f64::from((sum + guess(word)) / (count + 1.0)).ln()
    }
}

/// Short pieces mostly go on, longer ones are mostly words.
fn guess(word: &str) -> f32 {
    match word.chars().count() {
        1 => 0.1,
        2 => 0.4,
        3 => 0.6,
        _ => 0.8,
    }
}
