//! A list that is mapped from a file, not read: a finite-state transducer of the `fst` crate that says of what kind it is.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use fst::raw::{Builder, Fst};
use nibble_engine::Table;

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] nibble_engine::Error),
    /// The file is no such list, is damaged, or is of another version.
    #[error("cannot use the {list} {path}: {why}; fetch it again: nibble pull --force {pulled}", path = path.display())]
    Unfit {
        /// What list it should be.
        list: &'static str,
        /// What to pull for one.
        pulled: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// A kind of list.
pub(super) struct Kind {
    /// What a file says it is: six letters, a zero and a version. Another version is another number.
    pub id: u64,
    /// What it is called.
    pub name: &'static str,
    /// What to pull for one.
    pub pulled: &'static str,
}

impl Kind {
    /// Maps a file that a [`builder`](Self::builder) made, and reads it once to compare its checksum.
    pub fn open(&self, path: &Path) -> Result<Fst<Table<u8>>, ListError> {
        self.over(nibble_engine::map_file(path)?, path)
    }

    /// As [`open`](Self::open), the bytes `part` of a file that is open already.
    pub fn open_part(&self, file: &File, part: Range<u64>, name: &Path) -> Result<Fst<Table<u8>>, ListError> {
        let bytes = nibble_engine::map_part(file, part, name).map_err(|error| match error {
            nibble_engine::Error::BadModelFile { why, .. } => self.unfit(name, why),
            error => error.into(),
        })?;
        self.over(bytes, name)
    }

    /// What makes such a file.
    pub fn builder(&self) -> Builder<Vec<u8>> {
        Builder::new_type(Vec::new(), self.id).expect("memory takes what is written")
    }

    fn over(&self, bytes: Table<u8>, path: &Path) -> Result<Fst<Table<u8>>, ListError> {
        let list = Fst::new(bytes).map_err(|_| self.unfit(path, format!("it is no {}", self.name)))?;
        if list.fst_type() != self.id {
            return Err(self.unfit(path, "it is of another kind or version".to_owned()));
        }
        list.verify().map_err(|_| self.unfit(path, "it is damaged".to_owned()))?;
        Ok(list)
    }

    fn unfit(&self, path: &Path, why: String) -> ListError {
        ListError::Unfit { list: self.name, pulled: self.pulled, path: path.to_owned(), why }
    }
}
