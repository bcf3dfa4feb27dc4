// Making a model file, with its progress.

import Dispatch
import Foundation
internal import NibbleFFI

extension Model {
    /// Packs a GGUF file into a model file. That is done once, and takes seconds; from then on the model opens in
    /// milliseconds.
    ///
    /// ```swift
    /// for try await progress in Model.pack(gguf, to: file) {
    ///     bar.progress = Float(progress.fraction)
    /// }
    /// ```
    ///
    /// ``ModelStore`` does the same for models that an app keeps, replaces and removes.
    ///
    /// - Parameters:
    ///   - gguf: The file that is packed.
    ///   - file: The model file: there is a whole one or none, and one that was there serves until the new one is whole.
    ///   - sourceSHA256: The SHA-256 that the GGUF must have, in hexadecimal.
    public static func pack(_ gguf: URL, to file: URL, sourceSHA256: String? = nil) -> Packing {
        Packing {
            try NibbleFFI.Packing(source: path(of: gguf), target: path(of: file), sourceSha256: sourceSHA256)
        }
    }
}

/// The making of a model file: an asynchronous sequence that tells how far it has come, some ten times a second.
///
/// Nothing is done before it is iterated, and each iteration does it anew. Cancelling the task stops the work; iterating
/// throws `CancellationError` when it has stopped. Leaving the loop stops it too.
///
/// Iterating throws ``NibbleError/modelNotFound(reason:)``, ``NibbleError/modelDamaged(reason:)``,
/// ``NibbleError/modelVersion(reason:)``, ``NibbleError/modelUnsupported(reason:)``, ``NibbleError/storageFull(reason:)``,
/// ``NibbleError/io(reason:)`` or ``NibbleError/invalidArgument(reason:)``, and then there is no new file.
public struct Packing: AsyncSequence, Sendable {
    /// How far it has come.
    public struct Progress: Sendable, Equatable {
        /// Bytes done.
        public let done: Int
        /// Bytes in all; 0 while that is not known.
        public let total: Int

        /// The share that is done, 0 to 1.
        public var fraction: Double { total == 0 ? 0 : Double(done) / Double(total) }

        fileprivate init(_ progress: NibbleFFI.PackProgress) {
            done = Int(clamping: progress.done)
            total = Int(clamping: progress.total)
        }
    }

    /// Does the work, and tells how far it has come.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let work: Work

        /// The progress, when there is some; `nil` when the model file is there.
        public func next() async throws -> Progress? {
            try await work.next()
        }
    }

    private let begin: @Sendable () throws -> NibbleFFI.Packing

    init(begin: @escaping @Sendable () throws -> NibbleFFI.Packing) {
        self.begin = begin
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(work: Work(begin))
    }

    /// Does all of it, and returns when the model file is there.
    public func finish() async throws {
        for try await _ in self {}
    }
}

/// One packing under way.
private final class Work: Sendable {
    private struct State: Sendable {
        /// Nothing before it is first asked for.
        var running: (native: NibbleFFI.Packing, end: Task<Void, any Error>)?
        var isOver = false
        /// What was told last.
        var told: Packing.Progress?
    }

    private let begin: @Sendable () throws -> NibbleFFI.Packing
    private let state = Locked(State())

    init(_ begin: @escaping @Sendable () throws -> NibbleFFI.Packing) {
        self.begin = begin
    }

    deinit {
        // Who left the loop does not want the file any more. Where it is there already, this does nothing.
        state.withLock(\.running)?.native.cancel()
    }

    func next() async throws -> Packing.Progress? {
        let (native, end) = try await running()
        return try await withTaskCancellationHandler {
            while !Task.isCancelled {
                // In this order: what is over has come as far as it comes.
                let isOver = state.withLock(\.isOver)
                if let news = news(of: native) { return news }
                if isOver {
                    try await end.value
                    return nil
                }
                try? await Task.sleep(nanoseconds: 100_000_000)
            }
            _ = await end.result
            throw CancellationError()
        } onCancel: {
            native.cancel()
        }
    }

    private func running() async throws -> (native: NibbleFFI.Packing, end: Task<Void, any Error>) {
        if let running = state.withLock(\.running) {
            return running
        }
        let native = try await DispatchQueue.nibble.call(begin)
        let end = Task { [state] in
            defer { state.withLock { $0.isOver = true } }
            try await DispatchQueue.nibbleWork.call { try native.run() }
        }
        state.withLock { $0.running = (native, end) }
        return (native, end)
    }

    private func news(of native: NibbleFFI.Packing) -> Packing.Progress? {
        let progress = Packing.Progress(native.progress())
        return state.withLock { state in
            guard progress.total > 0, progress != state.told else { return nil }
            state.told = progress
            return progress
        }
    }
}
