//! A language's words, how frequent they are and which of them are offensive: a file that is mapped, not read.
//!
//! The file is a finite-state transducer (the `fst` crate's map) from a word in lower case to its cost. A transducer
//! keeps the smallest of the numbers behind a node on the way to it, so that walking down from the root shows at every letter how
//! frequent the best word is that can still be reached; the search for typing errors lives on that.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use fst::raw::Fst;
use nibble_engine::Table;

use super::list::{Kind, ListError};
use super::text;

/// What its files say they are.
const KIND: Kind = Kind { id: u64::from_be_bytes(*b"NIBLEX\0\x02"), name: "word list", pulled: "lexicon-en" };

/// The least frequent that a word can be: below one in 10^10.
pub const MAX_COST: u16 = 1023;
/// A word that no dictionary has counts as known if it is at least as frequent as this: names, and what people write in chats.
/// The usual typing errors are rarer: "teh" has 596.
pub(super) const KNOWN_COST: u16 = 560;
/// A word that no list has is as rare as this.
pub(super) const UNKNOWN_COST: u16 = 850;

/// What is known of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// -100 log10 of its frequency, at most [`MAX_COST`]: "the" has about 127.
    pub cost: u16,
    /// Whether it is in a dictionary; others were only seen in text, where "teh" is seen too.
    pub listed: bool,
}

/// The words of one language.
pub struct Lexicon {
    words: Fst<Table<u8>>,
}

impl Lexicon {
    /// Maps a file that [`build`](Self::build) made, and reads it once to compare its checksum.
    ///
    /// # Errors
    /// [`ListError::File`] if it cannot be read, [`ListError::Unfit`] if it is damaged or something else.
    pub fn open(path: &Path) -> Result<Self, ListError> {
        Ok(Self { words: KIND.open(path)? })
    }

    /// As [`open`](Self::open), the bytes `part` of a file that is open already: an asset in an app's package. `name` is what it is
    /// called in errors.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_part(file: &File, part: Range<u64>, name: &Path) -> Result<Self, ListError> {
        Ok(Self { words: KIND.open_part(file, part, name)? })
    }

    /// A file of these words, which may come in any order, and of those that are offensive, which are in lower case. Of a word
    /// that comes twice, the more frequent one counts, and it is listed if one of them is. An offensive word that is not among
    /// the words is as rare as can be: a model may know it all the same. What can be no word of a keyboard is left out: nothing,
    /// white space, control characters.
    pub fn build(words: impl IntoIterator<Item = (String, Word)>, offensive: &HashSet<String>) -> Vec<u8> {
        let rarest = Word { cost: MAX_COST, listed: false };
        let mut words: Vec<(String, Word)> = words
            .into_iter()
            .chain(offensive.iter().map(|word| (word.clone(), rarest)))
            .filter(|(word, _)| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control()))
            .map(|(word, known)| (word.to_lowercase(), known))
            .collect();
        words.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cost.cmp(&b.1.cost)));
        words.dedup_by(|later, first| {
            let same = later.0 == first.0;
            first.1.listed |= same && later.1.listed;
            same
        });
        let mut builder = KIND.builder();
        for (word, known) in words {
            let packed = known.pack(offensive.contains(&word));
            builder.insert(&word, packed).expect("the words are in order and memory takes what is written");
        }
        builder.into_inner().expect("memory takes what is written")
    }

    /// The words themselves, without a file; none is offensive.
    pub fn of(words: impl IntoIterator<Item = (String, Word)>) -> Self {
        Self::with_offensive(words, &HashSet::new())
    }

    /// The words themselves and those that are offensive, as in [`build`](Self::build), without a file.
    pub fn with_offensive(words: impl IntoIterator<Item = (String, Word)>, offensive: &HashSet<String>) -> Self {
        Self { words: Fst::new(Table::from(Self::build(words, offensive))).expect("what was just built is sound") }
    }

    /// What is known of a word; it is looked up in lower case and with straight apostrophes.
    pub fn get(&self, word: &str) -> Option<Word> {
        self.packed(word).map(Word::unpack)
    }

    /// Whether a word is a slur or an obscenity, or is joined of parts one of which is: by an apostrophe, a hyphen or a space.
    pub fn is_offensive(&self, word: &str) -> bool {
        let marked = |word: &str| self.packed(word).is_some_and(|packed| packed & OFFENSIVE != 0);
        marked(word) || word.split(|c| c == ' ' || text::is_joiner(c)).any(marked)
    }

    fn packed(&self, word: &str) -> Option<u64> {
        self.words.get(word.to_lowercase().replace('’', "'")).map(|output| output.value())
    }

    /// The cost of the most frequent word that begins with `prefix`, which is in lower case.
    pub(super) fn least_cost(&self, prefix: &str) -> Option<u16> {
        let (mut node, mut output) = (self.words.root(), 0);
        for byte in prefix.bytes() {
            let transition = node.transition(node.find_input(byte)?);
            output += transition.out.value();
            node = self.words.node(transition.addr);
        }
        Some(Word::unpack(output).cost)
    }

    /// The words of at most this cost.
    pub(super) fn frequent(&self, most: u16) -> Vec<(String, Word)> {
        let mut found = Vec::new();
        let mut open = vec![(self.words.root().addr(), 0, Vec::new())];
        while let Some((address, output, spelled)) = open.pop() {
            let node = self.words.node(address);
            let whole = Word::unpack(output + node.final_output().value());
            if node.is_final() && whole.cost <= most {
                found.push((String::from_utf8_lossy(&spelled).into_owned(), whole));
            }
            // No word behind a node is more frequent than the node shows.
            for transition in node.transitions() {
                let output = output + transition.out.value();
                if Word::unpack(output).cost <= most {
                    open.push((transition.addr, output, [&spelled[..], &[transition.inp]].concat()));
                }
            }
        }
        found
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// For walking over the words letter by letter: byte by byte of UTF-8.
    pub(super) fn walk(&self) -> &Fst<Table<u8>> {
        &self.words
    }
}

/// The bits of what is packed of a word: its cost is above them.
const UNLISTED: u64 = 1;
const OFFENSIVE: u64 = 2;

impl Word {
    /// The cost in the higher bits, so that the smallest of many numbers has the smallest cost.
    fn pack(self, offensive: bool) -> u64 {
        let unlisted = if self.listed { 0 } else { UNLISTED };
        let offensive = if offensive { OFFENSIVE } else { 0 };
        u64::from(self.cost.min(MAX_COST)) << 2 | offensive | unlisted
    }

    pub(super) fn unpack(value: u64) -> Self {
        Self { cost: (value >> 2).min(u64::from(MAX_COST)) as u16, listed: value & UNLISTED == 0 }
    }

    /// Whether it is one, and no slip that was seen in text.
    pub(super) fn is_known(self) -> bool {
        self.listed || self.cost <= KNOWN_COST
    }

    /// ln of its frequency.
    pub fn log_frequency(self) -> f64 {
        -nats(self.cost)
    }
}

/// A cost in nats.
pub(super) fn nats(cost: u16) -> f64 {
    f64::from(cost) / 100.0 * std::f64::consts::LN_10
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(word: &str, cost: u16, listed: bool) -> (String, Word) {
        (word.to_owned(), Word { cost, listed })
    }

    #[test]
    fn words_in_any_order_and_twice_are_found() {
        let list = [word("to", 160, true), word("Be", 250, false), word("be", 240, false), word("be", 300, true)];
        let lexicon = Lexicon::of(list.into_iter().chain([word("", 1, true), word("a b", 1, true)]));
        assert_eq!(lexicon.len(), 2);
        assert_eq!(lexicon.get("BE"), Some(Word { cost: 240, listed: true }));
        assert_eq!(lexicon.get("to"), Some(Word { cost: 160, listed: true }));
        assert_eq!(lexicon.get("t"), None);
        assert_eq!(Lexicon::of([word("x", 5000, true)]).get("x").unwrap().cost, MAX_COST);
        assert!(Lexicon::of([]).is_empty());
    }

    #[test]
    fn a_node_knows_the_most_frequent_word_behind_it() {
        let words = [word("the", 127, true), word("then", 280, true), word("thou", 500, false), word("to", 160, true)];
        let lexicon = Lexicon::of(words);
        let reach = |prefix| lexicon.least_cost(prefix).unwrap();
        assert_eq!(["t", "th", "then", "tho", "to"].map(reach), [127, 127, 280, 500, 160]);
        assert_eq!(lexicon.least_cost("x"), None);
        let mut frequent: Vec<String> = lexicon.frequent(280).into_iter().map(|(word, _)| word).collect();
        frequent.sort();
        assert_eq!(frequent, ["the", "then", "to"]);
    }

    #[test]
    fn offensive_words_are_marked_in_every_case_and_as_parts() {
        let offensive = ["scum", "pest", "rot"].map(str::to_owned).into();
        let words =
            [word("scum", 400, true), word("scummy", 500, true), word("rote", 450, false), word("rot", 470, true)];
        let lexicon = Lexicon::with_offensive(words, &offensive);
        for marked in ["scum", "SCUM", "scum's", "scum’s", "pest-free", "the scum", "rot"] {
            assert!(lexicon.is_offensive(marked), "{marked}");
        }
        for innocent in ["scummy", "rote", "tempest", "none", ""] {
            assert!(!lexicon.is_offensive(innocent), "{innocent}");
        }
        assert_eq!(lexicon.get("scum"), Some(Word { cost: 400, listed: true }), "it is a word like any other");
        assert_eq!(lexicon.get("pest"), Some(Word { cost: MAX_COST, listed: false }), "it is known, and rare");
        assert_eq!(lexicon.least_cost("sc"), Some(400));
    }

    #[test]
    fn a_file_that_is_no_word_list_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.fst");
        let good = Lexicon::build([word("one", 300, true), word("two", 310, true)], &HashSet::new());
        std::fs::write(&path, &good).unwrap();
        assert_eq!(Lexicon::open(&path).unwrap().len(), 2);
        let foreign = fst::Map::from_iter([("one", 1)]).unwrap().into_fst().into_inner();
        let version_1 = u64::from_be_bytes(*b"NIBLEX\0\x01");
        let earlier = fst::raw::Builder::new_type(Vec::new(), version_1).unwrap().into_inner().unwrap();
        let mut flipped = good.clone();
        flipped[20] ^= 0x40;
        for (bytes, why) in [
            (&good[..good.len() - 3], "word list"),
            (&foreign[..], "another kind"),
            (&earlier[..], "version; fetch it again: nibble pull --force"),
            (&flipped[..], "damaged"),
            (b"", "word list"),
            (b"no list", "no word list"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = Lexicon::open(&path).err().unwrap().to_string();
            assert!(error.contains("words.fst") && error.contains(why), "{error}");
        }
        assert!(matches!(Lexicon::open(&folder.path().join("none")), Err(ListError::File(_))));
    }

    #[test]
    fn a_list_may_lie_in_a_larger_file() {
        let list = Lexicon::build([word("one", 300, true), word("two", 310, true)], &HashSet::new());
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&path, [b"head", &list[..], b"tail"].concat()).unwrap();
        let open = |part| Lexicon::open_part(&File::open(&path).unwrap(), part, Path::new("in the open file"));
        let end = 4 + list.len() as u64;
        assert!(open(4..end).unwrap().get("two").is_some());
        for part in [0..end, 4..end + 1, 4..end - 1, end..4, 4..1 << 40] {
            let error = open(part.clone()).err().unwrap();
            let named = error.to_string().contains("in the open file");
            assert!(named && matches!(error, ListError::Unfit { .. }), "{part:?}: {error}");
        }
    }
}
