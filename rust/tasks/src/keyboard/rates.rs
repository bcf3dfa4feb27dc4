//! How often a token ends its word.
//!
//! A word's exact probability needs one forward pass at its end, for the mass of what may follow. Until the model was
//! asked there, that mass is what the word's last token has shown on earlier occasions, mixed with what the word list says of it:
//! how often, in the words of a language as the tokenizer writes them, it is the last token of those that it is in. Without a list
//! there is a guess from the length of the word.

use std::collections::HashMap;

use nibble_engine::{LanguageModel, TokenId};

use super::languages::Languages;

/// Words of the list that are looked at: one in a million and more. They are nearly all of running text.
const LOOKED_AT: u16 = 600;
/// How many occasions a guess counts for, beside what is known.
const GUESS: f32 = 0.2;
/// How many occasions what the list says counts for.
const WEIGHT: f32 = 3.0;

/// Running means of the mass of an end after every token seen.
#[derive(Default)]
pub(super) struct EndRates {
    seen: HashMap<TokenId, (f32, f32)>,
}

impl EndRates {
    /// What word lists say of the tokens of a model: tens of milliseconds.
    pub fn of_words(model: &dyn LanguageModel, languages: &Languages) -> Self {
        let mut counts: HashMap<TokenId, (f64, f64)> = HashMap::new();
        for (word, known) in languages.frequent(LOOKED_AT) {
            let frequency = known.log_frequency().exp();
            let tokens = model.encode(&[" ", &word].concat());
            for (place, &token) in tokens.iter().enumerate() {
                let (ends, all) = counts.entry(token).or_default();
                *all += frequency;
                if place + 1 == tokens.len() {
                    *ends += frequency;
                }
            }
        }
        let share = |(ends, all): (f64, f64)| (WEIGHT * (ends / all) as f32, WEIGHT);
        Self { seen: counts.into_iter().map(|(token, count)| (token, share(count))).collect() }
    }

    /// Takes in ln B as measured after a word that ends with `token`.
    pub fn learn(&mut self, token: TokenId, ends: f64) {
        let (sum, count) = self.seen.entry(token).or_default();
        *sum += ends.exp() as f32;
        *count += 1.0;
    }

    /// ln B to expect after `word`, which ends with `token`.
    pub fn expected(&self, token: TokenId, word: &str) -> f64 {
        let &(sum, count) = self.seen.get(&token).unwrap_or(&(0.0, 0.0));
        // Once anything is known of the token, how long the word is says little more.
        let weight = if count == 0.0 { 1.0 } else { GUESS };
        f64::from((sum + weight * guess(word)) / (count + weight)).ln()
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
