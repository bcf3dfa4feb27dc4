//! `cargo xtask bench`: Nibble and its peers on the same file, threads and token counts, in turns, beside the machine's limits.
//!
//! In turns, because a machine's clock drifts with its heat and its neighbours: what is compared has to share it.

mod engines;
mod limits;
mod made;
mod plot;
mod report;
mod weights;

use crate::models::{self, Model};
use crate::python::Python;
use crate::shell::{self, Result};
use engines::{Engine, Engines, Setting};
use limits::Limits;
use report::{DECODE, PREFILL, Report, Series};
use signal_hook::consts::SIGINT;
use signal_hook::flag;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weights::Weights;

/// Repeats in one process, of which the median counts: the first is still cold.
const REPEATS: u16 = 3;

#[derive(clap::Args)]
#[command(after_help = "\
Every round measures every engine in every combination of --threads and --prompt, each in a process of its own, and the
next round in the opposite order. What is reported is the median of the rounds, and the median of the rounds' ratios.
Nibble is measured twice: with the head computed for the most probable tokens only, where the model's file allows it, and with
the logits of all tokens, as the peers compute them. Memory is that of the process; of llama.cpp's, without what Python took.
Ctrl-C ends it with what the finished rounds have measured; every one of them is in bench.json at once.

What it costs, the first time, on a machine with nothing on it, on two cores: the nibble command, some four minutes to compile;
llama.cpp, some ten minutes, unless --python has it; candle, another ten minutes, for it only counts when it is optimised.
After that a round of the default model takes half a minute a combination, of a model with a billion weights several minutes.

Examples:
  cargo xtask bench
  cargo xtask bench --threads 1,2 --prompt 128,512 --peers llama.cpp,candle
  cargo xtask bench --model smollm2-135m-instruct --requantize Q4_0
  cargo xtask bench --synthetic llama-1b --format Q4_K_M --threads 2 --rounds 3 --context 128,1024,4096")]
pub struct Options {
    /// A name of `nibble models`, or a GGUF file
    #[arg(long, value_name = "NAME|FILE", default_value = "smollm2-135m-instruct")]
    model: String,
    /// Measure a copy of the model in this format, which llama.cpp's quantizer makes once, under target/bench/models
    #[arg(long, value_enum, value_name = "FORMAT")]
    requantize: Option<made::Format>,
    /// Measure random weights in the shape of a known model instead, written once, under target/bench/models
    #[arg(long, value_enum, value_name = "SHAPE", conflicts_with_all = ["model", "requantize"])]
    synthetic: Option<made::Shape>,
    /// The format of --synthetic
    #[arg(long, value_enum, default_value = "Q4_0", requires = "synthetic")]
    format: made::Format,
    /// Who is measured beside Nibble
    #[arg(long, value_enum, value_name = "PEER,..", value_delimiter = ',', default_value = "llama.cpp")]
    peers: Vec<Engine>,
    /// Threads that each engine may use
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Vec<u16>,
    /// Tokens of the prompt
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "128", value_parser = clap::value_parser!(u16).range(1..))]
    prompt: Vec<u16>,
    /// Tokens to generate
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    generate: u16,
    /// Also measure the time of a token after prompts of these lengths
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    context: Vec<u16>,
    /// How often each engine is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Where bench.json and the plots go; by default a folder named after the model under target/bench
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    python: Python,
}

/// Measures all engines in every round, writes what came out, and prints it.
pub fn run(options: &Options) -> Result<()> {
    let interrupted = on_interrupt()?;
    let needs_python =
        options.peers.contains(&Engine::LlamaCpp) || options.requantize.is_some() || options.synthetic.is_some();
    let python = needs_python.then(|| options.python.interpreter()).transpose()?;
    let model = model(options, python.as_deref())?;
    let engines = Engines::new(&options.peers, model.file.clone(), python)?;
    let name = short(&model.name);
    let out = options.out.clone().unwrap_or_else(|| shell::root().join("target/bench").join(name));
    fs::create_dir_all(&out).map_err(|error| format!("making {}: {error}", out.display()))?;

    let mut report = Report::new(name, &model.file, Weights::read(&model.file)?);
    (report.speeds, report.latencies) = series(options);
    let outcome = measure(options, &engines, &interrupted, &mut report, &out);
    if report.is_empty() {
        return outcome;
    }
    report.write_plots(&out)?;
    if options.json {
        println!("{:#}", report.json());
    } else {
        print!("{}", report.text());
    }
    eprintln!("\nbench.json and the plots are in {}", out.display());
    outcome
}

/// The file to measure, packed.
fn model(options: &Options, python: Option<&Path>) -> Result<Model> {
    let made = match (options.synthetic, options.requantize, python) {
        (Some(shape), _, Some(python)) => made::synthetic(python, shape, options.format)?,
        (None, Some(format), Some(python)) => {
            made::requantized(python, &models::pull_one(&options.model)?.file, format)?
        }
        _ => return models::pull_one(&options.model),
    };
    models::pull_one(&made.to_string_lossy())
}

/// A model's name, which is a path where the model is a file of one's own.
fn short(name: &str) -> &str {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    name.strip_suffix(".gguf").unwrap_or(name)
}

/// What is measured for speed, and for latency.
fn series(options: &Options) -> (Vec<Series>, Vec<Series>) {
    let all = |prompts: &[u16], repeat| {
        let setting = |threads, prompt| Setting { threads, prompt, generate: options.generate, repeat };
        let threads = options.threads.iter();
        threads.flat_map(|&threads| prompts.iter().map(move |&p| Series::new(setting(threads, p)))).collect()
    };
    // One long prompt warms a process up by itself.
    (all(&options.prompt, REPEATS), all(&options.context, 1))
}

/// Goes through the rounds and writes down each as it is done. Err is why they are not all there.
fn measure(
    options: &Options,
    engines: &Engines,
    interrupted: &AtomicBool,
    report: &mut Report,
    out: &Path,
) -> Result<()> {
    let stopped = |error| if interrupted.load(Ordering::Relaxed) { "stopped by Ctrl-C".to_owned() } else { error };
    for round in 0..options.rounds {
        for &threads in &options.threads {
            report.add_limits(threads, Limits::measure(threads).map_err(stopped)?);
        }
        let count = report.series().count();
        for i in 0..count {
            let series = report.series().nth(i).expect("i is below their number");
            let measured = engines.round(series.setting, round % 2 == 1).map_err(stopped)?;
            series.rounds.push(measured);
            eprintln!("round {} of {}, {}", round + 1, options.rounds, progress(series));
            report.write_json(out)?;
            if interrupted.load(Ordering::Relaxed) {
                return Err(stopped(String::new()));
            }
        }
    }
    Ok(())
}

/// The last round, in a line.
fn progress(series: &Series) -> String {
    let runs = series.rounds.last().into_iter().flatten();
    let speeds = runs.map(|(engine, run)| {
        let speed = |measure: &report::Measure| measure.of(run).unwrap_or_default();
        format!("{} {:.1} and {:.1}", engine.name(), speed(&DECODE), speed(&PREFILL))
    });
    format!("{}: tok/s decode and prefill: {}", report::name(series.setting), speeds.collect::<Vec<_>>().join("; "))
}

/// A flag that the first Ctrl-C sets, for the rounds to end; the second ends the program. A child hears either one itself.
fn on_interrupt() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    // The order matters: the first looks at the flag before the second sets it.
    flag::register_conditional_shutdown(SIGINT, 130, interrupted.clone())
        .and_then(|_| flag::register(SIGINT, interrupted.clone()))
        .map_err(|error| format!("listening for Ctrl-C: {error}"))?;
    Ok(interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &str) -> std::result::Result<Options, clap::Error> {
        Arguments::try_parse_from(std::iter::once("bench").chain(line.split_whitespace())).map(|parsed| parsed.options)
    }

    #[test]
    fn lists_are_combined() {
        let (speeds, latencies) = series(&options("--threads 1,2 --prompt 128,512 --context 1024").unwrap());
        let settings = |series: &[Series]| {
            series.iter().map(|series| (series.setting.threads, series.setting.prompt)).collect::<Vec<_>>()
        };
        assert_eq!(settings(&speeds), [(1, 128), (1, 512), (2, 128), (2, 512)]);
        assert_eq!(settings(&latencies), [(1, 1024), (2, 1024)]);
        assert_eq!((speeds[0].setting.repeat, latencies[0].setting.repeat), (REPEATS, 1));
    }

    #[test]
    fn peers_are_named_as_people_write_them() {
        let peers = |line: &str| options(line).map(|options| options.peers).map_err(|error| error.to_string());
        assert_eq!(peers("").unwrap(), [Engine::LlamaCpp]);
        assert_eq!(peers("--peers llama.cpp,candle").unwrap(), [Engine::LlamaCpp, Engine::Candle]);
        assert!(peers("--peers nibble").unwrap_err().contains("llama.cpp, candle"));
    }

    #[test]
    fn a_file_is_called_as_its_model_is() {
        assert_eq!(short("smollm2-135m-instruct"), "smollm2-135m-instruct");
        assert_eq!(short("/models/llama-1b.Q4_0.gguf"), "llama-1b.Q4_0");
    }

    #[test]
    fn a_made_model_is_no_other_model() {
        assert!(options("--synthetic llama-1b --format Q4_K_M").is_ok());
        assert!(options("--synthetic llama-1b --model a.gguf").is_err());
        assert!(options("--format Q4_K_M").is_err());
    }
}
