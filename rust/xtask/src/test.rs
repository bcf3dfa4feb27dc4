//! `cargo xtask test`: every check of the project, in parts, with one summary at the end.

use crate::setup::{self, ANDROID, ANDROID_PC, IOS, IOS_SIMULATOR, LINUX, Need, PC, Unmet, cargo_for};
use crate::shell::{self, Result, WORKSPACE};
use crate::tally::Tally;
use crate::{ahead, android, arm, bindings, counts, ios, layers, native, reference, samples, table};
use clap::ValueEnum;
use std::process::Command;
use std::time::{Duration, Instant};

/// The processors that stand for a phone's: no dot product, dot product, and everything up to i8mm.
const PROCESSORS: [&str; 3] = ["cortex-a53", "cortex-a76", WHOLE];

/// The one of them that has every tier.
const WHOLE: &str = "max";

/// Random cases of a property test under the emulator, which is some ten times slower than the machine.
const EMULATED_CASES: &str = "32";

#[derive(clap::Args)]
pub struct Options {
    /// Run this part alone; may be given several times.
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
}

/// What can be run alone. The order is the order of a full run: what fails soonest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The code is formatted.
    Format,
    /// Crates see only the layers below them, unsafe code stays in its rooms, and samples are short.
    Layers,
    /// Clippy has nothing to say.
    Clippy,
    /// Unit, property, command-line, golden and parity tests of every crate, on the real models.
    Tests,
    /// The Python API gives what the conformance suite expects.
    Python,
    /// The Kotlin API does, on the JVM, and keeps its other promises.
    Kotlin,
    /// The calls of the Kotlin API give that on an emulated aarch64 processor too.
    KotlinAarch64,
    /// The Swift API does, on Linux or a Mac, and keeps its other promises; its bindings are those of the library.
    Swift,
    /// The examples in the documentation work, and its links lead somewhere.
    Doc,
    /// Every language has the pages of its API, whose links lead somewhere.
    Reference,
    /// The kernels on emulated phone processors, and the engine on the one that has all of their tiers.
    Aarch64,
    /// The kernels on an emulated PC with AVX-512 and AVX-VNNI, or on this machine if it has them.
    X86,
    /// The aarch64 kernels take no more instructions than they did.
    Counts,
    /// The libraries for Android and iOS are what a phone can load, and no larger than they may be; the AAR has those for Android.
    Mobile,
    /// The sample apps for Android do what they say, on the JVM, and their packages are such that a phone takes.
    Samples,
    /// The sample apps for iOS do, on Linux or a Mac, and Xcode's projects of them fit together.
    SamplesIos,
}

/// How a part ended.
enum Outcome {
    Ran(Tally),
    CouldNot(Vec<Unmet>),
}

struct Report {
    part: Part,
    outcome: Outcome,
    time: Duration,
}

/// Runs the parts that are asked for, or all.
pub fn run(options: &Options) -> Result<()> {
    let parts: Vec<Part> = Part::value_variants()
        .iter()
        .copied()
        .filter(|part| options.only.is_empty() || options.only.contains(part))
        .collect();
    let mut needs: Vec<Need> = Vec::new();
    for need in parts.iter().flat_map(|part| part.needs()) {
        if !needs.contains(need) {
            needs.push(*need);
        }
    }
    let unmet = setup::ensure(&needs);
    if options.only.is_empty() {
        let possible = parts.iter().filter(|part| !unmet.iter().any(|unmet| part.needs().contains(&unmet.need)));
        ahead::compile(possible.flat_map(|part| part.compiles()).collect())?;
    }
    let reports: Vec<Report> = parts.into_iter().map(|part| part.report(&unmet)).collect();

    let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
    let total = print_summary(&reports, strict);
    if total.failed == 0 { Ok(()) } else { Err("not everything passed; the summary above says what".to_owned()) }
}

impl Part {
    fn needs(self) -> &'static [Need] {
        match self {
            Self::Format | Self::Clippy => &[Need::Components],
            Self::Layers | Self::Doc => &[],
            Self::Tests => &[Need::Models],
            Self::Python => &[Need::Python, Need::Models],
            Self::Kotlin => &[Need::Maven, Need::Models],
            Self::KotlinAarch64 => {
                &[Need::Maven, Need::Models, Need::Std(LINUX), Need::CrossCompiler, Need::Emulator, Need::ArmJvm]
            }
            Self::Swift => &[Need::Swift, Need::Models],
            Self::Reference => &reference::NEEDS,
            Self::Aarch64 => &[Need::Components, Need::Std(LINUX), Need::CrossCompiler, Need::Emulator],
            Self::X86 => &[Need::Pc],
            Self::Counts => &arm::NEEDS,
            Self::Mobile => &[
                Need::Std(ANDROID),
                Need::Std(ANDROID_PC),
                Need::Std(IOS),
                Need::Std(IOS_SIMULATOR),
                Need::AndroidLinker,
                Need::Nm,
                Need::Python,
                Need::Maven,
                Need::Models,
            ],
            Self::Samples => &samples::NEEDS,
            Self::SamplesIos => &[Need::Swift, Need::Models],
        }
    }

    /// What it compiles for other machines, where that takes minutes.
    fn compiles(self) -> Vec<Command> {
        match self {
            Self::KotlinAarch64 => vec![native::compile_arm_linux_library()],
            Self::Aarch64 => PROCESSORS
                .iter()
                .map(|processor| {
                    let mut tests = emulated_tests(processor);
                    tests.arg("--no-run");
                    tests
                })
                .collect(),
            Self::Mobile => [ANDROID, ANDROID_PC, IOS, IOS_SIMULATOR].map(native::compile_static_library).into(),
            _ => Vec::new(),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().expect("no part is hidden").get_name().to_owned()
    }

    fn report(self, unmet: &[Unmet]) -> Report {
        println!("\n== {} ==", self.name());
        let unmet: Vec<Unmet> = unmet.iter().filter(|unmet| self.needs().contains(&unmet.need)).cloned().collect();
        let start = Instant::now();
        let outcome = if unmet.is_empty() { Outcome::Ran(self.run()) } else { Outcome::CouldNot(unmet) };
        Report { part: self, outcome, time: start.elapsed() }
    }

    fn run(self) -> Tally {
        match self {
            Self::Format => Tally::check(shell::cargo().args(["fmt", "--all", "--check"])),
            Self::Layers => layers::check(),
            Self::Clippy => Tally::check(shell::cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Tests => Tally::suite(shell::cargo().arg("test").arg("--no-fail-fast").args(WORKSPACE)),
            Self::Python => bindings::test_python(),
            Self::Kotlin => bindings::test_kotlin(),
            Self::KotlinAarch64 => bindings::test_kotlin_on_arm(),
            Self::Swift => bindings::test_swift(),
            Self::Doc => {
                let mut tally = Tally::suite(shell::cargo().args([
                    "test",
                    "--no-fail-fast",
                    "--workspace",
                    "--all-features",
                    "--doc",
                ]));
                // With the examples, which brings in the features that tests ask for: without them candle is checked once more.
                let mut doc = shell::cargo();
                doc.args(["doc", "--no-deps", "--workspace", "--all-features", "--lib", "--bins", "--examples"])
                    .env("RUSTDOCFLAGS", "-D warnings");
                tally += Tally::check(&mut doc);
                tally
            }
            Self::Reference => reference::check(),
            Self::Aarch64 => {
                // Clippy on this machine does not see what is compiled for another.
                let mut clippy = cargo_for(LINUX, "clippy");
                clippy.args(["-p", "nibble-kernels", "--all-targets", "--", "-D", "warnings"]);
                let mut tally = Tally::check(&mut clippy);
                tally += PROCESSORS.iter().map(|processor| Tally::suite(&mut emulated_tests(processor))).sum();
                tally
            }
            Self::X86 => {
                // All tiers are tested in one run, but for the formats, which are the same on all; the other run is there to
                // see that this CPU has the second one as well.
                let runs = [("avx512-vnni", ["--skip", "formats::"]), ("avx-vnni", ["--exact", TIER_TEST])];
                runs.iter().map(|(tier, tests)| Tally::suite(x86_tests(tier).args(tests))).sum()
            }
            Self::Counts => counts::check(),
            Self::Mobile => [android::test(), ios::test()].into_iter().sum(),
            Self::Samples => samples::test(),
            Self::SamplesIos => bindings::test_swift_samples(),
        }
    }
}

/// The profile of what is compiled for other machines.
const CROSS: [&str; 2] = ["--profile", "cross"];

fn emulated_tests(processor: &str) -> Command {
    let mut test = cargo_for(LINUX, "test");
    test.args(CROSS).args(["--no-fail-fast", "-p", "nibble-kernels", "--lib", "--test", "kernels"]);
    if processor == WHOLE {
        // There it computes with every tier, one after another, as the others would. Its tests on real models are left out: packing
        // hundreds of megabytes takes an emulator too long.
        test.args(["-p", "nibble-engine"]);
    }
    test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", setup::emulate(processor))
        .env("PROPTEST_CASES", EMULATED_CASES);
    test
}

const TIER_TEST: &str = "tiers::the_tier_that_the_environment_names_is_there_and_is_used";

/// The kernels' tests, with this tier as the one that is asked for.
fn x86_tests(tier: &str) -> Command {
    let mut test = cargo_for(PC, "test");
    test.args(CROSS)
        .args(["--no-fail-fast", "-p", "nibble-kernels", "--test", "kernels", "--"])
        .env("NIBBLE_TIER", tier);
    if !setup::has_x86_tiers() {
        let this = shell::this().map_or_else(|_| "cargo xtask".to_owned(), |this| this.display().to_string());
        test.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", format!("{this} pc"))
            .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", STATIC)
            .env("PROPTEST_CASES", EMULATED_CASES)
            // Where to take another seed from each time, the emulated PC has nothing.
            .env("PROPTEST_RNG_SEED", "1");
    }
    test
}

/// A program that needs no loader and knows its addresses, and debug information is most of its size.
const STATIC: &str = "-C target-feature=+crt-static -C relocation-model=static -C strip=debuginfo";

impl Outcome {
    /// A part that could not run is a skipped check for a person, and a failed one in CI unless no machine of this kind
    /// could have run it.
    fn tally(&self, strict: bool) -> Tally {
        match self {
            Self::Ran(tally) => *tally,
            Self::CouldNot(unmet) if strict && unmet.iter().any(|unmet| !unmet.impossible) => Tally::of(false),
            Self::CouldNot(_) => Tally { skipped: 1, ..Tally::default() },
        }
    }
}

fn print_summary(reports: &[Report], strict: bool) -> Tally {
    let total: Tally = reports.iter().map(|report| report.outcome.tally(strict)).sum();
    let heading = ["part", "passed", "failed", "skipped", "seconds"].map(str::to_owned).to_vec();
    let rows = reports.iter().map(|report| {
        let tally = report.outcome.tally(strict);
        let counts = [tally.passed, tally.failed, tally.skipped].map(|count| count.to_string());
        let mut row = vec![report.part.name()];
        row.extend(counts);
        row.push(format!("{:.1}", report.time.as_secs_f64()));
        row
    });
    println!("\n{}", table::render(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()));
    for report in reports {
        if let Outcome::CouldNot(unmet) = &report.outcome {
            for unmet in unmet {
                println!("{} could not run: {}: {}", report.part.name(), unmet.need, unmet.advice);
            }
        }
    }
    println!("{}", closing_line(total));
    total
}

/// The last line, in a form that any reader of test output knows.
fn closing_line(total: Tally) -> String {
    let mut line = format!("{} passed, {} failed", total.passed, total.failed);
    if total.skipped > 0 {
        line += &format!(", {} skipped", total.skipped);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmet(impossible: bool) -> Outcome {
        Outcome::CouldNot(vec![Unmet { need: Need::Emulator, advice: String::new(), impossible }])
    }

    #[test]
    fn what_could_not_run_fails_only_where_it_could_have() {
        let (skipped, failed) = (Tally { skipped: 1, ..Tally::default() }, Tally::of(false));
        assert_eq!(unmet(false).tally(false), skipped);
        assert_eq!(unmet(false).tally(true), failed);
        assert_eq!(unmet(true).tally(false), skipped);
        assert_eq!(unmet(true).tally(true), skipped);
    }

    #[test]
    fn the_closing_line_is_plain() {
        assert_eq!(closing_line(Tally { passed: 3, failed: 0, skipped: 0 }), "3 passed, 0 failed");
        assert_eq!(closing_line(Tally { passed: 3, failed: 1, skipped: 2 }), "3 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn a_summary_adds_its_parts_up() {
        let ran = |part, passed| Report {
            part,
            outcome: Outcome::Ran(Tally { passed, ..Tally::default() }),
            time: Duration::ZERO,
        };
        let could_not = Report { part: Part::Aarch64, outcome: unmet(false), time: Duration::ZERO };
        let reports = [ran(Part::Tests, 2), ran(Part::Doc, 3), could_not];
        assert_eq!(print_summary(&reports, true), Tally { passed: 5, failed: 1, skipped: 0 });
        assert_eq!(print_summary(&reports, false), Tally { passed: 5, failed: 0, skipped: 1 });
    }
}
