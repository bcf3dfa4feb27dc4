// A timeline over a model, for texts and chats.

import Dispatch
import Foundation
internal import NibbleFFI

/// One timeline over a model. A text that begins as the one before it did is read from where they part: hand over the whole
/// text, or the whole chat, every time.
///
/// Texts of one session take turns, piece by piece.
public final class Session: Sendable {
    private let native: NibbleFFI.Session
    private let queue = DispatchQueue.nibbleTimeline()

    init(_ native: NibbleFFI.Session) {
        self.native = native
    }

    /// Goes on with a text. Nothing is computed before the first piece is asked for, and what is wrong with the arguments
    /// is thrown then.
    public func generate(_ prompt: String, sampling: Sampling = Sampling(), stop: Stop = Stop()) -> Generation {
        Generation(on: queue) { [native] in
            try native.generate(prompt: prompt, sampling: sampling.native(), stop: stop.native())
        }
    }

    /// Answers the last turn of a chat, by the model's chat template. Nothing is computed before the first piece is asked
    /// for.
    ///
    /// Iterating throws ``NibbleError/noChatTemplate(reason:)`` where the model is a base model.
    public func chat(_ messages: [Message], sampling: Sampling = Sampling(), stop: Stop = Stop()) -> Generation {
        Generation(on: queue) { [native] in
            try native.chat(messages: messages.map(\.native), sampling: sampling.native(), stop: stop.native())
        }
    }

    /// Keeps what the session has computed in a file, whole or not at all. A long beginning, such as instructions that stay the
    /// same, is then computed once and restored in milliseconds at every start. The file may be shipped: it fits the same model
    /// on any device.
    ///
    /// It holds the text, in the form of tokens and of what the model made of them: keep it where the text may be kept.
    ///
    /// - Throws: ``NibbleError/storageFull(reason:)``, ``NibbleError/io(reason:)``, ``NibbleError/closed(reason:)``.
    public func saveSnapshot(to url: URL) async throws {
        try await queue.call { [native] in try native.saveSnapshot(path: path(of: url)) }
    }

    /// Takes over what another session, or this one, has saved. The next text that begins with it computes only the rest.
    ///
    /// - Returns: How many tokens were restored.
    /// - Throws: ``NibbleError/snapshotUnfit(reason:)`` where it was saved by another version of Nibble, over another
    ///   model, with another ``Options/kvCache`` or for a longer context, or is damaged: the session is as it was, and
    ///   computes the text anew. ``NibbleError/modelNotFound(reason:)`` where there is no such file.
    @discardableResult public func restoreSnapshot(from url: URL) async throws -> Int {
        try await queue.call { [native] in Int(try native.restoreSnapshot(path: path(of: url))) }
    }

    /// Takes over a snapshot that lies in an open file: uncompressed in an archive of the app's own, or where only a descriptor leads.
    ///
    /// - Parameters:
    ///   - descriptor: Of the open file. It stays the caller's, who may close it when this returns.
    ///   - offset: Where the snapshot begins, in bytes.
    ///   - length: How long it is, in bytes.
    /// - Returns: How many tokens were restored.
    /// - Throws: as ``restoreSnapshot(from:)``; ``NibbleError/io(reason:)`` where the descriptor is not open.
    @discardableResult public func restoreSnapshot(descriptor: Int32, offset: Int = 0, length: Int) async throws -> Int {
        try await queue.call { [native] in
            Int(
                try native.restoreSnapshotDescriptor(
                    descriptor: descriptor, offset: unsigned(offset, "offset"), length: unsigned(length, "length")))
        }
    }

    /// Closes the session and what it writes, and returns at once: what runs ends with ``NibbleError/closed(reason:)``.
    /// Closing twice does nothing. A session that nothing refers to any more closes by itself.
    public func close() {
        native.close()
    }
}

/// One turn of a chat.
public struct Message: Sendable, Equatable {
    /// Who speaks.
    public enum Role: String, Sendable {
        /// Says how the model is to answer.
        case system
        /// The person.
        case user
        /// The model.
        case assistant
    }

    /// Who said it.
    public var role: Role
    /// What was said.
    public var content: String

    public init(role: Role, content: String) {
        self.role = role
        self.content = content
    }

    /// Says how the model is to answer.
    public static func system(_ content: String) -> Message { Message(role: .system, content: content) }

    /// What the person said.
    public static func user(_ content: String) -> Message { Message(role: .user, content: content) }

    /// What the model said.
    public static func assistant(_ content: String) -> Message { Message(role: .assistant, content: content) }

    fileprivate var native: NibbleFFI.Message { NibbleFFI.Message(role: role.rawValue, content: content) }
}

extension Session {
    /// How a session is set up.
    public struct Options: Sendable, Equatable {
        /// Tokens that the timeline holds: the text and what is written after it. At most what the model was trained for.
        public var context: Int
        /// What happens to a longer text.
        public var overflow: Overflow
        /// Threads that compute; 0 takes as many as suit the model and the device.
        public var threads: Int
        /// How urgent the session's work is.
        public var priority: Priority
        /// How keys and values are kept.
        public var kvCache: KVCache
        /// Bytes that the session may write to; opening it fails where it would take more.
        public var memoryLimit: Int?

        public init(
            context: Int = 2048, overflow: Overflow = .fail, threads: Int = 0, priority: Priority = .interactive,
            kvCache: KVCache = .f16, memoryLimit: Int? = nil
        ) {
            self.context = context
            self.overflow = overflow
            self.threads = threads
            self.priority = priority
            self.kvCache = kvCache
            self.memoryLimit = memoryLimit
        }

        func native() throws -> NibbleFFI.SessionOptions {
            NibbleFFI.SessionOptions(
                context: try unsigned(context, "context"), overflow: try overflow.native(),
                threads: try unsigned(threads, "threads"), priority: priority.native, kvCache: kvCache.native,
                memoryLimit: try memoryLimit.map { try unsigned($0, "memoryLimit") })
        }
    }

    /// What happens to a text that is longer than the context.
    public enum Overflow: Sendable, Equatable {
        /// ``NibbleError/contextOverflow(reason:tokens:context:)``.
        case fail
        /// The first `keep` tokens stay, and the oldest of the others are forgotten.
        case slide(keep: Int)

        fileprivate func native() throws -> NibbleFFI.Overflow {
            switch self {
            case .fail: .fail
            case .slide(let keep): .slide(keep: try unsigned(keep, "keep"))
            }
        }
    }

    /// How urgent work is. While something more urgent is under way anywhere in the app, what is less urgent waits.
    public enum Priority: Sendable, Equatable {
        /// Nobody waits. One thread, unless the options ask for more.
        case background
        /// Somebody waits for the result.
        case interactive
        /// Somebody types.
        case keystroke

        fileprivate var native: NibbleFFI.Priority {
            switch self {
            case .background: .background
            case .interactive: .interactive
            case .keystroke: .keystroke
            }
        }
    }

    /// How keys and values are kept.
    public enum KVCache: Sendable, Equatable {
        /// 16 bits each.
        case f16
        /// Half of that; a little off.
        case q8

        fileprivate var native: NibbleFFI.KvCache {
            switch self {
            case .f16: .f16
            case .q8: .q8
            }
        }
    }
}
