//! The `nibble` command: fetch models, try predictions and replies, look inside, measure.
//!
//! Each command is a file in `commands/`: its arguments, and `run`, which prints its result on stdout. Everything else that is
//! said (progress, notes, errors) goes to stderr, so that stdout can always be piped.
#![forbid(unsafe_code)]

mod commands;
mod emoji;
mod energy;
mod failure;
mod fetch;
mod input;
mod interrupt;
mod lexicon;
mod memory;
mod messages;
mod model;
mod offensive;
mod registry;
mod sampling;
mod store;
mod terminal;
mod words;

use std::io::{Write, stderr};
use std::process::ExitCode;

use clap::Parser;

use failure::Failure;

fn main() -> ExitCode {
    interrupt::install();
    let Err(failure) = commands::Nibble::parse().run() else { return ExitCode::SUCCESS };
    let text = failure.to_string();
    if !text.is_empty() {
        let label = match failure {
            Failure::Cancelled => "",
            _ => "error: ",
        };
        // If stderr is closed too, the exit code still tells.
        let _ = writeln!(stderr(), "{}{text}", terminal::Paint::stderr().red(label));
    }
    failure.exit_code()
}
