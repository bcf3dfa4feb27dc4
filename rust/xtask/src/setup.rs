//! What building and testing need, how to see that it is there, and how to get it.
//!
//! As root on Debian it is installed; elsewhere the missing thing is named, with the way to get it.

mod arm_jvm;
mod debian;
mod rust;
mod swift;

pub use arm_jvm::launcher as arm_java;
pub use debian::Archive;
pub use rust::cargo_for;
pub use swift::{command as swift, docc};

use crate::shell::{self, Result};
use crate::{android, models, pc, python};
use std::env::{self, consts};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The targets that are built here beside the machine's own: Linux to run under an emulator, and the two phones.
pub const LINUX: &str = "aarch64-unknown-linux-gnu";
pub const ANDROID: &str = "aarch64-linux-android";
pub const IOS: &str = "aarch64-apple-ios";

/// The phones' emulators on a PC, and the simulator on a Mac of either kind.
pub const ANDROID_PC: &str = "x86_64-linux-android";
pub const IOS_SIMULATOR: &str = "aarch64-apple-ios-sim";
pub const IOS_SIMULATOR_PC: &str = "x86_64-apple-ios";

/// Desktop Linux, named where a build has to differ from the machine's own.
pub const PC: &str = "x86_64-unknown-linux-gnu";

/// One thing that a build or a test cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// clippy and rustfmt.
    Components,
    /// The standard library for a target, compiled or as source.
    Std(&'static str),
    /// What links a library for Android: an NDK, or clang, lld and an unwinder.
    AndroidLinker,
    /// What lists the symbols of libraries for Apple platforms.
    Nm,
    /// A C compiler, as a linker, and a C library for aarch64 Linux.
    CrossCompiler,
    /// An emulator that runs aarch64 Linux programs.
    Emulator,
    /// The same emulator in the form that takes plugins, and a C compiler to make one.
    Counter,
    /// An emulator of a PC with all x86-64 tiers of the kernels, unless this is one, and a C compiler for what runs in it.
    Pc,
    /// Python.
    Python,
    /// A Java compiler, and Maven.
    Maven,
    /// What makes an app's package for Android: aapt2, zipalign, apksigner.
    ApkTools,
    /// A Java virtual machine for aarch64 Linux.
    ArmJvm,
    /// Swift 6.
    Swift,
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
    let unmet = ensure(&[
        Components,
        Std(LINUX),
        Std(ANDROID),
        Std(ANDROID_PC),
        Std(IOS),
        Std(IOS_SIMULATOR),
        Std(IOS_SIMULATOR_PC),
        AndroidLinker,
        Nm,
        CrossCompiler,
        Emulator,
        Counter,
        Pc,
        Python,
        Maven,
        ApkTools,
        ArmJvm,
        Swift,
        Models,
    ]);
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
            Self::AndroidLinker => android::can_link(),
            Self::Nm => consts::OS == "macos" || shell::find("llvm-nm").is_some(),
            Self::CrossCompiler => {
                consts::ARCH == "aarch64"
                    || shell::find("aarch64-linux-gnu-gcc").is_some()
                        && Path::new(SYSROOT).join("lib/libc.so.6").exists()
            }
            Self::Emulator => emulator().is_some(),
            Self::Counter => shell::find(DYNAMIC).is_some() && shell::find("cc").is_some(),
            Self::Pc => has_x86_tiers() || bochs().is_some() && shell::find("cc").is_some(),
            Self::Python => python::is_whole(),
            Self::Maven => shell::find("mvn").is_some() && shell::find("javac").is_some(),
            Self::ApkTools => ["aapt2", "zipalign", "apksigner"].iter().all(|name| shell::find(name).is_some()),
            Self::ArmJvm => arm_jvm::is_there(),
            Self::Swift => swift::is_there(),
            // Only the command itself knows; it looks before it fetches.
            Self::Models => false,
        }
    }

    fn meet(self) -> Result<()> {
        match self {
            Self::Components => rust::add_components(),
            Self::Std(target) => rust::add_std(target),
            Self::AndroidLinker => {
                debian::install(&["clang", "lld"])?;
                android::fetch_unwinders()
            }
            Self::Nm => debian::install(&["llvm"]),
            Self::CrossCompiler => debian::install(&["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]),
            Self::Emulator => debian::install(&["qemu-user-static"]),
            Self::Counter => debian::install(&["qemu-user", "gcc", "libc6-dev"]),
            Self::Pc => {
                // Debian 12's Bochs has no AVX-VNNI, but the libraries that a newer one takes.
                debian::install(&BOCHS)?;
                if bochs().is_some() {
                    Ok(())
                } else {
                    Archive::open(BOCHS_SUITE, bochs_folder())?.unpack(&BOCHS_PACKAGES)
                }
            }
            Self::Python => debian::install(&["python3", "python3-pip", "python3-venv"]),
            Self::Maven => debian::install(&["maven", "openjdk-17-jdk-headless"]),
            Self::ApkTools => debian::install(&["aapt", "zipalign", "apksigner"]),
            Self::ArmJvm => arm_jvm::install(),
            Self::Swift => swift::install(),
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
            Self::CrossCompiler | Self::Emulator | Self::Counter | Self::ArmJvm if consts::OS != "linux" => {
                Some("this is Linux only")
            }
            Self::Swift => swift::impossible(),
            Self::Pc if consts::OS != "linux" || consts::ARCH != "x86_64" => Some("this is for x86-64 Linux only"),
            _ => None,
        }
    }

    fn advice(self) -> String {
        match self {
            Self::Components => "run `rustup component add clippy rustfmt`".to_owned(),
            Self::Std(target) => format!("run `rustup target add {target}`"),
            Self::AndroidLinker => "install an Android NDK and let ANDROID_NDK_HOME name its folder".to_owned(),
            Self::Nm => "install llvm-nm (Debian, Ubuntu: `apt-get install llvm`)".to_owned(),
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
            Self::Pc => format!(
                "install Bochs 3.0 or later, its text display, and a C compiler with a C library (Debian 13: `apt-get install \
                 {}`)",
                BOCHS.join(" ")
            ),
            Self::Python => {
 "install Python 3.11 or later with pip (Debian, Ubuntu: `apt-get install python3 python3-pip python3-venv`)".to_owned()
}
            Self::Maven => {
                "install a JDK from 17 on, and Maven (Debian, Ubuntu: `apt-get install maven openjdk-17-jdk-headless`)"
                    .to_owned()
            }
            Self::ApkTools => "put the build tools of an Android SDK on the PATH (Debian, Ubuntu: \
                 `apt-get install aapt zipalign apksigner`)"
                .to_owned(),
            Self::ArmJvm => "this takes Debian: its packages are unpacked, and not installed".to_owned(),
            Self::Swift => "install Swift 6 from swift.org, or Xcode 16".to_owned(),
            Self::Models => "run `cargo nibble pull --all` and `cargo nibble pull lexicon-en emoji-en`".to_owned(),
        }
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Components => f.write_str("clippy and rustfmt"),
            Self::Std(target) => write!(f, "Rust's standard library for {target}"),
            Self::AndroidLinker => f.write_str("linker for Android"),
            Self::Nm => f.write_str("llvm-nm"),
            Self::CrossCompiler => f.write_str("C compiler and library for aarch64 Linux"),
            Self::Emulator => f.write_str("emulator for aarch64 Linux"),
            Self::Counter => f.write_str("emulator for aarch64 Linux that takes plugins, and C compiler"),
            Self::Pc => f.write_str("emulator of a PC with AVX-512 and AVX-VNNI, and C compiler"),
            Self::Python => f.write_str("Python"),
            Self::Maven => f.write_str("Java and Maven"),
            Self::ApkTools => f.write_str("aapt2, zipalign and apksigner"),
            Self::ArmJvm => f.write_str("Java for aarch64 Linux"),
            Self::Swift => f.write_str("Swift 6"),
            Self::Models => f.write_str("models"),
        }
    }
}

/// The user's folder for what is unpacked once, beside the models, where every checkout finds it.
fn cache() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.unwrap_or_else(env::temp_dir).join("nibble")
}

/// Where Debian's cross C library lies.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";

/// QEMU's user mode in the form that takes plugins, which the static one does not.
const DYNAMIC: &str = "qemu-aarch64";

/// Whether this machine has every x86-64 tier itself.
pub fn has_x86_tiers() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avxvnni") && is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// What runs programs on an emulated PC, by the names of Debian's packages.
const BOCHS: [&str; 4] = ["bochs", "bochs-term", "gcc", "libc6-dev"];

/// Where a Bochs with AVX-VNNI comes from if the system's is older, and the libraries that are as new.
const BOCHS_SUITE: &str = "trixie";
const BOCHS_PACKAGES: [&str; 5] = ["bochs", "bochs-term", "libc6", "libstdc++6", "libgcc-s1"];

fn bochs_folder() -> PathBuf {
    shell::root().join("target/xtask/bochs")
}

/// A Bochs that knows a CPU with all tiers: the system's, or the one that was unpacked here.
pub fn bochs() -> Option<Command> {
    let knows = |mut bochs: Command| {
        let said = bochs.args(["-q", "-help", "cpu"]).output().map(|output| [output.stdout, output.stderr].concat());
        said.is_ok_and(|said| String::from_utf8_lossy(&said).contains(pc::CPU))
    };
    let candidates: [fn() -> Command; 2] = [|| shell::command("bochs"), unpacked_bochs];
    candidates.into_iter().find(|bochs| knows(bochs())).map(|bochs| bochs())
}

fn unpacked_bochs() -> Command {
    const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
    let folder = bochs_folder();
    let mut bochs = shell::command(folder.join("usr/lib64/ld-linux-x86-64.so.2"));
    bochs
        .arg("--library-path")
        .arg(format!("{}:/{LIBRARIES}", folder.join(LIBRARIES).display()))
        .arg(folder.join("usr/bin/bochs-bin"))
        .env("LTDL_LIBRARY_PATH", folder.join(LIBRARIES).join("bochs/plugins"))
        .env("BXSHARE", folder.join("usr/share/bochs"));
    bochs
}

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
