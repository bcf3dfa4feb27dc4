//! Which of the words that the touches may spell the model would write here, and whether one should take the place of what was
//! typed.
//!
//! A word's score is ln P(touches | word) + ln P(word | context). The second is the model's, summed over the cases in which the
//! word may be written, with a share of the frequency in the word list (`weights.rs`). How the tokens of a word go on behind the first is asked of the model for the words that it may
//! bring onto the strip; for the others it is taken from their frequencies.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use nibble_engine::{LanguageModel, Result};

use super::habits::{Habits, Said};
use super::languages::{Language, Languages};
use super::layout::Layout;
use super::lexicon::{Lexicon, MAX_COST, UNKNOWN_COST, Word, nats};
use super::misspelling::{is_abbreviation, on_purpose};
use super::rates::EndRates;
use super::readings::{Reading, Readings, Touch};
use super::shouting::is_loud;
use super::table::WordTable;
use super::text::{self, Cut, folded_word};
use super::tree::{Open, Target};
use super::unheard::{Heard, SURE};
use super::{Contender, Kind, Options, Place, Suggestion, Suggestions, offensive};
use crate::logits::log_add;

/// The share of all readings that one has to have, if the model says yes, for the model to be asked.
const WORTH_ASKING: f64 = 0.01;
/// Readings that the model is asked about.
const READINGS: usize = 48;
/// What stands before names in addresses, in programs and on command lines, which are nobody's to mend.
const IN_CODE: &str = "@/.#_\\:`$-<={";
/// What was typed, and will stay, gives way to words that are at least as probable as this; and its case is left alone where it is not.
const GIVES_WAY: f64 = 0.01;
/// How much more probable than the case that was typed another one has to be, as ln.
const CASE_MARGIN: f64 = 1.6;
/// Of shorter words the model does not know the case well enough: "a" is "A" in many a list.
const MIN_CASED: usize = 3;

/// The words of the languages, the keys, and the readings of what is being typed.
pub(super) struct Speller {
    languages: Languages,
    layout: Layout,
    /// One a language.
    readings: Vec<Readings>,
    /// Those among the person's own words, and the list of these that they were read from.
    own_readings: Readings,
    own_lexicon: Option<Arc<Lexicon>>,
}

/// What is asked of a speller.
pub(super) struct Asked<'a> {
    pub cut: &'a Cut<'a>,
    /// The words before it.
    pub said: &'a Said,
    /// One a character of the word.
    pub touches: Vec<Touch>,
    /// What this person writes, if anything is known of that.
    pub habits: Option<&'a mut Habits>,
    pub top: usize,
    /// Batches for the keys of the word so far.
    pub batches: usize,
}

/// What was typed of the word, in the ways in which it is looked at.
struct Typed<'a> {
    /// What stands before the word since the last white space.
    opening: &'a str,
    /// As it was typed.
    word: &'a str,
    /// As word lists have it.
    literal: String,
    begins_sentence: bool,
}

impl<'a> Typed<'a> {
    fn new(asked: &Asked<'a>) -> Self {
        let (opening, word) = asked.cut.typed.split_at(asked.cut.word);
        Self { opening, word, literal: folded_word(word), begins_sentence: asked.said.begins_sentence() }
    }

    /// Whether it has a capital within a sentence.
    fn is_named(&self) -> bool {
        self.word.starts_with(char::is_uppercase) && !is_loud(self.word) && !self.begins_sentence
    }
}

/// What all readings are weighed by.
struct Given<'a> {
    typed: &'a Typed<'a>,
    /// ln of the mass of all words.
    all: f64,
    person: Option<(&'a Habits, &'a Said)>,
}

/// What it works with.
pub(super) struct Search<'a> {
    pub place: &'a mut Place,
    pub model: &'a mut dyn LanguageModel,
    pub table: &'a WordTable,
    pub rates: &'a mut EndRates,
    pub options: &'a Options,
    pub language: Language,
}

/// A word with its score.
#[derive(Clone)]
struct Candidate {
    reading: Reading,
    /// As it is shown.
    word: String,
    /// ln P(word | context), as far as is known.
    logp: f64,
    /// Whether the model was asked to its end.
    exact: bool,
    score: f64,
    /// ln of how many times as probable it is in this case as in the one that was typed.
    case_odds: f64,
    /// Where to ask next, and the score that the word has if the model says yes from there on.
    open: Option<(Open, f64)>,
    /// Where to ask how the word ends, if that is all that is not known.
    end: Option<Open>,
    /// Whether anybody has [heard](Heard) of it.
    is_heard: bool,
}

impl Speller {
    /// With a word list for each language.
    pub fn new(lexicons: Vec<Arc<Lexicon>>, layout: Layout, languages: &[Language]) -> Self {
        let languages = Languages::new(lexicons, languages);
        let readings = readings_of(&languages);
        Self { languages, layout, readings, own_readings: Readings::new(&[]), own_lexicon: None }
    }

    pub fn set_layout(&mut self, layout: Layout) {
        (self.layout, self.own_readings) = (layout, Readings::new(&[]));
        self.readings = readings_of(&self.languages);
    }

    /// Where the keys are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The words of the languages.
    pub fn languages(&self) -> &Languages {
        &self.languages
    }

    /// Finds out which language is written, in the order of the lists.
    pub fn listen(&mut self, context: &str) -> usize {
        self.languages.listen(context);
        self.languages.written()
    }

    /// Words for what was typed, which is [plain](is_plain).
    pub fn suggest(&mut self, mut search: Search, mut asked: Asked, mut answer: Suggestions) -> Result<Suggestions> {
        let cost = Readings::cost_as_typed(&self.layout, &asked.touches);
        let typed = Typed::new(&asked);
        let mut readings = self.read(&asked.touches);
        if let Some(habits) = &mut asked.habits {
            self.add_own_words(&mut readings, habits.lexicon(), &asked.touches);
        }
        self.add_model_words(&mut readings, &mut search, &asked, cost);
        // A person may mean what was typed, whatever it is.
        self.add(&mut readings, typed.literal.clone(), cost, 0);
        let all = search.place.mass_of_gap(search.model, search.table);
        let person = asked.habits.as_deref().map(|habits| (habits, asked.said));
        let given = Given { typed: &typed, all, person };
        let mut candidates = loop {
            let mut candidates: Vec<Candidate> =
                readings.iter().filter_map(|reading| search.weigh(&self.languages, reading, &given)).collect();
            self.respell(&mut candidates, &typed, asked.habits.as_deref());
            candidates.sort_by(best_first);
            let place = &mut *search.place;
            if place.batches >= asked.batches {
                break candidates;
            }
            let batch = worth_asking(&candidates, asked.top, search.options.batch_rows);
            if batch.is_empty() {
                break candidates;
            }
            if place.refresh(search.model, search.table)? {
                answer.forward_passes += 1;
                continue;
            }
            let batch = &batch[..batch.len().min(search.model.room())];
            if batch.is_empty() {
                break candidates;
            }
            place.expand(search.model, search.table, batch, search.rates)?;
            answer.forward_passes += 1;
        };
        let habits = asked.habits.as_deref();
        let heard = Heard { languages: &self.languages, habits, context: asked.cut.context };
        candidates.iter_mut().for_each(|candidate| candidate.is_heard = heard.has(&candidate.reading.word));
        Ok(self.answer(candidates, &typed, habits, search.options, asked.top, answer))
    }

    /// As [`suggest`](Self::suggest), without a model: ln P(word | context) is what `logp` says of a reading, and `known` are words
    /// that are looked at beside those of the word list where what was typed begins them; `written` says how a word is written, if not as
    /// lists have it. Nothing may be typed yet, and it need not be plain.
    pub fn suggest_alone<'a>(
        &mut self,
        asked: Asked,
        options: &Options,
        known: impl Iterator<Item = &'a String>,
        logp: impl Fn(&Reading) -> f64,
        written: impl Fn(&str) -> Option<String>,
    ) -> Suggestions {
        let cost = Readings::cost_as_typed(&self.layout, &asked.touches);
        let typed = Typed::new(&asked);
        let word = typed.word;
        let mut readings = Vec::new();
        if word.is_empty() || is_plain(word) {
            readings = self.read(&asked.touches);
        }
        for word in known.filter(|word| word.starts_with(&typed.literal)) {
            let missing = word.chars().count().saturating_sub(asked.touches.len());
            self.add(&mut readings, word.clone(), cost, missing);
        }
        if !word.is_empty() {
            self.add(&mut readings, typed.literal.clone(), cost, 0);
        }
        let candidate = |reading: Reading| {
            let logp = logp(&reading);
            let score = logp - reading.cost;
            Candidate {
                word: with_case_of(written(&reading.word).as_ref().unwrap_or(&reading.word), word),
                reading,
                logp,
                exact: true,
                score,
                case_odds: 0.0,
                open: None,
                end: None,
                is_heard: true,
            }
        };
        let mut candidates: Vec<Candidate> = readings.into_iter().map(candidate).collect();
        self.respell(&mut candidates, &typed, None);
        candidates.sort_by(best_first);
        let answer = Suggestions { replaces: word.len(), ..Suggestions::default() };
        self.answer(candidates, &typed, None, options, asked.top, answer)
    }

    /// Completes an answer with what these candidates make, the best of which comes first.
    fn answer(
        &self,
        mut candidates: Vec<Candidate>,
        typed: &Typed,
        habits: Option<&Habits>,
        options: &Options,
        top: usize,
        mut answer: Suggestions,
    ) -> Suggestions {
        answer.proven = false;
        let may = |word: &str| offensive::may_suggest(options, Some(&self.languages), word, &typed.literal);
        // An offensive word that was meant is not changed into what is next to it.
        answer.contender = self.correction(&candidates, typed, habits).filter(|best| may(&best.word));
        let enough = answer.contender.as_ref().filter(|best| best.odds >= options.weights.correction);
        answer.autocorrect =
            enough.map(|best| best.word.clone()).or_else(|| self.other_case(&candidates, typed, habits));
        let total = log_sum(candidates.iter().map(|candidate| candidate.score));
        candidates.retain(|candidate| {
            let word = &candidate.reading.word;
            let is_sure = candidate.exact && candidate.score - total >= SURE.ln();
            may(word) && (*word == typed.literal || is_sure || candidate.is_heard)
        });
        set_literal_apart(&mut candidates, typed, habits);
        candidates.sort_by(best_first);
        place_literal(&mut candidates, typed, top, total, answer.autocorrect.as_deref());
        candidates.truncate(top);
        answer.suggestions = candidates
            .into_iter()
            .map(|candidate| Suggestion {
                probability: (candidate.score - total).exp(),
                joint: candidate.logp.exp().min(1.0),
                kind: match candidate.reading.word.strip_prefix(&typed.literal) {
                    _ if typed.word.is_empty() => Kind::NextWord,
                    Some("") if candidate.word == typed.word => Kind::Literal,
                    Some("") => Kind::Correction,
                    Some(_) => Kind::Completion,
                    None => Kind::Correction,
                },
                exact: candidate.exact,
                word: candidate.word,
            })
            .collect();
        answer
    }

    /// The words of every language that these touches may spell, with the frequency that each has where is written.
    fn read(&mut self, touches: &[Touch]) -> Vec<Reading> {
        let mut all: Vec<Reading> = Vec::new();
        for (readings, (lexicon, improbable)) in self.readings.iter_mut().zip(self.languages.each()) {
            // A list has a word once.
            let others = all.len();
            for reading in readings.of(lexicon, &self.layout, touches, READINGS) {
                let log_frequency = reading.log_frequency - nats(improbable);
                match all[..others].iter_mut().find(|other| other.word == reading.word) {
                    Some(other) => {
                        other.log_frequency = other.log_frequency.max(log_frequency);
                        other.listed |= reading.listed;
                    }
                    None => all.push(Reading { log_frequency, ..reading }),
                }
            }
        }
        if self.readings.len() > 1 {
            let score = |reading: &Reading| reading.log_frequency - reading.cost;
            all.sort_by(|a, b| score(b).total_cmp(&score(a)));
            all.truncate(READINGS);
        }
        all
    }

    /// Gives what speaks for a misspelling to the word that is meant by it: the model has read both.
    fn respell(&self, candidates: &mut [Candidate], typed: &Typed, habits: Option<&Habits>) {
        let literal = &typed.literal;
        if typed.is_named() || habits.is_some_and(|habits| habits.knows(literal)) {
            return;
        }
        let Some(place) = candidates.iter().position(|candidate| candidate.reading.word == *literal) else { return };
        let (logp, score, known) = (candidates[place].logp, candidates[place].score, self.languages.get(literal));
        let meant = candidates
            .iter_mut()
            .filter_map(|other| Some((self.on_purpose(literal, known, &other.reading.word)?, other)));
        let Some((kept, meant)) = meant.max_by(|a, b| a.1.score.total_cmp(&b.1.score)) else { return };
        let (kept, given) = (kept.ln(), (1.0 - kept).ln());
        // "happend" is all of "happened", and not "happene", to which a letter is still to come.
        meant.reading.missing = 0;
        meant.logp = log_add(meant.logp, logp + given);
        meant.score = log_add(meant.score, score + given);
        candidates[place].logp = logp + kept;
        candidates[place].score = score + kept;
    }

    /// How often what was typed is meant as it is, if it may be this word, misspelled. The moon, "lune", is not "l'une".
    fn on_purpose(&self, literal: &str, known: Option<Word>, word: &str) -> Option<f64> {
        let is_word = known.is_some_and(|known| known.listed) && self.languages.is_elision(word);
        let meant = self.languages.get(word).filter(|_| !is_word)?;
        on_purpose(literal, known, word, meant)
    }

    /// Adds what the model would go on with from exactly what was typed, as far as it was asked: no list has every word.
    fn add_model_words(&self, readings: &mut Vec<Reading>, search: &mut Search, asked: &Asked, cost: f64) {
        let bytes = [&search.place.given, asked.cut.typed.as_bytes()].concat();
        let target = Target { bytes: &bytes, word: search.place.given.len() + asked.cut.word };
        let opened = search.place.open(search.model, search.table, target, f64::NEG_INFINITY, 1);
        let tree = &search.place.tree;
        let exact: Vec<String> = tree.exact(target).map(|spelled| spelled.word).collect();
        let open = opened.seen.iter().take(8).filter_map(|open| tree.spelled(search.model.vocabulary(), open, target));
        let known: Vec<String> = exact.into_iter().chain(open.map(|spelled| spelled.word)).collect();
        for word in known.into_iter().filter(|word| super::may_show(word, "")) {
            let missing = word.chars().count().saturating_sub(asked.touches.len());
            self.add(readings, folded_word(&word), cost, missing);
        }
    }

    /// Adds the words of the person that these touches may spell. How frequent they are otherwise, the word list knows.
    fn add_own_words(&mut self, readings: &mut Vec<Reading>, lexicon: Arc<Lexicon>, touches: &[Touch]) {
        if self.own_lexicon.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &lexicon)) {
            (self.own_readings, self.own_lexicon) = (Readings::new(&[]), Some(Arc::clone(&lexicon)));
        }
        for own in self.own_readings.of(&lexicon, &self.layout, touches, READINGS) {
            self.add(readings, own.word, own.cost, own.missing);
        }
    }

    fn add(&self, readings: &mut Vec<Reading>, word: String, cost: f64, missing: usize) {
        if readings.iter().all(|reading| reading.word != word) {
            let known = self.languages.here(&word).unwrap_or(Word { cost: UNKNOWN_COST, listed: false });
            readings.push(Reading { cost, log_frequency: known.log_frequency(), listed: known.listed, missing, word });
        }
    }

    /// The word that may take the place of what was typed, if any may.
    fn correction(&self, candidates: &[Candidate], typed: &Typed, habits: Option<&Habits>) -> Option<Contender> {
        let literal = &typed.literal;
        if typed.opening.contains(|c: char| c.is_alphanumeric() || IN_CODE.contains(c)) {
            return None;
        }
        let mut whole = candidates.iter().filter(|candidate| candidate.reading.missing == 0);
        let best = whole.next().filter(|best| best.reading.word != *literal)?;
        let is_own = |word: &str| habits.is_some_and(|habits| habits.knows(word));
        let is_word = |best: &Candidate| {
            best.reading.listed || self.languages.has_word(&best.reading.word) || is_own(&best.reading.word)
        };
        if is_own(literal) || self.is_known(literal, &best.reading) || !is_word(best) {
            return None;
        }
        if habits.is_some_and(|habits| habits.refuses(literal)) {
            return None;
        }
        let others = log_sum(whole.map(|candidate| candidate.score));
        Some(Contender { word: best.word.clone(), odds: best.score - others })
    }

    /// What was typed as it is written, if that is another case: "monday", "i". How a person writes a word of theirs, they know; and
    /// what they have put in themselves is written so, unless it is a word in small letters too.
    fn other_case(&self, candidates: &[Candidate], typed: &Typed, habits: Option<&Habits>) -> Option<String> {
        let literal = &typed.literal;
        if !typed.opening.is_empty() || habits.is_some_and(|habits| habits.refuses(literal)) {
            return None;
        }
        let added = habits.and_then(|habits| habits.added(literal)).filter(|_| !self.languages.has_listed(literal));
        if let Some(form) = added {
            return Some(with_case_of(form, typed.word)).filter(|form| *form != typed.word);
        }
        let best = candidates.iter().find(|candidate| candidate.reading.missing == 0)?;
        let is_own = habits.is_some_and(|habits| habits.knows(literal));
        // "hel" may be a goddess, and is half of "hello".
        let is_whole = best.score - log_sum(candidates.iter().map(|candidate| candidate.score)) >= GIVES_WAY.ln();
        let is_sure = best.case_odds == f64::INFINITY
            || best.case_odds >= CASE_MARGIN
                && is_whole
                && !typed.begins_sentence
                && literal.chars().count() >= MIN_CASED;
        let stays = best.reading.word != *literal || best.word == typed.word || !best.reading.listed || is_own;
        (is_sure && !stays).then(|| best.word.clone())
    }

    /// Whether what was typed is a word that nobody wants changed into `best`.
    fn is_known(&self, literal: &str, best: &Reading) -> bool {
        let Some(known) = self.languages.get(literal) else { return self.languages.may_be_elision(literal) };
        let is_word = known.is_known() || is_abbreviation(literal);
        is_word && self.on_purpose(literal, Some(known), &best.word).is_none() || self.languages.is_offensive(literal)
    }
}

/// Those of no touches, one a language.
fn readings_of(languages: &Languages) -> Vec<Readings> {
    languages.elided().iter().map(|elided| Readings::new(elided)).collect()
}

fn best_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| a.word.cmp(&b.word))
}

impl Search<'_> {
    /// The score of one reading; none if it can be written in no case.
    fn weigh(&mut self, languages: &Languages, reading: &Reading, given: &Given) -> Option<Candidate> {
        let Given { typed, all, person } = *given;
        let (first, second) = reading.word.split_once(' ').unwrap_or((&reading.word, ""));
        let mut forms: Vec<(String, Weighed)> = Vec::new();
        for form in cases(first, typed.word, self.table.with_capitals(self.model.vocabulary(), first)) {
            if let Some(weighed) = self.weigh_form(languages, typed.opening, &form) {
                forms.push((form, weighed));
            }
        }
        if forms.is_empty() {
            forms.push((first.to_owned(), Weighed::UNSPELLABLE));
        }
        let sum = log_sum(forms.iter().map(|(_, weighed)| weighed.logp));
        let bound = log_sum(forms.iter().map(|(_, weighed)| weighed.bound));
        let as_typed = forms.iter().find(|(form, _)| form == typed.word).map(|(_, weighed)| weighed.logp);
        let is_capital = self.language.is_capital(first);
        let may_be = |form: &str| !is_capital || form.starts_with(char::is_uppercase);
        // How a name behind an apostrophe begins is seen where the model was asked up to there.
        let is_known = |form: &str, weighed: &Weighed| weighed.open.is_none() || !has_name_behind(form);
        let written = forms.into_iter().filter(|(form, weighed)| may_be(form) && is_known(form, weighed));
        let (form, best) = written.max_by(|a, b| a.1.logp.total_cmp(&b.1.logp))?;
        let case_odds = match as_typed {
            _ if !may_be(typed.word) => f64::INFINITY,
            Some(as_typed) if best.logp > as_typed => best.logp - as_typed,
            _ => 0.0,
        };
        let behind =
            if second.is_empty() { 0.0 } else { -nats(languages.here(second).map_or(MAX_COST, |word| word.cost)) };
        let weights = self.options.weights;
        let mix = if reading.word == typed.literal { weights.as_typed } else { weights.list };
        let is_word = languages.has_word(&reading.word);
        let mixed = |model: f64| {
            let anybody = log_add((1.0 - mix).ln() + model - all + behind, mix.ln() + reading.log_frequency);
            person.map_or(anybody, |(habits, said)| habits.mixed(said, &reading.word, is_word, anybody))
        };
        let logp = mixed(sum);
        let written = person.and_then(|(habits, _)| habits.form(&reading.word)).filter(|own| **own != reading.word);
        let word = match (second, written) {
            ("", Some(own)) => own.to_owned(),
            // Of a word that nobody knows the model has no say in how it is written.
            ("", None) if reading.word == typed.literal && languages.get(&reading.word).is_none() => {
                typed.word.to_owned()
            }
            ("", None) => form,
            _ if self.language.is_capital(second) => [&form, " ", &capitalised(second)].concat(),
            _ => [&form, " ", second].concat(),
        };
        Some(Candidate {
            score: logp - reading.cost,
            case_odds,
            open: best.open.map(|open| (open, mixed(bound) - reading.cost)),
            end: best.end.filter(|_| second.is_empty()),
            exact: best.exact && second.is_empty(),
            logp,
            word: with_case_of(&word, typed.word),
            reading: reading.clone(),
            is_heard: true,
        })
    }

    /// What the model makes of one way to write a word.
    fn weigh_form(&mut self, languages: &Languages, opening: &str, form: &str) -> Option<Weighed> {
        let bytes = [&self.place.given, opening.as_bytes(), form.as_bytes()].concat();
        let followed = self.place.tree.follow(self.model, self.table, &bytes)?;
        let expected = self.rates.expected(followed.last, form);
        if followed.covered >= bytes.len() {
            let logp = followed.logp + followed.ends.unwrap_or(expected);
            return Some(Weighed { logp, bound: logp, exact: followed.ends.is_some(), open: None, end: followed.open });
        }
        // The share that the word has among those that begin with what is covered, of which the most frequent is about half.
        let spelled = followed.covered.saturating_sub(bytes.len() - form.len());
        let begun = String::from_utf8_lossy(&form.as_bytes()[..spelled]).to_lowercase();
        let best = languages.least_cost(&begun).unwrap_or(UNKNOWN_COST);
        let own = languages.here(form).map_or(UNKNOWN_COST, |word| word.cost);
        let share = -nats(own.saturating_sub(best)) - std::f64::consts::LN_2;
        Some(Weighed {
            logp: followed.logp + share,
            bound: followed.logp,
            exact: false,
            open: followed.open,
            end: None,
        })
    }
}

/// Shows what was typed as it was typed, and in another case, if it is written so more often, as a suggestion of its own. What a
/// language always writes with a capital nobody wants in small letters.
fn set_literal_apart(candidates: &mut Vec<Candidate>, typed: &Typed, habits: Option<&Habits>) {
    let cased = candidates.iter_mut().find(|candidate| candidate.reading.word == typed.literal);
    let Some(cased) = cased.filter(|cased| cased.word != typed.word && cased.case_odds < f64::INFINITY) else { return };
    let person = habits.filter(|habits| habits.knows(&typed.literal));
    let odds = match person.and_then(|habits| habits.form(&typed.literal)) {
        Some(form) if form != typed.literal => cased.case_odds.max(CASE_MARGIN),
        Some(_) => 0.0,
        None => cased.case_odds,
    };
    if odds <= 0.0 {
        typed.word.clone_into(&mut cased.word);
        return;
    }
    let less = odds.exp().ln_1p();
    let mut literal = Candidate { word: typed.word.to_owned(), ..cased.clone() };
    for (candidate, share) in [(cased, odds - less), (&mut literal, -less)] {
        candidate.score += share;
        candidate.logp += share;
    }
    candidates.push(literal);
}

/// Puts what was typed in its place among the `top` that are shown, and `instead`, by which a space will replace it. Where it will be
/// replaced, it is among them, for a person who does not want that. Where it stays by itself it gives way to words that save keys, as far
/// as they are likely.
fn place_literal(candidates: &mut Vec<Candidate>, typed: &Typed, top: usize, total: f64, instead: Option<&str>) {
    let position = |candidates: &[Candidate], word: &str| candidates.iter().position(|other| other.word == word);
    let literal = position(candidates, typed.word).map(|place| candidates.remove(place));
    let shown = instead.and_then(|word| position(candidates, word)).map(|place| {
        let shown = place.min(top.saturating_sub(2));
        candidates[shown..=place].rotate_right(1);
        shown
    });
    let Some(literal) = literal else { return };
    let wanted = match shown {
        Some(shown) => {
            let better = candidates.iter().take_while(|other| best_first(other, &literal).is_lt()).count();
            better.min(top - 1).max(shown + 1)
        }
        None => candidates.iter().take(top).filter(|other| other.score - total >= GIVES_WAY.ln()).count(),
    };
    candidates.insert(wanted.min(candidates.len()), literal);
}

/// What is known of one way to write a word.
struct Weighed {
    logp: f64,
    /// What `logp` is at most.
    bound: f64,
    exact: bool,
    open: Option<Open>,
    end: Option<Open>,
}

impl Weighed {
    /// No tokens of the model spell it: what the word list and the person say is all that there is.
    const UNSPELLABLE: Self =
        Self { logp: f64::NEG_INFINITY, bound: f64::NEG_INFINITY, exact: true, open: None, end: None };
}

/// Where to ask the model so that the `top` best candidates are known, the most promising first. What is then left of a batch goes to
/// the ends of these: the next word begins where one of them ends.
fn worth_asking(candidates: &[Candidate], top: usize, rows: usize) -> Vec<Open> {
    let least = log_sum(candidates.iter().map(|candidate| candidate.score)) + WORTH_ASKING.ln();
    let floor = candidates.get(top - 1).map_or(least, |last| last.score.max(least));
    let mut batch: HashMap<(usize, u32), (Open, f64)> = HashMap::new();
    for (open, bound) in candidates.iter().filter_map(|candidate| candidate.open) {
        if bound >= floor {
            let entry = batch.entry(open.place()).or_insert((open, bound));
            entry.1 = entry.1.max(bound);
        }
    }
    let mut batch: Vec<(Open, f64)> = batch.into_values().collect();
    batch.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
    let mut batch: Vec<Open> = batch.into_iter().map(|(open, _)| open).collect();
    if !batch.is_empty() {
        batch.extend(candidates.iter().take(top).filter_map(|candidate| candidate.end));
    }
    batch.truncate(rows);
    batch
}

/// Whether a word can have typing errors that a list of words helps with: letters, with capitals only at its beginning or all
/// through. Names of things in programs, addresses and numbers are left as they are.
pub(super) fn is_plain(typed: &str) -> bool {
    let letters = !typed.is_empty() && typed.chars().all(|c| c.is_alphabetic() || text::is_joiner(c));
    let inner_capital = typed.chars().skip(1).any(char::is_uppercase);
    letters && (!inner_capital || typed.chars().all(|c| !c.is_lowercase()))
}

/// The cases in which a word may be written; `inner` are those with capitals inside it. Behind an apostrophe there may be a name, as in
/// "l'Europe" and "O'Brien", but not in "don't" and "I'll".
fn cases<'a>(word: &str, typed: &str, inner: impl Iterator<Item = &'a str>) -> Vec<String> {
    let begins_small = !typed.starts_with(char::is_uppercase) || is_loud(typed);
    let mut cases = vec![capitalised(word)];
    let mut add = |case: String| {
        if !cases.contains(&case) {
            cases.push(case);
        }
    };
    if begins_small {
        add(word.to_owned());
    }
    let short_and_long = |(first, name): &(&str, &str)| first.chars().count() <= 2 && name.chars().nth(2).is_some();
    if let Some((first, name)) = word.split_once('\'').filter(short_and_long) {
        let behind = ["'", &capitalised(name)].concat();
        add(capitalised(first) + &behind);
        if begins_small {
            add(first.to_owned() + &behind);
        }
    }
    inner.for_each(|case| add(case.to_owned()));
    if is_loud(typed) {
        add(word.to_uppercase());
    }
    cases
}

/// Whether a word has a capital behind its apostrophe.
fn has_name_behind(word: &str) -> bool {
    word.split_once('\'').is_some_and(|(_, name)| name.starts_with(char::is_uppercase))
}

/// A word as it is shown: a capital that was typed stays one, and so do those inside a word, as a person writes it.
fn with_case_of(word: &str, typed: &str) -> String {
    let has_inner = || word.split(' ').next().is_some_and(|first| first.chars().skip(1).any(char::is_uppercase));
    match typed {
        typed if is_loud(typed) => word.to_uppercase(),
        _ if has_inner() => word.to_owned(),
        typed if typed.starts_with(char::is_uppercase) => capitalised(word),
        _ => word.to_owned(),
    }
}

pub(super) fn capitalised(word: &str) -> String {
    let mut rest = word.chars();
    rest.next().map_or(String::new(), |first| first.to_uppercase().chain(rest).collect())
}

/// ln Σ e^value; minus infinity if there are none.
fn log_sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NEG_INFINITY, log_add)
}

#[cfg(test)]
mod tests {
    use super::super::learning::Learner;
    use super::super::{Keyboard, Point, Query};
    use super::*;
    use crate::testing::Fake;

    fn keyboard() -> Keyboard {
        let words = [
            ("the", 127, true),
            ("they", 260, true),
            ("hello", 420, true),
            ("world", 350, true),
            ("a", 164, true),
            ("don't", 280, true),
            ("dont", 640, false),
            ("switch", 450, true),
            ("stretch", 480, true),
            ("knob", 560, true),
            ("teh", 596, false),
            ("lol", 395, false),
            ("can", 250, true),
            ("receive", 415, true),
            ("recieve", 625, false),
            ("thx", 585, false),
            ("i", 158, true),
            ("i'm", 285, true),
        ];
        let words = words.map(|(word, cost, listed)| (word.to_owned(), Word { cost, listed }));
        let layout = Layout::shipped("qwerty").unwrap();
        Keyboard::new(Options::exact()).with_lexicon(Arc::new(Lexicon::of(words)), layout)
    }

    fn ask(context: &str, typed: &str) -> Suggestions {
        let query = Query { context, typed, touches: &[], top: 3 };
        keyboard().suggest(&mut Fake::lettered(5), &query).unwrap()
    }

    #[test]
    fn an_error_is_mended_and_says_so() {
        for (typed, meant) in [("teh", "the"), ("hwllo", "hello"), ("helo", "hello"), ("dont", "don't")] {
            let answer = ask("say ", typed);
            let corrected = answer.autocorrect.unwrap_or_default();
            assert!(corrected.eq_ignore_ascii_case(meant), "{typed}: {corrected}");
            let first = &answer.suggestions[0];
            assert_eq!((first.kind, &first.word, answer.replaces), (Kind::Correction, &corrected, typed.len()));
        }
    }

    /// A model that has read misspellings takes them for words.
    #[test]
    fn a_misspelling_gives_way_unless_the_person_writes_so() {
        let ask = |keyboard: &mut Keyboard, typed: &str| {
            let query = Query { context: "say ", typed, touches: &[], top: 3 };
            let mut model = Fake::lettered(5);
            keyboard.suggest(&mut model, &query).unwrap().autocorrect.map(|word| word.to_lowercase())
        };
        assert_eq!(ask(&mut keyboard(), "recieve").as_deref(), Some("receive"));
        assert_eq!(ask(&mut keyboard(), "Recieve"), None, "a name");
        assert_eq!(ask(&mut keyboard(), "thx"), None, "what is short on purpose");
        let learner = Learner::new();
        (0..10).for_each(|_| learner.committed("say ", "recieve"));
        assert_eq!(ask(&mut keyboard().with_learner(learner), "recieve"), None);
    }

    #[test]
    fn what_was_taken_back_is_not_changed_again_into_anything() {
        let learner = Learner::new();
        learner.reverted("teh", "they");
        let query = Query { context: "say ", typed: "teh", touches: &[], top: 3 };
        let answer = keyboard().with_learner(learner).suggest(&mut Fake::lettered(5), &query).unwrap();
        assert_eq!((answer.autocorrect, answer.contender), (None, None));
    }

    #[test]
    fn a_slip_that_was_left_once_is_no_word() {
        let ask = |learner: Learner| {
            let query = Query { context: "say ", typed: "hwllo", touches: &[], top: 3 };
            let mut keyboard = keyboard().with_learner(learner);
            keyboard.suggest(&mut Fake::lettered(5), &query).unwrap().autocorrect.map(|word| word.to_lowercase())
        };
        let learner = Learner::new();
        learner.committed("say ", "hwllo");
        assert_eq!(ask(learner.clone()).as_deref(), Some("hello"));
        learner.committed("say ", "hwllo");
        assert_eq!(ask(learner), None);
    }

    #[test]
    fn before_a_long_text_is_read_the_word_list_and_the_person_answer() {
        let chat = "the world can receive a hello ".repeat(4);
        let learner = Learner::new();
        (0..10).for_each(|_| learner.committed("the ", "helga"));
        let mut keyboard = keyboard().with_learner(learner);
        let mut model = Fake::lettered(5);
        let mut glance = |typed| {
            let query = Query { context: &chat, typed, touches: &[], top: 3 };
            let answer = keyboard.glance(&mut model, &query).unwrap();
            assert_eq!((answer.autocorrect, answer.forward_passes, model.computed), (None, 0, 0));
            answer.suggestions.into_iter().map(|suggestion| suggestion.word).collect::<Vec<_>>()
        };
        assert_eq!(glance(""), [""; 0], "nobody knows");
        assert_eq!(glance("hel"), ["helga", "hello", "hel"]);
        assert_eq!(glance("hwll"), ["hello", "hwll", "world"]);
        assert_eq!(glance("http://w"), [""; 0], "no word");
    }

    #[test]
    fn what_is_shouted_is_mended_and_completed_in_capitals() {
        let answer = ask("SAY IT LOUD ", "TEH");
        assert_eq!(answer.autocorrect.as_deref(), Some("THE"));
        assert!(answer.suggestions.iter().all(|suggestion| suggestion.word == suggestion.word.to_uppercase()));
        let calm = ask("say it loud ", "teh");
        for (shouted, calm) in answer.suggestions.iter().zip(&calm.suggestions) {
            assert_eq!((shouted.probability, shouted.kind), (calm.probability, calm.kind));
        }
        let learner = Learner::new();
        (0..3).for_each(|_| learner.committed("SAY IT LOUD ", "LOL"));
        assert_eq!(learner.words().iter().map(|learned| &learned.word[..]).collect::<Vec<_>>(), ["lol"]);
    }

    #[test]
    fn two_languages_are_typed_at_once() {
        let list = |words: &[(&str, u16)]| {
            let words = words.iter().map(|&(word, cost)| (word.to_owned(), Word { cost, listed: true }));
            Arc::new(Lexicon::of(words))
        };
        let english = list(&[("i", 158), ("am", 270), ("here", 300), ("then", 280)]);
        let german = list(&[("ich", 200), ("bin", 280), ("hier", 290), ("denn", 290)]);
        let layout = Layout::shipped("qwerty").unwrap();
        let mut keyboard = Keyboard::new(Options::exact()).with_lexicons(vec![english, german], layout);
        let mut ask = |context: &str, typed: &str| {
            let query = Query { context, typed, touches: &[], top: 20 };
            keyboard.suggest(&mut Fake::lettered(5), &query).unwrap()
        };
        for context in ["I am ", "ich bin "] {
            for typed in ["here", "hier", "then", "denn"] {
                let other = ask(context, typed).autocorrect.filter(|word| !word.eq_ignore_ascii_case(typed));
                assert_eq!(other, None, "{context}{typed}");
            }
        }
        let mut ratio = |context: &str| {
            let suggestions = ask(context, "hete").suggestions;
            let share =
                |word: &str| suggestions.iter().find(|s| s.word.eq_ignore_ascii_case(word)).unwrap().probability;
            share("hier") / share("here")
        };
        assert!(ratio("ich bin ") > 2.0 * ratio("I am "));
    }

    #[test]
    fn words_that_always_have_a_capital_get_it() {
        let mut keyboard = keyboard();
        keyboard.options.languages = vec![Language { capitals: &["i"], ..Language::default() }];
        for (typed, word) in [("i", "I"), ("i'm", "I'm"), ("im", "I'm")] {
            for context in ["say ", ""] {
                let query = Query { context, typed, touches: &[], top: 3 };
                let answer = keyboard.suggest(&mut Fake::lettered(5), &query).unwrap();
                assert_eq!(answer.autocorrect.as_deref(), Some(word), "{typed}");
                assert!(answer.suggestions.iter().any(|suggestion| suggestion.word == word), "{typed}");
            }
        }
    }

    #[test]
    fn what_a_space_puts_in_is_shown_and_what_was_typed_beside_it() {
        let mut keyboard = keyboard();
        keyboard.options.languages = vec![Language { capitals: &["i"], ..Language::default() }];
        let mut corrected = 0;
        for context in ["say ", "", "the world "] {
            for typed in ["i", "im", "teh", "the", "hwllo", "helo", "dont", "recieve", "world", "can"] {
                for top in 1..=4 {
                    let query = Query { context, typed, touches: &[], top };
                    let answer = keyboard.suggest(&mut Fake::lettered(5), &query).unwrap();
                    let words: Vec<_> = answer.suggestions.iter().map(|suggestion| &suggestion.word).collect();
                    if let Some(word) = &answer.autocorrect {
                        corrected += 1;
                        assert!(words.contains(&word), "{word} for {typed}: {words:?}");
                        let literal = words.iter().any(|word| *word == typed);
                        assert!(literal || top == 1 || typed == "i", "{typed}: {words:?}");
                    }
                }
            }
        }
        assert!(corrected > 50, "{corrected}");
    }

    #[test]
    fn what_was_put_in_is_written_so_and_what_was_typed_stands_beside_it() {
        let learner = Learner::new();
        assert!(learner.add("McZorp"));
        let mut keyboard = keyboard().with_learner(learner.clone());
        let mut ask = |typed| {
            let query = Query { context: "say ", typed, touches: &[], top: 3 };
            let answer = keyboard.suggest(&mut Fake::lettered(5), &query).unwrap();
            let words: Vec<_> =
                answer.suggestions.into_iter().map(|suggestion| (suggestion.word, suggestion.kind)).collect();
            (answer.autocorrect, words)
        };
        let (corrected, words) = ask("mczorp");
        assert_eq!(corrected.as_deref(), Some("McZorp"));
        for shown in [("McZorp", Kind::Correction), ("mczorp", Kind::Literal)] {
            assert!(words.contains(&(shown.0.to_owned(), shown.1)), "{words:?}");
        }
        assert!(ask("mczo").1.contains(&("McZorp".to_owned(), Kind::Completion)));
        assert!(learner.add("yeet"));
        assert_eq!((ask("Yeet").0, ask("yeet").0), (None, None), "a capital that was typed stays");
        assert_eq!(ask("MCZORP").0, None);
        learner.reverted("mczorp", "McZorp");
        assert_eq!(ask("mczorp").0, None, "they took it back");
    }

    #[test]
    fn a_slip_that_was_seen_in_text_has_no_share_after_it_was_left_once() {
        let share = |times: usize| {
            let learner = Learner::new();
            (0..times).for_each(|_| learner.committed("say ", "teh"));
            let query = Query { context: "say ", typed: "te", touches: &[], top: 50 };
            let answer = keyboard().with_learner(learner).suggest(&mut Fake::lettered(5), &query).unwrap();
            answer
                .suggestions
                .iter()
                .find(|suggestion| suggestion.word.eq_ignore_ascii_case("teh"))
                .map_or(0.0, |s| s.probability)
        };
        assert!(share(1) <= share(0) && share(2) > 2.0 * share(0), "{} {} {}", share(0), share(1), share(2));
    }

    #[test]
    fn the_second_of_two_words_gets_its_capital_too() {
        let mut keyboard = keyboard();
        keyboard.options.languages = vec![Language { capitals: &["i"], ..Language::default() }];
        let query = Query { context: "say ", typed: "cani", touches: &[], top: 100 };
        let answer = keyboard.suggest(&mut Fake::lettered(5), &query).unwrap();
        assert!(answer.suggestions.iter().any(|suggestion| suggestion.word.ends_with("an I")));
    }

    #[test]
    fn an_inner_capital_of_a_person_stays() {
        assert_eq!(with_case_of("iPhone", "Iph"), "iPhone");
        assert_eq!(with_case_of("and I", "Andi"), "And I");
        assert_eq!(with_case_of("iPhone", "IPH"), "IPHONE");
    }

    fn french(words: &[(&str, u16)]) -> Keyboard {
        let words = words.iter().map(|&(word, cost)| (word.to_owned(), Word { cost, listed: true }));
        let options = Options { languages: vec![Language { primer: "", ..Language::of("fr") }], ..Options::exact() };
        let layout = Layout::shipped("azerty").unwrap();
        Keyboard::new(options).with_lexicon(Arc::new(Lexicon::of(words)), layout)
    }

    #[test]
    fn an_elided_word_is_completed_with_what_follows_and_gets_its_apostrophe() {
        let mut keyboard = french(&[
            ("le", 150),
            ("ce", 200),
            ("je", 200),
            ("homme", 300),
            ("est", 200),
            ("ai", 250),
            ("dune", 500),
            ("j'suis", 480),
            ("une", 170),
            ("peu", 260),
        ]);
        let mut ask = |typed| {
            let query = Query { context: "je vois ", typed, touches: &[], top: 5 };
            let answer = keyboard.suggest(&mut Fake::lettered(5), &query).unwrap();
            let words: Vec<String> = answer.suggestions.into_iter().map(|s| s.word.to_lowercase()).collect();
            (answer.autocorrect.map(|word| word.to_lowercase()), words)
        };
        assert!(ask("l'ho").1.contains(&"l'homme".to_owned()));
        assert!(ask("l'hpm").1.contains(&"l'homme".to_owned()), "with an error");
        assert_eq!(ask("cest").0.as_deref(), Some("c'est"));
        assert_eq!(ask("jai").0.as_deref(), Some("j'ai"));
        let (corrected, shown) = ask("dune");
        assert!(shown.contains(&"d'une".to_owned()) && corrected != Some("d'une".to_owned()), "it is a word too");
        assert!(!ask("lpeu").1.contains(&"l'peu".to_owned()), "before a vowel only");
        assert!(ask("j'su").1.contains(&"j'suis".to_owned()), "the list has it with its apostrophe");
        assert!(ask("jsuis").1.contains(&"j'suis".to_owned()));
    }

    #[test]
    fn a_name_behind_an_apostrophe_has_its_capital() {
        let cases = |word| cases(word, "", std::iter::empty());
        assert!(cases("l'europe").contains(&"l'Europe".to_owned()) && cases("o'brien").contains(&"O'Brien".to_owned()));
        assert_eq!(cases("don't"), ["Don't", "don't"]);
        assert_eq!(cases("ג'ירפה"), ["ג'ירפה"], "no letter has a case");
    }

    #[test]
    fn a_word_behind_an_elided_one_is_not_joined_to_it() {
        let mut keyboard = french(&[("quelle", 400), ("elle", 250)]);
        let query = Query { context: "parce ", typed: "qu'elle", touches: &[], top: 3 };
        let answer = keyboard.suggest(&mut Fake::lettered(5), &query).unwrap();
        assert_eq!((answer.autocorrect, answer.contender), (None, None));
    }

    #[test]
    fn two_words_without_their_space_are_offered() {
        let query = Query { context: "say ", typed: "helloworld", touches: &[], top: 100 };
        let answer = keyboard().suggest(&mut Fake::lettered(5), &query).unwrap();
        let both = answer.suggestions.iter().find(|suggestion| suggestion.word.eq_ignore_ascii_case("hello world"));
        assert_eq!(both.unwrap().kind, Kind::Correction);
    }

    /// Switch to stretch, knob to innovation, and what else keyboards are hated for.
    #[test]
    fn words_names_addresses_and_code_stay_as_they_are() {
        for typed in [
            "switch",
            "knob",
            "they",
            "a",
            "lol",
            "Teh2",
            "teh@",
            "x.teh",
            "fooBar",
            "http://teh",
            "snake_teh",
            "2teh",
            "`teh",
            "$teh",
            "--teh",
            "<teh",
            "=teh",
            "{teh",
        ] {
            let answer = ask("say ", typed);
            let other = answer.autocorrect.filter(|word| !word.eq_ignore_ascii_case(typed));
            assert_eq!(other, None, "{typed}");
        }
        assert!(ask("say ", "(teh").autocorrect.is_some(), "a bracket opens a word like any other");
    }

    #[test]
    fn what_was_typed_is_always_among_the_candidates() {
        let query = Query { context: "say ", typed: "zzxq", touches: &[], top: 60 };
        let answer = keyboard().suggest(&mut Fake::lettered(5), &query).unwrap();
        assert!(answer.suggestions.iter().any(|s| s.word.eq_ignore_ascii_case("zzxq") && s.kind == Kind::Literal));
        assert_eq!(answer.autocorrect, None);
    }

    #[test]
    fn what_was_typed_gives_way_where_it_stays_and_is_shown_where_it_does_not() {
        let words = |typed, top| -> (Option<String>, Vec<String>) {
            let query = Query { context: "say ", typed, touches: &[], top };
            let answer = keyboard().suggest(&mut Fake::lettered(5), &query).unwrap();
            let words = answer.suggestions.into_iter().map(|suggestion| suggestion.word.to_lowercase());
            (answer.autocorrect, words.collect())
        };
        let (corrected, stays) = words("The", 2);
        assert!(corrected.is_none() && stays[0] == "they" && stays[1] == "the", "{stays:?}");
        let (corrected, cased) = words("the", 2);
        assert_eq!(corrected.as_deref(), Some("The"), "as this model writes it");
        assert!(cased.contains(&"the".to_owned()), "what a space puts in is shown: {cased:?}");
        let (corrected, replaced) = words("teh", 2);
        assert!(corrected.is_some() && replaced[0] == "the" && replaced[1] == "teh", "{replaced:?}");
    }

    #[test]
    fn a_word_that_nobody_knows_is_shown_as_it_was_typed() {
        for typed in ["zzxq", "Zzxq", "ZZXQ"] {
            assert!(ask("say ", typed).suggestions.iter().any(|suggestion| suggestion.word == typed), "{typed}");
        }
    }

    #[test]
    fn capitals_that_were_typed_stay() {
        let corrected = |typed| ask("say ", typed).autocorrect.unwrap();
        assert_eq!(
            (corrected("Teh"), corrected("TEH"), corrected("Don’r")),
            ("The".into(), "THE".into(), "Don't".into())
        );
    }

    #[test]
    fn probabilities_are_shares_of_all_candidates() {
        for typed in ["t", "th", "teh", "hel", "do", "q"] {
            let query = Query { context: "say ", typed, touches: &[], top: 100 };
            let answer = keyboard().suggest(&mut Fake::lettered(5), &query).unwrap();
            let sum: f64 = answer.suggestions.iter().map(|suggestion| suggestion.probability).sum();
            assert!((sum - 1.0).abs() < 1e-4, "{typed}: {sum}");
            let others = answer.suggestions.iter().filter(|suggestion| suggestion.kind != Kind::Literal);
            assert!(others.is_sorted_by(|a, b| a.probability >= b.probability), "{typed}");
        }
    }

    #[test]
    fn where_the_keys_were_hit_is_seen() {
        let layout = Layout::shipped("qwerty").unwrap();
        let words = ["bat", "vat"].map(|word| (word.to_owned(), Word { cost: 400, listed: true }));
        let mut keyboard = Keyboard::new(Options::exact()).with_lexicon(Arc::new(Lexicon::of(words)), layout.clone());
        let edge = layout.key('b').unwrap().x;
        let mut first = |x: f32| {
            let touches = [Some(Point { x, y: 2.5 })];
            let query = Query { context: "say ", typed: "b", touches: &touches, top: 100 };
            let answer = keyboard.suggest(&mut Fake::lettered(5), &query).unwrap();
            let share = |word: &str| {
                answer.suggestions.iter().find(|s| s.word.eq_ignore_ascii_case(word)).map(|s| s.probability)
            };
            share("vat").unwrap() / share("bat").unwrap()
        };
        let (left, right) = (first(edge + 0.05), first(edge + 0.9));
        assert!(left > 10.0 * right, "{left} {right}");
    }
}
