//! Which words are not suggested, lest they offend: nobody wants a slur put into their mouth.
//!
//! The word list says which words are offensive. Such a word is no next word, no completion and no correction, and takes the
//! place of nothing. Typing it is another matter: what was typed stays among the suggestions, and is never changed. Nor is an
//! error in typing it changed into a word that was meant less.

use super::Options;
use super::languages::Languages;

/// Whether `word` may be suggested to a person who has typed `typed`.
pub(super) fn may_suggest(options: &Options, languages: Option<&Languages>, word: &str, typed: &str) -> bool {
    options.offensive
        || !languages.is_some_and(|languages| languages.is_offensive(word))
        || word.to_lowercase() == typed.to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::layout::Layout;
    use super::super::lexicon::{Lexicon, Word};
    use super::super::{Keyboard, Kind, Query, Suggestions};
    use super::*;
    use crate::testing::Fake;

    const WORDS: [(&str, u16); 7] =
        [("the", 127), ("hello", 420), ("hell", 380), ("hells", 600), ("shell", 480), ("class", 200), ("clase", 450)];

    fn ask(offensive: bool, marked: &[&str], context: &str, typed: &str) -> Suggestions {
        ask_of(&WORDS, offensive, marked, context, typed)
    }

    fn ask_of(words: &[(&str, u16)], offensive: bool, marked: &[&str], context: &str, typed: &str) -> Suggestions {
        let words = words.iter().map(|&(word, cost)| (word.to_owned(), Word { cost, listed: true }));
        let marked = marked.iter().map(|&word| word.to_owned()).collect();
        let lexicon = Arc::new(Lexicon::with_offensive(words, &marked));
        let options = Options { offensive, ..Options::exact() };
        let mut keyboard = Keyboard::new(options).with_lexicon(lexicon, Layout::shipped("qwerty").unwrap());
        keyboard.suggest(&mut Fake::lettered(5), &Query { context, typed, touches: &[], top: 20 }).unwrap()
    }

    fn has(answer: &Suggestions, word: &str) -> bool {
        answer.suggestions.iter().any(|suggestion| suggestion.word.eq_ignore_ascii_case(word))
    }

    #[test]
    fn an_offensive_word_is_no_next_word() {
        let all = ask(false, &[], "say ", "");
        let first = all.suggestions[0].word.to_lowercase();
        let answer = ask(false, &[&first], "say ", "");
        assert!(!has(&answer, &first) && !answer.suggestions.is_empty(), "{answer:?}");
        assert_eq!(answer.suggestions[0].word, all.suggestions[1].word, "the next takes its place");
        assert!(has(&ask(true, &[&first], "say ", ""), &first), "it can be asked for");
    }

    #[test]
    fn an_offensive_word_is_no_completion_and_no_correction() {
        for typed in ["hel", "he", "hrll", "hel1", "hekl"] {
            let answer = ask(false, &["hell"], "say ", typed);
            assert!(!has(&answer, "hell") && !has(&answer, "the hell"), "{typed}: {answer:?}");
        }
        assert!(has(&ask(false, &["hell"], "say ", "hel"), "hello"), "only whole words count");
        assert!(has(&ask(false, &["hell"], "say ", "shel"), "shell"));
        assert!(has(&ask(true, &["hell"], "say ", "hel"), "hell"));
    }

    #[test]
    fn an_error_in_an_offensive_word_is_not_mended() {
        let corrected = |typed, offensive, marked: &[&str]| {
            ask(offensive, marked, "say ", typed).autocorrect.map(|word| word.to_lowercase())
        };
        assert_eq!(corrected("clasd", false, &[]).as_deref(), Some("class"));
        assert_eq!(corrected("clasd", true, &["class"]).as_deref(), Some("class"));
        assert_eq!(corrected("clasd", false, &["class"]), None);
        let next = ask_of(&[("the", 127), ("clase", 250)], false, &[], "say ", "clasd").autocorrect;
        assert_eq!(next.unwrap().to_lowercase(), "clase", "which is as near, and was meant less");
        assert_eq!(corrected("clasd", false, &["clase"]).as_deref(), Some("class"));
    }

    #[test]
    fn what_was_typed_stays_whatever_it_is() {
        // "clasd" is no word of the list, and would be mended if it were not offensive.
        assert!(ask(false, &[], "say ", "clasd").autocorrect.is_some());
        for typed in ["clasd", "Clasd", "CLASD", "hell"] {
            let answer = ask(false, &["clasd", "hell"], "say ", typed);
            let literal = answer.suggestions.iter().find(|suggestion| suggestion.kind == Kind::Literal);
            assert!(literal.is_some_and(|literal| literal.word.eq_ignore_ascii_case(typed)), "{typed}: {answer:?}");
            assert_eq!(answer.autocorrect, None, "{typed}");
        }
    }
}
