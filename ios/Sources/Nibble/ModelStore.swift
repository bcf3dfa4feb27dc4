// The models that an app keeps.

import Dispatch
import Foundation
internal import NibbleFFI

/// Packed models in one folder of the app: installed, replaced, found by their names, and removed when there are too many.
///
/// Where a keyboard extension takes part, the folder is in the container of their App Group: the app installs, and the
/// extension opens. Both map the same file, so the weights are in memory once.
///
/// The folder is left out of backups: a model can always be installed again.
public final class ModelStore: Sendable {
    private let native: NibbleFFI.ModelStore

    /// Opens the store of a folder, which is made where it is missing.
    ///
    /// - Parameters:
    ///   - directory: The folder, for models only.
    ///   - quota: Bytes that the models may take together. Where a new one exceeds that, those go that were not used
    ///     for the longest time, and the one that it replaces, when it is there.
    /// - Throws: ``NibbleError/io(reason:)``, ``NibbleError/storageFull(reason:)``.
    public init(directory: URL, quota: Int? = nil) async throws {
        native = try await DispatchQueue.nibble.call {
            let store = try NibbleFFI.ModelStore.open(
                directory: path(of: directory), quota: quota.map { try unsigned($0, "quota") })
            #if canImport(Darwin)
                var folder = directory
                var values = URLResourceValues()
                values.isExcludedFromBackup = true
                // An extension may read the folder and not write to it: then the app has said so.
                try? folder.setResourceValues(values)
            #endif
            return store
        }
    }

    /// What is installed, the last used first.
    public func installed() async throws -> [InstalledModel] {
        try await DispatchQueue.nibble.call { [native] in try native.installed().map(InstalledModel.init) }
    }

    /// The models of which a session with these options writes to at most so many bytes, the largest first: what to open instead
    /// when ``NibbleError/memoryLimit(reason:needed:limit:fittingContext:)`` has no `fittingContext`. What this version of Nibble
    /// cannot read is left out.
    public func fitting(_ limit: Int, options: Session.Options = Session.Options()) async throws -> [InstalledModel] {
        try await DispatchQueue.nibble.call { [native] in
            try native.fitting(options: options.native(), limit: unsigned(limit, "limit")).map(InstalledModel.init)
        }
    }

    /// Installs a model under a name. Under one in use it is an upgrade: the old model serves until the new one is whole,
    /// and whoever has it open keeps it. (Where ``Model/MemoryPressure/critical`` pressure made that give up its mapping, its next
    /// call ends with ``NibbleError/modelDamaged(reason:)``: open the model anew.)
    ///
    /// ```swift
    /// try await store.install("smollm2", from: download).finish()
    /// let model = try await store.open("smollm2")
    /// ```
    ///
    /// - Parameters:
    ///   - name: What it is called from now on.
    ///   - file: A GGUF, which is packed, or a packed model file, which is checked and copied.
    ///   - sourceSHA256: The SHA-256 that the GGUF must have, in hexadecimal; of a packed file, the one that it was
    ///     packed from.
    public func install(_ name: String, from file: URL, sourceSHA256: String? = nil) -> Packing {
        Packing { [native] in
            try native.install(name: name, source: path(of: file), sourceSha256: sourceSHA256)
        }
    }

    /// Begins to download the model of a signed manifest, as `nibble manifest make` writes it, or goes on with it. One download of
    /// a name at a time, in all processes.
    ///
    /// - Parameters:
    ///   - manifest: The manifest, as it was fetched.
    ///   - publicKeys: The keys of which one must have signed it, in hexadecimal.
    ///   - allowOlder: Takes one with a lower sequence number than what was last installed.
    ///   - memory: Bytes of memory that the device has.
    /// - Throws: ``NibbleError/manifestUntrusted(reason:)``, ``NibbleError/manifestUnfit(reason:)``,
    ///   ``NibbleError/manifestOlder(reason:)``; ``NibbleError/memoryLimit(reason:needed:limit:fittingContext:)`` where the model
    ///   needs more memory than the device has; ``NibbleError/storageFull(reason:)``, ``NibbleError/io(reason:)``.
    public func download(
        _ manifest: Data, publicKeys: [String], allowOlder: Bool = false,
        memory: UInt64 = ProcessInfo.processInfo.physicalMemory
    ) async throws -> Download {
        try await DispatchQueue.nibble.call { [native] in
            Download(
                native: try native.download(
                    manifest: manifest, publicKeys: publicKeys, allowOlder: allowOlder, memory: memory))
        }
    }

    /// Puts the model back that the last download of this name took the place of.
    ///
    /// - Throws: ``NibbleError/modelNotFound(reason:)`` where none is kept.
    public func rollback(_ name: String) async throws {
        try await DispatchQueue.nibble.call { [native] in try native.rollback(name: name) }
    }

    /// Opens the model of this name. It counts as used.
    ///
    /// - Throws: ``NibbleError/modelNotFound(reason:)``, and as ``Model/init(contentsOf:options:)``.
    public func open(_ name: String, options: Model.Options = Model.Options()) async throws -> Model {
        try await Model(contentsOf: url(of: name), options: options)
    }

    /// The model file of this name. It counts as used.
    ///
    /// - Throws: ``NibbleError/modelNotFound(reason:)``.
    public func url(of name: String) async throws -> URL {
        try await DispatchQueue.nibble.call { [native] in URL(fileURLWithPath: try native.path(name: name)) }
    }

    /// Removes a model, and what was downloaded of it; where there is none, it does nothing. What has it open keeps it.
    ///
    /// - Throws: ``NibbleError/io(reason:)``.
    public func remove(_ name: String) async throws {
        try await DispatchQueue.nibble.call { [native] in try native.remove(name: name) }
    }
}

extension ModelStore {
    /// A model of the store.
    public struct InstalledModel: Sendable, Equatable {
        /// What it was installed as.
        public let name: String
        /// Its file.
        public let url: URL
        /// How long that is.
        public let bytes: Int
        /// The SHA-256 of the GGUF that it was packed from, in hexadecimal; `nil` where this version of Nibble cannot read the
        /// file: install it again.
        public let sourceSHA256: String?
        /// When it was last used, or installed.
        public let lastUsed: Date

        fileprivate init(_ model: NibbleFFI.InstalledModel) {
            name = model.name
            url = URL(fileURLWithPath: model.path)
            bytes = Int(clamping: model.bytes)
            sourceSHA256 = model.sourceSha256
            lastUsed = Date(timeIntervalSince1970: TimeInterval(model.lastUsed))
        }
    }
}
