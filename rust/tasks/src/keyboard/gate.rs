//! What is worth showing: a blank strip beats a weak one.

use super::{Kind, Suggestion, Suggestions};

/// A next word is shown if it is right about once in eight times.
const NEXT_WORD: f64 = 0.12;
/// A word to go on with is shown if it is right about once in six times, and saves at least so many keys.
const COMPLETION: f64 = 0.16;
const KEYS: usize = 2;
/// A correction is shown if it is right about once in four times.
const CORRECTION: f64 = 0.25;

/// Whether a suggestion is worth a look, when so much was typed. What was typed always is: it is what a person takes who does not
/// want a correction.
pub fn is_worth_showing(suggestion: &Suggestion, typed: &str) -> bool {
    let saves = || suggestion.word.chars().count() >= typed.chars().count() + KEYS;
    match suggestion.kind {
        Kind::Literal => true,
        Kind::NextWord => suggestion.probability >= NEXT_WORD,
        Kind::Completion => suggestion.probability >= COMPLETION && saves(),
        Kind::Correction => suggestion.probability >= CORRECTION,
    }
}

/// Leaves out of an answer what is not worth a look, when so much of the word at the cursor was typed. What a space will put
/// there is always worth one: nobody should be surprised by it.
pub fn leave_out_the_weak(found: &mut Suggestions, typed: &str) {
    let Suggestions { suggestions, autocorrect, .. } = found;
    suggestions.retain(|suggestion| {
        is_worth_showing(suggestion, typed) || autocorrect.as_ref().is_some_and(|word| *word == suggestion.word)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_weak_is_not_shown() {
        let shown = |word: &str, probability, kind, typed| {
            let word = word.to_owned();
            is_worth_showing(&Suggestion { word, probability, joint: probability, kind, exact: true }, typed)
        };
        assert!(shown("the", 0.2, Kind::NextWord, "") && !shown("the", 0.05, Kind::NextWord, ""));
        assert!(shown("then", 0.5, Kind::Completion, "th") && !shown("then", 0.9, Kind::Completion, "the"));
        assert!(!shown("thence", 0.1, Kind::Completion, "th"));
        assert!(shown("the", 0.3, Kind::Correction, "teh") && !shown("tech", 0.1, Kind::Correction, "teh"));
        assert!(shown("teh", 0.0, Kind::Literal, "teh"));
    }

    #[test]
    fn what_a_space_will_put_there_is_shown_however_weak() {
        let weak = |word: &str| {
            let word = word.to_owned();
            Suggestion { word, probability: 0.1, joint: 0.1, kind: Kind::Correction, exact: true }
        };
        let mut found = Suggestions {
            suggestions: vec![weak("the"), weak("tech")],
            replaces: 3,
            autocorrect: Some("the".to_owned()),
            ..Suggestions::default()
        };
        leave_out_the_weak(&mut found, "teh");
        assert_eq!(found.suggestions, [weak("the")]);
    }
}
