//! Packing a model file on the device: one blocking call, watched and stopped from other threads.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use nibble_engine::{CancelToken, Download, ModelStore};

use crate::error::Result;
use crate::{lock, logging, model};

/// How far a packing has come, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct PackProgress {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all; 0 before it has begun.
    pub total: u64,
}

/// A model file on its way to where it is opened.
#[derive(uniffi::Object)]
pub struct Packing {
    source: PathBuf,
    target: Target,
    source_sha256: Option<[u8; 32]>,
    progress: Mutex<PackProgress>,
    cancel: CancelToken,
}

/// Where a packed file goes.
pub(crate) enum Target {
    File(PathBuf),
    Store(ModelStore, String),
    Download(Arc<Mutex<Download>>),
}

#[uniffi::export]
impl Packing {
    /// Will pack the GGUF at `source` into the model file `target`. With `source_sha256`, in hexadecimal, only a GGUF that has it.
    #[uniffi::constructor]
    pub fn new(source: String, target: String, source_sha256: Option<String>) -> Result<Arc<Self>> {
        Self::to(Target::File(target.into()), source, source_sha256)
    }

    /// Packs it, and returns when it is done: the target is whole, or as it was before.
    pub fn run(&self) -> Result<()> {
        let mut progress = |now: nibble_engine::PackProgress| {
            *lock(&self.progress) = PackProgress { done: now.done, total: now.total };
            if self.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match &self.target {
            Target::File(target) => {
                nibble_engine::pack_expecting(&self.source, target, self.source_sha256, &mut progress)?;
            }
            Target::Store(store, name) => {
                store.install(name, &self.source, self.source_sha256, &mut progress)?;
            }
            Target::Download(download) => {
                lock(download).install(&mut progress)?;
            }
        }
        Ok(())
    }

    /// How far it has come.
    pub fn progress(&self) -> PackProgress {
        *lock(&self.progress)
    }

    /// Stops it; nothing of it is left.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Packing {
    /// As [`Packing::new`], to any target.
    pub(crate) fn to(target: Target, source: String, source_sha256: Option<String>) -> Result<Arc<Self>> {
        logging::begin();
        let source_sha256 = source_sha256.as_deref().map(model::sha256).transpose()?;
        let (source, progress, cancel) = (source.into(), Mutex::default(), CancelToken::default());
        Ok(Arc::new(Self { source, target, source_sha256, progress, cancel }))
    }
}
