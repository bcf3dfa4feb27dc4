//! Models that are made for a measurement, once, by the scripts beside this program.

use crate::shell::{self, Result};
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};

/// Quantizes a file anew.
const REQUANTIZE: &str = "rust/xtask/python/requantize.py";
/// Writes random weights.
const SYNTHETIC: &str = "rust/xtask/python/synthetic.py";

/// A mix of weight formats, by llama.cpp's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[value(name = "Q4_0")]
    Q4_0,
    #[value(name = "Q4_K_M")]
    Q4KM,
}

/// A known model's shape; `synthetic.py` has the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Llama 3.2 1B
    #[value(name = "llama-1b")]
    Llama1B,
    /// Llama 3.2 3B
    #[value(name = "llama-3b")]
    Llama3B,
    /// Qwen 2.5 1.5B
    #[value(name = "qwen-1.5b")]
    Qwen1_5B,
}

/// The GGUF `file` in another format, by llama.cpp's quantizer.
pub fn requantized(python: &Path, file: &Path, format: Format) -> Result<PathBuf> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let made = folder()?.join(format!("{stem}.requantized-{}.gguf", name(format)));
    if !is_newer(&made, file) {
        eprintln!("quantizing {} to {}", file.display(), name(format));
        let mut requantize = shell::command(python);
        shell::run(requantize.arg(REQUANTIZE).arg(file).arg(name(format)).arg(&made))?;
    }
    Ok(made)
}

/// A GGUF of random weights.
pub fn synthetic(python: &Path, shape: Shape, format: Format) -> Result<PathBuf> {
    let made = folder()?.join(format!("{}.{}.gguf", name(shape), name(format)));
    if !is_newer(&made, &shell::root().join(SYNTHETIC)) {
        shell::run(shell::command(python).arg(SYNTHETIC).args([name(shape), name(format)]).arg(&made))?;
    }
    Ok(made)
}

fn folder() -> Result<PathBuf> {
    let folder = shell::root().join("target/bench/models");
    fs::create_dir_all(&folder).map_err(|error| format!("making {}: {error}", folder.display()))?;
    Ok(folder)
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}

/// Whether `made` is there and was made after `source` was.
fn is_newer(made: &Path, source: &Path) -> bool {
    let time = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    matches!((time(made), time(source)), (Ok(made), Ok(source)) if made >= source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_scripts_know() {
        let script = fs::read_to_string(shell::root().join(SYNTHETIC)).unwrap();
        for shape in Shape::value_variants() {
            assert!(script.contains(&format!("\"{}\": (", name(*shape))));
        }
        assert_eq!(Format::value_variants().iter().map(|&format| name(format)).collect::<Vec<_>>(), ["Q4_0", "Q4_K_M"]);
    }

    #[test]
    fn what_is_not_there_is_not_newer() {
        let here = shell::root().join(SYNTHETIC);
        assert!(is_newer(&here, &here));
        assert!(!is_newer(&here.with_extension("none"), &here));
    }
}
