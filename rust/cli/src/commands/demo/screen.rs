//! The demo at a terminal: a text field with a suggestion strip, and a conversation with replies to choose from.

use std::io::{Stdout, Write, stdout};
use std::panic;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use crossterm::style::Print;
use crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{execute, queue, terminal};
use nibble_tasks::reply::{Options, Replier, Reply, Turn};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::MESSAGES;
use super::typist::{OFFERED, Typist};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::model::Runner;
use crate::terminal::{Paint, millis};

/// How soon a request to end is noticed.
const TICK: Duration = Duration::from_millis(200);

/// Runs until the person leaves.
pub fn run(runner: &mut Runner, about: &str) -> Result<()> {
    let mut screen = Screen::enter()?;
    let mut demo = Demo::new(about);
    let told_to_end = interrupt::termination();
    loop {
        // The letter is seen at once, and the words as soon as they are there.
        screen.draw(&demo)?;
        if demo.compute(runner)? {
            screen.draw(&demo)?;
        }
        while !event::poll(TICK)? {
            if told_to_end.load(Ordering::Relaxed) {
                return Err(Failure::Cancelled);
            }
        }
        loop {
            if let Next::Leave = demo.handle(event::read()?) {
                return Ok(());
            }
            // Whatever was typed meanwhile goes in before the next prediction: nobody waits for a stale one.
            if !event::poll(Duration::ZERO)? {
                break;
            }
        }
    }
}

/// Raw mode and the alternate screen; undone when dropped, and by a panic before its message is printed.
struct Screen {
    out: Stdout,
    paint: Paint,
}

impl Screen {
    fn enter() -> Result<Self> {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            default(info);
        }));
        terminal::enable_raw_mode()?;
        let mut out = stdout();
        execute!(out, EnterAlternateScreen, EnableBracketedPaste)?;
        Ok(Self { out, paint: Paint::stdout() })
    }

    fn draw(&mut self, demo: &Demo) -> Result<()> {
        let (width, height) = terminal::size()?;
        let view = demo.view(usize::from(width), usize::from(height), self.paint);
        queue!(self.out, Hide)?;
        for (row, line) in view.lines.iter().take(usize::from(height)).enumerate() {
            queue!(self.out, MoveTo(0, row as u16), Print(line), Clear(ClearType::UntilNewLine))?;
        }
        queue!(self.out, Clear(ClearType::FromCursorDown), MoveTo(view.cursor.0, view.cursor.1), Show)?;
        Ok(self.out.flush()?)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // There is nobody to tell when the terminal is gone.
    let _ = execute!(stdout(), DisableBracketedPaste, Show, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

#[derive(PartialEq)]
enum Next {
    Stay,
    Leave,
}

#[derive(PartialEq)]
enum Mode {
    Typing,
    Replies,
}

/// Everything that the screen shows.
struct Demo {
    about: String,
    mode: Mode,
    typist: Typist,
    chat: Vec<Turn>,
    replies: Vec<Reply>,
    /// How long the last ones took.
    replied: Option<Duration>,
    replier: Replier,
    /// Which built-in message comes next.
    next_message: usize,
    /// Whether what is offered is out of date.
    stale: bool,
}

impl Demo {
    fn new(about: &str) -> Self {
        let mut demo = Self {
            about: about.to_owned(),
            mode: Mode::Typing,
            typist: Typist::new(String::new()),
            chat: Vec::new(),
            replies: Vec::new(),
            replied: None,
            replier: Replier::new(Options::default()),
            next_message: 0,
            stale: true,
        };
        demo.receive();
        demo
    }

    /// The next built-in message comes in.
    fn receive(&mut self) {
        self.say(false, MESSAGES[self.next_message % MESSAGES.len()].to_owned());
        self.next_message += 1;
    }

    fn say(&mut self, from_me: bool, text: String) {
        self.chat.push(Turn { from_me, text });
        self.stale = true;
    }

    /// Brings what is offered up to date, if it is not.
    fn compute(&mut self, runner: &mut Runner) -> Result<bool> {
        if !self.stale {
            return Ok(false);
        }
        match self.mode {
            Mode::Typing => self.typist.predict(runner)?,
            Mode::Replies => {
                let start = Instant::now();
                self.replies = self.replier.suggest(runner.model(), &self.chat, OFFERED)?;
                self.replied = Some(start.elapsed());
            }
        }
        self.stale = false;
        Ok(true)
    }

    fn handle(&mut self, event: Event) -> Next {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => return self.key(key),
            Event::Paste(text) if self.mode == Mode::Typing => {
                self.typist.text.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
                self.stale = true;
            }
            _ => {}
        }
        Next::Stay
    }

    fn key(&mut self, key: KeyEvent) -> Next {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match (key.code, control) {
            (KeyCode::Esc, _) | (KeyCode::Char('c' | 'd' | 'q'), true) => return Next::Leave,
            (KeyCode::F(2), _) | (KeyCode::Char('r'), true) => {
                self.mode = if self.mode == Mode::Typing { Mode::Replies } else { Mode::Typing };
                self.stale = true;
            }
            (code, false) if self.mode == Mode::Typing => self.type_key(code),
            (KeyCode::Char('u' | 'w'), true) if self.mode == Mode::Typing => {
                match key.code {
                    KeyCode::Char('w') => self.typist.delete_word(),
                    _ => self.typist.text.clear(),
                }
                self.stale = true;
            }
            (KeyCode::Char(n @ '1'..='3'), false) if !self.stale => {
                if let Some(reply) = self.replies.get(n as usize - '1' as usize) {
                    self.say(true, reply.text.clone());
                    self.receive();
                }
            }
            (KeyCode::Tab | KeyCode::Enter | KeyCode::Char('n'), false) => {
                self.chat.clear();
                self.receive();
            }
            _ => {}
        }
        Next::Stay
    }

    fn type_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Tab => self.typist.accept(0),
            KeyCode::Char(n @ '1'..='3') => self.typist.accept(n as usize - '1' as usize),
            KeyCode::Char(c) => self.typist.text.push(c),
            KeyCode::Backspace => drop(self.typist.text.pop()),
            KeyCode::Enter => self.typist.text.clear(),
            _ => return,
        }
        self.stale = true;
    }

    fn view(&self, width: usize, height: usize, paint: Paint) -> View {
        let width = width.max(20);
        let mut lines =
            vec![format!(" {}  {}", paint.bold("nibble"), paint.dim(&cut(&self.about, width - 9))), String::new()];
        let inner = width - 4;
        let mut cursor = (0, 0);
        match self.mode {
            Mode::Typing => {
                let wrapped = wrap(&self.typist.text, inner);
                let room = height.saturating_sub(9).max(1);
                let seen = &wrapped[wrapped.len().saturating_sub(room)..];
                lines.extend(seen.iter().map(|line| format!("  {line}")));
                let last = seen.last().expect("wrapping gives at least one line");
                cursor = ((2 + last.width()).min(width - 1) as u16, (lines.len() - 1) as u16);
                lines.push(String::new());
                let words = self.typist.offered.iter().map(|s| s.word.as_str());
                lines.extend(strip(words, inner, paint));
                let times = self.typist.latency().map(|(last, p50)| {
                    format!("{} this key, {} median of {}", millis(last), millis(p50), self.typist.times.len())
                });
                lines.push(format!("  {}", paint.dim(&cut(&times.unwrap_or_default(), inner))));
                lines.push(String::new());
                lines.push(keys("Tab or 1-3 take a word · Ctrl-R replies · Ctrl-U clear · Esc leave", inner, paint));
            }
            Mode::Replies => {
                let mut said = Vec::new();
                for turn in &self.chat {
                    let half = (inner * 3 / 4).max(10);
                    for line in wrap(&turn.text, half) {
                        said.push(match turn.from_me {
                            false => format!("  {line}"),
                            true => {
                                format!("  {}{}", " ".repeat(inner.saturating_sub(line.width())), paint.cyan(&line))
                            }
                        });
                    }
                    said.push(String::new());
                }
                let room = height.saturating_sub(9).max(2);
                lines.extend_from_slice(&said[said.len().saturating_sub(room)..]);
                let replies = if self.stale { &[][..] } else { &self.replies[..] };
                for (number, reply) in replies.iter().enumerate() {
                    let text = paint.cyan(&cut(&reply.text, inner - 2));
                    lines.push(format!("  {} {text}", paint.dim(&(number + 1).to_string())));
                }
                let below = match (self.stale, self.replied) {
                    (true, None) => "learning how the model likes the replies, once…".to_owned(),
                    (true, Some(_)) => "…".to_owned(),
                    (false, _) if replies.is_empty() => "nothing in the set fits this one".to_owned(),
                    (false, took) => millis(took.unwrap_or_default()),
                };
                lines.push(format!("  {}", paint.dim(&cut(&below, inner))));
                lines.push(String::new());
                lines.push(keys("1-3 send a reply · Tab next message · Ctrl-R typing · Esc leave", inner, paint));
                cursor.1 = (lines.len() - 1) as u16;
            }
        }
        View { lines, cursor }
    }
}

/// What is drawn: lines from the top, and where the cursor stands (column, row).
struct View {
    lines: Vec<String>,
    cursor: (u16, u16),
}

fn keys(text: &str, width: usize, paint: Paint) -> String {
    format!("  {}", paint.dim(&cut(text, width)))
}

/// The suggestion strip in a frame of equal thirds, as on a phone.
fn strip<'a>(mut words: impl Iterator<Item = &'a str>, width: usize, paint: Paint) -> [String; 3] {
    let cell = ((width - OFFERED - 1) / OFFERED).min(24);
    let rule = |left, middle, right| {
        let line = vec!["─".repeat(cell); OFFERED].join(middle);
        format!("  {}", paint.dim(&format!("{left}{line}{right}")))
    };
    let edge = paint.dim("│");
    let mut line = format!("  {edge}");
    for number in 1..=OFFERED {
        let word = cut(words.next().unwrap_or_default(), cell.saturating_sub(3));
        let space = " ".repeat(cell.saturating_sub(3 + word.width()));
        line += &format!(" {} {}{space}{edge}", paint.dim(&number.to_string()), paint.cyan(&word));
    }
    [rule("╭", "┬", "╮"), line, rule("╰", "┴", "╯")]
}

/// The beginning of `text` that fits `width` columns.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= width
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// `text` in lines of at most `width` columns, broken between words where there are any; at least one line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let line = lines.last().expect("there is always a line");
        if !line.is_empty() && line.width() + word.trim_end().width() > width {
            lines.push(String::new());
        }
        for c in word.chars() {
            let line = lines.last_mut().expect("there is always a line");
            if line.width() + c.width().unwrap_or(0) > width {
                lines.push(c.to_string());
            } else {
                line.push(c);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(demo: &mut Demo, code: KeyCode, modifiers: KeyModifiers) -> bool {
        demo.handle(Event::Key(KeyEvent::new(code, modifiers))) == Next::Leave
    }

    #[test]
    fn lines_are_broken_between_words_and_never_too_long() {
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("東京都", 4), ["東京", "都"]);
        assert_eq!(cut("word", 4), "word");
        assert_eq!(cut("words", 4), "wor…");
        assert_eq!(cut("東京都", 5), "東京…");
    }

    #[test]
    fn keys_edit_the_text_and_leave() {
        let mut demo = Demo::new("test");
        for c in "hi you 🙂".chars() {
            press(&mut demo, KeyCode::Char(c), KeyModifiers::NONE);
        }
        press(&mut demo, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!(demo.typist.text, "hi you ");
        press(&mut demo, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(demo.typist.text, "hi ");
        demo.handle(Event::Paste("a\nb".to_owned()));
        assert_eq!(demo.typist.text, "hi a b");
        press(&mut demo, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(demo.typist.text, "");
        press(&mut demo, KeyCode::Char('2'), KeyModifiers::NONE);
        assert_eq!(demo.typist.text, "", "there is nothing to accept yet");
        assert!(press(&mut demo, KeyCode::Esc, KeyModifiers::NONE));
        assert!(press(&mut demo, KeyCode::Char('c'), KeyModifiers::CONTROL));
    }

    #[test]
    fn the_other_mode_shows_the_conversation() {
        let mut demo = Demo::new("test");
        press(&mut demo, KeyCode::Char('r'), KeyModifiers::CONTROL);
        assert!(demo.view(80, 24, Paint::PLAIN).lines.iter().any(|l| l.contains(MESSAGES[0])));
        press(&mut demo, KeyCode::Tab, KeyModifiers::NONE);
        assert!(demo.view(80, 24, Paint::PLAIN).lines.iter().any(|l| l.contains(MESSAGES[1])));
        press(&mut demo, KeyCode::F(2), KeyModifiers::NONE);
        assert!(demo.mode == Mode::Typing);
    }

    #[test]
    fn nothing_is_drawn_outside_the_window() {
        let mut demo = Demo::new("a name that is far too long for a window as narrow as this one");
        demo.typist.text = "a long text that needs several lines, with 東京 and 🙂 in it ".repeat(9);
        for _ in 0..2 {
            for (width, height) in [(20, 10), (40, 12), (80, 24), (200, 60)] {
                let view = demo.view(width, height, Paint::PLAIN);
                assert!(view.lines.iter().all(|l| l.width() <= width), "{width}: {:#?}", view.lines);
                assert!(view.lines.len() <= height, "{height}: {:#?}", view.lines);
                assert!(usize::from(view.cursor.0) < width && usize::from(view.cursor.1) < height);
            }
            press(&mut demo, KeyCode::F(2), KeyModifiers::NONE);
        }
    }
}
