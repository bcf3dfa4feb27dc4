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

    func testSeveralWordsAtOnceHaveTheLastPlace() {
        XCTAssertEqual(shown(["with", "will", "wine"], typed: "wi", autocorrect: nil, ahead: "with me"), ["[wi]", "with", "with me"])
        XCTAssertEqual(shown(["you"], typed: "", autocorrect: nil, ahead: "you so much"), ["you", "you so much"])
    }

    private func shown(_ words: [String], typed: String, autocorrect: String?, ahead: String? = nil) -> [String] {
        func suggestion(_ word: String) -> Keyboard.Suggestion { Keyboard.Suggestion(word: word, probability: 0.1, kind: .completion) }
        let found = slots(words.map(suggestion), typed: typed, autocorrect: autocorrect, ahead: ahead.map(suggestion))
        return found.map { $0.isBySpace ? "[\($0.suggestion.word)]" : $0.suggestion.word }
    }
}
