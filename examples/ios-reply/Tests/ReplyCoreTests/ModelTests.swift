// The real library, and the real model.

import Foundation
import ModelSetup
import Nibble
import SampleTesting
import XCTest

@testable import ReplyCore

@MainActor final class ModelTests: XCTestCase, @unchecked Sendable {
    private nonisolated static let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("ReplyCoreTests-\(UUID().uuidString)")
    private static let brain = Brain {
        let store = try await ModelStore(directory: folder)
        try await store.install(ModelSetup.name, from: testFile("NIBBLE_TEST_MODEL")).finish()
        return try await NibbleAssistant(modelIn: folder)
    }

    override class func tearDown() {
        try? FileManager.default.removeItem(at: folder)
    }

    func testAnInvitationHasThreeChips() async throws {
        try await Self.brain.opened()
        let drafting = Chat(Conversation.demo[0], brain: Self.brain).drafting
        await drafting.suggest()
        XCTAssertEqual(Set(drafting.chips).count, 3)
        XCTAssertNil(drafting.note)
    }

    func testACodeHasNone() async throws {
        try await Self.brain.opened()
        let drafting = Drafting(answering: "Your verification code is 482913. Do not share it.", brain: Self.brain)
        await drafting.suggest()
        XCTAssertEqual(drafting.chips, [])
        XCTAssertEqual(drafting.note, .code)
    }

    func testADraftStreamsAndIsStopped() async throws {
        try await Self.brain.opened()
        let drafting = Chat(Conversation.demo[0], brain: Self.brain).drafting
        drafting.write()
        await waited { !drafting.text.isEmpty }
        XCTAssertTrue(drafting.isWriting)
        drafting.stop()
        let text = drafting.text
        await drafting.written()
        XCTAssertEqual(drafting.text, text, "nothing is added after the stop")
        XCTAssertTrue(drafting.canSend)
        XCTAssertNil(drafting.note)
    }

    func testAMessageOfAnotherAppIsAnsweredWithRepliesOrADraft() async throws {
        let message = "Are we still on for lunch?"
        let chosen = try await Drafting.answer(to: message, inOwnWords: false, brain: Self.brain)
        XCTAssertEqual(Set(chosen.replies).count, 3)
        XCTAssertEqual(chosen.summary, chosen.replies.joined(separator: "\n"))
        let drafted = try await Drafting.answer(to: message, inOwnWords: true, brain: Self.brain)
        XCTAssertEqual(drafted.replies, [drafted.summary])
        XCTAssertFalse(drafted.summary.isEmpty)
        XCTAssertFalse(drafted.summary.contains("\n"))
    }

    func testWhereThereIsNothingToAnswerTheReasonIsSaid() async throws {
        let code = try await Drafting.answer(to: "123456 is your login code", inOwnWords: false, brain: Self.brain)
        XCTAssertEqual(code, Drafting.Answer(replies: [], summary: Note.code.text))
        let nothing = try await Drafting.answer(to: "?!", inOwnWords: false, brain: Self.brain)
        XCTAssertEqual(nothing, Drafting.Answer(replies: [], summary: "There is nothing to reply to."))
    }

    func testWithoutAModelThatIsSaid() async throws {
        let nowhere = Self.folder.appendingPathComponent("nowhere")
        let brain = Brain { try await NibbleAssistant(modelIn: nowhere) }
        do {
            _ = try await Drafting.answer(to: "Hello?", inOwnWords: true, brain: brain)
            XCTFail("there is no model")
        } catch NibbleError.modelNotFound {
            XCTAssertEqual(Drafting(answering: "Hello?", brain: brain).note, .noModel)
        }
    }
}
