//! A list of the emoji that words call to mind, mapped from a file.

use std::path::Path;
use std::sync::Arc;

use nibble_tasks::keyboard::emoji::Emoji;
use nibble_tasks::keyboard::list::ListError;

use crate::error::Result;
use crate::{descriptor, logging};

/// The emoji of a language's words.
#[derive(uniffi::Object)]
pub struct EmojiList {
    emoji: Emoji,
}

#[uniffi::export]
impl EmojiList {
    /// Maps the emoji list at `path`, and reads it once to compare its checksum.
    #[uniffi::constructor]
    pub fn open(path: String) -> Result<Arc<Self>> {
        Self::of(Emoji::open(Path::new(&path)))
    }

    /// Maps the emoji list that lies in an open file, `length` bytes from `offset` on: an asset that an app's package holds
    /// uncompressed. The descriptor is the caller's, who may close it afterwards.
    #[uniffi::constructor]
    pub fn open_descriptor(descriptor: i32, offset: u64, length: u64) -> Result<Arc<Self>> {
        let (file, part) = descriptor::part(descriptor, offset, length)?;
        Self::of(Emoji::open_part(&file, part, Path::new(descriptor::NAME)))
    }

    /// Up to `count` emoji, eight at most, for the word with which `text` ends, whatever comes after it; the most used first.
    pub fn suggest(&self, text: String, count: u32) -> Vec<String> {
        self.emoji.at_end_of(&text, count as usize)
    }
}

impl EmojiList {
    fn of(opened: std::result::Result<Emoji, ListError>) -> Result<Arc<Self>> {
        logging::begin();
        Ok(Arc::new(Self { emoji: opened? }))
    }
}
