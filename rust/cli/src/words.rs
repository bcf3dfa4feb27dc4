//! The word list and the layout of a keyboard, as options of the commands that have one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nibble_engine::Adapter;
use nibble_tasks::keyboard::adapters::Adaptation;
use nibble_tasks::keyboard::emoji::Emoji;
use nibble_tasks::keyboard::layout::Layout;
use nibble_tasks::keyboard::learning::Learner;
use nibble_tasks::keyboard::lexicon::Lexicon;
use nibble_tasks::keyboard::primer::primer;
use nibble_tasks::keyboard::weights::Weights;
use nibble_tasks::keyboard::{Keyboard, Options};

use crate::emoji;
use crate::failure::{Failure, Result};
use crate::lexicon;
use crate::registry::Registry;
use crate::store::Store;
use crate::terminal::note;

/// The word list of commands without `--lexicon`, if it was pulled.
const DEFAULT: &str = "en";
/// What stands for no word list at all.
const NONE: &str = "none";

/// Which words there are, and where the keys.
#[derive(clap::Args)]
pub struct WordArgs {
    /// Word lists to see through typing errors with, the language that is written most first: a language, a file, or "none"; without
    /// it, English if it was pulled
    #[arg(long, value_name = "NAME|FILE.fst,...", value_delimiter = ',')]
    lexicon: Vec<String>,
    /// Where the keys are: qwerty, qwertz, azerty, dvorak, or a file of {"keys": [{"key", "x", "y", "width", "height"}]}
    #[arg(long, value_name = "NAME|FILE.json", default_value = "qwerty")]
    layout: String,
    /// Language of the few messages that the model reads before the text, or "none"; without it, that of the word list
    #[arg(long, value_name = "en|de|es|fr|none")]
    primer: Option<String>,
    /// What moves the model's predictions towards messages: a file that `nibble adapt` made, or "none"; without it, what ships for the
    /// model and the language
    #[arg(long, value_name = "FILE|none")]
    adapter: Option<String>,
    /// File of what the person has written, which is made if there is none; learning events are kept there
    #[arg(long, value_name = "FILE")]
    learned: Option<PathBuf>,
    /// Offers words too that the word list calls offensive; what is typed stays as it is in either case
    #[arg(long)]
    offensive: bool,
}

impl WordArgs {
    /// A keyboard with these words.
    pub fn keyboard(&self) -> Result<Keyboard> {
        self.keyboard_with(Weights::default())
    }

    /// The same with other weights.
    pub fn keyboard_with(&self, weights: Weights) -> Result<Keyboard> {
        let learner = self.learned.as_deref().map(open_learned).transpose()?;
        self.keyboard_of(self.options(weights)?, self.lexicons()?, learner)
    }

    /// A keyboard with those of these words that can be read. What cannot is named on standard error, stays as it is and is done
    /// without: a person who types has a keyboard all the same.
    pub fn keyboard_that_works(&self) -> Result<Keyboard> {
        let lexicons: Vec<_> = self.files()?.iter().map(|path| if_readable(open_list(path))).collect();
        let mut languages = self.languages()?;
        if languages.len() == lexicons.len() && languages.len() > 1 {
            let mut readable = lexicons.iter().map(Option::is_some);
            languages.retain(|_| readable.next().unwrap_or(true));
        }
        let learner = self.learned.as_deref().and_then(|path| if_readable(open_learned(path)));
        self.keyboard_of(
            self.options_of(Weights::default(), &languages)?,
            lexicons.into_iter().flatten().collect(),
            learner,
        )
    }

    /// How a keyboard looks for words, and weighs them.
    pub fn options(&self, weights: Weights) -> Result<Options> {
        self.options_of(weights, &self.languages()?)
    }

    fn options_of(&self, weights: Weights, languages: &[&str]) -> Result<Options> {
        let adaptation = self.adaptation()?;
        Ok(Options { offensive: self.offensive, weights, adaptation, ..Options::messages(languages) })
    }

    fn adaptation(&self) -> Result<Adaptation> {
        match self.adapter.as_deref() {
            None => Ok(Adaptation::Fitted),
            Some(NONE) => Ok(Adaptation::None),
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|error| Failure::io("read", Path::new(path), &error))?;
                let adapter =
                    Adapter::from_bytes(&bytes).map_err(|error| Failure::Failed(format!("{path}: {error}")))?;
                Ok(Adaptation::Given(Arc::new(adapter)))
            }
        }
    }

    fn keyboard_of(&self, options: Options, lexicons: Vec<Arc<Lexicon>>, learner: Option<Learner>) -> Result<Keyboard> {
        let mut keyboard = Keyboard::new(options);
        if !lexicons.is_empty() {
            keyboard = keyboard.with_lexicons(lexicons, self.layout()?);
        }
        Ok(match learner {
            Some(learner) => keyboard.with_learner(learner),
            None => keyboard,
        })
    }

    /// The word lists; none if there are to be none, or the default one was never pulled.
    pub fn lexicons(&self) -> Result<Vec<Arc<Lexicon>>> {
        self.files()?.iter().map(|path| open_list(path)).collect()
    }

    /// The languages of the primers.
    fn languages(&self) -> Result<Vec<&str>> {
        match self.primer.as_deref() {
            None if self.lexicon.is_empty() => Ok(vec![DEFAULT]),
            None => Ok(self.lexicon.iter().map(|list| language_of(list)).collect()),
            Some(NONE) => Ok(Vec::new()),
            Some(language) if primer(language).is_empty() => {
                Err(Failure::Failed("--primer is en, de, es, fr, or none".to_owned()))
            }
            Some(language) => Ok(vec![language]),
        }
    }

    /// The emoji of the words' language; of English, if there are no words or they are in a file.
    pub fn emoji(&self) -> Result<Emoji> {
        let (registry, store) = (Registry::load()?, Store::new());
        let language = self.lexicon.first().and_then(|name| registry.word_list(name));
        let language = language.map_or(DEFAULT, |list| &list.language);
        let (list, words) = registry
            .emoji_list(&format!("emoji-{language}"))
            .ok_or_else(|| Failure::Failed(format!("there is no emoji list of the language {language:?}")))?;
        let file = emoji::find(&store, list, words)
            .ok_or_else(|| Failure::Failed(format!("{} is not here; fetch it: nibble pull {0}", list.name)))?;
        Emoji::open(&file).map_err(|error| Failure::Failed(error.to_string()))
    }

    /// The files of the words; none if there are to be none, or the default ones were never pulled.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let (registry, store) = (Registry::load()?, Store::new());
        if self.lexicon.is_empty() {
            let found = listed(&registry, &store, DEFAULT);
            if found.is_none() {
                note("typing errors are not seen through without a word list; fetch one: nibble pull lexicon-en");
            }
            return Ok(found.into_iter().collect());
        }
        if self.lexicon == [NONE] {
            return Ok(Vec::new());
        }
        let file = |name: &String| match registry.word_list(name) {
            Some(list) => lexicon::find(&store, list)
                .ok_or_else(|| Failure::Failed(format!("{} is not here; fetch it: nibble pull {0}", list.name))),
            None if PathBuf::from(name).is_file() => Ok(name.into()),
            None => Err(Failure::Failed(format!(
                "there is no word list and no file called {name:?}; `nibble models` lists the word lists"
            ))),
        };
        self.lexicon.iter().map(file).collect()
    }

    /// The layout.
    pub fn layout(&self) -> Result<Layout> {
        if let Some(layout) = Layout::shipped(&self.layout) {
            return Ok(layout);
        }
        let path = PathBuf::from(&self.layout);
        if !path.is_file() {
            return Err(Failure::Failed(no_layout()));
        }
        let text = crate::input::file(&path)?;
        Layout::from_json(&text).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
    }
}

/// The word list of a language, if it was pulled.
pub fn pulled(language: &str) -> Result<Option<Arc<Lexicon>>> {
    let (registry, store) = (Registry::load()?, Store::new());
    listed(&registry, &store, language).map(|path| open_list(&path)).transpose()
}

/// The file of the word list of a language, if it was pulled.
fn listed(registry: &Registry, store: &Store, language: &str) -> Option<PathBuf> {
    registry.word_list(language).and_then(|list| lexicon::find(store, list))
}

/// The language of a word list. One of somebody's own is taken for English as far as nobody says otherwise.
fn language_of(list: &str) -> &str {
    list.rsplit('-').next().filter(|name| !primer(name).is_empty()).unwrap_or(DEFAULT)
}

fn open_list(path: &Path) -> Result<Arc<Lexicon>> {
    Lexicon::open(path).map(Arc::new).map_err(failed)
}

fn open_learned(path: &Path) -> Result<Learner> {
    Learner::open(path, None).map_err(failed)
}

/// What was opened; else it is said why not.
fn if_readable<T>(opened: Result<T>) -> Option<T> {
    opened.inspect_err(|why| note(&format!("{why}\ntyping goes on without it"))).ok()
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

/// What to say of a layout that is none.
pub fn no_layout() -> String {
    let names: Vec<_> = Layout::names().collect();
    format!("there is no layout of that name; there are {}, and any other can be given by its keys", names.join(", "))
}
