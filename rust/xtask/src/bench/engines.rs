//! Who is measured: Nibble in two ways and its peers, each by a command of its own that prints the same keys of JSON.

use crate::models;
use crate::shell::{self, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// What measures llama.cpp.
const LLAMA_CPP: &str = "rust/xtask/python/llama_cpp_bench.py";

/// Who computes. The order is that of tables and plots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
pub enum Engine {
    /// With the head of the model computed for the most probable tokens only, as its users have it.
    #[value(skip)]
    #[serde(rename = "nibble")]
    Nibble,
    /// With the logits of all tokens, as the peers compute them.
    #[value(skip)]
    #[serde(rename = "nibble_full_logits")]
    NibbleFull,
    /// Through llama-cpp-python
    #[value(name = "llama.cpp")]
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// Inside the nibble command, compiled for release
    #[serde(rename = "candle")]
    Candle,
}

impl Engine {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nibble => "Nibble",
            Self::NibbleFull => "Nibble, full logits",
            Self::LlamaCpp => "llama.cpp",
            Self::Candle => "candle",
        }
    }

    /// Whether it is compared with, and not what is compared.
    pub fn is_peer(self) -> bool {
        matches!(self, Self::LlamaCpp | Self::Candle)
    }
}

/// What one measurement is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub threads: u16,
    /// Tokens of the prompt.
    pub prompt: u16,
    /// Tokens that are generated after it.
    pub generate: u16,
    /// How often a process measures, of which it reports the median.
    pub repeat: u16,
}

/// What an engine did in one process.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Run {
    /// Threads and tier, or the version.
    pub how: String,
    pub load_ms: f64,
    pub prefill_tps: f64,
    pub decode_tps: f64,
    /// Peak resident memory, with the pages of the model file that are mapped, in 10^6 bytes; none where no system tells.
    pub rss_mb: Option<f64>,
    /// Private memory that was written to, likewise.
    pub dirty_mb: Option<f64>,
}

/// One run of each engine.
pub type Round = BTreeMap<Engine, Run>;

/// The engines, ready to run on a file.
pub struct Engines {
    engines: Vec<Engine>,
    /// The GGUF.
    file: PathBuf,
    /// A Python with llama.cpp, if that is a peer.
    python: Option<PathBuf>,
}

impl Engines {
    /// Nibble and its `peers`, all compiled; `python` is needed for llama.cpp.
    pub fn new(peers: &[Engine], file: PathBuf, python: Option<PathBuf>) -> Result<Self> {
        let mut engines = vec![Engine::Nibble, Engine::NibbleFull];
        engines.extend(peers);
        engines.sort_unstable();
        engines.dedup();
        if engines.contains(&Engine::Candle) {
            models::build_for_release()?;
        }
        Ok(Self { engines, file, python })
    }

    /// Measures each engine once, the last one first if `reversed`: whoever goes later finds a warmer machine.
    pub fn round(&self, setting: Setting, reversed: bool) -> Result<Round> {
        let mut order = self.engines.clone();
        if reversed {
            order.reverse();
        }
        order.into_iter().map(|engine| Ok((engine, measure(&mut self.command(engine, setting))?))).collect()
    }

    fn command(&self, engine: Engine, setting: Setting) -> Command {
        let mut command = match engine {
            Engine::Nibble | Engine::NibbleFull => models::nibble(),
            Engine::Candle => models::nibble_for_release(),
            Engine::LlamaCpp => shell::command(self.python.as_deref().unwrap_or("python3".as_ref())),
        };
        match engine {
            Engine::LlamaCpp => command.arg(LLAMA_CPP).arg(&self.file),
            _ => command.args(["bench", "--json", "--model"]).arg(&self.file),
        };
        match engine {
            Engine::NibbleFull => command.arg("--full-logits"),
            // candle asks its environment for the number of threads.
            Engine::Candle => command
                .args(["--backend", "candle"])
                .env("RAYON_NUM_THREADS", setting.threads.to_string())
                .env("CANDLE_NUM_THREADS", setting.threads.to_string()),
            Engine::Nibble | Engine::LlamaCpp => &mut command,
        };
        for (name, value) in [
            ("--threads", setting.threads),
            ("--prompt", setting.prompt),
            ("--generate", setting.generate),
            ("--repeat", setting.repeat),
        ] {
            command.args([name, &value.to_string()]);
        }
        command
    }
}

fn measure(command: &mut Command) -> Result<Run> {
    let json = shell::output(command)?;
    serde_json::from_str(&json).map_err(|error| format!("{}: {error} in {json}", shell::line(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_keys_than_are_needed_are_fine() {
        let json = r#"{"how":"2 threads","load_ms":1.5,"prefill_tps":2,"decode_tps":3,"rss_mb":null,"prompt":128}"#;
        let run: Run = serde_json::from_str(json).unwrap();
        let expected = Run {
            how: "2 threads".to_owned(),
            load_ms: 1.5,
            prefill_tps: 2.0,
            decode_tps: 3.0,
            rss_mb: None,
            dirty_mb: None,
        };
        assert_eq!(run, expected);
    }

    #[test]
    fn every_engine_is_told_the_same() {
        let engines = Engines::new(&[Engine::LlamaCpp], "/m.gguf".into(), Some("/bin/python".into()))
            .expect("nothing to compile");
        let setting = Setting { threads: 2, prompt: 128, generate: 64, repeat: 3 };
        for engine in [Engine::Nibble, Engine::NibbleFull, Engine::LlamaCpp, Engine::Candle] {
            let line = shell::line(&engines.command(engine, setting));
            assert!(line.contains(" /m.gguf "), "{line}");
            assert!(line.ends_with("--threads 2 --prompt 128 --generate 64 --repeat 3"), "{line}");
            assert_eq!(line.contains("--full-logits"), engine == Engine::NibbleFull, "{line}");
            assert_eq!(line.contains("--backend candle"), engine == Engine::Candle, "{line}");
            assert_eq!(line.contains("--profile release"), engine == Engine::Candle, "{line}");
            assert_eq!(line.contains("RAYON_NUM_THREADS=2"), engine == Engine::Candle, "{line}");
        }
    }
}
