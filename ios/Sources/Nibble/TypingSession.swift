// One text field while it is typed in: what each key does to the text, and what the strip shows.

import Dispatch
import Foundation
internal import NibbleFFI

/// One text field while it is typed in, for a keyboard extension.
///
/// It knows the text around the cursor, says what each key does to it, tells what the strip should show, and learns what is written:
///
/// ```swift
/// let typing = keyboard.start(field: .text, before: proxy.documentContextBeforeInput ?? "")
/// Task { for try await strip in typing.strips { show(strip) } }
/// func tapped(_ key: String, at point: CGPoint) { apply(typing.key(key, at: point)) }
/// ```
///
/// where `apply` does to the document what an ``Edit`` says. The document's own account of its text, given to
/// ``reported(before:after:isSelected:)``, is compared with what the keys have made of it: documents that tell late, in part or wrongly
/// neither lose nor double a letter.
///
/// All functions but ``strips`` return at once and wait for nothing. A session that nothing refers to any more, and that was not closed,
/// has learned all but its last word.
public final class TypingSession: Sendable {
    private let keyboard: Keyboard
    private let native: NibbleFFI.TypingSession
    private let listener = Locked<AsyncStream<Void>.Continuation?>(nil)
    /// Another number for every text that there was.
    private let text = Locked(0)

    init(_ keyboard: Keyboard, _ native: NibbleFFI.TypingSession) {
        self.keyboard = keyboard
        self.native = native
    }

    /// What the strip should show, anew at every change of the text: first what is known at once, then what the model has found, and then
    /// that with several words ``Strip/ahead``, where some are likely. One loop at a time gets them, the last that was begun; it ends when
    /// the session is closed, and throws what ``Keyboard/suggest(context:typed:count:touches:field:gate:isolation:)`` does, but not
    /// ``NibbleError/superseded(reason:)``.
    public var strips: Strips {
        let (texts, changed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        listen(with: changed)
        changed.yield()
        let found = Strips.Found(bufferingPolicy: .bufferingNewest(2)) { strips in
            let task = Task { [self] in
                do {
                    for await _ in texts { try await show(in: strips) }
                    strips.finish()
                } catch {
                    strips.finish(throwing: error)
                }
            }
            strips.onTermination = { _ in
                changed.finish()
                task.cancel()
            }
        }
        return Strips(found: found, text: text)
    }

    /// Whether a sentence begins at the cursor, so that a shift key may go down by itself.
    public var beginsSentence: Bool { native.beginsSentence() }

    /// A key, such as a letter, a mark, a space or a new line. The end of a word brings in the correction that the
    /// strip has shown; a mark takes the place of a space that came with a suggestion, but for those that
    /// have a space before them in French, if that is the language that is written most.
    ///
    /// - Parameters:
    ///   - text: What it types.
    ///   - point: Where it was hit, in the unit of the layout.
    public func key(_ text: String, at point: CGPoint? = nil) -> Edit {
        change { Edit($0.key(text: text, x: Float(point?.x ?? .nan), y: Float(point?.y ?? .nan))) }
    }

    /// The backspace key; right after a correction it takes that back. An empty edit hands the key on to the document: it has a
    /// selection, or text that is not known here.
    public func backspace() -> Edit {
        change { Edit($0.backspace()) }
    }

    /// A suggestion was taken from this strip. Tell what the document says first, see ``reported(before:after:isSelected:)``.
    ///
    /// - Returns: `nil` where the text has changed since the strip was shown: nothing is to be done then, and another strip comes.
    public func accept(_ suggestion: Keyboard.Suggestion, from strip: Strip) -> Edit? {
        change { $0.accept(generation: strip.generation, word: suggestion.word).map(Edit.init) }
    }

    /// What the document says the text around the cursor is, as far as it tells. Call it when the text or the selection has changed,
    /// and before ``accept(_:from:)``. What it said before it had heard of the last edits changes nothing.
    ///
    /// - Parameters:
    ///   - before: What stands before the cursor.
    ///   - after: What stands behind it.
    ///   - isSelected: Whether some text is selected: the next edit replaces it, and nothing is suggested.
    public func reported(before: String, after: String, isSelected: Bool = false) {
        if native.reported(before: before, after: after, selected: isSelected) {
            tell()
        }
    }

    /// The field is left, and what was written there is learned, without waiting for it. What is typed afterwards is neither shown nor
    /// learned.
    public func close() {
        native.finish()
        listen(with: nil)
        learn()
    }

    private func change<Value>(_ body: (NibbleFFI.TypingSession) -> Value) -> Value {
        defer { tell() }
        return body(native)
    }

    /// There is another text.
    private func tell() {
        text.withLock { $0 += 1 }
        _ = listener.withLock { $0?.yield() }
    }

    private func listen(with next: AsyncStream<Void>.Continuation?) {
        listener.withLock { listener in
            listener?.finish()
            listener = next
        }
    }

    /// Ends what was asked for a text when there is another one.
    private func show(in strips: Strips.Found.Continuation) async throws {
        let text = text.withLock(\.self)
        do {
            strips.yield((text, Strip(try await keyboard.ask { [native] in try native.glance(ticket: $0) }, isRefined: false)))
            var refined = Strip(try await keyboard.ask { [native] in try native.refine(ticket: $0) }, isRefined: true)
            strips.yield((text, refined))
            learn()
            if let ahead = try await keyboard.ask({ [native] in try native.lookAhead(ticket: $0) }) {
                refined.ahead = Keyboard.Suggestion(ahead)
                strips.yield((text, refined))
            }
        } catch NibbleError.superseded {}
    }

    /// What cannot be written down counts all the same, and is tried again with the next word; the log says why.
    private func learn() {
        DispatchQueue.nibbleLearning.async { [native] in try? native.learn() }
    }
}

extension TypingSession {
    /// What to do to the text at the cursor: remove ``delete``, which stands right before it, and then insert ``insert``; where text is
    /// selected, the selection goes too. On a `UITextDocumentProxy` that is `deleteBackward()` for each character of ``delete``, and
    /// `insertText(_:)`.
    public struct Edit: Sendable, Equatable {
        /// Text to remove.
        public let delete: String
        /// Text to insert.
        public let insert: String

        /// Whether it does nothing.
        public var isEmpty: Bool { delete.isEmpty && insert.isEmpty }

        fileprivate init(_ edit: NibbleFFI.Edit) {
            delete = edit.delete
            insert = edit.insert
        }
    }

    /// What the strip should show, from one text to the next.
    public struct Strips: AsyncSequence, Sendable {
        typealias Found = AsyncThrowingStream<(text: Int, strip: Strip), any Error>

        fileprivate let found: Found
        fileprivate let text: Locked<Int>

        public func makeAsyncIterator() -> AsyncIterator {
            AsyncIterator(found: found.makeAsyncIterator(), text: text)
        }

        /// Waits for the strips.
        public struct AsyncIterator: AsyncIteratorProtocol {
            fileprivate var found: Found.AsyncIterator
            fileprivate let text: Locked<Int>

            /// The next strip, when there is one; `nil` when the session is closed.
            public mutating func next() async throws -> Strip? {
                while let (of, strip) = try await found.next() {
                    // On its way it may have been overtaken by a key.
                    if of == text.withLock(\.self) { return strip }
                }
                return nil
            }
        }
    }

    /// What the strip shows for one text.
    public struct Strip: Sendable, Equatable {
        /// At most three words, best first; none where nothing is worth a look.
        public let suggestions: [Keyboard.Suggestion]
        /// The text before the cursor that a suggestion takes the place of.
        public let replaces: String
        /// The word that a space will put in the place of ``replaces``; `nil` if what was typed stays.
        public let autocorrect: String?
        /// Whether the model was asked; else another strip for this text is on its way.
        public let isRefined: Bool
        /// Several words in the place of ``replaces``, which are right about as often as not.
        public fileprivate(set) var ahead: Keyboard.Suggestion?

        fileprivate let generation: UInt64

        fileprivate init(_ strip: NibbleFFI.Strip, isRefined: Bool) {
            suggestions = strip.suggestions.map(Keyboard.Suggestion.init)
            replaces = strip.replaces
            autocorrect = strip.autocorrect
            self.isRefined = isRefined
            generation = strip.generation
        }
    }
}
