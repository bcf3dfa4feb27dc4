//! `nibble predict`: the words that a keyboard would offer.

use std::io::{Write, stdout};
use std::time::Instant;

use nibble_tasks::keyboard::{Keyboard, Kind, Options, Query};

use super::keyboard::Answer;
use crate::failure::{Failure, Result};
use crate::model::ModelArgs;
use crate::terminal::{Align, Paint, Table, millis};

/// Predicts the next word, or completes the one being typed
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nibble predict --context 'See you '              the next word
  nibble predict --context 'See you ' --typed to   the word that begins with \"to\"
  nibble predict --context 'See you ' --json | jq -r '.suggestions[0].word'")]
pub struct Args {
    /// The text before the word, with the space that ends it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    context: String,
    /// The letters of the word typed so far
    #[arg(short, long, value_name = "PREFIX", default_value = "")]
    typed: String,
    /// How many words
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    top: u8,
    /// Prints what `nibble keyboard` prints: {suggestions: [{word, probability, kind}], autocorrect, micros}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        if self.typed.contains(char::is_whitespace) {
            return Err(Failure::Usage(
                "--typed is part of one word; text with spaces belongs in --context".to_owned(),
            ));
        }
        let mut runner = self.model.open()?;
        let mut keyboard = Keyboard::new(Options::default());
        let query = Query { context: &self.context, typed: &self.typed, touches: &[], top: usize::from(self.top) };
        let start = Instant::now();
        let found = keyboard.suggest(runner.model(), &query)?;
        let took = start.elapsed();

        let (mut out, paint) = (stdout().lock(), Paint::stdout());
        if self.json {
            serde_json::to_writer(&mut out, &Answer::new(&found, took))?;
            return Ok(writeln!(out)?);
        }
        let mut table = Table::new(&[("WORD", Align::Left), ("PROBABILITY", Align::Right), ("KIND", Align::Left)]);
        for s in &found.suggestions {
            table.row([s.word.clone(), format!("{:.1} %", s.probability * 100.0), kind(s.kind).to_owned()]);
        }
        table.write(&mut out, paint)?;
        Ok(writeln!(out, "\n{}", paint.dim(&millis(took)))?)
    }
}

/// As a person says it.
fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::NextWord => "next word",
        Kind::Completion => "completion",
        Kind::Literal => "as typed",
        Kind::Correction => "correction",
    }
}
