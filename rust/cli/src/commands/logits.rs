//! `nibble logits`: what the model expects after a text.

use std::io::{Write, stdout};

use nibble_engine::{TokenId, log_sum_exp};
use serde_json::json;

use crate::failure::Result;
use crate::input;
use crate::model::ModelArgs;
use crate::terminal::{Align, Paint, Table};

/// Shows the most probable tokens after a text
#[derive(clap::Args)]
#[command(after_help = "\
Log-probabilities are natural logarithms. The text is encoded as `nibble tokenize` shows.

Examples:
  nibble logits 'The capital of France is' --top 5
  nibble logits 'The capital of France is' --json | jq '.[0].text'")]
pub struct Args {
    /// The text, or - for stdin
    text: String,
    /// How many tokens to show
    #[arg(short, long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Prints a JSON array of {id, text, logprob}
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
        let best = best(runner.model().sync(&tokens)?, self.top);
        let model = runner.model();

        let mut out = stdout().lock();
        if self.json {
            let entry =
                |&(id, logprob): &(TokenId, f64)| json!({ "id": id, "text": model.decode(&[id]), "logprob": logprob });
            serde_json::to_writer(&mut out, &best.iter().map(entry).collect::<Vec<_>>())?;
            return Ok(writeln!(out)?);
        }
        let mut table = Table::new(&[
            ("ID", Align::Right),
            ("LOGPROB", Align::Right),
            ("PROBABILITY", Align::Right),
            ("TEXT", Align::Left),
        ]);
        for &(id, logprob) in &best {
            let share = format!("{:.2} %", logprob.exp() * 100.0);
            table.row([id.to_string(), format!("{logprob:.4}"), share, format!("{:?}", model.decode(&[id]))]);
        }
        Ok(table.write(&mut out, Paint::stdout())?)
    }
}

/// The `top` most probable tokens with their log-probabilities, best first, lowest id first among equals.
fn best(logits: &[f32], top: usize) -> Vec<(TokenId, f64)> {
    let total = log_sum_exp(logits);
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let by_logit = |&a: &usize, &b: &usize| logits[b].total_cmp(&logits[a]).then(a.cmp(&b));
    if top < order.len() && top > 0 {
        order.select_nth_unstable_by(top - 1, by_logit);
    }
    order.truncate(top);
    order.sort_unstable_by(by_logit);
    order.into_iter().map(|i| (i as TokenId, f64::from(logits[i]) - total)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_in_order_and_sum_to_one() {
        let logits = [0.0, 2.0, 1.0, 2.0];
        let ids = |top| best(&logits, top).iter().map(|b| b.0).collect::<Vec<_>>();
        assert_eq!(ids(3), [1, 3, 2]);
        assert_eq!(ids(9), [1, 3, 2, 0]);
        assert!(ids(0).is_empty());
        let mass: f64 = best(&logits, 4).iter().map(|b| b.1.exp()).sum();
        assert!((mass - 1.0).abs() < 1e-6);
    }
}
