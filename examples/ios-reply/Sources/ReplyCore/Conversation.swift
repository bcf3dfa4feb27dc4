// What was said, and the conversations of the demo. They are in memory alone: nothing that is said here is stored.

import Nibble

/// Something that was said.
public struct Message: Equatable, Sendable {
    public let isMine: Bool
    public let text: String

    static func mine(_ text: String) -> Message { Message(isMine: true, text: text) }

    static func theirs(_ text: String) -> Message { Message(isMine: false, text: text) }
}

/// A conversation with one other side.
public struct Conversation: Equatable, Sendable {
    /// Who the other side is.
    public let name: String
    public private(set) var messages: [Message]
    /// What the other side says next, a line after each answer.
    private(set) var script: [String]

    init(with name: String, _ messages: [Message], script: [String] = []) {
        self.name = name
        self.messages = messages
        self.script = script
    }

    /// The messages, as a replier takes them.
    var turns: [Replier.Turn] {
        messages.map { Replier.Turn(fromMe: $0.isMine, text: $0.text) }
    }

    /// The user says something.
    mutating func say(_ text: String) {
        messages.append(.mine(text))
    }

    /// The other side says its next line, if it has one.
    mutating func hear() {
        guard !script.isEmpty else { return }
        messages.append(.theirs(script.removeFirst()))
    }
}

extension Conversation {
    /// The conversations of the demo: in each of them somebody waits for an answer.
    public static let demo = [
        Conversation(
            with: "Mia",
            [
                .theirs("Have you found out when the train goes?"),
                .mine("17:42 from platform 3, so we have time for a coffee."),
                .theirs("Perfect. Are you coming to the party on Saturday?"),
            ],
            script: [
                "Great! It starts at eight. Can you bring something to drink?",
                "You are the best. See you there!",
            ]),
        Conversation(
            with: "Jonas",
            [
                .mine("Here are the photos from the lake."),
                .theirs("They are beautiful, thank you so much!"),
            ],
            script: ["Shall we go again next month?", "I will look for a weekend."]),
        Conversation(
            with: "Grandma Ruth",
            [.theirs("I baked an apple cake today. Would you like to come over on Sunday?")],
            script: ["Wonderful. At three, as always?"]),
        Conversation(
            with: "Running group",
            [.theirs("We meet at seven at the bridge tomorrow. Is everybody in?")],
            script: ["Good. Bring a light, it is dark early."]),
        Conversation(
            with: "Leila",
            [.theirs("Sorry, I am running late. Can we meet half an hour later?")],
            script: ["Thanks! I will hurry."]),
    ]
}
