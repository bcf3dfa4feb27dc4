// What the tests of the samples need of the machine: a folder of their own, and the files that `cargo xtask test` names.

import Foundation
import XCTest

/// The file that an environment variable names.
public func testFile(_ variable: String) throws -> URL {
    let path = ProcessInfo.processInfo.environment[variable]
    return URL(fileURLWithPath: try XCTUnwrap(path, "set \(variable); ios-common/README.md says to what"))
}

extension XCTestCase {
    /// A new folder, which goes when the test ends.
    public func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(Self.self)-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        addTeardownBlock { try FileManager.default.removeItem(at: folder) }
        return folder
    }
}
