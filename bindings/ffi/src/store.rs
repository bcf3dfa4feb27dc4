//! Packed models in a folder of the app.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use nibble_engine::{DownloadOptions, Manifest, from_hexadecimal, hexadecimal};

use crate::download::Download;
use crate::error::{NibbleError, Result};
use crate::logging;
use crate::model::memory_plan;
use crate::packing::{Packing, Target};
use crate::session::SessionOptions;

/// A model of a store.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct InstalledModel {
    /// What it is called in the store.
    pub name: String,
    /// Its file.
    pub path: String,
    /// The length of its file.
    pub bytes: u64,
    /// The SHA-256 of the GGUF that it was packed from, in hexadecimal; none where this version cannot read the file, and it is to
    /// be installed again.
    pub source_sha256: Option<String>,
    /// When it was last used or installed, in seconds since 1970.
    pub last_used: u64,
}

/// Packed models in a folder of the app, within a quota. The folder may be shared with an extension of the app, which needs no
/// right to write.
#[derive(uniffi::Object)]
pub struct ModelStore(nibble_engine::ModelStore);

#[uniffi::export]
impl ModelStore {
    /// The store in `directory`, which is made if there is none. With a `quota`, its models take no more bytes than that: who was
    /// not used for longest is removed when another one is installed.
    #[uniffi::constructor]
    pub fn open(directory: String, quota: Option<u64>) -> Result<Arc<Self>> {
        logging::begin();
        Ok(Arc::new(Self(nibble_engine::ModelStore::open(Path::new(&directory), quota)?)))
    }

    /// All models, the last used first.
    pub fn installed(&self) -> Result<Vec<InstalledModel>> {
        let models = self.0.installed()?.into_iter().map(|model| InstalledModel {
            name: model.name,
            path: model.path.to_string_lossy().into_owned(),
            bytes: model.bytes,
            source_sha256: model.source.map(|source| hexadecimal(&source)),
            last_used: model.last_used.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        });
        Ok(models.collect())
    }

    /// The models that this version can read and of which a session with these options writes to at most `limit` bytes, the largest
    /// first.
    pub fn fitting(&self, options: SessionOptions, limit: u64) -> Result<Vec<InstalledModel>> {
        // What is wrong with the options is no fault of the models.
        options.to_engine()?;
        let mut models = self.installed()?;
        models.retain(|model| memory_plan(model.path.clone(), options.clone()).is_ok_and(|plan| plan.session <= limit));
        models.sort_by_key(|model| Reverse(model.bytes));
        Ok(models)
    }

    /// Will install the model file at `source` as `name`: packs a GGUF, or checks and copies a packed file. A model that has the name
    /// serves until this one is whole, and is then replaced. With `source_sha256`, only the model with that source.
    pub fn install(&self, name: String, source: String, source_sha256: Option<String>) -> Result<Arc<Packing>> {
        Packing::to(Target::Store(self.0.clone(), name), source, source_sha256)
    }

    /// Begins to download the model of a signed manifest, or goes on with it. One of `public_keys`, in hexadecimal, must have signed it.
    /// `allow_older` takes one with a lower sequence number than what was last installed. `memory`: bytes that the device has; none asks
    /// the system, where it tells.
    pub fn download(
        &self,
        manifest: Vec<u8>,
        public_keys: Vec<String>,
        allow_older: bool,
        memory: Option<u64>,
    ) -> Result<Arc<Download>> {
        let keys: Option<Vec<_>> = public_keys.iter().map(|key| from_hexadecimal(key)).collect();
        let keys = keys.ok_or_else(|| NibbleError::invalid("a public key has 64 hexadecimal digits"))?;
        let manifest = Manifest::verify(&manifest, &keys)?;
        Ok(Download::new(self.0.download(manifest, DownloadOptions { allow_older, memory })?))
    }

    /// Puts the model back that the last download of `name` took the place of.
    pub fn rollback(&self, name: String) -> Result<()> {
        Ok(self.0.rollback(&name)?)
    }

    /// The file of the model called `name`, to be opened; it counts as used now.
    pub fn path(&self, name: String) -> Result<String> {
        Ok(self.0.path(&name)?.to_string_lossy().into_owned())
    }

    /// Removes a model. Who has it open keeps it. Removing what is not there does nothing.
    pub fn remove(&self, name: String) -> Result<()> {
        Ok(self.0.remove(&name)?)
    }
}
