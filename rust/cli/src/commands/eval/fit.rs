//! `nibble eval keyboard --fit`: the weights with which messages take the fewest keys.
//!
//! One weight after another takes the best of its values, the others staying as they are, until none changes any more (coordinate
//! descent). What is counted is [`Evaluation::effort`], the mean of all files.

use std::io::{Write, stdout};

use nibble_tasks::keyboard::evaluation::{Evaluation, Message, Modelled};
use nibble_tasks::keyboard::weights::Weights;
use serde_json::{Value, json};

use super::{KeyboardArgs, percent, round};
use crate::failure::{Failure, Result};
use crate::interrupt::Section;
use crate::model::Runner;
use crate::terminal::{Align, Paint, Table, note};

/// One of the weights.
type Weight = fn(&mut Weights) -> &mut f64;

/// The weights that are fitted, and the values that are tried.
const TRIED: [(Weight, &[f64]); 3] = [
    (|weights| &mut weights.list, &[0.05, 0.1, 0.15, 0.2, 0.3]),
    (|weights| &mut weights.as_typed, &[0.2, 0.3, 0.4, 0.5]),
    (|weights| &mut weights.correction, &[2.0, 3.0, 3.5, 4.0, 4.5, 5.0]),
];

/// What some weights come to.
struct Trial {
    weights: Weights,
    effort: f64,
    /// An evaluation a file.
    evaluations: Vec<Evaluation>,
}

impl KeyboardArgs {
    /// Fits the weights to the messages of all files, and prints what was tried, the best first.
    pub(super) fn fit(&self, runner: &mut Runner, texts: &[Vec<Message>]) -> Result<()> {
        let mut trials = Vec::new();
        let whole = self.search(runner, texts, &mut trials)?;
        let mut out = stdout().lock();
        if self.json {
            writeln!(out, "{}", trials.iter().map(Trial::as_json).collect::<Value>())?;
        } else {
            table(&trials).write(&mut out, Paint::stdout())?;
        }
        if !whole {
            note("stopped; these are the weights that were tried until then");
            return Err(Failure::Cancelled);
        }
        Ok(())
    }

    /// Tries weights, and puts what they come to in order, the best first; says whether nobody stopped it.
    fn search(&self, runner: &mut Runner, texts: &[Vec<Message>], trials: &mut Vec<Trial>) -> Result<bool> {
        let section = Section::begin(runner.cancel_token());
        let mut best = Weights::default();
        loop {
            let before = best;
            for (weight, values) in TRIED {
                for &value in values {
                    let mut weights = best;
                    *weight(&mut weights) = value;
                    if trials.iter().any(|trial| trial.weights == weights) {
                        continue;
                    }
                    let trial = self.trial(runner, texts, weights, &section)?;
                    if section.interrupted() {
                        // What was typed in part says nothing.
                        return Ok(false);
                    }
                    trials.push(trial);
                }
                trials.sort_by(|a, b| a.effort.total_cmp(&b.effort));
                best = trials[0].weights;
            }
            if best == before {
                return Ok(true);
            }
        }
    }

    /// Types the messages of all files with these weights.
    fn trial(&self, runner: &mut Runner, texts: &[Vec<Message>], weights: Weights, section: &Section) -> Result<Trial> {
        let mut evaluations = Vec::new();
        for (path, messages) in self.files.iter().zip(texts) {
            let (learned, messages) = self.split(path, messages)?;
            let mut predictor = Modelled { keyboard: self.taught(learned, weights)?, model: runner.model() };
            evaluations.push(self.type_on(&mut predictor, &messages, usize::from(self.errors), section, "fitting")?);
        }
        let effort = mean(&evaluations, |evaluation| evaluation.effort(usize::from(self.errors)));
        Ok(Trial { weights, effort, evaluations })
    }
}

/// The mean of what `figure` says of each.
fn mean(evaluations: &[Evaluation], figure: impl Fn(&Evaluation) -> f64) -> f64 {
    evaluations.iter().map(figure).sum::<f64>() / evaluations.len().max(1) as f64
}

impl Trial {
    /// The means that a person would like to see beside the weights.
    fn figures(&self) -> [f64; 4] {
        let of = |figure: fn(&Evaluation) -> f64| mean(&self.evaluations, figure);
        [
            of(Evaluation::keystroke_savings),
            of(|e| e.corrections.precision()),
            of(|e| e.corrections.recall()),
            of(|e| e.corrections.false_changes()),
        ]
    }

    fn as_json(&self) -> Value {
        let Weights { list, as_typed, correction } = self.weights;
        let [savings, precision, recall, false_changes] = self.figures().map(round);
        json!({
            "list": list, "as_typed": as_typed, "correction": correction, "effort": round(self.effort),
            "keystroke_savings": savings, "precision": precision, "recall": recall, "false_changes": false_changes,
        })
    }
}

/// A trial a row.
fn table(trials: &[Trial]) -> Table {
    let titles =
        ["list", "as typed", "correction", "keys per 100", "keys saved", "precision", "recall", "false changes"];
    let mut table = Table::new(&titles.map(|title| (title, Align::Right)));
    for trial in trials {
        let Weights { list, as_typed, correction } = trial.weights;
        let [savings, precision, recall, false_changes] = trial.figures();
        table.row([
            list.to_string(),
            as_typed.to_string(),
            correction.to_string(),
            format!("{:.2}", trial.effort * 100.0),
            percent(savings),
            percent(precision),
            percent(recall),
            format!("{:.2} %", false_changes * 100.0),
        ]);
    }
    table
}
