//! Everything that can go wrong in the engine, in words for the person who has to mend it.
//!
//! A message says what went wrong, with what, and what to do. It never holds text that a user typed.

use std::path::{Path, PathBuf};

/// What every fallible call of the engine returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// A GGUF that is damaged, cut short or not a GGUF.
    #[error("cannot use {path}: {why}; fetch the file again", path = path.display())]
    DamagedGguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A sound model file that this version cannot run.
    #[error("cannot run {path}: it needs {what}", path = path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it needs, and what there is instead.
        what: String,
    },
    /// A packed model file that is damaged, foreign, of another version or of another model.
    #[error(
        "cannot use the model file {path}: {why}; pack it again from the GGUF: nibble pull FILE.gguf",
        path = path.display()
    )]
    BadModelFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A packed model file of another version of the format.
    #[error(
        "the model file {path} has version {version} of the format, and this Nibble reads version {reads}; {}",
        if version > reads { "update Nibble, or pack it again from the GGUF" } else { "pack it again from the GGUF: nibble pull FILE.gguf" },
        path = path.display()
    )]
    ModelFileVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The version that is read.
        reads: u32,
    },
    /// A snapshot that is damaged, of another version or model, or does not fit the session.
    #[error("cannot use the snapshot {path}: {why}; compute the prompt again and save it anew", path = path.display())]
    UnfitSnapshot {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// An adapter that is damaged, of another version, or for another model.
    #[error("cannot use the adapter: {why}; fit one for this model")]
    UnfitAdapter {
        /// What does not fit.
        why: String,
    },
    /// A session that was to be saved before it had computed anything.
    #[error("the session has computed nothing yet; have it read a text, then save it")]
    EmptySession,
    /// A name that a model of a store cannot have.
    #[error("a model's name is 1 to {longest} letters, digits, dots, hyphens and underscores, and begins with no dot")]
    BadModelName {
        /// The most characters that there can be.
        longest: usize,
    },
    /// A model that is larger than all that a store may hold.
    #[error(
        "the model takes {needed} bytes, and the store may hold {quota}; open it with a larger quota, or take a smaller model"
    )]
    OverQuota {
        /// Bytes of the model.
        needed: u64,
        /// Bytes that the store may hold.
        quota: u64,
    },
    /// A manifest that is no manifest, or contradicts itself.
    #[error("cannot use the manifest: {why}; fetch it again, or make it anew: nibble manifest make")]
    BadManifest {
        /// What is wrong with it.
        why: String,
    },
    /// A manifest of a later version of the format.
    #[error("the manifest has version {version} of the format, and this Nibble reads version {reads}; update Nibble")]
    ManifestVersion {
        /// Its version.
        version: u32,
        /// The version that is read.
        reads: u32,
    },
    /// A manifest that none of the given keys has signed.
    #[error("the manifest is signed with none of the given keys, or was changed since; do not use what it names")]
    UntrustedManifest,
    /// A key of no use.
    #[error(
        "a key for manifests is 64 hexadecimal digits, and not every 64 of them; make a pair with: nibble manifest key FILE"
    )]
    BadManifestKey,
    /// A file that is not the one that a manifest names.
    #[error("{path} is not the file that the manifest names: {why}; fetch it again, or make the manifest anew", path = path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// How it differs.
        why: String,
    },
    /// A manifest that is older than the one that a model was last installed from.
    #[error(
        "the manifest has sequence number {sequence}, and {name} was installed from {installed}; \
         fetch the newest one, or say that older ones are allowed"
    )]
    OlderManifest {
        /// The name of the model.
        name: String,
        /// The manifest's number.
        sequence: u64,
        /// The number that is there.
        installed: u64,
    },
    /// A model that needs more memory than the device has.
    #[error("the model needs a device with {needed} bytes of memory, and this one has {memory}; take a smaller model")]
    TooLittleMemory {
        /// Bytes that the manifest asks for.
        needed: u64,
        /// Bytes that there are.
        memory: u64,
    },
    /// Downloaded bytes that are not those of the manifest.
    #[error("the bytes from {start} to {end} are not those of the manifest, and were dropped; fetch them again")]
    DamagedChunk {
        /// The first of them.
        start: u64,
        /// What follows the last.
        end: u64,
    },
    /// Downloaded bytes for a place where the ones before are missing, or beyond the end.
    #[error("{length} bytes at {offset} do not go on with what is there; ask again what is missing, and begin there")]
    MisplacedBytes {
        /// Where they were to go.
        offset: u64,
        /// How many there are.
        length: u64,
    },
    /// A download that is not whole.
    #[error("{missing} bytes of the download are missing; ask which, and write them first")]
    IncompleteDownload {
        /// How many.
        missing: u64,
    },
    /// The tokens' bytes do not fit 32-bit offsets.
    #[error("the vocabulary's tokens exceed 4 GiB together")]
    VocabularyTooLarge,
    /// Keys and values in Q8_0, and heads that are no whole number of blocks.
    #[error("this model's heads have {head_dim} elements, and only multiples of 32 can be cached in Q8_0; use F16")]
    KvFormatUnavailable {
        /// Elements of a head.
        head_dim: usize,
    },
    /// The system has no room for a session.
    #[error(
        "the session takes {needed} bytes, and the system does not give that much; open it with a smaller context, or close others"
    )]
    OutOfMemory {
        /// Bytes that the session takes.
        needed: u64,
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
    /// The model file's tokenizer is of a kind that is not known.
    #[error(
        "cannot use this model's tokenizer: {reason}; use another model, or convert it again with a newer llama.cpp"
    )]
    UnsupportedTokenizer {
        /// What about it.
        reason: String,
    },
    /// Bytes that should be text are not.
    #[error("the text is not UTF-8: the byte at offset {offset} is wrong; save it as UTF-8")]
    NotUtf8 {
        /// Where the first wrong byte is, from 0.
        offset: usize,
    },
    /// The model's chat template cannot be rendered for these messages.
    #[error("the model's chat template failed: {reason}; check the order of roles, or use plain generation")]
    ChatTemplate {
        /// Why, without anything that a message said.
        reason: String,
    },
    /// The model file carries no chat template.
    #[error("this model has no chat template: it is a base model; use plain generation, or an instruction-tuned model")]
    NoChatTemplate,
    /// A schema that cannot guide a text.
    #[error("cannot use the schema: {why}; look at {at}")]
    UnfitSchema {
        /// What kind of fault it is.
        fault: crate::SchemaFault,
        /// What is wrong, without any value of the schema.
        why: String,
        /// Where: a JSON pointer behind a #.
        at: String,
    },
    /// A token id that the model's vocabulary does not have.
    #[error("token {token} is not in the vocabulary of {size} tokens")]
    UnknownToken {
        /// The id.
        token: u32,
        /// Size of the vocabulary.
        size: usize,
    },
    /// More rows at once than a session computes, or more nodes than it was opened for.
    #[error(
        "the token tree takes no more than {max} nodes now; add fewer at once, open the session with more, or sync to a new prefix"
    )]
    TreeFull {
        /// Nodes that the next call can add.
        max: usize,
    },
    /// Not one token to begin with.
    #[error("a prefix needs at least one token; start with the model's BOS or the end-of-text token")]
    EmptyPrefix,
    /// A node that is not in the tree.
    #[error("node {node} is not in the token tree; nodes live until the prefix changes")]
    UnknownNode {
        /// Its number.
        node: u32,
    },
    /// A chain of nodes that is too long.
    #[error("the token tree is at most {max} tokens deep; put the tokens in the prefix instead")]
    TreeTooDeep {
        /// Tokens from the end of the prefix.
        max: usize,
    },
    /// A kernel tier that this CPU cannot run.
    #[error("this CPU does not have what the {tier} kernels need; leave the tier open to take the best there is")]
    TierUnavailable {
        /// The tier.
        tier: &'static str,
    },
    /// candle could not compute.
    #[cfg(feature = "candle")]
    #[error("candle cannot run this model: {why}; use one of an architecture that runs natively")]
    Candle {
        /// Its reason.
        why: String,
    },
    /// A tensor whose shape is not what the graph computes with; the model file was checked, so this is our fault.
    #[error("the graph does not fit the model: {0}; please report this with the model's name")]
    Shape(#[from] nibble_kernels::ShapeError),
}

/// What is wrong with a model file, before it is known which file it is.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file is not what it should be.
    Damaged(String),
    /// The file is sound but cannot be run.
    Unsupported(String),
}

impl Fault {
    pub(crate) fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    /// The error for the GGUF at `path`.
    pub(crate) fn in_gguf(self, path: &Path) -> Error {
        match self {
            Self::Damaged(why) => Error::DamagedGguf { path: path.to_owned(), why },
            Self::Unsupported(what) => Error::Unsupported { path: path.to_owned(), what },
        }
    }

    /// The error for the packed file at `path`.
    pub(crate) fn in_packed(self, path: &Path) -> Error {
        match self {
            Self::Damaged(why) => Error::BadModelFile { path: path.to_owned(), why },
            Self::Unsupported(what) => Error::Unsupported { path: path.to_owned(), what },
        }
    }
}
