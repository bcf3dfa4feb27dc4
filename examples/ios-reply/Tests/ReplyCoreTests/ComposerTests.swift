import XCTest

@testable import ReplyCore

final class ComposerTests: XCTestCase {
    private var writing: Composer {
        var composer = Composer()
        composer.type("old")
        composer.begin()
        composer.add(" Yes")
        composer.add(", I ")
        return composer
    }

    func testADraftTakesThePlaceOfWhatWasThereAndGrows() {
        XCTAssertEqual(writing.text, "Yes, I ")
        XCTAssertTrue(writing.isWriting)
    }

    func testNothingIsSentWhileItIsBeingWritten() {
        var composer = writing
        XCTAssertNil(composer.send())
        XCTAssertEqual(composer, writing)
        composer.end()
        XCTAssertEqual(composer.send(), "Yes, I")
        XCTAssertEqual(composer, Composer())
    }

    func testWhatWasWrittenStaysWhenItIsStoppedAndNothingIsAddedToIt() {
        var composer = writing
        composer.end()
        composer.add("am late")
        XCTAssertEqual(composer.text, "Yes, I")
        XCTAssertFalse(composer.isWriting)
    }

    func testWhatWasThereComesBackWhereADraftIsStoppedBeforeItsFirstWordOrFails() {
        var stopped = Composer(), failed = writing, alone = Composer()
        stopped.type("old")
        stopped.begin()
        stopped.add(" ")
        stopped.end()
        XCTAssertEqual(stopped.text, "old")
        failed.fail()
        XCTAssertEqual(failed.text, "old")
        alone.begin()
        alone.add("Yes ")
        alone.fail()
        XCTAssertEqual(alone.text, "Yes", "there was nothing before it")
        alone.fail()
        XCTAssertEqual(alone.text, "Yes")
    }

    func testWhatTheUserTypesEndsTheDraft() {
        var composer = writing
        composer.type("Yes, I will")
        composer.add(" never")
        XCTAssertEqual(composer.text, "Yes, I will")
        XCTAssertFalse(composer.isWriting)
    }

    func testBlanksAreNoMessage() {
        var composer = Composer()
        composer.type("  \n")
        XCTAssertFalse(composer.canSend)
        composer.type(" Yes \n")
        XCTAssertEqual(composer.send(), "Yes")
    }

    func testAnEndWithoutADraftChangesNothing() {
        var composer = Composer()
        composer.type("I am ")
        composer.end()
        XCTAssertEqual(composer.text, "I am ")
    }
}
