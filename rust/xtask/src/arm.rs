//! `cargo xtask arm-report`: what the kernels take on a phone's processor, as far as it can be told without one.
//!
//! Instructions are counted. Cycles are those that LLVM's models of the processors give the blocks of instructions that ran,
//! each as if it were repeated. Tokens per second are what cycles, memory and barriers allow at best: nothing but matrix products
//! takes time.

mod phones;

use crate::counts::{self, Count, Counts, FORMATS, PROMPT};
use crate::setup::{self, LINUX, Need};
use crate::shell::{self, Result, root};
use crate::table;
use phones::CORES;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Options {
    /// Commit to these counts: put them into rust/kernels/counts.md
    #[arg(long)]
    write: bool,
}

/// What counting needs.
pub const NEEDS: [Need; 3] = [Need::Std(LINUX), Need::CrossCompiler, Need::Counter];

/// Processors that LLVM has models of; the Neoverse ones are the Cortex-A76, the A710 and the X3 in servers.
const PROCESSORS: [&str; 5] = ["cortex-a55", "cortex-a510", "neoverse-n1", "neoverse-n2", "neoverse-v2"];

/// Models of all of them are in LLVM from this version on.
const LLVM: u32 = 17;

/// Blocks with a smaller share of a kernel's instructions are left out of the cycles: ends of loops, calls.
const SMALL: f64 = 0.005;

/// Counts, compares with what is reachable, and predicts.
pub fn run(options: &Options) -> Result<()> {
    let unmet = setup::ensure(&NEEDS);
    if let Some(unmet) = unmet.first() {
        return Err(format!("{}: {}", unmet.need, unmet.advice));
    }
    let counts = counts::measure()?;
    println!("\nInstructions per 256 multiplications, by tier and tokens\n\n{}", counts::render(&counts));
    println!(
        "The same without prefetches, beside what is reachable\n\n{}",
        table::render(&comparison(&counts, &Counts::reachable()?))
    );
    let cycles = match tools() {
        Ok(tools) => {
            let cycles = Cycles::of(&tools, &counts)?;
            println!("Cycles per 256 multiplications by llvm-mca\n\n{}", table::render(&cycles.rows(&counts)));
            Some(cycles)
        }
        Err(message) => {
            println!("No cycles: {message}\n");
            None
        }
    };
    println!(
        "Tokens per second at best, on {CORES} big cores, all logits\n\n{}",
        table::render(&phones::predictions(&counts, cycles.as_ref()))
    );
    println!("What others have published, tokens per second, CPU\n\n{}", table::render(&phones::published()));
    if options.write { counts::write(&counts) } else { Ok(()) }
}

/// For each format the counts, without prefetches, that have a reachable figure, and that figure.
fn comparison(counts: &[Count], reachable: &Counts) -> Vec<Vec<String>> {
    let columns = [
        ("GEMV neon-dot", "neon-dot", 1),
        ("GEMM neon-dot", "neon-dot", PROMPT),
        ("GEMM neon-i8mm", "neon-i8mm", PROMPT),
    ];
    let heading = std::iter::once("format").chain(columns.iter().flat_map(|(name, ..)| [*name, "reachable"]));
    let row = |format: &str| {
        let cells = columns.iter().flat_map(|&(name, tier, tokens)| {
            let now = find(counts, format, tier, tokens).map(|(_, count)| count.arithmetic());
            let number = |number: Option<f64>, digits| number.map_or("-".to_owned(), |n| format!("{n:.digits$}"));
            [number(now, 1), number(reachable.at(format, name), 0)]
        });
        std::iter::once(format.to_owned()).chain(cells).collect()
    };
    std::iter::once(heading.map(str::to_owned).collect()).chain(FORMATS.map(row)).collect()
}

fn find<'a>(counts: &'a [Count], format: &str, tier: &str, tokens: usize) -> Option<(usize, &'a Count)> {
    let is_it = |count: &Count| {
        let kernel = count.kernel;
        kernel.format == format && kernel.tier == tier && kernel.tokens == tokens
    };
    counts.iter().enumerate().find(|(_, count)| is_it(count))
}

/// LLVM's disassembler and its simulator of pipelines.
struct Tools {
    disassembler: PathBuf,
    simulator: PathBuf,
}

/// The newest LLVM on the PATH, where Debian's have their version in their names.
fn tools() -> Result<Tools> {
    let names = (LLVM..LLVM + 20).rev().map(|version| format!("-{version}")).chain([String::new()]);
    let mut found = names.filter_map(|suffix| {
        Some(Tools {
            disassembler: shell::find(&format!("llvm-mc{suffix}"))?,
            simulator: shell::find(&format!("llvm-mca{suffix}"))?,
        })
    });
    let tools = found.next().ok_or_else(|| {
        format!("llvm-mca is not installed (Debian, Ubuntu: `apt-get install llvm-19`; version {LLVM} or later)")
    })?;
    let version = shell::output(shell::command(&tools.simulator).arg("--version"))?;
    match llvm_version(&version) {
        Some(version) if version >= LLVM => Ok(tools),
        _ => Err(format!("{} is older than version {LLVM}, which has the models", tools.simulator.display())),
    }
}

/// The number in a line like `LLVM version 19.1.7` or `Debian LLVM version 14.0.6`.
fn llvm_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("LLVM version ")?;
    rest.split('.').next()?.parse().ok()
}

/// Cycles per 256 multiplications, by processor (in the order of [`PROCESSORS`]) and by count.
struct Cycles([Vec<f64>; PROCESSORS.len()]);

impl Cycles {
    fn of(tools: &Tools, counts: &[Count]) -> Result<Self> {
        let blocks: Vec<_> = counts.iter().flat_map(large_blocks).collect();
        let code = disassemble(tools, &blocks)?;
        let mut cycles = Vec::new();
        for processor in PROCESSORS {
            let mut of_blocks = simulate(tools, processor, &code, blocks.len())?.into_iter();
            let of_count = |count: &Count| {
                let (mut cycles, mut instructions) = (0.0, 0.0);
                for block in large_blocks(count) {
                    cycles += block.runs * of_blocks.next().expect("as many as there are blocks");
                    instructions += block.runs * block.words.len() as f64;
                }
                cycles * count.instructions() / instructions
            };
            cycles.push(counts.iter().map(of_count).collect());
        }
        Ok(Self(cycles.try_into().expect("one for each processor")))
    }

    fn at(&self, processor: &str, count: usize) -> f64 {
        let processor = PROCESSORS.iter().position(|&known| known == processor).expect("phones have known processors");
        self.0[processor][count]
    }

    fn rows(&self, counts: &[Count]) -> Vec<Vec<String>> {
        let heading = ["format", "tier", "tokens"].into_iter().chain(PROCESSORS).map(str::to_owned).collect();
        let row = |(i, count): (usize, &Count)| {
            let kernel = count.kernel;
            let cycles = PROCESSORS.map(|processor| format!("{:.1}", self.at(processor, i)));
            [kernel.format.to_owned(), kernel.tier.to_owned(), kernel.tokens.to_string()]
                .into_iter()
                .chain(cycles)
                .collect()
        };
        std::iter::once(heading).chain(counts.iter().enumerate().map(row)).collect()
    }
}

fn large_blocks(count: &Count) -> impl Iterator<Item = &counts::Block> {
    let least = count.instructions() * SMALL;
    count.blocks.iter().filter(move |block| block.runs * block.words.len() as f64 >= least)
}

/// Assembly in which every block is a region of llvm-mca's.
fn disassemble(tools: &Tools, blocks: &[&counts::Block]) -> Result<String> {
    let mut bytes = String::new();
    for word in blocks.iter().flat_map(|block| &block.words) {
        let [a, b, c, d] = word.to_le_bytes();
        let _ = writeln!(bytes, "{a:#04x} {b:#04x} {c:#04x} {d:#04x}");
    }
    let path = root().join("target/xtask/blocks.bytes");
    fs::write(&path, bytes).map_err(|error| format!("writing {}: {error}", path.display()))?;
    let mut disassembler = shell::command(&tools.disassembler);
    let text =
        shell::output(disassembler.args(["--disassemble", "--triple=aarch64", "-mattr=+v8.6a,+fullfp16"]).arg(path))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('.'));
    let mut code = String::new();
    for block in blocks {
        code += "# LLVM-MCA-BEGIN\n";
        for _ in &block.words {
            let line = lines.next().ok_or_else(|| format!("{} left some out", tools.disassembler.display()))?;
            // The simulator does not know what a call leads to, and takes a hundred cycles for it.
            if !["bl\t", "blr\t", "ret"].iter().any(|call| line.starts_with(call)) {
                code += line;
                code.push('\n');
            }
        }
        code += "# LLVM-MCA-END\n";
    }
    Ok(code)
}

/// Cycles of a run of each region.
fn simulate(tools: &Tools, processor: &str, code: &str, regions: usize) -> Result<Vec<f64>> {
    const ITERATIONS: f64 = 50.0;
    let path = root().join("target/xtask/blocks.s");
    fs::write(&path, code).map_err(|error| format!("writing {}: {error}", path.display()))?;
    let mut simulator = shell::command(&tools.simulator);
    simulator.args(["--mtriple=aarch64", "--mattr=+v8.6a,+fullfp16", &format!("--mcpu={processor}")]);
    simulator.args([&format!("--iterations={ITERATIONS}"), "--instruction-info=false", "--resource-pressure=false"]);
    let text = shell::output(simulator.arg(path))?;
    let cycles = text.lines().filter_map(|line| line.strip_prefix("Total Cycles:")?.trim().parse::<f64>().ok());
    let cycles: Vec<f64> = cycles.map(|cycles| cycles / ITERATIONS).collect();
    if cycles.len() == regions {
        Ok(cycles)
    } else {
        Err(format!("{} gave {} results for {regions} blocks", tools.simulator.display(), cycles.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_llvm_is_read() {
        assert_eq!(llvm_version("Debian LLVM version 14.0.6\n  Optimized build."), Some(14));
        assert_eq!(llvm_version("LLVM (http://llvm.org/):\n  LLVM version 19.1.7\n"), Some(19));
        assert_eq!(llvm_version("clang"), None);
    }
}
