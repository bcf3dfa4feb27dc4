// Everything that can go wrong.

import Foundation
internal import NibbleFFI

/// What Nibble throws, beside `CancellationError` where a task was cancelled.
///
/// `reason` is a sentence for a developer: what went wrong, with what, and what to do. It holds nothing that a user typed.
public enum NibbleError: LocalizedError, Sendable, Equatable {
    /// There is no file where a model, or a snapshot, should be.
    case modelNotFound(reason: String)
    /// The model file is cut short, changed, or not a model file.
    case modelDamaged(reason: String)
    /// The model file was packed by a version of Nibble whose format this one does not read.
    case modelVersion(reason: String)
    /// The model file is sound, and this version or this CPU cannot run it.
    case modelUnsupported(reason: String)
    /// The model is a base model: it has no chat template.
    case noChatTemplate(reason: String)
    /// There is no word list, or no emoji list, in the file: it is missing, damaged, or of another version. Go on without one.
    case lexiconUnfit(reason: String)
    /// The file holds no learned words, or is damaged, sealed with another key, or in use. It is as it was; a keyboard can be opened
    /// without it.
    case learnedWordsUnfit(reason: String)
    /// The manifest is no manifest, or of a later version of the format.
    case manifestUnfit(reason: String)
    /// The manifest is signed with none of the given keys, or was changed since. Do not use what it names.
    case manifestUntrusted(reason: String)
    /// The manifest is older than the one that the model was last installed from.
    case manifestOlder(reason: String)
    /// The text, of so many `tokens`, does not fit the session's `context`.
    case contextOverflow(reason: String, tokens: Int, context: Int)
    /// What was to be opened would write to `needed` bytes, and `limit` are allowed, which is 0 where the system itself has no more to give.
    /// `fittingContext` is a context that fits; `nil` where none is known to.
    case memoryLimit(reason: String, needed: Int, limit: Int, fittingContext: Int?)
    /// The snapshot is damaged, or belongs to another model, version or kind of session. The session is as it was before.
    case snapshotUnfit(reason: String)
    /// The schema is no JSON, asks for what is not supported, or cannot be met; `reason` says what and where.
    case schemaUnfit(reason: String)
    /// The storage is full, or what a ``ModelStore`` may take of it.
    case storageFull(reason: String)
    /// The system refused to read or write a file.
    case io(reason: String)
    /// The text was cancelled before, by another task than the one that asks for more of it.
    case cancelled(reason: String)
    /// A newer request took the place of this one.
    case superseded(reason: String)
    /// The object was closed before.
    case closed(reason: String)
    /// An argument that cannot be.
    case invalidArgument(reason: String)
    /// A fault of Nibble itself.
    case `internal`(reason: String)

    /// What went wrong, with what, and what to do.
    public var reason: String {
        switch self {
        case .modelNotFound(let reason), .modelDamaged(let reason), .modelVersion(let reason),
            .modelUnsupported(let reason), .noChatTemplate(let reason), .lexiconUnfit(let reason),
            .learnedWordsUnfit(let reason), .manifestUnfit(let reason), .manifestUntrusted(let reason), .manifestOlder(let reason),
            .contextOverflow(let reason, _, _), .memoryLimit(let reason, _, _, _),
            .snapshotUnfit(let reason), .schemaUnfit(let reason), .storageFull(let reason), .io(let reason), .cancelled(let reason), .superseded(let reason),
            .closed(let reason), .invalidArgument(let reason), .internal(let reason):
            reason
        }
    }

    public var errorDescription: String? { reason }
}

extension NibbleError {
    /// The only place where native errors become these.
    init(native error: any Error) {
        switch error {
        case let error as NibbleError: self = error
        case let error as NibbleFFI.NibbleError: self.init(error)
        // A panic. What it says is left out: it may quote a text.
        default: self = .internal(reason: "Nibble met a fault of its own; please report which call it was")
        }
    }

    private init(_ error: NibbleFFI.NibbleError) {
        switch error {
        case .ModelNotFound(let reason): self = .modelNotFound(reason: reason)
        case .ModelDamaged(let reason): self = .modelDamaged(reason: reason)
        case .ModelVersion(let reason): self = .modelVersion(reason: reason)
        case .ModelUnsupported(let reason): self = .modelUnsupported(reason: reason)
        case .NoChatTemplate(let reason): self = .noChatTemplate(reason: reason)
        case .LexiconUnfit(let reason): self = .lexiconUnfit(reason: reason)
        case .LearnedWordsUnfit(let reason): self = .learnedWordsUnfit(reason: reason)
        case .ManifestUnfit(let reason): self = .manifestUnfit(reason: reason)
        case .ManifestUntrusted(let reason): self = .manifestUntrusted(reason: reason)
        case .ManifestOlder(let reason): self = .manifestOlder(reason: reason)
        case .ContextOverflow(let reason, let tokens, let context):
            self = .contextOverflow(reason: reason, tokens: Int(clamping: tokens), context: Int(clamping: context))
        case .MemoryLimit(let reason, let needed, let limit, let fitting):
            self = .memoryLimit(
                reason: reason, needed: Int(clamping: needed), limit: Int(clamping: limit),
                fittingContext: fitting.map(Int.init(clamping:)))
        case .SnapshotUnfit(let reason): self = .snapshotUnfit(reason: reason)
        case .SchemaUnfit(let reason): self = .schemaUnfit(reason: reason)
        case .StorageFull(let reason): self = .storageFull(reason: reason)
        case .Io(let reason): self = .io(reason: reason)
        case .Cancelled(let reason): self = .cancelled(reason: reason)
        case .Superseded(let reason): self = .superseded(reason: reason)
        case .Closed(let reason): self = .closed(reason: reason)
        case .InvalidArgument(let reason): self = .invalidArgument(reason: reason)
        case .Internal(let reason): self = .internal(reason: reason)
        }
    }
}
