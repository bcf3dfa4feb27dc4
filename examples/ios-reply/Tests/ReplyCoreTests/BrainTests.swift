import Nibble
import XCTest

@testable import ReplyCore

@MainActor final class BrainTests: XCTestCase, @unchecked Sendable {
    private var opened = 0

    func testWhoeverAsksThereIsOneModel() async throws {
        let brain = Brain { @MainActor in try self.made() }
        XCTAssertFalse(brain.isOpening)
        brain.open()
        brain.open()
        XCTAssertTrue(brain.isOpening)
        async let one = brain.opened()
        async let other = brain.opened()
        _ = try await (one, other)
        brain.open()
        XCTAssertEqual(opened, 1)
        XCTAssertFalse(brain.isOpening)
        XCTAssertNotNil(brain.assistant)
    }

    func testAfterAFailureTheNextWhoAsksTriesAgain() async throws {
        let brain = Brain { @MainActor in try self.made(failsAtFirst: true) }
        do {
            try await brain.opened()
            XCTFail("it cannot be open")
        } catch is Trouble {}
        XCTAssertNil(brain.assistant)
        XCTAssertFalse(brain.isOpening)
        try await brain.opened()
        XCTAssertEqual(opened, 2)
        XCTAssertNotNil(brain.assistant)
    }

    private func made(failsAtFirst: Bool = false) throws -> any Assistant {
        opened += 1
        if failsAtFirst, opened == 1 { throw Trouble() }
        return FakeAssistant()
    }
}
