// Capitals.

import KeyboardCore
import XCTest

final class ShiftTests: XCTestCase {
    func testItFollowsTheTextUntilTheUserMovesIt() {
        var shift = Shift()
        shift.follow(true)
        XCTAssertEqual(shift.state, .once)
        shift.tap(at: 10)
        XCTAssertEqual(shift.state, .off)
        shift.follow(true)
        XCTAssertEqual(shift.state, .off, "the user wants a small letter")
        shift.typed()
        shift.follow(true)
        XCTAssertEqual(shift.state, .once)
    }

    func testOneLetterIsWhatItIsDownFor() {
        var shift = Shift()
        shift.tap(at: 10)
        XCTAssertEqual(shift.state, .once)
        shift.typed()
        XCTAssertEqual(shift.state, .off)
    }

    func testTwoQuickTapsLockIt() {
        var shift = Shift()
        shift.tap(at: 10)
        shift.tap(at: 10.2)
        XCTAssertEqual(shift.state, .locked)
        shift.typed()
        shift.follow(false)
        XCTAssertEqual(shift.state, .locked)
        shift.tap(at: 20)
        XCTAssertEqual(shift.state, .off)
        shift.tap(at: 20.1)
        XCTAssertEqual(shift.state, .once, "the tap that unlocked it is none of two")

        var slow = Shift()
        slow.tap(at: 10)
        slow.tap(at: 10.4)
        XCTAssertEqual(slow.state, .off)
    }

    func testWhatHasNoCapitalOfOneLetterStaysSmall() {
        var shift = Shift()
        XCTAssertEqual(shift.apply("é"), "é")
        shift.tap(at: 0)
        XCTAssertEqual(["é", "ß", "1", "."].map(shift.apply), ["É", "ß", "1", "."])
    }
}
