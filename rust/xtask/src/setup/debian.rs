//! Packages, installed as root on Debian and its children.

use crate::shell::{self, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The suites that hold a newer Rust than Debian 12 does, and our files that add them.
const SUITES: [&str; 2] = ["trixie", "trixie-backports"];
const SOURCES: &str = "/etc/apt/sources.list.d/nibble.sources";
const PREFERENCES: &str = "/etc/apt/preferences.d/nibble";

/// Installs packages, refreshing the lists of packages if that is what it takes.
pub fn install(packages: &[&str]) -> Result<()> {
    check_rights()?;
    let install = || shell::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages));
    install().or_else(|_| shell::run(apt().arg("update")).and_then(|()| install()))
}

/// Downloads a package of this upstream version and unpacks it without installing it; returns the folder it is in.
pub fn unpack(package: &str, upstream: &str) -> Result<PathBuf> {
    check_rights()?;
    let version = match find_version(package, upstream)? {
        Some(version) => version,
        None => {
            add_suites()?;
            shell::run(apt().arg("update"))?;
            find_version(package, upstream)?.ok_or_else(|| format!("Debian has no {package} {upstream}"))?
        }
    };
    let folder = shell::root().join("target/xtask").join(package);
    make_empty(&folder)?;
    shell::run(apt().arg("download").arg(format!("{package}={version}")).current_dir(&folder))?;
    let archive = fs::read_dir(&folder)
        .ok()
        .and_then(|files| {
            files.flatten().map(|file| file.path()).find(|path| path.extension().is_some_and(|e| e == "deb"))
        })
        .ok_or_else(|| format!("apt-get download left no package in {}", folder.display()))?;
    shell::run(shell::command("dpkg").arg("-x").arg(archive).arg(&folder))?;
    Ok(folder)
}

fn check_rights() -> Result<()> {
    if !Path::new("/etc/debian_version").exists() {
        return Err("only on Debian can it be installed from here".to_owned());
    }
    if !is_root() {
        return Err("only root can install it".to_owned());
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(not(target_os = "linux"))]
fn is_root() -> bool {
    false
}

fn apt() -> std::process::Command {
    let mut apt = shell::command("apt-get");
    // Another apt may be at work; it is waited for.
    apt.args(["-o", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn find_version(package: &str, upstream: &str) -> Result<Option<String>> {
    let listing = shell::output(shell::command("apt-cache").args(["madison", package]))?;
    Ok(version_in(&listing, upstream).map(str::to_owned))
}

/// The first package version of an upstream version in `apt-cache madison`'s lines of `name | version | source`.
fn version_in<'a>(listing: &'a str, upstream: &str) -> Option<&'a str> {
    listing
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| version.strip_prefix(upstream).is_some_and(|revision| revision.starts_with(['+', '-', '~'])))
}

/// Adds a second suite from where the system already gets its packages, pinned so low that nothing comes from it unasked.
fn add_suites() -> Result<()> {
    let system = "/etc/apt/sources.list.d/debian.sources";
    let text = fs::read_to_string(system).map_err(|error| format!("reading {system}: {error}"))?;
    let (uri, key) = archive_in(&text).ok_or_else(|| format!("{system} names no archive of packages"))?;
    println!("           adding the suites {} in {SOURCES}", SUITES.join(" and "));
    write(
        SOURCES,
        &format!("Types: deb\nURIs: {uri}\nSuites: {}\nComponents: main\nSigned-By: {key}\n", SUITES.join(" ")),
    )?;
    let pins = SUITES.map(|suite| format!("Package: *\nPin: release n={suite}\nPin-Priority: 50\n"));
    write(PREFERENCES, &pins.join("\n"))
}

/// The address of the first archive in a `.sources` file, and the key that signs it.
fn archive_in(sources: &str) -> Option<(&str, &str)> {
    let field = |name: &str| sources.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some((field("URIs:")?.split_whitespace().next()?, field("Signed-By:")?))
}

fn write(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("writing {path}: {error}"))
}

fn make_empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| format!("emptying {}: {error}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|error| format!("creating {}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_version_is_of_the_upstream_version() {
        let listing = "rust-src | 1.95.0.1-1 | x\n rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://example/debian y\nrust-src | 1.85.0-1 | z\n";
        assert_eq!(version_in(listing, "1.95.0"), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(version_in(listing, "1.85.0"), Some("1.85.0-1"));
        assert_eq!(version_in(listing, "1.9"), None);
        assert_eq!(version_in("", "1.95.0"), None);
    }

    #[test]
    fn the_archive_is_read_from_the_system() {
        let sources = "Types: deb\n# a note\nURIs: http://example.org/debian\nSuites: bookworm\nSigned-By: /a.gpg\n\nURIs: http://example.org/security\n";
        assert_eq!(archive_in(sources), Some(("http://example.org/debian", "/a.gpg")));
        assert_eq!(archive_in("Types: deb\n"), None);
    }
}
