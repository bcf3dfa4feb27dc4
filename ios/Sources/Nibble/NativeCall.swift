// How the native library is called: on a queue of Nibble's own, because it blocks while it computes, and Swift's threads
// are few.

import Dispatch
import Foundation
internal import NibbleFFI

extension DispatchQueue {
    /// For what belongs to no timeline. Such calls run beside each other.
    static let nibble = DispatchQueue(label: "dev.nibble", attributes: .concurrent)

    /// For what takes seconds and what nobody waits for at the screen, such as packing a model. The system may take its time.
    static let nibbleWork = DispatchQueue(label: "dev.nibble.work", qos: .utility, attributes: .concurrent)

    /// For what a person writes, in the order in which it was written; it waits for the disk.
    static let nibbleLearning = DispatchQueue(label: "dev.nibble.learning", qos: .utility)

    /// For the calls of one timeline, which take turns: one that waits holds no thread.
    static func nibbleTimeline() -> DispatchQueue {
        DispatchQueue(label: "dev.nibble.timeline")
    }

    /// Makes a native call on this queue. `cancel` is called, from any thread, when the task is cancelled before the call
    /// is over.
    ///
    /// - Throws: `NibbleError`, or `CancellationError` where the task was cancelled.
    func call<Value: Sendable>(
        isolation: isolated (any Actor)? = #isolation,
        cancel: @escaping @Sendable () -> Void = {},
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try Task.checkCancellation()
        do {
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    self.async { continuation.resume(with: Result(catching: body)) }
                }
            } onCancel: {
                cancel()
            }
        } catch {
            let error = NibbleError(native: error)
            if case .cancelled = error, Task.isCancelled {
                throw CancellationError()
            }
            throw error
        }
    }
}

/// A value behind a lock. (`Mutex` of the standard library needs iOS 18.)
///
/// The compiler cannot see that `value` is only touched under the lock, hence `@unchecked`.
final class Locked<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) {
        self.value = value
    }

    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }
}

/// A number that the native side takes without a sign.
///
/// - Throws: `NibbleError.invalidArgument` where it does not fit.
func unsigned<Number: FixedWidthInteger>(_ value: Int, _ name: String) throws -> Number {
    guard let number = Number(exactly: value) else {
        throw NibbleError.invalidArgument(reason: "\(name) is \(value); it goes from 0 to \(Number.max)")
    }
    return number
}

/// The path of a file, as the native side takes it.
///
/// - Throws: `NibbleError.invalidArgument` where the URL is that of something else.
func path(of url: URL) throws -> String {
    guard url.isFileURL else {
        throw NibbleError.invalidArgument(reason: "Nibble reads and writes files, and the URL has another scheme than file")
    }
    return url.path
}
