//! A Java virtual machine for aarch64 Linux, unpacked into a folder of ours beside the models, which the emulator runs.

use super::debian::Archive;
use super::emulator;
use crate::shell::{self, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The suite, its Java, and the libraries that this links.
const SUITE: &str = "bookworm";
const PACKAGES: [&str; 10] = [
    "openjdk-17-jre-headless",
    "libc6",
    "zlib1g",
    "libgcc-s1",
    "libstdc++6",
    "libnss3",
    "liblcms2-2",
    "libjpeg62-turbo",
    "libfontconfig1",
    "libfreetype6",
];

const JAVA: &str = "usr/lib/jvm/java-17-openjdk-arm64/bin/java";

/// Where the system's own libraries lie in the folder, and Debian's beside them.
const LIBRARIES: [&str; 2] = ["lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu"];

/// Whether it is there, and an emulator for it.
pub fn is_there() -> bool {
    folder().join(JAVA).is_file() && emulator().is_some()
}

/// Unpacks it: some 200 MB.
pub fn install() -> Result<()> {
    let packages = PACKAGES.map(|package| format!("{package}:arm64"));
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    Archive::open_for(SUITE, "arm64", folder())?.unpack(&packages)
}

/// Writes a program that does what `java` does, on an emulated processor; says where it is.
pub fn launcher(folder: &Path, processor: &str) -> Result<PathBuf> {
    let root = self::folder();
    let emulator = emulator().ok_or("there is no emulator for aarch64")?;
    let libraries = LIBRARIES.map(|library| root.join(library).display().to_string()).join(":");
    let text = format!(
        "#!/bin/sh\n\
         # Interpreted: compiling code for an emulated processor takes longer than it saves. And it forks to start a program: else\n\
         # it has one of its own start it, for aarch64 like itself, which the system does not know how to run.\n\
         exec '{emulator}' -cpu {processor} -L '{root}' -E LD_LIBRARY_PATH='{libraries}' '{java}' -Xint \
         -Djdk.lang.Process.launchMechanism=FORK \"$@\"\n",
        root = root.display(),
        java = root.join(JAVA).display(),
    );
    shell::make_empty(folder)?;
    let path = folder.join("java");
    fs::write(&path, text).map_err(|error| format!("writing {}: {error}", path.display()))?;
    shell::run(shell::command("chmod").arg("+x").arg(&path))?;
    Ok(path)
}

fn folder() -> PathBuf {
    super::cache().join("arm-jvm")
}
