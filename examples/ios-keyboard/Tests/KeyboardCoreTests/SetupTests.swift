// The folder between the app and its keyboard, and what the keyboard opens of it.

import Foundation
import KeyboardCore
import ModelSetup
import Nibble
import SampleTesting
import XCTest

@MainActor final class SetupTests: XCTestCase, @unchecked Sendable {
    private var folder: URL!
    private var shared: SharedFolder { SharedFolder(folder) }

    override func setUp() async throws {
        folder = try temporaryFolder()
    }

    func testWhatIsChosenIsThereForTheKeyboard() async throws {
        let setup = KeyboardSetup(shared)
        setup.settings.letters = .qwertz
        setup.settings.isLearning = false
        XCTAssertEqual(shared.settings, setup.settings)
        try Data("{".utf8).write(to: folder.appendingPathComponent("settings.json"))
        XCTAssertEqual(shared.settings, Settings(), "what cannot be read was not chosen")
    }

    func testWhatCannotBeWrittenDownGoesBack() async throws {
        let setup = KeyboardSetup(SharedFolder(folder.appendingPathComponent("nowhere")))
        setup.settings.letters = .qwertz
        XCTAssertEqual(setup.settings.letters, .qwerty)
    }

    func testAWordListIsTakenWhenItIsOne() async throws {
        let setup = KeyboardSetup(shared)
        await setup.start()
        XCTAssertEqual(setup.wordList, .missing)
        let other = folder.appendingPathComponent("other")
        try Data("no words".utf8).write(to: other)
        await setup.install(wordList: other)
        XCTAssertEqual(setup.wordList, .unfit)
        await setup.install(wordList: folder.appendingPathComponent("nowhere"))
        XCTAssertEqual(setup.wordList, .unreadable)
        await setup.install(wordList: try testFile("NIBBLE_TEST_LEXICON"))
        XCTAssertEqual(setup.wordList, .ready)
        await setup.install(wordList: other)
        XCTAssertEqual(setup.wordList, .unfit)
        let kept = await shared.lexicon()
        XCTAssertNotNil(kept, "the one that was there stays")
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.contains("partial") }
        XCTAssertEqual(left, [])
    }

    func testTheWordListThatCameWithTheAppIsTakenWhereNoneWasChosen() async throws {
        let setup = KeyboardSetup(SharedFolder(folder, bundledWords: try testFile("NIBBLE_TEST_LEXICON")))
        await setup.start()
        XCTAssertEqual(setup.wordList, .ready)
    }

    func testTheKeyboardOpensWhenThereIsAModelAndKeepsToItsMemory() async throws {
        let predictions = Predictions(shared: shared, words: WordBook(in: folder.appendingPathComponent("own")))
        await predictions.open()
        XCTAssertNil(predictions.keyboard)
        XCTAssertNotNil(predictions.words.learned)
        let setup = KeyboardSetup(shared)
        await setup.start()
        setup.model.install(try testFile("NIBBLE_TEST_MODEL"))
        await setup.model.settled()
        try await shared.install(wordList: testFile("NIBBLE_TEST_LEXICON"))

        let before = try dirtyBytes()
        // As two text fields that appear at once.
        async let one: Void = predictions.open()
        async let other: Void = predictions.open()
        _ = await (one, other)
        let keyboard = try XCTUnwrap(predictions.keyboard)
        let typing = keyboard.start()
        for character in String(repeating: "See you tomorrow at the station, I have to work today. ", count: 8) {
            _ = typing.key(String(character))
        }
        for try await strip in typing.strips where strip.isRefined { break }
        let taken = try dirtyBytes() - before
        print("the keyboard has written to \(taken / 1_000) kB of memory, of the 50 MB or so that an extension may")
        XCTAssertLessThan(taken, 40_000_000)
    }

    func testAWordListThatIsChosenLaterIsTakenWhenTheKeyboardAppears() async throws {
        let predictions = Predictions(shared: shared, words: WordBook(in: folder.appendingPathComponent("own")))
        let setup = KeyboardSetup(shared)
        setup.model.install(try testFile("NIBBLE_TEST_MODEL"))
        await setup.model.settled()
        await predictions.open()
        let without = try XCTUnwrap(predictions.keyboard)
        await setup.install(wordList: try testFile("NIBBLE_TEST_LEXICON"))
        await predictions.open()
        let with = try XCTUnwrap(predictions.keyboard)
        XCTAssertFalse(with === without)
        let found = try await with.suggest(context: "See you ", typed: "tomoreow")
        XCTAssertEqual(found.autocorrect, "tomorrow")
        await predictions.open()
        XCTAssertTrue(predictions.keyboard === with, "nothing else was chosen")
    }

    func testLearnedWordsThatCannotBeReadAreLeftAsTheyAreUntilTheyAreWiped() async throws {
        let own = folder.appendingPathComponent("own"), file = own.appendingPathComponent("learned.redb")
        let held = WordBook(in: own)
        await held.open(isLearning: true)
        let bytes = try Data(contentsOf: file)
        let second = WordBook(in: own)
        await second.open(isLearning: true)
        XCTAssertTrue(held.isReadable)
        XCTAssertFalse(second.isReadable, "in use")
        XCTAssertNotNil(second.learned, "words are learned all the same")
        XCTAssertEqual(try Data(contentsOf: file), bytes)
        await second.wipe()
        XCTAssertFalse(FileManager.default.fileExists(atPath: file.path))
        XCTAssertTrue(second.isReadable, "nothing is left that cannot be read")
        let third = WordBook(in: own)
        await third.open(isLearning: true)
        XCTAssertTrue(third.isReadable)
    }

    /// Memory that this process has written to. What is mapped from files does not count: the system takes that back as it likes.
    private func dirtyBytes() throws -> Int {
        #if os(Linux)
            let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ").compactMap { Int($0) }
            return (pages[1] - pages[2]) * sysconf(Int32(_SC_PAGESIZE))
        #else
            throw XCTSkip("how much memory was written to is read on Linux")
        #endif
    }
}
