//! The Rust toolchain: components, and the standard library for targets other than this machine's.
//!
//! Where rustup cannot fetch a compiled standard library, its source comes from Debian and cargo builds it. Building it is
//! an unstable feature of cargo, hence `RUSTC_BOOTSTRAP`; this goes away when `build-std` is stable.

use super::debian::Archive;
use crate::shell::{self, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A standard library is 30 to 60 MB; a slower network than this is taken for one that does not answer.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(120);

/// Where, under the sysroot, cargo looks for the source of the standard library.
const SOURCE: &str = "lib/rustlib/src/rust/library";

/// The suite that holds a newer Rust than Debian 12 does.
const SUITE: &str = "trixie-backports";

pub fn has_components() -> bool {
    ["clippy", "fmt"].iter().all(|tool| shell::works(shell::cargo().args([tool, "--version"])))
}

pub fn add_components() -> Result<()> {
    rustup(&["component", "add", "clippy", "rustfmt"])
}

pub fn has_std(target: &str) -> bool {
    sysroot().is_ok_and(|sysroot| has_compiled_std(&sysroot, target) || has_source(&sysroot))
}

pub fn add_std(target: &str) -> Result<()> {
    let compiled = rustup(&["target", "add", target]).and_then(|()| match has_compiled_std(&sysroot()?, target) {
        true => Ok(()),
        // The PATH may hold a rustc that is not rustup's.
        false => Err("what rustup added is not where rustc looks".to_owned()),
    });
    compiled.or_else(|message| {
        println!("           {message}; getting the source of the standard library instead");
        add_source()
    })
}

/// `cargo` with the subcommand, for a target: it builds the standard library too if only its source is there.
pub fn cargo_for(target: &str, subcommand: &str) -> Command {
    let mut cargo = shell::cargo();
    cargo.args([subcommand, "--target", target]);
    if target == super::LINUX && std::env::consts::ARCH != "aarch64" {
        // Not in .cargo/config.toml: there it would also hold on an aarch64 machine, whose own compiler has another name.
        cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    }
    if !sysroot().is_ok_and(|sysroot| has_compiled_std(&sysroot, target)) {
        // A folder of its own: many build scripts run again whenever RUSTC_BOOTSTRAP comes or goes.
        cargo.args(["-Zbuild-std", "--target-dir", "target/build-std"]).env("RUSTC_BOOTSTRAP", "1");
    }
    cargo
}

fn rustup(arguments: &[&str]) -> Result<()> {
    if shell::find("rustup").is_none() {
        return Err("rustup is not installed".to_owned());
    }
    // Without a network it fails, which is expected: a backtrace would look like an accident.
    shell::run_within(shell::command("rustup").args(arguments).env("RUST_BACKTRACE", "0"), DOWNLOAD_LIMIT)
}

fn sysroot() -> Result<PathBuf> {
    Ok(shell::output(shell::command("rustc").args(["--print", "sysroot"]))?.trim().into())
}

fn has_compiled_std(sysroot: &Path, target: &str) -> bool {
    let folder = sysroot.join("lib/rustlib").join(target).join("lib");
    folder.read_dir().is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
    })
}

fn has_source(sysroot: &Path) -> bool {
    sysroot.join(SOURCE).join("std/Cargo.toml").is_file()
}

fn add_source() -> Result<()> {
    let version = shell::output(shell::command("rustc").arg("--version"))?;
    let release = release(&version).ok_or_else(|| format!("rustc --version says {version:?}, which has no release"))?;
    let unpacked = shell::root().join("target/xtask/rust-src");
    let archive = Archive::open(SUITE, unpacked.clone())?;
    archive.unpack(&[&format!("rust-src={}", archive.version("rust-src", release)?)])?;
    let sysroot = sysroot()?;
    let destination = sysroot.join(SOURCE);
    let parent = destination.parent().expect("the source has a parent folder");
    std::fs::create_dir_all(parent).map_err(|error| format!("creating {}: {error}", parent.display()))?;
    // Links are followed: Debian's source links to files that are outside of what is copied.
    let library = unpacked.join(format!("usr/src/rustc-{release}/library"));
    shell::run(shell::command("cp").arg("-rL").arg(library).arg(destination))?;
    // 600 MB that nobody needs any more.
    std::fs::remove_dir_all(&unpacked).map_err(|error| format!("removing {}: {error}", unpacked.display()))
}

/// The release in the answer of `rustc --version`.
fn release(version: &str) -> Option<&str> {
    version.strip_prefix("rustc ")?.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_the_version() {
        assert_eq!(release("rustc 1.95.0 (59807616e 2026-04-14)\n"), Some("1.95.0"));
        assert_eq!(release("rustc 1.96.0-nightly (abc 2026-04-14)"), Some("1.96.0-nightly"));
        assert_eq!(release("clang 14"), None);
        assert_eq!(release(""), None);
    }

    #[test]
    fn a_target_without_a_compiled_library_is_built_from_source() {
        let cargo = shell::line(&cargo_for("no-such-target", "test"));
        assert!(cargo.starts_with("RUSTC_BOOTSTRAP=1 cargo"), "{cargo}");
        assert!(cargo.contains("-Zbuild-std"), "{cargo}");
    }
}
