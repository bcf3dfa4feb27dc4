import Nibble
import XCTest

@testable import ReplyCore

final class ConversationTests: XCTestCase {
    func testTheOtherSideAnswersWithItsNextLineAsLongAsItHasOne() {
        var conversation = Conversation.party
        conversation.say("Yes")
        conversation.hear()
        conversation.hear()
        XCTAssertEqual(conversation.messages, [.theirs("Are you in?"), .mine("Yes"), .theirs("Great.")])
        XCTAssertEqual(conversation.turns.map(\.fromMe), [false, true, false])
        XCTAssertEqual(conversation.turns.map(\.text), ["Are you in?", "Yes", "Great."])
    }

    func testInTheDemoEverybodyWaitsForAnAnswerAndHasOne() {
        XCTAssertGreaterThanOrEqual(Conversation.demo.count, 4)
        for conversation in Conversation.demo {
            XCTAssertEqual(conversation.messages.last?.isMine, false, conversation.name)
            XCTAssertFalse(conversation.script.isEmpty, conversation.name)
        }
    }
}
