// What happens to the text field while the model writes into it and the user types.

import Foundation

/// What is in the text field, and whether the model is writing it. A draft is text like any other: it can be stopped, edited and
/// deleted, and it is sent by the user alone, when it is no longer being written.
struct Composer: Equatable, Sendable {
    private(set) var text = ""
    private(set) var isWriting = false

    var canSend: Bool {
        !isWriting && !text.allSatisfy(\.isWhitespace)
    }

    /// A draft begins, in the place of what was there.
    mutating func begin() {
        self = Composer(isWriting: true)
    }

    /// The model wrote something; after a stop nothing of it is taken.
    mutating func add(_ piece: String) {
        guard isWriting else { return }
        text = String((text + piece).drop(while: \.isWhitespace))
    }

    /// The draft is whole, was stopped, or failed: what there is stays, to be edited.
    mutating func end() {
        guard isWriting else { return }
        isWriting = false
        while text.last?.isWhitespace == true { text.removeLast() }
    }

    /// The user changed the text: a draft under way is the user's from now on.
    mutating func type(_ typed: String) {
        self = Composer(text: typed)
    }

    /// What is sent, which leaves the field empty; `nil` where there is nothing to send.
    mutating func send() -> String? {
        guard canSend else { return nil }
        defer { self = Composer() }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
