//! `nibble calibrate`: on how many threads a model is fastest here, measured once and used from then on.

use std::io::{Write, stdout};
use std::ops::ControlFlow;

use nibble_engine::CancelToken;
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::model::{self, ModelArgs, Source};
use crate::terminal::{Align, Paint, Table, note, step_bar};

/// Measures on how many threads a model is fastest here, for every later command
#[derive(clap::Args)]
#[command(after_help = "\
prefill   a prompt of 64 tokens
decode    8 tokens after it, one at a time

Speeds are medians of at least three rounds. The fewest threads within 5 % of the best are kept in a small file beside
the packed model, and used wherever --threads is not given. Run it again when the machine has nothing else to do, if
it was busy.

Examples:
  nibble calibrate
  nibble calibrate --model gemma-3-270m
  nibble calibrate --json | jq .decode_threads")]
pub struct Args {
    /// Prints a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        if self.model.threads.is_some() {
            return Err(Failure::Usage("calibrate finds the number of threads; leave out --threads".to_owned()));
        }
        let source = self.model.prepare()?;
        let model = match &source {
            Source::Packed { path, from } => model::open_packed(path, from.as_deref())?,
            Source::Gguf { because: Some(error), .. } => return Err(Failure::Failed(error.to_string())),
            Source::Gguf { because: None, .. } => {
                return Err(Failure::Usage(
                    "calibrate measures Nibble's own graphs; leave out --backend candle".to_owned(),
                ));
            }
        };
        let bar = step_bar("measuring");
        let calibration = model.calibrate(&CancelToken::default(), &mut |progress| {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            ControlFlow::Continue(())
        });
        bar.finish_and_clear();
        let calibration = calibration?;

        let mut out = stdout().lock();
        if self.json {
            let round = |x: f64| (x * 100.0).round() / 100.0;
            let speeds = calibration.speeds.iter().map(|speed| {
                json!({
                    "threads": speed.threads, "prefill_tps": round(speed.prefill_tps),
                    "decode_tps": round(speed.decode_tps),
                })
            });
            let result = json!({
                "model": source.path(), "prefill_threads": calibration.threads.prefill,
                "decode_threads": calibration.threads.decode, "speeds": speeds.collect::<Vec<_>>(),
                "kept": calibration.kept,
            });
            return Ok(writeln!(out, "{result}")?);
        }
        let right = Align::Right;
        let mut table = Table::new(&[("THREADS", right), ("PREFILL", right), ("DECODE", right)]);
        for speed in &calibration.speeds {
            let [prefill, decode] = [speed.prefill_tps, speed.decode_tps].map(|tps| format!("{tps:.1} tok/s"));
            table.row([speed.threads.to_string(), prefill, decode]);
        }
        table.write(&mut out, Paint::stdout())?;
        writeln!(out, "\nchosen: {}", model::in_words(calibration.threads))?;
        match &calibration.kept {
            Some(path) => note(&format!("kept in {}", path.display())),
            None => note("it could not be kept beside the packed file; give --threads instead"),
        }
        Ok(())
    }
}
