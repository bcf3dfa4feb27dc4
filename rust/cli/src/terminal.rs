//! What output looks like: colours and progress bars on a terminal only, aligned tables, sizes and times in words.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use unicode_width::UnicodeWidthStr;

/// Colours for one stream; without a terminal, or with `NO_COLOR` set, it leaves text alone.
#[derive(Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// For anything that is not a terminal.
    #[cfg(test)]
    pub const PLAIN: Self = Self(false);

    /// For what is printed on stdout.
    pub fn stdout() -> Self {
        Self(io::stdout().is_terminal() && colours_wanted())
    }

    /// For what is printed on stderr.
    pub fn stderr() -> Self {
        Self(io::stderr().is_terminal() && colours_wanted())
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Headings and the word that matters.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What may be skipped.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// What went wrong.
    pub fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// What the model wrote.
    pub fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }
}

fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Where a table's column is ragged.
#[derive(Clone, Copy)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows of text, printed in columns two spaces apart under a bold heading.
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            align: columns.iter().map(|c| c.1).collect(),
            rows: vec![columns.iter().map(|c| c.0.to_owned()).collect()],
        }
    }

    /// Adds a row; it has as many cells as there are headings.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.align.len());
        self.rows.push(cells.into());
    }

    /// Writes it all.
    pub fn write(&self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        let width = |column: usize| self.rows.iter().map(|r| r[column].width()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.align.len()).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let space = " ".repeat(widths[column] - cell.width());
                if column > 0 {
                    line.push_str("  ");
                }
                match self.align[column] {
                    Align::Left => line.extend([cell.as_str(), &space]),
                    Align::Right => line.extend([&space, cell.as_str()]),
                }
            }
            let line = line.trim_end();
            writeln!(out, "{}", if number == 0 { paint.bold(line) } else { line.to_owned() })?;
        }
        Ok(())
    }
}

/// `98.4 MB`: decimal units, as disks and downloads are sold.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// `3.2 ms`: milliseconds with one decimal.
pub fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// A bar for `total` bytes on stderr; invisible where stderr is not a terminal.
pub fn byte_bar(what: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{msg} {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
    )
    .expect("the template is well-formed")
    .progress_chars("━╸─");
    ProgressBar::new(total).with_style(style).with_message(what.to_owned())
}

/// A bar for steps of about equal length on stderr; invisible where stderr is not a terminal.
pub fn step_bar(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:24} {pos}/{len} {eta}")
        .expect("the template is well-formed")
        .progress_chars("━╸─");
    ProgressBar::new(0).with_style(style).with_message(what.to_owned())
}

/// A spinner with a running number of bytes; invisible where stderr is not a terminal.
pub fn byte_spinner(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {decimal_bytes}").expect("the template is well-formed");
    ProgressBar::new_spinner().with_style(style).with_message(what.to_owned())
}

/// One line for a person on stderr.
pub fn note(text: &str) {
    let paint = Paint::stderr();
    // Nobody is left to tell if stderr itself is closed.
    let _ = writeln!(io::stderr(), "{}", paint.dim(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_whatever_the_width_of_the_characters() {
        let mut table = Table::new(&[("word", Align::Left), ("n", Align::Right)]);
        table.row(["東京".into(), "7".into()]);
        table.row(["é".into(), "12".into()]);
        let mut out = Vec::new();
        table.write(&mut out, Paint::PLAIN).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "word   n\n東京   7\né     12\n");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!([999, 1_000, 98_362_432, 1_500_000_000].map(bytes), ["999 B", "1.0 kB", "98.4 MB", "1.50 GB"]);
    }
}
