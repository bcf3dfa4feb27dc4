//! Packages, installed as root on Debian and its children.

use crate::shell::{self, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the system's own archive of packages is written down.
const SOURCES: &str = "/etc/apt/sources.list.d/debian.sources";

/// Installs packages, refreshing the lists of packages if that is what it takes.
pub fn install(packages: &[&str]) -> Result<()> {
    check_rights()?;
    let install = || shell::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages));
    install().or_else(|_| shell::run(apt().arg("update")).and_then(|()| install()))
}

/// Packages of a newer suite than the system's, to be unpacked into a folder of ours and not installed.
///
/// They come from where the system gets its packages, by lists of our own: the system's are not touched, and no rights are
/// needed.
pub struct Archive {
    suite: &'static str,
    architecture: String,
    folder: PathBuf,
}

impl Archive {
    /// Fetches the lists of a suite. `folder` is emptied first.
    pub fn open(suite: &'static str, folder: PathBuf) -> Result<Self> {
        Self::open_for(suite, shell::output(shell::command("dpkg").arg("--print-architecture"))?.trim(), folder)
    }

    /// The same, of the packages for another kind of processor by Debian's name for it.
    pub fn open_for(suite: &'static str, architecture: &str, folder: PathBuf) -> Result<Self> {
        let text = sources()?;
        let (uri, key) = archive_of(&text)?;
        shell::make_empty(&folder)?;
        for part in ["lists/partial", "cache/archives/partial"] {
            shell::make_empty(&folder.join(part))?;
        }
        let archive = Self { suite, architecture: architecture.to_owned(), folder };
        let sources = archive.sources();
        let stanza = format!(
            "Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\nArchitectures: {architecture}\nSigned-By: {key}\n"
        );
        fs::write(&sources, stanza).map_err(|error| format!("writing {}: {error}", sources.display()))?;
        shell::run(archive.apt("apt-get").arg("update"))?;
        Ok(archive)
    }

    fn sources(&self) -> PathBuf {
        self.folder.join("our.sources")
    }

    fn apt(&self, program: &str) -> Command {
        let mut apt = shell::command(program);
        let places = [
            ("Etc::sourcelist", self.sources()),
            ("State::lists", self.folder.join("lists")),
            ("Cache", self.folder.join("cache")),
        ];
        for (name, path) in places {
            apt.arg("-o").arg(format!("Dir::{name}={}", path.display()));
        }
        apt.arg("-o").arg(format!("APT::Architectures::={}", self.architecture));
        apt.args(["-o", "Dir::Etc::sourceparts=/dev/null"]).current_dir(&self.folder);
        apt
    }

    /// The version of a package that has this upstream version.
    pub fn version(&self, package: &str, upstream: &str) -> Result<String> {
        let listing = shell::output(self.apt("apt-cache").args(["madison", package]))?;
        let version = version_in(&listing, upstream).map(str::to_owned);
        version.ok_or_else(|| format!("{} has no {package} {upstream}", self.suite))
    }

    /// Downloads packages, each `name` or `name=version`, and unpacks them into the folder.
    pub fn unpack(&self, packages: &[&str]) -> Result<()> {
        shell::run(self.apt("apt-get").arg("download").args(packages))?;
        let files =
            fs::read_dir(&self.folder).map_err(|error| format!("reading {}: {error}", self.folder.display()))?;
        let archives = files.flatten().map(|file| file.path()).filter(|path| path.extension() == Some("deb".as_ref()));
        for archive in archives {
            shell::run(shell::command("dpkg").arg("-x").arg(archive).arg(&self.folder))?;
        }
        Ok(())
    }
}

/// Where the system gets its packages.
pub fn mirror() -> Result<String> {
    Ok(archive_of(&sources()?)?.0.to_owned())
}

fn sources() -> Result<String> {
    fs::read_to_string(SOURCES).map_err(|error| format!("reading {SOURCES}: {error}"))
}

fn archive_of(sources: &str) -> Result<(&str, &str)> {
    archive_in(sources).ok_or_else(|| format!("{SOURCES} names no archive of packages"))
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

fn apt() -> Command {
    let mut apt = shell::command("apt-get");
    // Another apt may be at work; it is waited for.
    apt.args(["-o", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// The first package version of an upstream version in `apt-cache madison`'s lines of `name | version | source`.
fn version_in<'a>(listing: &'a str, upstream: &str) -> Option<&'a str> {
    listing
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| version.strip_prefix(upstream).is_some_and(|revision| revision.starts_with(['+', '-', '~'])))
}

/// The address of the first archive in a `.sources` file, and the key that signs it.
fn archive_in(sources: &str) -> Option<(&str, &str)> {
    let field = |name: &str| sources.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some((field("URIs:")?.split_whitespace().next()?, field("Signed-By:")?))
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
