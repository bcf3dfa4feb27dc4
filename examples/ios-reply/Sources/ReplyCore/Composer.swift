// What happens to the text field while the model writes into it and the user types.

import Foundation

/// What is in the text field, and whether the model is writing it. A draft is text like any other: it can be stopped, edited and
/// deleted, and it is sent by the user alone, when it is no longer being written.
struct Composer: Equatable, Sendable {
    private(set) var text = ""
    private(set) var isWriting = false
    /// What the draft took the place of.
    private var replaced = ""

    var canSend: Bool {
        !isWriting && !text.allSatisfy(\.isWhitespace)
    }

    /// A draft begins, in the place of what was there.
    mutating func begin() {
        self = Composer(isWriting: true, replaced: text)
    }

    /// The model wrote something; after a stop nothing of it is taken.
    mutating func add(_ piece: String) {
        guard isWriting else { return }
        text = String((text + piece).drop(while: \.isWhitespace))
    }

    /// The draft is whole, or was stopped: what there is stays, to be edited. Where there is nothing, what was there before comes back.
    mutating func end() {
        guard isWriting else { return }
        self = Composer(text: text.isEmpty ? replaced : text)
        while text.last?.isWhitespace == true { text.removeLast() }
    }

    /// The draft failed: half of it is worth less than what was there before.
    mutating func fail() {
        if isWriting, !replaced.isEmpty { text = "" }
        end()
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
