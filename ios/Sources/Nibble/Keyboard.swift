// Word prediction for the word at the cursor, and what should take the place of what was typed.

import Dispatch
import Foundation
internal import NibbleFFI

/// Predicts words and, with a ``Lexicon``, sees through typing errors. It keeps what it computed from one key to the next.
///
/// Ask at every key, and do not wait for the answer to the key before: only the newest request matters, and a newer one
/// ends an older one with ``NibbleError/superseded(reason:)``. Which one is newer is settled when the call is made: tasks
/// that one actor, such as the main actor, starts one after another ask in that order.
public final class Keyboard: Sendable {
    private let native: NibbleFFI.Keyboard
    private let queue = DispatchQueue.nibbleTimeline()

    init(_ native: NibbleFFI.Keyboard) {
        self.native = native
    }

    /// The most probable words at the cursor.
    ///
    /// - Parameters:
    ///   - context: The text before the word at the cursor.
    ///   - typed: What was typed of that word.
    ///   - count: How many words at most.
    ///   - touches: Where the key of each Unicode scalar of `typed` was hit, in the unit of the layout; `nil` for what is not
    ///     known, and there may be fewer. They help to tell neighbours apart, with a ``Lexicon``.
    ///   - field: What the text field is for.
    ///   - gate: Leaves out words that are too improbable to be worth a look. What was typed and what a space would put there
    ///     are never left out. Without it there are always `count` words, if the model has as many.
    ///   - isolation: That of the caller, on which the order of calls is settled. Leave it out.
    /// - Throws: ``NibbleError/superseded(reason:)`` where a newer request took the place of this one,
    ///   ``NibbleError/closed(reason:)``, ``NibbleError/invalidArgument(reason:)`` where there are more touches than scalars,
    ///   `CancellationError` where the task was cancelled.
    public func suggest(
        context: String, typed: String = "", count: Int = 3, touches: [CGPoint?] = [], field: Field = .text,
        gate: Bool = true, isolation: isolated (any Actor)? = #isolation
    ) async throws -> Suggestions {
        let request = try makeRequest(context, typed, count, touches, field, gate)
        return try await ask(isolation) { native, ticket in try native.suggest(ticket: ticket, request: request) }
    }

    /// As ``suggest(context:typed:count:touches:field:gate:isolation:)``, from what is already known: the model runs once at
    /// most, when the context is new, and not at all where it has more than a few words to read. Show this first, and then ask for suggestions.
    public func glance(
        context: String, typed: String = "", count: Int = 3, touches: [CGPoint?] = [], field: Field = .text,
        gate: Bool = true, isolation: isolated (any Actor)? = #isolation
    ) async throws -> Suggestions {
        let request = try makeRequest(context, typed, count, touches, field, gate)
        return try await ask(isolation) { native, ticket in try native.glance(ticket: ticket, request: request) }
    }

    /// From the next request on the keys are there. Returns at once.
    ///
    /// - Throws: ``NibbleError/invalidArgument(reason:)`` where the keys are no layout, ``NibbleError/closed(reason:)``.
    public func setLayout(_ layout: Layout) throws {
        do {
            try native.setLayout(layout: layout.native)
        } catch {
            throw NibbleError(native: error)
        }
    }

    /// Typing begins in a text field. One session at a time is of use.
    ///
    /// - Parameters:
    ///   - field: What the field is for: in one for secrets nothing is suggested or kept, and only ordinary text is learned.
    ///   - before: What the document says stands before the cursor.
    ///   - after: What it says stands after the cursor.
    public func start(field: Field = .text, before: String = "", after: String = "") -> TypingSession {
        TypingSession(self, native.start(field: field.native, before: before, after: after))
    }

    /// Closes the keyboard, and returns at once: what runs ends with ``NibbleError/closed(reason:)``. Closing twice does
    /// nothing. A keyboard that nothing refers to any more closes by itself.
    public func close() {
        native.close()
    }

    private func ask(
        _ isolation: isolated (any Actor)?,
        _ request: @escaping @Sendable (NibbleFFI.Keyboard, UInt64) throws -> NibbleFFI.Suggestions
    ) async throws -> Suggestions {
        Suggestions(try await ask(isolation: isolation) { [native] ticket in try request(native, ticket) })
    }

    /// Takes the ticket on the caller's actor, before anything is waited for: that makes the order of tickets that of
    /// calls.
    func ask<Found: Sendable>(
        isolation: isolated (any Actor)? = #isolation, _ request: @escaping @Sendable (UInt64) throws -> Found
    ) async throws -> Found {
        // What is not wanted any more must not take the place of what is.
        try Task.checkCancellation()
        let ticket = native.ticket()
        return try await queue.call(isolation: isolation, cancel: { [native] in native.cancel(ticket: ticket) }) {
            try request(ticket)
        }
    }
}

extension Keyboard {
    /// Where the keys are. In the four that have names, keys are one unit wide and high, x grows to the right from the left edge
    /// and y downwards; the rows begin at y = 0, 1 and 2, and the space bar goes from x = 2.5 to 7.5 in the row below.
    public enum Layout: Sendable, Equatable {
        /// English: `qwertyuiop` from x = 0, `asdfghjkl` from 0.5, `zxcvbnm` from 1.5.
        case qwerty
        /// German: `qwertzuiopü` from x = 0, `asdfghjklöä` from 0, `yxcvbnm` from 2.
        case qwertz
        /// French: `azertyuiop` from x = 0, `qsdfghjklm` from 0, `wxcvbn'` from 2.
        case azerty
        /// Dvorak's: `'pyfgcrl` from x = 1, `aoeuidhtns` from 0, `qjkxbmwvz` from 1.
        case dvorak
        /// The app's own, in any unit, such as the points of its view. There is at least one letter, no two keys type the same,
        /// and none lies on another.
        case keys([Key])

        var native: NibbleFFI.Layout {
            switch self {
            case .qwerty: .qwerty
            case .qwertz: .qwertz
            case .azerty: .azerty
            case .dvorak: .dvorak
            case .keys(let keys): .keys(keys: keys.map(\.native))
            }
        }
    }

    /// A key of ``Layout/keys(_:)``.
    public struct Key: Sendable, Equatable {
        /// What it types, in lower case; a space for the space bar.
        public var character: Character
        /// Where it is.
        public var frame: CGRect

        public init(_ character: Character, frame: CGRect) {
            self.character = character
            self.frame = frame
        }

        fileprivate var native: NibbleFFI.Key {
            NibbleFFI.Key(
                key: String(character), x: Float(frame.origin.x), y: Float(frame.origin.y), width: Float(frame.size.width),
                height: Float(frame.size.height))
        }
    }

    /// What a text field is for.
    public enum Field: Sendable, Equatable, CaseIterable {
        /// Text of any kind.
        case text
        /// Text of which nothing is to be kept.
        case noLearning
        /// What is searched for.
        case search
        /// An e-mail address: words are predicted, and nothing is corrected.
        case email
        /// The address of a page: words are predicted, and nothing is corrected.
        case url
        /// A password, shown or not: nothing is suggested, and neither the model nor a cache sees the text.
        case password
        /// A number, of a phone too, or a date: as ``password``.
        case number
        /// A one-time code: as ``password``.
        case code

        fileprivate var native: NibbleFFI.Field {
            switch self {
            case .text: .text
            case .noLearning: .noLearning
            case .search: .search
            case .email: .email
            case .url: .url
            case .password: .password
            case .number: .number
            case .code: .code
            }
        }
    }

    /// The words for the strip, best first.
    public struct Suggestions: Sendable, Equatable {
        /// At most as many as were asked for, no two the same but for case; but what was typed may stand beside itself as it is
        /// written.
        public let suggestions: [Suggestion]
        /// The text before the cursor that a suggestion takes the place of.
        public let replaces: String
        /// Whether it is proven that no other word is more probable.
        public let isProven: Bool
        /// The word that should take the place of ``replaces`` when a space is typed; `nil` if what was typed stays.
        public let autocorrect: String?

        fileprivate init(_ found: NibbleFFI.Suggestions) {
            suggestions = found.suggestions.map(Suggestion.init)
            replaces = found.replaces
            isProven = found.proven
            autocorrect = found.autocorrect
        }
    }

    /// A word for the strip.
    public struct Suggestion: Sendable, Equatable {
        /// What a suggestion is to what was typed.
        public enum Kind: Sendable, Equatable {
            /// Nothing was typed yet.
            case nextWord
            /// It goes on with what was typed.
            case completion
            /// It is what was typed.
            case literal
            /// It mends what was typed, and perhaps goes on with it.
            case correction
        }

        /// The whole word, what was typed of it included.
        public let word: String
        /// How probable it is, given the text before it and what was typed; 0 to 1.
        public let probability: Double
        /// What it is to what was typed.
        public let kind: Kind

        public init(word: String, probability: Double, kind: Kind) {
            self.word = word
            self.probability = probability
            self.kind = kind
        }

        init(_ suggestion: NibbleFFI.Suggestion) {
            word = suggestion.word
            probability = suggestion.probability
            kind =
                switch suggestion.kind {
                case .nextWord: .nextWord
                case .completion: .completion
                case .literal: .literal
                case .correction: .correction
                }
        }
    }
}

/// What is asked at one key, as the native side takes it.
private func makeRequest(
    _ context: String, _ typed: String, _ count: Int, _ touches: [CGPoint?], _ field: Keyboard.Field, _ gate: Bool
) throws -> NibbleFFI.KeyboardRequest {
    NibbleFFI.KeyboardRequest(
        context: context, typed: typed,
        touches: touches.flatMap { [Float($0?.x ?? .nan), Float($0?.y ?? .nan)] },
        count: try unsigned(count, "count"), field: field.native, gate: gate)
}
