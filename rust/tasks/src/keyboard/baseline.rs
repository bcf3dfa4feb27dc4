//! What a keyboard would be without a language model, for the evaluation: it knows how frequent words are in the word list, and, of
//! messages that it was taught, how frequent they are behind the one or two words before them.
//!
//! It sees through typing errors as the keyboard does and changes words at the same odds (`spelling.rs`), so that the difference is
//! the model's. P(word | context) is an interpolation of counts of one, two and three words, each with a few imagined cases of the
//! shorter one, the shortest with some of the word list (Dirichlet smoothing, MacKay and Peto 1995).

use std::collections::HashMap;
use std::sync::Arc;

use nibble_engine::Result;

use super::evaluation::{Message, Predictor};
use super::habits::Said;
use super::layout::Layout;
use super::lexicon::Lexicon;
use super::readings::Reading;
use super::spelling::{Asked, Speller};
use super::text::{self, folded_word};
use super::{Options, Query, Suggestions, touches_of};

/// Imagined words of the word list beside those that were taught.
const PRIOR_OF_LIST: f64 = 1_000.0;
/// Imagined cases of the shorter context.
const PRIOR: f64 = 3.0;

/// A keyboard without a model.
pub struct Baseline {
    speller: Speller,
    options: Options,
    words: Counts,
    /// By the one or two words before.
    after: HashMap<String, Counts>,
}

#[derive(Default)]
struct Counts {
    of: HashMap<String, f64>,
    total: f64,
}

impl Baseline {
    /// One that knows the word lists alone, of which there is at least one; of `options`, what concerns them.
    pub fn new(lexicons: Vec<Arc<Lexicon>>, layout: Layout, options: Options) -> Self {
        let speller = Speller::new(lexicons, layout, &options.languages);
        Self { speller, options, words: Counts::default(), after: HashMap::new() }
    }

    /// Counts the words of a message.
    pub fn teach(&mut self, message: &Message) {
        message.written(|context, word| {
            let word = folded_word(word);
            for context in Said::before(context).contexts() {
                self.after.entry(context.to_owned()).or_default().count(&word);
            }
            self.words.count(&word);
        });
    }
}

impl Predictor for Baseline {
    fn suggest(&mut self, query: &Query) -> Result<Suggestions> {
        let text = [query.context, query.typed].concat();
        let cut = text::cut(&text);
        self.speller.listen(cut.context);
        let said = Said::before(&text[..text.len() - cut.typed.len()]);
        let touches = touches_of(query, &cut.typed[cut.word..], self.speller.layout());
        let behind: Vec<&Counts> = said.contexts().filter_map(|context| self.after.get(context)).collect();
        let asked = Asked { cut: &cut, said: &said, touches, habits: None, top: query.top, batches: 0 };
        let logp = |reading: &Reading| {
            let listed = self.words.smooth(&reading.word, PRIOR_OF_LIST, reading.log_frequency.exp());
            behind.iter().fold(listed, |shorter, after| after.smooth(&reading.word, PRIOR, shorter)).ln()
        };
        Ok(self.speller.suggest_alone(asked, &self.options, self.words.of.keys(), logp, |_| None))
    }

    fn glance(&mut self, query: &Query) -> Result<Suggestions> {
        self.suggest(query)
    }

    fn is_listed(&self, words: &str) -> bool {
        self.speller.languages().has_listed(words)
    }
}

impl Counts {
    fn count(&mut self, word: &str) {
        *self.of.entry(word.to_owned()).or_default() += 1.0;
        self.total += 1.0;
    }

    /// The share of a word, with so many imagined cases in which it has the share `shorter`.
    fn smooth(&self, word: &str, prior: f64, shorter: f64) -> f64 {
        (self.of.get(word).copied().unwrap_or(0.0) + prior * shorter) / (self.total + prior)
    }
}

#[cfg(test)]
mod tests {
    use nibble_engine::SplitMix64;

    use super::super::Kind;
    use super::super::evaluation::{Evaluation, Typist};
    use super::super::lexicon::Word;
    use super::super::noise::Noise;
    use super::*;

    fn baseline() -> Baseline {
        let words = [
            ("the", 127, true),
            ("then", 280, true),
            ("they", 260, true),
            ("hello", 420, true),
            ("help", 370, true),
            ("see", 300, true),
            ("you", 180, true),
            ("i'm", 230, true),
        ];
        let words = words.map(|(word, cost, listed)| (word.to_owned(), Word { cost, listed }));
        Baseline::new(vec![Arc::new(Lexicon::of(words))], Layout::shipped("qwerty").unwrap(), Options::default())
    }

    fn message(text: &str) -> Message {
        Message { context: String::new(), text: text.to_owned() }
    }

    fn ask(baseline: &mut Baseline, context: &str, typed: &str) -> Suggestions {
        baseline.suggest(&Query { context, typed, touches: &[], top: 3 }).unwrap()
    }

    fn words(answer: &Suggestions) -> Vec<&str> {
        answer.suggestions.iter().map(|suggestion| suggestion.word.as_str()).collect()
    }

    #[test]
    fn untaught_it_says_the_most_frequent_words_wherever_it_is() {
        let mut baseline = baseline();
        for context in ["", "see ", "see you "] {
            let answer = ask(&mut baseline, context, "");
            assert_eq!(words(&answer), ["the", "you", "i'm"], "{context}");
            assert!(answer.suggestions.iter().all(|suggestion| suggestion.kind == Kind::NextWord));
            assert!((answer.suggestions[0].joint - 10_f64.powf(-1.27)).abs() < 1e-6, "as the list has it");
        }
        let answer = ask(&mut baseline, "", "he");
        assert_eq!(words(&answer), ["help", "the", "he"], "what a space puts in is shown, and what was typed");
        assert_eq!(answer.autocorrect.as_deref(), Some("the"));
        assert_eq!(words(&ask(&mut baseline, "", "hel"))[..2], ["help", "hello"]);
        assert_eq!(ask(&mut baseline, "", "(hrlp").autocorrect.as_deref(), Some("help"));
        assert_eq!(ask(&mut baseline, "", "the").autocorrect, None);
    }

    #[test]
    fn taught_it_says_what_was_written_behind_the_words_before() {
        let mut baseline = baseline();
        ["I'm Zorp", "See Zorp then", "we see them then"].iter().for_each(|text| baseline.teach(&message(text)));
        assert_eq!(words(&ask(&mut baseline, "i’m ", ""))[0], "zorp");
        let after = |baseline: &mut Baseline, context| ask(baseline, context, "").suggestions[0].word.clone();
        // Behind one word, two were as frequent; behind two, one of them never was.
        assert_eq!(after(&mut baseline, "we see "), "them");
        assert_eq!(after(&mut baseline, "Hi. See "), "zorp");
        assert_eq!(words(&ask(&mut baseline, "i'm ", "z"))[0], "zorp", "no list has it");
    }

    #[test]
    fn probabilities_of_words_after_a_context_add_up_to_the_list_s() {
        let mut baseline = baseline();
        baseline.teach(&message("see you then see the help"));
        let listed: f64 =
            [127, 280, 260, 420, 370, 300, 180, 230].map(|cost| 10_f64.powf(f64::from(cost) / -100.0)).iter().sum();
        for context in ["", "see ", "you then ", "hello "] {
            let query = Query { context, typed: "", touches: &[], top: 100 };
            let sum: f64 = baseline.suggest(&query).unwrap().suggestions.iter().map(|s| s.joint).sum();
            let (taught, said) = (6.0, Said::before(context));
            let mut expected = (taught + PRIOR_OF_LIST * listed) / (taught + PRIOR_OF_LIST);
            for after in said.contexts().filter_map(|context| baseline.after.get(context)) {
                expected = (after.total + PRIOR * expected) / (after.total + PRIOR);
            }
            assert!((sum - expected).abs() < 1e-6, "{context}: {sum} {expected}");
        }
    }

    #[test]
    fn it_is_evaluated_like_a_keyboard() {
        let (mut plain, mut taught) = (baseline(), baseline());
        taught.teach(&message("help you see then"));
        let noise = Noise { sigma: 0.3, ..Noise::default() };
        let count = |baseline: &mut Baseline| {
            let mut typist = Typist {
                layout: Layout::shipped("qwerty").unwrap(),
                noise: noise.clone(),
                chance: SplitMix64(1),
                times: 20,
            };
            let mut evaluation = Evaluation::default();
            let message = message("Help you see then");
            evaluation.add(baseline, &message).unwrap();
            evaluation.add_errors(baseline, &message, &mut typist).unwrap();
            evaluation
        };
        let (plain, taught) = (count(&mut plain), count(&mut taught));
        assert!(plain.next_word_top3.hits < taught.next_word_top3.hits && taught.next_word_top3.hits == 4);
        assert!(taught.keys_with < plain.keys_with);
        let typed = |e: &Evaluation| (e.corrections.wrong, e.corrections.right);
        assert_eq!(typed(&plain), typed(&taught), "the errors are the same");
        assert!(plain.corrections.mended > 0 && taught.corrections.mended >= plain.corrections.mended);
        assert_eq!(taught.forward_passes, 0);
    }
}
