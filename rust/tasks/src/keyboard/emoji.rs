//! The emoji that a word calls to mind: a file that is mapped, not read.
//!
//! The file is a finite-state transducer as that of a word list is (the `fst` crate's set): of keys that are a keyword in lower
//! case, a zero, the place among the keyword's emoji as a byte, and the emoji. All emoji of a word are beside each other so, in
//! the order of their use.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use fst::raw::Fst;
use fst::{IntoStreamer, Streamer};
use nibble_engine::Table;

use super::list::{Kind, ListError};
use super::text;

/// What its files say they are.
const KIND: Kind = Kind { id: u64::from_be_bytes(*b"NIBEMO\0\x01"), name: "emoji list", pulled: "emoji-en" };

/// Emoji that are kept of a keyword.
pub const MOST: usize = 8;

/// Letters of the shortest word that is taken for a plural.
const SHORTEST_PLURAL: usize = 4;

/// The emoji of one language's words.
pub struct Emoji {
    keys: Fst<Table<u8>>,
}

impl Emoji {
    /// Maps a file that [`build`](Self::build) made, and reads it once to compare its checksum.
    ///
    /// # Errors
    /// [`ListError::File`] if it cannot be read, [`ListError::Unfit`] if it is damaged or something else.
    pub fn open(path: &Path) -> Result<Self, ListError> {
        Ok(Self { keys: KIND.open(path)? })
    }

    /// As [`open`](Self::open), the bytes `part` of a file that is open already: an asset in an app's package. `name` is what it is
    /// called in errors.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_part(file: &File, part: Range<u64>, name: &Path) -> Result<Self, ListError> {
        Ok(Self { keys: KIND.open_part(file, part, name)? })
    }

    /// A file of keywords, in any order and each once, and their emoji, best first, of which [`MOST`] are kept.
    pub fn build(keywords: impl IntoIterator<Item = (String, Vec<String>)>) -> Vec<u8> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for (keyword, emoji) in keywords {
            let beginning = key_of(&keyword);
            keys.extend((1..).zip(emoji.iter().take(MOST)).map(|(place, emoji)| {
                let place: u8 = place;
                [beginning.as_slice(), &[place], emoji.as_bytes()].concat()
            }));
        }
        keys.sort();
        let mut builder = KIND.builder();
        for key in keys {
            builder.add(&key).expect("the keys are in order and memory takes what is written");
        }
        builder.into_inner().expect("memory takes what is written")
    }

    /// Up to `most` emoji for a whole word in any case, best first; there are [`MOST`] at most. A word that has none may be the
    /// plural, with an s, of one that has.
    pub fn for_word(&self, word: &str, most: usize) -> Vec<String> {
        let found = self.of(word, most);
        match word.strip_suffix(['s', 'S']) {
            Some(singular) if found.is_empty() && word.chars().count() >= SHORTEST_PLURAL => self.of(singular, most),
            _ => found,
        }
    }

    /// Up to `most` emoji for the word with which `text` ends, whatever comes after it.
    pub fn at_end_of(&self, text: &str, most: usize) -> Vec<String> {
        let text = text.trim_end_matches(|c| !text::is_word(c));
        let before = text.trim_end_matches(|c| text::is_word(c) || text::is_joiner(c));
        self.for_word(text[before.len()..].trim_start_matches(text::is_joiner), most)
    }

    fn of(&self, word: &str, most: usize) -> Vec<String> {
        let beginning = key_of(word);
        let mut keys = self.keys.range().ge(&beginning).into_stream();
        let mut found = Vec::new();
        while let Some((key, _)) = keys.next().filter(|_| found.len() < most) {
            let Some([_place, emoji @ ..]) = key.strip_prefix(beginning.as_slice()) else { break };
            found.extend(String::from_utf8(emoji.to_vec()));
        }
        found
    }
}

/// What the keys of a word begin with.
fn key_of(word: &str) -> Vec<u8> {
    let mut key = word.to_lowercase().replace('’', "'").into_bytes();
    key.push(0);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIZZA: &str = "🍕";
    const HEARTS: [&str; 2] = ["❤️", "💕"];

    fn built() -> Vec<u8> {
        let strings = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        Emoji::build([
            ("pizza".to_owned(), strings(&[PIZZA])),
            ("heart".to_owned(), strings(&HEARTS)),
            ("glasses".to_owned(), strings(&["👓"])),
            ("glass".to_owned(), strings(&["🥛"])),
            ("ok".to_owned(), strings(&["👌"])),
            (
                "many".to_owned(),
                vec!["x".to_owned(); 300].into_iter().enumerate().map(|(i, x)| format!("{x}{i}")).collect(),
            ),
        ])
    }

    fn open(bytes: &[u8]) -> Result<Emoji, ListError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("emoji.fst");
        std::fs::write(&path, bytes).unwrap();
        Emoji::open(&path)
    }

    #[test]
    fn a_whole_word_has_its_emoji_best_first() {
        let emoji = open(&built()).unwrap();
        assert_eq!(emoji.for_word("heart", 8), HEARTS);
        assert_eq!(emoji.for_word("HEARTS", 1), HEARTS[..1]);
        assert_eq!((emoji.for_word("glass", 8), emoji.for_word("glasses", 8)), (vec!["🥛".into()], vec!["👓".into()]));
        for none in ["pizz", "pizzas'", "piz", "oks", "", "s", "pizza\0", "none"] {
            assert_eq!(emoji.for_word(none, 8), Vec::<String>::new(), "{none}");
        }
        assert_eq!(emoji.for_word("pizza", 0), Vec::<String>::new());
        assert_eq!(emoji.for_word("many", 20), (0..MOST).map(|i| format!("x{i}")).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_word_of_a_text_counts() {
        let emoji = open(&built()).unwrap();
        for text in ["pizza", "I love Pizza", "I love pizza ", "(pizza", "pizza! ", "no-pizza pizza?!\n", "'pizza'"] {
            assert_eq!(emoji.at_end_of(text, 3), [PIZZA], "{text}");
        }
        for text in ["", " ", "!?", "pizza is", "no-pizza", "\u{301}"] {
            assert_eq!(emoji.at_end_of(text, 3), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_no_emoji_list_is_refused_by_name() {
        let good = built();
        let words = super::super::lexicon::Lexicon::build([], &["word".to_owned()].into());
        let mut flipped = good.clone();
        flipped[20] ^= 0x40;
        for (bytes, why) in [
            (&good[..good.len() - 3], "emoji list"),
            (&words[..], "another kind"),
            (&flipped[..], "damaged"),
            (b"", "no emoji list"),
            (b"no list", "no emoji list"),
        ] {
            let error = open(bytes).err().unwrap().to_string();
            assert!(error.contains("emoji.fst") && error.contains(why) && error.contains("nibble pull"), "{error}");
        }
        assert!(matches!(Emoji::open(Path::new("none")), Err(ListError::File(_))));
    }
}
