// When chips are asked for, when a draft begins and ends.

import Nibble
import Observation

/// Answers to what was said last: chips, and a draft in a text field. A chat shows it below its messages, the share sheet below
/// the one that was shared, and the App Intent hands over what comes of it.
@MainActor @Observable public final class Drafting {
    /// What was said, oldest first.
    public internal(set) var turns: [Replier.Turn] {
        didSet {
            suggestions = nil
            hasFailed = false
            // A draft under way answers what was said before.
            stop()
        }
    }

    private let brain: Brain
    private var composer = Composer()
    private var suggestions: Suggestions?
    /// The last draft came to nothing.
    private var hasFailed = false
    private var work: Task<Void, Never>?

    init(_ turns: [Replier.Turn], brain: Brain) {
        self.turns = turns
        self.brain = brain
    }

    /// Of one message that somebody else wrote.
    public convenience init(answering message: String, brain: Brain) {
        self.init([Replier.Turn(fromMe: false, text: message)], brain: brain)
    }
}

// MARK: What is shown

extension Drafting {
    /// Replies to choose from. They are shown while the text field is empty.
    public var chips: [String] {
        guard composer == Composer(), case .replies(let replies) = suggestions else { return [] }
        return replies
    }

    /// What is in the text field; the user's typing is set here.
    public var text: String {
        get { composer.text }
        set {
            // A text field also reports what it was given.
            guard newValue != composer.text else { return }
            work?.cancel()
            composer.type(newValue)
            hasFailed = false
        }
    }

    /// What would stay in the text field if a draft under way were stopped now.
    var unsent: String {
        var composer = composer
        composer.end()
        return composer.text
    }

    public var isWriting: Bool { composer.isWriting }

    public var canDraft: Bool { brain.assistant != nil && !isWriting && turns.last?.fromMe == false }

    public var canSend: Bool { composer.canSend }

    public var note: Note? {
        if brain.assistant == nil { return brain.isOpening ? nil : .noModel }
        if isWriting { return .writing }
        if hasFailed { return .noDraft }
        guard text.isEmpty, case .silence(let reason) = suggestions else { return nil }
        return Note(reason)
    }
}

// MARK: What is done

extension Drafting {
    /// What the chips depend on: they are asked for anew when it changes.
    public struct Question: Equatable {
        let turns: [Replier.Turn]
        let isReady: Bool
    }

    public var question: Question { Question(turns: turns, isReady: brain.assistant != nil) }

    /// Asks for chips, unless they are there. One request at a time is under way in the whole process: a newer one takes the place
    /// of an older one, whatever chat it is of.
    public func suggest() async {
        guard suggestions == nil, let assistant = brain.assistant else { return }
        let turns = turns
        // Where that fails there are no chips: nobody waits for them.
        guard let found = try? await assistant.suggest(turns), turns == self.turns else { return }
        suggestions = found
    }

    /// Has the model write into the text field, in the place of what is there.
    public func write() {
        guard canDraft, let assistant = brain.assistant else { return }
        composer.begin()
        hasFailed = false
        work = Task { [turns] in
            do {
                for try await piece in assistant.draft(turns) {
                    try Task.checkCancellation()
                    composer.add(piece)
                }
                try Task.checkCancellation()
                hasFailed = composer.text.isEmpty
                composer.end()
            } catch {
                // Whoever cancelled it has said what becomes of the text.
                if Task.isCancelled { return }
                hasFailed = true
                composer.fail()
            }
        }
    }

    /// Waits for the end of the draft. Cancelling the task that waits stops it.
    func written() async {
        guard let work else { return }
        await withTaskCancellationHandler { await work.value } onCancel: { work.cancel() }
    }

    /// Stops the model; what it wrote stays.
    public func stop() {
        work?.cancel()
        composer.end()
    }

    /// What is to be sent, which leaves the field empty; `nil` where there is nothing.
    func send() -> String? {
        composer.send()
    }
}

// MARK: Without a screen

extension Drafting {
    /// What is answered to a message where nobody looks on.
    public struct Answer: Equatable, Sendable {
        /// Replies to choose from, or the one draft.
        public let replies: [String]
        /// Says what they are, or why there are none.
        public let summary: String
    }

    /// Opens the model and answers a message: with replies of the checked set, or with a draft in the model's own words.
    ///
    /// - Throws: as `Brain.opened()`; `CancellationError`.
    public static func answer(to message: String, inOwnWords: Bool, brain: Brain = .shared) async throws -> Answer {
        let drafting = Drafting(answering: message, brain: brain)
        try await brain.opened()
        if inOwnWords {
            drafting.write()
            await drafting.written()
        } else {
            await drafting.suggest()
        }
        try Task.checkCancellation()
        let replies = inOwnWords ? [drafting.text].filter { !$0.isEmpty } : drafting.chips
        let reason = drafting.note?.text ?? "There is nothing to reply to."
        return Answer(replies: replies, summary: replies.isEmpty ? reason : replies.joined(separator: "\n"))
    }
}
