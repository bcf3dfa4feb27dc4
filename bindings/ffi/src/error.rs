//! Everything that can go wrong, as the languages above see it, and the one place where the engine's errors become that.

use std::io::ErrorKind;

use nibble_engine::Error;
use nibble_tasks::keyboard::list::ListError;

/// What every fallible call reports. `reason` is a sentence for a developer: what went wrong, with what, and what to do. It holds
/// nothing that a user typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum NibbleError {
    /// There is no file where a model, or a snapshot, should be.
    #[error("{reason}")]
    ModelNotFound {
        /// Which file.
        reason: String,
    },
    /// The model file is cut short, changed, or not a model file.
    #[error("{reason}")]
    ModelDamaged {
        /// What is wrong with it.
        reason: String,
    },
    /// The model file was packed by a version of Nibble whose format this one does not read.
    #[error("{reason}")]
    ModelVersion {
        /// Which version it has and which is read.
        reason: String,
    },
    /// The model file is sound, and this version or this CPU cannot run it.
    #[error("{reason}")]
    ModelUnsupported {
        /// What it needs.
        reason: String,
    },
    /// The model is a base model: it has no chat template.
    #[error("{reason}")]
    NoChatTemplate {
        /// What to do instead.
        reason: String,
    },
    /// The snapshot is damaged, or belongs to another model, version or kind of session.
    #[error("{reason}")]
    SnapshotUnfit {
        /// What does not fit.
        reason: String,
    },
    /// The schema is no JSON, or asks for what is not supported, or cannot be met.
    #[error("{reason}")]
    SchemaUnfit {
        /// What is wrong with it, and where.
        reason: String,
    },
    /// There is no word list, or no emoji list, in the file: it is missing, damaged, or of another version. A keyboard can be opened
    /// without one.
    #[error("{reason}")]
    LexiconUnfit {
        /// Which file, and what is wrong with it.
        reason: String,
    },
    /// The file holds no learned words, or is damaged, sealed with another key, or in use. A keyboard can be opened without one.
    #[error("{reason}")]
    LearnedWordsUnfit {
        /// Which file, and what is wrong with it.
        reason: String,
    },
    /// The manifest is no manifest, or of a later version of the format.
    #[error("{reason}")]
    ManifestUnfit {
        /// What is wrong with it.
        reason: String,
    },
    /// The manifest is signed with none of the given keys, or was changed since. What it names is not to be used.
    #[error("{reason}")]
    ManifestUntrusted {
        /// That it is.
        reason: String,
    },
    /// The manifest is older than the one that the model was last installed from.
    #[error("{reason}")]
    ManifestOlder {
        /// Which sequence numbers they have.
        reason: String,
    },
    /// The text does not fit the session's context.
    #[error("{reason}")]
    ContextOverflow {
        /// What to do.
        reason: String,
        /// Tokens of the text.
        tokens: u64,
        /// Tokens that fit.
        context: u64,
    },
    /// A session would take more memory than it was allowed, or than there is.
    #[error("{reason}")]
    MemoryLimit {
        /// What it would take, and what would fit.
        reason: String,
        /// Bytes that it would take.
        needed: u64,
        /// Bytes that it was allowed; 0 where it is the system that has no more to give.
        limit: u64,
        /// A context that fits; `None` where none is known to.
        fitting_context: Option<u64>,
    },
    /// The storage is full, or what a store of models may take of it.
    #[error("{reason}")]
    StorageFull {
        /// What could not be written.
        reason: String,
    },
    /// The system refused to read or write a file.
    #[error("{reason}")]
    Io {
        /// Which file, and the system's words.
        reason: String,
    },
    /// The call was cancelled.
    #[error("{reason}")]
    Cancelled {
        /// That it was.
        reason: String,
    },
    /// A newer request took the place of this one.
    #[error("{reason}")]
    Superseded {
        /// That one did.
        reason: String,
    },
    /// The object was closed before.
    #[error("{reason}")]
    Closed {
        /// Which object.
        reason: String,
    },
    /// An argument that cannot be.
    #[error("{reason}")]
    InvalidArgument {
        /// Which, and what can be.
        reason: String,
    },
    /// A fault of Nibble itself.
    #[error("{reason}")]
    Internal {
        /// What to report.
        reason: String,
    },
}

/// What every fallible function here returns.
pub(crate) type Result<T> = std::result::Result<T, NibbleError>;

impl NibbleError {
    pub(crate) fn closed(what: &str) -> Self {
        Self::Closed { reason: format!("the {what} is closed; open a new one") }
    }

    pub(crate) fn cancelled() -> Self {
        Self::Cancelled { reason: "the call was cancelled".into() }
    }

    pub(crate) fn superseded() -> Self {
        Self::Superseded { reason: "a newer request took the place of this one".into() }
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::InvalidArgument { reason: reason.into() }
    }
}

impl From<Error> for NibbleError {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error {
            Error::Io { doing, source, .. } => match source.kind() {
                // Where something was to be written, it is the folder that is missing.
                ErrorKind::NotFound if !matches!(doing, "create" | "write") => Self::ModelNotFound { reason },
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::StorageFull { reason },
                _ => Self::Io { reason },
            },
            Error::DamagedGguf { .. } | Error::BadModelFile { .. } => Self::ModelDamaged { reason },
            Error::ModelFileVersion { .. } => Self::ModelVersion { reason },
            Error::Unsupported { .. }
            | Error::VocabularyTooLarge
            | Error::UnsupportedTokenizer { .. }
            | Error::TierUnavailable { .. } => Self::ModelUnsupported { reason },
            Error::UnfitSnapshot { .. } => Self::SnapshotUnfit { reason },
            Error::UnfitSchema { .. } => Self::SchemaUnfit { reason },
            Error::OverQuota { .. } => Self::StorageFull { reason },
            Error::BadManifest { .. } | Error::ManifestVersion { .. } => Self::ManifestUnfit { reason },
            Error::UntrustedManifest => Self::ManifestUntrusted { reason },
            Error::OlderManifest { .. } => Self::ManifestOlder { reason },
            Error::TooLittleMemory { needed, memory } => {
                Self::MemoryLimit { reason, needed, limit: memory, fitting_context: None }
            }
            Error::DamagedChunk { .. } | Error::OtherFile { .. } => Self::ModelDamaged { reason },
            Error::NoChatTemplate => Self::NoChatTemplate { reason },
            Error::ContextOverflow { tokens, context } => {
                Self::ContextOverflow { reason, tokens: tokens as u64, context: context as u64 }
            }
            Error::OutOfMemory { needed } => Self::MemoryLimit { reason, needed, limit: 0, fitting_context: None },
            Error::Cancelled => Self::cancelled(),
            Error::KvFormatUnavailable { .. }
            | Error::BadManifestKey
            | Error::MisplacedBytes { .. }
            | Error::IncompleteDownload { .. }
            | Error::BadModelName { .. }
            | Error::EmptySession
            | Error::NotUtf8 { .. }
            | Error::ChatTemplate { .. }
            | Error::UnknownToken { .. }
            | Error::EmptyPrefix => Self::InvalidArgument { reason },
            // The tree is the tasks' own business, and a tensor's shape the engine's.
            _ => Self::Internal { reason },
        }
    }
}

impl From<ListError> for NibbleError {
    fn from(error: ListError) -> Self {
        let reason = match error {
            ListError::File(Error::Io { path, source, .. }) if source.kind() == ErrorKind::NotFound => {
                format!("cannot use the list {}: there is no such file", path.display())
            }
            ListError::Unfit { list, path, why, .. } => format!("cannot use the {list} {}: {why}", path.display()),
            ListError::File(error) => return error.into(),
            error => return Self::Internal { reason: error.to_string() },
        };
        let advice = "bring one that `nibble pull` made with this version, or go on without a list";
        Self::LexiconUnfit { reason: format!("{reason}; {advice}") }
    }
}
