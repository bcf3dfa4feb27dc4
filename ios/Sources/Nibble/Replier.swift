// Replies to a message: chosen from a checked set, or drafted.

import Dispatch
internal import NibbleFFI

/// Suggests replies to a message, to be sent or edited by a person.
public final class Replier: Sendable {
    private let native: NibbleFFI.Replier
    private let queue = DispatchQueue.nibbleTimeline()

    init(_ native: NibbleFFI.Replier) {
        self.native = native
    }

    /// Replies from a checked set to the last turn of a chat.
    ///
    /// A newer request ends an older one with ``NibbleError/superseded(reason:)``; drafts go on. Which one is newer is
    /// settled when the call is made.
    ///
    /// - Parameters:
    ///   - chat: The turns, in the order in which they were said.
    ///   - count: How many replies at most.
    ///   - isolation: That of the caller, on which the order of calls is settled. Leave it out.
    /// - Throws: ``NibbleError/superseded(reason:)``, ``NibbleError/closed(reason:)``, `CancellationError` where the task
    ///   was cancelled.
    public func suggest(
        _ chat: [Turn], count: Int = 3, isolation: isolated (any Actor)? = #isolation
    ) async throws -> Replies {
        // What is not wanted any more must not take the place of what is.
        try Task.checkCancellation()
        let ticket = native.ticket()
        return try await queue.call(isolation: isolation, cancel: { [native] in native.cancel(ticket: ticket) }) {
            [native] in
            Replies(try native.suggest(ticket: ticket, chat: chat.map(\.native), count: unsigned(count, "count")))
        }
    }

    /// A reply to the last turn of a chat in the model's own words, to be edited before it is sent. At most one line.
    /// Nothing is computed before the first piece is asked for.
    ///
    /// Models of a few hundred million parameters write poorly: ``suggest(_:count:isolation:)`` is for them.
    public func draft(_ chat: [Turn], sampling: Sampling = Sampling()) -> Generation {
        Generation(on: queue) { [native] in
            try native.draft(chat: chat.map(\.native), sampling: sampling.native())
        }
    }

    /// Closes the replier and what it writes, and returns at once: what runs ends with ``NibbleError/closed(reason:)``.
    /// Closing twice does nothing. A replier that nothing refers to any more closes by itself.
    public func close() {
        native.close()
    }
}

extension Replier {
    /// One turn of a conversation.
    public struct Turn: Sendable, Equatable {
        /// Whether the user said it.
        public var fromMe: Bool
        /// What was said.
        public var text: String

        public init(fromMe: Bool, text: String) {
            self.fromMe = fromMe
            self.text = text
        }

        fileprivate var native: NibbleFFI.Turn { NibbleFFI.Turn(fromMe: fromMe, text: text) }
    }

    /// The replies to a message.
    public struct Replies: Sendable, Equatable {
        /// At most as many as were asked for, best first, with different intents.
        public let replies: [Reply]
        /// Why there are none, where a suggestion is out of place.
        public let silence: Silence?

        fileprivate init(_ found: NibbleFFI.Replies) {
            replies = found.replies.map(Reply.init)
            silence = found.silence.map(Silence.init)
        }
    }

    /// A suggested reply.
    public struct Reply: Sendable, Equatable {
        /// What would be sent.
        public let text: String
        /// What the reply does: `accept`, `decline`, ...
        public let intent: String
        /// Compares replies to one message only.
        public let score: Double

        fileprivate init(_ reply: NibbleFFI.Reply) {
            text = reply.text
            intent = reply.intent
            score = reply.score
        }
    }

    /// Why nothing is suggested.
    public enum Silence: Sendable, Equatable {
        /// There is no message, or it has no words.
        case nothing
        /// The last turn is the user's own.
        case ownTurn
        /// A one-time code or a password.
        case code
        /// A topic on which no ready-made reply is right.
        case sensitive
        /// Sent by a machine.
        case automated
        /// A language that the set of replies is not written in.
        case language

        fileprivate init(_ reason: NibbleFFI.SilenceReason) {
            switch reason {
            case .nothing: self = .nothing
            case .ownTurn: self = .ownTurn
            case .code: self = .code
            case .sensitive: self = .sensitive
            case .automated: self = .automated
            case .language: self = .language
            }
        }
    }
}
