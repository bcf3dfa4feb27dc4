//! `nibble reply`: what one could answer to a message.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Instant;

use nibble_tasks::reply::{Options, Replier, Silence, Turn};
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::input;
use crate::interrupt::Section;
use crate::model::{ModelArgs, Runner};
use crate::sampling::SamplingArgs;
use crate::terminal::{Align, Paint, Table, millis};

/// Suggests replies to a message
#[derive(clap::Args)]
#[command(after_help = "\
A conversation is a JSON array, oldest turn first:
  [{\"from_me\": false, \"text\": \"Lunch on Friday?\"}, {\"from_me\": true, \"text\": \"Where?\"}, ...]

Examples:
  nibble reply --message 'Are you coming on Saturday?'
  nibble reply --chat conversation.json --top 5 --json
  nibble reply --message 'How was the trip?' --draft --temperature 0.7")]
pub struct Args {
    /// The message to answer, or - for stdin
    #[arg(long, value_name = "TEXT", required_unless_present = "chat", conflicts_with = "chat")]
    message: Option<String>,
    /// The conversation so far, whose last turn is to be answered; - for stdin
    #[arg(long, value_name = "FILE.json")]
    chat: Option<PathBuf>,
    /// How many replies
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    top: u8,
    /// Writes one reply freely instead of choosing from a checked set; poor where the model has no chat template
    #[arg(long)]
    draft: bool,
    /// Prints a JSON object: {replies: [{text, score, intent}], silence, micros}, or {draft, micros}
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
        let chat = self.conversation()?;
        let mut runner = self.model.open()?;
        if self.draft { self.draft(&mut runner, &chat) } else { self.suggest(&mut runner, &chat) }
    }

    fn suggest(&self, runner: &mut Runner, chat: &[Turn]) -> Result<()> {
        let mut replier = Replier::new(Options::default());
        let start = Instant::now();
        let replies = replier.suggest(runner.model(), chat, usize::from(self.top))?;
        let took = start.elapsed();
        let silence = Replier::trigger(chat).err().map(why_silent);

        let (mut out, paint) = (stdout().lock(), Paint::stdout());
        if self.json {
            let answer = json!({ "replies": replies, "silence": silence, "micros": took.as_micros() as u64 });
            return Ok(writeln!(out, "{answer}")?);
        }
        if let Some(why) = silence {
            return Ok(writeln!(out, "no reply is suggested: {why}")?);
        }
        let mut table = Table::new(&[("REPLY", Align::Left), ("INTENT", Align::Left), ("SCORE", Align::Right)]);
        for reply in replies {
            table.row([reply.text, reply.intent, format!("{:.2}", reply.score)]);
        }
        table.write(&mut out, paint)?;
        Ok(writeln!(out, "\n{}", paint.dim(&millis(took)))?)
    }

    fn draft(&self, runner: &mut Runner, chat: &[Turn]) -> Result<()> {
        let draft = Replier::new(Options::default()).draft(runner.model(), chat, self.sampling.sampling()?)?;
        let section = Section::begin(runner.cancel_token());
        let start = Instant::now();
        let (mut out, paint) = (stdout().lock(), Paint::stdout());
        let mut text = String::new();
        for piece in draft.on(runner.model()) {
            let piece = piece?;
            text.push_str(&piece.text);
            if !self.json {
                write!(out, "{}", paint.cyan(&piece.text))?;
                out.flush()?;
            }
            if section.interrupted() {
                return Err(Failure::Cancelled);
            }
        }
        let micros = start.elapsed().as_micros() as u64;
        match self.json {
            true => writeln!(out, "{}", json!({ "draft": text.trim(), "micros": micros }))?,
            false => writeln!(out)?,
        }
        Ok(())
    }

    fn conversation(&self) -> Result<Vec<Turn>> {
        let Some(path) = &self.chat else {
            let message = self.message.as_deref().expect("clap requires one of the two");
            return Ok(vec![Turn { from_me: false, text: input::text(message)? }]);
        };
        let turns: Vec<Turn> = serde_json::from_str(&input::file(path)?).map_err(|e| {
            let (file, line, column) = (path.display(), e.line(), e.column());
            Failure::Failed(format!(
                "{file} is not a conversation (line {line}, column {column}); write [{{\"from_me\": false, \"text\": \"...\"}}, ...]"
            ))
        })?;
        if turns.is_empty() {
            return Err(Failure::Failed(format!("{} holds no turns; there is nothing to answer", path.display())));
        }
        Ok(turns)
    }
}

/// Why there are no replies, for a person.
fn why_silent(silence: Silence) -> &'static str {
    match silence {
        Silence::Nothing => "the message has no words",
        Silence::OwnTurn => "the last turn is your own",
        Silence::Code => "the message holds a code or a password",
        Silence::Sensitive => "no ready-made reply is right on this topic",
        Silence::Automated => "a machine sent the message",
        Silence::Language => "the set of replies is in another language",
    }
}
