// What thinks of replies.

import Foundation
import ModelSetup
import Nibble

/// What thinks of replies: Nibble's `Replier`, and something simpler in tests.
public protocol Assistant: Sendable {
    /// Replies to the last turn.
    func suggest(_ turns: [Replier.Turn]) async throws -> Suggestions

    /// A reply in the assistant's own words, piece by piece; each is computed when it is asked for.
    func draft(_ turns: [Replier.Turn]) -> AsyncThrowingStream<String, any Error>
}

/// What is suggested under a message.
public enum Suggestions: Equatable, Sendable {
    /// The best one first.
    case replies([String])
    /// A reply would be out of place.
    case silence(Replier.Silence)
}

/// Replies by Nibble.
struct NibbleAssistant: Assistant {
    private let replier: Replier

    /// Over the model that is installed in this folder.
    init(modelIn folder: URL) async throws {
        replier = try await ModelSetup.open(in: folder).replier()
    }

    func suggest(_ turns: [Replier.Turn]) async throws -> Suggestions {
        let found = try await replier.suggest(turns)
        return found.silence.map(Suggestions.silence) ?? .replies(found.replies.map(\.text))
    }

    func draft(_ turns: [Replier.Turn]) -> AsyncThrowingStream<String, any Error> {
        let draft = replier.draft(turns)
        return AsyncThrowingStream(unfolding: { try await draft.makeAsyncIterator().next()?.text })
    }
}
