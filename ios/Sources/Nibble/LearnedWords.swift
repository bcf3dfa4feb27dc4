// What a person writes, kept for the keyboards that learn it.

import Dispatch
import Foundation
internal import NibbleFFI

/// What a person writes: words, and what they follow, with forgetting.
///
/// A ``Keyboard`` that is opened with it suggests these words, leaves them as they are, and learns from its typing sessions. Nothing of it
/// leaves the file, and the model never reads it. One process at a time may have the file open; leave it out of backups
/// (`isExcludedFromBackup`).
public final class LearnedWords: Sendable {
    let native: NibbleFFI.LearnedWords

    /// A word that was learned.
    public struct Word: Sendable, Equatable {
        /// As it was last written inside a sentence.
        public let word: String
        /// How often it was written, as far as that is not forgotten.
        public let count: Double
        /// Whether it was put in on purpose, so that it stays and is written as it was put in.
        public let isAdded: Bool
    }

    /// Opens the file in which a keyboard keeps what its person writes, or makes it.
    ///
    /// - Parameters:
    ///   - url: A file URL in storage of the app's own.
    ///   - key: 32 bytes, such as the keychain holds, by which the content is sealed.
    /// - Throws: ``NibbleError/learnedWordsUnfit(reason:)`` where the file is damaged, something else, sealed with another key, or in
    ///   use; it is as it was. ``NibbleError/io(reason:)``, ``NibbleError/invalidArgument(reason:)`` for a key of another length.
    public convenience init(contentsOf url: URL, key: Data? = nil) async throws {
        self.init(
            try await DispatchQueue.nibbleLearning.call {
                try NibbleFFI.LearnedWords.open(path: path(of: url), key: key)
            })
    }

    /// Learns as long as it, or a keyboard that was opened with it, is there, and keeps nothing.
    public convenience init() {
        self.init(NibbleFFI.LearnedWords.inMemory())
    }

    private init(_ native: NibbleFFI.LearnedWords) {
        self.native = native
    }

    /// All words, the most written first.
    public func words() async throws -> [Word] {
        try await call { native in native.list().map { Word(word: $0.word, count: $0.count, isAdded: $0.added) } }
    }

    /// Puts in a word of the person's on purpose, written so: a name, or an entry of their own dictionary. It is offered at once, is not
    /// forgotten by itself, and no correction changes it, even while learning is paused.
    ///
    /// - Returns: Whether it can be a word: letters for the most part, without spaces.
    @discardableResult
    public func add(word: String) async throws -> Bool {
        try await call { try $0.addWord(word: word) }
    }

    /// Forgets a word, whatever its case, and all that was learned with it, in the file too.
    ///
    /// - Returns: Whether it was known.
    @discardableResult
    public func forget(_ word: String) async throws -> Bool {
        try await call { try $0.forget(word: word) }
    }

    /// Forgets everything.
    public func wipe() async throws {
        try await call { try $0.wipe() }
    }

    /// While paused nothing is learned; what is known stays in use.
    public func setPaused(_ isPaused: Bool) async throws {
        try await call { $0.pause(paused: isPaused) }
    }

    /// Everything, as JSON, for ``add(_:)``. It is not sealed.
    public func exported() async throws -> String {
        try await call { $0.export() }
    }

    /// Adds what was exported: of what both know, the counts add up.
    ///
    /// - Throws: ``NibbleError/invalidArgument(reason:)`` where it is no export; nothing was taken from it.
    public func add(_ exported: String) async throws {
        try await call { try $0.add(exported: exported) }
    }

    /// Writes down what was not yet, and closes the file. Keyboards that were opened with it go on, and keep nothing more.
    public func close() async throws {
        try await call { try $0.close() }
    }

    private func call<Value: Sendable>(
        _ body: @escaping @Sendable (NibbleFFI.LearnedWords) throws -> Value
    ) async throws -> Value {
        try await DispatchQueue.nibbleLearning.call { [native] in try body(native) }
    }
}
