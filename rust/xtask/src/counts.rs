//! How many instructions the aarch64 kernels take, counted under an emulator, and the table of them that is committed.
//!
//! A count is exact and the same on every machine, which a time is not: it says whether a change of a kernel was for the
//! better where there is no phone, and a kernel that grew by accident is seen.

use crate::setup::{self, LINUX, cargo_for};
use crate::shell::{self, Result, root};
use crate::table;
use crate::tally::Tally;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The formats that are stored in blocks, by their names.
pub const FORMATS: [&str; 9] = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_0N", "Q4_K", "Q5_K", "Q6_K"];

/// The tiers of aarch64, by the names that `NIBBLE_TIER` takes.
pub const TIERS: [&str; 3] = ["neon", "neon-dot", "neon-i8mm"];

/// Matrix times vector, one tile of tokens, several tiles, a prompt.
pub const TOKENS: [usize; 4] = [1, 4, 16, PROMPT];

/// Tokens of a long prompt that the engine computes at once, unless it is told otherwise.
pub const PROMPT: usize = 128;

/// Where the committed counts are, and what can be reached.
const TABLE: &str = "rust/kernels/counts.md";

/// By how much a count may grow unnoticed: compilers differ in a few instructions.
const SLACK: f64 = 1.02;

/// What is counted: the product of a matrix in a format with some tokens, on a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    pub format: &'static str,
    pub tier: &'static str,
    pub tokens: usize,
}

impl Kernel {
    fn all() -> impl Iterator<Item = Self> {
        let columns = || TIERS.into_iter().flat_map(|tier| TOKENS.map(|tokens| (tier, tokens)));
        FORMATS.into_iter().flat_map(move |format| columns().map(move |(tier, tokens)| Self { format, tier, tokens }))
    }

    /// Its column in the table.
    fn column(self) -> String {
        format!("{} {}", self.tier, self.tokens)
    }
}

/// Instructions in a row, and how often they ran per 256 multiplications.
pub struct Block {
    pub words: Vec<u32>,
    pub runs: f64,
}

/// A kernel's code, as far as it ran.
pub struct Count {
    pub kernel: Kernel,
    pub blocks: Vec<Block>,
}

impl Count {
    /// Instructions per 256 multiplications.
    pub fn instructions(&self) -> f64 {
        self.blocks.iter().map(|block| block.runs * block.words.len() as f64).sum()
    }

    /// Those of them that only ask for what is needed later.
    fn prefetches(&self) -> f64 {
        let prefetches = |block: &Block| block.words.iter().filter(|&&word| is_prefetch(word)).count() as f64;
        self.blocks.iter().map(|block| block.runs * prefetches(block)).sum()
    }

    /// What is to be held against [`Counts::reachable`], which is without prefetches.
    pub fn arithmetic(&self) -> f64 {
        self.instructions() - self.prefetches()
    }
}

/// `PRFM` with an immediate offset (Arm Architecture Reference Manual, C6.2).
fn is_prefetch(word: u32) -> bool {
    word & 0xffc0_0000 == 0xf980_0000
}

/// The counts of every kernel.
pub fn measure() -> Result<Vec<Count>> {
    let program = build_program()?;
    let plugin = build_plugin(&program)?;
    Kernel::all().map(|kernel| count(&program, &plugin, kernel)).collect()
}

/// The part of `cargo xtask test`: no kernel takes more instructions than the table says.
pub fn check() -> Tally {
    match measure().and_then(|counts| Ok((Counts::committed()?, counts))) {
        Ok((committed, counts)) => {
            let mut tally = Tally::default();
            for count in &counts {
                let complaint = complaint(count, committed.of(count.kernel));
                tally += Tally::of(complaint.is_none());
                if let Some(complaint) = complaint {
                    println!("{complaint}");
                }
            }
            if tally.failed == 0 {
                println!("{} kernels take no more instructions than {TABLE} says", tally.passed);
            } else {
                println!("If it has to be: `cargo xtask arm-report --write` accepts the counts. The commit says why.");
            }
            tally
        }
        Err(message) => {
            eprintln!("error: {message}");
            Tally::of(false)
        }
    }
}

/// What is wrong with a count, next to the committed one.
fn complaint(count: &Count, committed: Option<f64>) -> Option<String> {
    let (Kernel { format, tier, tokens }, now) = (count.kernel, count.instructions());
    match committed {
        None => Some(format!("{format} on {tier}, {tokens} token(s): {now:.1} instructions, and {TABLE} has no count")),
        Some(before) if now > before * SLACK => Some(format!(
            "{format} on {tier}, {tokens} token(s): {now:.1} instructions per 256 multiplications, {before:.1} before"
        )),
        Some(_) => None,
    }
}

/// Compiles the program that multiplies; returns where it is.
fn build_program() -> Result<PathBuf> {
    let mut build = cargo_for(LINUX, "build");
    build.args(["--release", "-p", "nibble-kernels", "--example", "count", "--message-format=json-render-diagnostics"]);
    println!("$ {}", shell::line(&build));
    let messages = shell::output(&mut build)?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    executables.next_back().ok_or_else(|| "cargo built the example `count` and did not say where".to_owned())
}

/// Compiles the plugin for the version of the interface that this QEMU speaks, which only trying tells.
fn build_plugin(program: &Path) -> Result<PathBuf> {
    let folder = root().join("target/xtask");
    fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
    let plugin = folder.join("blocks.so");
    for version in 1..=9 {
        let mut compile = shell::command("cc");
        compile.args(["-O2", "-shared", "-fPIC", &format!("-DVERSION={version}"), "-o"]).arg(&plugin);
        shell::run(compile.arg("rust/xtask/qemu/blocks.c"))?;
        if shell::works(emulated(program, &plugin).args(["Q4_0", "neon", "1", "1"])) {
            return Ok(plugin);
        }
    }
    let program = emulated(program, &plugin);
    Err(format!("QEMU takes the plugin in no version of its interface; try `{}`", shell::line(&program)))
}

fn emulated(program: &Path, plugin: &Path) -> std::process::Command {
    let mut words = setup::emulate_with_plugins("max").into_iter();
    let mut command = shell::command(words.next().expect("a command line starts with a program"));
    command.args(words).arg("-plugin").arg(plugin).arg(program);
    command
}

/// Runs a kernel two times and four times: what the runs differ by is what twice the kernel takes.
fn count(program: &Path, plugin: &Path, kernel: Kernel) -> Result<Count> {
    let run = |repeats: &str| -> Result<Run> {
        let mut command = emulated(program, plugin);
        command.args([kernel.format, kernel.tier, &kernel.tokens.to_string(), repeats]);
        let output = shell::output(&mut command)?;
        Run::parse(&output).ok_or_else(|| format!("{}: cannot make sense of its output", shell::line(&command)))
    };
    let (few, many) = (run("2")?, run("4")?);
    let scale = 256.0 / (2.0 * many.multiplications);
    let blocks = many.runs.into_iter().filter_map(|(words, runs)| {
        let runs = runs - few.runs.get(&words).copied().unwrap_or(0.0);
        (runs != 0.0).then_some(Block { words, runs: runs * scale })
    });
    Ok(Count { kernel, blocks: blocks.collect() })
}

/// What a run of the program under the plugin says.
#[derive(Debug, PartialEq)]
struct Run {
    /// How often each row of instructions ran.
    runs: HashMap<Vec<u32>, f64>,
    multiplications: f64,
}

impl Run {
    /// The program's own line is a number; the plugin's start with `block`.
    fn parse(output: &str) -> Option<Self> {
        let (mut runs, mut multiplications) = (HashMap::new(), None);
        for line in output.lines() {
            match line.strip_prefix("block ") {
                Some(block) => {
                    let (count, words) = block.split_once(' ')?;
                    let words = words.split(' ').map(|word| u32::from_str_radix(word, 16).ok());
                    *runs.entry(words.collect::<Option<_>>()?).or_default() += count.parse::<f64>().ok()?;
                }
                None => multiplications = line.parse().ok(),
            }
        }
        Some(Self { runs, multiplications: multiplications? })
    }
}

/// Numbers of the committed file, by format and column.
pub struct Counts(HashMap<(String, String), f64>);

impl Counts {
    /// What the kernels took when somebody last looked.
    pub fn committed() -> Result<Self> {
        Ok(Self::parse(section(&read()?, "Counts")?))
    }

    /// What the prototypes took, in columns `GEMV neon-dot`, `GEMM neon-dot` and `GEMM neon-i8mm`.
    pub fn reachable() -> Result<Self> {
        Ok(Self::parse(section(&read()?, "Reachable")?))
    }

    fn of(&self, kernel: Kernel) -> Option<f64> {
        self.at(kernel.format, &kernel.column())
    }

    pub fn at(&self, format: &str, column: &str) -> Option<f64> {
        self.0.get(&(format.to_owned(), column.to_owned())).copied()
    }

    /// The numbers of a table in Markdown.
    fn parse(text: &str) -> Self {
        let mut rows = text.lines().filter_map(|line| {
            let cells = line.trim().strip_prefix('|')?.strip_suffix('|')?;
            Some(cells.split('|').map(str::trim).collect::<Vec<_>>())
        });
        let heading = rows.next().unwrap_or_default();
        let cells = rows.flat_map(|row| {
            let name = row[0];
            let number = |(column, cell): (&&str, &&str)| {
                Some(((name.to_owned(), (*column).to_owned()), cell.parse::<f64>().ok()?))
            };
            heading.iter().zip(&row).skip(1).filter_map(number).collect::<Vec<_>>()
        });
        Self(cells.collect())
    }
}

/// Puts the counts in the place of the committed ones.
pub fn write(counts: &[Count]) -> Result<()> {
    let text = read()?;
    let old = section(&text, "Counts")?;
    let rows = rows(counts);
    let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
    let rule = format!("|---|{}\n", "---:|".repeat(rows[0].len() - 1));
    let new = format!("\n{}{rule}{}", line(&rows[0]), rows[1..].iter().map(line).collect::<String>());
    let path = root().join(TABLE);
    fs::write(&path, text.replacen(old, &new, 1)).map_err(|error| format!("writing {}: {error}", path.display()))
}

/// A heading and a row for each format.
fn rows(counts: &[Count]) -> Vec<Vec<String>> {
    let of = |format: &'static str| counts.iter().filter(move |count| count.kernel.format == format);
    let heading = std::iter::once("format".to_owned()).chain(of(FORMATS[0]).map(|count| count.kernel.column()));
    let row = |format: &'static str| {
        std::iter::once(format.to_owned()).chain(of(format).map(|count| format!("{:.1}", count.instructions())))
    };
    std::iter::once(heading.collect()).chain(FORMATS.map(|format| row(format).collect())).collect()
}

/// The counts for a terminal.
pub fn render(counts: &[Count]) -> String {
    table::render(&rows(counts))
}

fn read() -> Result<String> {
    fs::read_to_string(root().join(TABLE)).map_err(|error| format!("reading {TABLE}: {error}"))
}

/// What stands between a heading of the second level and the next one.
fn section<'a>(text: &'a str, heading: &str) -> Result<&'a str> {
    let start = format!("\n## {heading}\n");
    let (_, rest) = text.split_once(&start).ok_or_else(|| format!("{TABLE} has no heading \"{heading}\""))?;
    Ok(rest.split_once("\n## ").map_or(rest, |(section, _)| section))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: Kernel = Kernel { format: "Q4_0", tier: "neon-dot", tokens: 4 };

    fn of_length(instructions: usize) -> Count {
        Count { kernel: KERNEL, blocks: vec![Block { words: vec![0; instructions], runs: 1.0 }] }
    }

    #[test]
    fn the_committed_tables_are_whole() {
        let (committed, reachable) = (Counts::committed().unwrap(), Counts::reachable().unwrap());
        for kernel in Kernel::all() {
            assert!(committed.of(kernel).is_some(), "{kernel:?}");
        }
        assert_eq!(reachable.at("Q4_0", "GEMV neon-dot"), Some(55.0));
        assert_eq!(reachable.at("Q6_K", "GEMM neon-i8mm"), Some(23.0));
    }

    #[test]
    fn growth_of_more_than_two_percent_is_a_complaint() {
        assert_eq!(complaint(&of_length(102), Some(100.0)), None);
        assert_eq!(complaint(&of_length(50), Some(100.0)), None);
        let grown = complaint(&of_length(103), Some(100.0)).unwrap();
        assert!(grown.contains("Q4_0 on neon-dot, 4 token(s)") && grown.contains("100.0 before"), "{grown}");
        assert!(complaint(&of_length(1), None).unwrap().contains("has no count"));
    }

    #[test]
    fn prefetches_are_no_arithmetic() {
        // prfm pldl1keep, [x8, #3072]; ldp q19, q20, [x8]
        let block = Block { words: vec![0xf986_0100, 0xad40_5113], runs: 3.0 };
        let count = Count { kernel: KERNEL, blocks: vec![block] };
        assert_eq!((count.instructions(), count.arithmetic()), (6.0, 3.0));
    }

    #[test]
    fn runs_are_read_and_the_same_code_in_two_places_is_one() {
        let run = Run::parse("512\nblock 3 0000002a ffffffff\nblock 4 0000002a ffffffff\nblock 1 00000001\n").unwrap();
        assert_eq!(run.multiplications, 512.0);
        assert_eq!(run.runs, HashMap::from([(vec![42, u32::MAX], 7.0), (vec![1], 1.0)]));
        assert_eq!(Run::parse("block 1 00000001\n"), None);
        assert_eq!(Run::parse("512\nblock x\n"), None);
    }

    #[test]
    fn tables_are_read_between_their_headings() {
        let text =
            "# A\n\n## Counts\n\n| format | neon 1 |\n|---|---:|\n| Q4_0 | 12.5 |\n| Q4_1 | - |\n\n## Other\n\n| x |\n";
        let counts = Counts::parse(section(text, "Counts").unwrap());
        assert_eq!(counts.at("Q4_0", "neon 1"), Some(12.5));
        assert_eq!(counts.0.len(), 1);
        assert!(section(text, "None").unwrap_err().contains("None"));
    }
}
