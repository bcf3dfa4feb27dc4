//! `nibble keyboard`: the keyboard as a filter, one JSON object a line in, one out.

use std::io::{BufRead, Write, stdin, stdout};
use std::time::{Duration, Instant};

use nibble_tasks::keyboard::emoji::Emoji;
use nibble_tasks::keyboard::field::Field;
use nibble_tasks::keyboard::gate::leave_out_the_weak;
use nibble_tasks::keyboard::layout::{Key, Layout, Point};
use nibble_tasks::keyboard::learning::Learner;
use nibble_tasks::keyboard::{Continuation, Keyboard, Kind, Query, Suggestion, Suggestions};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::model::{ModelArgs, Runner};
use crate::words::{WordArgs, no_layout};

/// Longest line that is read; a keyboard knows a few hundred characters.
const MAX_LINE: usize = 64 * 1024;

/// Answers keystrokes, one JSON object a line
#[derive(clap::Args)]
#[command(after_help = "\
In:   {\"context\": TEXT, \"typed\": PREFIX, \"top\": N, \"touches\": [[X, Y]], \"layout\": LAYOUT, \"gate\": BOOL,
       \"field\": FIELD, \"emoji\": N, \"ahead\": BOOL}
      {\"event\": EVENT, \"context\": TEXT, \"typed\": TEXT, \"word\": WORD, \"field\": FIELD}
Out:  {\"suggestions\": [{\"word\", \"probability\", \"kind\"}], \"autocorrect\": WORD or null, \"micros\": N,
       \"emoji\": [TEXT], \"ahead\": {\"text\", \"probability\"} or null, \"warning\": TEXT}
      {\"words\": N} for an event: how many words are known of the person
      {\"error\": TEXT} for a line that cannot be answered; the next line is read all the same

context      the text before the word, with the space that ends it
typed        the letters of the word so far; what follows may be left out as well
touches      where each key was hit, one entry a character of typed; null for what is not known
layout       a name, or {\"keys\": [{\"key\", \"x\", \"y\", \"width\", \"height\"}]}, and stays until the next; the unit of touches is
             the layout's. The four that have names have keys of one by one, the first one's corner at (0, 0)
gate         true leaves out what is not worth showing; false, as without it, gives the best whatever their probability
field        text (as without it), no-learning, search, email, url, password, number or code: what is predicted, mended and
             learned there
event        committed: word was typed behind context, and ended; accepted: it was taken from the strip, or put in by the
             space; reverted: it had been put in for typed, and was taken back; added: word is one of the person's, put in on
             purpose and written so; forgotten: word is to be forgotten; wiped: all words are. Kept in
             the file of --learned, else until the end
autocorrect  the word that takes the place of what was typed when space is pressed; needs a word list
emoji        how many are wanted for the word typed, or for the last one before the cursor when nothing is; without it, no
             answer has any. Fetch them: nibble pull emoji-en
ahead        true asks for several words, typed among them, which are right about as often as not; null where there are none
warning      what was asked for and could not be had: a layout that is none (the keys stay where they were), or emoji without a list

Every answer is flushed at once. A word list or a file of learned words that is damaged is named on standard error and left as it is;
typing goes on without it, and what is learned meanwhile is kept until the end.

Examples:
  echo '{\"context\": \"See you \", \"typed\": \"tomor\"}' | nibble keyboard --jsonl
  echo '{\"context\": \"See you \", \"typed\": \"tomoreow\"}' | nibble keyboard --jsonl | jq .autocorrect")]
pub struct Args {
    /// JSON lines, the one protocol there is
    #[arg(long, required = true)]
    jsonl: bool,
    #[command(flatten)]
    words: WordArgs,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    event: Option<Event>,
    context: Option<String>,
    #[serde(default)]
    typed: String,
    word: Option<String>,
    #[serde(default)]
    field: Field,
    #[serde(default = "three")]
    top: u8,
    touches: Option<Vec<Option<[f32; 2]>>>,
    layout: Option<LayoutField>,
    #[serde(default)]
    gate: bool,
    #[serde(default)]
    emoji: u8,
    #[serde(default)]
    ahead: bool,
}

/// What a person did with a word.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Event {
    Committed,
    Accepted,
    Reverted,
    Added,
    Forgotten,
    Wiped,
}

/// A layout, by name or by its keys.
#[derive(Deserialize, Clone, PartialEq)]
#[serde(untagged)]
enum LayoutField {
    Name(String),
    Keys { keys: Vec<Key> },
}

impl LayoutField {
    fn resolve(self) -> Result<Layout, String> {
        match self {
            Self::Name(name) => Layout::shipped(&name).ok_or_else(no_layout),
            Self::Keys { keys } => Layout::new(keys).map_err(|error| error.to_string()),
        }
    }
}

fn three() -> u8 {
    3
}

/// One answer, as it is printed.
#[derive(Serialize)]
pub struct Answer<'a> {
    suggestions: Vec<Word<'a>>,
    autocorrect: Option<&'a str>,
    micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<Vec<String>>,
    /// Nothing where nobody asked, and `null` where there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<Option<Ahead>>,
    /// What was asked for and could not be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[derive(Serialize)]
struct Ahead {
    text: String,
    probability: f64,
}

#[derive(Serialize)]
struct Word<'a> {
    word: &'a str,
    probability: f64,
    kind: &'a Kind,
}

impl<'a> Answer<'a> {
    /// Of what was found, which took so long.
    pub fn new(found: &'a Suggestions, took: Duration) -> Self {
        let word = |s: &'a Suggestion| Word { word: &s.word, probability: s.probability, kind: &s.kind };
        Self {
            suggestions: found.suggestions.iter().map(word).collect(),
            autocorrect: found.autocorrect.as_deref(),
            micros: took.as_micros() as u64,
            emoji: None,
            ahead: None,
            warning: None,
        }
    }
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut runner = self.model.open()?;
        let mut keyboard = self.words.keyboard_that_works()?;
        if keyboard.learner().is_none() {
            keyboard = keyboard.with_learner(Learner::new());
        }
        let mut state = State { keyboard, words: self.words, layout: None, emoji: None };
        let (mut input, mut out) = (stdin().lock(), stdout().lock());
        while let Some(line) = read_line(&mut input, MAX_LINE)? {
            if line.as_ref().is_ok_and(|l| l.trim_ascii().is_empty()) {
                continue;
            }
            match line.and_then(|line| state.answer(&mut runner, &line)) {
                Ok(answer) => writeln!(out, "{answer}")?,
                Err(why) => writeln!(out, "{}", json!({ "error": why }))?,
            }
            out.flush()?;
        }
        Ok(())
    }
}

/// What stays from line to line.
struct State {
    keyboard: Keyboard,
    words: WordArgs,
    /// The layout that a line has given.
    layout: Option<LayoutField>,
    /// Opened for the first line that asks for some.
    emoji: Option<Emoji>,
}

impl State {
    fn emoji(&mut self, text: &str, most: u8) -> Result<Option<Vec<String>>, String> {
        if most == 0 {
            return Ok(None);
        }
        if self.emoji.is_none() {
            self.emoji = Some(self.words.emoji().map_err(|e| e.to_string())?);
        }
        Ok(self.emoji.as_ref().map(|emoji| emoji.at_end_of(text, usize::from(most))))
    }

    fn answer(&mut self, runner: &mut Runner, line: &[u8]) -> Result<String, String> {
        let request = parse(line)?;
        if let Some(event) = request.event {
            return self.learn(event, &request);
        }
        let mut warnings = Vec::new();
        if let Some(layout) = request.layout.filter(|layout| self.layout.as_ref() != Some(layout)) {
            match layout.clone().resolve() {
                Ok(resolved) => {
                    self.keyboard.set_layout(resolved);
                    self.layout = Some(layout);
                }
                Err(why) => warnings.push(format!("{why}; the keys stay where they were")),
            }
        }
        let touch = |touch: Option<[f32; 2]>| touch.map(|[x, y]| Point { x, y });
        let touches: Vec<Option<Point>> = request.touches.into_iter().flatten().map(touch).collect();
        let query = Query {
            context: request.context.as_deref().unwrap_or_default(),
            typed: &request.typed,
            touches: &touches,
            top: usize::from(request.top),
        };
        let start = Instant::now();
        let mut found = match request.field.predicts() {
            true => self.keyboard.suggest(runner.model(), &query).map_err(|e| Failure::from(e).to_string())?,
            false => Suggestions::default(),
        };
        let took = start.elapsed();
        if !request.field.corrects() {
            found.autocorrect = None;
        }
        if request.gate {
            let text = [query.context, query.typed].concat();
            let typed = &text[text.len() - found.replaces..];
            leave_out_the_weak(&mut found, typed);
        }
        let ahead = match request.ahead {
            true if request.field.corrects() => Some(self.look_ahead(runner, &query)?),
            true => Some(None),
            false => None,
        };
        let wanted = if request.field.predicts() { request.emoji } else { 0 };
        let emoji = self.emoji(&[query.context, query.typed].concat(), wanted).unwrap_or_else(|why| {
            warnings.push(why);
            None
        });
        let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
        serde_json::to_string(&Answer { emoji, ahead, warning, ..Answer::new(&found, took) }).map_err(|e| e.to_string())
    }

    fn look_ahead(&mut self, runner: &mut Runner, query: &Query) -> Result<Option<Ahead>, String> {
        let ahead = self.keyboard.look_ahead(runner.model(), query).map_err(|e| Failure::from(e).to_string())?;
        Ok(ahead.map(|Continuation { text, probability }| Ahead { text, probability }))
    }

    fn learn(&mut self, event: Event, request: &Request) -> Result<String, String> {
        let learner = self.keyboard.learner().ok_or("this keyboard does not learn")?;
        let (context, word) =
            (request.context.as_deref().unwrap_or_default(), request.word.as_deref().unwrap_or_default());
        match event {
            Event::Forgotten => learner.forget(word).map(drop),
            Event::Wiped => learner.wipe(),
            Event::Added if !learner.add(word) => {
                return Err("what is added is a word: letters for the most part, without spaces".to_owned());
            }
            Event::Added => learner.save(),
            _ if !request.field.learns() => Ok(()),
            Event::Reverted => {
                learner.reverted(&request.typed, word);
                learner.save()
            }
            Event::Committed | Event::Accepted => {
                learner.committed(context, word);
                learner.save()
            }
        }
        .map_err(|error| error.to_string())?;
        Ok(json!({ "words": learner.len() }).to_string())
    }
}

/// The messages name places, never what was typed.
fn parse(line: &[u8]) -> Result<Request, String> {
    let text = std::str::from_utf8(line)
        .map_err(|e| format!("the line is not UTF-8: byte {} is invalid; encode it as UTF-8", e.valid_up_to()))?;
    let not_a_request = |column| {
        format!(
            "the line is not a request (column {column}); send {{\"context\": TEXT, \"typed\": PREFIX, \"top\": N}}"
        )
    };
    let request: Request = serde_json::from_str(text).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => not_a_request(e.column()),
        _ => format!("the line is not JSON (column {}); send one object a line", e.column()),
    })?;
    // serde would take the fields from an array too.
    if !text.trim_start().starts_with('{') {
        return Err(not_a_request(1));
    }
    let texts = [request.context.as_ref(), request.word.as_ref(), Some(&request.typed)];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Err("a NUL is not text; remove it".to_owned());
    }
    match request.event {
        None if request.context.is_none() || request.word.is_some() => return Err(not_a_request(1)),
        Some(event) if event != Event::Wiped && request.word.is_none() => {
            return Err("an event is about a \"word\"; send it".to_owned());
        }
        Some(Event::Reverted) if request.typed.is_empty() => {
            return Err("what was reverted had taken the place of something \"typed\"; send it".to_owned());
        }
        _ => {}
    }
    if request.typed.contains(char::is_whitespace) {
        return Err("\"typed\" is part of one word; text with spaces belongs in \"context\"".to_owned());
    }
    if let Some(touches) = &request.touches {
        if touches.len() > request.typed.chars().count() {
            return Err("\"touches\" has more entries than \"typed\" has characters; send one for each".to_owned());
        }
        if touches.iter().flatten().flatten().any(|number| !number.is_finite()) {
            return Err("\"touches\" holds numbers, [X, Y]".to_owned());
        }
    }
    if !(1..=20).contains(&request.top) {
        return Err("\"top\" is from 1 to 20".to_owned());
    }
    Ok(request)
}

/// The next line without its end: `None` at the end of input, an error (and the line skipped) when it is longer than `max`.
fn read_line(input: &mut impl BufRead, max: usize) -> std::io::Result<Option<Result<Vec<u8>, String>>> {
    let (mut line, mut length) = (Vec::new(), 0);
    loop {
        let chunk = match input.fill_buf() {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if chunk.is_empty() {
            if length == 0 {
                return Ok(None);
            }
            break;
        }
        let end = chunk.iter().position(|&b| b == b'\n');
        let piece = &chunk[..end.unwrap_or(chunk.len())];
        length += piece.len();
        if length <= max {
            line.extend_from_slice(piece);
        }
        let used = piece.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    Ok(Some(match length <= max {
        true => Ok(line),
        false => Err(format!("the line is too long: {length} bytes, at most {max}; send the last few sentences only")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whole_or_skipped_whole() {
        let mut input = std::io::BufReader::with_capacity(3, &b"ab\n\nlong one\ncd"[..]);
        let mut next = || read_line(&mut input, 4).unwrap();
        assert_eq!(next().unwrap().unwrap(), b"ab");
        assert_eq!(next().unwrap().unwrap(), b"");
        assert!(next().unwrap().unwrap_err().contains("8 bytes"));
        assert_eq!(next().unwrap().unwrap(), b"cd");
        assert!(next().is_none());
    }

    #[test]
    fn a_bad_request_is_named_without_repeating_it() {
        let why = |line: &[u8]| parse(line).err().unwrap();
        for line in [
            &b"secret"[..],
            b"{\"context\": \"secret",
            b"{\"context\": \"secret\\u0000\"}",
            b"{\"context\": \"\", \"typed\": \"secret word\"}",
            b"{\"context\": 1, \"typed\": \"secret\"}",
            b"{\"secret\": \"\"}",
            b"{\"typed\": \"secret\"}",
            b"{\"event\": \"secret\", \"word\": \"secret\"}",
            b"{\"event\": \"committed\", \"context\": \"secret\"}",
            b"{\"event\": \"reverted\", \"word\": \"secret\"}",
            b"{\"context\": \"secret\", \"field\": \"secret\"}",
            b"[\"secret\"]",
            b"{\"context\": \"secret\xff\"}",
            b"{\"context\": \"secret\", \"top\": 0}",
            b"",
        ] {
            let why = why(line);
            assert!(!why.contains("secret") && !why.is_empty(), "{why}");
        }
        for line in [
            &br#"{"context": "a ", "typed": "a", "touches": [[1, 2], null]}"#[..],
            br#"{"context": "a ", "typed": "a", "touches": [[1]]}"#,
            br#"{"context": "a ", "layout": {"keys": [{"key": "secret"}]}}"#,
        ] {
            assert!(!why(line).contains("secret"), "{line:?}");
        }
        let whole =
            br#"{"context": "a ", "typed": "ab", "touches": [[1, 2.5], null], "layout": "qwertz", "gate": true, "emoji": 3}"#;
        assert!(parse(whole).is_ok_and(|request| request.gate && request.emoji == 3));
        let overlapping = r#"{"keys": [{"key": "a", "x": 0, "y": 0, "width": 1, "height": 1}, {"key": "b", "x": 0, "y": 0, "width": 1, "height": 1}]}"#;
        let layout = |text| serde_json::from_str::<LayoutField>(text).unwrap().resolve();
        assert!(layout(overlapping).is_err_and(|why| why.contains("overlap")) && layout("\"abc\"").is_err());
        assert!(layout("\"dvorak\"").is_ok());
    }
}
