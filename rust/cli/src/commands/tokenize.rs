//! `nibble tokenize`: how the model cuts a text.

use std::io::{Write, stdout};

use serde_json::json;

use crate::failure::Result;
use crate::input;
use crate::model::ModelArgs;
use crate::terminal::{Align, Paint, Table};

/// Shows the tokens of a text
#[derive(clap::Args)]
#[command(after_help = "\
The text is encoded as a person's text: with the BOS that the model wants, and with everything in it that
looks like a control token left as text.

Examples:
  nibble tokenize 'Hello, world'
  nibble tokenize --json - < letter.txt")]
pub struct Args {
    /// The text, or - for stdin
    text: String,
    /// Prints a JSON array of {id, text}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let text = input::text(&self.text)?;
        let mut runner = self.model.open()?;
        let tokens = runner.encode(&text)?;
        let model = runner.model();
        let mut out = stdout().lock();
        if self.json {
            let list: Vec<_> = tokens.iter().map(|&id| json!({ "id": id, "text": model.decode(&[id]) })).collect();
            serde_json::to_writer(&mut out, &list)?;
            return Ok(writeln!(out)?);
        }
        let mut table = Table::new(&[("ID", Align::Right), ("TEXT", Align::Left)]);
        for &id in &tokens {
            table.row([id.to_string(), format!("{:?}", model.decode(&[id]))]);
        }
        Ok(table.write(&mut out, Paint::stdout())?)
    }
}
