//! `nibble chat`: a conversation with the model, at a terminal or line by line through a pipe.

use std::io::{BufRead, IsTerminal, Write, stdin, stdout};

use nibble_engine::{Error, Generator, Message, Sampling, Stop};
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::interrupt::Section;
use crate::model::{ModelArgs, Runner};
use crate::sampling::SamplingArgs;
use crate::terminal::{Paint, note};

/// Talks with the model
#[derive(clap::Args)]
#[command(after_help = "\
Each line is a message. Ctrl-C stops an answer, Ctrl-D ends the conversation; /new begins another one. When the
context is full, the oldest messages are forgotten.

Examples:
  nibble chat
  nibble chat --system 'Answer in one sentence.' --temperature 0.7
  echo 'Call Anna tomorrow at 5.' | nibble chat --schema command.json
  echo 'Name three fruits.' | nibble chat --json")]
pub struct Args {
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Ends an answer after this many tokens
    #[arg(short = 'n', long, value_name = "N", default_value_t = 256)]
    max_tokens: usize,
    /// Prints one JSON object an answer: {"reply"}, or {"error"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        // A schema that cannot be used is better told at once, too.
        let sampling = self.sampling.sampling()?;
        let mut runner = self.model.open()?;
        let mut messages = self.beginning();
        // A base model is better told at once than after the first question.
        runner.model().chat(&[message("user", "")])?;

        let at_terminal = stdin().is_terminal() && stdout().is_terminal() && !self.json;
        let paint = Paint::stdout();
        let mut lines = stdin().lock();
        let mut failed = None;
        loop {
            if at_terminal {
                print!("{} ", paint.bold(">"));
                stdout().flush()?;
            }
            let mut line = Vec::new();
            if lines.read_until(b'\n', &mut line)? == 0 {
                if at_terminal {
                    println!();
                }
                break;
            }
            match String::from_utf8(line).as_deref().map(str::trim) {
                Ok("") => continue,
                Ok("/new") => messages = self.beginning(),
                Ok(text) => {
                    messages.push(message("user", text));
                    match self.answer(&mut runner, &mut messages, &sampling, paint) {
                        Ok(reply) => messages.push(message("assistant", &reply)),
                        Err(failure @ (Failure::Failed(_) | Failure::Usage(_))) => {
                            messages.pop();
                            self.complain(&failure)?;
                            failed = Some(failure);
                        }
                        Err(failure) => return Err(failure),
                    }
                }
                Err(_) => {
                    let failure = Failure::Failed("a line is not UTF-8 text; convert it to UTF-8".to_owned());
                    self.complain(&failure)?;
                    failed = Some(failure);
                }
            }
        }
        // A person at the terminal has seen it; a script looks at the exit code.
        if at_terminal { Ok(()) } else { failed.map_or(Ok(()), Err) }
    }

    fn beginning(&self) -> Vec<Message> {
        self.system.iter().map(|text| message("system", text)).collect()
    }

    fn complain(&self, failure: &Failure) -> Result<()> {
        if self.json {
            return Ok(writeln!(stdout(), "{}", json!({ "error": failure.to_string() }))?);
        }
        note(&failure.to_string());
        Ok(())
    }

    /// Streams the answer to the last of `messages`, forgetting the oldest ones if there is no room for it.
    fn answer(
        &self,
        runner: &mut Runner,
        messages: &mut Vec<Message>,
        sampling: &Sampling,
        paint: Paint,
    ) -> Result<String> {
        let limit = runner.model().context_limit();
        let first = usize::from(self.system.is_some());
        let prompt = loop {
            let prompt = runner.model().chat(messages)?;
            if prompt.len() + self.max_tokens.min(limit / 2) <= limit {
                break prompt;
            }
            if messages.len() <= first + 1 {
                return Err(Error::ContextOverflow { tokens: prompt.len(), context: limit }.into());
            }
            // A question and its answer go together.
            messages.drain(first..first + 2);
        };
        let section = Section::begin(runner.cancel_token());
        let stop = Stop { max_tokens: Some(self.max_tokens), strings: Vec::new() };
        let mut reply = String::new();
        let mut out = stdout().lock();
        for piece in Generator::new(runner.model(), prompt, sampling.clone(), stop) {
            let piece = match piece {
                Err(Error::Cancelled | Error::ContextOverflow { .. }) => break,
                other => other?,
            };
            reply.push_str(&piece.text);
            if !self.json {
                write!(out, "{}", paint.cyan(&piece.text))?;
                out.flush()?;
            }
            if section.interrupted() {
                break;
            }
        }
        let reply = reply.trim().to_owned();
        match self.json {
            true => writeln!(out, "{}", json!({ "reply": reply }))?,
            false => writeln!(out)?,
        }
        Ok(reply)
    }
}

fn message(role: &str, content: &str) -> Message {
    Message { role: role.to_owned(), content: content.to_owned() }
}
