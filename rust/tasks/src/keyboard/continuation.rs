//! Several words ahead, where they are likely together.
//!
//! It goes from word to word, each the best behind the ones before it. P(words | text) is the product of P(word | text), which the strip
//! has, and for each further word of P(a space and the word | text before it): no share of the words but of everything that may follow, so
//! that it ends where a sentence is likely to.

use nibble_engine::{LanguageModel, Result};

use super::{Keyboard, Kind, Place, Query};

/// Words at most, and at least: a single one is what the strip is for.
const MOST: usize = 5;
const FEWEST: usize = 2;

/// What is likely to be written next.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// Several words, the one at the cursor with what was typed of it among them.
    pub text: String,
    /// P(text | context, typed).
    pub probability: f64,
}

impl Keyboard {
    /// Several words at the cursor, if they are [likely](super::Options::likely) together. The model is asked as for the strip of each of
    /// them: ask when the strip is shown, and cancel it at the next key.
    ///
    /// # Errors
    /// As [`suggest`](Self::suggest).
    pub fn look_ahead(&mut self, model: &mut dyn LanguageModel, query: &Query) -> Result<Option<Continuation>> {
        let found = self.suggest(model, query)?;
        let text = [query.context, query.typed].concat();
        let (before, _) = text.split_at(text.len() - found.replaces);
        // What is to be mended is not gone on with.
        let stays = |kind| found.autocorrect.is_none() && kind != Kind::Correction;
        let best = found.suggestions.into_iter().filter(|word| stays(word.kind));
        let best = best.max_by(|a, b| a.probability.total_cmp(&b.probability));
        let Some(best) = best.filter(|word| word.probability >= self.options.likely) else { return Ok(None) };
        // The next key asks for the word at the cursor again, and is to find what is known of it. The rows of its tree are gone by then.
        let (place, window) = (self.place.take(), self.window.clone());
        let ahead = self.follow(model, before, Continuation { text: best.word, probability: best.probability });
        self.place = place.map(|place| Place { room: None, ..place });
        self.window = window;
        ahead
    }

    fn follow(
        &mut self,
        model: &mut dyn LanguageModel,
        before: &str,
        first: Continuation,
    ) -> Result<Option<Continuation>> {
        let (mut ahead, mut words) = (first, 1);
        while words < MOST
            && let Some(further) = self.one_word_further(model, before, &ahead)?
        {
            (ahead, words) = (further, words + 1);
        }
        Ok((words >= FEWEST).then_some(ahead))
    }

    fn one_word_further(
        &mut self,
        model: &mut dyn LanguageModel,
        before: &str,
        ahead: &Continuation,
    ) -> Result<Option<Continuation>> {
        let context = [before, &ahead.text, " "].concat();
        let found = self.suggest(model, &Query { context: &context, typed: "", touches: &[], top: 1 })?;
        let (Some(next), Some(place), Some(table)) = (found.suggestions.first(), &mut self.place, &self.table) else {
            return Ok(None);
        };
        let probability = ahead.probability * place.mass_of_gap(model, table).exp() * next.joint;
        let text = [&ahead.text, " ", &next.word].concat();
        Ok((probability >= self.options.likely).then_some(Continuation { text, probability }))
    }
}
