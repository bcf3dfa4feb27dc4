import Foundation
import Nibble
import SampleTesting
import XCTest

@testable import ReplyCore

@MainActor final class ChatTests: XCTestCase, @unchecked Sendable {
    /// Where the other side answers when the test says so.
    private let moment = AsyncStream<Void>.makeStream()

    private func chat(_ assistant: FakeAssistant) async throws -> Chat {
        let brain = Brain { assistant }
        try await brain.opened()
        let chat = Chat(.party, brain: brain) { [stream = moment.stream] in for await _ in stream { return } }
        await chat.drafting.suggest()
        return chat
    }

    func testChipsComeForTheLastMessageFillTheTextFieldAndAreSentByTheUserAlone() async throws {
        let chat = try await chat(FakeAssistant())
        let drafting = chat.drafting
        XCTAssertEqual(drafting.chips, ["Yes!", "No."])
        XCTAssertFalse(drafting.canSend)
        drafting.text = "Yes!"
        XCTAssertEqual(drafting.chips, [], "they make room for what is there")
        XCTAssertEqual(chat.conversation.messages.count, 1)
        chat.send()
        XCTAssertEqual(chat.conversation.messages, [.theirs("Are you in?"), .mine("Yes!")])
        XCTAssertEqual(drafting.text, "")
    }

    func testTheOtherSideAnswersAndThereAreChipsForThat() async throws {
        let assistant = FakeAssistant()
        let chat = try await chat(assistant)
        let first = chat.drafting.question
        chat.drafting.text = "Yes!"
        chat.send()
        XCTAssertNotEqual(chat.drafting.question, first, "chips are asked for anew")
        await chat.drafting.suggest()
        XCTAssertEqual(chat.drafting.chips, [], "nobody answers oneself")
        XCTAssertFalse(chat.drafting.canDraft)
        moment.continuation.yield()
        await chat.answering?.value
        XCTAssertEqual(chat.conversation.messages.last, .theirs("Great."))
        XCTAssertEqual(chat.drafting.chips, [])
        await chat.drafting.suggest()
        XCTAssertEqual(chat.drafting.chips, ["Yes!", "No."])
        XCTAssertEqual(assistant.asked.map { $0.last?.text }, ["Are you in?", "Yes!", "Great."])
    }

    func testChipsThatAreThereAreNotAskedForAgain() async throws {
        let assistant = FakeAssistant()
        let chat = try await chat(assistant)
        await chat.drafting.suggest()
        XCTAssertEqual(assistant.asked.count, 1)
    }

    func testChipsForAMessageThatWasAnsweredMeanwhileAreNotShown() async throws {
        let assistant = FakeAssistant()
        let brain = Brain { assistant }
        try await brain.opened()
        let chat = Chat(.party, brain: brain)
        assistant.thinking = {
            chat.drafting.text = "Yes"
            chat.send()
        }
        await chat.drafting.suggest()
        XCTAssertEqual(assistant.asked.count, 1)
        XCTAssertEqual(chat.drafting.chips, [])
    }

    func testADraftStreamsIsStoppedEditedAndSent() async throws {
        let assistant = FakeAssistant()
        let chat = try await chat(assistant)
        let drafting = chat.drafting
        drafting.write()
        XCTAssertEqual(drafting.note, .writing)
        assistant.pen.yield("I would ")
        assistant.pen.yield("love to ")
        await waited { drafting.text == "I would love to " }
        chat.send()
        XCTAssertEqual(chat.conversation.messages.count, 1, "it is still being written")
        drafting.stop()
        XCTAssertEqual(drafting.text, "I would love to")
        await assistant.stopped()
        drafting.text = "I would love to come"
        chat.send()
        XCTAssertEqual(chat.conversation.messages.last, .mine("I would love to come"))
    }

    func testWhatTheUserTypesEndsADraftAndTheNextOneBeginsAnew() async throws {
        let assistant = FakeAssistant()
        let drafting = try await chat(assistant).drafting
        drafting.write()
        assistant.pen.yield("Yes")
        await waited { drafting.text == "Yes" }
        drafting.text = "No"
        await assistant.stopped()
        XCTAssertNil(drafting.note)
        assistant.takePaper()
        drafting.write()
        XCTAssertEqual(drafting.text, "")
        assistant.pen.yield("Of course")
        assistant.pen.finish()
        await drafting.written()
        XCTAssertEqual(drafting.text, "Of course", "the end of the first was not that of the second")
        XCTAssertNil(drafting.note)
    }

    func testADraftThatIsWholeCanBeSentAndOneThatIsEmptyOrFailsIsSaid() async throws {
        let assistant = FakeAssistant()
        let drafting = try await chat(assistant).drafting
        drafting.write()
        assistant.pen.yield("Yes")
        assistant.pen.finish()
        await drafting.written()
        XCTAssertEqual(drafting.text, "Yes")
        XCTAssertTrue(drafting.canSend)
        XCTAssertNil(drafting.note)
        for trouble in [nil, Trouble()] {
            assistant.takePaper()
            drafting.write()
                assistant.pen.finish(throwing: trouble)
            await drafting.written()
            XCTAssertEqual(drafting.note, .noDraft)
            XCTAssertFalse(drafting.isWriting)
            XCTAssertEqual(drafting.text, "Yes", "what was there before comes back")
        }
        drafting.text = "Yes!"
        XCTAssertNil(drafting.note)
    }

    func testWhatADraftThatFailedHadWrittenCanBeSent() async throws {
        let assistant = FakeAssistant()
        let chat = try await chat(assistant)
        chat.drafting.write()
        assistant.pen.yield("Yes ")
        assistant.pen.finish(throwing: Trouble())
        await chat.drafting.written()
        XCTAssertEqual(chat.drafting.note, .noDraft)
        chat.send()
        XCTAssertEqual(chat.conversation.messages.last, .mine("Yes"))
        XCTAssertNil(chat.drafting.note)
    }

    func testWhatWasTypedComesBackWhereADraftFails() async throws {
        let assistant = FakeAssistant()
        let drafting = try await chat(assistant).drafting
        drafting.text = "I will"
        drafting.write()
        assistant.pen.yield("Yes")
        assistant.pen.finish(throwing: Trouble())
        await drafting.written()
        XCTAssertEqual(drafting.text, "I will")
        XCTAssertEqual(drafting.note, .noDraft)
    }

    func testWhatWasTypedAndNotSentIsThereAgainWhenTheAppWasKilled() async throws {
        let folder = try temporaryFolder()
        let assistant = FakeAssistant()
        let brain = Brain { assistant }
        try await brain.opened()
        // Nothing of what was there is told that it ends: the next launch has the folder alone.
        func launch(_ conversation: Conversation = .party) -> Chat { Chat(conversation, brain: brain, unsent: Unsent(in: folder)) }
        let first = launch()
        XCTAssertEqual(first.drafting.text, "")
        first.drafting.text = "I am on"
        first.keep()
        let second = launch()
        XCTAssertEqual(second.drafting.text, "I am on")
        XCTAssertEqual(launch(Conversation(with: "Jonas", [])).drafting.text, "", "that was not to him")

        second.drafting.write()
        second.keep()
        XCTAssertEqual(launch().drafting.text, "I am on", "nothing was written in its place yet")
        assistant.pen.yield("I would ")
        await waited { second.drafting.text == "I would " }
        second.keep()
        XCTAssertTrue(second.drafting.isWriting, "it goes on")
        XCTAssertEqual(launch().drafting.text, "I would")
        second.drafting.stop()
        second.send()
        XCTAssertEqual(launch().drafting.text, "", "it was sent")
        try Data("no texts".utf8).write(to: folder.appendingPathComponent("unsent.json"))
        XCTAssertEqual(launch().drafting.text, "")
    }

    func testADraftIsStoppedWhenSomethingNewIsSaid() async throws {
        let assistant = FakeAssistant()
        let drafting = try await chat(assistant).drafting
        drafting.write()
        assistant.pen.yield("Yes")
        await waited { drafting.text == "Yes" }
        drafting.turns.append(Replier.Turn(fromMe: false, text: "Or not?"))
        XCTAssertFalse(drafting.isWriting)
        await assistant.stopped()
        XCTAssertEqual(drafting.text, "Yes", "what was written stays")
    }

    func testWithoutAModelThereAreNoChipsAndTheyComeWithIt() async throws {
        let assistant = FakeAssistant()
        let brain = Brain { assistant }
        let drafting = Chat(.party, brain: brain).drafting
        let before = drafting.question
        await drafting.suggest()
        drafting.write()
        XCTAssertEqual(drafting.note, .noModel)
        XCTAssertEqual(drafting.chips, [])
        XCTAssertFalse(drafting.isWriting)
        brain.open()
        XCTAssertNil(drafting.note, "it is on its way")
        try await brain.opened()
        XCTAssertNotEqual(drafting.question, before)
        await drafting.suggest()
        XCTAssertEqual(drafting.chips, ["Yes!", "No."])
    }

    func testWhereASuggestionIsOutOfPlaceTheReasonIsSaid() async throws {
        let notes: [(Replier.Silence, Note?)] = [
            (.code, .code), (.sensitive, .sensitive), (.automated, .automated), (.language, .language), (.nothing, nil),
        ]
        for (reason, note) in notes {
            let drafting = try await chat(FakeAssistant(.silence(reason))).drafting
            XCTAssertEqual(drafting.note, note)
            XCTAssertEqual(drafting.chips, [])
            drafting.text = "Hello"
            XCTAssertNil(drafting.note, "the user goes on alone")
        }
    }
}
