//! `nibble score`: how probable the model finds a text.

use std::io::{Write, stdout};
use std::path::PathBuf;

use nibble_engine::log_prob;
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::input;
use crate::model::ModelArgs;
use crate::terminal::{Align, Paint, Table};

/// Shows the log-probability of every token of a text, and its perplexity
#[derive(clap::Args)]
#[command(after_help = "\
Log-probabilities are natural logarithms. The first token has none: nothing comes before it, unless the model
begins every text with a BOS. The whole text must fit the context (--context-size N).

Examples:
  nibble score letter.txt
  echo 'The cat sat on the mat.' | nibble score -
  nibble score letter.txt --json | jq .perplexity")]
pub struct Args {
    /// The text file, or - for stdin
    file: PathBuf,
    /// Prints a JSON object {tokens: [{id, text, logprob}], count, logprob, perplexity}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let text = input::file(&self.file)?;
        let mut runner = self.model.open()?;
        let tokens = runner.encode(&text)?;
        if tokens.len() < 2 {
            return Err(Failure::Failed("the text is a single token: there is nothing to score; give more".to_owned()));
        }
        let mut logprobs = Vec::with_capacity(tokens.len());
        runner.score(&tokens, |position, logits| {
            if let Some(&next) = tokens.get(position + 1) {
                logprobs.push(f64::from(log_prob(logits, next)));
            }
        })?;
        let sum: f64 = logprobs.iter().sum();
        let perplexity = (-sum / logprobs.len() as f64).exp();

        let model = runner.model();
        let scored = tokens.iter().zip(std::iter::once(None).chain(logprobs.iter().copied().map(Some)));
        let mut out = stdout().lock();
        if self.json {
            let list: Vec<_> = scored
                .map(|(&id, logprob)| json!({ "id": id, "text": model.decode(&[id]), "logprob": logprob }))
                .collect();
            let count = logprobs.len();
            let whole = json!({ "tokens": list, "count": count, "logprob": sum, "perplexity": perplexity });
            serde_json::to_writer(&mut out, &whole)?;
            return Ok(writeln!(out)?);
        }
        let mut table = Table::new(&[("ID", Align::Right), ("LOGPROB", Align::Right), ("TEXT", Align::Left)]);
        for (&id, logprob) in scored {
            let logprob = logprob.map_or("-".to_owned(), |l| format!("{l:.4}"));
            table.row([id.to_string(), logprob, format!("{:?}", model.decode(&[id]))]);
        }
        table.write(&mut out, Paint::stdout())?;
        let (count, paint) = (logprobs.len(), Paint::stdout());
        Ok(writeln!(
            out,
            "\n{count} tokens scored, log-probability {sum:.3}, perplexity {}",
            paint.bold(&format!("{perplexity:.3}"))
        )?)
    }
}
