// The conformance suite through the public API. tests/conformance/README.md says what the cases mean.

import Foundation
import Nibble
import XCTest

final class ConformanceTests: XCTestCase {
    func testEveryCaseGivesWhatIsExpected() async throws {
        let suite = checkoutFile("tests/conformance/smollm2-135m-instruct.json")
        let cases = try JSONDecoder().decode(JSON.self, from: Data(contentsOf: suite)).list("cases")
        XCTAssertFalse(cases.isEmpty)
        let file = try modelFile()
        let runner = Runner(file: file, model: try await Model(contentsOf: file))
        for test in cases {
            let found: JSON
            do {
                found = try await runner.run(test)
            } catch let error as NibbleError {
                var fault = ["error": JSON.string(suiteName(of: error))]
                if case .memoryLimit(_, _, _, let fitting) = error {
                    fault["fitting_context"] = fitting.map(JSON.int) ?? .null
                }
                found = .object(fault)
            }
            let name = try test.text("name")
            XCTAssertNotEqual(test["expect"], .null, "\(name): nothing is expected")
            XCTAssertEqual(found, test["expect"], name)
        }
        print("conformance: \(cases.count) cases")
    }
}

private struct Runner {
    let file: URL
    let model: Model

    func run(_ test: JSON) async throws -> JSON {
        switch try test.text("call") {
        case "info":
            return .object([
                "name": JSON(model.info.name), "source_sha256": .string(model.info.sourceSHA256),
                "vocabulary": .int(model.info.vocabulary), "context": .int(model.info.context),
                "has_chat_template": .bool(model.info.hasChatTemplate),
            ])
        case "tokenize":
            let text = try test.text("text")
            let tokens = try await model.tokenize(text)
            let again = try await model.detokenize(tokens)
            XCTAssertEqual(again, text)
            return .object(["tokens": JSON(tokens)])
        case "generate":
            let session = try await session()
            return try await written(
                session.generate(test.text("prompt"), sampling: sampling(test), stop: stop(test)))
        case "close_json":
            return .object(["closed": JSON(closeJSON(try test.text("text")))])
        case "chat":
            let messages = try test.list("messages").map { message in
                guard let role = Message.Role(rawValue: try message.text("role")) else { throw Obstacle("no such role") }
                return Message(role: role, content: try message.text("content"))
            }
            let session = try await session()
            return try await written(session.chat(messages, sampling: sampling(test), stop: stop(test)))
        case "cancel":
            return try await cancel(test)
        case "keyboard":
            let keyboard = try await keyboard(test)
            var strips: [JSON] = []
            for key in try test.list("keys") {
                if key["layout"] != .null { try keyboard.setLayout(layout(key["layout"])) }
                strips.append(strip(try await ask(keyboard, test, key)))
            }
            return .object(["strips": .array(strips)])
        case "typing":
            return try await typing(test)
        case "learned":
            return try await learned(test)
        case "snapshot":
            return try await snapshot(test)
        case "emoji":
            let list = try await EmojiList(contentsOf: emoji)
            return .object(["emoji": JSON(list.suggestions(for: try test.text("text"), count: try test.number("count")))])
        case "replies":
            let found = try await model.replier().suggest(chat(test), count: test.number("count"))
            return .object([
                "replies": .array(
                    found.replies.map { .object(["text": .string($0.text), "intent": .string($0.intent)]) }),
                "silence": JSON(found.silence.map(suiteName(of:))),
            ])
        case "draft":
            return try await written(model.replier().draft(chat(test), sampling: sampling(test)))
        case "error":
            try await provoke(test.text("of"))
            throw Obstacle("nothing went wrong: \(try test.text("name"))")
        case let call:
            throw Obstacle("there is no call \(call)")
        }
    }

    private func session() async throws -> Session {
        try await model.session(Session.Options(context: 256))
    }

    private func keyboard(_ test: JSON, learned: LearnedWords? = nil) async throws -> Keyboard {
        let languages = test["languages"].array?.compactMap(\.string) ?? []
        var lexicons: [Lexicon] = []
        for language in languages { lexicons.append(try await Lexicon(contentsOf: words(language))) }
        return try await model.keyboard(
            lexicons: lexicons, layout: layout(test["layout"]), learned: learned, languages: languages.isEmpty ? ["en"] : languages)
    }

    private func typing(_ test: JSON) async throws -> JSON {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).learned")
        defer { try? FileManager.default.removeItem(at: url) }
        let learned = try await LearnedWords(contentsOf: url)
        let texts = try await typed(test, learned: learned)
        try await learned.close()
        let words = try await listed(in: LearnedWords(contentsOf: url))
        return .object(["texts": JSON(texts), "learned": words])
    }

    /// What stands in the fields of a case after each step.
    private func typed(_ test: JSON, learned: LearnedWords) async throws -> [String] {
        let keyboard = try await keyboard(test, learned: learned)
        var texts: [String] = []
        for part in try test.list("fields") {
            var editor = Editor(text: part["before"].string ?? "")
            let kind = try part["field"].string.map(field(called:)) ?? .text
            let typing = keyboard.start(field: kind, before: editor.text, after: part["after"].string ?? "")
            for step in try part.list("steps") {
                try await editor.take(step, in: typing)
                texts.append(editor.text)
            }
            typing.close()
        }
        return texts
    }

    private func learned(_ test: JSON) async throws -> JSON {
        let (learned, copy) = (LearnedWords(), LearnedWords())
        _ = try await typed(test, learned: learned)
        var added: [JSON] = []
        for word in try test.list("add").compactMap(\.string) {
            added.append(.bool(try await learned.add(word: word)))
        }
        let all = try await listed(in: learned)
        let forgotten = try await learned.forget(test.text("forget"))
        try await copy.add(learned.exported())
        let left = try await listed(in: learned)
        let kept = JSON(try await copy.words().filter(\.isAdded).map(\.word))
        try await learned.wipe()
        return try await .object([
            "added": .array(added), "words": all, "forgotten": .bool(forgotten), "left": left, "copied": listed(in: copy),
            "kept": kept, "wiped": listed(in: learned),
        ])
    }

    /// The words of a store, the most written first.
    private func listed(in learned: LearnedWords) async throws -> JSON {
        JSON(try await learned.words().map(\.word))
    }

    private func snapshot(_ test: JSON) async throws -> JSON {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).snapshot")
        defer { try? FileManager.default.removeItem(at: url) }
        let text = { (session: Session) in
            try session.generate(test.text("prompt"), sampling: sampling(test), stop: stop(test))
        }
        let first = try await session()
        _ = try await text(first).text()
        try await first.saveSnapshot(to: url)
        let other = try await session()
        let restored = try await other.restoreSnapshot(from: url)
        guard case .object(var found) = try await written(text(other)) else { throw Obstacle("nothing was written") }
        found["restored"] = .int(restored)
        return .object(found)
    }

    /// What a case does not say is what the API takes for itself.
    private func ask(_ keyboard: Keyboard, _ test: JSON, _ key: JSON) async throws -> Keyboard.Suggestions {
        let (context, typed, count) = (try key.text("context"), try key.text("typed"), try test.number("count"))
        let touches = (key["touches"].array ?? []).map { touch in
            touch.array.map { CGPoint(x: $0[0].double ?? .nan, y: $0[1].double ?? .nan) }
        }
        let field = try key["field"].string.map(field(called:)) ?? .text
        guard let gate = test["gate"].bool else {
            return try await keyboard.suggest(context: context, typed: typed, count: count, touches: touches, field: field)
        }
        return try await keyboard.suggest(
            context: context, typed: typed, count: count, touches: touches, field: field, gate: gate)
    }

    private func cancel(_ test: JSON) async throws -> JSON {
        let session = try await session()
        let text = try session.generate(test.text("prompt"), sampling: sampling(test), stop: stop(test))
        let after = try test.number("after")
        let task = Task {
            var tokens: [UInt32] = []
            let pieces = text.makeAsyncIterator()
            for _ in 0..<after {
                guard let piece = try await pieces.next() else { throw Obstacle("it ended before it was cancelled") }
                tokens.append(piece.token)
            }
            withUnsafeCurrentTask { $0?.cancel() }
            do {
                _ = try await pieces.next()
            } catch is CancellationError {
                return tokens
            }
            throw Obstacle("it was not cancelled")
        }
        let tokens = try await task.value
        let again = try await written(
            session.generate(test.text("prompt"), sampling: sampling(test), stop: stop(test)))
        return .object(["tokens": JSON(tokens), "error": .string("cancelled"), "again": again["tokens"]])
    }

    /// Makes the situation, which is an error.
    private func provoke(_ situation: String) async throws {
        let chat = [Replier.Turn(fromMe: false, text: "Are you coming?")]
        switch situation {
        case "missing file": try await open(nil)
        case "empty file": try await open(Data())
        case "foreign file": try await open(Data(repeating: 120, count: 20_000))
        case "cut file": try await open(head())
        case "newer file":
            var bytes = try head()
            bytes[8] = 99
            try await open(bytes)
        case "another model":
            _ = try await Model(
                contentsOf: file, options: Model.Options(sourceSHA256: String(repeating: "0", count: 64)))
        case "closed model":
            let model = try await Model(contentsOf: file)
            model.close()
            _ = try await model.tokenize("Hello")
        case "closed session":
            let session = try await session()
            session.close()
            _ = try await session.generate("Hello").text()
        case "closed generation":
            let text = try await session().generate("Hello")
            text.close()
            _ = try await text.text()
        case "closed keyboard":
            let keyboard = try await model.keyboard()
            keyboard.close()
            _ = try await keyboard.suggest(context: "", typed: "h")
        case "closed replier":
            let replier = try await model.replier()
            replier.close()
            _ = try await replier.suggest(chat)
        case "superseded":
            let keyboard = try await model.keyboard()
            // A request that was answered before the next one came was not overtaken: again.
            for number in 0..<100 {
                try await overtaken(keyboard, context: "Number \(number) ")
            }
        case "foreign learned words":
            try await withFile(Data(repeating: 120, count: 20_000)) { _ = try await LearnedWords(contentsOf: $0) }
        case "bad key":
            try await withFile(nil) { _ = try await LearnedWords(contentsOf: $0, key: Data(count: 31)) }
        case "missing word list": try await openWordList(nil)
        case "foreign word list": try await openWordList(Data(repeating: 120, count: 20_000))
        case "cut word list": try await openWordList(Data(contentsOf: words("en")).prefix(1_000))
        case "foreign emoji list":
            try await withFile(Data(repeating: 120, count: 20_000)) { _ = try await EmojiList(contentsOf: $0) }
        case "folder": _ = try await Model(contentsOf: FileManager.default.temporaryDirectory)
        case "newer source": try await pack(gguf(9))
        case "cut source": try await pack(gguf(3).prefix(20))
        case "no chat template":
            try await pack(Data(contentsOf: checkoutFile("tests/conformance/base.gguf"))) { packed in
                _ = try await Model(contentsOf: packed).session().chat([.user("Hello")]).text()
            }
        case "missing snapshot":
            let session = try await session()
            try await withFile(nil) { try await session.restoreSnapshot(from: $0) }
        case "foreign snapshot":
            let session = try await session()
            try await withFile(Data(repeating: 120, count: 20_000)) { try await session.restoreSnapshot(from: $0) }
        case "snapshot of another cache":
            let session = try await session()
            _ = try await session.generate("Hello", stop: Stop(maxTokens: 1)).text()
            let other = try await model.session(Session.Options(context: 256, kvCache: .q8))
            try await withFile(nil) { url in
                try await session.saveSnapshot(to: url)
                try await other.restoreSnapshot(from: url)
            }
        case "foreign export": try await LearnedWords().add("words")
        case "too many touches":
            _ = try await model.keyboard().suggest(context: "", typed: "h", touches: [.zero, .zero])
        case "overlapping keys":
            let frame = CGRect(x: 0, y: 0, width: 1, height: 1)
            try await model.keyboard().setLayout(
                .keys([Keyboard.Key("a", frame: frame), Keyboard.Key("b", frame: frame)]))
        case "unnamed language":
            let lexicon = try await Lexicon(contentsOf: words("en"))
            _ = try await model.keyboard(lexicons: [lexicon, lexicon])
        case "context overflow":
            _ = try await session().generate(String(repeating: "word ", count: 500)).text()
        case "memory limit": _ = try await model.session(Session.Options(context: 256, memoryLimit: 1))
        case "tight memory limit":
            let limit = try await model.memoryPlan(Session.Options(context: 256)).session - 1
            _ = try await model.session(Session.Options(context: 256, memoryLimit: limit))
        case "memory limit of the model":
            let options = Session.Options(context: 256)
            let limit = try await model.memoryPlan(options).session
            let limited = try await Model(contentsOf: file, options: Model.Options(memoryLimit: limit))
            let first = try await limited.session(options)
            defer { first.close() }
            _ = try await limited.session(options)
        case "bad sampling": _ = try await session().generate("Hello", sampling: Sampling(temperature: -1)).text()
        case "bad schema":
            _ = try await session().generate("Hello", sampling: Sampling(schema: #"{"oneOf": []}"#)).text()
        case "empty stop": _ = try await session().generate("Hello", stop: Stop(strings: [""])).text()
        case "empty context": _ = try await model.session(Session.Options(context: 0))
        case "unknown token": _ = try await model.detokenize([4_000_000_000])
        default: throw Obstacle("there is no situation \(situation)")
        }
    }

    /// Two requests, of which the first is thrown if the second overtakes it.
    @Typist private func overtaken(_ keyboard: Keyboard, context: String) async throws {
        let older = Task { try await keyboard.suggest(context: context, typed: "h") }
        let newer = Task { try await keyboard.suggest(context: context, typed: "he") }
        _ = try await newer.value
        _ = try await older.value
    }

    /// The beginning of the model file.
    private func head() throws -> Data {
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        guard let bytes = try handle.read(upToCount: 65_536) else { throw Obstacle("the model file is empty") }
        return bytes
    }

    /// Opens a file of these bytes, or one that is not there.
    private func open(_ bytes: Data?) async throws {
        try await withFile(bytes) { _ = try await Model(contentsOf: $0) }
    }

    private func openWordList(_ bytes: Data?) async throws {
        try await withFile(bytes) { _ = try await Lexicon(contentsOf: $0) }
    }

    /// Packs a GGUF of these bytes, and uses what comes out.
    private func pack(_ bytes: Data, _ use: (URL) async throws -> Void = { _ in }) async throws {
        try await withFile(bytes) { source in
            let packed = source.appendingPathExtension("packed")
            defer { try? FileManager.default.removeItem(at: packed) }
            for try await _ in Model.pack(source, to: packed) {}
            try await use(packed)
        }
    }

    /// How a GGUF of this version begins.
    private func gguf(_ version: UInt8) -> Data { Data("GGUF".utf8) + Data([version]) + Data(count: 19) }

    private func withFile(_ bytes: Data?, _ use: (URL) async throws -> Void) async throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).nibble")
        defer { try? FileManager.default.removeItem(at: url) }
        try bytes?.write(to: url)
        try await use(url)
    }
}

/// What is typed into.
private struct Editor {
    var text: String

    /// Does what a step of a case says.
    mutating func take(_ step: JSON, in typing: TypingSession) async throws {
        for key in step["keys"].string ?? "" { try apply(typing.key(String(key))) }
        if let end = step["end"].string {
            _ = try await strip(of: typing)
            try apply(typing.key(end))
        }
        if let index = step["accept"].int {
            let strip = try await strip(of: typing)
            try apply(edit(of: typing, strip.suggestions[index], from: strip))
        }
        if step["accept_ahead"].bool == true {
            let strip = try await strip(of: typing) { $0.ahead != nil }
            guard let ahead = strip.ahead else { throw Obstacle("there are no words ahead") }
            try apply(edit(of: typing, ahead, from: strip))
        }
        for _ in 0..<(step["backspace"].int ?? 0) { try apply(typing.backspace()) }
        if let before = step["reported"].string { typing.reported(before: before, after: "") }
    }

    private func strip(
        of typing: TypingSession, where isWanted: (TypingSession.Strip) -> Bool = \.isRefined
    ) async throws -> TypingSession.Strip {
        for try await strip in typing.strips where isWanted(strip) { return strip }
        throw Obstacle("there is no strip")
    }

    private func edit(
        of typing: TypingSession, _ suggestion: Keyboard.Suggestion, from strip: TypingSession.Strip
    ) throws -> TypingSession.Edit {
        guard let edit = typing.accept(suggestion, from: strip) else { throw Obstacle("the strip is stale") }
        return edit
    }

    private mutating func apply(_ edit: TypingSession.Edit) throws {
        guard text.hasSuffix(edit.delete) else { throw Obstacle("\(edit.delete) is to go, and the text is \(text)") }
        text.removeLast(edit.delete.count)
        text += edit.insert
    }
}

/// The emoji list of the suite.
private let emoji = checkoutFile("tests/conformance/emoji-en.fst")

/// A word list of the suite.
private func words(_ language: String) -> URL { checkoutFile("tests/conformance/words-\(language).fst") }

private func layout(_ json: JSON) throws -> Keyboard.Layout {
    if let keys = json.array {
        return .keys(
            try keys.map { key in
                let frame = try CGRect(
                    x: key.number("x"), y: key.number("y"), width: key.number("width"), height: key.number("height"))
                return Keyboard.Key(Character(try key.text("key")), frame: frame)
            })
    }
    switch json.string {
    case nil, "qwerty": return .qwerty
    case "qwertz": return .qwertz
    case "azerty": return .azerty
    case "dvorak": return .dvorak
    case let name?: throw Obstacle("there is no layout \(name)")
    }
}

private func field(called name: String) throws -> Keyboard.Field {
    guard let field = Keyboard.Field.allCases.first(where: { suiteName(of: $0) == name }) else {
        throw Obstacle("there is no field \(name)")
    }
    return field
}

private func suiteName(of field: Keyboard.Field) -> String {
    switch field {
    case .text: "text"
    case .noLearning: "no_learning"
    case .search: "search"
    case .email: "email"
    case .url: "url"
    case .password: "password"
    case .number: "number"
    case .code: "code"
    }
}

private func strip(_ found: Keyboard.Suggestions) -> JSON {
    .object([
        "words": JSON(found.suggestions.map(\.word)),
        "kinds": JSON(found.suggestions.map { suiteName(of: $0.kind) }),
        "replaces": .string(found.replaces), "proven": .bool(found.isProven), "autocorrect": JSON(found.autocorrect),
    ])
}

private func sampling(_ test: JSON) -> Sampling {
    let given = test["sampling"]
    let standard = Sampling()
    let number = { (key: String, standard: Float) in given[key].double.map { Float($0) } ?? standard }
    return Sampling(
        temperature: number("temperature", standard.temperature), topK: given["top_k"].int ?? standard.topK,
        topP: number("top_p", standard.topP), minP: number("min_p", standard.minP),
        repetitionPenalty: number("repetition_penalty", standard.repetitionPenalty),
        repetitionWindow: given["repetition_window"].int ?? standard.repetitionWindow,
        seed: given["seed"].int.map(UInt64.init) ?? standard.seed, schema: given["schema"].string)
}

private func stop(_ test: JSON) -> Stop {
    Stop(maxTokens: test["stop"]["max_tokens"].int, strings: test["stop"]["strings"].array?.compactMap(\.string) ?? [])
}

private func chat(_ test: JSON) throws -> [Replier.Turn] {
    try test.list("chat").map { turn in
        guard let fromMe = turn["from_me"].bool else { throw Obstacle("the turn does not say whose it is") }
        return Replier.Turn(fromMe: fromMe, text: try turn.text("text"))
    }
}

private func written(_ generation: Generation) async throws -> JSON {
    var tokens: [UInt32] = []
    var pieces: [String] = []
    for try await piece in generation {
        tokens.append(piece.token)
        if !piece.text.isEmpty { pieces.append(piece.text) }
    }
    return .object(["tokens": JSON(tokens), "pieces": JSON(pieces), "finish": JSON(generation.finish.map(suiteName(of:)))])
}

private func suiteName(of finish: Generation.Finish) -> String {
    switch finish {
    case .endOfText: "end_of_text"
    case .maxTokens: "max_tokens"
    case .stopString: "stop_string"
    }
}

private func suiteName(of kind: Keyboard.Suggestion.Kind) -> String {
    switch kind {
    case .nextWord: "next_word"
    case .completion: "completion"
    case .literal: "literal"
    case .correction: "correction"
    }
}

private func suiteName(of silence: Replier.Silence) -> String {
    switch silence {
    case .nothing: "nothing"
    case .ownTurn: "own_turn"
    case .code: "code"
    case .sensitive: "sensitive"
    case .automated: "automated"
    case .language: "language"
    }
}

private func suiteName(of error: NibbleError) -> String {
    switch error {
    case .modelNotFound: "model_not_found"
    case .modelDamaged: "model_damaged"
    case .modelVersion: "model_version"
    case .modelUnsupported: "model_unsupported"
    case .noChatTemplate: "no_chat_template"
    case .lexiconUnfit: "lexicon_unfit"
    case .learnedWordsUnfit: "learned_words_unfit"
    case .manifestUnfit: "manifest_unfit"
    case .manifestUntrusted: "manifest_untrusted"
    case .manifestOlder: "manifest_older"
    case .contextOverflow: "context_overflow"
    case .memoryLimit: "memory_limit"
    case .snapshotUnfit: "snapshot_unfit"
    case .schemaUnfit: "schema_unfit"
    case .storageFull: "storage_full"
    case .io: "io"
    case .cancelled: "cancelled"
    case .superseded: "superseded"
    case .closed: "closed"
    case .invalidArgument: "invalid_argument"
    case .internal: "internal"
    }
}
