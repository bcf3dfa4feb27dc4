//! One text field while it is typed in: what each key does to the text, and what the strip shows.
//!
//! What a key does never waits for a model: the text has a lock of its own, and what was learned is told at another time.

use std::sync::{Arc, Mutex};

use nibble_tasks::keyboard::layout::Point;
use nibble_tasks::keyboard::{Continuation, field, typing};

use crate::error::{NibbleError, Result};
use crate::keyboard::{Ask, Field, Keyboard, Suggestion, SuggestionKind, Suggestions};
use crate::lock;

/// Typing in one text field.
#[derive(uniffi::Object)]
pub struct TypingSession {
    keyboard: Arc<Keyboard>,
    typing: Mutex<typing::Typing>,
}

/// What is to be done to the text at the cursor. Where text is selected, the selection goes too.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Edit {
    /// Text to remove, which stands right before the cursor.
    pub delete: String,
    /// Text to insert there afterwards.
    pub insert: String,
}

/// What the strip shows for a text.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Strip {
    /// Which text it is for.
    pub generation: u64,
    /// At most three words, best first.
    pub suggestions: Vec<Suggestion>,
    /// The text before the cursor that a suggestion takes the place of.
    pub replaces: String,
    /// The word that a space will put there; none if what was typed stays.
    pub autocorrect: Option<String>,
}

/// Words on a strip.
const WORDS: usize = 3;

#[uniffi::export]
impl Keyboard {
    /// Typing begins in a text field, with the text around the cursor as far as the editor tells it.
    pub fn start(self: Arc<Self>, field: Field, before: String, after: String) -> Arc<TypingSession> {
        let typing = typing::Typing::new(field.into(), &before, &after).with_spaced_marks(self.spaced_marks);
        let typing = Mutex::new(typing);
        Arc::new(TypingSession { keyboard: self, typing })
    }
}

#[uniffi::export]
impl TypingSession {
    /// A key that types `text`, and where it was hit, in the unit of the layout; a number that is not finite is not known. The end
    /// of a word brings in the correction that the strip has shown.
    pub fn key(&self, text: String, x: f32, y: f32) -> Edit {
        let touch = (x.is_finite() && y.is_finite()).then_some(Point { x, y });
        self.edit(|typing| typing.key(&text, touch))
    }

    /// The backspace key; right after a correction it takes that back. An empty edit hands the key on to the editor: it has a
    /// selection, or text that is not known here.
    pub fn backspace(&self) -> Edit {
        self.edit(typing::Typing::backspace)
    }

    /// A word was taken from the strip of this generation. None if the text has changed since: nothing is to be done then.
    pub fn accept(&self, generation: u64, word: String) -> Option<Edit> {
        self.change(|typing| typing.accept(generation, &word)).map(Edit::from)
    }

    /// What the editor says the text around the cursor is. What it said before it had heard of the last edits changes nothing; says
    /// whether there is something new for the strip.
    pub fn reported(&self, before: String, after: String, selected: bool) -> bool {
        self.change(|typing| {
            let known = typing.generation();
            typing.reported(&before, &after, selected);
            typing.generation() != known
        })
    }

    /// Whether a sentence begins at the cursor.
    pub fn begins_sentence(&self) -> bool {
        lock(&self.typing).begins_sentence()
    }

    /// What the strip shows at once, from what is known already: the model runs once at most, when the context is new, and not at all where
    /// it has more than a few words to read. The ticket is the keyboard's; every change of the text stops the requests before it.
    pub fn glance(&self, ticket: u64) -> Result<Strip> {
        self.strip(ticket, nibble_tasks::Keyboard::glance)
    }

    /// What the strip shows when the model was asked.
    pub fn refine(&self, ticket: u64) -> Result<Strip> {
        self.strip(ticket, nibble_tasks::Keyboard::suggest)
    }

    /// Several words at the cursor, if they are likely together: `accept` takes them as it does a word of the strip. Ask for them when
    /// the strip is shown.
    pub fn look_ahead(&self, ticket: u64) -> Result<Option<Suggestion>> {
        let (field, generation, question) = self.question();
        let Some(question) = question.filter(|_| field.corrects()) else { return Ok(None) };
        let query = question.query(WORDS);
        let ahead = self.keyboard.with(ticket, field, |keyboard, session| keyboard.look_ahead(session, &query))?;
        if lock(&self.typing).generation() != generation {
            return Err(NibbleError::superseded());
        }
        let kind = if question.typed.is_empty() { SuggestionKind::NextWord } else { SuggestionKind::Completion };
        Ok(ahead.map(|Continuation { text, probability }| Suggestion { word: text, probability, kind }))
    }

    /// Learns what was written since the last time, and writes it down; it waits for the disk, and no key waits for it.
    pub fn learn(&self) -> Result<()> {
        let lessons = lock(&self.typing).lessons();
        let Some(learner) = self.keyboard.learner.as_ref().filter(|_| !lessons.is_empty()) else { return Ok(()) };
        lessons.teach(learner);
        learner.save().map_err(|error| {
            log::warn!("what was learned is not written down, and is tried again with the next word: {error}");
            error.into()
        })
    }

    /// The field is left: what was written there stays, for `learn`.
    pub fn finish(&self) {
        self.change(typing::Typing::finish);
    }
}

impl TypingSession {
    /// Changes the text, and stops what is asked for the one before.
    fn change<T>(&self, change: impl FnOnce(&mut typing::Typing) -> T) -> T {
        let mut typing = lock(&self.typing);
        let known = typing.generation();
        let changed = change(&mut typing);
        if typing.generation() != known {
            self.keyboard.ticket();
        }
        changed
    }

    /// What to ask for the text that there is now.
    fn question(&self) -> (field::Field, u64, Option<typing::Question>) {
        let typing = lock(&self.typing);
        (typing.field(), typing.generation(), typing.question())
    }

    fn edit(&self, key: impl FnOnce(&mut typing::Typing) -> typing::Edit) -> Edit {
        self.change(key).into()
    }

    fn strip(&self, ticket: u64, ask: Ask) -> Result<Strip> {
        let (field, generation, question) = self.question();
        let found = match question {
            Some(question) => self.keyboard.ask(ticket, field, &question.query(WORDS), true, ask)?,
            None => self.keyboard.requests.run(ticket, |_| Ok(Suggestions::default()))?,
        };
        if !lock(&self.typing).answered(generation, found.autocorrect.as_deref()) {
            return Err(NibbleError::superseded());
        }
        let Suggestions { suggestions, replaces, autocorrect, .. } = found;
        Ok(Strip { generation, suggestions, replaces, autocorrect })
    }
}

impl From<typing::Edit> for Edit {
    fn from(edit: typing::Edit) -> Self {
        let typing::Edit { delete, insert } = edit;
        Self { delete, insert }
    }
}
