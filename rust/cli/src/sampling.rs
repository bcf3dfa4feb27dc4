//! The arguments of the commands that write text: how tokens are drawn, and when to stop.

use std::path::PathBuf;

use nibble_engine::{Sampling, Schema};

use crate::failure::Result;
use crate::input;

/// How tokens are drawn.
#[derive(clap::Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// 0 always takes the most probable token; higher is more varied
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = number(0.0, 10.0))]
    temperature: f32,
    /// Draws from the K most probable tokens only; 0 from all
    #[arg(long, value_name = "K", default_value_t = Sampling::default().top_k)]
    top_k: usize,
    /// Draws from the most probable tokens that together have this probability
    #[arg(long, value_name = "P", default_value_t = Sampling::default().top_p, value_parser = number(0.0, 1.0))]
    top_p: f32,
    /// Leaves out tokens less probable than this share of the most probable one
    #[arg(long, value_name = "P", default_value_t = Sampling::default().min_p, value_parser = number(0.0, 1.0))]
    min_p: f32,
    /// Above 1, makes tokens that came recently less probable
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = number(0.1, 10.0))]
    repetition_penalty: f32,
    /// Same seed, same text
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Writes JSON that meets the JSON schema in this file, and nothing else
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
}

impl SamplingArgs {
    /// As the engine takes it.
    pub fn sampling(&self) -> Result<Sampling> {
        let schema = match &self.schema {
            Some(path) => Some(Schema::new(&input::file(path)?)?),
            None => None,
        };
        Ok(Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
            schema,
            ..Sampling::default()
        })
    }
}

/// A parser of numbers from `low` to `high`.
fn number(low: f32, high: f32) -> impl Fn(&str) -> Result<f32, String> + Clone + Send + Sync {
    move |text| match text.parse::<f32>() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        _ => Err(format!("give a number from {low} to {high}")),
    }
}
