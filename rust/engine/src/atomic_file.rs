//! A file that appears under its name whole or not at all.
//!
//! It is written beside its final name and renamed at the end. A lock on the file that is being written tells a live
//! writer's from one that a killed writer left: the next writer removes those.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::mmap::MappedFile;
use crate::{Error, Result};

/// What the name of a file that is being written ends in.
const SUFFIX: &str = ".packing";

/// A file on its way to its final name; dropped before [`AtomicFile::commit`], it is gone.
pub(crate) struct AtomicFile {
    file: File,
    path: PathBuf,
    dest: PathBuf,
    committed: bool,
}

impl AtomicFile {
    /// Begins the file that is to become `dest`, and clears away what dead writers of `dest` left.
    pub(crate) fn create(dest: &Path) -> Result<Self> {
        let failed = |source| Error::Io { doing: "create", path: dest.to_owned(), source };
        let name = dest.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        clear_stale(dest, &prefix);
        loop {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let mut name = prefix.clone();
            name.push(format!("{}-{}{SUFFIX}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
            let path = dest.with_file_name(name);
            let file = match File::create_new(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed(error)),
            };
            let this = Self { file, path, dest: dest.to_owned(), committed: false };
            // Between creating and locking, another process may have taken the file for a dead one's and removed it.
            this.file.lock().map_err(failed)?;
            if this.path.exists() {
                return Ok(this);
            }
        }
    }

    /// Writes `bytes` at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| self.failed("write", source))
    }

    /// What was written so far.
    pub(crate) fn map(&self) -> Result<MappedFile> {
        MappedFile::new(&self.file, &self.dest)
    }

    /// Writes `bytes` over the beginning.
    pub(crate) fn write_at_start(&mut self, bytes: &[u8]) -> Result<()> {
        let outcome = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(bytes));
        outcome.map_err(|source| self.failed("write", source))
    }

    /// Makes sure that all is on disk and gives the file its name.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.file.sync_all().map_err(|source| self.failed("write", source))?;
        fs::rename(&self.path, &self.dest).map_err(|source| self.failed("create", source))?;
        self.committed = true;
        sync_folder(&self.dest).map_err(|source| self.failed("write", source))
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Io { doing, path: self.dest.clone(), source }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            // There is nobody to tell, and the next writer tries again.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The folder that `path` is in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes unfinished files of `dest` whose writers are gone. What cannot be removed does no harm.
fn clear_stale(dest: &Path, prefix: &OsString) {
    let Ok(entries) = fs::read_dir(folder(dest)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(prefix.as_encoded_bytes())
            && name.ends_with(SUFFIX.as_bytes())
            && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes a rename in the folder of `path` last through a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder(path))?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_appears_whole_when_committed() {
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("model");
        fs::write(&dest, "the old one").unwrap();
        let mut file = AtomicFile::create(&dest).unwrap();
        file.append(b"....new").unwrap();
        assert_eq!(fs::read(&dest).unwrap(), b"the old one");
        file.write_at_start(b"all").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&dest).unwrap(), b"all.new");
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[test]
    fn dropped_it_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(&folder.path().join("model")).unwrap();
        file.append(b"half").unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(file);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_dead_writers_file_is_cleared_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("model");
        let stale = folder.path().join(".model.1-0.packing");
        fs::write(&stale, "left by a killed process").unwrap();
        let other = folder.path().join(".model2.1-0.packing");
        fs::write(&other, "another model's").unwrap();
        let mut first = AtomicFile::create(&dest).unwrap();
        assert!(!stale.exists() && other.exists());
        let mut second = AtomicFile::create(&dest).unwrap();
        first.append(b"first").unwrap();
        second.append(b"second").unwrap();
        first.commit().unwrap();
        second.commit().unwrap();
        assert_eq!(fs::read(&dest).unwrap(), b"second");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = AtomicFile::create(&folder.path().join("missing/model")).err().unwrap().to_string();
        assert!(error.contains("cannot create") && error.contains("missing"), "{error}");
    }
}
