//! Word prediction for the word at the cursor, and what should take the place of what was typed.

use std::sync::{Arc, Mutex};

use nibble_tasks::keyboard::languages::Language;
use nibble_tasks::keyboard::layout::Point;
use nibble_tasks::keyboard::learning::Learner;
use nibble_tasks::keyboard::{Kind, Options, Query, field, gate, layout};

use crate::error::{NibbleError, Result};
use crate::latest::Latest;
use crate::learned::LearnedWords;
use crate::lexicon::Lexicon;
use crate::lock;
use crate::model::{MemoryPressure, Shared};
use crate::timeline::{Settings, Timeline};

/// How a keyboard is set up.
#[derive(uniffi::Record)]
pub struct KeyboardOptions {
    /// The words with which it sees through typing errors, of each language that the person writes; without them it only predicts.
    pub lexicons: Vec<Arc<Lexicon>>,
    /// Where the keys are; of use with a lexicon only.
    pub layout: Layout,
    /// What the person has written so far, of which it makes use; typing sessions add to it.
    pub learned: Option<Arc<LearnedWords>>,
    /// The languages of the lexicons in their order, as ISO 639-1 has them, that which is written most first: the model reads a few
    /// lines of the one that is being written before the text, and words are joined as it joins them ("l'homme"). Without lexicons it is
    /// the first.
    pub languages: Vec<String>,
    /// Threads that compute; 0 takes as many as suit the model and the device.
    pub threads: u32,
    /// Bytes that the keyboard may write to.
    pub memory_limit: Option<u64>,
}

/// Where the keys are; x grows to the right and y downwards. In the four that have names, keys are one unit wide and high, the rows
/// begin at y = 0, 1 and 2, and the space bar goes from x = 2.5 to 7.5 in the row below.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum Layout {
    /// English: `qwertyuiop` from x = 0, `asdfghjkl` from 0.5, `zxcvbnm` from 1.5.
    Qwerty,
    /// German: `qwertzuiopü` from x = 0, `asdfghjklöä` from 0, `yxcvbnm` from 2.
    Qwertz,
    /// French: `azertyuiop` from x = 0, `qsdfghjklm` from 0, `wxcvbn'` from 2.
    Azerty,
    /// Dvorak's: `'pyfgcrl` from x = 1, `aoeuidhtns` from 0, `qjkxbmwvz` from 1.
    Dvorak,
    /// One of the app's own, in any unit.
    Keys {
        /// The keys, none on another.
        keys: Vec<Key>,
    },
}

/// A key: what it types, and its rectangle.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Key {
    /// One character, in lower case; a space for the space bar.
    pub key: String,
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width, above 0.
    pub width: f32,
    /// Height, above 0.
    pub height: f32,
}

/// What a text field is for, as the system tells the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Field {
    /// Text of any kind.
    Text,
    /// Text of which nothing is to be kept.
    NoLearning,
    /// What is searched for.
    Search,
    /// An e-mail address: nothing is corrected.
    Email,
    /// The address of a page: nothing is corrected.
    Url,
    /// A password: nothing is suggested, and the text is not looked at.
    Password,
    /// A number or a date: as a password.
    Number,
    /// A one-time code: as a password.
    Code,
}

/// What is asked at one key. One record, because every argument of a call costs a crossing of its own.
#[derive(Clone, PartialEq, uniffi::Record)]
pub struct KeyboardRequest {
    /// The text before the word at the cursor.
    pub context: String,
    /// What was typed of that word.
    pub typed: String,
    /// Where each character of `typed` was hit, x and y one after the other, in the layout's unit. A pair with a number that is not
    /// finite is not known; there may be fewer pairs than characters.
    pub touches: Vec<f32>,
    /// How many suggestions are wanted.
    pub count: u32,
    /// What the field is for.
    pub field: Field,
    /// Leaves out what is too improbable to be worth a look.
    pub gate: bool,
}

/// What a suggestion is to what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SuggestionKind {
    /// Nothing was typed yet.
    NextWord,
    /// It goes on with what was typed.
    Completion,
    /// It is what was typed.
    Literal,
    /// It mends what was typed, and perhaps goes on with it.
    Correction,
}

/// A word for the strip.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Suggestion {
    /// The whole word, what was typed of it included.
    pub word: String,
    /// How probable it is, given the text before it and what was typed.
    pub probability: f64,
    /// What it is to what was typed.
    pub kind: SuggestionKind,
}

/// The words for the strip, best first.
#[derive(Clone, Debug, Default, PartialEq, uniffi::Record)]
pub struct Suggestions {
    /// At most as many as were asked for, no two the same but for case; but what was typed may stand beside itself as it is written.
    pub suggestions: Vec<Suggestion>,
    /// The text before the cursor that a suggestion takes the place of.
    pub replaces: String,
    /// Whether it is proven that no other word is more probable.
    pub proven: bool,
    /// The word that should take the place of `replaces` when a space is typed; none if what was typed stays.
    pub autocorrect: Option<String>,
}

/// Predicts words. It keeps what it computed from one key to the next.
#[derive(uniffi::Object)]
pub struct Keyboard {
    timeline: Arc<Timeline<Keyboards>>,
    pub(crate) requests: Latest,
    keys: Arc<Mutex<Keys>>,
    pub(crate) learner: Option<Learner>,
    /// Marks that a space stands before in the language that is written most.
    pub(crate) spaced_marks: &'static str,
}

/// Two keyboards in turns over one session. One that was never asked takes no memory.
struct Keyboards {
    text: nibble_tasks::Keyboard,
    /// For fields in which nothing is corrected: it has no words to do it with.
    address: nibble_tasks::Keyboard,
}

/// Where the keys are, for a keyboard that is at work and for one that is made anew.
struct Keys {
    layout: layout::Layout,
    /// Whether the keyboard at work still has to be told.
    moved: bool,
}

impl Keys {
    /// What the keyboard at work still has to be told.
    fn news(&mut self) -> Option<layout::Layout> {
        std::mem::take(&mut self.moved).then(|| self.layout.clone())
    }
}

#[uniffi::export]
impl Keyboard {
    /// A ticket for one request. Taking it stops older requests, which end as superseded.
    pub fn ticket(&self) -> u64 {
        self.requests.ticket()
    }

    /// The most probable words at the cursor.
    pub fn suggest(&self, ticket: u64, request: KeyboardRequest) -> Result<Suggestions> {
        self.answer(ticket, &request, nibble_tasks::Keyboard::suggest)
    }

    /// As `suggest`, from what is already known: the model runs once at most, when the context is new, and not at all where it has more than
    /// a few words to read. This is what to show while `suggest` is at work.
    pub fn glance(&self, ticket: u64, request: KeyboardRequest) -> Result<Suggestions> {
        self.answer(ticket, &request, nibble_tasks::Keyboard::glance)
    }

    /// From the next request on the keys are there. Returns at once.
    pub fn set_layout(&self, layout: Layout) -> Result<()> {
        self.timeline.check_open()?;
        *lock(&self.keys) = Keys { layout: layout.into_task()?, moved: true };
        Ok(())
    }

    /// Stops the request with this ticket.
    pub fn cancel(&self, ticket: u64) {
        self.requests.cancel(ticket);
    }

    /// Closes the keyboard; what runs ends with an error. Closing twice does nothing.
    pub fn close(&self) {
        self.timeline.close();
    }
}

/// How the keyboard of the tasks is asked.
pub(crate) type Ask = fn(
    &mut nibble_tasks::Keyboard,
    &mut dyn nibble_engine::LanguageModel,
    &Query<'_>,
) -> nibble_engine::Result<nibble_tasks::keyboard::Suggestions>;

/// Tokens of a keyboard's context: more than its options let it read, and a word.
const CONTEXT: usize = 256;

impl Keyboard {
    /// How one is opened, with no limit to what it takes.
    pub(crate) fn settings(model: &nibble_engine::Model, threads: u32) -> Settings {
        Settings {
            name: "keyboard",
            session: nibble_engine::SessionOptions {
                context: CONTEXT,
                threads: threads as usize,
                priority: nibble_engine::Priority::Keystroke,
                ..nibble_engine::SessionOptions::default()
            },
            context_is_asked_for: false,
            // One for text and one for addresses.
            beside: 2 * nibble_tasks::Keyboard::memory(model.vocabulary().len()),
            memory_limit: None,
            yields_at: MemoryPressure::Low,
        }
    }

    pub(crate) fn open(model: &Arc<Shared>, options: KeyboardOptions) -> Result<Arc<Self>> {
        let KeyboardOptions { lexicons, layout, learned, languages, threads, memory_limit } = options;
        if lexicons.len() > 1 && languages.len() != lexicons.len() {
            return Err(NibbleError::invalid(format!(
                "there are {} lexicons and {} languages; name the language of each lexicon, in their order",
                lexicons.len(),
                languages.len()
            )));
        }
        let settings = Settings { memory_limit, ..Self::settings(&model.open()?, threads) };
        let keys = Arc::new(Mutex::new(Keys { layout: layout.into_task()?, moved: false }));
        let learner = learned.map(|learned| learned.learner());
        let words = lexicons.iter().map(|lexicon| lexicon.words()).collect::<Vec<_>>();
        let (places, writes) = (Arc::clone(&keys), learner.clone());
        let spaced_marks = languages.first().map_or("", |code| Language::of(code).spaced);
        let timeline = Timeline::open(model, settings, move || {
            // An address is no message.
            let languages: Vec<&str> = languages.iter().map(String::as_str).collect();
            let [mut text, address] =
                [Options::messages(&languages), Options::default()].map(nibble_tasks::Keyboard::new);
            if !words.is_empty() {
                text = text.with_lexicons(words.clone(), lock(&places).layout.clone());
            }
            if let Some(learner) = &writes {
                text = text.with_learner(learner.clone());
            }
            Keyboards { text, address }
        })?;
        Ok(Arc::new(Self { timeline, requests: Latest::default(), keys, learner, spaced_marks }))
    }

    fn answer(&self, ticket: u64, request: &KeyboardRequest, ask: Ask) -> Result<Suggestions> {
        let KeyboardRequest { context, typed, touches, count, field, gate } = request;
        let touches = points(touches, typed)?;
        let query = Query { context, typed, touches: &touches, top: *count as usize };
        self.ask(ticket, (*field).into(), &query, *gate, ask)
    }

    /// Asks for the words at the cursor of a field, which is none that holds secrets; there nothing is found.
    pub(crate) fn ask(
        &self,
        ticket: u64,
        field: field::Field,
        query: &Query,
        gate: bool,
        ask: Ask,
    ) -> Result<Suggestions> {
        if !field.predicts() {
            return self.requests.run(ticket, |_| self.timeline.check_open().map(|()| Suggestions::default()));
        }
        let mut found = self.with(ticket, field, |keyboard, session| ask(keyboard, session, query))?;
        let text = [query.context, query.typed].concat();
        let replaces = &text[text.len() - found.replaces..];
        if gate {
            gate::leave_out_the_weak(&mut found, replaces);
        }
        Ok(Suggestions {
            replaces: replaces.to_owned(),
            suggestions: found.suggestions.into_iter().map(Suggestion::from).collect(),
            proven: found.proven,
            autocorrect: found.autocorrect,
        })
    }

    /// Does something with the keyboard for a field.
    pub(crate) fn with<T>(
        &self,
        ticket: u64,
        field: field::Field,
        ask: impl FnOnce(&mut nibble_tasks::Keyboard, &mut dyn nibble_engine::LanguageModel) -> nibble_engine::Result<T>,
    ) -> Result<T> {
        self.requests.run(ticket, |cancel| {
            self.timeline.run(cancel, |session, Keyboards { text, address }| {
                if let Some(layout) = lock(&self.keys).news() {
                    text.set_layout(layout);
                }
                let keyboard = if field.corrects() || !text.mends_errors() { text } else { address };
                Ok(ask(keyboard, session)?)
            })
        })
    }
}

/// Where the characters of `typed` were hit.
fn points(touches: &[f32], typed: &str) -> Result<Vec<Option<Point>>> {
    let (pairs, odd) = touches.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(NibbleError::invalid("touches has an odd number of numbers; give x and y of each"));
    }
    if pairs.len() > typed.chars().count() {
        return Err(NibbleError::invalid(format!(
            "there are {} touches and {} characters; give one for each Unicode code point that was typed, or fewer",
            pairs.len(),
            typed.chars().count()
        )));
    }
    let point = |&[x, y]: &[f32; 2]| (x.is_finite() && y.is_finite()).then_some(Point { x, y });
    Ok(pairs.iter().map(point).collect())
}

impl Layout {
    fn into_task(self) -> Result<layout::Layout> {
        let name = match self {
            Self::Qwerty => "qwerty",
            Self::Qwertz => "qwertz",
            Self::Azerty => "azerty",
            Self::Dvorak => "dvorak",
            Self::Keys { keys } => {
                let keys = keys.into_iter().map(Key::into_task).collect::<Result<_>>()?;
                return layout::Layout::new(keys).map_err(|error| NibbleError::invalid(error.to_string()));
            }
        };
        Ok(layout::Layout::shipped(name).expect("it is shipped"))
    }
}

impl Key {
    fn into_task(self) -> Result<layout::Key> {
        let Self { key, x, y, width, height } = self;
        let mut characters = key.chars();
        match (characters.next(), characters.next()) {
            (Some(key), None) if !key.is_uppercase() => Ok(layout::Key { key, x, y, width, height }),
            _ => Err(NibbleError::invalid(format!("a key is {key:?}; it is one character, in lower case"))),
        }
    }
}

impl From<Field> for field::Field {
    fn from(field: Field) -> Self {
        match field {
            Field::Text => Self::Text,
            Field::NoLearning => Self::NoLearning,
            Field::Search => Self::Search,
            Field::Email => Self::Email,
            Field::Url => Self::Url,
            Field::Password => Self::Password,
            Field::Number => Self::Number,
            Field::Code => Self::Code,
        }
    }
}

impl From<nibble_tasks::keyboard::Suggestion> for Suggestion {
    fn from(suggestion: nibble_tasks::keyboard::Suggestion) -> Self {
        let kind = match suggestion.kind {
            Kind::NextWord => SuggestionKind::NextWord,
            Kind::Completion => SuggestionKind::Completion,
            Kind::Literal => SuggestionKind::Literal,
            Kind::Correction => SuggestionKind::Correction,
        };
        Self { word: suggestion.word, probability: suggestion.probability, kind }
    }
}
