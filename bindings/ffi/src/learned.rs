//! What a person writes, kept for the keyboards that learn it.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use nibble_tasks::keyboard::diary::{DiaryError, DiaryKey};
use nibble_tasks::keyboard::learning::Learner;

use crate::error::{NibbleError, Result};
use crate::logging;

/// What a person writes: words, and what they follow, with forgetting. Keyboards that are opened with it share it.
#[derive(uniffi::Object)]
pub struct LearnedWords {
    learner: Learner,
}

/// A word that was learned.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct LearnedWord {
    /// As it was last written inside a sentence.
    pub word: String,
    /// How often it was written, as far as that is not forgotten.
    pub count: f64,
    /// Whether it was put in on purpose, so that it stays and is written as it was put in.
    pub added: bool,
}

#[uniffi::export]
impl LearnedWords {
    /// Opens the file at `path`, or makes it; with a key, which is 32 bytes long, its content is sealed by it.
    #[uniffi::constructor]
    pub fn open(path: String, key: Option<Vec<u8>>) -> Result<Arc<Self>> {
        logging::begin();
        let key = key.map(DiaryKey::try_from).transpose();
        let key = key.map_err(|key| NibbleError::invalid(format!("the key has {} bytes; it has 32", key.len())))?;
        Ok(Arc::new(Self { learner: Learner::open(Path::new(&path), key.as_ref())? }))
    }

    /// Keeps nothing when it is gone.
    #[uniffi::constructor]
    pub fn in_memory() -> Arc<Self> {
        Arc::new(Self { learner: Learner::new() })
    }

    /// All words, the most written first.
    pub fn list(&self) -> Vec<LearnedWord> {
        let words = self.learner.words().into_iter();
        words.map(|word| LearnedWord { word: word.word, count: word.count, added: word.added }).collect()
    }

    /// Puts in a word of the person's on purpose, written so: it is offered at once, is not forgotten by itself, and no correction
    /// changes it. Says whether it can be one: letters for the most part, without spaces.
    pub fn add_word(&self, word: String) -> Result<bool> {
        let can = self.learner.add(&word);
        self.learner.save()?;
        Ok(can)
    }

    /// Forgets a word, whatever its case, and all that was learned with it; says whether it was known.
    pub fn forget(&self, word: String) -> Result<bool> {
        Ok(self.learner.forget(&word)?)
    }

    /// Forgets everything.
    pub fn wipe(&self) -> Result<()> {
        Ok(self.learner.wipe()?)
    }

    /// While paused nothing is learned; what is known stays in use.
    pub fn pause(&self, paused: bool) {
        self.learner.pause(paused);
    }

    /// Everything, as JSON, for `add`. It is not sealed.
    pub fn export(&self) -> String {
        self.learner.export()
    }

    /// Adds what was exported: of what both know, the counts add up. What is no export changes nothing.
    pub fn add(&self, exported: String) -> Result<()> {
        self.learner.import(&exported).map_err(|error| NibbleError::invalid(error.to_string()))?;
        Ok(self.learner.save()?)
    }

    /// Writes down what was not yet, and closes the file. Keyboards go on with what is known, and keep nothing more.
    pub fn close(&self) -> Result<()> {
        Ok(self.learner.close()?)
    }
}

impl LearnedWords {
    pub(crate) fn learner(&self) -> Learner {
        self.learner.clone()
    }
}

impl From<DiaryError> for NibbleError {
    fn from(error: DiaryError) -> Self {
        let reason = error.to_string();
        match error {
            DiaryError::File { source, .. } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::StorageFull { reason },
                _ => Self::Io { reason },
            },
            _ => Self::LearnedWordsUnfit { reason },
        }
    }
}
