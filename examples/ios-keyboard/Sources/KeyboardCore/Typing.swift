// One text field at a time: what a key does to its text, and what is shown then.

import Foundation
import Nibble

/// What the keyboard shows.
public struct TypingState: Equatable, Sendable {
    public var input = InputField()
    public var page = Page.letters
    public var letters = Letters.qwerty
    public var shift = Shift()
    /// Whether the device has other keyboards, and none of its own keys leads to them.
    public var hasGlobe = true
    /// Whether Nibble thinks along.
    public var isHelped = false
    /// What is known of the words at the cursor.
    public var strip: TypingSession.Strip?

    public var rows: [[Key]] { KeyboardCore.rows(of: page, letters: letters, field: input.field, hasGlobe: hasGlobe) }

    public var slots: [Slot] {
        strip.map { KeyboardCore.slots($0.suggestions, typed: $0.replaces, autocorrect: $0.autocorrect, ahead: $0.ahead) } ?? []
    }

    /// What the strip says where it has no words.
    public var note: String? {
        guard slots.isEmpty else { return nil }
        if input.isPrivate { return "Private field: nothing you type here is learned." }
        return isHelped ? nil : "Suggestions need a language model: open Nibble Keyboard."
    }
}

/// One keyboard at work. Without a model it types what is on the keys.
@MainActor public final class Typing {
    /// What is shown.
    public private(set) var state = TypingState() {
        didSet { if state != oldValue { changed(state) } }
    }

    /// Is told whenever ``state`` has changed.
    public var changed: @MainActor (TypingState) -> Void = { _ in }

    private unowned let document: any Document
    private let keyboard: @MainActor () -> Keyboard?
    private let now: @MainActor () -> ContinuousClock.Instant
    private var session: TypingSession?
    private var watching: Task<Void, Never>?
    /// The text field, as the system knows it.
    private var identifier: UUID?

    /// - Parameters:
    ///   - document: What is typed into. It is there for as long as this.
    ///   - keyboard: Nibble's, as soon as there is one.
    ///   - now: The time; tests have one of their own.
    public init(
        in document: any Document, keyboard: @escaping @MainActor () -> Keyboard?,
        now: @escaping @MainActor () -> ContinuousClock.Instant = { .now }
    ) {
        self.document = document
        self.keyboard = keyboard
        self.now = now
    }

    deinit {
        watching?.cancel()
    }

    /// The letters are arranged like this, and there is a key for the next keyboard or none.
    public func arrange(_ letters: Letters, hasGlobe: Bool) {
        state.letters = letters
        state.hasGlobe = hasGlobe
    }

    /// A text field is typed in from now on. Of the one that is typed in already this is news of its text.
    public func begin(_ input: InputField, of identifier: UUID) {
        if self.identifier == identifier, input == state.input { return report() }
        self.identifier = identifier
        state.input = input
        state.page = input.page
        state.shift = Shift()
        assist()
    }

    /// Asks for help once more: there may be a model by now.
    public func assist() {
        guard identifier != nil else { return }
        leave()
        session = keyboard()?.start(field: state.input.field, before: document.before, after: document.after)
        if let session {
            if document.isSelected { report() }
            watching = Task { [weak self] in
                do {
                    for try await strip in session.strips { self?.state.strip = strip }
                } catch {
                    // Whoever types can do nothing about it, and the keys go on without a strip.
                    self?.state.strip = nil
                }
            }
        }
        state.isHelped = session != nil
        followText()
    }

    /// The text field is left.
    public func end() {
        identifier = nil
        leave()
    }

    /// The document says that its text or its cursor changed, by us or by somebody else, and perhaps a while ago.
    public func report() {
        session?.reported(before: document.before, after: document.after, isSelected: document.isSelected)
        followText()
    }

    /// A key was hit, at a point in units if that is known.
    public func press(_ action: Action, at point: CGPoint? = nil) {
        switch action {
        case .type(let text): type(state.shift.apply(text), at: point)
        case .show(let page): state.page = page
        case .shift: state.shift.tap(at: now())
        case .lockCapitals: state.shift.lock()
        case .backspace: backspace()
        case .enter: enter()
        case .nextKeyboard: break
        }
    }

    /// A word on the strip was tapped.
    public func take(_ slot: Slot) {
        guard let strip = state.strip else { return }
        // The word may have been offered for a text that the document has changed since.
        report()
        guard let edit = session?.accept(slot.suggestion, from: strip) else { return }
        document.apply(edit)
        wrote()
    }

    private func type(_ text: String, at point: CGPoint?) {
        // After a space come letters as a rule.
        if text == " " { state.page = state.input.page }
        if let session { document.apply(session.key(text, at: point)) } else { document.insert(text) }
        wrote()
    }

    private func backspace() {
        if let edit = session?.backspace(), !edit.isEmpty { document.apply(edit) } else { document.deleteBackward() }
        followText()
    }

    /// Where the key does something else than to begin a line, nothing is corrected: the text is sent as it is seen.
    private func enter() {
        guard state.input.returnKey != nil else { return type("\n", at: nil) }
        document.insert("\n")
        wrote()
    }

    private func wrote() {
        state.shift.typed()
        followText()
    }

    private func leave() {
        watching?.cancel()
        session?.close()
        session = nil
        state.isHelped = false
        state.strip = nil
    }

    private func followText() {
        let isCapital =
            switch state.input.capitals {
            case .none: false
            case .all: true
            case .words: document.before.last.map(\.isWhitespace) ?? true
            // The document may not have heard of the last edit yet; the session has.
            case .sentences: session?.beginsSentence ?? Self.beginsSentence(after: document.before)
            }
        state.shift.follow(isCapital)
    }

    private static func beginsSentence(after text: String) -> Bool {
        guard let last = text.last(where: { !$0.isWhitespace }) else { return true }
        return text.last?.isNewline == true || (text.last?.isWhitespace == true && ".!?…".contains(last))
    }
}
