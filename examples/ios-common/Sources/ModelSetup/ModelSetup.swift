// How a file becomes the model of a sample, in an app that has a screen for it.

import Foundation
import Nibble
import Observation

/// Where the model is on its way.
public enum ModelState: Equatable, Sendable {
    /// It is being looked for.
    case looking
    /// There is none, or the last attempt to get one ended with a problem.
    case missing(ModelProblem? = nil)
    /// It is being packed: a share of 0 to 1 is done.
    case installing(Double)
    /// It is installed.
    case ready
}

/// Why there is no model, in terms of what a person can do about it.
public enum ModelProblem: Equatable, Sendable {
    case otherFile, storageFull, unreadable, unsupported
}

extension ModelState {
    /// What is said of it on a screen.
    public var text: String {
        switch self {
        case .looking: "Looking for the model…"
        case .missing(nil): "Suggestions need a language model: SmolLM2-135M-Instruct, a GGUF file of 98 MB. It stays on this device."
        case .missing(.otherFile): "That file is not SmolLM2-135M-Instruct.Q4_1.gguf, or it is damaged. Choose another one."
        case .missing(.storageFull): "There is too little room on this device. Free 200 MB, then choose the file again."
        case .missing(.unreadable): "That file could not be read. Choose it again."
        case .missing(.unsupported): "The model does not run on this device."
        case .installing: "Preparing the model…"
        case .ready: "The language model is ready."
        }
    }
}

/// Finds the model of a sample, and installs one that came with the app or that the user chose. There is a whole one or none, at whatever
/// moment the app is killed: `ModelStore` sees to that.
@MainActor @Observable public final class ModelSetup {
    /// What is shown of it.
    public private(set) var state = ModelState.looking

    private let folder: URL
    private let bundled: URL?
    private var work: Task<Void, Never>?

    /// - Parameters:
    ///   - folder: For models alone; in the container of the App Group where an extension takes part.
    ///   - bundled: The model that came with the app, if one did.
    public nonisolated init(in folder: URL, bundled: URL? = Bundle.main.url(forResource: "model", withExtension: "gguf")) {
        self.folder = folder
        self.bundled = bundled
    }

    /// Looks for the model, and installs the one that came with the app if there is none. Does nothing the second time.
    public func start() {
        guard work == nil else { return }
        begin { store in
            if let bundled = self.bundled, try await !Self.isInstalled(in: store) { try await self.install(bundled, in: store) }
        }
    }

    /// Installs a file that the user chose.
    public func install(_ file: URL) {
        if case .installing = state { return }
        state = .installing(0)
        begin { store in try await self.install(file, in: store) }
    }

    /// Waits for what was begun.
    public func settled() async {
        await work?.value
    }

    private func begin(_ change: @escaping (ModelStore) async throws -> Void) {
        work = Task {
            do {
                let store = try await ModelStore(directory: folder)
                try await change(store)
                state = try await Self.isInstalled(in: store) ? .ready : .missing()
            } catch {
                state = .missing(ModelProblem(error))
            }
        }
    }

    /// One that this version cannot read has no hash: it is packed again from its file.
    private static func isInstalled(in store: ModelStore) async throws -> Bool {
        try await store.installed().contains { $0.name == name && $0.sourceSHA256 == sha256 }
    }

    private func install(_ file: URL, in store: ModelStore) async throws {
        state = .installing(0)
        let access = PickedFile(file)
        defer { access.end() }
        for try await progress in store.install(Self.name, from: file, sourceSHA256: Self.sha256) {
            state = .installing(progress.fraction)
        }
    }
}

extension ModelSetup {
    /// What the model is called in its store.
    public nonisolated static let name = "smollm2"

    /// SmolLM2-135M-Instruct.Q4_1.gguf, which `cargo nibble pull smollm2-135m-instruct` fetches.
    public nonisolated static let sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

    #if canImport(Darwin)
        /// From the first model on, for as long as the process runs.
        private nonisolated static let governor = PowerGovernor()
    #endif

    /// The model that is installed in a folder, opened; every byte of it was checked when it was installed. It computes with fewer threads
    /// while the phone is hot.
    public nonisolated static func open(in folder: URL) async throws -> Model {
        #if canImport(Darwin)
            _ = governor
        #endif
        return try await ModelStore(directory: folder).open(name, options: Model.Options(checkWeights: false, sourceSHA256: sha256))
    }
}

extension ModelProblem {
    init(_ error: any Error) {
        switch error {
        case NibbleError.modelDamaged, NibbleError.modelVersion: self = .otherFile
        case NibbleError.storageFull: self = .storageFull
        case NibbleError.modelUnsupported: self = .unsupported
        default: self = .unreadable
        }
    }
}
