// A model file, opened: what it is, what it takes, and what is made over it.

import Dispatch
import Foundation
internal import NibbleFFI

/// An open model. Everything made over it shares its weights, which are mapped from the file and never copied.
///
/// Open one and keep it. All of it may be used from any task. Nothing here blocks the thread that it is called from.
public final class Model: Sendable {
    /// What the model is.
    public let info: Info

    private let native: NibbleFFI.Model
    #if canImport(Darwin)
        private let memoryWatch: MemoryWatch?
    #endif

    /// Opens a packed model file.
    ///
    /// - Parameters:
    ///   - url: A file URL. The file is mapped for as long as the model is open: do not write to it. To put another in its
    ///     place, rename that one over it.
    ///   - options: What is checked.
    /// - Throws: ``NibbleError/modelNotFound(reason:)``, ``NibbleError/modelDamaged(reason:)``,
    ///   ``NibbleError/modelVersion(reason:)``, ``NibbleError/modelUnsupported(reason:)``, ``NibbleError/io(reason:)``.
    public convenience init(contentsOf url: URL, options: Options = Options()) async throws {
        let native = try await DispatchQueue.nibble.call {
            try NibbleFFI.Model.open(path: path(of: url), options: options.native())
        }
        self.init(native, options)
    }

    /// Opens a packed model file that lies in an open file: uncompressed in an archive of the app's own, or where only a
    /// descriptor leads.
    ///
    /// - Parameters:
    ///   - descriptor: Of the open file. It stays the caller's, who may close it when this returns.
    ///   - offset: Where the model begins, in bytes.
    ///   - length: How long it is, in bytes.
    ///   - options: What is checked.
    /// - Throws: as ``init(contentsOf:options:)``; ``NibbleError/io(reason:)`` where the descriptor is not open.
    public convenience init(
        descriptor: Int32, offset: Int = 0, length: Int, options: Options = Options()
    ) async throws {
        let native = try await DispatchQueue.nibble.call {
            try NibbleFFI.Model.openDescriptor(
                descriptor: descriptor, offset: unsigned(offset, "offset"), length: unsigned(length, "length"),
                options: options.native())
        }
        self.init(native, options)
    }

    private init(_ native: NibbleFFI.Model, _ options: Options) {
        self.native = native
        info = Info(native.info())
        #if canImport(Darwin)
            memoryWatch =
                options.watchesMemory
                ? MemoryWatch { [weak native] pressure in native?.memoryPressure(pressure: pressure.native) } : nil
        #endif
    }

    /// The tokens of a text, without one for its beginning. Whatever looks like a control token in it is text.
    public func tokenize(_ text: String) async throws -> [UInt32] {
        try await DispatchQueue.nibble.call { [native] in try native.tokenize(text: text) }
    }

    /// The text of tokens. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// - Throws: ``NibbleError/invalidArgument(reason:)`` for a token that the model does not have.
    public func detokenize(_ tokens: [UInt32]) async throws -> String {
        try await DispatchQueue.nibble.call { [native] in try native.detokenize(tokens: tokens) }
    }

    /// What this model takes, and a session with these options, a keyboard or a replier over it.
    public func memoryPlan(_ options: Session.Options = Session.Options()) async throws -> MemoryPlan {
        try await DispatchQueue.nibble.call { [native] in
            MemoryPlan(try native.memoryPlan(options: options.native()))
        }
    }

    /// What a model file would take, and a session with these options, a keyboard or a replier over it. Reads little of the file.
    ///
    /// - Throws: as ``init(contentsOf:options:)``.
    public static func memoryPlan(
        contentsOf url: URL, session options: Session.Options = Session.Options()
    ) async throws -> MemoryPlan {
        try await DispatchQueue.nibble.call {
            MemoryPlan(try NibbleFFI.memoryPlan(path: path(of: url), options: options.native()))
        }
    }

    /// What a model file that lies in an open file would take, as ``init(descriptor:offset:length:options:)`` opens it.
    ///
    /// - Throws: as ``init(descriptor:offset:length:options:)``.
    public static func memoryPlan(
        descriptor: Int32, offset: Int = 0, length: Int, session options: Session.Options = Session.Options()
    ) async throws -> MemoryPlan {
        try await DispatchQueue.nibble.call {
            MemoryPlan(
                try NibbleFFI.memoryPlanDescriptor(
                    descriptor: descriptor, offset: unsigned(offset, "offset"), length: unsigned(length, "length"),
                    options: options.native()))
        }
    }

    /// A new timeline for texts and chats. Several of them compute at once.
    ///
    /// - Throws: ``NibbleError/memoryLimit(reason:needed:limit:fittingContext:)``,
    ///   ``NibbleError/invalidArgument(reason:)``.
    public func session(_ options: Session.Options = Session.Options()) async throws -> Session {
        try await DispatchQueue.nibble.call { [native] in
            Session(try native.session(options: options.native()))
        }
    }

    /// A new keyboard.
    ///
    /// - Parameters:
    ///   - lexicons: The words with which typing errors are seen through, of each language that the person writes; without them
    ///     words are only predicted.
    ///   - layout: Where the keys are, which tells how near two letters are; of use with a lexicon only.
    ///   - learned: What the person has written, which is suggested and added to; without it nothing is learned.
    ///   - languages: The languages of the lexicons in their order, as ISO 639-1 has them, that which is written most first. Which
    ///     one is being written is found out from the last words; the model reads a few lines of it before the text. Without
    ///     lexicons it is the first.
    ///   - threads: Threads that compute; 0 takes as many as suit the model and the device.
    ///   - memoryLimit: Bytes that the keyboard may write to; opening it fails where it would take more.
    /// - Throws: ``NibbleError/memoryLimit(reason:needed:limit:fittingContext:)``, ``NibbleError/invalidArgument(reason:)``.
    public func keyboard(
        lexicons: [Lexicon] = [], layout: Keyboard.Layout = .qwerty, learned: LearnedWords? = nil,
        languages: [String] = ["en"], threads: Int = 0, memoryLimit: Int? = nil
    ) async throws -> Keyboard {
        try await DispatchQueue.nibble.call { [native] in
            Keyboard(
                try native.keyboard(
                    options: NibbleFFI.KeyboardOptions(
                        lexicons: lexicons.map(\.native), layout: layout.native, learned: learned?.native,
                        languages: languages, threads: unsigned(threads, "threads"),
                        memoryLimit: memoryLimit.map { try unsigned($0, "memoryLimit") })))
        }
    }

    /// A new replier.
    ///
    /// - Parameters:
    ///   - threads: Threads that compute; 0 takes as many as suit the model and the device.
    ///   - memoryLimit: Bytes that the replier may write to; opening it fails where it would take more.
    /// - Throws: ``NibbleError/memoryLimit(reason:needed:limit:fittingContext:)``.
    public func replier(threads: Int = 0, memoryLimit: Int? = nil) async throws -> Replier {
        try await DispatchQueue.nibble.call { [native] in
            Replier(
                try native.replier(
                    threads: unsigned(threads, "threads"),
                    memoryLimit: memoryLimit.map { try unsigned($0, "memoryLimit") }))
        }
    }

    /// Measures on how many threads this model is fastest on this device, and keeps that beside the model file; of a model in an open
    /// file, until the process ends. Sessions that are opened later, whose options leave the number open, take it. Takes some seconds;
    /// cancelling the task stops it, and so does closing the model. Best when the device has nothing else to do.
    public func calibrate() async throws {
        let calibration = native.calibration()
        try await DispatchQueue.nibbleWork.call(cancel: { calibration.cancel() }) { try calibration.run() }
    }

    /// Gives memory back, and returns at once. What runs goes on, and gives its memory back when it is done. What was given
    /// back comes back by itself when it is needed again.
    ///
    /// On Apple platforms a model calls this by itself when the system says that memory is short: see
    /// ``Options/watchesMemory``.
    public func memoryPressure(_ pressure: MemoryPressure) {
        native.memoryPressure(pressure: pressure.native)
    }

    /// Closes the model and everything made over it, and returns at once: what runs ends with
    /// ``NibbleError/closed(reason:)``. Closing twice does nothing. A model that nothing refers to any more closes by
    /// itself.
    public func close() {
        native.close()
    }
}

extension Model {
    /// How a model file is opened.
    public struct Options: Sendable, Equatable {
        /// Checks every byte of the weights against its checksum. Without it everything else is checked, and the weights
        /// are read when they are first used: milliseconds, whatever the size of the model.
        public var checkWeights: Bool
        /// The SHA-256 of the GGUF that the file must have been packed from, in hexadecimal; any will do where it is `nil`.
        public var sourceSHA256: String?
        /// Gives memory back by itself when the system says that it is short, in an app as in an extension:
        /// ``MemoryPressure/low`` at its warning, ``MemoryPressure/critical`` where that says so. On Linux it does nothing.
        public var watchesMemory: Bool
        /// Bytes that everything over the model may write to together; `nil` is no limit. Opening what would go beyond throws
        /// ``NibbleError/memoryLimit(reason:needed:limit:fittingContext:)``, and so does a request to what gave its memory
        /// back and finds it taken.
        public var memoryLimit: Int?

        public init(
            checkWeights: Bool = true, sourceSHA256: String? = nil, watchesMemory: Bool = true, memoryLimit: Int? = nil
        ) {
            self.checkWeights = checkWeights
            self.sourceSHA256 = sourceSHA256
            self.watchesMemory = watchesMemory
            self.memoryLimit = memoryLimit
        }

        fileprivate func native() throws -> NibbleFFI.ModelOptions {
            NibbleFFI.ModelOptions(
                checkWeights: checkWeights, sourceSha256: sourceSHA256,
                memoryLimit: try memoryLimit.map { try unsigned($0, "memoryLimit") })
        }
    }

    /// What a model is.
    public struct Info: Sendable, Equatable {
        /// Its name, if the file gives one.
        public let name: String?
        /// Its licence, if the file gives one.
        public let licence: String?
        /// The SHA-256 of the GGUF that it was packed from, in hexadecimal.
        public let sourceSHA256: String
        /// Tokens of the vocabulary.
        public let vocabulary: Int
        /// Tokens that it was trained to see at once.
        public let context: Int
        /// Whether it follows a chat; a base model only continues texts.
        public let hasChatTemplate: Bool

        fileprivate init(_ info: NibbleFFI.ModelInfo) {
            name = info.name
            licence = info.licence
            sourceSHA256 = info.sourceSha256
            vocabulary = Int(info.vocabulary)
            context = Int(info.context)
            hasChatTemplate = info.hasChatTemplate
        }
    }

    /// What a model with one session takes, in bytes.
    public struct MemoryPlan: Sendable, Equatable {
        /// The model file, mapped read-only: clean pages, which processes share and the system may drop.
        public let mapped: Int
        /// What the session writes to at most: its keys and values when the context is full, and its buffers.
        public let session: Int
        /// The part of that which keys and values take.
        public let kv: Int
        /// Keys and values of 1,000 tokens of context.
        public let kvPer1000Tokens: Int
        /// What a keyboard writes to at most, on as many threads as the session.
        public let keyboard: Int
        /// What a replier writes to at most, on as many threads as the session.
        public let replier: Int

        fileprivate init(_ plan: NibbleFFI.MemoryPlan) {
            mapped = Int(clamping: plan.mapped)
            session = Int(clamping: plan.session)
            kv = Int(clamping: plan.kv)
            kvPer1000Tokens = Int(clamping: plan.kvPer1000Tokens)
            keyboard = Int(clamping: plan.keyboard)
            replier = Int(clamping: plan.replier)
        }
    }

    /// How short memory is. Each level gives back what the ones before it do, and more.
    public enum MemoryPressure: Sendable, Equatable {
        /// The caches of sessions.
        case moderate
        /// Those of keyboards and repliers too: what was computed for the word at the cursor is computed again.
        case low
        /// The mapping of the model file too.
        case critical

        fileprivate var native: NibbleFFI.MemoryPressure {
            switch self {
            case .moderate: .moderate
            case .low: .low
            case .critical: .critical
            }
        }
    }
}
