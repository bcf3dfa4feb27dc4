//! `nibble models`: the registry, and what of it is on this machine.

use std::io::{Write, stdout};
use std::path::PathBuf;

use serde_json::json;

use crate::emoji;
use crate::failure::Result;
use crate::fetch;
use crate::lexicon;
use crate::registry::Registry;
use crate::store::Store;
use crate::terminal::{Align, Paint, Table, bytes};

/// Lists the models, word lists and emoji lists that can be pulled, and which are here
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nibble models
  nibble models --json | jq -r '.[] | select(.kind == \"model\" and .present) | .name'")]
pub struct Args {
    /// Prints a JSON array
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let (registry, store) = (Registry::load()?, Store::new());
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("SIZE", Align::Right),
            ("LICENCE", Align::Left),
            ("LANGUAGES", Align::Left),
            ("CHAT", Align::Left),
            ("HERE", Align::Left),
        ]);
        let mut list = Vec::new();
        for entry in registry.entries() {
            let file = fetch::find(&store, entry.wanted())?;
            let packed = store.packed_path(entry.file.as_ref(), &entry.sha256);
            let packed = packed.is_file().then_some(packed);
            list.push(json!({
                "kind": "model",
                "name": entry.name, "aliases": entry.aliases, "title": entry.title, "default": entry.default,
                "size": entry.size, "sha256": entry.sha256, "licence": entry.licence, "licence_url": entry.licence_url,
                "languages": entry.languages, "chat": entry.chat,
                "present": file.is_some(), "file": file, "packed": packed,
            }));
            let here = match (&file, &packed) {
                (_, Some(_)) => "packed",
                (Some(_), None) => "fetched",
                (None, None) => "-",
            };
            table.row([
                format!("{}{}", entry.name, if entry.default { " *" } else { "" }),
                bytes(entry.size),
                entry.licence.clone(),
                entry.languages.join(" "),
                if entry.chat { "yes" } else { "no" }.to_owned(),
                here.to_owned(),
            ]);
        }
        // Their size is what has to be fetched: how long the list itself is, its builder decides.
        let mut built = |kind, file: Option<PathBuf>, size, [name, title, language, licence, url]: [&String; 5]| {
            let here = if file.is_some() { "built" } else { "-" };
            list.push(json!({
                "kind": kind, "name": name, "aliases": [], "title": title, "default": false,
                "size": size, "licence": licence, "licence_url": url, "languages": [language], "chat": false,
                "present": file.is_some(), "file": file,
            }));
            let [name, language, licence] = [name, language, licence].map(String::clone);
            table.row([name, bytes(size), licence, language, "-".to_owned(), here.to_owned()]);
        };
        for words in registry.word_lists() {
            let size = words.sources().iter().map(|wanted| wanted.size).sum();
            let about = [&words.name, &words.title, &words.language, &words.licence, &words.licence_url];
            built("lexicon", lexicon::find(&store, words), size, about);
        }
        for (emoji, words) in registry.emoji_lists() {
            let size = emoji.names.wanted().size + words.frequencies.wanted().size;
            let about = [&emoji.name, &emoji.title, &emoji.language, &emoji.licence, &emoji.licence_url];
            built("emoji", emoji::find(&store, emoji, words), size, about);
        }
        let (mut out, paint) = (stdout().lock(), Paint::stdout());
        if self.json {
            serde_json::to_writer_pretty(&mut out, &list)?;
            return Ok(writeln!(out)?);
        }
        table.write(&mut out, paint)?;
        let legend = "* the model of commands without --model; `nibble pull NAME` fetches one, or builds a list (lexicon, emoji)";
        Ok(writeln!(out, "\n{}", paint.dim(legend))?)
    }
}
