//! Word prediction: exact probabilities of the next word from a model of tokens.
//!
//! * `text.rs`: what a word is, and where the text before the cursor is cut;
//! * `table.rs`: what every token is to a word, made once per model;
//! * `window.rs`: which part of a long text the model reads;
//! * `primer.rs`: what it reads before that;
//! * `adapters.rs`: what it has learned of messages;
//! * `tree.rs`: the paths of tokens that spell words, their probabilities, and the rows kept from key to key;
//! * `layout.rs`: where the keys are;
//! * `readings.rs`: the words that a row of touches may have been meant to spell;
//! * `misspelling.rs`: which words that no dictionary has are words of it;
//! * `spelling.rs`: which of them the model would write here, and whether one should take the place of what was typed, and
//!   `weights.rs`: by which numbers;
//! * `habits.rs`: what this person writes, `diary.rs`: the file that it is kept in, and `learning.rs`: both, for all who use them;
//! * `blend.rs`: the model's words and the person's on one strip;
//! * `continuation.rs`: several words ahead;
//! * `typing.rs`: one text field while it is typed in, and what each key does to it;
//! * `gate.rs`: what is worth showing, and `field.rs`: what may be done in which field;
//! * `rates.rs`: how often a token ends its word, where the model was not asked;
//! * `lexicon.rs`: the words of a language and their frequencies, and `languages.rs`: which of several languages is written;
//! * `offensive.rs`: which words are not suggested, lest they offend;
//! * `unheard.rs`: which words are not, since they are none;
//! * `emoji.rs`: the emoji that a word calls to mind;
//! * `shouting.rs`: TEXT ALL IN CAPITALS;
//! * `noise.rs`: a person who makes typing errors, for the evaluation;
//! * `evaluation.rs`: how good all of it is on given messages, and `baseline.rs`: what it would be without a model.
//!
//! The search is best first with an exact stop: a path that was not followed is bounded by its own probability, so the
//! words found are the best ones as soon as no such path is above them.

pub mod adapters;
pub mod baseline;
mod blend;
mod continuation;
pub mod diary;
pub mod emoji;
pub mod evaluation;
pub mod field;
pub mod gate;
mod habits;
pub mod languages;
pub mod layout;
pub mod learning;
pub mod lexicon;
pub mod list;
mod misspelling;
pub mod noise;
mod offensive;
pub mod primer;
mod rates;
mod readings;
mod shouting;
mod spelling;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod tree;
pub mod typing;
mod unheard;
pub mod weights;
mod window;

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nibble_engine::{LanguageModel, Result};

use adapters::Adaptation;
pub use continuation::Continuation;
use habits::{Habits, Said};
use languages::Language;
use layout::{Layout, Point};
use learning::Learner;
use lexicon::Lexicon;
use rates::EndRates;
use readings::{Reading, Touch};
use shouting::Calm;
use spelling::Speller;
use table::WordTable;
use tree::{Open, Spelled, Start, Target, Tree};
use unheard::Heard;
use weights::Weights;
use window::Window;

use crate::logits::log_add;

/// How far a [`Keyboard`] looks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tokens of context that the model reads at most.
    pub context_tokens: usize,
    /// Tokens of context that are kept when there are more.
    pub context_kept: usize,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// Batches for each letter of a word, and for its beginning. What was not spent at one key is left for the next.
    pub batches_per_letter: usize,
    /// Batches for all the keys of one word. One more a call is spent when there is nothing to show.
    pub batches_per_word: usize,
    /// Words less probable than this, given what was typed, are not looked for.
    pub min_probability: f64,
    /// Words ahead are offered that are at least so probable together.
    pub likely: f64,
    /// How messages are written in the languages of the word lists, in their order; none for a text that is no message.
    pub languages: Vec<Language>,
    /// What the model is adapted by.
    pub adaptation: Adaptation,
    /// What words are weighed by.
    pub weights: Weights,
    /// Whether words that the word list calls offensive are suggested too. What was typed stays in either case.
    pub offensive: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            context_tokens: 192,
            context_kept: 128,
            batch_rows: 8,
            batches_per_letter: 1,
            batches_per_word: 2,
            min_probability: 1e-4,
            likely: 0.5,
            languages: Vec::new(),
            adaptation: Adaptation::Fitted,
            weights: Weights::FITTED,
            offensive: false,
        }
    }
}

impl Options {
    /// For messages in these [languages](Language::of), in the order of the word lists.
    pub fn messages(languages: &[&str]) -> Self {
        Self { languages: languages.iter().map(|code| Language::of(code)).collect(), ..Self::default() }
    }

    /// Searches on until the answer is proven, as long as the model's token tree has room.
    pub fn exact() -> Self {
        Self { batches_per_letter: usize::MAX, batches_per_word: usize::MAX, ..Self::default() }
    }
}

/// What is asked of a [`Keyboard`].
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The text before the word at the cursor, with the whitespace at its end. Where it does not end in whitespace, its last
    /// run of other characters counts as typed.
    pub context: &'a str,
    /// What was typed of the word at the cursor.
    pub typed: &'a str,
    /// Where the key of each character of `typed` was hit, in the unit of the layout. What is not known is none, and there may
    /// be fewer.
    pub touches: &'a [Option<Point>],
    /// How many suggestions are wanted.
    pub top: usize,
}

/// What a suggestion is to what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing was typed yet.
    NextWord,
    /// Goes on with what was typed.
    Completion,
    /// Exactly what was typed.
    Literal,
    /// Mends what was typed, and perhaps goes on with it.
    Correction,
}

/// A word, spelled in the case in which the model would write it.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// The whole word, what was typed of it included.
    pub word: String,
    /// P(word | context, typed).
    pub probability: f64,
    /// P(word | context), before anything was typed.
    pub joint: f64,
    /// What it is to what was typed.
    pub kind: Kind,
    /// Whether the model was asked how the word ends; else that factor is what its last token has shown so far.
    pub exact: bool,
}

/// The answer to a [`Query`], best first; but with a word list what was typed gives way, where it will stay by itself, to words that are
/// likely and save keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suggestions {
    /// At most as many as were asked for, no two the same but for case; but what was typed may stand beside itself as it is written.
    pub suggestions: Vec<Suggestion>,
    /// Bytes before the cursor that a suggestion takes the place of.
    pub replaces: usize,
    /// How often the model's layers were run for this answer: once for a new context that does not go on from where the model was asked,
    /// once for every batch.
    pub forward_passes: usize,
    /// Whether it is proven that no other word is more probable.
    pub proven: bool,
    /// The word that should take the place of what was typed when the word is ended by a space; none if what was typed stays.
    pub autocorrect: Option<String>,
    /// The word that this was decided of, whichever way; none if what was typed stays in any case.
    pub contender: Option<Contender>,
}

/// A word that may take the place of what was typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// The word.
    pub word: String,
    /// ln of how many times as probable it is as everything else together.
    pub odds: f64,
}

/// Typed text of more characters than this is no word; nothing is suggested.
const MAX_TYPED: usize = 64;
/// Paths looked at for suggestions that the model was not asked about.
const GLANCE: usize = 64;

/// Predicts the word at the cursor. Belongs to one session of one model, which nothing else should use meanwhile:
/// what others do to its timeline is noticed and costs the rows kept.
pub struct Keyboard {
    options: Options,
    window: Window,
    table: Option<WordTable>,
    rates: EndRates,
    place: Option<Place>,
    speller: Option<Speller>,
    learner: Option<Learner>,
}

/// What an answer may cost.
#[derive(Clone, Copy)]
struct Effort {
    /// Batches for the keys of the word so far.
    batches: usize,
    /// Tokens for the model to read on the way to the word.
    tokens: usize,
}

/// Tokens that a glance has the model read: as many as take it little longer than one.
const QUICKLY_READ: usize = 8;

/// What is known at one word boundary.
struct Place {
    context: String,
    gap: String,
    start: Start,
    /// What comes between the prefix and the typed text.
    given: Vec<u8>,
    tree: Tree,
    /// ln of the mass of all words, until the tree grows.
    all: Option<f64>,
    /// The room that the model had left when it was last used from here; none if it has been used from elsewhere since.
    room: Option<usize>,
    /// What was typed of the word when most was, and the batches that it took.
    typed: String,
    batches: usize,
}

/// A word as a candidate for the strip.
struct Candidate {
    word: String,
    score: f64,
    exact: bool,
}

impl Keyboard {
    /// A keyboard that has seen nothing yet.
    pub fn new(options: Options) -> Self {
        let window = Window::new(options.context_tokens, options.context_kept);
        Self { options, window, table: None, rates: EndRates::default(), place: None, speller: None, learner: None }
    }

    /// Bytes that a keyboard writes to beside the session of its model, once it was asked: what it notes of each of so many tokens.
    /// What it knows of the word at the cursor comes on top, some kilobytes.
    pub fn memory(vocabulary: usize) -> u64 {
        WordTable::memory(vocabulary) as u64
    }

    /// The same keyboard with the words of a language and the places of the keys, by which it sees through typing errors.
    pub fn with_lexicon(self, lexicon: Arc<Lexicon>, layout: Layout) -> Self {
        self.with_lexicons(vec![lexicon], layout)
    }

    /// As [`with_lexicon`](Self::with_lexicon), for a person who writes in several languages, the one that is written most first. Which
    /// of them it is at the moment, the last words tell. Without a list the keyboard stays as it is.
    pub fn with_lexicons(self, lexicons: Vec<Arc<Lexicon>>, layout: Layout) -> Self {
        let speller = (!lexicons.is_empty()).then(|| Speller::new(lexicons, layout, &self.options.languages));
        Self { speller: speller.or(self.speller), ..self }
    }

    /// The same keyboard with what a person has written, to which anybody may add who has a clone of it.
    pub fn with_learner(self, learner: Learner) -> Self {
        Self { learner: Some(learner), ..self }
    }

    /// What it has learned.
    pub fn learner(&self) -> Option<&Learner> {
        self.learner.as_ref()
    }

    /// From now on the keys are there.
    pub fn set_layout(&mut self, layout: Layout) {
        if let Some(speller) = &mut self.speller {
            speller.set_layout(layout);
        }
    }

    /// Whether it has words to see through typing errors with.
    pub fn mends_errors(&self) -> bool {
        self.speller.is_some()
    }

    /// The most probable words at the cursor.
    ///
    /// # Errors
    /// Whatever the model reports, such as a cancelled forward pass. The keyboard can be asked again.
    pub fn suggest(&mut self, model: &mut dyn LanguageModel, query: &Query) -> Result<Suggestions> {
        let letters = query.typed.chars().count();
        let batches = self.options.batches_per_letter.saturating_mul(1 + letters).min(self.options.batches_per_word);
        self.search(model, query, Effort { batches, tokens: usize::MAX })
    }

    /// As [`suggest`](Self::suggest), from what is already known: the model is only run once, when the context is
    /// new. Where it has more than a few words to read, as at the first key in a chat, it is not run at all, and what is there is the word
    /// list's and the person's. This is what to paint while `suggest` is at work.
    ///
    /// # Errors
    /// As [`suggest`](Self::suggest).
    pub fn glance(&mut self, model: &mut dyn LanguageModel, query: &Query) -> Result<Suggestions> {
        self.search(model, query, Effort { batches: 0, tokens: QUICKLY_READ })
    }

    fn search(&mut self, model: &mut dyn LanguageModel, query: &Query, effort: Effort) -> Result<Suggestions> {
        let calm = Calm::of(query);
        let answer = self.search_calmly(model, &calm.query(query), effort)?;
        Ok(calm.answer(query, answer))
    }

    /// The same, where nothing is shouted.
    fn search_calmly(&mut self, model: &mut dyn LanguageModel, query: &Query, effort: Effort) -> Result<Suggestions> {
        let Effort { batches, tokens } = effort;
        let language = self.language(query.context);
        let text = [language.primer, query.context, query.typed].concat();
        let cut = text::cut(&text);
        let typed = &cut.typed[cut.word..];
        let mut answer = Suggestions { replaces: typed.len(), proven: true, ..Suggestions::default() };
        if cut.typed.chars().count() > MAX_TYPED || query.top == 0 || model.vocabulary().is_empty() {
            return Ok(answer);
        }
        self.options.adaptation.apply(model, language.adapters)?;
        let said = Said::before(&text[..text.len() - cut.typed.len()]);
        let Some(passes) = self.enter(model, &cut, tokens)? else {
            return Ok(self.without_model(query, &cut, &said, answer));
        };
        answer.forward_passes += passes;
        let (Some(place), Some(table)) = (&mut self.place, &self.table) else { return Ok(answer) };
        place.hear(typed);

        let mut learned = self.learner.as_ref().map(Learner::habits).filter(|habits| !habits.is_empty());
        let habits: Option<&mut Habits> = learned.as_deref_mut();
        if let Some(speller) = self.speller.as_mut().filter(|_| spelling::is_plain(typed)) {
            let touches = touches_of(query, typed, speller.layout());
            let asked = spelling::Asked { cut: &cut, said: &said, touches, habits, top: query.top, batches };
            let search =
                spelling::Search { place, model, table, rates: &mut self.rates, options: &self.options, language };
            return speller.suggest(search, asked, answer);
        }
        let languages = self.speller.as_ref().map(Speller::languages);
        let habits: Option<&Habits> = habits.map(|habits| &*habits);
        let before = &text[..text.len() - cut.typed.len()];
        let heard = languages.map(|languages| Heard { languages, habits, context: before });
        let may = |word: &str| {
            may_show(word, typed)
                && offensive::may_suggest(&self.options, languages, word, typed)
                && (word == typed || heard.as_ref().is_none_or(|heard| heard.has(word)))
        };
        let bytes = [&place.given, cut.typed.as_bytes()].concat();
        let target = Target { bytes: &bytes, word: place.given.len() + cut.word };
        let mut spent = false;
        let (open, mass) = loop {
            let mass = place.tree.mass(model, table, target);
            let mut exact: Vec<Candidate> = place.tree.exact(target).map(|s| Candidate::new(s, &self.rates)).collect();
            keep_best(&mut exact, query.top, may);
            let least = mass + self.options.min_probability.ln();
            let floor = exact.get(query.top - 1).map_or(least, |last| last.score.max(least));
            let open = place.open(model, table, target, floor, self.options.batch_rows);
            answer.proven = open.batch.is_empty();
            let one_more = exact.is_empty() && batches > 0 && !spent;
            if answer.proven || place.batches >= batches && !one_more {
                break (open, mass);
            }
            if place.refresh(model, table)? {
                answer.forward_passes += 1;
                continue;
            }
            let batch = &open.batch[..open.batch.len().min(model.room())];
            if batch.is_empty() {
                break (open, mass);
            }
            place.expand(model, table, batch, &mut self.rates)?;
            spent = true;
            answer.forward_passes += 1;
        };
        let spelled = place.tree.exact(target);
        let mut candidates: Vec<Candidate> = spelled.map(|spelled| Candidate::new(spelled, &self.rates)).collect();
        let mut guesses: Vec<(Candidate, Open)> = open
            .seen
            .iter()
            .filter_map(|open| Some((place.tree.spelled(model.vocabulary(), open, target)?, *open)))
            .map(|(spelled, open)| (Candidate::new(spelled, &self.rates), open))
            .collect();
        guesses.sort_by(|a, b| b.0.score.total_cmp(&a.0.score));
        // Twice as many as are shown: some differ by case alone.
        let alive = guesses.into_iter().filter(|(_, open)| place.tree.leads_on(model, open, target));
        candidates.extend(alive.take(2 * query.top).map(|(candidate, _)| candidate));
        let mut candidates = sum_forms(candidates);
        keep_best(&mut candidates, query.top, may);

        let all = place.mass_of_gap(model, table);
        let mut mass = mass;
        if let Some(habits) = habits {
            let person = blend::Person { habits, said: &said, languages };
            let search =
                spelling::Search { place, model, table, rates: &mut self.rates, options: &self.options, language };
            mass = blend::blend(search, &person, &cut, &mut candidates, blend::Masses { typed: mass, all }, query.top);
            keep_best(&mut candidates, query.top, may);
        }
        answer.suggestions = candidates
            .into_iter()
            .filter(|candidate| candidate.score - mass >= self.options.min_probability.ln())
            .map(|Candidate { word, score, exact }| Suggestion {
                kind: match typed {
                    "" => Kind::NextWord,
                    typed if typed == word => Kind::Literal,
                    _ => Kind::Completion,
                },
                word,
                probability: (score - mass).exp().min(1.0),
                joint: (score - all).exp().min(1.0),
                exact,
            })
            .collect();
        Ok(answer)
    }

    /// The language that is written behind `context`.
    fn language(&mut self, context: &str) -> Language {
        let written = self.speller.as_mut().map_or(0, |speller| speller.listen(context));
        let languages = &self.options.languages;
        languages.get(written).or_else(|| languages.first()).copied().unwrap_or_default()
    }

    /// What the word list and the person say, which takes the model no time.
    fn without_model(&mut self, query: &Query, cut: &text::Cut, said: &Said, answer: Suggestions) -> Suggestions {
        let typed = cut.typed;
        let is_word = cut.word == 0 && !typed.is_empty() && spelling::is_plain(typed);
        let Some(speller) = self.speller.as_mut().filter(|_| is_word) else { return answer };
        let habits = self.learner.as_ref().map(Learner::habits);
        let prefix = text::folded_word(typed);
        let likely =
            habits.iter().flat_map(|habits| habits.likely(said, &prefix, Some(speller.languages()), query.top));
        let own: Vec<String> = likely.map(text::folded_word).collect();
        let touches = touches_of(query, typed, speller.layout());
        let asked = spelling::Asked { cut, said, touches, habits: None, top: query.top, batches: 0 };
        let logp = |reading: &Reading| {
            let anybody = reading.log_frequency;
            habits.as_ref().map_or(anybody, |habits| habits.mixed(said, &reading.word, reading.is_known(), anybody))
        };
        let written = |word: &str| Some(habits.as_ref()?.form(word)?.to_owned());
        let found = speller.suggest_alone(asked, &self.options, own.iter(), logp, written);
        // What to put in the place of a word is for the model to say.
        Suggestions { autocorrect: None, contender: None, ..found }
    }

    /// Goes to the word boundary of `cut`, and returns how often the model was run; none if it has more than `most` tokens to read on
    /// the way, and was not.
    fn enter(&mut self, model: &mut dyn LanguageModel, cut: &text::Cut, most: usize) -> Result<Option<usize>> {
        let context = text::suffix(cut.context, window::TAIL);
        if self.place.as_ref().is_some_and(|place| place.context == context && place.gap == cut.gap) {
            return Ok(Some(0));
        }
        if self.table.is_none()
            && let Some(speller) = &self.speller
        {
            self.rates = EndRates::of_words(model, speller.languages());
        }
        let table = self.table.get_or_insert_with(|| WordTable::new(model));
        let window = self.window.over(model, context);
        let (start, given) = cut_tokens(model, table, window, cut.gap);
        let (context, gap) = (context.to_owned(), cut.gap.to_owned());
        if let Some(place) = self.place.as_mut().filter(|place| place.start == start) {
            (place.context, place.gap, place.given) = (context, gap, given);
            (place.all, place.typed, place.batches) = (None, String::new(), 0);
            return Ok(Some(0));
        }
        // What was asked at the end of the last word is what there is to know here.
        let missing = model.missing(&start.prefix);
        if missing > most {
            return Ok(None);
        }
        self.place = None;
        let passes = usize::from(missing > 0);
        let logits = model.sync(&start.prefix)?.to_vec();
        let tree = Tree::new(model, table, &start, &logits);
        let (all, room, typed, batches) = (None, Some(model.room()), String::new(), 0);
        self.place = Some(Place { context, gap, start, given, tree, all, room, typed, batches });
        Ok(Some(passes))
    }
}

/// Where the search begins after `window` and the whitespace `gap`, and the bytes between there and the typed text.
///
/// The cut is before the whitespace, unless no token holds the whitespace together with a beginning of a word, as with a new
/// line: then every word is spelled after it, and the model reads it too.
fn cut_tokens(model: &dyn LanguageModel, table: &WordTable, window: &str, gap: &str) -> (Start, Vec<u8>) {
    const WORD: &str = "a";
    let text = [window, gap].concat();
    let mut tokens = model.encode(&[&text, WORD].concat());
    // Whole tokens are taken back until the whitespace is; some tokenizers write it into the token before it.
    let open = gap.len() - table.apart(gap) + WORD.len();
    let mut undone = Vec::new();
    while undone.len() < open {
        let Some(token) = tokens.pop() else { break };
        undone.splice(..0, model.vocabulary().bytes(token).iter().copied());
    }
    undone.truncate(undone.len().saturating_sub(WORD.len()));
    let before = &text[..text.len() - text::suffix(&text, undone.len()).len()];
    let word = before.trim_end().trim_end_matches(|c: char| !c.is_whitespace());
    let anchor = text::suffix(&before[word.len()..], 32).to_owned();
    let lead = if before.is_empty() { undone[..undone.len().saturating_sub(text.len())].to_vec() } else { Vec::new() };
    let prefix = [table.start()].into_iter().chain(tokens).collect();
    (Start { prefix, anchor, lead }, undone)
}

/// Open paths.
struct Opened {
    /// The best of them, as far as was looked.
    seen: Vec<Open>,
    /// The best that lead to the target.
    batch: Vec<Open>,
}

impl Place {
    /// Another word than before has batches of its own.
    fn hear(&mut self, typed: &str) {
        if !self.typed.starts_with(typed) {
            if !typed.starts_with(&self.typed) {
                self.batches = 0;
            }
            typed.clone_into(&mut self.typed);
        }
    }

    /// The best open paths above `floor`: `rows` of them, if there are as many.
    fn open(
        &mut self,
        model: &dyn LanguageModel,
        table: &WordTable,
        target: Target,
        floor: f64,
        rows: usize,
    ) -> Opened {
        let mut look = GLANCE.max(rows);
        loop {
            let seen = self.tree.open(model.vocabulary(), table, target, floor, look);
            let leading = seen.iter().filter(|open| self.tree.leads_on(model, open, target));
            let batch: Vec<Open> = leading.take(rows).copied().collect();
            if !batch.is_empty() || seen.len() < look {
                return Opened { seen, batch };
            }
            look *= 2;
        }
    }

    /// Makes sure that the tree's rows are still in the model; starts the tree anew and says so if they are not.
    fn refresh(&mut self, model: &mut dyn LanguageModel, table: &WordTable) -> Result<bool> {
        model.sync(&self.start.prefix)?;
        let stale = self.room != Some(model.room());
        if stale {
            let logits = model.sync(&self.start.prefix)?.to_vec();
            self.tree = Tree::new(model, table, &self.start, &logits);
            (self.all, self.batches) = (None, 0);
            self.room = Some(model.room());
        }
        Ok(stale)
    }

    fn expand(
        &mut self,
        model: &mut dyn LanguageModel,
        table: &WordTable,
        batch: &[Open],
        rates: &mut EndRates,
    ) -> Result<()> {
        let ends = self.tree.expand(model, table, batch, self.given.len());
        self.all = None;
        self.room = Some(model.room());
        for (open, ends) in batch.iter().zip(ends?) {
            rates.learn(open.token, ends);
        }
        self.batches += 1;
        Ok(())
    }
}

impl Place {
    /// ln of the mass of all words.
    fn mass_of_gap(&mut self, model: &dyn LanguageModel, table: &WordTable) -> f64 {
        let target = Target { bytes: &self.given, word: self.given.len() };
        *self.all.get_or_insert_with(|| self.tree.mass(model, table, target))
    }
}

impl Candidate {
    fn new(spelled: Spelled, rates: &EndRates) -> Self {
        let ends = spelled.ends.unwrap_or_else(|| rates.expected(spelled.last, &spelled.word));
        Self { word: spelled.word, score: spelled.logp + ends, exact: spelled.ends.is_some() }
    }
}

/// Where the characters of `typed`, with which the query's text ends, were hit.
fn touches_of(query: &Query, typed: &str, layout: &Layout) -> Vec<Touch> {
    let characters = query.typed.chars().count();
    let length = typed.chars().count();
    let point = |i: usize| query.touches.get((characters + i).checked_sub(length)?).copied().flatten();
    typed.chars().enumerate().map(|(i, letter)| Touch::new(layout, letter, point(i))).collect()
}

/// Sorts the candidates, best first, and keeps the `top` of those that `may` be shown, one for each word whatever its form.
fn keep_best(candidates: &mut Vec<Candidate>, top: usize, may: impl Fn(&str) -> bool) {
    candidates.sort_by(best_first);
    let mut seen = HashSet::new();
    candidates.retain(|candidate| {
        seen.len() < top && may(&candidate.word) && seen.insert(text::folded_word(&candidate.word))
    });
}

/// One candidate a word, in the form that is the most probable, with the probability of all forms: the cases in which it may be
/// written, and the apostrophes.
fn sum_forms(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by(best_first);
    let mut words: Vec<Candidate> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for candidate in candidates {
        let place = *places.entry(text::folded_word(&candidate.word)).or_insert(words.len());
        match words.get_mut(place) {
            Some(word) => word.score = log_add(word.score, candidate.score),
            None => words.push(candidate),
        }
    }
    words
}

fn best_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| a.word.cmp(&b.word))
}

/// Words have a letter, and do not end in the middle; but what was typed is never hidden.
fn may_show(word: &str, typed: &str) -> bool {
    word == typed || word.chars().any(char::is_alphabetic) && !word.ends_with(text::is_joiner)
}
