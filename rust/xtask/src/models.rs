//! The models of the registry, through the project's own command.

use crate::shell::{self, Result};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::Command;

/// A model on this machine, as `nibble pull --json` reports it.
#[derive(Debug, Deserialize, PartialEq)]
pub struct Model {
    pub name: String,
    /// The GGUF file.
    pub file: PathBuf,
}

/// How the command is compiled.
#[derive(Clone, Copy)]
pub enum Build {
    /// As tests are.
    Test,
    /// As people run it.
    Release,
}

/// The `nibble` command, compiled first if need be.
pub fn nibble(build: Build) -> Command {
    let mut nibble = shell::cargo();
    nibble.args(["run", "--quiet", "-p", "nibble-cli"]);
    if matches!(build, Build::Release) {
        nibble.arg("--release");
    }
    nibble.arg("--");
    nibble
}

/// Fetches and packs every model of the registry; what is there already is left alone.
pub fn pull_all() -> Result<Vec<Model>> {
    pull(Build::Test, "--all")
}

/// Fetches and packs one model of the registry, or packs a GGUF file.
pub fn pull_one(name: &str) -> Result<Model> {
    pull(Build::Release, name)?.pop().ok_or_else(|| format!("nibble pull {name} did not say where the model is"))
}

fn pull(build: Build, what: &str) -> Result<Vec<Model>> {
    parse(&shell::output(nibble(build).args(["pull", "--json", what]))?)
}

fn parse(lines: &str) -> Result<Vec<Model>> {
    let model = |line| serde_json::from_str(line).map_err(|error| format!("nibble pull --json: {error} in {line}"));
    lines.lines().map(model).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_a_line() {
        let model = |name: &str| Model { name: name.to_owned(), file: "/m.gguf".into() };
        let lines = "{\"name\":\"a\",\"file\":\"/m.gguf\",\"fetched\":false}\n{\"name\":\"b\",\"file\":\"/m.gguf\"}\n";
        assert_eq!(parse(lines).unwrap(), [model("a"), model("b")]);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn another_answer_is_an_error() {
        assert!(parse("already there").unwrap_err().contains("already there"));
    }
}
