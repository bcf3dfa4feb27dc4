// The whole keyboard, from the touch to the text, with the real model, the real word list and the library for this machine.

import Foundation
import KeyboardCore
import Nibble
import UIKit
import XCTest

@testable import KeyboardExtension

@MainActor final class KeyboardExtensionTests: XCTestCase, @unchecked Sendable {
    func testAParagraphWithTypingErrorsIsPutRightAndNothingElseIsDoneToIt() async throws {
        let phone = try await Phone()
        let paragraph = "The bus did not come, so I am late. See you tomoreow at the staton, I have to wotk today. "
        for character in paragraph {
            let before = phone.text
            let typed = String(before.reversed().prefix { $0.isLetter }.reversed())
            let marked = phone.strip.first { $0.hasPrefix("[") }?.trimmingCharacters(in: ["[", "]"]) ?? typed
            await phone.type(String(character))
            // What the strip has marked, and nothing else, comes in with the end of a word.
            let kept = character.isLetter ? before : before.dropLast(typed.count) + marked
            XCTAssertEqual(phone.text, kept + String(character))
        }
        XCTAssertEqual(phone.text, "The bus did not come, so I am late. See you tomorrow at the station, I have to work today. ")
    }

    func testACorrectionIsTakenBackByBackspaceAndNotMadeAgain() async throws {
        let phone = try await Phone()
        await phone.type("I will be there tomoreow")
        XCTAssertEqual(Array(phone.strip.prefix(2)), ["tomoreow", "[tomorrow]"])
        await phone.type(" ")
        XCTAssertEqual(phone.text, "I will be there tomorrow ")
        await phone.backspace()
        XCTAssertEqual(phone.text, "I will be there tomoreow ")
        await phone.type("ok ")
        XCTAssertEqual(phone.text, "I will be there tomoreow ok ")
    }

    func testWordsAreTakenFromTheStripWithTheirSpaceWhichAFullStopTakesThePlaceOf() async throws {
        let phone = try await Phone()
        await phone.type("See you to")
        try await phone.take("tomorrow")
        XCTAssertEqual(phone.text, "See you tomorrow ")
        await phone.type(".")
        XCTAssertEqual(phone.text, "See you tomorrow. ")
        XCTAssertEqual(phone.state.shift.state, .once, "a sentence begins")
        await phone.type("Tomoreow")
        try await phone.take("Tomoreow")
        XCTAssertEqual(phone.text, "See you tomorrow. Tomoreow ", "what was typed is kept where it was chosen")
    }

    func testADocumentThatTellsLateOrLittleGetsWhatWasTypedOnce() async throws {
        let phone = try await Phone()
        for (lateness, reach) in [(0, Int.max), (1, Int.max), (4, Int.max), (0, 12)] {
            let field = Field()
            (field.lateness, field.reach) = (lateness, reach)
            await phone.open(field)
            await phone.type("See you tomoreow at the station")
            XCTAssertEqual(phone.text, "See you tomorrow at the station", "late by \(lateness), reaching \(reach)")
        }
    }

    func testWhatTheAppOrAFingerDoesToTheTextIsTakenOver() async throws {
        let phone = try await Phone()
        await phone.type("I am teh")
        await phone.change("")
        await phone.type("We are here")
        XCTAssertEqual(phone.text, "We are here")
        await phone.change(cursor: 2)
        await phone.type(" all")
        XCTAssertEqual(phone.text, "We all are here")
        await phone.change(cursor: 0, selection: "We all".count)
        XCTAssertEqual(phone.strip, [])
        await phone.type("They")
        XCTAssertEqual(phone.text, "They are here")
        await phone.change(cursor: 0, selection: phone.text.count)
        await phone.backspace()
        XCTAssertEqual(phone.text, "")
    }

    func testNothingIsSuggestedForASecretOrLearnedFromIt() async throws {
        let phone = try await Phone()
        for secret in [\Field.isSecureTextEntry, nil] {
            let field = Field()
            if let secret { field[keyPath: secret] = true } else { field.textContentType = .oneTimeCode }
            await phone.open(field)
            XCTAssertEqual(phone.note, "Private field: nothing you type here is learned.")
            XCTAssertFalse(try phone.button("Private field: nothing is learned").isEnabled)
            await phone.type("zorblatta zorblatta ")
            XCTAssertEqual(phone.text, "zorblatta zorblatta ")
            XCTAssertEqual(phone.strip, [])
        }
        await phone.open()
        await phone.type("zorblattb is here ")
        await phone.open()
        await phone.wait(for: "what was learned") { await phone.predictions.words.list().contains("zorblattb") }
        let learned = await phone.predictions.words.list()
        XCTAssertFalse(learned.contains("zorblatta"))
    }

    func testThePhoneIsTurnedInTheMidstOfAWord() async throws {
        let phone = try await Phone()
        await phone.type("See you tomo")
        let upright = try XCTUnwrap(phone.views(BoardView.self).first).frame
        phone.controller.traitCollection = UITraitCollection(verticalSizeClass: .compact)
        phone.layOut(CGSize(width: 844, height: 196))
        let turned = try XCTUnwrap(phone.views(BoardView.self).first).frame
        XCTAssertLessThan(turned.height, upright.height)
        XCTAssertGreaterThan(turned.width, upright.width)
        await phone.type("reow ")
        XCTAssertEqual(phone.text, "See you tomorrow ")
    }

    func testWithoutAModelTheKeysType() async throws {
        let phone = try await Phone(hasModel: false)
        await phone.type("Hello, it is 7 to")
        await phone.backspace()
        XCTAssertEqual(phone.text, "Hello, it is 7 t")
        XCTAssertEqual(phone.note, "Suggestions need a language model: open Nibble Keyboard.")
        await phone.type(". A")
        XCTAssertEqual(phone.text, "Hello, it is 7 t. A")
    }

    func testWhereNibbleFailsTheKeysGoOn() async throws {
        let phone = try await Phone()
        await phone.type("See ")
        phone.predictions.keyboard?.close()
        for character in "you" { phone.hit(character) }
        XCTAssertEqual(phone.text, "See you")
        await phone.wait(for: "the end of the strip") { phone.strip.isEmpty }
    }

    func testTheFieldSaysWhatItsKeysAre() async throws {
        let phone = try await Phone(hasModel: false)
        let number = Field()
        number.keyboardType = .numberPad
        await phone.open(number)
        XCTAssertEqual(phone.state.page, .symbols)
        XCTAssertEqual(phone.state.input.field, .number)
        let address = Field()
        (address.keyboardType, address.returnKeyType) = (.emailAddress, .go)
        await phone.open(address)
        var asked = InputField()
        (asked.field, asked.returnKey, asked.capitals) = (.email, "go", .none)
        XCTAssertEqual(phone.state.input, asked)
        await phone.type("a@b")
        XCTAssertEqual(phone.text, "a@b", "no capital begins an address")
        let plain = Field()
        (plain.autocorrectionType, plain.autocapitalizationType) = (.no, .allCharacters)
        await phone.open(plain)
        (asked.returnKey, asked.capitals) = (nil, .all)
        XCTAssertEqual(phone.state.input, asked)
        XCTAssertEqual(phone.state.shift.state, .once)
    }

    func testEverythingHasANameForVoiceOverAndCanBeDoneWithIt() async throws {
        let phone = try await Phone()
        await phone.type("See you tomoreow")
        for key in phone.views(KeyView.self) where key.isAccessibilityElement {
            XCTAssertFalse(try XCTUnwrap(key.accessibilityLabel).isEmpty, "\(key.key)")
            XCTAssertTrue(key.accessibilityTraits.contains(.keyboardKey))
        }
        for button in phone.views(UIButton.self) { XCTAssertNotNil(button.accessibilityLabel) }
        XCTAssertNoThrow(try phone.button("tomorrow, put in by the space bar"))
        XCTAssertTrue(try phone.key("Space").accessibilityActivate())
        XCTAssertEqual(phone.text, "See you tomorrow ")
        let accent = try XCTUnwrap(phone.key("e").accessibilityCustomActions?.first { $0.name == "é" })
        XCTAssertEqual(accent.actionHandler?(accent), true)
        XCTAssertEqual(phone.text, "See you tomorrow é")
    }

    func testAFingerThatComesDownBeforeThePageHasChangedHitsTheNewKeys() async throws {
        let phone = try await Phone(hasModel: false)
        await phone.type("I 1")
        let letters = try await Phone(hasModel: false)
        let first = phone.down(.type(" ")), second = phone.down(at: letters.middle(.type("t")))
        phone.controller.view.layoutIfNeeded()
        phone.up(first)
        phone.up(second)
        XCTAssertEqual(phone.text, "I 1 t")
    }

    func testWhatAKeyOffersIsShownAndNamedAsItIsTyped() async throws {
        let phone = try await Phone(hasModel: false)
        XCTAssertEqual(phone.state.shift.state, .once)
        let finger = phone.down(.type("e"))
        await phone.wait(for: "the accents") { phone.views(UILabel.self).contains { $0.text == "É" } }
        phone.up(finger)
        XCTAssertEqual(phone.text, "E")
        let shift = try phone.key("Shift")
        let lock = try XCTUnwrap(shift.accessibilityCustomActions?.first)
        XCTAssertEqual(lock.actionHandler?(lock), true)
        XCTAssertEqual(shift.accessibilityLabel, "Capitals, locked")
        let names = try XCTUnwrap(phone.key("A").accessibilityCustomActions).map(\.name)
        XCTAssertEqual(names.first, "À")
    }

    func testTheBookShowsWhatWasLearnedAndForgetsIt() async throws {
        let phone = try await Phone()
        await phone.type("Zorblatt and florp ")
        await phone.open()
        await phone.wait(for: "what was learned") { await phone.predictions.words.list().count == 3 }
        try phone.button("Learned words").sendActions(for: .touchUpInside)
        XCTAssertEqual(phone.views(BoardView.self), [], "the words are in the place of the keys")
        let table = try XCTUnwrap(phone.views(UITableView.self).first)
        let view = try XCTUnwrap(phone.views(WordsView.self).first)
        func rows() -> [String] {
            (0..<view.tableView(table, numberOfRowsInSection: 0)).compactMap { row in
                let cell = view.tableView(table, cellForRowAt: IndexPath(row: row, section: 0))
                return (cell.contentConfiguration as? UIListContentConfiguration)?.text?.lowercased()
            }
        }
        await phone.wait(for: "the rows") { rows().count == 3 }
        let row = try XCTUnwrap(rows().firstIndex(of: "florp"))
        view.tableView(table, commit: .delete, forRowAt: IndexPath(row: row, section: 0))
        XCTAssertEqual(Set(rows()), ["zorblatt", "and"])
        await phone.wait(for: "one word less") { await phone.predictions.words.list().count == 2 }
        try phone.button("Wipe all").sendActions(for: .touchUpInside)
        XCTAssertEqual(rows().count, 2, "it asks first")
        try phone.button("Really forget all words?").sendActions(for: .touchUpInside)
        await phone.wait(for: "no words") { rows().isEmpty }
        let left = await phone.predictions.words.list()
        XCTAssertEqual(left, [])
        try phone.button("Keys").sendActions(for: .touchUpInside)
        XCTAssertEqual(phone.views(BoardView.self).count, 1)
    }

    func testNothingIsLearnedWhileThatIsSwitchedOff() async throws {
        var settings = Settings()
        settings.isLearning = false
        let phone = try await Phone(settings: settings)
        await phone.type("zorblatt is here ")
        await phone.open()
        settings.isLearning = true
        try phone.shared.save(settings)
        await phone.open()
        await phone.type("florp is here ")
        await phone.open()
        await phone.wait(for: "what was learned") { await phone.predictions.words.list().contains("florp") }
        let learned = await phone.predictions.words.list()
        XCTAssertFalse(learned.contains("zorblatt"))
    }
}
