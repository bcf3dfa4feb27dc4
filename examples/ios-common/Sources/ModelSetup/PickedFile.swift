// A file that the user picked, elsewhere on the device.

import Foundation

/// The permission to read a file that the system's picker gave, from now until ``end()``. A file of the app's own needs none.
public struct PickedFile: Sendable {
    private let url: URL
    private let isForeign: Bool

    public init(_ url: URL) {
        self.url = url
        #if canImport(Darwin)
            isForeign = url.startAccessingSecurityScopedResource()
        #else
            isForeign = false
        #endif
    }

    public func end() {
        #if canImport(Darwin)
            if isForeign { url.stopAccessingSecurityScopedResource() }
        #endif
    }
}
