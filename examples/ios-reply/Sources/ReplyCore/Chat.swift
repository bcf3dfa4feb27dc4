// What is sent, and what comes back.

import Observation

/// One open conversation of the app. It outlives the view that shows it, so that leaving it loses no text.
@MainActor @Observable public final class Chat: Identifiable {
    public private(set) var conversation: Conversation {
        didSet { drafting.turns = conversation.turns }
    }

    /// Answers to the last message.
    public let drafting: Drafting

    private let unsent: Unsent
    private let pause: @Sendable () async -> Void
    /// The other side, which is about to answer.
    private(set) var answering: Task<Void, Never>?

    /// - Parameters:
    ///   - brain: Thinks of replies.
    ///   - unsent: What was typed before the app was killed.
    ///   - pause: How long the other side of the demo takes to answer.
    public init(
        _ conversation: Conversation, brain: Brain, unsent: Unsent,
        pause: @escaping @Sendable () async -> Void = { try? await Task.sleep(for: .milliseconds(1200)) }
    ) {
        self.conversation = conversation
        self.unsent = unsent
        self.pause = pause
        drafting = Drafting(conversation.turns, brain: brain)
        drafting.text = unsent[conversation.name]
    }

    /// Keeps what is in the text field, for the case that the app is killed.
    public func keep() {
        unsent[conversation.name] = drafting.unsent
    }

    /// Sends what is in the text field.
    public func send() {
        guard let text = drafting.send() else { return }
        conversation.say(text)
        keep()
        answering = Task {
            await pause()
            conversation.hear()
        }
    }
}
