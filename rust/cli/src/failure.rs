//! How a command ends when it does not succeed: one clear line on stderr and an exit code.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// What a command returns.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command stopped.
#[derive(Debug)]
pub enum Failure {
    /// The work could not be done; exit code 1.
    Failed(String),
    /// The command was asked for wrongly; exit code 2, as clap's own.
    Usage(String),
    /// The person stopped it; exit code 130, as a shell reports SIGINT.
    Cancelled,
    /// Whoever read our output has gone (`nibble ... | head`): nothing is wrong, so exit code 0 and not a word.
    ReaderGone,
}

impl Failure {
    /// A file operation that the system refused: `doing` is a verb such as "read". Says what to do when the disk is full.
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let what_to_do = if disk_is_full(error) {
            "; make room, or set NIBBLE_CACHE to a folder on another disk"
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            "; check the permissions, or set NIBBLE_CACHE to a folder of your own"
        } else {
            ""
        };
        Self::Failed(format!("cannot {doing} {}: {error}{what_to_do}", path.display()))
    }

    /// The exit code that scripts see.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::ReaderGone => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Cancelled => 130,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Usage(message) => f.write_str(message),
            Self::Cancelled => f.write_str("cancelled"),
            Self::ReaderGone => Ok(()),
        }
    }
}

impl From<nibble_engine::Error> for Failure {
    fn from(error: nibble_engine::Error) -> Self {
        match error {
            nibble_engine::Error::Cancelled => Self::Cancelled,
            nibble_engine::Error::Io { source, doing, path } => Self::io(doing, &path, &source),
            nibble_engine::Error::ContextOverflow { tokens, context } => Self::Failed(format!(
                "{tokens} tokens do not fit the context of {context}; shorten the text, or give a larger --context-size"
            )),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// For stdin and stdout; files go through [`Failure::io`], which names them.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Failed(format!("cannot read or write the terminal or pipe: {error}")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

/// Whether `error` means that nothing more fits, so that no other source of the same file can help.
pub fn disk_is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::WriteZero
    )
}
