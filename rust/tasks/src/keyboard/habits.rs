//! What a person writes: which words, after which, with forgetting.
//!
//! P(word | context) of the person is an interpolation of three counts: of the word, of the word behind the one before it, and of
//! the word behind the two before it, each with a few imagined cases of the shorter one (Dirichlet smoothing, MacKay and Peto 1995).
//! A [`Keyboard`](super::Keyboard) mixes it with the model's, the more of it the more was learned; it never enters what the
//! model reads. Every count halves in [`HALF_LIFE`] days and is dropped when little is left, and the weakest go when there are too
//! many.
//!
//! A word that no list has is offered from the second time on: the first may have been a slip. One that the person has put in on purpose
//! is offered at once, as it was put in, and is never forgotten by itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::languages::Languages;
use super::lexicon::{Lexicon, MAX_COST, Word};
use super::shouting;
use super::text::{self, folded_word};
use crate::logits::log_add;

/// Days after which a count is worth half.
pub const HALF_LIFE: f64 = 45.0;
/// What is left of a count that is dropped: a word that was written once is gone after two half lives.
const FORGOTTEN: f64 = 0.25;
/// Times that a word that no list has must have been written to be offered: more than once, of which as little is left as six weeks
/// leave of two.
const OFFERED: f64 = 1.05;
/// What a word counts at least that was put in on purpose: as if it were written twice.
const ADDED: f64 = 2.0;
/// So many words are kept because they were put in; of more, the weakest are words like others.
const MAX_ADDED: usize = 2_000;
/// Words kept, and words after a context.
const MAX_WORDS: usize = 4_000;
const MAX_PAIRS: usize = 16_000;
/// Corrections that were taken back.
const MAX_REFUSED: usize = 1_000;
/// The share that goes when there are too many.
const EVICTED: usize = 8;
/// Longer words are no words: keys, passwords, addresses.
const MAX_LETTERS: usize = 24;
/// Nobody writes a word as often as this.
const MAX_COUNT: f64 = 1e9;
/// Imagined cases of the shorter context.
const PRIOR: f64 = 3.0;
/// The share of the person in P(word | context) when a very great deal was learned, and after how many words it is half of that.
const SHARE: f64 = 0.05;
const HALF_SHARE: f64 = 1_500.0;
/// What comes to it behind a word that they have written very often, and how often is half of that.
const SHARE_BEHIND: f64 = 0.3;
const OFTEN: f64 = 20.0;
/// How much of the text before a word is looked at.
const LOOK_BACK: usize = 128;

/// What a person has written.
pub(super) struct Habits {
    words: BTreeMap<String, Known>,
    after: HashMap<String, After>,
    refused: HashMap<(String, String), Tally>,
    /// The sum of the words' counts.
    total: f64,
    /// Since 1970; all counts are as of this day.
    day: u32,
    next_number: u64,
    pub paused: bool,
    /// What has changed since it was last written down; none if it never is.
    unwritten: Option<Changes>,
    /// The words as a lexicon, until they change.
    lexicon: Option<Arc<Lexicon>>,
}

/// A word that was learned.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedWord {
    /// As it was put in, or last written inside a sentence.
    pub word: String,
    /// How often it was written, as far as that is not forgotten; at least two of what was added.
    pub count: f64,
    /// Whether it was put in on purpose, so that it stays and is written as it was put in.
    pub added: bool,
}

/// Rows by their numbers, as they are now; none in the place of one that is gone.
pub(super) type Changes = BTreeMap<u64, Option<Row>>;

struct Known {
    form: String,
    tally: Tally,
    added: bool,
}

/// What followed a context.
#[derive(Default)]
struct After {
    words: HashMap<String, Tally>,
    total: f64,
}

#[derive(Clone, Copy)]
struct Tally {
    /// Of its row.
    number: u64,
    count: f64,
}

/// What is counted, as it is kept in the file and in an export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    word: String,
    /// The word or two before it; a row without counts the word itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// What was typed and kept where `word` had been put in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused_for: Option<String>,
    /// Whether it was put in on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    added: bool,
    count: f64,
    /// Since 1970.
    day: u32,
}

impl Row {
    /// Whether a learner may have written it: exports and files come from elsewhere too.
    fn is_sound(&self) -> bool {
        let short = |text: &str| text.chars().count() <= 2 * LOOK_BACK;
        // A correction may be two words.
        let word = self.refused_for.is_some() || is_learnable(&self.word);
        let texts = [Some(&self.word), self.after.as_ref(), self.refused_for.as_ref()];
        let kind = !self.added || self.after.is_none() && self.refused_for.is_none();
        kind && word && texts.into_iter().flatten().all(|text| short(text)) && (0.0..MAX_COUNT).contains(&self.count)
    }

    /// What is left of its count on another day.
    fn faded(&self, day: u32) -> f64 {
        faded(self.count, fading(self.day, day), self.added)
    }
}

impl Known {
    fn row(&self, day: u32) -> Row {
        let Self { form, tally, added } = self;
        Row { word: form.clone(), after: None, refused_for: None, added: *added, count: tally.count, day }
    }

    /// Whether it is one of the person's words.
    fn is_own(&self) -> bool {
        self.tally.count >= OFFERED
    }
}

/// An export: the rows of a learner.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    nibble_learned_words: u32,
    rows: Vec<Row>,
}

/// The version of exports.
const EXPORT: u32 = 1;

/// Why an export cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("this is no export of learned words of version {EXPORT}; nothing was taken from it")]
pub struct ImportError;

/// The words before the one that is written, the nearest last; none of an earlier sentence.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    /// The context of one word, empty at the beginning of a sentence.
    near: String,
    /// That of two words; none at the beginning.
    far: Option<String>,
}

impl Said {
    /// Of the text before a word.
    pub fn before(context: &str) -> Self {
        let mut words = Vec::new();
        let mut rest = text::suffix(context, LOOK_BACK);
        while words.len() < 2 {
            let trimmed = rest.trim_end();
            if trimmed.is_empty() || rest[trimmed.len()..].contains('\n') || text::ends_sentence(trimmed) {
                break;
            }
            let run = trimmed.rsplit(char::is_whitespace).next().unwrap_or(trimmed);
            match bare(run) {
                word if word.is_empty() => break,
                word => words.push(word),
            }
            rest = &trimmed[..trimmed.len() - run.len()];
        }
        let near = words.first().cloned().unwrap_or_default();
        let far = (!near.is_empty()).then(|| [words.get(1).map_or("", |word| word), " ", &near].concat());
        Self { near, far }
    }

    /// Whether there are none.
    pub fn begins_sentence(&self) -> bool {
        self.near.is_empty()
    }

    /// The shorter one first.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        [Some(&self.near), self.far.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

/// A word without the punctuation around it, as word lists have it.
fn bare(run: &str) -> String {
    folded_word(run.trim_matches(|c: char| !text::is_word(c)))
}

/// Whether a word may be learned: letters for the most part, with joiners inside. Numbers, codes and addresses are not.
fn is_learnable(word: &str) -> bool {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let digits = word.chars().filter(|c| c.is_numeric()).count();
    letters > 0
        && digits <= letters
        && (1..=MAX_LETTERS).contains(&word.chars().count())
        && word.chars().all(|c| text::is_word(c) || text::is_joiner(c))
}

impl Habits {
    /// Of somebody who has written nothing yet; with `written`, what changes is kept for [`changes`](Self::changes).
    pub fn new(written: bool) -> Self {
        Self {
            words: BTreeMap::new(),
            after: HashMap::new(),
            refused: HashMap::new(),
            total: 0.0,
            day: today(),
            next_number: 0,
            paused: false,
            unwritten: written.then(Changes::new),
            lexicon: None,
        }
    }

    /// Those that were written down; none if a row makes no sense.
    pub fn of(rows: Vec<(u64, Row)>) -> Option<Self> {
        let mut habits = Self::new(true);
        // A clock that has lost the date would have everything written a long time from now, and forgotten when it is right again.
        habits.day = rows.iter().map(|(_, row)| row.day).max().map_or(habits.day, |newest| newest.max(habits.day));
        for (number, row) in rows {
            if !row.is_sound() {
                return None;
            }
            habits.next_number = habits.next_number.max(number.saturating_add(1));
            habits.put(&row, Tally { number, count: row.faded(habits.day) });
        }
        habits.drop_forgotten();
        Some(habits)
    }

    /// What has changed since the last time; it is to be written down, or [given back](Self::put_back).
    pub fn changes(&mut self) -> Changes {
        self.unwritten.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes back changes that could not be written down.
    pub fn put_back(&mut self, changes: Changes) {
        if let Some(unwritten) = &mut self.unwritten {
            let newer = std::mem::replace(unwritten, changes);
            unwritten.extend(newer);
        }
    }

    /// Takes in that `word` was written behind the text `context` and stays: typed, taken from the strip, or corrected. A word that
    /// nobody should learn, such as a number or an address, is passed over.
    pub fn committed(&mut self, context: &str, word: &str) {
        let word = word.trim_matches(|c: char| !text::is_word(c));
        if self.paused || !is_learnable(word) {
            return;
        }
        self.turn_day(today());
        let said = Said::before(context);
        let key = folded_word(word);
        // A capital at the beginning of a sentence says nothing of the word, nor do those of a shouted one.
        let unclear = said.begins_sentence() || !text::has_small_letter(word) && shouting::is_shouted_behind(context);
        self.count_word(word, &key, unclear);
        for context in said.contexts() {
            self.count_after(context, &key);
        }
        self.lexicon = None;
        self.make_room();
    }

    /// Takes in a word that the person puts in on purpose, written so: it is theirs at once, is not forgotten, and no correction changes
    /// it. Says whether it can be one: letters for the most part, without spaces.
    pub fn add(&mut self, word: &str) -> bool {
        let word = word.trim_matches(|c: char| !text::is_word(c));
        if !is_learnable(word) {
            return false;
        }
        self.turn_day(today());
        let key = folded_word(word);
        // A correction to it that was taken back is wanted now.
        let wanted: Vec<Tally> =
            self.refused.extract_if(|(typed, _), _| *typed == key).map(|(_, tally)| tally).collect();
        for tally in wanted {
            self.note(tally.number, None);
        }
        let next = &mut self.next_number;
        let fresh = || Known { form: String::new(), tally: Tally::fresh(next), added: true };
        let known = self.words.entry(key).or_insert_with(fresh);
        word.clone_into(&mut known.form);
        known.added = true;
        let more = (ADDED - known.tally.count).max(0.0);
        known.tally.count += more;
        self.total += more;
        let (number, row) = (known.tally.number, known.row(self.day));
        self.note(number, Some(row));
        self.lexicon = None;
        self.make_room();
        true
    }

    /// Takes in that `word` had taken the place of `typed`, and was taken back: it is not done again until that is forgotten.
    pub fn reverted(&mut self, typed: &str, word: &str) {
        if self.paused || [typed, word].iter().any(|word| word.chars().count() > 2 * MAX_LETTERS) {
            return;
        }
        self.turn_day(today());
        let (typed, word) = (folded_word(typed), folded_word(word));
        let next = &mut self.next_number;
        let tally = self.refused.entry((typed.clone(), word.clone())).or_insert_with(|| Tally::fresh(next));
        tally.count += 1.0;
        let row = Row { word, after: None, refused_for: Some(typed), added: false, count: tally.count, day: self.day };
        let number = tally.number;
        self.note(number, Some(row));
        self.make_room();
    }

    /// Counts a word, of whose case it may be unclear how it is written inside a sentence.
    fn count_word(&mut self, word: &str, key: &str, unclear: bool) {
        let next = &mut self.next_number;
        let known = self.words.entry(key.to_owned()).or_insert_with(|| {
            let form = if unclear { key.to_owned() } else { word.to_owned() };
            Known { form, tally: Tally::fresh(next), added: false }
        });
        if !unclear && !known.added {
            word.clone_into(&mut known.form);
        }
        known.tally.count += 1.0;
        self.total += 1.0;
        let (number, row) = (known.tally.number, known.row(self.day));
        self.note(number, Some(row));
    }

    fn count_after(&mut self, context: &str, key: &str) {
        let after = self.after.entry(context.to_owned()).or_default();
        let next = &mut self.next_number;
        let tally = after.words.entry(key.to_owned()).or_insert_with(|| Tally::fresh(next));
        tally.count += 1.0;
        after.total += 1.0;
        let after = Some(context.to_owned());
        let row =
            Row { word: key.to_owned(), after, refused_for: None, added: false, count: tally.count, day: self.day };
        let number = tally.number;
        self.note(number, Some(row));
    }

    /// Puts a row where it belongs, beside what is there.
    fn put(&mut self, row: &Row, tally: Tally) {
        match (&row.after, &row.refused_for) {
            (None, None) => {
                self.total += tally.count;
                let known = Known { form: row.word.clone(), tally, added: row.added };
                self.words.insert(folded_word(&row.word), known);
            }
            (Some(context), _) => {
                let after = self.after.entry(context.clone()).or_default();
                after.total += tally.count;
                after.words.insert(row.word.clone(), tally);
            }
            (None, Some(typed)) => {
                self.refused.insert((typed.clone(), row.word.clone()), tally);
            }
        }
    }

    fn note(&mut self, number: u64, row: Option<Row>) {
        if let Some(unwritten) = &mut self.unwritten {
            unwritten.insert(number, row);
        }
    }

    /// From now on it is that day.
    fn turn_day(&mut self, day: u32) {
        if day <= self.day {
            return;
        }
        let fading = fading(self.day, day);
        self.day = day;
        for known in self.words.values_mut() {
            known.tally.count = faded(known.tally.count, fading, known.added);
        }
        let pairs = self.after.values_mut().flat_map(|after| after.words.values_mut());
        for tally in pairs.chain(self.refused.values_mut()) {
            tally.count *= fading;
        }
        self.drop_forgotten();
    }

    fn drop_forgotten(&mut self) {
        self.keep(|_, tally| tally.count >= FORGOTTEN);
    }

    /// Of the words that were put in, or of the others.
    fn tallies(&self, added: bool) -> Vec<Tally> {
        self.words.values().filter(|known| known.added == added).map(|known| known.tally).collect()
    }

    /// Drops the weakest as long as there are too many.
    fn make_room(&mut self) {
        while self.words.values().filter(|known| known.added).count() > MAX_ADDED {
            let weakest = weakest(self.tallies(true));
            let weak = self.words.values_mut().filter(|known| weakest.contains(&known.tally.number));
            let rows: Vec<(u64, Row)> = weak
                .map(|known| {
                    known.added = false;
                    (known.tally.number, known.row(self.day))
                })
                .collect();
            for (number, row) in rows {
                self.note(number, Some(row));
            }
        }
        while self.words.len() > MAX_WORDS {
            let weakest = weakest(self.tallies(false));
            let weak = self.words.iter().filter(|(_, known)| weakest.contains(&known.tally.number));
            let weak: HashSet<String> = weak.map(|(word, _)| word.clone()).collect();
            self.keep(|words, _| !words.iter().any(|word| weak.contains(*word)));
        }
        while self.after.values().map(|after| after.words.len()).sum::<usize>() > MAX_PAIRS {
            let pairs = self.after.values().flat_map(|after| after.words.values().copied());
            let weakest = weakest(pairs.collect());
            self.keep(|_, tally| !weakest.contains(&tally.number));
        }
        while self.refused.len() > MAX_REFUSED {
            let weakest = weakest(self.refused.values().copied().collect());
            self.keep(|_, tally| !weakest.contains(&tally.number));
        }
    }

    /// Keeps what `stays`: it is given the words of a row, and its count.
    fn keep(&mut self, stays: impl Fn(&[&str], &Tally) -> bool) {
        let mut gone = Vec::new();
        let mut check = |words: &[&str], tally: &Tally| {
            let stays = stays(words, tally);
            if !stays {
                gone.push(tally.number);
            }
            stays
        };
        self.words.retain(|word, known| check(&[word], &known.tally));
        self.after.retain(|context, after| {
            let before: Vec<&str> = context.split(' ').filter(|word| !word.is_empty()).collect();
            after.words.retain(|word, tally| check(&[&[word.as_str()], &before[..]].concat(), tally));
            after.total = after.words.values().map(|tally| tally.count).sum();
            !after.words.is_empty()
        });
        self.refused.retain(|(typed, word), tally| check(&[typed, word], tally));
        self.total = self.words.values().map(|known| known.tally.count).sum();
        self.lexicon = None;
        for number in gone {
            self.note(number, None);
        }
    }

    /// All words, the most written first.
    pub fn words(&self) -> Vec<LearnedWord> {
        let word =
            |known: &Known| LearnedWord { word: known.form.clone(), count: known.tally.count, added: known.added };
        let mut words: Vec<_> = self.words.values().map(word).collect();
        words.sort_by(|a, b| b.count.total_cmp(&a.count).then_with(|| a.word.cmp(&b.word)));
        words
    }

    /// Forgets a word, whatever its case, and everything that was learned with it; says whether it was known.
    pub fn forget(&mut self, word: &str) -> bool {
        let word = bare(word);
        let known = self.words.contains_key(&word) || self.refused.keys().any(|(typed, _)| *typed == word);
        self.keep(|words, _| !words.contains(&word.as_str()));
        known
    }

    /// Forgets everything.
    pub fn wipe(&mut self) {
        self.keep(|_, _| false);
    }

    /// Everything, as JSON, for [`import`](Self::import). It is not sealed.
    pub fn export(&self) -> String {
        let row = |word: &str, after: Option<&str>, refused_for: Option<&str>, tally: &Tally| Row {
            word: word.to_owned(),
            after: after.map(str::to_owned),
            refused_for: refused_for.map(str::to_owned),
            added: false,
            count: tally.count,
            day: self.day,
        };
        let words = self.words.values().map(|known| known.row(self.day));
        let pairs = self
            .after
            .iter()
            .flat_map(|(context, after)| after.words.iter().map(|(word, tally)| row(word, Some(context), None, tally)));
        let refused = self.refused.iter().map(|((typed, word), tally)| row(word, None, Some(typed), tally));
        let mut rows: Vec<Row> = words.chain(pairs).chain(refused).collect();
        rows.sort_by(|a, b| (&a.after, &a.refused_for, &a.word).cmp(&(&b.after, &b.refused_for, &b.word)));
        serde_json::to_string(&Export { nibble_learned_words: EXPORT, rows }).expect("rows are plain data")
    }

    /// Adds what another keyboard has [exported](Self::export): of what both know, the counts add up.
    ///
    /// # Errors
    /// It is no export; nothing was taken from it.
    pub fn import(&mut self, export: &str) -> Result<(), ImportError> {
        let export: Export = serde_json::from_str(export).map_err(|_| ImportError)?;
        if export.nibble_learned_words != EXPORT || !export.rows.iter().all(Row::is_sound) {
            return Err(ImportError);
        }
        for mut row in export.rows {
            let more = row.faded(self.day);
            let known = match (&row.after, &row.refused_for) {
                (None, None) => {
                    let known = self.words.get(&folded_word(&row.word));
                    if let Some(added) = known.filter(|known| known.added && !row.added) {
                        (row.word, row.added) = (added.form.clone(), true);
                    }
                    known.map(|known| known.tally)
                }
                (Some(context), _) => self.after.get(context).and_then(|after| after.words.get(&row.word)).copied(),
                (None, Some(typed)) => self.refused.get(&(typed.clone(), row.word.clone())).copied(),
            };
            let mut tally = known.unwrap_or_else(|| Tally::fresh(&mut self.next_number));
            tally.count += more;
            (row.count, row.day) = (tally.count, self.day);
            self.put(&row, tally);
            self.note(tally.number, Some(row));
        }
        self.drop_forgotten();
        self.make_room();
        Ok(())
    }

    /// How many words are known.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.refused.is_empty()
    }

    /// Whether `typed` is a word of this person, so that nobody wants it changed.
    pub fn knows(&self, typed: &str) -> bool {
        self.words.get(typed).is_some_and(Known::is_own)
    }

    /// Whether the person took it back when something took the place of `typed`, which nothing does then.
    pub fn refuses(&self, typed: &str) -> bool {
        self.refused.keys().any(|(refused, _)| refused == typed)
    }

    /// The share of the person in P(word | context): more behind what they have often written.
    pub fn share(&self, said: &Said) -> f64 {
        let seen = self.after.get(&said.near).map_or(0.0, |after| after.total);
        SHARE * self.total / (self.total + HALF_SHARE) + SHARE_BEHIND * seen / (seen + OFTEN)
    }

    /// P(word | context) of the person; `word` as word lists have it.
    pub fn probability(&self, said: &Said, word: &str) -> f64 {
        let count = self.words.get(word).map_or(0.0, |known| known.tally.count);
        self.interpolate(said, count, |after| after.words.get(word).map_or(0.0, |tally| tally.count))
    }

    /// ln P(word | context), of which that of anybody is `anybody`, with the share of the person in it. What was written once and is no
    /// word, as far as lists know, may have been a slip, and has none.
    pub fn mixed(&self, said: &Said, word: &str, is_word: bool, anybody: f64) -> f64 {
        let own = if is_word || self.knows(word) { self.probability(said, word) } else { 0.0 };
        let share = self.share(said);
        log_add((1.0 - share).ln() + anybody, (share * own).ln())
    }

    /// The sum of [`probability`](Self::probability) over the words that begin with `prefix`.
    pub fn mass(&self, said: &Said, prefix: &str) -> f64 {
        let count = self.beginning(prefix).map(|(_, known)| known.tally.count).sum();
        let counted = |after: &After| {
            after.words.iter().filter(|(word, _)| word.starts_with(prefix)).map(|(_, tally)| tally.count).sum()
        };
        self.interpolate(said, count, counted)
    }

    fn interpolate(&self, said: &Said, count: f64, counted: impl Fn(&After) -> f64) -> f64 {
        let shortest = if self.total > 0.0 { count / self.total } else { 0.0 };
        said.contexts().fold(shortest, |shorter, context| match self.after.get(context) {
            Some(after) => (counted(after) + PRIOR * shorter) / (after.total + PRIOR),
            None => shorter,
        })
    }

    fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Known)> {
        self.words
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
            .take_while(move |(word, _)| word.starts_with(prefix))
    }

    /// The `limit` words that this person would most probably write on from `prefix`, as they are written.
    pub fn likely(&self, said: &Said, prefix: &str, languages: Option<&Languages>, limit: usize) -> Vec<&str> {
        let mut near: HashSet<&str> = said
            .contexts()
            .filter_map(|context| self.after.get(context))
            .flat_map(|after| after.words.keys())
            .map(String::as_str)
            .filter(|word| word.starts_with(prefix))
            .collect();
        let mut frequent: Vec<(&String, &Known)> = self.beginning(prefix).collect();
        frequent.sort_by(|a, b| b.1.tally.count.total_cmp(&a.1.tally.count));
        near.extend(frequent.iter().take(limit).map(|(word, _)| word.as_str()));
        let offered =
            |known: &Known, word: &str| known.is_own() || languages.is_some_and(|languages| languages.has_word(word));
        let mut likely: Vec<(f64, &str)> = near
            .into_iter()
            .filter_map(|word| {
                let known = self.words.get(word).filter(|known| offered(known, word))?;
                Some((self.probability(said, word), known.form.as_str()))
            })
            .collect();
        likely.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        likely.into_iter().take(limit).map(|(_, form)| form).collect()
    }

    /// How the person writes `word`, which is as word lists have it, if that is not as they do.
    pub fn form(&self, word: &str) -> Option<&str> {
        self.words.get(word).filter(|known| known.is_own()).map(|known| known.form.as_str())
    }

    /// How the person wants `word` to be written, if they have put it in on purpose.
    pub fn added(&self, word: &str) -> Option<&str> {
        self.words.get(word).filter(|known| known.added).map(|known| known.form.as_str())
    }

    /// The words that are offered, to read touches by.
    pub fn lexicon(&mut self) -> Arc<Lexicon> {
        if let Some(lexicon) = &self.lexicon {
            return Arc::clone(lexicon);
        }
        let share = SHARE / self.total.max(1.0);
        let offered = self.words.iter().filter(|(_, known)| known.is_own());
        let words = offered.map(|(word, known)| {
            let cost = (-100.0 * (known.tally.count * share).log10()).min(f64::from(MAX_COST)) as u16;
            (word.clone(), Word { cost, listed: true })
        });
        let lexicon = Arc::new(Lexicon::of(words));
        self.lexicon = Some(Arc::clone(&lexicon));
        lexicon
    }
}

impl Tally {
    fn fresh(next: &mut u64) -> Self {
        *next += 1;
        Self { number: *next - 1, count: 0.0 }
    }
}

/// What is left of a word's count: what was put in is never less than that.
fn faded(count: f64, fading: f64, added: bool) -> f64 {
    let least = if added { ADDED } else { 0.0 };
    (count * fading).max(least)
}

/// What is left on one day of a count of another.
fn fading(then: u32, now: u32) -> f64 {
    (-f64::from(now.saturating_sub(then)) / HALF_LIFE).exp2()
}

/// The numbers of the weakest of these; of the equally weak, the oldest.
fn weakest(mut tallies: Vec<Tally>) -> HashSet<u64> {
    tallies.sort_by(|a, b| a.count.total_cmp(&b.count).then(a.number.cmp(&b.number)));
    tallies.truncate(tallies.len().div_ceil(EVICTED));
    tallies.into_iter().map(|tally| tally.number).collect()
}

/// Days since 1970.
fn today() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs() / 86_400) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(messages: &[&str]) -> Habits {
        let mut habits = Habits::new(false);
        for message in messages {
            teach(&mut habits, message);
        }
        habits
    }

    fn teach(habits: &mut Habits, message: &str) {
        let mut context = String::new();
        for word in message.split_inclusive(' ') {
            habits.committed(&context, word.trim());
            context.push_str(word);
        }
    }

    fn forms(habits: &Habits) -> Vec<String> {
        habits.words().into_iter().map(|word| word.word).collect()
    }

    #[test]
    fn the_context_is_the_words_of_the_sentence() {
        let said = |context| {
            let said = Said::before(context);
            (said.near.clone(), said.far)
        };
        let two = |near: &str, far: &str| (near.to_owned(), Some(far.to_owned()));
        assert_eq!(said("I can't "), two("can't", "i can't"));
        assert_eq!(said("so, then "), two("then", "so then"));
        assert_eq!(said("Yes. Then "), two("then", " then"));
        for beginning in ["", "Yes. ", "Yes!) ", "Yes\n", "so :) "] {
            assert_eq!(said(beginning), (String::new(), None), "{beginning:?}");
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_to_their_mass() {
        let habits = taught(&["see you later", "see them later", "see you soon", "soon"]);
        for context in ["", "see ", "you see ", "I ", "see you "] {
            let said = Said::before(context);
            let sum = |prefix: &str| -> f64 {
                let words = habits.words.keys().filter(|word| word.starts_with(prefix));
                words.map(|word| habits.probability(&said, word)).sum()
            };
            assert!((sum("") - 1.0).abs() < 1e-9, "{context:?}");
            for prefix in ["", "s", "so", "l", "x"] {
                assert!((habits.mass(&said, prefix) - sum(prefix)).abs() < 1e-9, "{context:?} {prefix:?}");
            }
        }
        let behind = |context| habits.probability(&Said::before(context), "you");
        assert!(behind("see ") > behind("I ") && behind("I ") > behind("see you "));
    }

    #[test]
    fn what_is_no_word_is_not_learned() {
        let mut habits = Habits::new(false);
        for word in ["", "12", "4711a", "me@example.org", "a/b", "www.example.org", "…", "averyveryverylongword1234567"]
        {
            habits.committed("", word);
        }
        assert!(habits.is_empty(), "{:?}", forms(&habits));
        teach(&mut habits, "(gr8) O\u{2019}Neill's café, 2nite!");
        assert_eq!(forms(&habits), ["2nite", "O\u{2019}Neill's", "café", "gr8"]);
        habits.paused = true;
        habits.committed("", "secret");
        assert!(!forms(&habits).contains(&"secret".to_owned()));
    }

    #[test]
    fn a_word_that_no_list_has_is_offered_when_it_was_written_twice() {
        let zebra = Lexicon::of([("zebra".to_owned(), Word { cost: 400, listed: true })]);
        let languages = Languages::new(vec![Arc::new(zebra)], &[]);
        let mut habits = taught(&["the zorp", "the zebra"]);
        let likely = |habits: &Habits| -> Vec<String> {
            let said = Said::before("the ");
            habits.likely(&said, "z", Some(&languages), 5).into_iter().map(str::to_owned).collect()
        };
        assert_eq!(likely(&habits), ["zebra"]);
        assert!(!habits.knows("zorp"));
        teach(&mut habits, "a Zorp");
        assert_eq!(likely(&habits), ["Zorp", "zebra"], "as it was last written");
        assert!(habits.knows("zorp") && habits.lexicon().get("zorp").is_some());
    }

    #[test]
    fn what_is_not_written_again_is_forgotten() {
        let mut habits = taught(&["once", "often often often often often"]);
        let day = habits.day;
        habits.turn_day(day + HALF_LIFE as u32);
        assert!((habits.words()[0].count - 2.5).abs() < 0.05);
        assert_eq!(forms(&habits), ["often", "once"]);
        habits.turn_day(day + 2 * HALF_LIFE as u32 + 1);
        assert_eq!(forms(&habits), ["often"]);
        habits.turn_day(day + 20 * HALF_LIFE as u32);
        assert!(habits.is_empty() && habits.after.is_empty());
    }

    #[test]
    fn a_clock_that_has_lost_the_date_costs_nothing() {
        let word = "often".to_owned();
        let row = Row { word, after: None, refused_for: None, added: false, count: 5.0, day: today() + 10_000 };
        let mut habits = Habits::of(vec![(0, row)]).unwrap();
        teach(&mut habits, "often");
        assert_eq!(habits.words()[0].count, 6.0);
        assert!(habits.changes().values().flatten().all(|row| row.day == today() + 10_000), "and is written so");
    }

    #[test]
    fn what_was_put_in_is_offered_at_once_kept_and_written_so() {
        let mut habits = Habits::new(true);
        for bad in ["", "two words", "12", "me@example.org"] {
            assert!(!habits.add(bad), "{bad:?}");
        }
        assert!(habits.add("'tis") && habits.forget("'tis") && habits.is_empty());
        habits.reverted("mczorp", "McZorp");
        habits.paused = true;
        assert!(habits.add(" McZorp "));
        habits.paused = false;
        let said = Said::before("see ");
        assert_eq!(habits.likely(&said, "mcz", None, 5), ["McZorp"]);
        assert!(habits.knows("mczorp") && habits.lexicon().get("mczorp").is_some() && !habits.refuses("mczorp"));
        teach(&mut habits, "see mczorp");
        habits.turn_day(habits.day + 100 * HALF_LIFE as u32);
        let kept = LearnedWord { word: "McZorp".to_owned(), count: ADDED, added: true };
        assert_eq!((habits.words(), habits.added("mczorp")), (vec![kept.clone()], Some("McZorp")));
        let rows: Vec<(u64, Row)> =
            habits.changes().into_iter().filter_map(|(number, row)| Some((number, row?))).collect();
        let read = Habits::of(rows).unwrap().words();
        assert_eq!(read, [LearnedWord { count: 3.0, ..kept.clone() }], "as it was last written down");
        let mut other = taught(&["a mczorp"]);
        other.import(&habits.export()).unwrap();
        other.import(&taught(&["a MCZORP"]).export()).unwrap();
        assert_eq!(other.words()[0], LearnedWord { count: 4.0, ..kept });
        assert!(habits.forget("mczorp") && habits.is_empty());
    }

    #[test]
    fn words_that_were_put_in_stay_within_their_bounds() {
        let mut habits = Habits::new(true);
        let letters = |i: usize| -> String {
            (0..4).map(|place| char::from(b'a' + (i / 12usize.pow(place) % 12) as u8)).collect()
        };
        for i in 0..MAX_WORDS {
            assert!(habits.add(&letters(i)));
        }
        let added = habits.words().iter().filter(|word| word.added).count();
        assert!((MAX_ADDED / 2..=MAX_ADDED).contains(&added), "{added}");
        let written = habits.changes().values().flatten().filter(|row| row.added).count();
        assert_eq!(written, added);
        let mut other = Habits::new(false);
        (0..MAX_ADDED).for_each(|i| assert!(other.add(&format!("x{}", letters(i)))));
        other.import(&habits.export()).unwrap();
        assert!(other.tallies(true).len() <= MAX_ADDED && other.len() <= MAX_WORDS);
    }

    #[test]
    fn corrections_that_were_taken_back_stay_within_their_bounds() {
        let mut habits = Habits::new(true);
        habits.reverted("teh", "the");
        habits.reverted("teh", "the");
        for i in 0..3 * MAX_REFUSED {
            habits.reverted(&format!("typed{i}"), "word");
        }
        let kept = habits.changes().values().flatten().count();
        assert!(kept == habits.refused.len() && (MAX_REFUSED / 2..=MAX_REFUSED).contains(&kept), "{kept}");
        assert!(habits.refuses("teh") && !habits.refuses("typed0") && !habits.is_empty());
    }

    #[test]
    fn it_stays_within_its_bounds_and_keeps_what_is_written_most() {
        let mut habits = taught(&["stays here", "stays here"]);
        for i in 0..3 * MAX_WORDS {
            let letters: String = (0..4).map(|place| char::from(b'a' + (i / 12usize.pow(place) % 12) as u8)).collect();
            habits.committed("", &letters);
        }
        assert!(habits.words.len() <= MAX_WORDS && habits.words.len() > MAX_WORDS / 2);
        assert!(habits.after.values().map(|after| after.words.len()).sum::<usize>() <= MAX_PAIRS);
        assert!(habits.probability(&Said::before("stays "), "here") > 0.5);
        let sum: f64 = habits.words().iter().map(|word| word.count).sum();
        assert!((habits.total - sum).abs() < 1e-6);
    }

    #[test]
    fn an_export_is_taken_in_whole_or_not_at_all() {
        let mut habits = taught(&["see Zorp later"]);
        habits.reverted("forthe", "for the");
        let export = habits.export();
        let mut other = Habits::new(false);
        other.import(&export).unwrap();
        assert_eq!(other.export(), export);
        other.import(&export).unwrap();
        assert_eq!(other.words()[0].count, 2.0);
        let before = other.export();
        for bad in [
            "",
            "{}",
            "[1]",
            r#"{"nibble_learned_words": 2, "rows": []}"#,
            r#"{"nibble_learned_words": 1, "rows": [{"word": "a b", "count": 1, "day": 1}]}"#,
            r#"{"nibble_learned_words": 1, "rows": [{"word": "ok", "count": 1, "day": 1}, {"word": "ok", "count": -1, "day": 1}]}"#,
        ] {
            assert!(matches!(other.import(bad), Err(ImportError)), "{bad}");
            assert_eq!(other.export(), before);
        }
    }
}
