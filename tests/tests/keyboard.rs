//! The probabilities of words that the keyboard finds in its tree are those of spelling each word out, on a real model.
#![forbid(unsafe_code)]

use nibble_engine::{LanguageModel, Session, SessionOptions, TokenId};
use nibble_tasks::keyboard::{Keyboard, Options, Query};
use nibble_tests::models::SMOLLM2;

const CONTEXTS: [&str; 12] = [
    "I am looking forward to the",
    "Thank you so much for your",
    "We should meet at the station",
    "What time does the",
    "My brother and his wife have",
    "It doesn't really",
    "The best way to cook rice is to",
    "Can you please send me",
    "She said that she would",
    "Yesterday I went to New",
    "Happy birthday! I hope you",
    "They were playing football in",
];

/// What was typed of the word that follows.
const TYPED: [&str; 3] = ["", "a", "th"];

/// What may stand behind a context but begins no word, as two spaces do, is told apart by the tree and not here.
const TOLERANCE: f64 = 1e-2;

#[test]
fn words_have_the_probability_of_being_spelled_out() {
    let open = || SMOLLM2.open().session(SessionOptions { context: 512, ..SessionOptions::default() }).unwrap();
    let (mut asked, mut spelling) = (open(), Spelling::new(open()));
    let mut compared = 0;
    for context in CONTEXTS {
        let gap = spelling.mass_of_space(context);
        for typed in TYPED {
            let text = format!("{context} ");
            let query = Query { context: &text, typed, touches: &[], top: 6 };
            let mut keyboard = Keyboard::new(Options { min_probability: 1e-5, ..Options::exact() });
            let found = keyboard.suggest(&mut asked, &query).unwrap();
            for suggestion in found.suggestions.iter().filter(|suggestion| suggestion.exact) {
                let word = &suggestion.word;
                let forms = forms(word).map(|form| spelling.probability(context, &form) / gap);
                // The word in the form that is shown, and at most the other forms in which it may be written.
                let (least, most) = (forms[0], forms.iter().sum::<f64>());
                let joint = suggestion.joint;
                assert!(
                    joint >= least * (1.0 - TOLERANCE) && joint <= most * (1.0 + TOLERANCE),
                    "{context:?} + {typed:?}: {word:?} has {joint}, spelled out {least} to {most}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 150, "only {compared} words were compared");
}

/// `word` first, then the others of the forms that the keyboard takes for one word.
fn forms(word: &str) -> [String; 4] {
    let lower = word.to_lowercase();
    let capital = lower[..1].to_uppercase() + &lower[1..];
    let upper = word.to_uppercase();
    let mut forms = vec![word.to_owned(), lower, capital, upper];
    // None twice: what is empty has no probability.
    for i in (1..forms.len()).rev() {
        if forms[..i].contains(&forms[i]) {
            forms[i].clear();
        }
    }
    forms.try_into().expect("four")
}

/// Probabilities by computing every token of a word, one after the other.
struct Spelling {
    session: Session,
    start: TokenId,
    /// The tokens that begin with a space, and those that end a word.
    spaced: Vec<TokenId>,
    ends: Vec<TokenId>,
}

impl Spelling {
    fn new(session: Session) -> Self {
        let tokens = || 0..session.vocabulary().len() as TokenId;
        let of = |wanted: &dyn Fn(&[u8]) -> bool| {
            let text = |&token: &TokenId| !session.is_end(token) && session.vocabulary().sorted().contains(&token);
            tokens().filter(text).filter(|&token| wanted(session.vocabulary().bytes(token))).collect::<Vec<_>>()
        };
        let spaced = of(&|bytes| bytes.first() == Some(&b' '));
        let mut ends = of(&ends_a_word);
        ends.extend(tokens().filter(|&token| session.is_end(token)));
        let start = session.bos().or_else(|| tokens().find(|&token| session.is_end(token))).unwrap();
        Self { session, start, spaced, ends }
    }

    /// The probability that a space follows `context`.
    fn mass_of_space(&mut self, context: &str) -> f64 {
        let prefix = self.prefix(context);
        let probabilities = self.after(&prefix);
        self.spaced.iter().map(|&token| probabilities[token as usize]).sum()
    }

    /// The probability that a space, `word` and its end follow `context`.
    fn probability(&mut self, context: &str, word: &str) -> f64 {
        if word.is_empty() {
            return 0.0;
        }
        let mut prefix = self.prefix(context);
        let all = self.prefix(&format!("{context} {word}"));
        assert!(all.starts_with(&prefix), "words begin with a token of their own");
        let mut probability = 1.0;
        for &token in &all[prefix.len()..] {
            probability *= self.after(&prefix)[token as usize];
            prefix.push(token);
        }
        let end = self.after(&prefix);
        probability * self.ends.iter().map(|&token| end[token as usize]).sum::<f64>()
    }

    fn prefix(&self, text: &str) -> Vec<TokenId> {
        [vec![self.start], self.session.encode(text)].concat()
    }

    /// The probability of every token after `prefix`.
    fn after(&mut self, prefix: &[TokenId]) -> Vec<f64> {
        let logits = self.session.sync(prefix).unwrap();
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }
}

/// Whether a word has ended before these bytes: at white space, and at a mark that is not inside a word.
fn ends_a_word(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match text.chars().find(|c| !matches!(c, '\'' | '’' | '-' | '‐')) {
        Some(c) => !c.is_alphanumeric(),
        None => false,
    }
}
