//! The model's words and the person's on one strip, where nothing was typed yet or no word list reads the touches.
//!
//! P(w) = (1 − a) P_model(w) + a P_person(w), with the share a that comes from how much was learned; both are probabilities of a word after the
//! context, so the mixture is one too.

use super::Candidate;
use super::habits::{Habits, Said};
use super::languages::Languages;
use super::spelling::{Search, capitalised};
use super::text::{self, Cut};

/// The person, and where in the text they are.
pub(super) struct Person<'a> {
    pub habits: &'a Habits,
    pub said: &'a Said,
    pub languages: Option<&'a Languages>,
}

/// ln of the model's mass, with that of the whitespace before the word.
#[derive(Clone, Copy)]
pub(super) struct Masses {
    /// Of what begins with what was typed.
    pub typed: f64,
    /// Of all words.
    pub all: f64,
}

/// Words of the person that are looked at beyond those that the strip has room for.
const MORE: usize = 9;

/// Adds the person's words to the model's `candidates`, and scores all of them by the mixture; returns the ln of its mass of what
/// begins with what was typed.
pub(super) fn blend(
    mut search: Search,
    person: &Person,
    cut: &Cut,
    candidates: &mut Vec<Candidate>,
    masses: Masses,
    top: usize,
) -> f64 {
    let Person { habits, said, languages } = person;
    let (opening, typed) = cut.typed.split_at(cut.word);
    let prefix = text::folded_word(typed);
    for form in habits.likely(said, &prefix, *languages, top + MORE) {
        let word = text::folded_word(form);
        if candidates.iter().all(|candidate| text::folded_word(&candidate.word) != word) {
            let rest: String = form.chars().skip(typed.chars().count()).collect();
            let written = [typed, &rest].concat();
            let cases = [capitalised(&written), written];
            let asked =
                cases.into_iter().map(|case| search.ask(opening, case)).max_by(|a, b| a.score.total_cmp(&b.score));
            candidates.extend(asked);
        }
    }
    let share = habits.share(said);
    let mix = |model: f64, own: f64| ((1.0 - share) * (model - masses.all).exp() + share * own).ln() + masses.all;
    for candidate in candidates {
        let own = habits.probability(said, &text::folded_word(&candidate.word));
        candidate.score = mix(candidate.score, own);
    }
    mix(masses.typed, habits.mass(said, &prefix))
}

impl Search<'_> {
    /// A word as a candidate, with what is known of its probability: none is, if the model was not asked along its way.
    fn ask(&mut self, opening: &str, word: String) -> Candidate {
        let bytes = [&self.place.given, opening.as_bytes(), word.as_bytes()].concat();
        let followed = self.place.tree.follow(self.model, self.table, &bytes).filter(|way| way.covered >= bytes.len());
        let score = followed.as_ref().map_or(f64::NEG_INFINITY, |way| {
            way.logp + way.ends.unwrap_or_else(|| self.rates.expected(way.last, &word))
        });
        Candidate { word, score, exact: followed.is_some_and(|way| way.ends.is_some()) }
    }
}
