//! The words of the languages that a person writes, and which of them is being written.
//!
//! P(language | text) ∝ Π P(word | language)^d over the last words, with an exponent d that falls from word to word going back: people
//! change their language at the end of a sentence, and within one. The frequency of a word is that in its language, times the probability of
//! the language. Where a language elides words, as in "l'homme", what stands behind one counts as a word of its own.

use std::sync::Arc;

use super::adapters::{Fitted, adapters};
use super::layout::plain;
use super::lexicon::{Lexicon, UNKNOWN_COST, Word, nats};
use super::primer::primer;
use super::text::{self, folded_word};

/// Words before the cursor that are listened to, and how much less each counts than the one after it.
const HEARD: usize = 12;
const FADE: f64 = 0.8;
/// Bytes that so many words are within.
const LOOK_BACK: usize = 160;
/// A language is not less probable than this, so that its first words are still found.
const LEAST: f64 = 0.02;

/// Another language than before is written if it is at least so probable: going to and fro, the model has to read its primer again.
const SURE: f64 = 0.9;

/// How messages are written in a language.
#[derive(Clone, Copy, Debug, Default)]
pub struct Language {
    /// What the model reads before the text; empty, or whole lines.
    pub primer: &'static str,
    /// What models are adapted by.
    pub adapters: &'static [Fitted],
    /// Words that have a capital wherever they stand, in lower case; with what is joined to them.
    pub capitals: &'static [&'static str],
    /// Words that lose their vowel before another one, and are joined to what follows by an apostrophe, without both.
    pub elided: &'static [&'static str],
    /// Marks that a space stands before.
    pub spaced: &'static str,
}

/// The elided words of French.
const FRENCH: [&str; 13] = ["c", "d", "j", "l", "m", "n", "s", "t", "qu", "jusqu", "lorsqu", "puisqu", "quoiqu"];
/// What such a word adds to the cost of what follows it, which is more often behind one of them than not.
pub(super) const ELIDED_COST: u16 = 70;

impl Language {
    /// By its code (ISO 639-1); nothing is known of most.
    pub fn of(code: &str) -> Self {
        Self {
            primer: primer(code),
            adapters: adapters(code),
            capitals: if code == "en" { &["i"] } else { &[] },
            elided: if code == "fr" { &FRENCH } else { &[] },
            spaced: if code == "fr" { "?!:;" } else { "" },
        }
    }

    /// Whether a word, which is in lower case, has a capital wherever it stands.
    pub(super) fn is_capital(&self, word: &str) -> bool {
        word.split(text::is_joiner).next().is_some_and(|first| self.capitals.contains(&first))
    }
}

/// Whether the words that lose their vowel do so before a word that begins with this letter.
pub(super) fn elides(letter: char) -> bool {
    "aeiouyhœ".contains(plain(letter))
}

/// Word lists, and how probable each language is where is written.
pub(super) struct Languages {
    lexicons: Vec<Arc<Lexicon>>,
    /// The [elided words](Language::elided) of each.
    elided: Vec<&'static [&'static str]>,
    /// -100 log10 of the probability, as [`Word::cost`].
    costs: Vec<u16>,
    /// Which of them is written.
    written: usize,
    /// What was listened to: it stays the same from key to key of a word.
    heard: Option<String>,
}

impl Languages {
    /// Those of these lists, the one that is written most first; of as many of them as are known, how they are written.
    pub fn new(lexicons: Vec<Arc<Lexicon>>, languages: &[Language]) -> Self {
        let costs = vec![0; lexicons.len()];
        let mut elided: Vec<_> = languages.iter().map(|language| language.elided).collect();
        elided.resize(lexicons.len(), &[]);
        Self { lexicons, elided, costs, written: 0, heard: None }
    }

    /// Finds out which of them is written in `context`.
    pub fn listen(&mut self, context: &str) {
        let context = text::suffix(context, LOOK_BACK);
        if self.lexicons.len() == 1 || self.heard.as_deref() == Some(context) {
            return;
        }
        self.heard = Some(context.to_owned());
        let mut scores = vec![0.0; self.lexicons.len()];
        let mut weight = 1.0;
        for run in context.split_whitespace().rev().take(HEARD) {
            let word = folded_word(run.trim_matches(|c: char| !c.is_alphanumeric()));
            let costs: Vec<Option<u16>> = self.lexicons.iter().map(|list| Some(list.get(&word)?.cost)).collect();
            // A name says nothing.
            if costs.iter().any(Option::is_some) {
                for (score, cost) in scores.iter_mut().zip(costs) {
                    *score -= weight * nats(cost.unwrap_or(UNKNOWN_COST));
                }
                weight *= FADE;
            }
        }
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let all: f64 = scores.iter().map(|score| (score - best).exp()).sum();
        let cost = |score: &f64| (-100.0 * ((score - best).exp() / all).max(LEAST).log10()).round() as u16;
        self.costs = scores.iter().map(cost).collect();
        let sure = scores.iter().position(|score| (score - best).exp() / all >= SURE);
        self.written = sure.unwrap_or(if weight == 1.0 { 0 } else { self.written });
    }

    /// Which of them is written, in the order of the lists.
    pub fn written(&self) -> usize {
        self.written
    }

    /// The lists, each with how improbable its language is.
    pub fn each(&self) -> impl Iterator<Item = (&Lexicon, u16)> {
        self.lexicons.iter().map(Arc::as_ref).zip(self.costs.iter().copied())
    }

    /// The elided words of each language.
    pub fn elided(&self) -> &[&'static [&'static str]] {
        &self.elided
    }

    /// What is known of a word, in the language that knows it best; of one behind an elided word, as in "l'homme", if no list has both
    /// together, what is known of the one.
    pub fn get(&self, word: &str) -> Option<Word> {
        self.best(word, |_| 0)
    }

    /// The same, with the cost that it has where is written.
    pub fn here(&self, word: &str) -> Option<Word> {
        self.best(word, |cost| cost)
    }

    /// Whether it is a word, as far as lists know: one of a dictionary, or as frequent in text as names are, which slips are not.
    pub fn has_word(&self, word: &str) -> bool {
        self.get(word).is_some_and(Word::is_known)
    }

    /// Whether a word is two, of which the first has lost its vowel, and no list has both together.
    pub fn is_elision(&self, word: &str) -> bool {
        word.contains('\'') && self.get(word).is_some() && self.lexicons.iter().all(|list| list.get(word).is_none())
    }

    /// Whether a word of a dictionary stands behind one that is elided in French, whatever the language is said to be.
    pub fn may_be_elision(&self, word: &str) -> bool {
        word.split_once('\'').is_some_and(|(first, rest)| FRENCH.contains(&first) && self.has_listed(rest))
    }

    /// Whether a dictionary has each of these words, which spaces are between.
    pub fn has_listed(&self, words: &str) -> bool {
        words.split(' ').all(|word| self.get(word).is_some_and(|word| word.listed))
    }

    fn best(&self, word: &str, more: impl Fn(u16) -> u16) -> Option<Word> {
        let better = |a: Word, b: Word| Word { cost: a.cost.min(b.cost), listed: a.listed || b.listed };
        let known = self.each().filter_map(|(list, cost)| Some((list.get(word)?, more(cost))));
        known.map(|(word, more)| Word { cost: word.cost + more, ..word }).reduce(better).or_else(|| {
            let (first, rest) = word.split_once('\'').filter(|(_, rest)| rest.starts_with(elides))?;
            let behind = self.each().zip(&self.elided).filter(|(_, elided)| elided.contains(&first));
            let known = behind.filter_map(|((list, cost), _)| Some((list.get(rest)?, more(cost) + ELIDED_COST)));
            known.map(|(word, more)| Word { cost: word.cost + more, ..word }).reduce(better)
        })
    }

    /// The cost of the most frequent word that begins with `prefix`, where is written.
    pub fn least_cost(&self, prefix: &str) -> Option<u16> {
        let known = self.each().filter_map(|(list, cost)| Some(list.least_cost(prefix)? + cost)).min();
        let Some((first, rest)) = prefix.split_once('\'') else { return known };
        // Of those that begin with a vowel, the most frequent are among these.
        let least = |list: &Lexicon, rest: &str| match rest {
            "" => ["a", "e", "h", "i", "o", "u", "é"].iter().filter_map(|letter| list.least_cost(letter)).min(),
            rest => list.least_cost(rest),
        };
        let behind = self.each().zip(&self.elided).filter(|(_, elided)| elided.contains(&first));
        let least_behind = behind.filter_map(|((list, cost), _)| Some(least(list, rest)? + cost + ELIDED_COST));
        known.into_iter().chain(least_behind).min()
    }

    /// Whether a word offends in one language and is no word of another.
    pub fn is_offensive(&self, word: &str) -> bool {
        let innocent = |list: &Lexicon| !list.is_offensive(word) && list.get(word).is_some_and(|known| known.listed);
        self.lexicons.iter().any(|list| list.is_offensive(word)) && !self.lexicons.iter().any(|list| innocent(list))
    }

    /// The words of at most this cost, of every language.
    pub fn frequent(&self, most: u16) -> impl Iterator<Item = (String, Word)> {
        self.lexicons.iter().flat_map(move |list| list.frequent(most))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::layout::Layout;
    use super::super::{Keyboard, Options};
    use super::*;

    fn languages() -> Languages {
        let list = |words: &[(&str, u16)], offensive: &[&str]| {
            let words = words.iter().map(|&(word, cost)| (word.to_owned(), Word { cost, listed: true }));
            let offensive: HashSet<String> = offensive.iter().map(|&word| word.to_owned()).collect();
            Arc::new(Lexicon::with_offensive(words, &offensive))
        };
        let lists = vec![
            list(&[("i", 158), ("am", 270), ("here", 300), ("die", 420), ("so", 250)], &["dick", "scheisse"]),
            list(&[("ich", 200), ("bin", 280), ("hier", 290), ("die", 140), ("so", 250), ("dick", 480)], &[]),
        ];
        Languages::new(lists, &[])
    }

    fn cost(languages: &Languages, word: &str) -> u16 {
        languages.here(word).unwrap().cost
    }

    #[test]
    fn the_language_that_is_written_is_the_more_probable_one() {
        let mut languages = languages();
        languages.listen("I am");
        assert_eq!(languages.written(), 0);
        assert!(cost(&languages, "here") < cost(&languages, "hier"));
        languages.listen("I am here. Ich bin");
        assert!(cost(&languages, "here") > cost(&languages, "hier"), "the last words count most");
        assert_eq!(languages.written(), 1);
        languages.listen("so");
        assert_eq!(languages.written(), 1, "which it is that word does not say");
        languages.listen("");
        assert_eq!(languages.written(), 0, "the first one is written most");
        languages.listen("I am here. Ich bin");
        let hier = cost(&languages, "hier");
        languages.listen("I am here. Ich bin Zorblatt Zorp Zorba");
        assert_eq!(cost(&languages, "hier"), hier, "names say nothing");
        languages.listen("I am so am I am so am I am");
        assert!(cost(&languages, "hier") <= 290 + 170, "it is still found");
        assert_eq!((languages.get("hier").unwrap().cost, languages.here("zorp")), (290, None));
    }

    #[test]
    fn the_model_reads_the_primer_of_the_language_that_is_written() {
        let layout = Layout::shipped("qwerty").unwrap();
        let keyboard = |codes: &[&str]| {
            Keyboard::new(Options::messages(codes)).with_lexicons(languages().lexicons, layout.clone())
        };
        let mut both = keyboard(&["en", "de"]);
        for (context, code) in [("", "en"), ("ich bin ", "de"), ("ich bin so ", "de"), ("I am ", "en")] {
            assert_eq!(both.language(context).primer, primer(code), "{context}");
        }
        assert_eq!(keyboard(&["en"]).language("ich bin ").primer, primer("en"), "there is no other");
        assert_eq!(keyboard(&[]).language("ich bin ").primer, "");
    }

    #[test]
    fn nothing_is_said_before_anything_is_written() {
        let mut languages = languages();
        languages.listen("");
        assert_eq!(cost(&languages, "here") - 300, cost(&languages, "hier") - 290);
        assert_eq!(cost(&languages, "die"), 140 + 30, "a word of both is as frequent as where it is most");
    }

    #[test]
    fn a_single_language_costs_nothing() {
        let mut alone = Languages::new(languages().lexicons[..1].to_vec(), &[]);
        alone.listen("Ich bin");
        assert_eq!(cost(&alone, "here"), 300);
    }

    #[test]
    fn a_word_behind_an_elided_one_is_a_word() {
        let list = |words: &[(&str, bool)]| {
            let words = words.iter().map(|&(word, listed)| (word.to_owned(), Word { cost: 300, listed }));
            Arc::new(Lexicon::of(words))
        };
        let lists =
            vec![list(&[("elle", true), ("zorp", true), ("eh", false), ("l'air", true)]), list(&[("even", true)])];
        let languages = Languages::new(lists, &[Language::of("fr"), Language::of("en")]);
        for (word, cost, listed) in
            [("qu'elle", 300 + ELIDED_COST, true), ("l'eh", 300 + ELIDED_COST, false), ("l'air", 300, true)]
        {
            assert_eq!(languages.get(word), Some(Word { cost, listed }), "{word}");
            assert_eq!(languages.is_elision(word), word != "l'air", "{word}");
        }
        for word in ["l'zorp", "l'even", "x'elle", "l'", "elle'elle", "l'ell"] {
            assert_eq!(languages.get(word), None, "{word}");
        }
    }

    #[test]
    fn a_word_of_another_language_does_not_offend() {
        let languages = languages();
        assert!(languages.is_offensive("scheisse") && !languages.is_offensive("dick"));
        assert!(Languages::new(languages.lexicons[..1].to_vec(), &[]).is_offensive("dick"));
    }
}
