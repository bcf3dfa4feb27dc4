//! `nibble eval`: how good the keyboard is on messages that people wrote.

mod fit;
mod plot;

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nibble_engine::SplitMix64;
use nibble_tasks::keyboard::Keyboard;
use nibble_tasks::keyboard::baseline::Baseline;
use nibble_tasks::keyboard::evaluation::{
    Change, Corrections, Evaluation, GatePoint, Message, Modelled, Predictor, Share, Typist, precision_at,
};
use nibble_tasks::keyboard::learning::Learner;
use nibble_tasks::keyboard::lexicon::Lexicon;
use nibble_tasks::keyboard::noise::Noise;
use nibble_tasks::keyboard::weights::Weights;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::interrupt::Section;
use crate::memory;
use crate::messages;
use crate::model::{ModelArgs, Runner};
use crate::terminal::{Align, Paint, Table, bytes, millis, note, step_bar};
use crate::words::WordArgs;
use plot::Plots;

/// Measures how good predictions are on messages that people wrote
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand)]
enum Task {
    Keyboard(KeyboardArgs),
}

/// Types messages letter by letter, and counts how often and how soon the strip of three has the word
#[derive(clap::Args)]
#[command(after_help = "\
FILE is a text file with a message a line, or JSON lines with a chat each: {\"turns\": [{\"who\", \"text\"}]}. Of a chat
every turn is a message, typed after the turns before it.

next word       the word is first, or among three, before its first letter is typed; behind a word: without the first word of
                each message, of which the kebbie protocol does not ask
completion      it is among three after so many letters, of the words that were not complete by then; with an error: after
                three touches that do not spell how it begins
autocorrection  every word is typed to its end by somebody who errs, and a space: of the words that are changed, the share
                that become what was meant; of those with an error, the share that is mended; of those without, the
                share that is changed
keys saved      share of keys, where a word is taken as soon as that saves one
first paint     what is there at once; refined: the answer that replaces it, measured from the same key; a strip with nothing
                on it is no first paint without a forward pass
one token       the median time of a forward pass over one token behind the first messages, with the logits of all tokens: what the
                times above are to be seen beside on another machine
calibration     mean distance of the probability that the first word claims from how often it is right
memory          of the whole process, private and written to, when the last message was typed; where the system tells

Case does not count. With --sample the same messages are taken every time, spread over the file.

With --compare the same messages are typed, with the same errors, on keyboards that lack something: the model, which leaves the
frequencies of the word list; the model, with words counted behind the one or two before them in the messages of --learn
(an n-gram, interpolated, over the word list); and what was learned of these messages. All of them see through errors and
change words in the same way. Each --beside adds a keyboard with another model, and what was learned.

With --changes those words are listed that became others than were meant. Where a message has an error of its own, putting it right
counts as wrong too.

With --fit the messages are typed with other weights too, each changed in turn as long as that takes somebody fewer keys: those that
are pressed, 4 to mend an error that stayed, and 16 for a change that was wrong. The weights in use are in
rust/tasks/src/keyboard/weights.rs. All is typed fifteen times or more; interrupted, it prints what was tried until then.

With --plot there is a picture of each file, FOLDER/NAME.svg: how often the next word is right for each probability that it
claims, with how many there are; the words among three by the letters typed; and the precision and recall of autocorrection if
it asked for other odds than it does.

Examples:
  nibble eval keyboard messages.txt --sample 200
  nibble eval keyboard messages.txt --sample 200 --errors 2 --plot plots --changes
  nibble eval keyboard messages.txt --sample 200 --learn 500 --compare --beside gemma-3-270m
  nibble eval keyboard messages.txt chats.jsonl --sample 40 --errors 4 --fit
  nibble eval keyboard chats.jsonl --turns 8 --json | jq .keystroke_savings")]
struct KeyboardArgs {
    /// Files with messages, each reported on its own
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Messages of each file that are typed; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// First messages of each file, which are not typed: the keyboard has learned from them before
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "learned")]
    learn: u32,
    /// Earlier turns of a chat that are in front of the person
    #[arg(long, value_name = "N", default_value_t = 8)]
    turns: u8,
    /// How often every word is typed by somebody who makes errors; 0 leaves that out
    #[arg(long, value_name = "N", default_value_t = 1)]
    errors: u8,
    /// How far that person's touches fall from the middle of a key: the deviation, in key sizes
    #[arg(long, value_name = "SHARE", default_value_t = 1.0 / 6.0)]
    sigma: f32,
    /// Where the errors come from: the same seed, the same errors
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Types the messages also without the model, with an n-gram of the messages of --learn, and without what was learned of these
    #[arg(long, conflicts_with_all = ["learned", "offensive"])]
    compare: bool,
    /// Compares with this model too: a name from `nibble models`, a packed file or a GGUF; may be given several times
    #[arg(long, requires = "compare", value_name = "NAME|FILE")]
    beside: Vec<String>,
    /// Finds the weights with which the messages of all files take the fewest keys
    #[arg(long, conflicts_with_all = ["compare", "changes", "plot"])]
    fit: bool,
    /// Lists the words that were changed and should not have been
    #[arg(long)]
    changes: bool,
    /// Draws a picture of each file into this folder, which is made if there is none
    #[arg(long, value_name = "FOLDER")]
    plot: Option<PathBuf>,
    /// Prints a JSON array, an object a file
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    words: WordArgs,
    #[command(flatten)]
    model: ModelArgs,
}

/// At this recall the precision of autocorrection is told too, whatever odds the gate asks for.
const RECALL: f64 = 0.65;

/// What was found on the messages of one file.
struct Found {
    name: String,
    evaluation: Evaluation,
    /// Keyboards that lack something, the whole one, and those with another model, by what they have.
    compared: Vec<(String, Evaluation)>,
    /// Of one token; none where somebody stopped it.
    token: Option<Duration>,
    /// Bytes that the process had written to when all messages were typed, where the system tells.
    memory: Option<u64>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        match self.task {
            Task::Keyboard(args) => args.run(),
        }
    }
}

impl KeyboardArgs {
    fn run(self) -> Result<()> {
        let texts =
            self.files.iter().map(|path| messages::read(path, usize::from(self.turns))).collect::<Result<Vec<_>>>()?;
        let plots = self.plot.as_deref().map(|folder| Plots::into(folder, &self.files)).transpose()?;
        let words = if self.compare { Some(self.words_for("--compare")?) } else { None };
        if self.fit {
            self.words_for("--fit")?;
            return self.fit(&mut self.model.open()?, &texts);
        }
        // They are opened when it is their turn; one that is not there is told of before hours of typing.
        self.beside.iter().try_for_each(|name| self.model.with(name).prepare().map(drop))?;
        let mut runner = self.model.open()?;
        let mut found = Vec::new();
        let mut whole = true;
        for (path, messages) in self.files.iter().zip(&texts) {
            let (one, finished) = self.evaluate(&mut runner, path, messages, words.as_deref())?;
            if let Some(plots) = &plots {
                plots.save(path, &one.evaluation)?;
            }
            found.push(one);
            if !finished {
                whole = false;
                note("stopped; what was typed until then is counted");
                break;
            }
        }
        let mut out = stdout().lock();
        if self.json {
            writeln!(out, "{}", found.iter().map(as_json).collect::<Value>())?;
        } else {
            print(&mut out, &found, self.changes)?;
        }
        if whole { Ok(()) } else { Err(Failure::Cancelled) }
    }

    /// Types the messages, and with `words` compares; says also whether nobody stopped it.
    fn evaluate(
        &self,
        runner: &mut Runner,
        path: &Path,
        messages: &[Message],
        words: Option<&[Arc<Lexicon>]>,
    ) -> Result<(Found, bool)> {
        let (learned, messages) = self.split(path, messages)?;
        let section = Section::begin(runner.cancel_token());
        let keyboard = self.taught(learned, Weights::default())?;
        let times = if keyboard.mends_errors() { usize::from(self.errors) } else { 0 };
        let type_on =
            |what: &str, predictor: &mut dyn Predictor| self.type_on(predictor, &messages, times, &section, what);
        let mut whole = Modelled { keyboard, model: runner.model() };
        let evaluation = type_on("typing", &mut whole)?;
        // While all that it took is still there.
        let memory = memory::private_dirty();
        let token = match one_token(runner, &messages) {
            // Somebody stopped it: what was typed until then counts all the same.
            Err(Failure::Cancelled) => None,
            time => Some(time?),
        };
        let mut compared = Vec::new();
        if let Some(words) = words {
            let mut baseline =
                Baseline::new(words.to_vec(), self.words.layout()?, self.words.options(Weights::default())?);
            let mut add = |has: &str, predictor: &mut dyn Predictor| -> Result<()> {
                let evaluation = type_on(has, predictor)?;
                // Nothing was typed on those that come after somebody stopped it.
                compared.extend((evaluation.messages > 0).then(|| (has.to_owned(), evaluation)));
                Ok(())
            };
            add("word list", &mut baseline)?;
            if !learned.is_empty() {
                learned.iter().for_each(|message| baseline.teach(message));
                add("word list, n-gram", &mut baseline)?;
                add("word list, model", &mut Modelled { keyboard: self.words.keyboard()?, model: runner.model() })?;
            }
            let with = |model: &str| if learned.is_empty() { model.to_owned() } else { format!("{model}, learned") };
            let others = self.beside.iter().filter(|_| !section.interrupted());
            let others = others.map(|name| {
                let mut other = self.model.with(name).open()?;
                let keyboard = self.taught(learned, Weights::default())?;
                let has = with(&format!("word list, {name}"));
                let evaluation = type_on(&has, &mut Modelled { keyboard, model: other.model() })?;
                Ok((has, evaluation))
            });
            let others = others.collect::<Result<Vec<_>>>()?;
            compared.push((with("word list, model"), evaluation.clone()));
            compared.extend(others.into_iter().filter(|(_, evaluation)| evaluation.messages > 0));
        }
        let name = path.display().to_string();
        Ok((Found { name, evaluation, compared, token, memory }, !section.interrupted()))
    }

    /// The messages that are learned before, and those that are typed.
    fn split<'a>(&self, path: &Path, messages: &'a [Message]) -> Result<(&'a [Message], Vec<&'a Message>)> {
        let split = messages.split_at_checked(self.learn as usize).filter(|(_, rest)| !rest.is_empty());
        let Some((learned, rest)) = split else {
            let why =
                format!("{} has {} messages, of which --learn leaves none to type", path.display(), messages.len());
            return Err(Failure::Failed(why));
        };
        Ok((learned, sample(rest, self.sample.map_or(usize::MAX, |n| n as usize))))
    }

    /// A keyboard with these weights that has learned these messages.
    fn taught(&self, learned: &[Message], weights: Weights) -> Result<Keyboard> {
        let keyboard = self.words.keyboard_with(weights)?;
        if learned.is_empty() {
            return Ok(keyboard);
        }
        let learner = Learner::new();
        learned.iter().for_each(|message| message.teach(&learner));
        Ok(keyboard.with_learner(learner))
    }

    /// Types the messages on a keyboard, each word so many `times` with errors, until somebody interrupts.
    fn type_on(
        &self,
        predictor: &mut dyn Predictor,
        messages: &[&Message],
        times: usize,
        section: &Section,
        what: &str,
    ) -> Result<Evaluation> {
        let noise = Noise { sigma: self.sigma, ..Noise::default() };
        let mut typist = Typist { layout: self.words.layout()?, noise, chance: SplitMix64(self.seed), times };
        let mut evaluation = Evaluation::default();
        let bar = step_bar(what);
        bar.set_length(messages.len() as u64);
        for message in messages {
            if section.interrupted() {
                break;
            }
            let typed = evaluation.add(predictor, message);
            let typed = typed.and_then(|()| evaluation.add_errors(predictor, message, &mut typist));
            match typed {
                Err(nibble_engine::Error::Cancelled) => {}
                outcome => outcome?,
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(evaluation)
    }

    /// The word lists, without which this option makes no sense.
    fn words_for(&self, option: &str) -> Result<Vec<Arc<Lexicon>>> {
        let lexicons = self.words.lexicons()?;
        if lexicons.is_empty() {
            return Err(Failure::Failed(format!("{option} needs a word list; fetch one: nibble pull lexicon-en")));
        }
        Ok(lexicons)
    }
}

/// The median time of a forward pass over one token, behind the beginning of these messages.
fn one_token(runner: &mut Runner, messages: &[&Message]) -> Result<Duration> {
    const BEHIND: usize = 64;
    const TIMES: usize = 15;
    let text = messages.iter().map(|message| &message.text[..]).cycle().take(BEHIND + TIMES).collect::<Vec<_>>();
    let mut tokens = runner.encode(&text.join("\n"))?;
    tokens.truncate((BEHIND + TIMES).min(runner.model().context_limit()));
    let model = runner.model();
    let first = tokens.len().saturating_sub(TIMES).max(1);
    model.sync(&tokens[..first])?;
    let mut times = Vec::new();
    for end in first + 1..=tokens.len() {
        let start = Instant::now();
        model.sync(&tokens[..end])?;
        times.push(start.elapsed());
    }
    let [median, ..] = percentiles(&times);
    Ok(median)
}

/// `count` of the messages, spread evenly.
fn sample(messages: &[Message], count: usize) -> Vec<&Message> {
    let all = messages.len();
    let chosen = |i: usize| count >= all || i * count / all != (i + 1) * count / all;
    messages.iter().enumerate().filter_map(|(i, message)| chosen(i).then_some(message)).collect()
}

/// The times that 50, 95 and 99 of a hundred are within; 0 where there are none.
fn percentiles(times: &[Duration]) -> [Duration; 3] {
    let mut times = times.to_vec();
    times.sort_unstable();
    [50, 95, 99].map(|percent| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or_default()
    })
}

/// To four places, which is all that a sample tells.
fn round(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}

fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

fn share(share: Share) -> String {
    percent(share.ratio())
}

fn print(out: &mut dyn Write, found: &[Found], changes: bool) -> Result<()> {
    let times = |times: &[Duration]| percentiles(times).map(millis).join(" / ");
    for Found { name, evaluation: e, compared, token, memory } in found {
        let mut table = Table::new(&[(name, Align::Left), ("", Align::Right)]);
        let mut row = |what: &str, value: String| table.row([what.to_owned(), value]);
        row("messages / words", format!("{} / {}", e.messages, e.next_word_top1.of));
        row("next word, first", share(e.next_word_top1));
        row("next word, among three", share(e.next_word_top3));
        row("the same behind a word, as kebbie asks", e.next_word_behind.map(share).join(" / "));
        for (letters, &found) in (1..).zip(&e.completion_top3) {
            row(&format!("completion after {letters}, among three"), share(found));
        }
        if e.corrections.wrong + e.corrections.right > 0 {
            row("completion after 3 with an error, among three", share(e.noisy_top3));
            row("words with an error / without", format!("{} / {}", e.corrections.wrong, e.corrections.right));
            let kinds = [
                ("of all words", &e.corrections, e.gate_curve()),
                ("of words in the dictionary", &e.listed, e.gate_curve_of_listed()),
            ];
            for (kind, counts, curve) in kinds {
                let of = |what: &str| format!("{what}, {kind}");
                row(&of("autocorrection, precision"), percent(counts.precision()));
                row(&of("autocorrection, recall"), percent(counts.recall()));
                let at = precision_at(&curve, RECALL).map_or("not reached".to_owned(), percent);
                row(&of(&format!("precision at recall {}", percent(RECALL))), at);
                row(&of("changed that were right"), format!("{:.2} %", counts.false_changes() * 100.0));
            }
        }
        row("keys saved", percent(e.keystroke_savings()));
        row("calibration error", format!("{:.3}", e.calibration_error()));
        row("first paint, p50 / p95 / p99", times(&e.first_paint));
        row("refined, p50 / p95 / p99", times(&e.refined));
        if let Some(token) = token {
            row("one token, all logits", millis(*token));
        }
        row("strips with something worth showing", share(e.shown));
        row("the word among that", share(e.shown_right));
        row("forward passes a key", format!("{:.2}", e.forward_passes as f64 / e.refined.len().max(1) as f64));
        row("first paint without one", share(e.instant));
        row("first paint with nothing on it", share(e.blank));
        if let Some(memory) = memory {
            row("memory", bytes(*memory));
        }
        table.write(out, Paint::stdout())?;
        writeln!(out)?;
        if !compared.is_empty() {
            comparison(compared).write(out, Paint::stdout())?;
            writeln!(out)?;
        }
        if changes {
            wrong_changes(e).write(out, Paint::stdout())?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// A wrong change a row, with how often it was made.
fn wrong_changes(e: &Evaluation) -> Table {
    let mut times: BTreeMap<[&str; 3], usize> = BTreeMap::new();
    for Change { typed, word, meant, .. } in e.wrong_changes() {
        *times.entry([typed, word, meant]).or_default() += 1;
    }
    let columns = ["typed", "became", "was meant as"].map(|title| (title, Align::Left));
    let mut table = Table::new(&[&columns[..], &[("times", Align::Right)]].concat());
    for ([typed, word, meant], times) in times {
        table.row([typed.to_owned(), word.to_owned(), meant.to_owned(), times.to_string()]);
    }
    table
}

/// A keyboard a row. Those that somebody stopped have typed fewer messages than the others.
fn comparison(compared: &[(String, Evaluation)]) -> Table {
    let titles =
        ["messages", "next word", "after 2", "after an error", "precision", "recall", "false changes", "keys saved"];
    let columns = [("keyboard with", Align::Left)].into_iter().chain(titles.map(|title| (title, Align::Right)));
    let mut table = Table::new(&columns.collect::<Vec<_>>());
    for (has, e) in compared {
        let erred = e.corrections.wrong + e.corrections.right > 0;
        let of_errors = |value: String| if erred { value } else { "-".to_owned() };
        table.row([
            has.clone(),
            e.messages.to_string(),
            share(e.next_word_top3),
            share(e.completion_top3[1]),
            of_errors(share(e.noisy_top3)),
            of_errors(percent(e.corrections.precision())),
            of_errors(percent(e.corrections.recall())),
            of_errors(format!("{:.2} %", e.corrections.false_changes() * 100.0)),
            percent(e.keystroke_savings()),
        ]);
    }
    table
}

fn as_json(Found { name, evaluation, compared, token, memory }: &Found) -> Value {
    let mut found = figures(evaluation);
    found["file"] = json!(name);
    found["memory_bytes"] = json!(memory);
    found["one_token_micros"] = json!(token.map(|token| token.as_micros() as u64));
    if !compared.is_empty() {
        let row = |(has, e): &(String, Evaluation)| {
            let mut row = figures(e);
            row["with"] = json!(has);
            row
        };
        found["comparison"] = compared.iter().map(row).collect();
    }
    found
}

fn figures(e: &Evaluation) -> Value {
    let times = |times: &[Duration]| {
        let [p50, p95, p99] = percentiles(times).map(|time| time.as_micros() as u64);
        json!({ "p50": p50, "p95": p95, "p99": p99 })
    };
    json!({
        "messages": e.messages,
        "words": e.next_word_top1.of,
        "next_word_top1": round(e.next_word_top1.ratio()),
        "next_word_top3": round(e.next_word_top3.ratio()),
        "completion_top3": e.completion_top3.map(|share| round(share.ratio())),
        "noisy_completion_top3": round(e.noisy_top3.ratio()),
        "next_word_behind_top1": round(e.next_word_behind[0].ratio()),
        "next_word_behind_top3": round(e.next_word_behind[1].ratio()),
        "autocorrection": autocorrection(e),
        "keystroke_savings": round(e.keystroke_savings()),
        "shown": round(e.shown.ratio()),
        "shown_right": round(e.shown_right.ratio()),
        "calibration_error": round(e.calibration_error()),
        "reliability": e.calibration.iter().filter(|bin| bin.right.of > 0).map(|bin| json!({
            "claimed": round(bin.claimed / bin.right.of as f64), "right": round(bin.right.ratio()), "of": bin.right.of,
        })).collect::<Vec<_>>(),
        "first_paint_micros": times(&e.first_paint),
        "refined_micros": times(&e.refined),
        "forward_passes_per_key": round(e.forward_passes as f64 / e.refined.len().max(1) as f64),
        "first_paint_without_pass": round(e.instant.ratio()),
        "first_paint_blank": round(e.blank.ratio()),
    })
}

/// What autocorrection did to all words, and to those in the dictionary.
fn autocorrection(e: &Evaluation) -> Value {
    let counts = |counts: &Corrections, curve: &[GatePoint]| {
        json!({
            "precision": round(counts.precision()), "recall": round(counts.recall()),
            "precision_at_recall_65": precision_at(curve, RECALL).map(round),
            "false_changes": round(counts.false_changes()),
            "wrong": counts.wrong, "mended": counts.mended, "missed": counts.missed,
            "right": counts.right, "spoiled": counts.spoiled,
        })
    };
    let mut all = counts(&e.corrections, &e.gate_curve());
    all["listed"] = counts(&e.listed, &e.gate_curve_of_listed());
    let change = |change: &Change| {
        json!({
            "typed": change.typed, "word": change.word, "meant": change.meant, "odds": round(change.odds),
            "listed": change.listed,
        })
    };
    all["wrong_changes"] = e.wrong_changes().map(change).collect();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_all() {
        let message = |text: &str| Message { context: String::new(), text: text.to_owned() };
        let all = ["a", "b", "c", "d", "e"].map(message);
        let names = |count| sample(&all, count).into_iter().map(|m| m.text.as_str()).collect::<String>();
        assert_eq!([2, 9, 1].map(names), ["ce", "abcde", "e"]);
    }

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentiles(&times).map(|time| time.as_millis()), [51, 96, 100]);
        assert_eq!(percentiles(&[]), [Duration::ZERO; 3]);
    }
}
