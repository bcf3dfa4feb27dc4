// What the Swift API adds to the native library: lazy streams, cancelling, order of requests, closed objects, memory.

import Foundation
import Nibble
import XCTest

final class ApiTests: XCTestCase {
    // MARK: Texts

    func testATextBeginsWhenItsFirstPieceIsAskedFor() async throws {
        let session = try await openModel().session()
        // Were anything begun here, it would be with an argument that cannot be.
        let text = session.generate(prompt, sampling: Sampling(temperature: -1))
        XCTAssertNil(text.finish)
        await assertThrows("temperature") { try await text.text() }
        // Nor is anything begun while the session is open still.
        let late = session.generate(prompt, stop: Stop(maxTokens: 2))
        session.close()
        await assertThrows("the session is closed; open a new one") { try await late.text() }
    }

    func testATextIsPulledPieceByPiece() async throws {
        let session = try await openModel().session()
        let whole = try await session.generate(prompt, stop: Stop(maxTokens: 8)).text()
        let text = session.generate(prompt, stop: Stop(maxTokens: 8))
        var found = ""
        for try await piece in text {
            found += piece.text
            if found.count > 8 { break }
        }
        XCTAssertNil(text.finish)
        // Another text in between: what was not asked for was not computed, and nothing of it is lost.
        let other = try await session.generate("Something else", stop: Stop(maxTokens: 4)).text()
        XCTAssertFalse(other.isEmpty)
        let rest = try await text.text()
        XCTAssertFalse(rest.isEmpty)
        XCTAssertEqual(found + rest, whole)
        XCTAssertEqual(text.finish, .maxTokens)
        let nothing = try await text.text()
        XCTAssertEqual(nothing, "")
    }

    func testATextUnderASchemaIsDecodedAlsoWhileItIsWritten() async throws {
        struct Note: Decodable, Equatable {
            let mood: String
            let tags: [String]?
        }
        let schema = #"""
            {"type": "object", "required": ["mood", "tags"], "properties": {"mood": {"enum": ["good", "bad"]},
             "tags": {"type": "array", "items": {"type": "string", "maxLength": 8}, "minItems": 2, "maxItems": 2}}}
            """#
        let session = try await openModel().session()
        let note = try await session.generate(prompt, sampling: Sampling(schema: schema)).decode(Note.self)
        XCTAssertEqual(note.tags?.count, 2)
        var partials: [Note] = []
        let written = session.generate(prompt, sampling: Sampling(schema: schema))
        // Without a mood there is no note yet.
        for try await partial in written.partials(of: Note.self) { partials.append(partial) }
        XCTAssertNil(partials.first?.tags)
        XCTAssertEqual(partials.last, note)
        XCTAssertTrue(zip(partials, partials.dropFirst()).allSatisfy { $0 != $1 }, "one was told twice")
        let cut = session.generate(prompt, sampling: Sampling(schema: schema), stop: Stop(maxTokens: 3))
        do {
            _ = try await cut.decode(Note.self)
            XCTFail("it is whole")
        } catch is DecodingError {}
        XCTAssertEqual(cut.finish, .maxTokens)
        for try await partial in session.generate(prompt, sampling: Sampling(schema: schema), stop: Stop(maxTokens: 3))
            .partials(of: Note.self) where partial.tags != nil
        {
            XCTFail("it is cut")
        }
        do {
            for try await _ in session.generate(prompt, sampling: Sampling(schema: schema)).partials(of: [Note].self) {}
            XCTFail("it is no list")
        } catch is DecodingError {}
    }

    func testSessionsOfOneModelComputeBesideEachOther() async throws {
        let model = try await openModel()
        let texts = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<4 {
                group.addTask { try await model.session().generate(prompt, stop: Stop(maxTokens: 6)).text() }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        XCTAssertEqual(texts.count, 4)
        XCTAssertEqual(Set(texts).count, 1)
    }

    func testMemoryThatWasGivenBackComesBack() async throws {
        let model = try await openModel()
        let session = try await model.session()
        let keyboard = try await model.keyboard()
        let text = try await session.generate(prompt, stop: Stop(maxTokens: 6)).text()
        let words = try await keyboard.suggest(context: "How are ", typed: "yo", gate: false)
        for pressure in [Model.MemoryPressure.moderate, .low, .critical] {
            model.memoryPressure(pressure)
            let textAgain = try await session.generate(prompt, stop: Stop(maxTokens: 6)).text()
            let wordsAgain = try await keyboard.suggest(context: "How are ", typed: "yo", gate: false)
            XCTAssertEqual(textAgain, text)
            XCTAssertEqual(wordsAgain, words)
        }
    }

    func testTheMemoryPlanIsKnownBeforeOpening() async throws {
        let file = try modelFile()
        let plan = try await Model.memoryPlan(contentsOf: file)
        let model = try await Model(contentsOf: file)
        let same = try await model.memoryPlan()
        let smaller = try await model.memoryPlan(Session.Options(context: 256))
        let size = try XCTUnwrap(FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int)
        XCTAssertEqual(plan, same)
        XCTAssertEqual(plan.mapped, size)
        XCTAssertLessThan(smaller.session, plan.session)
        do {
            _ = try await model.keyboard(memoryLimit: plan.keyboard - 1)
            XCTFail("it was opened")
        } catch NibbleError.memoryLimit(_, let needed, _, _) {
            XCTAssertEqual(needed, plan.keyboard)
        }
        do {
            _ = try await model.replier(memoryLimit: plan.replier - 1)
            XCTFail("it was opened")
        } catch NibbleError.memoryLimit(_, let needed, _, _) {
            XCTAssertEqual(needed, plan.replier)
        }
        do {
            _ = try await model.session(Session.Options(memoryLimit: smaller.session))
            XCTFail("it was opened")
        } catch NibbleError.memoryLimit(_, let needed, let limit, let fitting) {
            XCTAssertGreaterThan(needed, limit)
            let context = try XCTUnwrap(fitting)
            let fits = try await model.session(Session.Options(context: context, memoryLimit: limit))
            let text = try await fits.generate(prompt, stop: Stop(maxTokens: 1)).text()
            XCTAssertFalse(text.isEmpty)
        }
    }

    // MARK: Cancelling

    func testACancelReachesAPromptUnderWay() async throws {
        let session = try await openModel().session()
        let short = try await session.generate(prompt, stop: Stop(maxTokens: 4)).text()
        let long = String(repeating: "one two three ", count: 600)
        for yields in [0, 1_000, 10_000] {
            let text = session.generate(long)
            let task = Task {
                var pieces = 0
                do {
                    for try await _ in text { pieces += 1 }
                } catch is CancellationError {
                    return pieces
                }
                throw Obstacle("it was not cancelled")
            }
            for _ in 0..<yields { await Task.yield() }
            task.cancel()
            // The native call of the first piece is under way. Were it not stopped, it would return that piece.
            let pieces = try await task.value
            XCTAssertEqual(pieces, 0)
            XCTAssertNil(text.finish)
            // It stays cancelled, also for a task that is not.
            if yields > 0 {
                do {
                    _ = try await text.text()
                    XCTFail("it goes on")
                } catch NibbleError.cancelled {}
            }
            let again = try await session.generate(prompt, stop: Stop(maxTokens: 4)).text()
            XCTAssertEqual(again, short)
        }
    }

    func testACancelFromAnotherTaskEndsAStream() async throws {
        let session = try await openModel().session(Session.Options(overflow: .slide(keep: 4)))
        let text = session.generate("1, 2, 3, 4, 5,")
        let (counts, count) = AsyncStream.makeStream(of: Int.self)
        let task = Task {
            var pieces = 0
            for try await _ in text {
                pieces += 1
                count.yield(pieces)
            }
        }
        for await pieces in counts where pieces == 3 { break }
        task.cancel()
        do {
            try await task.value
            XCTFail("it was not cancelled")
        } catch is CancellationError {}
        XCTAssertNil(text.finish)
    }

    func testClosingATextEndsItForWhoeverAsks() async throws {
        let session = try await openModel().session(Session.Options(overflow: .slide(keep: 4)))
        let text = session.generate("1, 2, 3, 4, 5,")
        for try await piece in text where !piece.text.isEmpty {
            text.close()
            break
        }
        text.close()
        await assertThrows("the generation is closed; begin a new one") { try await text.text() }
    }

    func testACancelledTaskAsksForNothing() async throws {
        let model = try await openModel()
        let keyboard = try await model.keyboard()
        let session = try await model.session()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            var cancelled = 0
            let requests: [@Sendable () async throws -> Void] = [
                { _ = try await keyboard.suggest(context: "How ") },
                { _ = try await keyboard.glance(context: "How ") },
                { _ = try await model.replier() },
                { _ = try await model.tokenize("How") },
                { _ = try await session.generate(prompt).text() },
            ]
            for request in requests {
                do { try await request() } catch is CancellationError { cancelled += 1 }
            }
            return cancelled
        }
        let cancelled = try await task.value
        XCTAssertEqual(cancelled, 5)
    }

    // MARK: Keyboard and replies

    func testTheNewestRequestIsAnswered() async throws {
        let keyboard = try await openModel().keyboard()
        let alone = try await openModel().keyboard()
        for burst in 0..<40 {
            // Whether an older one is in time or overtaken is a matter of luck; the newest is answered always.
            let keys = (0...20).map { "friend".prefix(($0 + burst) % 7) }.map(String.init)
            let requests = await begin(keys, on: keyboard)
            for (number, request) in requests.enumerated() {
                do {
                    let found = try await request.value
                    let expected = try await alone.suggest(context: "I said ", typed: keys[number])
                    XCTAssertEqual(found, expected)
                } catch NibbleError.superseded where number < 20 {}
            }
        }
    }

    func testAGlanceIsOfTheSameWord() async throws {
        let keyboard = try await openModel().keyboard()
        let glance = try await keyboard.glance(context: "Can I bring something to ", typed: "dr")
        XCTAssertEqual(glance.replaces, "dr")
        XCTAssertEqual(glance.suggestions, [], "there is too much to read for one")
        let found = try await keyboard.suggest(context: "Can I bring something to ", typed: "dr")
        let known = try await keyboard.glance(context: "Can I bring something to ", typed: "dr")
        XCTAssertEqual(known.suggestions, found.suggestions)
        XCTAssertTrue(found.suggestions.map(\.word).contains("drink"))
        XCTAssertTrue(found.suggestions.allSatisfy { (0...1).contains($0.probability) })
    }

    func testAWordListServesTheKeyboardsThatHaveIt() async throws {
        let model = try await openModel()
        let file = checkoutFile("tests/conformance/words-en.fst")
        var lexicon: Lexicon? = try await Lexicon(contentsOf: file)
        let text = try String(contentsOf: checkoutFile("tests/conformance/words-en.txt"), encoding: .utf8)
        XCTAssertEqual(lexicon?.count, text.split(separator: "\n").count)
        let keyboard = try await model.keyboard(lexicons: lexicon.map { [$0] } ?? [])
        lexicon = nil
        for pressure in [nil, Model.MemoryPressure.low] {
            pressure.map(model.memoryPressure)
            let found = try await keyboard.suggest(context: "See you ", typed: "tomoreow")
            XCTAssertEqual(found.autocorrect, "tomorrow")
        }
        let without = try await model.keyboard().suggest(context: "See you ", typed: "tomoreow")
        XCTAssertNil(without.autocorrect)
    }

    func testAWordListMayLieInAnOpenFile() async throws {
        let words = try Data(contentsOf: checkoutFile("tests/conformance/words-en.fst"))
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).package")
        defer { try? FileManager.default.removeItem(at: url) }
        try (Data("head".utf8) + words + Data("tail".utf8)).write(to: url)
        let handle = try FileHandle(forReadingFrom: url)
        let descriptor = handle.fileDescriptor
        let lexicon = try await Lexicon(descriptor: descriptor, offset: 4, length: words.count)
        XCTAssertGreaterThan(lexicon.count, 100)
        await assertThrows("in the open file") { try await Lexicon(descriptor: descriptor, length: words.count) }
        await assertThrows("offset is -1") { try await Lexicon(descriptor: descriptor, offset: -1, length: 1) }
        try handle.close()
    }

    func testADraftAndSuggestionsOfOneReplier() async throws {
        let replier = try await openModel().replier()
        let chat = [Replier.Turn(fromMe: false, text: "Do you want to get lunch on Friday?")]
        let draft = replier.draft(chat)
        let pieces = draft.makeAsyncIterator()
        let first = try await pieces.next()
        let found = try await replier.suggest(chat)
        let rest = try await draft.text()
        let whole = try await replier.draft(chat).text()
        XCTAssertEqual(found.replies.count, 3)
        XCTAssertNil(found.silence)
        XCTAssertEqual(try XCTUnwrap(first).text + rest, whole)
        XCTAssertFalse(whole.contains("\n"))
    }

    // MARK: Errors

    func testWhatIsClosedSaysSoToManyTasks() async throws {
        let model = try await openModel()
        let keyboard = try await model.keyboard()
        let replier = try await model.replier()
        let session = try await model.session()
        let chat = [Replier.Turn(fromMe: false, text: "Are you coming?")]
        let closed = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<24 {
                group.addTask {
                    // More requests than are answered before the close.
                    for _ in 0..<10_000 {
                        do {
                            switch number % 3 {
                            case 0: _ = try await session.generate(prompt, stop: Stop(maxTokens: 2)).text()
                            case 1: _ = try await keyboard.suggest(context: "Line \(number) ")
                            default: _ = try await replier.suggest(chat)
                            }
                        } catch NibbleError.superseded {
                        } catch NibbleError.closed {
                            return 1
                        }
                    }
                    return 0
                }
            }
            group.addTask {
                // In their midst, from several tasks at once, and twice.
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<4 {
                        group.addTask {
                            session.close()
                            keyboard.close()
                            replier.close()
                            model.close()
                        }
                    }
                }
                return 0
            }
            return try await group.reduce(0, +)
        }
        XCTAssertEqual(closed, 24)
        await assertThrows("the model is closed; open a new one") { try await model.tokenize("Hello") }
        await assertThrows("the model is closed; open a new one") { try await model.session() }
        await assertThrows("the model is closed; open a new one") { try await model.keyboard() }
        await assertThrows("the model is closed; open a new one") { try await model.replier() }
        await assertThrows("the model is closed; open a new one") { try await model.memoryPlan() }
        await assertThrows("closed; open a new one") { try await replier.draft(chat).text() }
        XCTAssertGreaterThan(model.info.vocabulary, 0)
    }

    func testNumbersThatCannotBeAreRefusedInWords() async throws {
        let model = try await openModel()
        let session = try await model.session()
        let keyboard = try await model.keyboard()
        await assertThrows("context is -1; it goes from 0 to 4294967295") {
            try await model.session(Session.Options(context: -1))
        }
        await assertThrows("memoryLimit is -1") { try await model.session(Session.Options(memoryLimit: -1)) }
        await assertThrows("keep is -1") { try await model.session(Session.Options(overflow: .slide(keep: -1))) }
        await assertThrows("threads is -1") { try await model.keyboard(threads: -1) }
        await assertThrows("memoryLimit is -1") { try await model.replier(memoryLimit: -1) }
        await assertThrows("count is -1") { try await keyboard.suggest(context: "", count: -1) }
        await assertThrows("topK is -1") { try await session.generate("", sampling: Sampling(topK: -1)).text() }
        await assertThrows("maxTokens is -1") { try await session.generate("", stop: Stop(maxTokens: -1)).text() }
        let elsewhere = try XCTUnwrap(URL(string: "https://example.com/model.nibble"))
        await assertThrows("the URL has another scheme than file") { try await Model(contentsOf: elsewhere) }
    }

    func testNoErrorRepeatsWhatWasTyped() async throws {
        let session = try await openModel().session(Session.Options(context: 64))
        let secret = String(repeating: "hunter2 ", count: 100)
        for text in [session.generate(secret), session.generate(secret, stop: Stop(strings: ["", secret]))] {
            do {
                _ = try await text.text()
                XCTFail("nothing went wrong")
            } catch let error as NibbleError {
                XCTAssertFalse("\(error) \(error.localizedDescription)".contains("hunter2"))
                XCTAssertEqual(error.localizedDescription, error.reason)
                XCTAssertFalse(error.reason.isEmpty)
            }
        }
    }

    // MARK: Memory

    func testMemoryIsFlatOverManyModels() async throws {
        let file = try modelFile()
        func cycles(_ count: Int) async throws {
            for number in 0..<count {
                let model = try await Model(contentsOf: file, options: Model.Options(checkWeights: false))
                let found = try await model.keyboard(threads: 1).suggest(
                    context: "How are ", typed: "yo", count: 1, gate: false)
                XCTAssertEqual(found.suggestions.map(\.word), ["you"])
                let text = try await model.session(Session.Options(context: 64)).generate("Hi").makeAsyncIterator().next()
                XCTAssertNotNil(text)
                // Half of them are closed, and half only let go.
                if number.isMultiple(of: 2) { model.close() }
            }
        }
        // FilesTests opens a small one ten thousand times; here it is about what only a large one has to give back.
        try await cycles(40)
        let middle = try Held()
        try await cycles(40)
        let end = try Held()
        print("after 40 models: \(middle); after 80: \(end)")
        // A keyboard of each model that is not freed would add a hundred megabytes.
        end.assertNoMore(than: middle, bytes: 16_000_000)
    }

    // MARK: Documentation

    func testTheSnippetOfTheReadmeRuns() async throws {
        let found = try await gettingStarted(modelFile())
        XCTAssertTrue(found.words.contains("drink"))
        XCTAssertTrue(found.text.contains("Paris"))
    }

    func testTheReadmeAndTheArticleShowTheSnippetThatRuns() throws {
        let source = try String(contentsOf: checkoutFile("ios/Tests/NibbleTests/GettingStarted.swift"), encoding: .utf8)
        let body = try XCTUnwrap(source.range(of: "func gettingStarted"))
        let lines = { (text: Substring) in text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) } }
        // All but the first line and the last two, which make it a function.
        let snippet = lines(source[body.lowerBound...]).dropFirst().dropLast(2).joined(separator: "\n")
        XCTAssertTrue(snippet.contains("Model(contentsOf: file)"))
        for page in ["ios/README.md", "ios/Sources/Nibble/Nibble.docc/GettingStarted.md"] {
            let text = try String(contentsOf: checkoutFile(page), encoding: .utf8)
            XCTAssertTrue(lines(text[...]).joined(separator: "\n").contains(snippet), page)
        }
    }
}

private let prompt = "The capital of France is"

private func openModel() async throws -> Model {
    try await Model(contentsOf: modelFile())
}

/// A request at every key, none of which waits for the one before.
@Typist private func begin(_ keys: [String], on keyboard: Keyboard) -> [Task<Keyboard.Suggestions, any Error>] {
    keys.map { key in Task { try await keyboard.suggest(context: "I said ", typed: key) } }
}

/// Fails unless a `NibbleError` is thrown that says this.
private func assertThrows<Value: Sendable>(
    _ reason: String, line: UInt = #line, _ body: @Sendable () async throws -> Value
) async {
    do {
        _ = try await body()
        XCTFail("nothing was thrown", line: line)
    } catch let error as NibbleError {
        XCTAssertTrue(error.reason.contains(reason), error.reason, line: line)
    } catch {
        XCTFail("\(error)", line: line)
    }
}
