// Where replies come from in this process: one model, whoever asks for it first.

import ModelSetup
import Observation

/// Opens the model that is installed, once for the whole process: the chats, the App Intent and each appearance of the share sheet
/// ask the same one. Where that fails, as without a model, the next who asks tries again.
@MainActor @Observable public final class Brain {
    public static let shared = Brain { try await NibbleAssistant(modelIn: AppGroup.models) }

    /// What was opened; `nil` until it is there.
    public private(set) var assistant: (any Assistant)?

    private let make: @Sendable () async throws -> any Assistant
    private var opening: Task<any Assistant, any Error>?

    init(_ make: @escaping @Sendable () async throws -> any Assistant) {
        self.make = make
    }

    public var isOpening: Bool {
        opening != nil && assistant == nil
    }

    /// Opens it, and returns at once. Does nothing where it is open already.
    public func open() {
        _ = begin()
    }

    /// Opens it, and waits for that.
    ///
    /// - Throws: `NibbleError`; `.modelNotFound` where the app has installed none.
    @discardableResult public func opened() async throws -> any Assistant {
        try await begin().value
    }

    private func begin() -> Task<any Assistant, any Error> {
        if let opening { return opening }
        let task = Task {
            do {
                let made = try await make()
                assistant = made
                return made
            } catch {
                opening = nil
                throw error
            }
        }
        opening = task
        return task
    }
}
