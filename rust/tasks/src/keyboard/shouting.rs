//! TEXT ALL IN CAPITALS, as somebody writes who has caps lock on.
//!
//! A model has read little of it, and spells it in pieces that mean nothing to it. So what is shouted is asked in small letters, and
//! answered in capitals.

use super::text::{self, has_small_letter};
use super::window::TAIL;
use super::{Kind, Query, Suggestion, Suggestions};

/// So many words in a row without a small letter are no abbreviations.
const WORDS: usize = 3;
/// So many of them have two capitals: "I" and "A" are written so in any text.
const LOUD: usize = 2;

/// A query in small letters, as far as it is shouted.
pub(super) struct Calm {
    context: String,
    typed: String,
    /// Whether the word at the cursor is shouted.
    shouted: bool,
}

impl Calm {
    /// What is asked by `query`.
    pub fn of(query: &Query) -> Self {
        let end = query.context.trim_end_matches(|c: char| !c.is_whitespace()).len();
        let (words, begun) = query.context.split_at(end);
        let (mut context, shouted) = calm(text::suffix(words, TAIL));
        let shouted = shouted && !has_small_letter(begun) && !has_small_letter(query.typed);
        context.push_str(&lowered(begun, shouted));
        Self { context, typed: lowered(query.typed, shouted), shouted }
    }

    /// What to ask in its place.
    pub fn query<'a>(&'a self, query: &Query<'a>) -> Query<'a> {
        Query { context: &self.context, typed: &self.typed, ..*query }
    }

    /// The answer to `query`, of that to what was asked in its place.
    pub fn answer(self, query: &Query, mut answer: Suggestions) -> Suggestions {
        if !self.shouted {
            return answer;
        }
        let asked = [self.context, self.typed].concat();
        let characters = text::suffix(&asked, answer.replaces).chars().count();
        let typed: String = [query.context, query.typed].concat();
        let start = typed.char_indices().rev().take(characters).last().map_or(typed.len(), |(start, _)| start);
        let typed = &typed[start..];
        answer.replaces = typed.len();
        answer.suggestions = loud(answer.suggestions);
        answer.autocorrect = answer.autocorrect.map(|word| word.to_uppercase()).filter(|word| word != typed);
        if let Some(contender) = &mut answer.contender {
            contender.word = contender.word.to_uppercase();
        }
        answer
    }
}

/// Words in capitals, where those that only their case told apart are one.
fn loud(words: Vec<Suggestion>) -> Vec<Suggestion> {
    let mut loud: Vec<Suggestion> = Vec::with_capacity(words.len());
    for mut suggestion in words {
        suggestion.word = suggestion.word.to_uppercase();
        match loud.iter_mut().find(|known| known.word == suggestion.word) {
            Some(known) => {
                known.probability += suggestion.probability;
                known.joint += suggestion.joint;
                if suggestion.kind == Kind::Literal {
                    known.kind = Kind::Literal;
                }
            }
            None => loud.push(suggestion),
        }
    }
    loud
}

/// Whether a word behind `context` that has no small letter is shouted, so that its capitals say nothing of how it is written.
pub(super) fn is_shouted_behind(context: &str) -> bool {
    calm(context).1
}

/// Whether a word has more capitals than its first letter.
pub(super) fn is_loud(word: &str) -> bool {
    word.chars().filter(|c| c.is_uppercase()).count() > 1
}

/// A text with what is shouted in small letters, and whether it ends with that.
fn calm(text: &str) -> (String, bool) {
    let mut calm = String::with_capacity(text.len());
    let mut run = 0..0;
    for word in text.split_inclusive(char::is_whitespace) {
        if has_small_letter(word) {
            let run_before = &text[run.clone()];
            calm.push_str(&lowered(run_before, are_shouted(run_before)));
            calm.push_str(word);
            run.start = run.end + word.len();
        }
        run.end += word.len();
    }
    let shouted = are_shouted(&text[run.clone()]);
    calm.push_str(&lowered(&text[run], shouted));
    (calm, shouted)
}

/// Whether these words, of which none has a small letter, are.
fn are_shouted(words: &str) -> bool {
    let words = || words.split_whitespace().filter(|word| word.contains(char::is_uppercase));
    words().count() >= WORDS && words().filter(|word| is_loud(word)).count() >= LOUD
}

/// A text, in small letters if it is shouted: as many characters as before.
fn lowered(text: &str, shouted: bool) -> String {
    if shouted { text.chars().map(text::small).collect() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyboard::Contender;

    #[test]
    fn what_is_shouted_is_asked_in_small_letters() {
        for (text, asked, shouted) in [
            ("", "", false),
            ("I saw the NFL on TV. ", "I saw the NFL on TV. ", false),
            ("I AM ", "I AM ", false),
            ("I AM 2 LATE ", "i am 2 late ", true),
            ("Oh no. WHAT ARE YOU DOING? he asked ", "Oh no. what are you doing? he asked ", false),
            ("so WHERE ARE\nYOU ", "so where are\nyou ", true),
            ("ICH WEISS NICHT ÜBERALL ", "ich weiss nicht überall ", true),
            ("A B I ", "A B I ", false),
            ("你好 我 很好 ", "你好 我 很好 ", false),
        ] {
            assert_eq!(calm(text), (asked.to_owned(), shouted), "{text:?}");
        }
    }

    #[test]
    fn it_is_answered_in_capitals() {
        let query = Query { context: "WHERE ARE YOU, (İS", typed: "TA", touches: &[], top: 3 };
        let calm = Calm::of(&query);
        let asked = calm.query(&query);
        assert_eq!((asked.context, asked.typed), ("where are you, (is", "ta"));
        let word = |word: &str| Suggestion {
            word: word.to_owned(),
            probability: 0.5,
            joint: 0.5,
            kind: Kind::Completion,
            exact: true,
        };
        let answer = Suggestions {
            // What was typed may stand beside itself in another case.
            suggestions: vec![word("istanbul"), word("Ista"), word("ista")],
            replaces: "ista".len(),
            autocorrect: Some("Ista".to_owned()),
            contender: Some(Contender { word: "istanbul".to_owned(), odds: 1.0 }),
            ..Suggestions::default()
        };
        let answer = calm.answer(&Query { context: "WHERE ARE YOU, (IS", ..query }, answer);
        assert_eq!(answer.suggestions.iter().map(|s| &s.word[..]).collect::<Vec<_>>(), ["ISTANBUL", "ISTA"]);
        assert_eq!(answer.suggestions[1].probability, 1.0);
        assert_eq!((answer.autocorrect, answer.replaces), (None, "ISTA".len()));
        assert_eq!(answer.contender.unwrap().word, "ISTANBUL");
    }

    #[test]
    fn small_letters_that_are_typed_stay() {
        let query = Query { context: "WHERE ARE YOU ", typed: "no", touches: &[], top: 3 };
        let calm = Calm::of(&query);
        assert_eq!(calm.query(&query).context, "where are you ");
        let answer = Suggestions { replaces: 2, autocorrect: Some("now".to_owned()), ..Suggestions::default() };
        assert_eq!(calm.answer(&query, answer.clone()), answer);
    }
}
