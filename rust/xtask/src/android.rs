//! The libraries for Android: compiled, linked with an NDK or without one, and checked.
//!
//! Without an NDK the linker is Debian's, the unwinder is Debian's, and the system's libraries to link against are made from the
//! list of what may be asked of them. What comes out asks the same of a device as with an NDK; it has been on none yet.

use crate::bindings::{self, Prepared};
use crate::setup::{self, ANDROID, ANDROID_PC, Archive, Need};
use crate::shell::{self, Result, VERSION};
use crate::tally::Tally;
use crate::{budget, elf, native};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Android that the library is for: 8.0.
const API: u32 = 26;

/// The name of the library, in its file and in itself.
pub const LIBRARY: &str = "libnibble_ffi.so";

/// A kind of processor, by the names that everybody has for it.
pub struct Abi {
    /// In an AAR or an APK.
    pub name: &'static str,
    target: &'static str,
    debian: &'static str,
}

/// The 64-bit ones: phones, and the emulator on a PC.
pub const ABIS: [Abi; 2] = [
    Abi { name: "arm64-v8a", target: ANDROID, debian: "arm64" },
    Abi { name: "x86_64", target: ANDROID_PC, debian: "amd64" },
];

/// What the linker does in both cases: keep what is exported and what that needs, for the larger pages of newer devices.
const LINK: [&str; 11] = [
    "-shared",
    // A library without destructors has nothing to do when it is loaded or closed.
    "-nostartfiles",
    "-fuse-ld=lld",
    "-Wl,-z,max-page-size=16384",
    "-Wl,--no-undefined",
    "-Wl,--no-dependent-libraries",
    "-Wl,--as-needed",
    "-Wl,--gc-sections",
    // One copy of what is the same: Rust promises no function an address of its own. It takes 3 % of the library.
    "-Wl,--icf=all",
    "-Wl,--strip-all",
    // By this a crash report finds the library that it is about.
    "-Wl,--build-id=sha1",
];

/// Functions and variables of bionic, by the libraries that have them.
const BIONIC: &str = include_str!("android/bionic.txt");

/// The folder of the libraries as an AAR wants them: one folder per ABI in it.
pub fn jni_folder() -> PathBuf {
    folder().join("jni")
}

fn folder() -> PathBuf {
    shell::root().join("target/xtask/android")
}

impl Abi {
    /// Compiles the library as it ships and links it into its place under [`jni_folder`]; says where it is.
    pub fn build(&self) -> Result<PathBuf> {
        let archive = native::static_library(self.target)?;
        let library = jni_folder().join(self.name).join(LIBRARY);
        shell::make_empty(library.parent().expect("a library lies in a folder"))?;
        self.link(&archive, &library)?;
        Ok(library)
    }

    fn link(&self, archive: &Path, library: &Path) -> Result<()> {
        let exports = shell::root().join("rust/xtask/src/android/exports.map");
        let (mut link, system) = match ndk() {
            Some(ndk) => (self.clang(&ndk), ["-lc", "-lm", "-ldl", "-llog"].map(Into::into).to_vec()),
            None => (self.clang(Path::new("clang")), self.system()?),
        };
        link.args(LINK)
            .arg(format!("-Wl,-soname,{LIBRARY}"))
            .arg(format!("-Wl,--version-script={}", exports.display()))
            .arg("-Wl,--whole-archive")
            .arg(archive)
            .arg("-Wl,--no-whole-archive")
            .args(system)
            .arg("-o")
            .arg(library);
        println!("$ {}", shell::line(&link));
        shell::run(&mut link)
    }

    fn clang(&self, program: &Path) -> Command {
        let mut clang = shell::command(program);
        clang.arg(format!("--target={}{API}", self.target));
        clang
    }

    /// What stands for the system without an NDK: its libraries, the unwinder and what that misses.
    fn system(&self) -> Result<Vec<PathBuf>> {
        let folder = folder().join("system").join(self.name);
        shell::make_empty(&folder)?;
        let shim = folder.join("fprintf_chk.o");
        let source = shell::root().join("rust/xtask/src/android/fprintf_chk.c");
        let flags = ["-Os", "-fPIC", "-fvisibility=hidden", "-fno-builtin", "-c"];
        shell::run(self.clang(Path::new("clang")).args(flags).arg(source).arg("-o").arg(&shim))?;
        let mut files = vec!["-nostdlib".into(), shim, unwinder(self)];
        for (name, symbols) in bionic() {
            let (source, library) = (folder.join(&name).with_extension("s"), folder.join(&name));
            fs::write(&source, assembly(&symbols)).map_err(|error| format!("writing {}: {error}", source.display()))?;
            let mut link = self.clang(Path::new("clang"));
            link.args(["-shared", "-fuse-ld=lld", "-nostdlib"]).arg(format!("-Wl,-soname,{name}"));
            shell::run(link.arg(source).arg("-o").arg(&library))?;
            files.push(library);
        }
        Ok(files)
    }

    /// Everything that is wrong with a library, said on standard output, and its size beside what it may be.
    pub fn check(&self, library: &Path) -> Result<Tally> {
        let bytes = fs::read(library).map_err(|error| format!("reading {}: {error}", library.display()))?;
        let (surface, bionic) = (native::surface()?, bionic());
        let libraries: BTreeSet<String> = bionic.keys().cloned().collect();
        let imports: BTreeSet<String> = bionic.into_values().flatten().collect();
        let rules = elf::Rules { soname: LIBRARY, libraries: &libraries, imports: &imports, exports: &surface };
        let complaints = elf::complaints(&bytes, &rules)?;
        let verdict = if complaints.is_empty() { "as it has to be" } else { "not as it has to be" };
        println!("{} for {}: {verdict}", LIBRARY, self.name);
        complaints.iter().for_each(|complaint| println!("  {complaint}"));
        let mut tally = Tally::of(complaints.is_empty());
        tally += budget::check(&[(format!("{LIBRARY}, {}", self.name), bytes.len())]);
        Ok(tally)
    }
}

/// The folder for the Gradle build.
#[derive(clap::Args)]
pub struct Options {
    /// Where they go: a folder for each ABI in it.
    folder: PathBuf,
}

/// `cargo xtask jni`: so that the Gradle build, which knows the NDK, packs the libraries that are in a release.
pub fn run(options: &Options) -> Result<()> {
    if let Some(unmet) = setup::ensure(&[Need::Std(ANDROID), Need::Std(ANDROID_PC), Need::AndroidLinker]).first() {
        return Err(format!("{} is missing: {}", unmet.need, unmet.advice));
    }
    let tally = all()?;
    if tally.failed > 0 {
        return Err(format!("{} checks failed; what was made is in {}", tally.failed, jni_folder().display()));
    }
    ABIS.iter().try_for_each(|abi| {
        let folder = options.folder.join(abi.name);
        shell::make_empty(&folder)?;
        shell::copy(&jni_folder().join(abi.name).join(LIBRARY), &folder.join(LIBRARY))
    })
}

/// Builds and checks the libraries as they ship.
pub fn all() -> Result<Tally> {
    let mut tally = Tally::default();
    for abi in &ABIS {
        tally += abi.check(&abi.build()?)?;
    }
    Ok(tally)
}

/// Builds and checks the libraries as they ship, and the AAR with them in it.
pub fn test() -> Tally {
    Tally::within(|| {
        let mut tally = all()?;
        let prepared = Prepared::new("kotlin")?;
        tally += bindings::test_aar(&prepared.generated, &prepared.library);
        let aar = made(".aar");
        let size = fs::metadata(&aar).map_err(|error| format!("reading {}: {error}", aar.display()))?.len();
        tally += budget::check(&[(budget::AAR.to_owned(), size as usize)]);
        Ok(tally)
    })
}

/// Where the Maven build leaves the file whose name ends so.
pub fn made(end: &str) -> PathBuf {
    shell::root().join("target/android").join(format!("nibble-{VERSION}{end}"))
}

/// The compiler of the NDK that the environment names.
fn ndk() -> Option<PathBuf> {
    let roots = ["ANDROID_NDK_HOME", "ANDROID_NDK_ROOT"].into_iter().filter_map(env::var_os);
    // On a Mac of either kind it is called by the name of the older kind.
    let host = if cfg!(target_os = "macos") { "darwin-x86_64" } else { "linux-x86_64" };
    let clang = |root| PathBuf::from(root).join("toolchains/llvm/prebuilt").join(host).join("bin/clang");
    roots.map(clang).find(|clang| clang.is_file())
}

/// Whether there is what links a library: an NDK, or what stands for one.
pub fn can_link() -> bool {
    let debian = || ["clang", "ld.lld"].iter().all(|name| shell::find(name).is_some());
    ndk().is_some() || debian() && ABIS.iter().all(|abi| unwinder(abi).is_file())
}

/// The suite and the package that have the unwinder, and where in the package it is.
const UNWINDER: (&str, &str, &str) = ("bookworm", "libunwind-14-dev", "usr/lib/llvm-14/lib/libunwind.a");

fn unwinder(abi: &Abi) -> PathBuf {
    folder().join("unwinder").join(abi.name).join("libunwind.a")
}

/// Fetches the unwinder for all ABIs out of Debian's packages.
pub fn fetch_unwinders() -> Result<()> {
    let (suite, package, member) = UNWINDER;
    for abi in &ABIS {
        let unpacked = folder().join("unpacked");
        let archive = Archive::open_for(suite, abi.debian, unpacked.clone())?;
        archive.unpack(&[&format!("{package}:{}", abi.debian)])?;
        let library = unwinder(abi);
        shell::make_empty(library.parent().expect("a library lies in a folder"))?;
        let copied = fs::copy(unpacked.join(member), &library).map(drop);
        copied.map_err(|error| format!("copying {member} to {}: {error}", library.display()))?;
        fs::remove_dir_all(&unpacked).map_err(|error| format!("removing {}: {error}", unpacked.display()))?;
    }
    Ok(())
}

/// The list in [`BIONIC`].
fn bionic() -> BTreeMap<String, BTreeSet<String>> {
    let mut libraries = BTreeMap::new();
    let mut symbols: Option<&mut BTreeSet<String>> = None;
    for line in BIONIC.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(library) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            symbols = Some(libraries.entry(library.to_owned()).or_default());
        } else {
            symbols.as_mut().expect("a list begins with a library").insert(line.to_owned());
        }
    }
    libraries
}

/// A program that defines symbols and does nothing.
fn assembly(symbols: &BTreeSet<String>) -> String {
    symbols.iter().map(|symbol| format!(".globl {symbol}\n.type {symbol}, %function\n{symbol}:\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_the_four_libraries_and_each_symbol_once() {
        let bionic = bionic();
        assert_eq!(bionic.keys().collect::<Vec<_>>(), ["libc.so", "libdl.so", "liblog.so", "libm.so"]);
        let all: BTreeSet<&String> = bionic.values().flatten().collect();
        assert!(all.iter().any(|name| *name == "malloc"));
        assert_eq!(all.len(), BIONIC.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '['])).count());
    }

    #[test]
    fn a_library_to_link_against_defines_its_symbols() {
        let text = assembly(&BTreeSet::from(["malloc".to_owned()]));
        assert_eq!(text, ".globl malloc\n.type malloc, %function\nmalloc:\n");
    }
}
