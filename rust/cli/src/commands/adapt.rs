//! `nibble adapt`: fits an adapter of a model to messages.

use std::io::stdout;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nibble_engine::Adapter;
use nibble_tasks::keyboard::evaluation::Message;
use nibble_tasks::keyboard::lexicon::Lexicon;
use nibble_tasks::keyboard::primer::primer;
use nibble_workshop::adapter::{Corpus, Error, Fluency, Lesson, Recipe};

use crate::failure::{Failure, Result};
use crate::messages;
use crate::model::{ModelArgs, Runner};
use crate::store;
use crate::terminal::{Align, Paint, Table, bytes, note, step_bar};
use crate::words;

/// Fits an adapter of a model to messages, with which it predicts messages of their kind better
#[derive(clap::Args)]
#[command(after_help = "\
FILE is a text file with a message a line, or JSON lines with a chat each: {\"turns\": [{\"text\"}]}. About as much is learned from each file,
whatever its length. What is no word of the language's dictionary is read and not learned from: a keyboard is there to mend it.

The adapter moves what the model thinks before it chooses a word; the model itself stays as it is. What it is
worth shows on messages that it was not fitted to: give some of those with --test. The adapters that ship are in
rust/tasks/src/keyboard/adapters; `nibble eval keyboard --adapter FILE` measures another.

It takes minutes where the command is compiled as in a release (cargo run --release -p nibble-cli -- adapt), and long where it is not.

Examples:
  nibble adapt messages.txt chats.jsonl --out messages.adapter
  nibble adapt first-half.txt --test second-half.txt --out half.adapter --model gemma-3-270m")]
pub struct Args {
    /// Files with messages to learn from
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the adapter goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Messages that are not learned from, by which it is measured with and without the adapter; may be given several times
    #[arg(long, value_name = "FILE")]
    test: Vec<PathBuf>,
    /// Language of the few messages that the model reads before each
    #[arg(long, value_name = "en|de|es|fr", default_value = "en")]
    primer: String,
    /// Directions in which the adapter moves the model's thoughts: more of them learn more, and take more room
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=512))]
    rank: u16,
    /// How often each message is learned from
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    epochs: u16,
    /// Where the fit begins: the same seed, the same adapter
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let primer = primer(&self.primer);
        if primer.is_empty() {
            return Err(Failure::Usage("--primer is en, de, es or fr".to_owned()));
        }
        let lexicon = self.lexicon()?;
        let lesson = |text: String| Lesson {
            left_out: lexicon.as_ref().map_or_else(Vec::new, |lexicon| mistakes(&text, lexicon)),
            text,
        };
        let read = |path| Ok(pieces(path)?.into_iter().map(lesson).collect());
        let lessons = self.files.iter().map(|path| read(path)).collect::<Result<Vec<Vec<_>>>>()?;
        let tests = self.test.iter().map(|path| pieces(path)).collect::<Result<Vec<_>>>()?;
        let folder = self.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Whether anything can be written there is found out before minutes of reading.
        tempfile::tempfile_in(folder).map_err(|error| Failure::io("create", &self.out, &error))?;

        let Runner::Native(mut session) = self.model.open()? else {
            return Err(Failure::Failed("a model on candle's graphs cannot be adapted".to_owned()));
        };
        let bar = step_bar("reading");
        bar.set_length(lessons.iter().map(Vec::len).sum::<usize>() as u64);
        let mut step = || {
            bar.inc(1);
            ControlFlow::Continue(())
        };
        let corpus = Corpus::read(&mut session, primer, &lessons, &mut step).map_err(failed)?;
        bar.finish_and_clear();
        let recipe = Recipe { rank: self.rank.into(), epochs: self.epochs.into(), seed: self.seed };
        let bar = step_bar("fitting");
        let model = session.model().clone();
        let file = corpus.fit(&model, recipe, &mut |done, steps, _| {
            bar.set_length(steps as u64);
            bar.set_position(done as u64);
            ControlFlow::Continue(())
        });
        bar.finish_and_clear();
        let file = file.map_err(failed)?;
        store::write_whole(&self.out, &file).map_err(|error| Failure::io("write", &self.out, &error))?;
        note(&format!("{}: {}, from {} tokens", self.out.display(), bytes(file.len() as u64), corpus.tokens()));

        let adapter = Arc::new(Adapter::from_bytes(&file)?);
        self.print(&mut session, &adapter, primer, &tests)
    }

    /// The words of the language, if its list was pulled.
    fn lexicon(&self) -> Result<Option<Arc<Lexicon>>> {
        let lexicon = words::pulled(&self.primer)?;
        if lexicon.is_none() {
            note(&format!(
                "errors in the messages are learned too without a word list; fetch one: nibble pull lexicon-{}",
                self.primer
            ));
        }
        Ok(lexicon)
    }

    /// How well the model knows the messages of --test, without the adapter and with it.
    fn print(
        &self,
        session: &mut nibble_engine::Session,
        adapter: &Arc<Adapter>,
        primer: &str,
        tests: &[Vec<String>],
    ) -> Result<()> {
        if tests.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(&[
            ("FILE", Align::Left),
            ("TOKENS", Align::Right),
            ("PERPLEXITY", Align::Right),
            ("ADAPTED", Align::Right),
            ("AMONG THREE", Align::Right),
            ("ADAPTED", Align::Right),
        ]);
        for (path, texts) in self.test.iter().zip(tests) {
            let bar = step_bar("measuring");
            bar.set_length(2 * texts.len() as u64);
            let mut measure = |adapter| {
                let mut step = || {
                    bar.inc(1);
                    ControlFlow::Continue(())
                };
                Fluency::of(session, adapter, primer, texts, &mut step).map_err(failed)
            };
            let [before, after] = [measure(None)?, measure(Some(adapter))?];
            bar.finish_and_clear();
            let perplexity = |fluency: &Fluency| format!("{:.1}", fluency.nats.exp());
            let among = |fluency: &Fluency| format!("{:.1} %", 100.0 * fluency.among_three);
            table.row([
                path.display().to_string(),
                before.tokens.to_string(),
                perplexity(&before),
                perplexity(&after),
                among(&before),
                among(&after),
            ]);
        }
        table.write(&mut stdout().lock(), Paint::stdout())?;
        Ok(())
    }
}

/// Characters of a chat that are read together, as much as a keyboard's window holds.
const TOGETHER: usize = 500;

/// The texts to learn from: each message alone, or several turns of a chat together, the last as it is sent.
fn pieces(path: &Path) -> Result<Vec<String>> {
    let mut texts: Vec<String> = Vec::new();
    for message in messages::read(path, 1)? {
        let line = message.text + "\n";
        match texts.last_mut() {
            Some(last) if !message.context.is_empty() && last.len() + line.len() <= TOGETHER => last.push_str(&line),
            _ => texts.push(line),
        }
    }
    Ok(texts)
}

/// Where a text has words that are not in the dictionary, or lack an apostrophe with which they are more frequent.
fn mistakes(text: &str, lexicon: &Lexicon) -> Vec<Range<usize>> {
    let cost = |word: &str| lexicon.get(word).filter(|word| word.listed).map(|word| word.cost);
    let mut found = Vec::new();
    let message = Message { context: String::new(), text: text.to_owned() };
    message.written(|before, word| {
        let word_as_listed = word.replace('’', "'").to_lowercase();
        let mut cuts = word_as_listed.char_indices().skip(1).map(|(at, _)| word_as_listed.split_at(at));
        let is_right = cost(&word_as_listed).is_some_and(|as_it_is| {
            !cuts.any(|(head, tail)| cost(&[head, "'", tail].concat()).is_some_and(|cost| cost < as_it_is))
        });
        if !is_right {
            found.push(before.len()..before.len() + word.len());
        }
    });
    found
}

fn failed(error: Error) -> Failure {
    match error {
        Error::Engine(error) => error.into(),
        Error::Cancelled => Failure::Cancelled,
        error => Failure::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn turns_are_read_together_as_far_as_they_fit_and_messages_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            pieces(&path).unwrap()
        };
        assert_eq!(file("a.txt", "Hi\nSo?\n"), ["Hi\n", "So?\n"]);
        let long = "x".repeat(TOGETHER - 6);
        let chats = format!(
            "{{\"turns\": [{{\"text\": \"Hi\"}}, {{\"text\": \"So\"}}, {{\"text\": \"{long}\"}}]}}\n{{\"turns\": [{{\"text\": \"No\"}}]}}\n"
        );
        assert_eq!(file("a.jsonl", &chats), ["Hi\nSo\n".to_owned(), long + "\n", "No\n".to_owned()]);
    }
}
