//! Words that nobody has heard of: a model of tokens spells "ingred" and "Simps" as readily as any word.
//!
//! A word that no list has is suggested if the person has used it, if it stands in the text before, or if the model is very sure of it
//! and was asked how it ends. What was typed is always kept.

use super::habits::Habits;
use super::languages::Languages;
use super::spelling::is_plain;
use super::text::{self, folded_word};

/// The share of all that what was typed may become that makes a model very sure.
pub(super) const SURE: f64 = 0.6;

/// Who may have heard of a word.
pub(super) struct Heard<'a> {
    pub languages: &'a Languages,
    pub habits: Option<&'a Habits>,
    /// The text before the word at the cursor.
    pub context: &'a str,
}

impl Heard<'_> {
    /// Whether a list, the person or the text has a word, or each of several with spaces between; whose a thing is does not count. Of
    /// what is no plain word, such as "7th", nobody need have heard.
    pub fn has(&self, words: &str) -> bool {
        words.split(' ').all(|word| {
            let folded = folded_word(word);
            let owner = folded.strip_suffix("'s").or_else(|| folded.strip_suffix('\'')).unwrap_or(&folded);
            !is_plain(word) || self.has_one(&folded) || self.has_one(owner) || self.languages.may_be_elision(&folded)
        })
    }

    fn has_one(&self, word: &str) -> bool {
        let inside = |c: char| text::is_word(c) || text::is_joiner(c);
        let is_one = |run: &str| folded_word(run) == word;
        self.languages.get(word).is_some()
            || self.habits.is_some_and(|habits| habits.knows(word))
            || !word.is_empty()
                && self.context.split(|c| !inside(c)).any(|run| is_one(run.trim_matches(text::is_joiner)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::languages::Language;
    use super::super::layout::Layout;
    use super::super::learning::Learner;
    use super::super::lexicon::{Lexicon, Word};
    use super::super::{Keyboard, Options, Query, Suggestion};
    use super::*;
    use crate::testing::Fake;

    fn words(keyboard: &mut Keyboard, context: &str, typed: &str) -> Vec<Suggestion> {
        let query = Query { context, typed, touches: &[], top: 20 };
        keyboard.suggest(&mut Fake::lettered(3), &query).unwrap().suggestions
    }

    fn keyboard() -> Keyboard {
        let listed = ["the", "them", "then", "cab"].map(|word| (word.to_owned(), Word { cost: 300, listed: true }));
        let layout = Layout::shipped("qwerty").unwrap();
        Keyboard::new(Options::exact()).with_lexicon(Arc::new(Lexicon::of(listed)), layout)
    }

    #[test]
    fn words_that_do_not_exist_are_not_suggested() {
        for typed in ["", "t", "th", "ca"] {
            let found = words(&mut keyboard(), "say ", typed);
            assert!(!found.is_empty(), "{typed:?}");
            for suggestion in found {
                let word = suggestion.word.to_lowercase();
                let listed = ["the", "them", "then", "cab"].contains(&word.as_str());
                let sure = suggestion.exact && suggestion.probability >= SURE;
                let plain = is_plain(&suggestion.word);
                assert!(listed || word == typed || sure || !plain, "{typed:?}: {suggestion:?}");
            }
        }
    }

    #[test]
    fn what_the_person_writes_and_what_was_said_is_suggested() {
        let offered = |keyboard: &mut Keyboard, context: &str| {
            words(keyboard, context, "tho").iter().any(|suggestion| suggestion.word.eq_ignore_ascii_case("thorp"))
        };
        assert!(!offered(&mut keyboard(), "say "));
        let learner = Learner::new();
        (0..3).for_each(|_| learner.committed("say ", "thorp"));
        assert!(offered(&mut keyboard().with_learner(learner), "say "));
    }

    #[test]
    fn a_list_the_person_and_the_text_have_heard_of_words() {
        let listed = ["cab", "air"].map(|word| (word.to_owned(), Word { cost: 300, listed: true }));
        let languages = Languages::new(vec![Arc::new(Lexicon::of(listed))], &[Language::of("fr")]);
        let heard = Heard { languages: &languages, habits: None, context: "Bortles' pass, (Zorp) - mid-wive" };
        for word in ["cab", "Cab’s", "Zorp", "zorp's", "bortles", "mid-wive", "cab zorp", "l'air", "Qu’air"] {
            assert!(heard.has(word), "{word}");
        }
        for word in ["ca", "cabs", "zor", "wive", "cab ingred", "'s", "l'zor", "x'cab"] {
            assert!(!heard.has(word), "{word}");
        }
    }
}
