//! The commands, and what they share: the list that `--help` shows.

mod adapt;
mod bench;
mod calibrate;
mod chat;
mod demo;
mod eval;
mod generate;
mod inspect;
mod keyboard;
mod logits;
mod manifest;
mod models;
mod predict;
mod pull;
mod reply;
mod score;
mod tokenize;

use clap::{Parser, Subcommand};

use crate::failure::Result;

/// Runs small 4-bit language models on this machine's CPU: next words, replies, text. Nothing leaves the machine.
#[derive(Parser)]
#[command(name = "nibble", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Nibble {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Begin with:
  nibble demo                                     see it work
  nibble predict --context 'See you ' --typed to  three words, with their probabilities
  nibble reply --message 'Lunch on Friday?'       three replies

`nibble COMMAND --help` explains a command and shows examples.

Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 130 stopped by Ctrl-C.

Environment:
  NIBBLE_CACHE     folder for what was fetched, packed and built
  NIBBLE_MODELS    folder that already holds files under the registry's names
  NIBBLE_REGISTRY  a registry of models and word lists to use instead of the built-in one
  NIBBLE_TIER      forces a lower kernel tier: scalar, avx2, neon, ...
  NO_COLOR         no colours";

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Models(models::Args),
    Pull(pull::Args),
    Inspect(inspect::Args),
    Predict(predict::Args),
    Keyboard(keyboard::Args),
    Reply(reply::Args),
    Generate(generate::Args),
    Chat(chat::Args),
    Tokenize(tokenize::Args),
    Score(score::Args),
    Logits(logits::Args),
    Eval(eval::Args),
    Bench(bench::Args),
    Calibrate(calibrate::Args),
    Adapt(adapt::Args),
    Manifest(manifest::Args),
}

impl Nibble {
    /// Runs the command that was asked for.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Demo(args) => args.run(),
            Command::Models(args) => args.run(),
            Command::Pull(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::Predict(args) => args.run(),
            Command::Keyboard(args) => args.run(),
            Command::Reply(args) => args.run(),
            Command::Generate(args) => args.run(),
            Command::Chat(args) => args.run(),
            Command::Tokenize(args) => args.run(),
            Command::Score(args) => args.run(),
            Command::Logits(args) => args.run(),
            Command::Eval(args) => args.run(),
            Command::Bench(args) => args.run(),
            Command::Calibrate(args) => args.run(),
            Command::Adapt(args) => args.run(),
            Command::Manifest(args) => args.run(),
        }
    }
}
