//! The file in which a keyboard keeps what it has learned: rows by number, in a transaction each time.
//!
//! The store is redb: one file, no threads, no C, and a copy-on-write tree with checksums, so that a process may be killed at any
//! point and the file is as before the transaction under way. (SQLite is C; sled is not kept up; fjall and LMDB are made for more
//! data than a phone's owner types.) Its whole content is in memory while it is open, a megabyte at most, so it is read once and from
//! then on only written.
//!
//! With a key every row is sealed by XChaCha20-Poly1305 under its number: neither a word nor its place can be read, changed
//! or moved without the key. How many rows there are, and about how long they are, can be seen.

use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Rows by their number.
const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
/// What the file says of itself.
const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");
/// The entry of `ABOUT` with the version of the rows, sealed as they are: it shows whether the key is right.
const VERSION: &str = "version";
const CURRENT: &str = "nibble learned words 1";
/// The number that [`VERSION`] is sealed under; no row has it.
const VERSION_NUMBER: u64 = u64::MAX;

const NONCE: usize = 24;
/// Bytes that redb may keep of the file; all of it is in memory once already.
const CACHE: usize = 256 << 10;

/// A key that an app supplies, 32 bytes from the system's key store.
pub type DiaryKey = [u8; 32];

/// Why what was learned cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiaryError {
    /// The file cannot be read or written.
    #[error("cannot use {path}: {source}; check that there is space, and that the folder exists and may be written to", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is damaged, or something else; it was left as it is.
    #[error("{path} holds no learned words, or is damaged: {why}; typing goes on without it. Delete it to begin anew", path = path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; nothing of its content.
        why: String,
    },
    /// It was sealed with another key, or with none, or no key was given for it.
    #[error("{path} does not open with this key; give the one that it was made with, or delete it to begin anew", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Somebody has it open: one keyboard at a time writes to it.
    #[error("{path} is in use by another keyboard; close that one first", path = path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

/// The open file.
pub(super) struct Diary {
    path: PathBuf,
    database: Database,
    seal: Option<XChaCha20Poly1305>,
}

/// A row, or nothing in its place.
pub(super) type Change<'a, R> = (u64, Option<&'a R>);

impl Diary {
    /// Opens the file, or makes it, and reads every row.
    ///
    /// # Errors
    /// As [`DiaryError`]; a file that exists is then as it was.
    pub fn open<R: DeserializeOwned>(path: &Path, key: Option<&DiaryKey>) -> Result<(Self, Vec<(u64, R)>), DiaryError> {
        let seal = key.map(|key| XChaCha20Poly1305::new(&Key::from(*key)));
        if !path.exists() {
            Self::make(path, seal.as_ref())?;
        }
        let mut builder = Database::builder();
        let database = builder.set_cache_size(CACHE).set_check_integrity_on_open(true).open(path);
        let database = database.map_err(|error| failed(path, error.into()))?;
        let diary = Self { path: path.to_owned(), database, seal };
        let rows = diary.read()?;
        Ok((diary, rows))
    }

    /// Makes an empty file beside its place and then moves it there, so that no half of one is ever found.
    fn make(path: &Path, seal: Option<&XChaCha20Poly1305>) -> Result<(), DiaryError> {
        let part = path.with_extension("part");
        let write = || -> Result<(), redb::Error> {
            match std::fs::remove_file(&part) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(redb::Error::Io(error)),
                _ => {}
            }
            let database = Database::create(&part)?;
            let transaction = database.begin_write()?;
            transaction.open_table(ROWS)?;
            transaction.open_table(ABOUT)?.insert(VERSION, &*sealed(seal, VERSION_NUMBER, CURRENT.as_bytes()))?;
            transaction.commit()?;
            drop(database);
            Ok(std::fs::rename(&part, path)?)
        };
        write().map_err(|error| failed(path, error))
    }

    fn read<R: DeserializeOwned>(&self) -> Result<Vec<(u64, R)>, DiaryError> {
        let unfit = |why: &str| DiaryError::Unfit { path: self.path.clone(), why: why.to_owned() };
        let mut contents = Vec::new();
        let version = (|| -> Result<Option<Vec<u8>>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let version = transaction.open_table(ABOUT)?.get(VERSION)?.map(|entry| entry.value().to_vec());
            for row in transaction.open_table(ROWS)?.iter()? {
                let (number, row) = row?;
                contents.push((number.value(), row.value().to_vec()));
            }
            Ok(version)
        })()
        .map_err(|error| failed(&self.path, error))?
        .ok_or_else(|| unfit("it does not say what it is"))?;
        let wrong_key = || DiaryError::Key { path: self.path.clone() };
        let version = self.opened(VERSION_NUMBER, &version).ok_or_else(wrong_key)?;
        if self.seal.is_none() && !version.is_ascii() {
            return Err(wrong_key());
        }
        if version != CURRENT.as_bytes() {
            return Err(unfit("it is of another version"));
        }
        let row = |(number, row): (u64, Vec<u8>)| {
            let plain = self.opened(number, &row).ok_or_else(|| unfit("a row was changed"))?;
            Ok((number, serde_json::from_slice(&plain).map_err(|_| unfit("a row makes no sense"))?))
        };
        contents.into_iter().map(row).collect()
    }

    /// Writes these rows, all or none; they have reached the disk when it returns.
    ///
    /// # Errors
    /// [`DiaryError::File`] if there is no space; the file is then as before.
    pub fn write<R: Serialize>(&self, changes: &[Change<R>]) -> Result<(), DiaryError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            let mut table = transaction.open_table(ROWS)?;
            for (number, row) in changes {
                match row {
                    Some(row) => {
                        let plain = serde_json::to_vec(row).expect("rows are plain data");
                        table.insert(number, &*sealed(self.seal.as_ref(), *number, &plain))?
                    }
                    None => table.remove(number)?,
                };
            }
            drop(table);
            Ok(transaction.commit()?)
        };
        write().map_err(|error| failed(&self.path, error))
    }

    /// Gives back what removed rows took, so that the file does not keep them either.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn compact(&mut self) -> Result<(), DiaryError> {
        self.database.compact().map(drop).map_err(|error| failed(&self.path, error.into()))
    }

    fn opened(&self, number: u64, bytes: &[u8]) -> Option<Vec<u8>> {
        let Some(seal) = &self.seal else { return Some(bytes.to_vec()) };
        let (nonce, body) = bytes.split_at_checked(NONCE)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        seal.decrypt(&nonce, Payload { msg: body, aad: &number.to_le_bytes() }).ok()
    }
}

/// `plain` as it is written under `number`: behind its nonce if there is a key, else as it is.
fn sealed(seal: Option<&XChaCha20Poly1305>, number: u64, plain: &[u8]) -> Vec<u8> {
    let Some(seal) = seal else { return plain.to_vec() };
    let nonce = XNonce::generate();
    let body = seal.encrypt(&nonce, Payload { msg: plain, aad: &number.to_le_bytes() });
    [&nonce[..], &body.expect("a row is no longer than a cipher can take")].concat()
}

/// What redb says, in our words.
fn failed(path: &Path, error: redb::Error) -> DiaryError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen => DiaryError::Busy { path },
        // A file of something else, or too short to be one.
        redb::Error::Io(source)
            if matches!(source.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
        {
            DiaryError::Unfit { path, why: source.to_string() }
        }
        redb::Error::Io(source) => DiaryError::File { path, source },
        other => DiaryError::Unfit { path, why: other.to_string() },
    }
}
