//! `nibble demo`: predictions and replies, live at a terminal or as a short built-in conversation.

mod screen;
mod script;
mod typist;

use std::io::{IsTerminal, stdin, stdout};
use std::path::Path;
use std::time::Instant;

use crate::failure::Result;
use crate::fetch;
use crate::model::ModelArgs;
use crate::registry::Registry;
use crate::store::Store;

/// Shows words as you type, and replies to messages
#[derive(clap::Args)]
#[command(after_help = "\
At a terminal: type, and take a suggestion with Tab or 1-3; Ctrl-R changes to replies, Esc leaves. Elsewhere, or
with --plain, a short conversation is played and what was predicted is printed.

The default model is fetched first if it is not here.

Examples:
  nibble demo
  nibble demo --model gemma-3-270m
  nibble demo --plain")]
pub struct Args {
    /// Plays the built-in conversation, even at a terminal
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let start = Instant::now();
        let (registry, store) = (Registry::load()?, Store::new());
        let entry = match &self.model.model {
            None => Some(registry.default_entry()),
            Some(name) => registry.find(name),
        };
        if let Some(entry) = entry {
            fetch::ensure(&store, entry.wanted(), false)?;
        }
        let file = self.model.model.as_deref().map(|f| Path::new(f).file_stem().unwrap_or_default().to_string_lossy());
        let name = entry.map(|e| e.name.as_str()).or(file.as_deref()).unwrap_or_default();
        let mut runner = self.model.open()?;
        let about = format!("{name}, {}, opened in {} ms", runner.how(), start.elapsed().as_millis());
        if !self.plain && stdin().is_terminal() && stdout().is_terminal() {
            screen::run(&mut runner, &about)
        } else {
            script::run(&mut runner, &about, start, &mut stdout().lock())
        }
    }
}

/// Messages that come in, for both forms of the demo.
const MESSAGES: [&str; 5] = [
    "Hey! Are you coming to the party on Saturday?",
    "I got the job!!",
    "Sorry, I'm running ten minutes late.",
    "Could you send me the address?",
    "Thank you so much for your help yesterday.",
];
