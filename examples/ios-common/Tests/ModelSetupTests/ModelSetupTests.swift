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

    #if os(Linux)
        /// The folder in which a process that is to be killed installs the model.
        private static let victim = "NIBBLE_TEST_VICTIM"

        func testWhereItIsKilledWhileItPacksThereIsNoModelAndTheNextAttemptIsAsTheFirst() async throws {
            let gguf = try testFile("NIBBLE_TEST_GGUF")
            if let folder = ProcessInfo.processInfo.environment[Self.victim] {
                let setup = ModelSetup(in: URL(fileURLWithPath: folder), bundled: gguf)
                setup.start()
                return await setup.settled()
            }
            let installing = Process()
            installing.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
            installing.arguments = ["ModelSetupTests.ModelSetupTests/testWhereItIsKilledWhileItPacksThereIsNoModelAndTheNextAttemptIsAsTheFirst"]
            installing.environment = ProcessInfo.processInfo.environment.merging([Self.victim: folder.path]) { $1 }
            installing.standardOutput = FileHandle.nullDevice
            try installing.run()
            while try bytes() < 1_000_000 {
                XCTAssertTrue(installing.isRunning, "it ended by itself")
                try await Task.sleep(for: .milliseconds(1))
            }
            kill(installing.processIdentifier, SIGKILL)
            installing.waitUntilExit()
            XCTAssertEqual(installing.terminationReason, .uncaughtSignal)
            XCTAssertGreaterThan(try bytes(), 0, "something is left of it")

            let next = await started()
            XCTAssertEqual(next.state, .missing(), "half a model is none")
            next.install(gguf)
            var shares: [Double] = []
            while case .installing(let share) = next.state {
                if share != shares.last { shares.append(share) }
                try await Task.sleep(for: .milliseconds(1))
            }
            XCTAssertGreaterThan(shares.count, 3, "one sees how far it is")
            XCTAssertEqual(shares, shares.sorted())
            await next.settled()
            XCTAssertEqual(next.state, .ready)
            XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder.path), ["\(ModelSetup.name).nibble"])
        }

        /// How much is written in the folder, hidden files too.
        private func bytes() throws -> UInt64 {
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            return try files.reduce(0) { sum, file in
                let attributes = try FileManager.default.attributesOfItem(atPath: folder.appendingPathComponent(file).path)
                return sum + (attributes[.size] as? UInt64 ?? 0)
            }
        }
    #endif

    private func started() async -> ModelSetup {
        let setup = ModelSetup(in: folder, bundled: nil)
        setup.start()
        await setup.settled()
        return setup
    }
}
