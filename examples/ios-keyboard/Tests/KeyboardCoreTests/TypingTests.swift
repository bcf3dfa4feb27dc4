// What a key does to the text, in documents that tell at once, late, or wrongly; with the real model and word list, and without.

import Foundation
import KeyboardCore
import ModelSetup
import Nibble
import SampleTesting
import XCTest

@MainActor final class TypingTests: XCTestCase, @unchecked Sendable {
    private let document = Paper()
    private var keyboard: Keyboard?
    private var now = ContinuousClock.now
    private lazy var typing = Typing(in: document, keyboard: { [unowned self] in keyboard }, now: { [unowned self] in now })

    func testWithoutAModelTheKeysTypeAndSentencesBeginWithACapital() async {
        typing.begin(InputField(), of: UUID())
        XCTAssertEqual(typing.state.note, "Suggestions need a language model: open Nibble Keyboard.")
        type("hi. you")
        typing.press(.backspace)
        XCTAssertEqual(document.text, "Hi. Yo")
    }

    func testCapitalsBeginWhereTheFieldAsksForThem() async {
        for (capitals, text) in [(Capitals.none, "new york"), (.words, "New York"), (.sentences, "New york"), (.all, "NEW YORK")] {
            document.change("")
            typing.begin(field { $0.capitals = capitals }, of: UUID())
            type("new york")
            XCTAssertEqual(document.text, text)
        }
    }

    func testTwoQuickTapsOnShiftTypeCapitalsOnlyAndSlowOnesDoNot() async {
        typing.begin(field { $0.capitals = .none }, of: UUID())
        typing.press(.shift)
        now += .milliseconds(200)
        typing.press(.shift)
        type("ab")
        typing.press(.shift)
        type("c")
        typing.press(.lockCapitals)
        type("de")
        XCTAssertEqual(document.text, "ABcDE")
    }

    func testPagesChangeAndAfterASpaceComesTheFirst() async {
        typing.begin(InputField(), of: UUID())
        typing.press(.show(.symbols))
        type("7")
        XCTAssertEqual(typing.state.page, .symbols)
        type(" ")
        XCTAssertEqual(typing.state.page, .letters)
        typing.begin(field { $0.isNumeric = true }, of: UUID())
        type("7 ")
        XCTAssertEqual(typing.state.page, .symbols)
    }

    func testNewsOfTheSameFieldChangeNothingAndAnotherFieldBeginsAnew() async {
        let identifier = UUID()
        typing.begin(InputField(), of: identifier)
        typing.press(.show(.symbols))
        typing.begin(InputField(), of: identifier)
        XCTAssertEqual(typing.state.page, .symbols)
        typing.begin(InputField(), of: UUID())
        XCTAssertEqual(typing.state.page, .letters)
    }

    func testAModelThatComesWhileSomebodyTypesHelpsFromThenOn() async throws {
        typing.begin(InputField(), of: UUID())
        try await openKeyboard()
        typing.assist()
        XCTAssertTrue(typing.state.isHelped)
        typing.end()
        XCTAssertFalse(typing.state.isHelped)
        typing.assist()
        XCTAssertFalse(typing.state.isHelped, "nobody types")
    }

    func testTheReturnKeyMendsTheWordBeforeANewLineAndSendsTheTextAsItIsSeen() async throws {
        try await openKeyboard()
        for (returnKey, text) in [(nil, "See you tomorrow\n"), ("send", "See you tomoreow\n")] {
            document.change("")
            typing.begin(field { $0.returnKey = returnKey }, of: UUID())
            type("See you tomoreow")
            await wait(for: "the correction") { $0.strip?.autocorrect == "tomorrow" }
            typing.press(.enter)
            XCTAssertEqual(document.text, text)
        }
    }

    func testADocumentThatTellsLateOrWronglyGetsWhatWasTypedOnce() async throws {
        try await openKeyboard()
        for tells in [Paper.Tells.late(1), .late(5), .nothing, .sentence] {
            document.change("")
            document.tells = tells
            typing.begin(field { $0.capitals = .none }, of: UUID())
            for character in "Well. See you at the station" {
                type(String(character))
                typing.report()
            }
            typing.press(.backspace)
            XCTAssertEqual(document.text, "Well. See you at the statio", "told \(tells)")
        }
    }

    func testACorrectionIsTakenBackInADocumentThatTellsOfEachCharacterLate() async throws {
        try await openKeyboard()
        document.tells = .late(1)
        typing.begin(field { $0.capitals = .none }, of: UUID())
        for character in "See you tomoreow" {
            type(String(character))
            typing.report()
        }
        await wait(for: "the correction") { $0.strip?.autocorrect == "tomorrow" }
        for (key, text) in [(Action.type(" "), "See you tomorrow "), (.backspace, "See you tomoreow ")] {
            typing.press(key)
            typing.report()
            XCTAssertEqual(document.text, text)
        }
    }

    func testAWordThatComesTooLateChangesNothing() async throws {
        try await openKeyboard()
        typing.begin(InputField(), of: UUID())
        type("See you tomo")
        await wait(for: "the word") { $0.slots.contains { $0.suggestion.word == "tomorrow" } }
        let slot = try XCTUnwrap(typing.state.slots.first { $0.suggestion.word == "tomorrow" })
        document.change("something else")
        typing.take(slot)
        XCTAssertEqual(document.text, "something else")
    }

    private func openKeyboard() async throws {
        let shared = SharedFolder(try temporaryFolder())
        let setup = KeyboardSetup(shared)
        setup.model.install(try testFile("NIBBLE_TEST_MODEL"))
        await setup.model.settled()
        await setup.install(wordList: try testFile("NIBBLE_TEST_LEXICON"))
        let predictions = Predictions(shared: shared, words: WordBook(in: try temporaryFolder()))
        await predictions.open()
        keyboard = try XCTUnwrap(predictions.keyboard)
    }

    private func field(_ change: (inout InputField) -> Void) -> InputField {
        var field = InputField()
        change(&field)
        return field
    }

    private func type(_ text: String) {
        for character in text { typing.press(.type(String(character))) }
    }

    /// Waits for something that is bound to be shown.
    private func wait(for what: String, _ isThere: (TypingState) -> Bool) async {
        for _ in 0..<3_000 {
            if isThere(typing.state) { return }
            try? await Task.sleep(for: .milliseconds(10))
        }
        XCTFail("\(what) did not come")
    }
}

/// A text that is typed at its end.
@MainActor private final class Paper: Document {
    /// What it says of its text.
    enum Tells {
        case all
        /// Only what was there so many edits ago.
        case late(Int)
        case nothing
        /// What follows the last full stop.
        case sentence
    }

    var tells = Tells.all
    private(set) var text = ""
    private var history: [String] = []

    nonisolated init() {}

    var before: String {
        switch tells {
        case .all: text
        case .late(let edits): history.dropLast(edits - 1).last ?? ""
        case .nothing: ""
        case .sentence: text.split(separator: ".", omittingEmptySubsequences: false).last.map(String.init) ?? ""
        }
    }
    let after = ""
    let isSelected = false

    func deleteBackward() {
        history.append(text)
        text = String(text.dropLast())
    }

    func insert(_ inserted: String) {
        history.append(text)
        text += inserted
    }

    /// What the app does.
    func change(_ text: String) {
        self.text = text
        history = []
    }
}
