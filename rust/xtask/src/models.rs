//! The models of the registry and the word list of English, through the project's own command.

use crate::shell::{self, Result, WORKSPACE};
use serde::Deserialize;
use std::env::consts;
use std::path::PathBuf;
use std::process::Command;

/// A model on this machine, as `nibble pull --json` reports it.
#[derive(Debug, Deserialize, PartialEq)]
pub struct Model {
    pub name: String,
    /// The GGUF file.
    pub file: PathBuf,
    /// The file that it was packed into, if Nibble's own graphs run it.
    pub packed: Option<PathBuf>,
}

/// The package of the `nibble` command.
const PACKAGE: &str = "nibble-cli";

/// The `nibble` command as people run it, compiled first if need be.
pub fn nibble() -> Command {
    nibble_of("quick")
}

/// The same with everything optimised, candle too, which [`nibble`] compiles as fast as can be.
pub fn nibble_for_release() -> Command {
    nibble_of("release")
}

/// Compiles [`nibble_for_release`], with progress for people.
pub fn build_for_release() -> Result<()> {
    shell::run(shell::cargo().args(["build", "--profile", "release", "-p", PACKAGE]))
}

fn nibble_of(profile: &str) -> Command {
    let mut nibble = shell::cargo();
    nibble.args(["run", "--quiet", "--profile", profile, "-p", PACKAGE, "--"]);
    nibble
}

/// Fetches and packs every model of the registry, and builds the lists that tests use, with the command as tests compile it; what is there already is left alone.
pub fn pull_all() -> Result<Vec<Model>> {
    shell::run(shell::cargo().arg("build").args(WORKSPACE))?;
    shell::run(nibble_of_tests()?.args(["pull", LEXICON, "emoji-en"]))?;
    pull(nibble_of_tests()?, "--all")
}

/// The word list that tests use, with the command as [`pull_all`] has compiled it.
pub fn pull_lexicon() -> Result<PathBuf> {
    let list = pull(nibble_of_tests()?, LEXICON)?.pop();
    list.map(|list| list.file).ok_or_else(|| format!("nibble pull {LEXICON} did not say where the word list is"))
}

/// The word list that tests use.
const LEXICON: &str = "lexicon-en";

fn nibble_of_tests() -> Result<Command> {
    Ok(shell::command(shell::this()?.with_file_name("nibble").with_extension(consts::EXE_EXTENSION)))
}

/// Fetches and packs one model of the registry, or packs a GGUF file.
pub fn pull_one(name: &str) -> Result<Model> {
    pull(nibble(), name)?.pop().ok_or_else(|| format!("nibble pull {name} did not say where the model is"))
}

fn pull(mut nibble: Command, what: &str) -> Result<Vec<Model>> {
    parse(&shell::output(nibble.args(["pull", "--json", what]))?)
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
        let model = |name: &str| Model { name: name.to_owned(), file: "/m.gguf".into(), packed: None };
        let lines = "{\"name\":\"a\",\"file\":\"/m.gguf\",\"fetched\":false}\n{\"name\":\"b\",\"file\":\"/m.gguf\"}\n";
        assert_eq!(parse(lines).unwrap(), [model("a"), model("b")]);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn another_answer_is_an_error() {
        assert!(parse("already there").unwrap_err().contains("already there"));
    }
}
