//! Swift: the machine's own, or a Debian that has it, unpacked into a folder of ours beside the models and entered for a command.

use super::debian;
use crate::shell::{self, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The suite of Debian that has Swift 6, and what of it compiles and tests a package.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 5] = ["swiftlang", "swiftlang-dev", "libc6-dev", "libstdc++-14-dev", "git"];

/// Where Debian has what belongs to Swift.
const DEBIAN: &str = "/usr/libexec/swift";

/// Runs a command in the unpacked system, with some folders of this one in their places. The mounts are gone with it.
const ENTER: &str = r#"
    root=$1 here=$2; shift 2
    while [ "$1" != -- ]; do mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; shift; done; shift
    exec chroot "$root" env -C "$here" HOME=/root "$@"
"#;

/// Whether one of them is there.
pub fn is_there() -> bool {
    is_native() || is_new_enough(&mut enter(&[], &["swift", "--version"]))
}

/// Why this machine can never have it from here.
pub fn impossible() -> Option<&'static str> {
    let may_mount = || shell::works(shell::command("unshare").args(["--mount", "true"]));
    match is_native() {
        true => None,
        false if !cfg!(target_os = "linux") => Some("install Swift 6 from swift.org, or Xcode 16"),
        false if !may_mount() => Some("this machine has no Swift 6, and lets nobody mount folders for one of ours"),
        false => None,
    }
}

/// Unpacks a Debian with Swift: some 3 GB, in a few minutes.
pub fn install() -> Result<()> {
    debian::install(&["debootstrap"])?;
    let root = root();
    let mirror = debian::mirror()?;
    shell::run(shell::command("rm").arg("-rf").arg(&root))?;
    shell::run(shell::command("debootstrap").args(["--variant=minbase", SUITE]).arg(&root).arg(mirror))?;
    shell::run(shell::command("cp").arg("/etc/resolv.conf").arg(root.join("etc")))?;
    let install = [&["apt-get", "install", "--yes", "--no-install-recommends"], &PACKAGES[..]].concat();
    shell::run(&mut enter(&[], &["apt-get", "update"]))?;
    shell::run(enter(&[], &install).env("DEBIAN_FRONTEND", "noninteractive"))?;
    shell::run(&mut enter(&[], &["apt-get", "clean"]))
}

/// `swift`, in the project's root, where it also sees these folders.
pub fn command(folders: &[&Path]) -> Result<Command> {
    if is_native() {
        return Ok(shell::command("swift"));
    }
    Ok(enter(folders, &["swift"]))
}

/// DocC, in the project's root.
pub fn docc() -> Command {
    // Debian has it on no path, and does not tell it where Swift's libraries are.
    let (libraries, program) = (format!("LD_LIBRARY_PATH={DEBIAN}/lib/swift/linux"), format!("{DEBIAN}/bin/docc"));
    let of_debian = ["env", &libraries, &program];
    if !is_native() {
        return enter(&[], &of_debian);
    }
    let words: &[&str] = if cfg!(target_os = "macos") {
        &["xcrun", "docc"]
    } else if shell::find("docc").is_some() {
        &["docc"]
    } else {
        &of_debian
    };
    let mut docc = shell::command(words[0]);
    docc.args(&words[1..]);
    docc
}

fn is_native() -> bool {
    is_new_enough(shell::command("swift").arg("--version"))
}

fn is_new_enough(version: &mut Command) -> bool {
    let said = version.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let number = said.ok().and_then(|said| said.split_once("Swift version ")?.1.split('.').next()?.parse::<u32>().ok());
    number.is_some_and(|number| number >= 6)
}

/// A command in the unpacked system.
fn enter(folders: &[&Path], words: &[&str]) -> Command {
    let mut enter = shell::command("unshare");
    enter
        .args(["--mount", "--propagation", "private", "sh", "-ec", ENTER, "sh"])
        .arg(root())
        .arg(shell::root())
        .args(["/proc", "/dev"])
        .arg(shell::root())
        .args(folders)
        .arg("--")
        .args(words);
    enter
}

fn root() -> PathBuf {
    super::cache().join("swift")
}
