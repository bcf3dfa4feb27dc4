//! How good a keyboard is: what a person would have seen who typed given messages letter by letter.
//!
//! Measures follow the field: next word and completion as the share of words among the first one or three suggestions, and keystroke
//! savings with three suggestions, taken as soon as taking one saves a key. A [`Typist`] errs as `noise.rs` says. Completion after an
//! error is asked after three touches that do not spell the beginning of the word. The odds of every change that was weighed are
//! kept, so that one run shows what the gate would do if it asked for others.
//!
//! Where the kebbie protocol (version 0.5) has a measure, this differs from it:
//!
//! * all of it: the context is the text as it was written, where the protocol takes marks out; all of a message is typed, where it
//!   stops at 256 characters; case and the kind of apostrophe do not count, where the protocol asks for both;
//! * words: runs of letters, digits, apostrophes and hyphens with a letter among them; the protocol's end at white space and
//!   . , : ; ! ? ~ " and brackets, and may be numbers or hold other marks;
//! * `next_word_prediction`: the first word of a message counts; the protocol asks behind a word alone, and so does
//!   [`next_word_behind`](Evaluation::next_word_behind);
//! * `auto_completion`: letters are typed without errors, or three touches have one; every word is asked after each of its first
//!   letters, not after a random number of them;
//! * `auto_correction`: what a space puts in is what counts, not the first suggestion; precision is stricter: a change that gives
//!   another wrong word counts against it. Words that are not plain letters are not typed; in the protocol they have no errors;
//! * `swipe_resolution`: none.

use std::time::{Duration, Instant};

use nibble_engine::{LanguageModel, Result, SplitMix64};

use super::gate::is_worth_showing;
use super::layout::Layout;
use super::learning::Learner;
use super::noise::Noise;
use super::text::{is_joiner, is_word};
use super::weights::Weights;
use super::{Contender, Keyboard, Kind, Query, Suggestion, Suggestions, spelling};

/// Suggestions on the strip.
const STRIP: usize = 3;

/// Completion is measured after so many letters, from 1 on.
pub const LETTERS: usize = 4;

/// Equal parts of 0..1 in which probabilities are compared with what came true.
pub const BINS: usize = 10;

/// A message to be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What was in front of the person: earlier turns of a chat, each on a line of its own; empty for none.
    pub context: String,
    /// What the person typed.
    pub text: String,
}

/// What a person who types asks for words.
pub trait Predictor {
    /// As [`Keyboard::suggest`].
    ///
    /// # Errors
    /// Whatever it reports.
    fn suggest(&mut self, query: &Query) -> Result<Suggestions>;

    /// As [`Keyboard::glance`].
    ///
    /// # Errors
    /// As [`suggest`](Self::suggest).
    fn glance(&mut self, query: &Query) -> Result<Suggestions>;

    /// Whether a dictionary has all of `words`, so that they are no error of the text's own.
    fn is_listed(&self, words: &str) -> bool;
}

/// A keyboard with its model.
pub struct Modelled<'a> {
    /// The keyboard.
    pub keyboard: Keyboard,
    /// The model that it asks.
    pub model: &'a mut dyn LanguageModel,
}

impl Predictor for Modelled<'_> {
    fn suggest(&mut self, query: &Query) -> Result<Suggestions> {
        self.keyboard.suggest(self.model, query)
    }

    fn glance(&mut self, query: &Query) -> Result<Suggestions> {
        self.keyboard.glance(self.model, query)
    }

    fn is_listed(&self, words: &str) -> bool {
        self.keyboard.speller.as_ref().is_some_and(|speller| speller.languages().has_listed(words))
    }
}

/// A person who makes typing errors, on a keyboard.
#[derive(Clone, Debug)]
pub struct Typist {
    /// Where the keys are.
    pub layout: Layout,
    /// The kinds of errors.
    pub noise: Noise,
    /// Where chance comes from.
    pub chance: SplitMix64,
    /// How often every word is typed.
    pub times: usize,
}

/// Touches of a beginning with an error in it.
const NOISY: usize = 3;

/// What became of words that were typed to their end, and the space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    /// Words with an error.
    pub wrong: usize,
    /// Of those, the ones that became the word that was meant.
    pub mended: usize,
    /// Of those, the ones that became another.
    pub missed: usize,
    /// Words without an error.
    pub right: usize,
    /// Of those, the ones that became another.
    pub spoiled: usize,
}

impl Corrections {
    /// Counts a word, of which is told whether it was `typed` as it was `meant`, whether it is `put` so in the end, and whether it was
    /// changed.
    fn count(&mut self, typed: bool, put: bool, changed: bool) {
        if typed {
            self.right += 1;
            self.spoiled += usize::from(!put);
        } else {
            self.wrong += 1;
            self.mended += usize::from(put);
            self.missed += usize::from(changed && !put);
        }
    }

    /// The share of the changes that were right.
    pub fn precision(self) -> f64 {
        self.mended as f64 / (self.mended + self.missed + self.spoiled).max(1) as f64
    }

    /// The share of the errors that were mended.
    pub fn recall(self) -> f64 {
        self.mended as f64 / self.wrong.max(1) as f64
    }

    /// The share of words without an error that were changed.
    pub fn false_changes(self) -> f64 {
        self.spoiled as f64 / self.right.max(1) as f64
    }
}

/// Keys that it takes to put an error right that stayed: to go there, delete, write and go back.
const MENDING: f64 = 4.0;
/// Keys that a change is worth which nobody wanted: twice as many, and as many again for the trust that it costs.
const UNDOING: f64 = 16.0;

/// The odds that the gate asks for, as in [`Contender::odds`].
pub const ODDS_IN_USE: f64 = Weights::FITTED.correction;

/// A change of a word that was typed to its end, as it was weighed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What was typed.
    pub typed: String,
    /// The word in its place.
    pub word: String,
    /// The word that was meant.
    pub meant: String,
    /// As [`Contender::odds`].
    pub odds: f64,
    /// Whether a dictionary has the word that was meant.
    pub listed: bool,
}

impl Change {
    /// Whether it gives the word that was meant.
    pub fn is_right(&self) -> bool {
        same(&self.word, &self.meant)
    }
}

/// Autocorrection with a gate that asks for certain odds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GatePoint {
    /// What it asks for.
    pub odds: f64,
    /// As [`Corrections::precision`]; 1 where nothing is changed.
    pub precision: f64,
    /// As [`Corrections::recall`].
    pub recall: f64,
}

/// The points of a gate at which these changes are made, one after the other, to mend so many errors.
fn curve(mut changes: Vec<&Change>, wrong: usize) -> Vec<GatePoint> {
    changes.sort_by(|a, b| b.odds.total_cmp(&a.odds));
    let mut made = Share::default();
    let mut curve = vec![GatePoint { odds: f64::INFINITY, precision: 1.0, recall: 0.0 }];
    for even in changes.chunk_by(|a, b| a.odds == b.odds) {
        even.iter().for_each(|change| made.count(change.is_right()));
        let recall = made.hits as f64 / wrong.max(1) as f64;
        curve.push(GatePoint { odds: even[0].odds, precision: made.ratio(), recall });
    }
    curve
}

/// The precision where a gate that opens along `curve` first mends so large a share of the errors; none if it never does.
pub fn precision_at(curve: &[GatePoint], recall: f64) -> Option<f64> {
    curve.iter().find(|point| point.recall >= recall).map(|point| point.precision)
}

/// A share of cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Cases in which it was so.
    pub hits: usize,
    /// All of them.
    pub of: usize,
}

impl Share {
    fn count(&mut self, hit: bool) {
        self.hits += usize::from(hit);
        self.of += 1;
    }

    /// From 0 to 1; 0 of nothing.
    pub fn ratio(self) -> f64 {
        self.hits as f64 / self.of.max(1) as f64
    }
}

/// Suggestions of about equal probability.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// How often the first suggestion was the word.
    pub right: Share,
    /// The sum of the probabilities that it claimed.
    pub claimed: f64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Messages typed.
    pub messages: usize,
    /// The word was the first suggestion before its first letter.
    pub next_word_top1: Share,
    /// It was among three.
    pub next_word_top3: Share,
    /// The same two of the words that stand behind another one of the message, as the kebbie protocol asks.
    pub next_word_behind: [Share; 2],
    /// It was among three after 1, 2, ... of its letters; only words that were not complete by then count.
    pub completion_top3: [Share; LETTERS],
    /// It is among three after three touches with an error among them; only words of four letters and more count.
    pub noisy_top3: Share,
    /// Words that were typed to their end by a person who errs.
    pub corrections: Corrections,
    /// Of those, the words that a dictionary has: of the others nobody knows whether they are right.
    pub listed: Corrections,
    /// The changes of those words that were weighed, whether they were made or not.
    pub changes: Vec<Change>,
    /// Keystrokes after which something was worth showing, and how often the word was among that.
    pub shown: Share,
    /// As above.
    pub shown_right: Share,
    /// Keys without a keyboard that predicts: the characters of all messages.
    pub keys_without: usize,
    /// Keys with it.
    pub keys_with: usize,
    /// First suggestions for the next word, by the probability that they claimed.
    pub calibration: [Bin; BINS],
    /// What was there to paint at once, and how long that took; then the refined answer, the time before it included.
    pub first_paint: Vec<Duration>,
    /// As above.
    pub refined: Vec<Duration>,
    /// Forward passes of the model, for all keystrokes.
    pub forward_passes: usize,
    /// Keystrokes whose first paint took none, and had something on it.
    pub instant: Share,
    /// Keystrokes whose first paint had nothing on it.
    pub blank: Share,
}

impl Evaluation {
    /// The share of keys that were saved.
    pub fn keystroke_savings(&self) -> f64 {
        1.0 - self.keys_with as f64 / self.keys_without.max(1) as f64
    }

    /// Keys a character for somebody whose every word was typed so many `times` with errors: those that are pressed, those that mend
    /// what was left wrong, and a price for what was made wrong.
    pub fn effort(&self, times: usize) -> f64 {
        let Corrections { wrong, mended, missed, spoiled, .. } = self.corrections;
        let after = MENDING * (wrong - mended) as f64 + UNDOING * (missed + spoiled) as f64;
        (self.keys_with as f64 + after / times.max(1) as f64) / self.keys_without.max(1) as f64
    }

    /// Expected calibration error: how far claimed probabilities are from what came true, weighted by how many there are.
    pub fn calibration_error(&self) -> f64 {
        let all: usize = self.calibration.iter().map(|bin| bin.right.of).sum();
        let off = |bin: &Bin| (bin.claimed - bin.right.hits as f64).abs();
        self.calibration.iter().map(off).sum::<f64>() / all.max(1) as f64
    }

    /// The changes that were made and should not have been, as they came.
    pub fn wrong_changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.odds >= ODDS_IN_USE && !change.is_right())
    }

    /// What autocorrection would be with a gate that asks for other odds, from infinite ones down to any: the recall only grows.
    pub fn gate_curve(&self) -> Vec<GatePoint> {
        curve(self.changes.iter().collect(), self.corrections.wrong)
    }

    /// The same of the words that a dictionary has.
    pub fn gate_curve_of_listed(&self) -> Vec<GatePoint> {
        curve(self.changes.iter().filter(|change| change.listed).collect(), self.listed.wrong)
    }

    /// Types a message and counts.
    ///
    /// # Errors
    /// Whatever the predictor reports; the message counts as far as it came.
    pub fn add(&mut self, predictor: &mut dyn Predictor, message: &Message) -> Result<()> {
        self.messages += 1;
        let keys = message.text.chars().count();
        self.keys_without += keys;
        self.keys_with += keys;
        for (place, Spot { before, word, spaced }) in words(&message.text).enumerate() {
            let context = message.before(before);
            let mut saved = None;
            let length = word.chars().count();
            for (letters, (end, _)) in word.char_indices().enumerate() {
                // Once the word was taken, only what is still to be counted is asked.
                if saved.is_some() && letters > LETTERS {
                    break;
                }
                let query = Query { context: &context, typed: &word[..end], touches: &[], top: STRIP };
                let rank = self.press(predictor, &query, word)?;
                match letters {
                    0 => {
                        self.next_word_top1.count(rank == Some(0));
                        self.next_word_top3.count(rank.is_some());
                        if place > 0 {
                            self.next_word_behind[0].count(rank == Some(0));
                            self.next_word_behind[1].count(rank.is_some());
                        }
                    }
                    1..=LETTERS => self.completion_top3[letters - 1].count(rank.is_some()),
                    _ => {}
                }
                if rank.is_some() && saved.is_none() {
                    // Taking it is a key too, and writes the space.
                    saved = Some((length - letters + usize::from(spaced)).saturating_sub(1));
                }
            }
            self.keys_with -= saved.unwrap_or(0);
        }
        Ok(())
    }

    /// Has a person type the words of a message who makes errors, and counts.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_errors(&mut self, predictor: &mut dyn Predictor, message: &Message, typist: &mut Typist) -> Result<()> {
        let Typist { layout, noise, chance, times } = typist;
        let is_plain = |spot: &Spot| spelling::is_plain(&spot.word.to_lowercase());
        let mut spots = words(&message.text).peekable();
        while let Some(spot) = spots.next() {
            let Spot { before, word, spaced } = spot;
            if !is_plain(&spot) {
                continue;
            }
            let context = message.before(before);
            if word.chars().count() > NOISY {
                for _ in 0..*times {
                    let Some(typing) = noise.type_badly(word, NOISY, layout, chance) else { continue };
                    let query = Query { context: &context, typed: &typing.typed, touches: &typing.touches, top: STRIP };
                    let answer = predictor.suggest(&query)?;
                    self.noisy_top3.count(answer.suggestions.iter().any(|suggestion| same(&suggestion.word, word)));
                }
            }
            let next =
                spots.peek().filter(|next| spaced && is_plain(next) && next.follows(&spot)).map(|next| next.word);
            for _ in 0..*times {
                let (typing, meant) = noise.type_to_space(word, next, layout, chance);
                let query = Query { context: &context, typed: &typing.typed, touches: &typing.touches, top: STRIP };
                let Suggestions { autocorrect, contender, .. } = predictor.suggest(&query)?;
                let listed = predictor.is_listed(&meant);
                let (typed, changed) = (same(&typing.typed, &meant), autocorrect.is_some());
                let put = same(autocorrect.as_ref().unwrap_or(&typing.typed), &meant);
                self.corrections.count(typed, put, changed);
                if listed {
                    self.listed.count(typed, put, changed);
                }
                self.changes.extend(contender.map(|Contender { word, odds }| Change {
                    typed: typing.typed,
                    word,
                    meant,
                    odds,
                    listed,
                }));
            }
        }
        Ok(())
    }

    /// Asks after one keystroke; says where on the strip the word is.
    fn press(&mut self, predictor: &mut dyn Predictor, query: &Query, word: &str) -> Result<Option<usize>> {
        let start = Instant::now();
        let glance = predictor.glance(query)?;
        self.first_paint.push(start.elapsed());
        let answer = predictor.suggest(query)?;
        self.refined.push(start.elapsed());
        self.forward_passes += glance.forward_passes + answer.forward_passes;
        self.instant.count(glance.forward_passes == 0 && !glance.suggestions.is_empty());
        self.blank.count(glance.suggestions.is_empty());
        let worth =
            |suggestion: &&Suggestion| suggestion.kind != Kind::Literal && is_worth_showing(suggestion, query.typed);
        let shown: Vec<&Suggestion> = answer.suggestions.iter().filter(worth).collect();
        self.shown.count(!shown.is_empty());
        if !shown.is_empty() {
            self.shown_right.count(shown.iter().any(|suggestion| same(&suggestion.word, word)));
        }
        let rank = answer.suggestions.iter().position(|suggestion| same(&suggestion.word, word));
        if let ("", Some(first)) = (query.typed, answer.suggestions.first()) {
            let bin = &mut self.calibration[((first.joint * BINS as f64) as usize).min(BINS - 1)];
            bin.right.count(rank == Some(0));
            bin.claimed += first.joint;
        }
        Ok(rank)
    }
}

impl Message {
    /// Has a keyboard learn the words of the message, as if somebody had just written it.
    pub fn teach(&self, learner: &Learner) {
        self.written(|context, word| learner.committed(context, word));
    }

    /// Shows `visit` every word, behind the text before it.
    pub fn written(&self, mut visit: impl FnMut(&str, &str)) {
        words(&self.text).for_each(|spot| visit(&self.before(spot.before), spot.word));
    }

    /// All the text before a word, of which `before` is in the message itself.
    fn before(&self, before: &str) -> String {
        match self.context.as_str() {
            "" => before.to_owned(),
            earlier => [earlier, "\n", before].concat(),
        }
    }
}

/// A word of a message.
#[derive(Debug, PartialEq, Eq)]
struct Spot<'a> {
    /// The message before it.
    before: &'a str,
    word: &'a str,
    /// Whether a space follows, which a suggestion that is taken writes too.
    spaced: bool,
}

impl Spot<'_> {
    /// Whether nothing but a space is between `earlier` and this word.
    fn follows(&self, earlier: &Self) -> bool {
        self.before.len() == earlier.before.len() + earlier.word.len() + 1
    }
}

/// The words of a message, cut as [`text::cut`] does, as far as they have a letter.
fn words(text: &str) -> impl Iterator<Item = Spot<'_>> {
    let offset = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    text.split(|c| !is_word(c) && !is_joiner(c)).filter_map(move |run| {
        let word = run.trim_matches(is_joiner);
        let start = offset(word);
        let spaced = text[start + word.len()..].starts_with(' ');
        word.contains(char::is_alphabetic).then(|| Spot { before: &text[..start], word, spaced })
    })
}

/// Whether two words differ by case, or by the kind of apostrophe, alone.
fn same(a: &str, b: &str) -> bool {
    let plain = |word: &str| word.replace('’', "'").to_lowercase();
    plain(a) == plain(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::keyboard::lexicon::{Lexicon, Word};
    use crate::keyboard::{Options, text};
    use crate::testing::Fake;

    #[test]
    fn what_is_left_wrong_and_what_is_made_wrong_takes_keys() {
        let corrections = Corrections { wrong: 4, mended: 2, missed: 1, right: 50, spoiled: 1 };
        let mut found = Evaluation { keys_without: 100, keys_with: 60, corrections, ..Evaluation::default() };
        assert_eq!(found.effort(2), (60.0 + (2.0 * MENDING + 2.0 * UNDOING) / 2.0) / 100.0);
        found.corrections = Corrections::default();
        assert_eq!(found.effort(0), 0.6);
    }

    #[test]
    fn words_are_what_is_typed_between_spaces_and_punctuation() {
        let found: Vec<_> = words("So, \"don't\" (be) 24 late!  OK 2nite").collect();
        let plain: Vec<_> = found.iter().map(|spot| (spot.word, spot.spaced)).collect();
        let expected =
            [("So", false), ("don't", false), ("be", false), ("late", false), ("OK", true), ("2nite", false)];
        assert_eq!(plain, expected);
        assert_eq!(found[1].before, "So, \"");
        assert_eq!(found[5].before, "So, \"don't\" (be) 24 late!  OK ");
    }

    #[test]
    fn words_end_where_the_keyboard_begins_another() {
        let text = "See her.I said yes,Anyone (well-known) don’t/won't 'quote' ab@c.de 6.30pm rock-'n'-roll I go";
        for spot in words(text) {
            let cut = text::cut(&text[..spot.before.len() + spot.word.len()]);
            assert_eq!(&cut.typed[cut.word..], spot.word);
        }
        let found: Vec<_> = words(text).map(|spot| spot.word).collect();
        let expected = "See her I said yes Anyone well-known don’t won't quote ab c de 30pm rock-'n'-roll I go";
        assert_eq!(found, expected.split(' ').collect::<Vec<_>>());
        let spots: Vec<_> = words("a b. c  d").collect();
        let follow: Vec<_> = spots.windows(2).map(|pair| pair[1].follows(&pair[0])).collect();
        assert_eq!(follow, [true, false, false]);
        assert_eq!(spots.iter().map(|spot| spot.spaced).collect::<Vec<_>>(), [true, false, true, false]);
    }

    #[test]
    fn case_and_apostrophes_do_not_count() {
        assert!(same("I'm", "i’m") && same("Été", "été") && !same("its", "it's"));
    }

    #[test]
    fn keys_are_saved_as_soon_as_the_word_is_on_the_strip() {
        let mut model = Fake::lettered(3);
        let mut evaluation = Evaluation::default();
        let message = Message { context: "ab ba".into(), text: "cab abba ab.".into() };
        let keyboard = Keyboard::new(Options::exact());
        evaluation.add(&mut Modelled { keyboard, model: &mut model }, &message).unwrap();
        assert_eq!((evaluation.messages, evaluation.next_word_top3.of), (1, 3));
        assert_eq!(evaluation.next_word_behind.map(|share| share.of), [2; 2], "none stands before the first");
        // Letters after which a word was not complete: one of each, a second of two, a third of one.
        assert_eq!(evaluation.completion_top3.map(|share| share.of), [3, 2, 1, 0]);
        assert_eq!(evaluation.keys_without, 12);
        assert_eq!(evaluation.first_paint.len(), evaluation.refined.len());
        assert_eq!([evaluation.instant.of, evaluation.blank.of], [evaluation.refined.len(); 2]);
        assert!(
            evaluation.instant.hits + evaluation.blank.hits <= evaluation.instant.of,
            "a strip is one or the other"
        );

        // The same by hand.
        let mut saved = 0;
        for (context, word, spaced) in [("", "cab", 1), ("cab ", "abba", 1), ("cab abba ", "ab", 0)] {
            let context = format!("ab ba\n{context}");
            let seen = (0..word.len()).find(|&letters| {
                let query = Query { context: &context, typed: &word[..letters], touches: &[], top: 3 };
                let answer = Keyboard::new(Options::exact()).suggest(&mut model, &query).unwrap();
                answer.suggestions.iter().any(|suggestion| suggestion.word.eq_ignore_ascii_case(word))
            });
            saved += seen.map_or(0, |letters| (word.len() - letters + spaced).saturating_sub(1));
        }
        assert_eq!(evaluation.keys_without - evaluation.keys_with, saved);
        assert!((evaluation.keystroke_savings() - saved as f64 / 12.0).abs() < 1e-12);
    }

    #[test]
    fn errors_are_those_of_the_seed_and_every_word_is_counted() {
        let layout = Layout::shipped("qwerty").unwrap();
        let words = ["cab", "abba", "bat"].map(|word| (word.to_owned(), Word { cost: 300, listed: true }));
        let lexicon = Arc::new(Lexicon::of(words));
        let message = Message { context: String::new(), text: "Abba bat, 2nite CAB".into() };
        let count = |noise: Noise, seed| {
            let keyboard = Keyboard::new(Options::exact()).with_lexicon(lexicon.clone(), layout.clone());
            let mut typist = Typist { layout: layout.clone(), noise, chance: SplitMix64(seed), times: 20 };
            let mut evaluation = Evaluation::default();
            let mut predictor = Modelled { keyboard, model: &mut Fake::lettered(3) };
            evaluation.add_errors(&mut predictor, &message, &mut typist).unwrap();
            (evaluation.noisy_top3, evaluation.corrections)
        };
        let (noisy, corrections) = count(Noise::none(), 1);
        assert_eq!((noisy.of, corrections), (0, Corrections { right: 60, ..Corrections::default() }));
        let careless = Noise { sigma: 0.4, ..Noise::default() };
        let (noisy, corrections) = count(careless.clone(), 1);
        assert_eq!((noisy.of, corrections.right + corrections.wrong), (20, 60), "one word has four letters");
        assert!(corrections.wrong > 10 && corrections.mended > corrections.missed, "{corrections:?}");
        assert_eq!(count(careless.clone(), 1), (noisy, corrections));
        assert_ne!(count(careless, 2).1, corrections);
    }

    #[test]
    fn the_gate_s_curve_goes_through_what_was_done() {
        let layout = Layout::shipped("qwerty").unwrap();
        let words = [("cab", 300), ("can", 250), ("abba", 500), ("bat", 300), ("vat", 320), ("tab", 420)];
        let words = words.map(|(word, cost)| (word.to_owned(), Word { cost, listed: cost != 500 }));
        let keyboard = Keyboard::new(Options::exact()).with_lexicon(Arc::new(Lexicon::of(words)), layout.clone());
        let noise = Noise { sigma: 0.35, omission: 0.1, ..Noise::default() };
        let mut typist = Typist { layout, noise, chance: SplitMix64(1), times: 40 };
        let message = Message { context: String::new(), text: "abba bat vat cab baba".into() };
        let mut evaluation = Evaluation::default();
        let mut predictor = Modelled { keyboard, model: &mut Fake::lettered(3) };
        evaluation.add_errors(&mut predictor, &message, &mut typist).unwrap();

        let (curve, done) = (evaluation.gate_curve(), evaluation.corrections);
        assert!(curve.len() > 20 && done.missed + done.spoiled > 0, "{done:?}");
        assert!(curve.is_sorted_by(|a, b| a.odds >= b.odds && a.recall <= b.recall));
        assert_eq!((curve[0].precision, curve[0].recall), (1.0, 0.0), "at first nothing is changed");
        let right = evaluation.changes.iter().filter(|change| change.is_right()).count();
        let last = curve.last().unwrap();
        assert_eq!(last.recall, right as f64 / done.wrong as f64, "in the end all is");
        assert_eq!(last.precision, right as f64 / evaluation.changes.len() as f64);
        assert_eq!(
            precision_at(&curve, last.recall),
            curve.iter().find(|p| p.recall == last.recall).map(|p| p.precision)
        );
        assert_eq!((precision_at(&curve, 0.0), precision_at(&curve, last.recall + 0.01)), (Some(1.0), None));
        let used = curve.iter().rfind(|point| point.odds >= ODDS_IN_USE).unwrap();
        assert_eq!((used.precision, used.recall), (done.precision(), done.recall()));
        assert!(used.recall < last.recall, "it asks for more than any odds");
        assert_eq!(Evaluation::default().gate_curve(), curve[..1]);

        // "abba" and "baba", which no dictionary has, may be errors of the text.
        let (all, listed) = (evaluation.corrections, evaluation.listed);
        assert!(listed.right + listed.wrong == 3 * 40 && listed.wrong < all.wrong && listed.right < all.right);
        let meant: Vec<_> = evaluation.changes.iter().filter(|change| change.listed).map(|c| &c.meant[..]).collect();
        assert!(!meant.is_empty() && meant.iter().all(|word| ["bat", "vat", "cab"].contains(word)), "{meant:?}");
        let used = evaluation.gate_curve_of_listed().into_iter().rfind(|point| point.odds >= ODDS_IN_USE).unwrap();
        assert_eq!((used.precision, used.recall), (listed.precision(), listed.recall()));
    }

    #[test]
    fn claims_that_come_true_as_often_as_they_say_have_no_error() {
        let bin = |hits, of, claimed| Bin { right: Share { hits, of }, claimed };
        let mut evaluation = Evaluation::default();
        assert_eq!(evaluation.calibration_error(), 0.0);
        evaluation.calibration[2] = bin(1, 4, 1.0);
        evaluation.calibration[7] = bin(3, 4, 3.0);
        assert_eq!(evaluation.calibration_error(), 0.0);
        evaluation.calibration[7] = bin(1, 4, 3.0);
        assert_eq!(evaluation.calibration_error(), 0.25);
    }
}
