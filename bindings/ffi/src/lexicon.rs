//! A list of words, mapped from a file, for the keyboards that see through typing errors with it.

use std::path::Path;
use std::sync::Arc;

use nibble_tasks::keyboard::lexicon;
use nibble_tasks::keyboard::list::ListError;

use crate::error::Result;
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
    fn of(opened: std::result::Result<lexicon::Lexicon, ListError>) -> Result<Arc<Self>> {
        logging::begin();
        Ok(Arc::new(Self { words: Arc::new(opened?) }))
    }

    pub(crate) fn words(&self) -> Arc<lexicon::Lexicon> {
        Arc::clone(&self.words)
    }
}
