// Capitals.

import KeyboardCore
import XCTest

final class ShiftTests: XCTestCase {
    private let start = ContinuousClock.now

    func testItFollowsTheTextUntilTheUserMovesIt() {
        var shift = Shift()
        shift.follow(true)
        XCTAssertEqual(shift.state, .once)
        shift.tap(at: start)
        XCTAssertEqual(shift.state, .off)
        shift.follow(true)
        XCTAssertEqual(shift.state, .off, "the user wants a small letter")
        shift.typed()
        shift.follow(true)
        XCTAssertEqual(shift.state, .once)
    }

    func testOneLetterIsWhatItIsDownFor() {
        var shift = Shift()
        shift.tap(at: start)
        XCTAssertEqual(shift.state, .once)
        shift.typed()
        XCTAssertEqual(shift.state, .off)
    }

    func testTwoQuickTapsLockIt() {
        var shift = Shift()
        shift.tap(at: start)
        shift.tap(at: start + .milliseconds(200))
        XCTAssertEqual(shift.state, .locked)
        shift.typed()
        shift.follow(false)
        XCTAssertEqual(shift.state, .locked)
        shift.tap(at: start + .seconds(10))
        XCTAssertEqual(shift.state, .off)
        shift.tap(at: start + .milliseconds(10_100))
        XCTAssertEqual(shift.state, .once, "the tap that unlocked it is none of two")

        var slow = Shift()
        slow.tap(at: start)
        slow.tap(at: start + .milliseconds(400))
        XCTAssertEqual(slow.state, .off)
    }

    func testItCanBeLockedWithoutTaps() {
        var shift = Shift()
        shift.lock()
        shift.typed()
        shift.follow(false)
        XCTAssertEqual(shift.state, .locked)
        shift.tap(at: start)
        XCTAssertEqual(shift.state, .off)
    }

    func testWhatHasNoCapitalOfOneLetterStaysSmall() {
        var shift = Shift()
        XCTAssertEqual(shift.apply("é"), "é")
        shift.tap(at: start)
        XCTAssertEqual(["é", "ß", "1", "."].map(shift.apply), ["É", "ß", "1", "."])
    }
}
