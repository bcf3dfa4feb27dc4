//! `nibble-ffi` for a phone: one static library per target, and the functions that it has to hold.

use crate::setup::{IOS, IOS_SIMULATOR, LINUX, cargo_for};
use crate::shell::{self, Result};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::env::consts;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The header that Swift calls the library by; a test compares it with what the library generates.
const HEADER: &str = "bindings/swift/CNibble/CNibble.h";

/// What stands for a linker where nothing that is linked will be used. It leaves a file all the same: cargo compiles what lacks one of
/// its files again, and everything above it, each time it is asked.
const NO_LINKER: &str = "rust/xtask/src/native/empty_library.sh";

/// Compiles the static library for a target, as it ships, and says where it lies.
///
/// An Android library is linked from it too, and not by rustc, which would export everything that any crate gives an unmangled
/// name.
pub fn static_library(target: &str) -> Result<PathBuf> {
    made_by(compile_static_library(target), "a")
}

/// What [`static_library`] runs.
pub fn compile_static_library(target: &str) -> Command {
    let mut cargo = cargo_for(target, "rustc");
    cargo.args(["--profile", "dist", "-p", "nibble-ffi", "--lib", "--crate-type", "staticlib"]);
    // llguidance has a shared library among its kinds, and cargo links that too for whoever depends on it, which takes a linker for a
    // phone. Nothing uses it, so nothing links it. Goes when it has that kind no more.
    cargo
        .env(format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_")), shell::root().join(NO_LINKER));
    if target == IOS || target == IOS_SIMULATOR {
        // The oldest system that Package.swift names.
        cargo.env("IPHONEOS_DEPLOYMENT_TARGET", "15.0");
    }
    cargo
}

/// Compiles the library that this machine loads, as it ships, and says where it lies.
pub fn host_library() -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["rustc", "--profile", "dist", "-p", "nibble-ffi", "--lib", "--crate-type", "cdylib"]);
    made_by(cargo, consts::DLL_EXTENSION)
}

/// Compiles the library that aarch64 Linux loads, as fast as can be, and says where it lies.
pub fn arm_linux_library() -> Result<PathBuf> {
    made_by(compile_arm_linux_library(), "so")
}

/// What [`arm_linux_library`] runs.
pub fn compile_arm_linux_library() -> Command {
    let mut cargo = cargo_for(LINUX, "rustc");
    cargo.args(["--profile", "cross", "-p", "nibble-ffi", "--lib", "--crate-type", "cdylib"]);
    cargo
}

/// Compiles our crate and says where the file with this extension lies: that depends on the settings of the person who runs it, and
/// cargo knows.
fn made_by(mut cargo: Command, extension: &str) -> Result<PathBuf> {
    println!("$ {}", shell::line(&cargo));
    let messages = shell::output(cargo.arg("--message-format=json-render-diagnostics"))?;
    let library = messages.lines().filter_map(|message| made_in(message, extension)).next_back();
    library.ok_or_else(|| format!("{} made no library", shell::line(&cargo)))
}

/// The functions of the surface, by the names that the other languages call.
pub fn surface() -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(shell::root().join(HEADER)).map_err(|error| format!("reading {HEADER}: {error}"))?;
    Ok(functions_in(&text))
}

#[derive(Deserialize)]
struct Message {
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The file that a message of cargo says it made of our crate.
fn made_in(message: &str, extension: &str) -> Option<PathBuf> {
    // Messages of other kinds have other fields.
    let message: Message = serde_json::from_str(message).ok()?;
    let ours = message.target.name == "nibble_ffi";
    ours.then(|| message.filenames.into_iter().find(|path| path.extension() == Some(extension.as_ref()))).flatten()
}

fn functions_in(header: &str) -> BTreeSet<String> {
    let words = header.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    // The macros around the declarations are in capitals.
    let ours =
        words.filter(|word| ["ffi_nibble_ffi_", "uniffi_nibble_ffi_"].iter().any(|start| word.starts_with(start)));
    ours.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_in_the_messages() {
        let made = r#"{"reason":"compiler-artifact","target":{"name":"nibble_ffi"},"filenames":["/t/libnibble_ffi.rlib","/t/libnibble_ffi.a"]}"#;
        assert_eq!(made_in(made, "a"), Some("/t/libnibble_ffi.a".into()));
        let other = r#"{"reason":"compiler-artifact","target":{"name":"half"},"filenames":["/t/libhalf.a"]}"#;
        assert_eq!(made_in(other, "a"), None);
        assert_eq!(made_in(r#"{"reason":"build-finished","success":true}"#, "a"), None);
    }

    #[test]
    fn functions_are_declared_once_and_macros_are_none() {
        let header = "#ifndef UNIFFI_FFIDEF_FFI_NIBBLE_FFI_A\nvoid ffi_nibble_ffi_a(void\n);\nuint64_t uniffi_nibble_ffi_fn_b(uint64_t x);";
        let names: Vec<_> = functions_in(header).into_iter().collect();
        assert_eq!(names, ["ffi_nibble_ffi_a", "uniffi_nibble_ffi_fn_b"]);
        assert!(surface().unwrap().contains("uniffi_nibble_ffi_fn_clone_model"));
    }
}
