//! Which words that no dictionary has are words of it, misspelled.
//!
//! "definately" is no slip of the finger: people write it, so that a list of what is seen in text has it, and a model that has read
//! them gives it the probability of a word. It is told from names and from what is written so on purpose by what is confused in it, and
//! by how much more frequent the word is that it is confused with.

use super::layout::plain;
use super::lexicon::Word;
use super::text;

/// So many times as frequent as its misspelling is the word, in the unit of [`Word::cost`]: thirty times.
const RATIO: u16 = 150;
/// A word that was never seen counts as seen so often: lists begin there.
const UNSEEN: u16 = 700;
/// Shorter words have too many neighbours, and some are short on purpose ("wat"): of those, only the order of letters is confused.
const LONG: usize = 5;
/// From so many letters on, there may also be one too few or too many.
const LONGER: usize = 6;
/// What may be confused in one word: two double letters, or one other thing.
const MOST: usize = 2;

/// How often a misspelling is meant as it is.
const ON_PURPOSE: f64 = 0.01;
/// The same of a word without its apostrophe or its accents, which many leave out and others have their keyboard put in.
const ON_PURPOSE_JOINED: f64 = 0.1;
/// So many times as frequent as what it is without them is the word: four times, and as one that a dictionary has, such as
/// "cant", sixteen times.
const RATIO_JOINED: u16 = 60;
const RATIO_LISTED: u16 = 120;

/// How often what was typed is meant as it is, where it may be `word`, misspelled; none where it is no misspelling of that. Both are
/// in lower case; what is known of what was typed is none if it was never seen.
pub(super) fn on_purpose(typed: &str, known: Option<Word>, word: &str, meant: Word) -> Option<f64> {
    let Word { cost, listed } = known.unwrap_or(Word { cost: UNSEEN, listed: false });
    let joined = word != typed && word.chars().filter(|&letter| !text::is_joiner(letter)).map(plain).eq(typed.chars());
    let (ratio, kept) = match (joined, listed) {
        (true, false) => (RATIO_JOINED, ON_PURPOSE_JOINED),
        (true, true) => (RATIO_LISTED, ON_PURPOSE_JOINED),
        (false, false) => (RATIO, ON_PURPOSE),
        (false, true) => return None,
    };
    let joiners = |word: &str| word.chars().filter(|&letter| text::is_joiner(letter)).count();
    let confused = || {
        // An apostrophe is not typed by mistake.
        if joiners(typed) > joiners(word) {
            return false;
        }
        let (typed, word): (Vec<char>, Vec<char>) = (typed.chars().collect(), word.chars().collect());
        typed.first() == word.first() && confusions(&typed, &word) <= MOST
    };
    (meant.listed && cost >= meant.cost + ratio && (joined || confused())).then_some(kept)
}

/// Whether a word is written without its vowels on purpose: "thx". Letters of which nobody says which are vowels are none.
pub(super) fn is_abbreviation(typed: &str) -> bool {
    typed.chars().all(|letter| letter.is_ascii_lowercase() && letter != 'y' && !is_vowel(letter))
}

/// How much is confused between what was typed and a word: a letter that is single or double counts 1; two letters in the other
/// order, a vowel for another, and, within long words, a letter too few or too many count 2. What people do not confuse is more than
/// [`MOST`].
fn confusions(typed: &[char], word: &[char]) -> usize {
    const NEVER: usize = MOST + 1;
    let long = typed.len() >= LONG;
    // The table of an edit distance, with a row for every number of letters typed.
    let mut table = vec![vec![NEVER; word.len() + 1]; typed.len() + 1];
    for i in 0..=typed.len() {
        for j in 0..=word.len() {
            let mut least = if (i, j) == (0, 0) { 0 } else { NEVER };
            let mut reach = |before: usize, price: usize| least = least.min(before + price);
            let inner = i > 0 && i < typed.len() && j > 0 && j < word.len();
            if i > 0 && j > 0 {
                let vowels = long && is_vowel(typed[i - 1]) && is_vowel(word[j - 1]);
                match typed[i - 1] == word[j - 1] {
                    true => reach(table[i - 1][j - 1], 0),
                    false if vowels => reach(table[i - 1][j - 1], 2),
                    false => {}
                }
            }
            if i > 1 && long && typed[i - 1] == typed[i - 2] {
                reach(table[i - 1][j], 1);
            }
            if j > 1 && long && word[j - 1] == word[j - 2] {
                reach(table[i][j - 1], 1);
            }
            if inner && typed.len() >= LONGER {
                reach(table[i - 1][j], 2);
                reach(table[i][j - 1], 2);
            }
            if i > 1 && j > 1 && typed[i - 1] == word[j - 2] && typed[i - 2] == word[j - 1] {
                reach(table[i - 2][j - 2], 2);
            }
            table[i][j] = least;
        }
    }
    table[typed.len()][word.len()]
}

fn is_vowel(letter: char) -> bool {
    "aeiou".contains(plain(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_confuse_is_told_from_what_they_mean() {
        let confused = |typed: &str, word: &str| {
            let letters = |word: &str| word.chars().collect::<Vec<_>>();
            typed.starts_with(&word[..1]) && confusions(&letters(typed), &letters(word)) <= MOST
        };
        for (typed, word) in [
            ("definately", "definitely"),
            ("recieve", "receive"),
            ("tommorow", "tomorrow"),
            ("embarass", "embarrass"),
            ("untill", "until"),
            ("seperate", "separate"),
            ("goverment", "government"),
            ("runing", "running"),
            ("happend", "happened"),
            ("teh", "the"),
            ("thier", "their"),
            ("könen", "können"),
        ] {
            assert!(confused(typed, word), "{typed} {word}");
        }
        for (typed, word) in [
            ("wat", "what"),
            ("kot", "not"),
            ("thx", "the"),
            ("comin", "coming"),
            ("noice", "voice"),
            ("gud", "good"),
            ("homes", "home"),
            ("merci", "mercy"),
            ("probs", "probably"),
        ] {
            assert!(!confused(typed, word), "{typed} {word}");
        }
    }

    #[test]
    fn the_word_is_in_a_dictionary_and_much_more_frequent() {
        let word = |cost, listed| Word { cost, listed };
        let is = |known, meant| on_purpose("recieve", known, "receive", meant).is_some();
        assert!(is(Some(word(625, false)), word(415, true)) && is(None, word(415, true)));
        assert!(!is(Some(word(625, true)), word(415, true)), "it is a word of its own");
        assert!(!is(Some(word(500, false)), word(415, true)), "it is written on purpose");
        assert!(!is(None, word(415, false)), "nobody knows what is right");
    }

    #[test]
    fn an_apostrophe_that_was_typed_is_meant() {
        let quelle = Word { cost: 400, listed: true };
        assert_eq!(on_purpose("qu'elle", None, "quelle", quelle), None);
        assert_eq!(on_purpose("quellle", None, "quelle", quelle), Some(ON_PURPOSE));
    }

    #[test]
    fn an_apostrophe_is_left_out_on_purpose_or_not() {
        let word = |cost, listed| Word { cost, listed };
        let kept = |typed, known, meant, cost| on_purpose(typed, Some(known), meant, word(cost, true));
        assert_eq!(kept("dont", word(426, false), "don't", 280), Some(ON_PURPOSE_JOINED));
        assert_eq!(kept("cant", word(465, true), "can't", 320), Some(ON_PURPOSE_JOINED));
        assert_eq!(kept("well", word(297, true), "we'll", 411), None);
        assert_eq!(kept("its", word(286, true), "it's", 267), None);
        assert_eq!(kept("tres", word(460, false), "très", 280), Some(ON_PURPOSE_JOINED));
        assert_eq!(kept("jetais", word(600, false), "j'étais", 350), Some(ON_PURPOSE_JOINED));
        assert_eq!(kept("sur", word(210, true), "sûr", 330), None);
        assert_eq!(kept("très", word(460, false), "tres", 280), None, "an accent that was typed is meant");
        assert!(is_abbreviation("thx") && is_abbreviation("pls"));
        assert!(!is_abbreviation("the") && !is_abbreviation("why") && !is_abbreviation("вс"));
    }
}
