// Word prediction for the word at the cursor.

import Dispatch
internal import NibbleFFI

/// Predicts words. It keeps what it computed from one key to the next.
///
/// Ask at every key, and do not wait for the answer to the key before: only the newest request matters, and a newer one
/// ends an older one with ``NibbleError/superseded(reason:)``. Which one is newer is settled when the call is made: tasks
/// that one actor, such as the main actor, starts one after another ask in that order.
public final class Keyboard: Sendable {
    private let native: NibbleFFI.Keyboard
    private let queue = DispatchQueue.nibbleTimeline()

    init(_ native: NibbleFFI.Keyboard) {
        self.native = native
    }

    /// The most probable words at the cursor.
    ///
    /// - Parameters:
    ///   - context: The text before the word at the cursor.
    ///   - typed: What was typed of that word.
    ///   - count: How many words at most.
    ///   - isolation: That of the caller, on which the order of calls is settled. Leave it out.
    /// - Throws: ``NibbleError/superseded(reason:)`` where a newer request took the place of this one,
    ///   ``NibbleError/closed(reason:)``, `CancellationError` where the task was cancelled.
    public func suggest(
        context: String, typed: String = "", count: Int = 3, isolation: isolated (any Actor)? = #isolation
    ) async throws -> Suggestions {
        try await ask(isolation) { native, ticket in
            try native.suggest(ticket: ticket, context: context, typed: typed, count: unsigned(count, "count"))
        }
    }

    /// As ``suggest(context:typed:count:isolation:)``, from what is already known: the model runs once at most, when the
    /// context is new. Show this first, and then ask for suggestions.
    public func glance(
        context: String, typed: String = "", count: Int = 3, isolation: isolated (any Actor)? = #isolation
    ) async throws -> Suggestions {
        try await ask(isolation) { native, ticket in
            try native.glance(ticket: ticket, context: context, typed: typed, count: unsigned(count, "count"))
        }
    }

    /// Closes the keyboard, and returns at once: what runs ends with ``NibbleError/closed(reason:)``. Closing twice does
    /// nothing. A keyboard that nothing refers to any more closes by itself.
    public func close() {
        native.close()
    }

    /// Takes the ticket on the caller's actor, before anything is waited for: that makes the order of tickets that of
    /// calls.
    private func ask(
        _ isolation: isolated (any Actor)?,
        _ request: @escaping @Sendable (NibbleFFI.Keyboard, UInt64) throws -> NibbleFFI.Suggestions
    ) async throws -> Suggestions {
        // What is not wanted any more must not take the place of what is.
        try Task.checkCancellation()
        let ticket = native.ticket()
        return try await queue.call(isolation: isolation, cancel: { [native] in native.cancel(ticket: ticket) }) {
            [native] in Suggestions(try request(native, ticket))
        }
    }
}

extension Keyboard {
    /// The words for the strip, best first.
    public struct Suggestions: Sendable, Equatable {
        /// At most as many as were asked for, no two the same but for case.
        public let suggestions: [Suggestion]
        /// The text before the cursor that a suggestion takes the place of.
        public let replaces: String
        /// Whether it is proven that no other word is more probable.
        public let isProven: Bool

        fileprivate init(_ found: NibbleFFI.Suggestions) {
            suggestions = found.suggestions.map(Suggestion.init)
            replaces = found.replaces
            isProven = found.proven
        }
    }

    /// A word for the strip.
    public struct Suggestion: Sendable, Equatable {
        /// What a suggestion is to what was typed.
        public enum Kind: Sendable, Equatable {
            /// Nothing was typed yet.
            case nextWord
            /// It goes on with what was typed.
            case completion
            /// It is what was typed.
            case literal
            /// It mends what was typed, and perhaps goes on with it.
            case correction
        }

        /// The whole word, what was typed of it included.
        public let word: String
        /// How probable it is, given the text before it and what was typed; 0 to 1.
        public let probability: Double
        /// What it is to what was typed.
        public let kind: Kind

        fileprivate init(_ suggestion: NibbleFFI.Suggestion) {
            word = suggestion.word
            probability = suggestion.probability
            kind =
                switch suggestion.kind {
                case .nextWord: .nextWord
                case .completion: .completion
                case .literal: .literal
                case .correction: .correction
                }
        }
    }
}
