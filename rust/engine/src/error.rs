//! Everything that can go wrong in the engine, in words for the person who has to mend it.
//!
//! A message says what went wrong, with what, and what to do. It never holds text that a user typed.

use std::path::PathBuf;

/// What every fallible call of the engine returns.
pub type Result<T> = std::result::Result<T, Error>;

/// The engine's one error type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// What was being done, as a verb: "read", "create", "map".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A call was stopped through its cancel token; the session is at its last whole token.
    #[error("cancelled")]
    Cancelled,
    /// More tokens than the session's context holds, and its policy is to refuse.
    #[error(
        "{tokens} tokens do not fit a context of {context}; shorten the text or open a session with a larger context"
    )]
    ContextOverflow {
        /// Tokens asked for.
        tokens: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// The model file carries no chat template.
    #[error("this model has no chat template: it is a base model; use plain generation, or an instruction-tuned model")]
    NoChatTemplate,
    /// A token id that the model's vocabulary does not have.
    #[error("token {token} is not in the vocabulary of {size} tokens")]
    UnknownToken {
        /// The id.
        token: u32,
        /// Size of the vocabulary.
        size: usize,
    },
    /// More nodes than the session was opened for.
    #[error("the token tree is full: {max} nodes; open the session with more, or sync to a new prefix")]
    TreeFull {
        /// Nodes that fit.
        max: usize,
    },
}
