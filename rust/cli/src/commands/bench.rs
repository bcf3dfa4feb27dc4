//! `nibble bench`: how fast a model runs here, and what it takes.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nibble_engine::{Generator, LanguageModel, Node, Sampling, Schema, Stop, TokenId, most_probable};
use serde_json::json;

use crate::energy::{EnergyMeter, POWERCAP};
use crate::failure::Result;
use crate::input;
use crate::memory;
use crate::model::ModelArgs;
use crate::terminal::{Align, Paint, Table, note};

/// Measures loading, reading a prompt, writing text, and memory
#[derive(clap::Args)]
#[command(after_help = "\
load           opening the packed file and a session, after it was packed
first logits   the same, and one token computed
prefill        a prompt of --prompt tokens, with nothing of it cached
decode         --generate tokens after that prompt, each the most probable one, one at a time, as `nibble generate` does:
               if the model has a screened head, only the highest logits are computed, and with --full-logits all
guided         with --schema: up to --generate tokens that meet it, after the same prompt, and beside it the same tokens one at a
               time without a schema; what a schema leaves no choice of is computed together
energy         what the processor uses for a token that is decoded, with all that runs beside it; where the machine counts it
               and lets it be read (RAPL of Linux's powercap, often for root only)
batch of N     with --batches: N continuations of the prompt computed together, and how many times as long that takes as one
peak memory    resident, with the pages of the model file that were touched and that the system may drop (VmHWM)
dirty memory   private and written to at the end of the run (Private_Dirty of smaps_rollup)

Speeds are the median of the repeats. Memory is n/a where the system does not tell.

Examples:
  nibble bench
  nibble bench --model gemma-3-270m --threads 1 --prompt 512 --generate 64
  nibble bench --schema person.json
  nibble bench --json | jq .decode_tps")]
pub struct Args {
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..))]
    prompt: u16,
    /// Tokens to generate
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    generate: u16,
    /// How often to measure the speeds
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Computes all logits of every token that is decoded
    #[arg(long)]
    full_logits: bool,
    /// Also measures text that meets the JSON schema in this file
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Also measures several continuations of the prompt, computed together
    #[arg(long)]
    batches: bool,
    /// Prints a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// What guided tokens take, in milliseconds each, beside the same tokens without a guide.
struct Guided {
    tokens: usize,
    ms: f64,
    unguided_ms: f64,
}

/// How many continuations are computed together.
const BATCHES: [usize; 4] = [1, 2, 4, 8];

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let (prompt_len, generate) = (usize::from(self.prompt), usize::from(self.generate));
        let schema = match &self.schema {
            Some(path) => Some(Schema::new(&input::file(path)?)?),
            None => None,
        };
        let source = self.model.prepare()?;
        let context = (prompt_len + generate).max(BATCHES[BATCHES.len() - 1]);

        let start = Instant::now();
        let mut runner = self.model.start(&source, context)?;
        let load = start.elapsed();
        let (prompt, other) = prompt(runner.model(), prompt_len);
        runner.model().sync(&[other])?;
        let first = start.elapsed();

        let (mut prefill, mut decode, mut joules) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.repeat {
            // A prefix that shares nothing with the prompt, so that all of the prompt is computed.
            runner.model().sync(&[other])?;
            let mut tokens = prompt.clone();
            let start = Instant::now();
            let mut next = self.next(runner.model(), &tokens)?;
            prefill.push(prompt_len as f64 / start.elapsed().as_secs_f64());
            let meter = EnergyMeter::start(Path::new(POWERCAP));
            let start = Instant::now();
            for _ in 0..generate {
                tokens.push(next);
                next = self.next(runner.model(), &tokens)?;
            }
            decode.push(generate as f64 / start.elapsed().as_secs_f64());
            joules.extend(meter.and_then(|meter| meter.joules()).map(|joules| joules / generate as f64));
        }
        let joules = (!joules.is_empty()).then(|| median(joules));
        let (prefill, decode) = (median(prefill), median(decode));
        let (rss, dirty) = (memory::peak_resident(), memory::private_dirty());
        let guided = match &schema {
            Some(schema) => Some(self.guided(runner.model(), &prompt, other, schema)?),
            None => None,
        };
        // After the memory, of which the logits of many rows would be a part.
        let batches = if self.batches { self.batches(runner.model(), &prompt, other)? } else { Vec::new() };

        let mb = |n: Option<u64>| n.map(|n| n as f64 / 1e6);
        let mut out = stdout().lock();
        if self.json {
            let round = |x: f64| (x * 100.0).round() / 100.0;
            let mut result = json!({
                "model": source.path(), "how": runner.how(),
                "prompt": prompt_len, "generate": generate, "repeat": self.repeat, "full_logits": self.full_logits,
                "load_ms": round(ms(load)), "first_logits_ms": round(ms(first)),
                "prefill_tps": round(prefill), "decode_tps": round(decode),
                "guided": guided.map(|guided| json!({
                    "tokens": guided.tokens, "ms": round(guided.ms), "unguided_ms": round(guided.unguided_ms),
                })),
                "batches": batches.iter().map(|&(rows, ms)| json!({ "rows": rows, "ms": round(ms) })).collect::<Vec<_>>(),
                "rss_mb": mb(rss).map(round), "dirty_mb": mb(dirty).map(round),
            });
            if let Some(joules) = joules {
                result["joules_per_token"] = json!((joules * 1e4).round() / 1e4);
            }
            return Ok(writeln!(out, "{result}")?);
        }
        note(&format!("{}, {}, median of {}", source.path().display(), runner.how(), self.repeat));
        let or_none = |n: Option<u64>| mb(n).map_or("n/a".to_owned(), |n| format!("{n:.1} MB"));
        let mut table = Table::new(&[("MEASURE", Align::Left), ("RESULT", Align::Right)]);
        table.row(["load".into(), format!("{:.1} ms", ms(load))]);
        table.row(["first logits".into(), format!("{:.1} ms", ms(first))]);
        table.row([format!("prefill of {prompt_len}"), format!("{prefill:.1} tok/s")]);
        table.row([format!("decode of {generate}"), format!("{decode:.1} tok/s")]);
        if let Some(joules) = joules {
            table.row(["energy of decode".into(), format!("{joules:.4} J a token")]);
        }
        if let Some(Guided { tokens, ms, unguided_ms }) = guided {
            table.row([format!("guided, {tokens} tokens"), format!("{ms:.2} ms each, {unguided_ms:.2} without")]);
        }
        for (rows, time) in &batches {
            table.row([format!("batch of {rows}"), format!("{time:.1} ms, {:.2} x", time / batches[0].1)]);
        }
        table.row(["peak memory".into(), or_none(rss)]);
        table.row(["dirty memory".into(), or_none(dirty)]);
        Ok(table.write(&mut out, Paint::stdout())?)
    }

    /// What a token takes that a schema guides.
    fn guided(
        &self,
        model: &mut dyn LanguageModel,
        prompt: &[TokenId],
        other: TokenId,
        schema: &Schema,
    ) -> Result<Guided> {
        let (mut guided, mut unguided, mut count) = (Vec::new(), Vec::new(), 0);
        for _ in 0..self.repeat {
            let sampling = Sampling { schema: Some(schema.clone()), ..Sampling::default() };
            let stop = Stop { max_tokens: Some(usize::from(self.generate)), strings: Vec::new() };
            model.sync(&[other])?;
            model.sync(prompt)?;
            let start = Instant::now();
            let mut pieces = Generator::new(&mut *model, prompt.to_vec(), sampling, stop);
            pieces.by_ref().try_for_each(|piece| piece.map(drop))?;
            let took = ms(start.elapsed());
            let tokens = pieces.tokens().to_vec();
            count = tokens.len() - prompt.len();
            guided.push(took / count as f64);

            model.sync(&[other])?;
            model.sync(prompt)?;
            let start = Instant::now();
            for end in prompt.len()..tokens.len() {
                self.next(model, &tokens[..end])?;
            }
            unguided.push(ms(start.elapsed()) / count as f64);
        }
        Ok(Guided { tokens: count, ms: median(guided), unguided_ms: median(unguided) })
    }

    /// Numbers of continuations of `prompt` and the milliseconds that they take together; `other` is no beginning of it.
    fn batches(&self, model: &mut dyn LanguageModel, prompt: &[TokenId], other: TokenId) -> Result<Vec<(usize, f64)>> {
        let mut times = BATCHES.map(|_| Vec::new());
        for _ in 0..self.repeat {
            // Another prefix takes the nodes of the round before away.
            model.sync(&[other])?;
            model.sync(prompt)?;
            for (rows, times) in BATCHES.into_iter().zip(&mut times) {
                let rows: Vec<_> = prompt.iter().cycle().take(rows).map(|&token| (Node::ROOT, token)).collect();
                let start = Instant::now();
                model.grow(&rows)?;
                times.push(ms(start.elapsed()));
            }
        }
        Ok(BATCHES.into_iter().zip(times.map(median)).collect())
    }

    /// The most probable token after `tokens`.
    fn next(&self, model: &mut dyn LanguageModel, tokens: &[TokenId]) -> Result<TokenId> {
        if self.full_logits {
            return Ok(most_probable(model.sync(tokens)?));
        }
        let mut top = Vec::new();
        model.sync_top(tokens, 1, &mut top)?;
        Ok(top[0].0)
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A prompt of `len` ordinary tokens, and a token that it does not begin with.
fn prompt(model: &dyn LanguageModel, len: usize) -> (Vec<TokenId>, TokenId) {
    let text = "The old mill by the river had stood empty for years when, one wet spring, two sisters bought it. ";
    let cycle = model.encode(text);
    let tokens: Vec<_> = cycle.iter().copied().cycle().take(len).collect();
    let other = cycle.iter().copied().find(|t| *t != tokens[0]).unwrap_or(tokens[0]);
    (tokens, other)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
    }
}
