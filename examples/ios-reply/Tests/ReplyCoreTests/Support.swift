// What the tests share: an assistant that answers as it is told, and a way to wait for what is shown.

import Foundation
import Nibble
import Observation

@testable import ReplyCore

/// Answers at once with the same replies, and writes what a test has its pen write.
@MainActor final class FakeAssistant: Assistant {
    /// What it was asked for replies to.
    private(set) var asked: [[Replier.Turn]] = []
    /// Writes the draft that is asked for next, or is under way.
    var pen: AsyncThrowingStream<String, any Error>.Continuation { paper.continuation }
    /// Is run before it answers.
    var thinking: () -> Void = {}
    private let suggestions: Suggestions
    private var paper = AsyncThrowingStream<String, any Error>.makeStream()

    init(_ suggestions: Suggestions = .replies(["Yes!", "No."])) {
        self.suggestions = suggestions
    }

    func suggest(_ turns: [Replier.Turn]) async throws -> Suggestions {
        asked.append(turns)
        thinking()
        return turns.last?.fromMe == true ? .silence(.ownTurn) : suggestions
    }

    nonisolated func draft(_ turns: [Replier.Turn]) -> AsyncThrowingStream<String, any Error> {
        MainActor.assumeIsolated { paper.stream }
    }

    /// Another draft can be asked for.
    func takePaper() {
        paper = AsyncThrowingStream.makeStream()
    }

    /// Waits until nobody reads the draft any more. A reader who is between two pieces learns that it was stopped when it asks for the next.
    func stopped() async {
        while true {
            if case .terminated = pen.yield("never") { return }
            await Task.yield()
        }
    }
}

/// Something that goes wrong.
struct Trouble: Error {}

/// Waits until what is shown is as it should be. It looks when something that it depends on has changed.
@MainActor func waited(until condition: () -> Bool) async {
    while !condition() {
        await withCheckedContinuation { continuation in
            withObservationTracking { _ = condition() } onChange: { continuation.resume() }
        }
    }
}

extension Conversation {
    static let party = Conversation(with: "Mia", [.theirs("Are you in?")], script: ["Great."])
}

extension Chat {
    /// A chat of which nothing is kept.
    convenience init(
        _ conversation: Conversation, brain: Brain,
        pause: @escaping @Sendable () async -> Void = { try? await Task.sleep(for: .milliseconds(1200)) }
    ) {
        self.init(conversation, brain: brain, unsent: Unsent(in: URL(fileURLWithPath: "/nowhere")), pause: pause)
    }
}
