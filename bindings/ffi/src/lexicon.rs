//! A list of words, mapped from a file, for the keyboards that see through typing errors with it.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use nibble_tasks::keyboard::lexicon::{self, LexiconError};

use crate::error::{NibbleError, Result};
use crate::{descriptor, logging};

/// The words of a language and how frequent they are. Keyboards that are opened with it share it.
#[derive(uniffi::Object)]
pub struct Lexicon {
    words: Arc<lexicon::Lexicon>,
}

#[uniffi::export]
impl Lexicon {
    /// Maps the word list at `path`, and reads it once to compare its checksum.
    #[uniffi::constructor]
    pub fn open(path: String) -> Result<Arc<Self>> {
        Self::of(lexicon::Lexicon::open(Path::new(&path)))
    }

    /// Maps the word list that lies in an open file, `length` bytes from `offset` on: an asset that an app's package holds
    /// uncompressed. The descriptor is the caller's, who may close it afterwards.
    #[uniffi::constructor]
    pub fn open_descriptor(descriptor: i32, offset: u64, length: u64) -> Result<Arc<Self>> {
        let (file, part) = descriptor::part(descriptor, offset, length)?;
        Self::of(lexicon::Lexicon::open_part(&file, part, Path::new(descriptor::NAME)))
    }

    /// How many words there are.
    pub fn size(&self) -> u64 {
        self.words.len() as u64
    }
}

impl Lexicon {
    fn of(opened: std::result::Result<lexicon::Lexicon, LexiconError>) -> Result<Arc<Self>> {
        logging::begin();
        Ok(Arc::new(Self { words: Arc::new(opened?) }))
    }

    pub(crate) fn words(&self) -> Arc<lexicon::Lexicon> {
        Arc::clone(&self.words)
    }
}

impl From<LexiconError> for NibbleError {
    fn from(error: LexiconError) -> Self {
        let (path, why) = match error {
            LexiconError::File(nibble_engine::Error::Io { path, source, .. })
                if source.kind() == ErrorKind::NotFound =>
            {
                (path, "there is no such file".to_owned())
            }
            LexiconError::Unfit { path, why } => (path, why),
            LexiconError::File(error) => return error.into(),
            error => return Self::Internal { reason: error.to_string() },
        };
        let path = path.display();
        let reason = format!(
            "cannot use the word list {path}: {why}; bring one that `nibble pull` made with this version, or open the keyboard \
             without a word list"
        );
        Self::LexiconUnfit { reason }
    }
}
