//! The demo without a terminal: a message comes in, an answer is typed letter by letter, and replies are offered.

use std::io::Write;
use std::time::Instant;

use nibble_tasks::keyboard::Suggestion;
use nibble_tasks::reply::{Options, Replier, Turn};

use super::MESSAGES;
use super::typist::{OFFERED, Typist};
use crate::failure::Result;
use crate::model::Runner;
use crate::terminal::{Align, Paint, Table, millis};

/// What the person of the script wants to write.
const ANSWER: &str = "I would love to come. Can I bring something to eat or drink?";

/// Plays the script; `start` is when the command began.
pub fn run(runner: &mut Runner, about: &str, start: Instant, out: &mut dyn Write) -> Result<()> {
    let paint = Paint::stdout();
    writeln!(out, "{}\n", paint.dim(&format!("{about}; nothing leaves this machine")))?;

    let message = MESSAGES[0];
    writeln!(out, "{} {message}", paint.bold("A message comes in:"))?;
    writeln!(out, "{} {ANSWER}\n", paint.bold("The answer, typed:"))?;
    let mut typist = Typist::new(format!("{message}\n"));
    let mut table = Table::new(&[("TYPED", Align::Left), ("PREDICTED", Align::Left), ("TIME", Align::Right)]);
    let (mut keys, mut first) = (0, None);
    for word in ANSWER.split(' ') {
        let letters = word.trim_end_matches(['.', '?']);
        let mut left = letters.chars();
        loop {
            typist.predict(runner)?;
            first.get_or_insert_with(|| start.elapsed());
            let took = *typist.times.last().expect("a prediction was just made");
            let hit = typist.offered.iter().position(|s| s.word == letters);
            table.row([shown(&typist), strip(&typist, hit), millis(took)]);
            keys += 1;
            match (hit, left.next()) {
                (Some(i), _) => typist.accept(i),
                (None, Some(letter)) => {
                    typist.text.push(letter);
                    continue;
                }
                (None, None) => typist.text.push(' '),
            }
            break;
        }
        // A stop takes the place of the space, as on a phone, and brings one of its own.
        if let mark @ ("." | "?") = &word[letters.len()..] {
            typist.text.truncate(typist.text.trim_end().len());
            typist.text += mark;
            typist.text.push(' ');
            keys += 1;
        }
    }
    table.write(out, paint)?;

    let (_, median) = typist.latency().expect("predictions were made");
    let slowest = typist.times.iter().max().copied().unwrap_or_default();
    let letters = ANSWER.chars().count();
    let saved = 100.0 * (1.0 - keys as f64 / letters as f64);
    writeln!(out, "\n{keys} keys instead of {letters} ({saved:.0} % saved); [word] was taken.")?;
    writeln!(
        out,
        "Keystroke: median {}, slowest {}. First prediction {} after the start.",
        millis(median),
        millis(slowest),
        millis(first.unwrap_or_default())
    )?;

    let asked = Instant::now();
    let chat = [Turn { from_me: false, text: message.to_owned() }];
    let mut replier = Replier::new(Options::default());
    let replies = replier.suggest(runner.model(), &chat, OFFERED)?;
    let first_time = asked.elapsed();
    let asked = Instant::now();
    let replies = if replies.is_empty() { replies } else { replier.suggest(runner.model(), &chat, OFFERED)? };
    let again = asked.elapsed();
    writeln!(out, "\n{} {message}", paint.bold("Or one of three replies to:"))?;
    for (number, reply) in replies.iter().enumerate() {
        writeln!(out, "  {}  {}", number + 1, paint.cyan(&reply.text))?;
    }
    Ok(writeln!(
        out,
        "\nReplies: {}; the first time {}, to learn the model's taste.",
        millis(again),
        millis(first_time)
    )?)
}

/// The end of the text, with the place where the next letter goes.
fn shown(typist: &Typist) -> String {
    const WIDTH: usize = 30;
    let length = typist.text.chars().count();
    let tail: String = typist.text.chars().skip(length.saturating_sub(WIDTH)).collect();
    let dots = if length > WIDTH { "…" } else { "" };
    format!("{dots}{tail}_")
}

fn strip(typist: &Typist, hit: Option<usize>) -> String {
    let word = |(i, s): (usize, &Suggestion)| match hit {
        Some(h) if h == i => format!("[{}]", s.word),
        _ => s.word.clone(),
    };
    typist.offered.iter().enumerate().map(word).collect::<Vec<_>>().join("  ")
}
