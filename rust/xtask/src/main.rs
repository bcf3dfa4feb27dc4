//! `cargo xtask`: every build, check and packaging step of the project, typed, with `--help`.
//!
//! CI runs these commands and nothing else, so that what CI does is what a person can do.
#![forbid(unsafe_code)]

mod ahead;
mod android;
mod arm;
mod bench;
mod bindings;
mod budget;
mod counts;
mod dist;
mod docc;
mod elf;
mod golden;
mod ios;
mod layers;
mod macho;
mod models;
mod native;
mod pc;
mod python;
mod reference;
mod samples;
mod sbom;
mod setup;
mod shell;
mod table;
mod tally;
mod test;
mod version;
mod wheel;
mod xcode;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Every build, check and packaging step of Nibble",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Brings in what building and testing need: Rust targets, an aarch64 compiler, emulators, the models.
    ///
    /// Every step looks first and does nothing if the thing is there. As root on Debian it installs; elsewhere it names
    /// what is missing and how to get it.
    Setup,
    /// Runs every check, or the parts that are named, and prints a summary.
    Test(test::Options),
    /// Remakes the golden vectors, with llama.cpp and gguf from Python.
    Golden(golden::Options),
    /// Measures Nibble beside llama.cpp and candle: the same file, the same threads, in turns, beside the machine's limits.
    Bench(bench::Options),
    /// Says what the kernels take on phones, without one: instructions, cycles, tokens per second at best.
    ArmReport(arm::Options),
    /// Remakes the Swift bindings, which are committed.
    Bindings,
    /// Makes all that a release consists of: AAR, XCFramework, wheel, bill of materials, sums; in dist/.
    Dist,
    /// Makes the native libraries for Android as they are in a release, and checks them; for the Gradle build.
    Jni(android::Options),
    /// Makes the sample apps' packages, signed with a key made on the spot, and checks them; in target/examples/.
    Samples,
    /// Makes the pages of every language's API, in target/reference/.
    Reference,
    /// Shows the version, or gives every file that holds it another one.
    Version(version::Options),
    /// Makes the Python wheel for this machine.
    Wheel,
    /// Runs a statically linked program on an emulated x86-64 CPU with AVX-512 and AVX-VNNI.
    #[command(hide = true)]
    Pc(pc::Options),
}

fn main() -> ExitCode {
    shell::remember_this();
    let outcome = match Arguments::parse().task {
        Task::Setup => setup::everything(),
        Task::Test(options) => test::run(&options),
        Task::Golden(options) => golden::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::ArmReport(options) => arm::run(&options),
        Task::Bindings => bindings::commit_swift(),
        Task::Dist => dist::run(),
        Task::Reference => reference::run(),
        Task::Jni(options) => android::run(&options),
        Task::Samples => samples::run(),
        Task::Version(options) => version::run(&options),
        Task::Wheel => wheel::run(),
        Task::Pc(options) => pc::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_of_all_tasks_fit_together() {
        Arguments::command().debug_assert();
    }
}
