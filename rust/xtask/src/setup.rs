//! What building and testing need, how to see that it is there, and how to get it.
//!
//! As root on Debian it is installed; elsewhere the missing thing is named, with the way to get it.

mod debian;
mod rust;

pub use rust::cargo_for;

use crate::models;
use crate::shell::{self, Result};
use std::env::consts;
use std::path::Path;

/// The targets that are built here beside the machine's own: Linux to run under an emulator, and the two phones.
pub const LINUX: &str = "aarch64-unknown-linux-gnu";
pub const ANDROID: &str = "aarch64-linux-android";
pub const IOS: &str = "aarch64-apple-ios";

/// One thing that a build or a test cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// clippy and rustfmt.
    Components,
    /// The standard library for a target, compiled or as source.
    Std(&'static str),
    /// A C compiler, as a linker, and a C library for aarch64 Linux.
    CrossCompiler,
    /// An emulator that runs aarch64 Linux programs.
    Emulator,
    /// The same emulator in the form that takes plugins, and a C compiler to make one.
    Counter,
    /// The models, pulled and packed.
    Models,
}

/// A need that could not be met.
#[derive(Clone, Debug)]
pub struct Unmet {
    pub need: Need,
    /// What is missing and how to get it, in one line.
    pub advice: String,
    /// Whether this platform can never meet it, so that nobody is to blame.
    pub impossible: bool,
}

/// `cargo xtask setup`.
pub fn everything() -> Result<()> {
    use Need::*;
    let unmet = ensure(&[Components, Std(LINUX), Std(ANDROID), Std(IOS), CrossCompiler, Emulator, Counter, Models]);
    let missing = unmet.iter().filter(|unmet| !unmet.impossible).count();
    if missing == 0 { Ok(()) } else { Err(format!("{missing} of the things above are missing")) }
}

/// Meets the needs in order, saying of each that it is there, or what is done, or what is missing.
pub fn ensure(needs: &[Need]) -> Vec<Unmet> {
    println!("setup");
    needs.iter().filter_map(|&need| need.ensure().err()).collect()
}

impl Need {
    fn ensure(self) -> std::result::Result<(), Unmet> {
        let unmet = |advice, impossible| {
            println!("  missing  {self}: {advice}");
            Unmet { need: self, advice, impossible }
        };
        if self.is_met() {
            println!("  there    {self}");
            return Ok(());
        }
        if let Some(reason) = self.impossible() {
            return Err(unmet(reason.to_owned(), true));
        }
        println!("  get      {self}");
        self.meet().map_err(|why| unmet(format!("{why}; {}", self.advice()), false))
    }

    fn is_met(self) -> bool {
        match self {
            Self::Components => rust::has_components(),
            Self::Std(target) => rust::has_std(target),
            Self::CrossCompiler => {
                consts::ARCH == "aarch64"
                    || shell::find("aarch64-linux-gnu-gcc").is_some()
                        && Path::new(SYSROOT).join("lib/libc.so.6").exists()
            }
            Self::Emulator => emulator().is_some(),
            Self::Counter => shell::find(DYNAMIC).is_some() && shell::find("cc").is_some(),
            // Only the command itself knows; it looks before it fetches.
            Self::Models => false,
        }
    }

    fn meet(self) -> Result<()> {
        match self {
            Self::Components => rust::add_components(),
            Self::Std(target) => rust::add_std(target),
            Self::CrossCompiler => debian::install(&["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]),
            Self::Emulator => debian::install(&["qemu-user-static"]),
            Self::Counter => debian::install(&["qemu-user", "gcc", "libc6-dev"]),
            Self::Models => {
                for model in models::pull_all()? {
                    println!("           {}: {}", model.name, model.file.display());
                }
                Ok(())
            }
        }
    }

    /// Why this platform can never meet it.
    fn impossible(self) -> Option<&'static str> {
        match self {
            Self::CrossCompiler | Self::Emulator | Self::Counter if consts::OS != "linux" => Some("this is Linux only"),
            _ => None,
        }
    }

    fn advice(self) -> String {
        match self {
            Self::Components => "run `rustup component add clippy rustfmt`".to_owned(),
            Self::Std(target) => format!("run `rustup target add {target}`"),
            Self::CrossCompiler => "install gcc for aarch64-linux-gnu and its C library (Debian, Ubuntu: \
                 `apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross`)"
                .to_owned(),
            Self::Emulator => {
                "install QEMU's user-mode emulator (Debian, Ubuntu: `apt-get install qemu-user-static`)".to_owned()
            }
            Self::Counter => {
                "install QEMU's user-mode emulator, not the static one, and a C compiler (Debian, Ubuntu: \
                 `apt-get install qemu-user gcc libc6-dev`)"
                    .to_owned()
            }
            Self::Models => "run `cargo nibble pull --all`".to_owned(),
        }
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Components => f.write_str("clippy and rustfmt"),
            Self::Std(target) => write!(f, "Rust's standard library for {target}"),
            Self::CrossCompiler => f.write_str("C compiler and library for aarch64 Linux"),
            Self::Emulator => f.write_str("emulator for aarch64 Linux"),
            Self::Counter => f.write_str("emulator for aarch64 Linux that takes plugins, and C compiler"),
            Self::Models => f.write_str("models"),
        }
    }
}

/// Where Debian's cross C library lies.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";

/// QEMU's user mode in the form that takes plugins, which the static one does not.
const DYNAMIC: &str = "qemu-aarch64";

/// The program that runs aarch64 Linux binaries as one of its processors.
fn emulator() -> Option<&'static str> {
    ["qemu-aarch64-static", DYNAMIC].into_iter().find(|name| shell::find(name).is_some())
}

/// The command line that runs an aarch64 Linux binary on a given processor.
pub fn emulate(processor: &str) -> String {
    let program = emulator().unwrap_or("qemu-aarch64-static");
    emulation(program, processor).join(" ")
}

/// The words that start a command with plugins.
pub fn emulate_with_plugins(processor: &str) -> [&str; 5] {
    emulation(DYNAMIC, processor)
}

fn emulation<'a>(program: &'a str, processor: &'a str) -> [&'a str; 5] {
    let library = if consts::ARCH == "aarch64" { "/" } else { SYSROOT };
    [program, "-cpu", processor, "-L", library]
}
