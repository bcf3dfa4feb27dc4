//! Word lists: what wordfreq and pyspellchecker know of a language's words becomes one file that a keyboard maps. Which of them
//! are offensive is told by a third source, as `offensive.rs` reads it.
//!
//! * Every word of the dictionary is listed. What wordfreq alone has was only seen in text: it is kept if it is frequent enough
//!   to be more than somebody's typing error, and unlisted.
//! * The frequency is wordfreq's, over many kinds of text. The dictionary's own counts are of subtitles, and the same for all
//!   words that were added by hand.
//! * Both sources spell in their own way. wordfreq writes ß as ss, and the French dictionary œ as oe; a word that one of them
//!   lacks is looked up as it would spell it. Where wordfreq takes a word with an apostrophe for two words ("y'all"), the
//!   dictionary's count is all that is known.
//! * A letter by itself is mostly an initial, a list's number or half a word ("l'eau") in wordfreq, and dictionaries list the
//!   alphabet. It is listed if people say it in subtitles: "a", "I", "à", "y".

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use nibble_tasks::keyboard::lexicon::{Lexicon, MAX_COST, Word};
use serde::Deserialize;
use serde::de::{Error as _, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::fetch;
use crate::offensive;
use crate::registry::WordList;
use crate::store::{Store, publish};

/// Counts up with every change of the file's format or of the rules above, so that a newer Nibble builds its own.
const VERSION: u32 = 2;

/// Words of wordfreq alone that cost more than this are left out: one in ten million, where typing errors and names begin
/// to outnumber words.
const MAX_UNLISTED: u16 = 700;

/// A letter by itself that costs more than this, by the dictionary's own counts, is not listed.
const MAX_LETTER: u16 = 450;

/// A list on this machine, of words or of emoji.
pub struct Built {
    /// Its file.
    pub file: PathBuf,
    /// Whether a source file was fetched for it just now.
    pub fetched: bool,
    /// Whether it was built just now.
    pub made: bool,
}

/// The file of `list`, if it was built.
pub fn find(store: &Store, list: &WordList) -> Option<PathBuf> {
    find_file(store, &file_name(list))
}

/// Fetches the sources of `list` and builds it, unless it is there; also if it is there with `force`.
///
/// # Errors
/// As [`fetch::ensure`]; and if a source is no file of its kind, naming it. A list that was there stays as it was.
pub fn ensure(store: &Store, list: &WordList, force: bool) -> Result<Built> {
    ensure_file(store, &file_name(list), force, || {
        let (frequencies, fetched) = fetch::ensure(store, list.frequencies.wanted(), force)?;
        let (dictionary, fetched_too) = fetch::ensure(store, list.dictionary.wanted(), force)?;
        let (offensive, fetched_last) = fetch::ensure(store, list.offensive.wanted(), force)?;
        let words = combine(unpack(&frequencies, parse_frequencies)?, unpack(&dictionary, parse_dictionary)?);
        let entries = parsed(&offensive, offensive::parse)?;
        let offensive =
            offensive::choose(entries, &list.spared, &list.added, words.iter().map(|(word, _)| word.as_str()));
        Ok((Lexicon::build(words, &offensive), fetched || fetched_too || fetched_last))
    })
}

/// The list in the file `name`, if it was built.
pub fn find_file(store: &Store, name: &str) -> Option<PathBuf> {
    Some(store.lexicon_path(name)).filter(|path| path.is_file())
}

/// Writes what `make` makes, and says whether it had to fetch something for it, to the list's file `name`; unless it is there, or
/// although it is there with `force`.
pub fn ensure_file(
    store: &Store,
    name: &str,
    force: bool,
    make: impl FnOnce() -> Result<(Vec<u8>, bool)>,
) -> Result<Built> {
    let here = || find_file(store, name).filter(|_| !force).map(|file| Built { file, fetched: false, made: false });
    if let Some(built) = here() {
        return Ok(built);
    }
    let path = store.lexicons()?.join(name);
    let _lock = store.lock(name)?;
    // Whoever held the lock may have built it.
    if let Some(built) = here() {
        return Ok(built);
    }
    let (list, fetched) = make()?;
    let part = path.with_extension("part");
    fs::write(&part, list).map_err(|error| {
        // Half a list is of no use, least of all on a full disk; if it cannot be removed, the next pull replaces it.
        let _ = fs::remove_file(&part);
        Failure::io("write", &part, &error)
    })?;
    publish(&part, &path)?;
    Ok(Built { file: path, fetched, made: true })
}

fn file_name(list: &WordList) -> String {
    let sources = list.sources().map(|wanted| wanted.sha256);
    let verdicts = [list.spared.join(" "), list.added.join(" ")];
    name_of(&list.name, &[&sources[..], &verdicts.each_ref().map(String::as_str)].concat(), VERSION)
}

/// Names what a list is made of, so that a list of something else is another file.
pub fn name_of(list: &str, made_of: &[&str], version: u32) -> String {
    let sha12 = nibble_engine::hexadecimal(&Sha256::digest(made_of.join("\n"))[..6]);
    format!("{list}-{sha12}.v{version}.fst")
}

/// What `parse` makes of the file at `path`.
pub fn parsed<T>(path: &Path, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<T> {
    let bytes = fs::read(path).map_err(|e| Failure::io("read", path, &e))?;
    parse(&bytes).map_err(|why| Failure::Failed(format!("cannot build a list from {}: {why}", path.display())))
}

/// What `parse` makes of what is in the gzip file at `path`.
pub fn unpack<T>(path: &Path, parse: impl Fn(&[u8]) -> Result<T, String>) -> Result<T> {
    parsed(path, |packed| {
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).map_err(|e| format!("it is no whole gzip file ({e})"))?;
        parse(&bytes)
    })
}

/// Words and how frequent they are in text.
#[derive(Debug)]
pub struct Frequencies {
    /// -100 log10 of the frequency.
    pub costs: HashMap<String, u16>,
    /// What a word costs at least that is not in it.
    pub rarest: u16,
}

impl Frequencies {
    /// What a word costs.
    pub fn cost(&self, word: &str) -> u16 {
        self.costs.get(word).copied().unwrap_or(self.rarest)
    }
}

/// wordfreq's packing, in MessagePack: after a header, the words that cost 0, the words that cost 1, and so on.
pub fn parse_frequencies(bytes: &[u8]) -> Result<Frequencies, String> {
    rmp_serde::from_slice(bytes).map_err(|e| format!("it is no list of frequencies ({e})"))
}

impl<'de> Deserialize<'de> for Frequencies {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Steps;
        impl<'de> Visitor<'de> for Steps {
            type Value = Frequencies;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a header and lists of words")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut steps: A) -> Result<Frequencies, A::Error> {
                #[derive(Deserialize)]
                struct Header {
                    format: String,
                    version: u32,
                }
                let Header { format, version } =
                    steps.next_element()?.ok_or_else(|| A::Error::custom("it has no header"))?;
                if (format.as_str(), version) != ("cB", 1) {
                    let found = format!("its format is {format:?} in version {version}, not \"cB\" in version 1");
                    return Err(A::Error::custom(found));
                }
                let (mut costs, mut cost) = (HashMap::new(), 0);
                while let Some(words) = steps.next_element::<Vec<String>>()? {
                    costs.extend(words.into_iter().map(|word| (word, cost)));
                    cost = MAX_COST.min(cost + 1);
                }
                Ok(Frequencies { costs, rarest: cost })
            }
        }
        deserializer.deserialize_seq(Steps)
    }
}

/// pyspellchecker's packing: a JSON object of words and how often they came in subtitles.
fn parse_dictionary(bytes: &[u8]) -> Result<HashMap<String, u64>, String> {
    serde_json::from_slice(bytes).map_err(|e| format!("it is no object of words and counts ({e})"))
}

/// The list of both sources' words; the top of this file has the rules.
fn combine(text: Frequencies, dictionary: HashMap<String, u64>) -> Vec<(String, Word)> {
    let total: f64 = dictionary.values().map(|&count| count as f64).sum();
    let counted = |count: u64| (-100.0 * (count as f64 / total).log10()).round() as u16;
    let mut words = Vec::with_capacity(dictionary.len() + text.costs.len());
    for (word, &count) in &dictionary {
        if is_letter(word) && counted(count) > MAX_LETTER {
            continue;
        }
        let seen = text.costs.get(word).or_else(|| text.costs.get(&spelled_out(word))).copied();
        let cost = seen.unwrap_or_else(|| match word.contains('\'') {
            true => counted(count).min(text.rarest),
            false => text.rarest,
        });
        words.push((word.replace('’', "'"), Word { cost, listed: true }));
    }
    for (word, cost) in text.costs {
        // What was listed above stays so; all that is new here are words that the dictionary spells out, and lacks.
        let listed = !is_letter(&word) && dictionary.contains_key(&spelled_out(&word));
        if listed || (cost <= MAX_UNLISTED && is_spelled(&word)) {
            words.push((word, Word { cost, listed }));
        }
    }
    words
}

/// Without the letters that one of the sources writes as two.
pub fn spelled_out(word: &str) -> String {
    word.replace('ß', "ss").replace('œ', "oe").replace('æ', "ae")
}

fn is_letter(word: &str) -> bool {
    word.chars().nth(1).is_none()
}

/// Whether it is made of letters, hyphens and apostrophes; others are numbers, symbols, and halves of addresses.
pub fn is_spelled(word: &str) -> bool {
    word.chars().any(char::is_alphabetic) && word.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '-'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn frequencies(costs: &[(&str, u16)]) -> Frequencies {
        Frequencies { costs: costs.iter().map(|&(word, cost)| (word.to_owned(), cost)).collect(), rarest: 800 }
    }

    fn dictionary(counts: &[(&str, u64)]) -> HashMap<String, u64> {
        counts.iter().map(|&(word, count)| (word.to_owned(), count)).collect()
    }

    fn listed(cost: u16) -> Option<Word> {
        Some(Word { cost, listed: true })
    }

    fn unlisted(cost: u16) -> Option<Word> {
        Some(Word { cost, listed: false })
    }

    #[test]
    fn the_place_of_a_word_is_its_cost() {
        let packed = json!([{ "format": "cB", "version": 1 }, [], ["the", "of"], [], ["straße"]]);
        let read = parse_frequencies(&rmp_serde::to_vec(&packed).unwrap()).unwrap();
        assert_eq!(read.costs, frequencies(&[("the", 1), ("of", 1), ("straße", 3)]).costs);
        assert_eq!(read.rarest, 4, "a word that is not there is rarer than all that are");

        let header = [json!({ "format": "cB", "version": 1 })];
        let long: Vec<_> = header.into_iter().chain((0..1100).map(|_| json!([]))).collect();
        assert_eq!(parse_frequencies(&rmp_serde::to_vec(&long).unwrap()).unwrap().rarest, MAX_COST);
    }

    #[test]
    fn frequencies_of_another_kind_are_refused() {
        let good = rmp_serde::to_vec(&json!([{ "format": "cB", "version": 1 }, ["the"]])).unwrap();
        assert!(parse_frequencies(&good).is_ok());
        for cut in 0..good.len() {
            assert!(parse_frequencies(&good[..cut]).is_err(), "{cut} bytes of {}", good.len());
        }
        for (packed, why) in [
            (json!([{ "format": "cB", "version": 2 }, ["the"]]), "\"cB\" in version 2, not \"cB\" in version 1"),
            (json!([{ "format": "dB", "version": 1 }, ["the"]]), "\"dB\" in version 1, not"),
            (json!([{ "format": "cB" }, ["the"]]), "version"),
            (json!([{ "format": "cB", "version": 1 }, "the"]), "invalid type: string"),
            (json!([{ "format": "cB", "version": 1 }, [7]]), "invalid type: integer"),
            (json!([["the"]]), "invalid"),
            (json!([]), "it has no header"),
            (json!({ "the": 1 }), "invalid type: map"),
        ] {
            let error = parse_frequencies(&rmp_serde::to_vec(&packed).unwrap()).unwrap_err();
            assert!(error.contains("no list of frequencies") && error.contains(why), "{packed}: {error}");
        }
    }

    #[test]
    fn a_dictionary_is_an_object_of_counts() {
        assert_eq!(parse_dictionary(br#"{"the": 7, "don't": 2}"#).unwrap(), dictionary(&[("the", 7), ("don't", 2)]));
        for bad in ["", "[\"the\"]", "{\"the\": -1}", "{\"the\": \"7\"}", "{\"the\": 7", "{\"the\": 7} x", "7"] {
            let error = parse_dictionary(bad.as_bytes()).unwrap_err();
            assert!(error.contains("no object of words and counts"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_source_that_is_cut_off_or_no_gzip_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.json.gz");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, br#"{"the": 7}"#).unwrap();
        let good = packed.finish().unwrap();
        fs::write(&path, &good).unwrap();
        assert_eq!(unpack(&path, parse_dictionary).unwrap().len(), 1);
        for bad in [&good[..good.len() - 1], &good[..12], b"", br#"{"the": 7}"#] {
            fs::write(&path, bad).unwrap();
            let error = unpack(&path, parse_dictionary).unwrap_err().to_string();
            assert!(error.contains("words.json.gz") && error.contains("no whole gzip file"), "{error}");
        }
    }

    #[test]
    fn dictionary_words_are_listed_and_others_must_be_frequent() {
        let text = frequencies(&[("the", 127), ("teh", 596), ("zyx", 700), ("zyxw", 701), ("rare", 790), ("mp3", 500)]);
        let words = Lexicon::of(combine(text, dictionary(&[("the", 900), ("rare", 50), ("abacist", 50)])));
        assert_eq!(
            ["the", "teh", "zyx", "zyxw"].map(|word| words.get(word)),
            [listed(127), unlisted(596), unlisted(700), None]
        );
        assert_eq!(words.get("rare"), listed(790));
        assert_eq!(words.get("abacist"), listed(800), "not in text, so rarer than what is, whatever its count");
        assert_eq!(words.get("mp3"), None);
    }

    #[test]
    fn what_is_spelled_in_two_ways_is_one_word() {
        let text = frequencies(&[("weiss", 266), ("maße", 500), ("cœur", 383), ("coeur", 401), ("d'accord", 300)]);
        let words =
            dictionary(&[("weiß", 9), ("coeur", 9), ("maße", 9), ("y'all", 99_873), ("d’accord", 9), ("it's", 91)]);
        let words = Lexicon::of(combine(text, words));
        assert_eq!((words.get("weiß"), words.get("weiss")), (listed(266), unlisted(266)));
        assert_eq!((words.get("cœur"), words.get("coeur")), (listed(383), listed(401)));
        assert_eq!(words.get("maße"), listed(500));
        assert_eq!(words.get("d'accord"), listed(300), "one apostrophe for all");
        assert_eq!((words.get("y'all"), words.get("it's")), (listed(0), listed(304)), "as the dictionary counted them");
    }

    #[test]
    fn a_letter_is_listed_if_it_is_said() {
        let text =
            frequencies(&[("a", 164), ("s", 314), ("ñ", 710), ("°", 400), ("😂", 475), ("u.s", 330), ("-", 300)]);
        let words =
            Lexicon::of(combine(text, dictionary(&[("a", 48_000_000), ("s", 50), ("ñ", 50), ("as", 1_000_000)])));
        assert_eq!((words.get("a"), words.get("s")), (listed(164), unlisted(314)));
        assert_eq!(words.len(), 3, "no rare letters, no symbols");
    }
}
