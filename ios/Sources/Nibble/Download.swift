// A model that the app fetches.

import Dispatch
import Foundation
internal import NibbleFFI

/// A model file on its way into a ``ModelStore``, which the app fetches by whatever means it has. Nibble checks each chunk as it comes and
/// keeps what is right: after a kill, ``ModelStore/download(_:publicKeys:allowOlder:memory:)`` goes on there.
public final class Download: Sendable {
    private let native: NibbleFFI.Download

    init(native: NibbleFFI.Download) {
        self.native = native
    }

    /// What is being fetched.
    public var manifest: Manifest { Manifest(native.manifest()) }

    /// Which bytes of the file are still to be written, in their order; empty when it can be installed.
    public func missing() async throws -> [Range<Int>] {
        try await DispatchQueue.nibble.call { [native] in
            native.missing().map { Int(clamping: $0.start)..<Int(clamping: $0.end) }
        }
    }

    /// Takes bytes of the file that begin at `offset`: where something is missing, or at the beginning of a chunk.
    ///
    /// - Throws: ``NibbleError/modelDamaged(reason:)`` where a chunk is whole with them and is wrong: it is missing again;
    ///   ``NibbleError/invalidArgument(reason:)`` where bytes before them are missing; ``NibbleError/storageFull(reason:)``,
    ///   ``NibbleError/io(reason:)``.
    public func write(_ bytes: Data, at offset: Int) async throws {
        try await DispatchQueue.nibble.call { [native] in
            try native.write(offset: unsigned(offset, "offset"), bytes: bytes)
        }
    }

    /// Installs the file under the name of its manifest when nothing is missing. The model that has the name serves until this
    /// one is whole, and is kept for ``ModelStore/rollback(_:)``, as far as the quota allows.
    public func install() -> Packing {
        Packing { [native] in try native.install() }
    }

    /// Removes what was downloaded.
    ///
    /// - Throws: ``NibbleError/io(reason:)``.
    public func discard() async throws {
        try await DispatchQueue.nibble.call { [native] in try native.discard() }
    }
}

/// What a publisher has signed of a model.
public struct Manifest: Sendable, Equatable {
    /// What the model is called in a store.
    public let name: String
    /// Grows with every model that is published under the name.
    public let sequence: Int
    /// The licence's name, such as an SPDX identifier.
    public let licence: String
    /// Where the licence's text is.
    public let licenceURL: URL?
    /// Bytes of memory that a device must have.
    public let minimumMemory: Int
    /// Length of the file in bytes.
    public let length: Int
    /// SHA-256 of the file, in hexadecimal. That of a GGUF is the ``ModelStore/InstalledModel/sourceSHA256`` of the model.
    public let sha256: String

    fileprivate init(_ manifest: NibbleFFI.Manifest) {
        name = manifest.name
        sequence = Int(clamping: manifest.sequence)
        licence = manifest.licence
        licenceURL = manifest.licenceUrl.flatMap(URL.init(string:))
        minimumMemory = Int(clamping: manifest.minimumMemory)
        length = Int(clamping: manifest.length)
        sha256 = manifest.sha256
    }
}
