//! A model file on its way into a store, fetched by the app.

use std::sync::{Arc, Mutex};

use nibble_engine::{About, Licence, hexadecimal};

use crate::error::Result;
use crate::lock;
use crate::packing::{Packing, Target};

/// What a publisher has signed of a model.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Manifest {
    /// What the model is called in a store.
    pub name: String,
    /// Grows with every model that is published under the name.
    pub sequence: u64,
    /// The licence's name, such as an SPDX identifier.
    pub licence: String,
    /// Where the licence's text is.
    pub licence_url: Option<String>,
    /// Bytes of memory that a device must have.
    pub minimum_memory: u64,
    /// Length of the file in bytes.
    pub length: u64,
    /// SHA-256 of the file, in hexadecimal. That of a GGUF is the `source_sha256` of the model that is installed from it.
    pub sha256: String,
}

/// Some bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct ByteRange {
    /// The first.
    pub start: u64,
    /// What follows the last.
    pub end: u64,
}

/// A model file on its way into a store. Let go, it can be gone on with.
#[derive(uniffi::Object)]
pub struct Download(Arc<Mutex<nibble_engine::Download>>);

#[uniffi::export]
impl Download {
    /// What is being fetched.
    pub fn manifest(&self) -> Manifest {
        let download = lock(&self.0);
        let manifest = download.manifest();
        let About { name, sequence, licence: Licence { name: licence, url }, minimum_memory } = manifest.about.clone();
        Manifest {
            name,
            sequence,
            licence,
            licence_url: url,
            minimum_memory,
            length: manifest.length,
            sha256: hexadecimal(manifest.sha256()),
        }
    }

    /// Which bytes of the file are still to be written, in their order.
    pub fn missing(&self) -> Vec<ByteRange> {
        lock(&self.0).missing().into_iter().map(|range| ByteRange { start: range.start, end: range.end }).collect()
    }

    /// Takes bytes of the file that begin at `offset`, where something is missing or a chunk begins. Where a chunk is whole with them and
    /// wrong, that is an error, and it is missing again.
    pub fn write(&self, offset: u64, bytes: Vec<u8>) -> Result<()> {
        Ok(lock(&self.0).write(offset, &bytes)?)
    }

    /// Will install what is whole, under the name of its manifest. The model that has the name serves until then, and is kept for
    /// rolling back.
    pub fn install(&self) -> Result<Arc<Packing>> {
        Packing::to(Target::Download(self.0.clone()), String::new(), None)
    }

    /// Removes what was downloaded.
    pub fn discard(&self) -> Result<()> {
        Ok(lock(&self.0).discard()?)
    }
}

impl Download {
    pub(crate) fn new(download: nibble_engine::Download) -> Arc<Self> {
        Arc::new(Self(Arc::new(Mutex::new(download))))
    }
}
