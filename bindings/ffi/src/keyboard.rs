//! Word prediction for the word at the cursor.

use std::sync::Arc;

use nibble_tasks::keyboard::{Kind, Options, Query};

use crate::error::Result;
use crate::latest::Latest;
use crate::model::{MemoryPressure, Shared};
use crate::timeline::{Settings, Timeline};

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
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Suggestions {
    /// At most as many as were asked for, no two the same but for case.
    pub suggestions: Vec<Suggestion>,
    /// The text before the cursor that a suggestion takes the place of.
    pub replaces: String,
    /// Whether it is proven that no other word is more probable.
    pub proven: bool,
}

/// Predicts words. It keeps what it computed from one key to the next.
#[derive(uniffi::Object)]
pub struct Keyboard {
    timeline: Arc<Timeline<nibble_tasks::Keyboard>>,
    requests: Latest,
}

#[uniffi::export]
impl Keyboard {
    /// A ticket for one request. Taking it stops older requests, which end as superseded.
    pub fn ticket(&self) -> u64 {
        self.requests.ticket()
    }

    /// The most probable words at the cursor. `context` is the text before the word at the cursor, `typed` what was typed of
    /// that word.
    pub fn suggest(&self, ticket: u64, context: String, typed: String, count: u32) -> Result<Suggestions> {
        self.ask(ticket, &context, &typed, count, nibble_tasks::Keyboard::suggest)
    }

    /// As `suggest`, from what is already known: the model runs once at most, when the context is new. This is what to show
    /// while `suggest` is at work.
    pub fn glance(&self, ticket: u64, context: String, typed: String, count: u32) -> Result<Suggestions> {
        self.ask(ticket, &context, &typed, count, nibble_tasks::Keyboard::glance)
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
type Ask = fn(
    &mut nibble_tasks::Keyboard,
    &mut dyn nibble_engine::LanguageModel,
    &Query<'_>,
) -> nibble_engine::Result<nibble_tasks::keyboard::Suggestions>;

/// Tokens of a keyboard's context: more than its options let it read, and a word.
const CONTEXT: usize = 256;

impl Keyboard {
    pub(crate) fn open(model: &Arc<Shared>, threads: u32, memory_limit: Option<u64>) -> Result<Arc<Self>> {
        let session = nibble_engine::SessionOptions {
            context: CONTEXT,
            threads: threads as usize,
            priority: nibble_engine::Priority::Keystroke,
            ..nibble_engine::SessionOptions::default()
        };
        let settings = Settings { name: "keyboard", session, memory_limit, yields_at: MemoryPressure::Low };
        let timeline = Timeline::open(model, settings, || nibble_tasks::Keyboard::new(Options::default()))?;
        Ok(Arc::new(Self { timeline, requests: Latest::default() }))
    }

    fn ask(&self, ticket: u64, context: &str, typed: &str, count: u32, ask: Ask) -> Result<Suggestions> {
        let query = Query { context, typed, touches: &[], top: count as usize };
        let found = self
            .requests
            .run(ticket, |cancel| self.timeline.run(cancel, |session, keyboard| Ok(ask(keyboard, session, &query)?)))?;
        let text = [context, typed].concat();
        Ok(Suggestions {
            replaces: text[text.len() - found.replaces..].to_owned(),
            suggestions: found.suggestions.into_iter().map(Suggestion::from).collect(),
            proven: found.proven,
        })
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
