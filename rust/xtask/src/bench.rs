//! `cargo xtask bench`: Nibble and llama.cpp on the same file, threads and token counts, in turns.
//!
//! In turns, because a machine's clock drifts with its heat and its neighbours: what is compared has to share it.

use crate::models;
use crate::python::Python;
use crate::shell::{self, Result};
use crate::table;
use serde::{Deserialize, Serialize};
use std::process::Command;

/// What measures llama.cpp.
const PEER: &str = "rust/xtask/python/llama_cpp_bench.py";

/// Repeats in one process, of which the median counts: the first is still cold.
const REPEATS: u32 = 3;

#[derive(clap::Args)]
pub struct Options {
    /// A name of `nibble models`, or a GGUF file
    #[arg(long, value_name = "NAME|FILE", default_value = "smollm2-135m-instruct")]
    model: String,
    /// Threads that each of the two may use
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: u32,
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = 128)]
    prompt: u32,
    /// Tokens to generate
    #[arg(long, value_name = "N", default_value_t = 64)]
    generate: u32,
    /// How often each of the two is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    python: Python,
}

/// One run of one of the two.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Run {
    load_ms: f64,
    prefill_tps: f64,
    decode_tps: f64,
}

/// Medians of one measure over the rounds, and the median of the rounds' ratios.
#[derive(Debug, PartialEq, Serialize)]
struct Comparison {
    measure: &'static str,
    nibble: f64,
    llama_cpp: f64,
    /// How many times as good Nibble is: above 1 it is the faster.
    ratio: f64,
}

/// Measures both in every round and prints what came out.
pub fn run(options: &Options) -> Result<()> {
    let python = options.python.interpreter()?;
    let model = models::pull_one(&options.model)?;
    let counts = [
        ("--threads", options.threads),
        ("--prompt", options.prompt),
        ("--generate", options.generate),
        ("--repeat", REPEATS),
    ];
    let counts: Vec<String> = counts.iter().flat_map(|(name, value)| [(*name).to_owned(), value.to_string()]).collect();

    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let mut nibble = models::nibble();
        nibble.args(["bench", "--json", "--model"]).arg(&model.file).args(&counts);
        let mut peer = shell::command(&python);
        peer.arg(PEER).arg(&model.file).args(&counts);
        // Whoever goes second finds a warmer machine; each does so half of the time.
        let (nibble, peer) = if round % 2 == 0 {
            let nibble = measure(&mut nibble)?;
            (nibble, measure(&mut peer)?)
        } else {
            let peer = measure(&mut peer)?;
            (measure(&mut nibble)?, peer)
        };
        eprintln!(
            "round {}: decode {:.1} and {:.1} tok/s, prefill {:.1} and {:.1} tok/s",
            round + 1,
            nibble.decode_tps,
            peer.decode_tps,
            nibble.prefill_tps,
            peer.prefill_tps
        );
        rounds.push((nibble, peer));
    }

    let comparisons = compare(&rounds);
    if options.json {
        let report = serde_json::json!({
            "model": model.file, "threads": options.threads, "prompt": options.prompt, "generate": options.generate,
            "rounds": options.rounds, "measures": comparisons,
        });
        println!("{report:#}");
    } else {
        println!(
            "{}, {} thread(s), prompt of {}, {} generated, median of {} rounds in turns\n",
            model.name, options.threads, options.prompt, options.generate, options.rounds
        );
        print!("{}", table::render(&rows(&comparisons)));
    }
    Ok(())
}

fn measure(command: &mut Command) -> Result<Run> {
    let json = shell::output(command)?;
    serde_json::from_str(&json).map_err(|error| format!("{}: {error} in {json}", shell::line(command)))
}

fn compare(rounds: &[(Run, Run)]) -> Vec<Comparison> {
    // Speeds are good when high, times when low.
    type Measure = (&'static str, fn(&Run) -> f64, bool);
    let measures: [Measure; 3] = [
        ("decode, tok/s", |run| run.decode_tps, true),
        ("prefill, tok/s", |run| run.prefill_tps, true),
        ("load, ms", |run| run.load_ms, false),
    ];
    let compare = |(measure, value, high_is_good): Measure| Comparison {
        measure,
        nibble: median(rounds.iter().map(|(nibble, _)| value(nibble))),
        llama_cpp: median(rounds.iter().map(|(_, peer)| value(peer))),
        ratio: median(rounds.iter().map(|(nibble, peer)| {
            let ratio = value(nibble) / value(peer);
            if high_is_good { ratio } else { 1.0 / ratio }
        })),
    };
    measures.into_iter().map(compare).collect()
}

/// The middle value; of two middle ones, their mean.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn rows(comparisons: &[Comparison]) -> Vec<Vec<String>> {
    let heading = ["", "Nibble", "llama.cpp", "ratio"].map(str::to_owned).to_vec();
    let row = |comparison: &Comparison| {
        let values = [comparison.nibble, comparison.llama_cpp].map(|value| format!("{value:.1}"));
        let mut row = vec![comparison.measure.to_owned()];
        row.extend(values);
        row.push(format!("{:.2} x", comparison.ratio));
        row
    };
    std::iter::once(heading).chain(comparisons.iter().map(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), 2.5);
    }

    #[test]
    fn a_ratio_above_one_is_in_favour_of_nibble() {
        let run = |load_ms, speed| Run { load_ms, prefill_tps: speed, decode_tps: 2.0 * speed };
        let comparisons = compare(&[(run(5.0, 30.0), run(10.0, 20.0))]);
        assert_eq!(
            comparisons,
            [
                Comparison { measure: "decode, tok/s", nibble: 60.0, llama_cpp: 40.0, ratio: 1.5 },
                Comparison { measure: "prefill, tok/s", nibble: 30.0, llama_cpp: 20.0, ratio: 1.5 },
                Comparison { measure: "load, ms", nibble: 5.0, llama_cpp: 10.0, ratio: 2.0 },
            ]
        );
        assert_eq!(rows(&comparisons)[1], ["decode, tok/s", "60.0", "40.0", "1.50 x"]);
    }

    #[test]
    fn more_keys_than_are_needed_are_fine() {
        let run: Run = serde_json::from_str(r#"{"load_ms":1.5,"prefill_tps":2,"decode_tps":3,"rss_mb":null}"#).unwrap();
        assert_eq!((run.load_ms, run.prefill_tps, run.decode_tps), (1.5, 2.0, 3.0));
    }
}
