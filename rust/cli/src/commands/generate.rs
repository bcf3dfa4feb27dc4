//! `nibble generate`: continues a text.

use std::io::{Write, stdout};

use nibble_engine::{Error, Finish, Generator, Stop};
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::input;
use crate::interrupt::Section;
use crate::model::ModelArgs;
use crate::sampling::SamplingArgs;
use crate::terminal::note;

/// Continues a text
#[derive(clap::Args)]
#[command(after_help = "\
The prompt is continued as it stands; for questions and answers use `nibble chat`. Text is printed as it is
made; Ctrl-C stops it.

Examples:
  nibble generate 'Once upon a time'
  nibble generate 'Dear Anna,' --temperature 0.8 --seed 7 --max-tokens 80
  nibble generate - --stop '\n\n' --json < prompt.txt
  nibble generate 'Anna is 32. As JSON: ' --schema person.json")]
pub struct Args {
    /// The text to continue, or - for stdin
    prompt: String,
    /// Stops after this many tokens
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128)]
    max_tokens: usize,
    /// Stops before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Prints one JSON object at the end: {text, tokens: [{id, text, logprob}], stopped}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let prompt = input::text(&self.prompt)?;
        let is_json = self.sampling.schema.is_some();
        let sampling = self.sampling.sampling()?;
        let mut runner = self.model.open()?;
        let tokens = runner.encode(&prompt)?;
        let section = Section::begin(runner.cancel_token());
        let stop = Stop { max_tokens: Some(self.max_tokens), strings: self.stop };

        let mut out = stdout().lock();
        let (mut text, mut list, mut stopped) = (String::new(), Vec::new(), "end");
        let mut pieces = Generator::new(runner.model(), tokens, sampling, stop);
        if self.json {
            pieces = pieces.with_log_probs();
        }
        while let Some(piece) = pieces.next() {
            let piece = match piece {
                // The prompt itself fitted: what was written so far stands.
                Err(Error::ContextOverflow { .. }) if !list.is_empty() => {
                    stopped = "context";
                    break;
                }
                other => other?,
            };
            text.push_str(&piece.text);
            if !self.json {
                // What is JSON is to be read by a program.
                if list.is_empty() && !is_json {
                    write!(out, "{prompt}")?;
                }
                write!(out, "{}", piece.text)?;
                out.flush()?;
            }
            list.push(json!({ "id": piece.token, "text": piece.text, "logprob": piece.logprob }));
            if pieces.finish() == Some(Finish::MaxTokens) {
                stopped = "length";
            }
            if section.interrupted() {
                writeln!(out)?;
                return Err(Failure::Cancelled);
            }
        }
        if self.json {
            writeln!(out, "{}", json!({ "text": text, "tokens": list, "stopped": stopped }))?;
            return Ok(());
        }
        writeln!(out)?;
        match stopped {
            "context" => note("the context is full; give a larger --context-size for more"),
            "length" if is_json => note("the text was cut at --max-tokens, and is no whole JSON"),
            _ => {}
        }
        Ok(())
    }
}
