// Which words stand on the strip.

import KeyboardCore
import Nibble
import XCTest

final class SlotsTests: XCTestCase {
    func testNextWordsStandAsTheyAre() {
        XCTAssertEqual(shown(["you", "me", "them", "us"], typed: "", autocorrect: nil), ["you", "me", "them"])
    }

    func testWhatWasTypedIsFirstAndWhatASpaceDoesIsMarked() {
        XCTAssertEqual(shown(["tomorrow", "tomoreow", "Tom"], typed: "tomoreow", autocorrect: "tomorrow"), ["tomoreow", "[tomorrow]", "Tom"])
        XCTAssertEqual(shown(["a", "b", "tomorrow"], typed: "tomoreow", autocorrect: "tomorrow"), ["tomoreow", "[tomorrow]", "a"])
    }

    func testWhatStaysIsMarkedToo() {
        XCTAssertEqual(shown(["today", "tonight"], typed: "to", autocorrect: nil), ["[to]", "today", "tonight"])
        XCTAssertEqual(shown([], typed: "xqz", autocorrect: nil), ["[xqz]"])
    }

    private func shown(_ words: [String], typed: String, autocorrect: String?) -> [String] {
        let suggestions = words.map { Keyboard.Suggestion(word: $0, probability: 0.1, kind: .completion) }
        return slots(suggestions, typed: typed, autocorrect: autocorrect).map { $0.isBySpace ? "[\($0.suggestion.word)]" : $0.suggestion.word }
    }
}
