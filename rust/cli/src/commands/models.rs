//! `nibble models`: the registry, and what of it is on this machine.

use std::io::{Write, stdout};

use serde_json::json;

use crate::failure::Result;
use crate::fetch;
use crate::lexicon;
use crate::registry::Registry;
use crate::store::Store;
use crate::terminal::{Align, Paint, Table, bytes};

/// Lists the models and word lists that can be pulled, and which are here
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
        for entry in registry.word_lists() {
            let file = lexicon::find(&store, entry);
            // What has to be fetched: how long the list itself is, its builder decides.
            let size = entry.sources().iter().map(|wanted| wanted.size).sum();
            let here = if file.is_some() { "built" } else { "-" };
            list.push(json!({
                "kind": "lexicon",
                "name": entry.name, "aliases": [], "title": entry.title, "default": false,
                "size": size, "licence": entry.licence, "licence_url": entry.licence_url,
                "languages": [entry.language], "chat": false,
                "present": file.is_some(), "file": file,
            }));
            table.row([
                entry.name.clone(),
                bytes(size),
                entry.licence.clone(),
                entry.language.clone(),
                "-".to_owned(),
                here.to_owned(),
            ]);
        }
        let (mut out, paint) = (stdout().lock(), Paint::stdout());
        if self.json {
            serde_json::to_writer_pretty(&mut out, &list)?;
            return Ok(writeln!(out)?);
        }
        table.write(&mut out, paint)?;
        let legend =
            "* the model of commands without --model; `nibble pull NAME` fetches one, or builds a word list (lexicon)";
        Ok(writeln!(out, "\n{}", paint.dim(legend))?)
    }
}
