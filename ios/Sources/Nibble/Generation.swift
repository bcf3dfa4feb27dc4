// A text under way, as an asynchronous sequence of pieces.

import Dispatch
import Foundation
internal import NibbleFFI

/// A text under way: an asynchronous sequence of pieces, each of which is computed when it is asked for.
///
/// ```swift
/// for try await piece in session.generate("Once upon a time") {
///     print(piece.text, terminator: "")
/// }
/// ```
///
/// Nothing is computed before the first piece is asked for, nor between one piece and the next: leaving the loop stops the
/// work. So does cancelling the task, also in the midst of a piece or of the prompt, within the time of one layer of the
/// model; iterating then throws `CancellationError`, and the text stays cancelled.
///
/// A generation is one text. Iterating it again goes on where the last iteration stopped.
public struct Generation: AsyncSequence, Sendable {
    /// What one token added.
    public struct Piece: Sendable, Equatable {
        /// The token.
        public let token: UInt32
        /// The text that became certain with it: whole characters of Unicode, possibly none.
        public let text: String
    }

    /// Why a text came to its end.
    public enum Finish: Sendable, Equatable {
        /// The model ended its text or its turn, or the text is all that its ``Sampling/schema`` asks for.
        case endOfText
        /// There are as many tokens as were asked for.
        case maxTokens
        /// The text came to a stop string.
        case stopString
    }

    /// Pulls the pieces.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let writer: Writer

        /// The next piece; `nil` after the last one.
        ///
        /// - Throws: ``NibbleError``, or `CancellationError` where the task was cancelled.
        public func next() async throws -> Piece? {
            try await writer.next()
        }
    }

    private let writer: Writer

    /// `begin` makes the native object; it is called when the first piece is asked for.
    init(on queue: DispatchQueue, begin: @escaping @Sendable () throws -> NibbleFFI.Generation) {
        writer = Writer(queue: queue, begin: begin)
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(writer: writer)
    }

    /// Why the text ended; `nil` while the sequence has not come to its end, and where an error or a cancel ended it.
    public var finish: Finish? {
        writer.finish
    }

    /// The text of all pieces that are still to come.
    ///
    /// - Throws: ``NibbleError``, or `CancellationError` where the task was cancelled.
    public func text() async throws -> String {
        try await reduce(into: "") { $0 += $1.text }
    }

    /// The value that all pieces still to come are the JSON of, which they are where ``Sampling/schema`` asks for it.
    ///
    /// ```swift
    /// let event = try await session.chat(messages, sampling: Sampling(schema: schema)).decode(Event.self)
    /// ```
    ///
    /// - Throws: what the decoder does, where a limit has cut the text; see ``finish``. ``NibbleError``, or `CancellationError` where
    ///   the task was cancelled.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, using decoder: JSONDecoder = JSONDecoder()
    ) async throws -> Value {
        try decoder.decode(type, from: Data(try await text().utf8))
    }

    /// Stops the text, from any task, and returns at once: whoever asks for a piece gets ``NibbleError/closed(reason:)``.
    /// Closing twice does nothing. Where a task can be cancelled, or a loop be left, there is no need to close.
    public func close() {
        writer.close()
    }
}

/// The state that a generation and its iterators share.
private final class Writer: Sendable {
    private struct State: Sendable {
        /// Nothing before the first piece was asked for, and after the close.
        var native: NibbleFFI.Generation?
        var finish: Generation.Finish?
        var isCancelled = false
        var isClosed = false
    }

    private let queue: DispatchQueue
    private let begin: @Sendable () throws -> NibbleFFI.Generation
    private let state = Locked(State())

    init(queue: DispatchQueue, begin: @escaping @Sendable () throws -> NibbleFFI.Generation) {
        self.queue = queue
        self.begin = begin
    }

    var finish: Generation.Finish? {
        state.withLock(\.finish)
    }

    func next() async throws -> Generation.Piece? {
        try await queue.call(cancel: cancel, pull)
    }

    func cancel() {
        let native = state.withLock { state in
            state.isCancelled = true
            return state.native
        }
        native?.cancel()
    }

    func close() {
        let native = state.withLock { state in
            state.isClosed = true
            defer { state.native = nil }
            return state.native
        }
        native?.cancel()
    }

    /// Runs on the queue, so one at a time.
    @Sendable private func pull() throws -> Generation.Piece? {
        let native = try begun()
        do {
            if let piece = try native.next() {
                return Generation.Piece(token: piece.token, text: piece.text)
            }
        } catch NibbleFFI.NibbleError.Cancelled(let reason) {
            // Closing is what cancelled it.
            try state.withLock(checkOpen)
            throw NibbleError.cancelled(reason: reason)
        }
        let finish = native.finish().map(Generation.Finish.init)
        state.withLock { $0.finish = finish }
        return nil
    }

    private func begun() throws -> NibbleFFI.Generation {
        let begun = try state.withLock { state in
            try checkOpen(&state)
            return state.native
        }
        if let begun {
            return begun
        }
        let native = try begin()
        // Cancelled or closed before it was there?
        let isCancelled = try state.withLock { state in
            try checkOpen(&state)
            state.native = native
            return state.isCancelled
        }
        if isCancelled {
            native.cancel()
        }
        return native
    }

    private func checkOpen(_ state: inout State) throws {
        if state.isClosed {
            throw NibbleError.closed(reason: "the generation is closed; begin a new one")
        }
    }
}

extension Generation.Finish {
    fileprivate init(_ finish: NibbleFFI.Finish) {
        switch finish {
        case .endOfText: self = .endOfText
        case .maxTokens: self = .maxTokens
        case .stopString: self = .stopString
        }
    }
}
