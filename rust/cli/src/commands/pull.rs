//! `nibble pull`: a model of the registry is fetched, verified and packed, a list of words or emoji is built; a GGUF of one's own is packed.

use std::io::{Write, stdout};

use serde_json::json;

use crate::emoji;
use crate::failure::{Failure, Result};
use crate::fetch;
use crate::lexicon::{self, Built};
use crate::model::{self, Packing};
use crate::registry::Registry;
use crate::store::Store;

/// Fetches a model and packs it, builds a list of words or emoji, or packs a GGUF file
#[derive(clap::Args)]
#[command(after_help = "\
Sources are tried in order; what arrives is refused unless its SHA-256 is the registry's. A pull that was
stopped, by whatever, is simply run again: it continues where it was.

Examples:
  nibble pull                        the default model
  nibble pull gemma-3-270m
  nibble pull lexicon-en             the words of English; lexicon-de, lexicon-fr and lexicon-es too
  nibble pull emoji-en               the emoji of its words; emoji-de, emoji-fr and emoji-es too
  nibble pull ./my-model.gguf        packs a file of your own; --model ./my-model.gguf then starts at once
  NIBBLE_MODELS=~/gguf nibble pull   takes the file from ~/gguf instead of the network, if it is there")]
pub struct Args {
    /// Names from `nibble models`, or GGUF files; without any, the default model
    #[arg(value_name = "NAME|FILE.gguf")]
    names: Vec<String>,
    /// Every model of the registry, but no lists
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Fetches, packs and builds again what is already there
    #[arg(long)]
    force: bool,
    /// Fetches only; the model is packed when it is first used. Lists are always built
    #[arg(long)]
    no_pack: bool,
    /// Prints one JSON object a model or list
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let (registry, store) = (Registry::load()?, Store::new());
        let names = match (self.all, self.names.as_slice()) {
            (true, _) => registry.entries().iter().map(|e| e.name.clone()).collect(),
            (false, []) => vec![registry.default_entry().name.clone()],
            (false, named) => named.to_vec(),
        };
        for name in names {
            if let Some(list) = registry.word_list(&name) {
                self.say("lexicon", &list.name, lexicon::ensure(&store, list, self.force)?)?;
                continue;
            }
            if let Some((list, words)) = registry.emoji_list(&name) {
                self.say("emoji", &list.name, emoji::ensure(&store, list, words, self.force)?)?;
                continue;
            }
            let (file, fetched) = match registry.find(&name) {
                Some(entry) => fetch::ensure(&store, entry.wanted(), self.force)?,
                None => (model::existing_file(&registry, &name)?, false),
            };
            let (packed, made) = match self.no_pack {
                true => (None, false),
                false => match model::pack(&store, &file, self.force)? {
                    Packing::Done { packed, made } => (Some(packed), made),
                    Packing::Unsupported(error) => {
                        return Err(Failure::Failed(format!(
                            "{error}; candle may run it as it is: give it as --model"
                        )));
                    }
                },
            };
            let mut out = stdout().lock();
            if self.json {
                let done = json!({
                    "kind": "model", "name": name, "file": file, "fetched": fetched, "packed": packed, "made": made,
                });
                writeln!(out, "{done}")?;
                continue;
            }
            let what = match (fetched, made) {
                (true, true) => "fetched, verified and packed",
                (true, false) => "fetched and verified",
                (false, true) => "packed",
                (false, false) => "is already here",
            };
            writeln!(out, "{name} {what}: {}", packed.unwrap_or(file).display())?;
        }
        Ok(())
    }

    fn say(&self, kind: &str, name: &str, Built { file, fetched, made }: Built) -> Result<()> {
        let mut out = stdout().lock();
        if self.json {
            let done = json!({ "kind": kind, "name": name, "file": file, "fetched": fetched, "made": made });
            return Ok(writeln!(out, "{done}")?);
        }
        let what = match (fetched, made) {
            (true, _) => "fetched, verified and built",
            (false, true) => "built",
            (false, false) => "is already here",
        };
        Ok(writeln!(out, "{name} {what}: {}", file.display())?)
    }
}
