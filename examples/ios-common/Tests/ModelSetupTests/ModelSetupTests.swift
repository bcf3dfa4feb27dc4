// A model is found, installed, refused; with the real library and the real model.

import Foundation
import ModelSetup
import SampleTesting
import XCTest

@MainActor final class ModelSetupTests: XCTestCase, @unchecked Sendable {
    private var folder: URL!

    override func setUp() async throws {
        folder = try temporaryFolder()
    }

    func testAFileThatTheUserChoseIsInstalledOnceAndForAll() async throws {
        let first = await started()
        XCTAssertEqual(first.state, .missing())
        first.install(try testFile("NIBBLE_TEST_MODEL"))
        XCTAssertEqual(first.state, .installing(0), "that it began is shown at once")
        first.install(folder)
        await first.settled()
        XCTAssertEqual(first.state, .ready, "a second file is not taken while the first one is on its way")

        let next = await started()
        XCTAssertEqual(next.state, .ready)
        let opened = try await ModelSetup.open(in: folder)
        XCTAssertEqual(opened.info.sourceSHA256, ModelSetup.sha256)
    }

    func testTheModelThatCameWithTheAppIsInstalledByItself() async throws {
        let setup = ModelSetup(in: folder, bundled: try testFile("NIBBLE_TEST_MODEL"))
        setup.start()
        await setup.settled()
        XCTAssertEqual(setup.state, .ready)
    }

    func testWhatIsNotTheModelIsRefusedAndLeavesNothing() async throws {
        let setup = await started()
        let other = folder.deletingLastPathComponent().appendingPathComponent("\(UUID().uuidString).gguf")
        defer { try? FileManager.default.removeItem(at: other) }
        try Data("no model".utf8).write(to: other)
        setup.install(other)
        await setup.settled()
        XCTAssertEqual(setup.state, .missing(.otherFile))
        setup.install(folder.appendingPathComponent("nowhere.gguf"))
        await setup.settled()
        XCTAssertEqual(setup.state, .missing(.unreadable))
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasPrefix(".") }
        XCTAssertEqual(left, [])
    }

    private func started() async -> ModelSetup {
        let setup = ModelSetup(in: folder, bundled: nil)
        setup.start()
        await setup.settled()
        return setup
    }
}
