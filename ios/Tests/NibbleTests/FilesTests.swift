// Model files: packing, stores, snapshots, and files that are not what they should be.

import Foundation
import Nibble
import XCTest

final class FilesTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    // MARK: Packing

    func testPackingTellsHowFarItHasComeAndMakesAModel() async throws {
        let (gguf, file) = (try writeTinyModel(), at("tiny.nibble"))
        let packing = Model.pack(gguf, to: file)
        // Nothing is done before it is iterated.
        XCTAssertFalse(exists(file))
        var told: [Packing.Progress] = []
        for try await progress in packing { told.append(progress) }
        XCTAssertTrue(zip(told, told.dropFirst()).allSatisfy { $0.done < $1.done })
        XCTAssertEqual(told.last?.fraction, 1)
        let model = try await Model(contentsOf: file)
        XCTAssertEqual(model.info.name, "Tiny")
        XCTAssertFalse(model.info.hasChatTemplate)
        // Once more, over the one that is open.
        let text = try await model.session().generate("the", stop: Stop(maxTokens: 4)).text()
        try await packing.finish()
        let again = try await Model(contentsOf: file).session().generate("the", stop: Stop(maxTokens: 4)).text()
        XCTAssertEqual(again, text)
    }

    func testWhatCannotBePackedLeavesNothing() async throws {
        let (gguf, file) = (try writeTinyModel(), at("tiny.nibble"))
        await assertFails("modelNotFound") { try await Model.pack(self.at("gone.gguf"), to: file).finish() }
        await assertFails("modelDamaged") {
            try await Model.pack(gguf, to: file, sourceSHA256: String(repeating: "0", count: 64)).finish()
        }
        await assertFails("invalidArgument") { try await Model.pack(gguf, to: file, sourceSHA256: "abc").finish() }
        let cut = at("cut.gguf")
        try tinyModel().prefix(9_000).write(to: cut)
        await assertFails("modelDamaged") { try await Model.pack(cut, to: file).finish() }
        let foreign = at("foreign.gguf")
        try tinyModel(architecture: "mamba").write(to: foreign)
        await assertFails("modelUnsupported") { try await Model.pack(foreign, to: file).finish() }
        let elsewhere = try XCTUnwrap(URL(string: "https://example.com/model.gguf"))
        await assertFails("invalidArgument") { try await Model.pack(elsewhere, to: file).finish() }
        // A file is no folder.
        await assertFails("io") { try await Model.pack(gguf, to: gguf.appendingPathComponent("tiny.nibble")).finish() }
        XCTAssertEqual(try files(), ["cut.gguf", "foreign.gguf", "tiny.gguf"])
    }

    #if os(Linux)
        func testAFullStorageIsAnErrorOfItsOwnAndLeavesNothing() async throws {
            let session = try await tiny().session()
            _ = try await session.generate(String(repeating: "the ", count: 40), stop: Stop(maxTokens: 1)).text()
            let full = at("full")
            try FileManager.default.createDirectory(at: full, withIntermediateDirectories: false)
            // A page, which is less than anything that is written here.
            guard mount("none", full.path, "tmpfs", 0, "size=4k") == 0 else {
                throw XCTSkip("this system does not let a test mount a file system: a full storage was not tested")
            }
            defer { umount(full.path) }
            await assertFails("storageFull") {
                try await Model.pack(self.at("tiny.gguf"), to: full.appendingPathComponent("tiny.nibble")).finish()
            }
            let store = try await ModelStore(directory: full)
            await assertFails("storageFull") { try await store.install("tiny", from: self.at("tiny.gguf")).finish() }
            await assertFails("storageFull") {
                try await session.saveSnapshot(to: full.appendingPathComponent("tiny.snapshot"))
            }
            XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: full.path), [])
        }
    #endif

    func testCancellingAPackingWaitsForItsEndAndLeavesNothing() async throws {
        let (gguf, file) = (try writeTinyModel(), at("tiny.nibble"))
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await Model.pack(gguf, to: file).finish()
        }
        await assertCancelled(task)
        XCTAssertEqual(try files(), ["tiny.gguf"])

        // In its midst, of a model of a hundred megabytes.
        let large = at("large.gguf")
        try tinyModel(feedForward: 1 << 17).write(to: large)
        let (told, tell) = AsyncStream.makeStream(of: Packing.Progress.self)
        let midway = Task {
            defer { tell.finish() }
            for try await progress in Model.pack(large, to: file) { tell.yield(progress) }
        }
        for await progress in told where progress.done > 0 { break }
        midway.cancel()
        switch await midway.result {
        case .failure(let error):
            XCTAssertTrue(error is CancellationError, "\(error)")
            // It has ended: nothing appears later.
            XCTAssertEqual(try files(), ["large.gguf", "tiny.gguf"])
        case .success:
            // It was faster than the first question how far it has come. Then it is whole.
            _ = try await Model(contentsOf: file)
        }
    }

    // MARK: Stores

    func testAStoreInstallsReplacesAndRemoves() async throws {
        let store = try await ModelStore(directory: at("Models"))
        let nothing = try await store.installed()
        XCTAssertEqual(nothing, [])
        await assertFails("modelNotFound") { try await store.url(of: "tiny") }
        await assertFails("modelNotFound") { try await store.open("tiny") }
        for name in ["", "..", "a/b"] {
            await assertFails("invalidArgument") { try await store.install(name, from: self.at("tiny.gguf")).finish() }
        }

        try await store.install("tiny", from: writeTinyModel()).finish()
        let url = try await store.url(of: "tiny")
        let old = try await store.open("tiny")
        let oldText = try await old.session().generate("the", stop: Stop(maxTokens: 8)).text()
        let first = try await store.installed()
        XCTAssertEqual(first.map(\.name), ["tiny"])
        XCTAssertEqual(first.map(\.url.path), [url.path])
        XCTAssertEqual(first.map(\.sourceSHA256), [old.info.sourceSHA256])
        XCTAssertEqual(first.first?.bytes, try size(of: url))
        XCTAssertLessThan(abs(try XCTUnwrap(first.first).lastUsed.timeIntervalSinceNow), 3_600)

        // An upgrade that fails changes nothing.
        let cut = at("cut.gguf")
        try tinyModel(seed: 2).prefix(9_000).write(to: cut)
        await assertFails("modelDamaged") { try await store.install("tiny", from: cut).finish() }
        let same = try await store.installed()
        XCTAssertEqual(same.map(\.sourceSHA256), [old.info.sourceSHA256])

        // One that does not: who has the old model open keeps it.
        let newer = at("newer.gguf")
        try tinyModel(seed: 2).write(to: newer)
        try await store.install("tiny", from: newer).finish()
        let new = try await store.open("tiny")
        XCTAssertNotEqual(new.info.sourceSHA256, old.info.sourceSHA256)
        let again = try await old.session().generate("the", stop: Stop(maxTokens: 8)).text()
        XCTAssertEqual(again, oldText)

        // A packed file is taken as it is, after it was checked.
        let packed = at("packed.nibble")
        try await Model.pack(writeTinyModel(), to: packed).finish()
        try await store.install("copy", from: packed, sourceSHA256: old.info.sourceSHA256).finish()
        let both = try await store.installed()
        XCTAssertEqual(Set(both.map(\.name)), ["tiny", "copy"])
        let needed = try await Model.memoryPlan(contentsOf: packed).session
        let (fitting, none) = (try await store.fitting(needed), try await store.fitting(needed - 1))
        XCTAssertEqual(Set(fitting.map(\.name)), ["tiny", "copy"])
        XCTAssertEqual(none, [])

        // Removing what is not there does nothing.
        for _ in 0..<2 { try await store.remove("tiny") }
        await assertFails("modelNotFound") { try await store.url(of: "tiny") }
        let text = try await new.session().generate("the", stop: Stop(maxTokens: 1)).text()
        XCTAssertNotNil(text)
    }

    func testAStoreKeepsWithinItsQuota() async throws {
        let gguf = try writeTinyModel()
        let free = try await ModelStore(directory: at("Models"))
        try await free.install("first", from: gguf).finish()
        let bytes = try size(of: try await free.url(of: "first"))
        let store = try await ModelStore(directory: at("Models"), quota: 2 * bytes)
        for name in ["second", "third"] {
            try await store.install(name, from: gguf).finish()
        }
        let installed = try await store.installed()
        XCTAssertEqual(installed.count, 2)
        XCTAssertTrue(installed.map(\.name).contains("third"))
        // One that alone takes more is refused, and what was there stays.
        let small = try await ModelStore(directory: at("Models"), quota: bytes / 2)
        await assertFails("storageFull") { try await small.install("fourth", from: gguf).finish() }
        let same = try await small.installed()
        XCTAssertEqual(same.map(\.name), installed.map(\.name))
        await assertFails("invalidArgument") { try await ModelStore(directory: self.at("Models"), quota: -1) }
    }

    #if os(Linux)
        func testWhatIsLoggedIsAsAskedForAndHoldsNothingThatWasTyped() async throws {
            defer { Runtime.setLogLevel(.warn) }
            let gguf = try writeTinyModel()
            let store = try await ModelStore(directory: at("Models"), quota: 200_000)
            // What standard error gets meanwhile. One of the models has to make room for the other.
            func logged(_ level: Runtime.LogLevel) async throws -> String {
                let file = at("log")
                let (console, log) = (dup(STDERR_FILENO), open(file.path, O_CREAT | O_WRONLY | O_TRUNC, 0o600))
                guard console >= 0, log >= 0 else { throw Obstacle("no file could be opened") }
                dup2(log, STDERR_FILENO)
                defer {
                    dup2(console, STDERR_FILENO)
                    close(console)
                    close(log)
                }
                Runtime.setLogLevel(level)
                for name in ["one", "other"] { try await store.install(name, from: gguf).finish() }
                let session = try await store.open("other").session(Session.Options(context: 32))
                _ = try await session.generate("hunter2", stop: Stop(maxTokens: 2)).text()
                await assertFails("contextOverflow") {
                    try await session.generate(String(repeating: "hunter2 ", count: 40)).text()
                }
                return try String(contentsOf: file, encoding: .utf8)
            }
            let nothing = try await logged(.off)
            XCTAssertEqual(nothing, "")
            for level in [Runtime.LogLevel.info, .debug] {
                let log = try await logged(level)
                XCTAssertTrue(log.contains("removing the model one"), log)
                XCTAssertFalse(log.contains("hunter2"), log)
            }
        }
    #endif

    func testASignedModelIsDownloadedAfterABreakAndInstalled() async throws {
        let store = try await ModelStore(directory: at("Models"))
        let content = try Data(contentsOf: checkoutFile("tests/conformance/base.gguf"))
        let manifest = try Data(contentsOf: checkoutFile("tests/conformance/base.manifest.json"))
        let key = try String(contentsOf: checkoutFile("tests/conformance/base.public-key"), encoding: .utf8)
        let keys = [key.trimmingCharacters(in: .whitespacesAndNewlines)]
        do {
            let download = try await store.download(manifest, publicKeys: keys)
            XCTAssertEqual(download.manifest.name, "base")
            XCTAssertEqual(download.manifest.length, content.count)
            await assertFails("invalidArgument") { try await download.install().finish() }
            await assertFails("modelDamaged") { try await download.write(Data(count: content.count), at: 0) }
            try await download.write(content.prefix(5_000), at: 0)
            let missing = try await download.missing()
            XCTAssertEqual(missing, [5_000..<content.count])
        }
        // What was not a whole chunk is gone when the download is.
        let download = try await store.download(manifest, publicKeys: keys)
        for missing in try await download.missing() {
            try await download.write(content.subdata(in: missing), at: missing.lowerBound)
        }
        try await download.install().finish()
        let installed = try await store.installed()
        XCTAssertEqual(installed.map(\.sourceSHA256), [download.manifest.sha256])
        await assertFails("modelNotFound") { try await store.rollback("base") }
        await assertFails("manifestUntrusted") { try await store.download(manifest, publicKeys: []) }
        await assertFails("manifestUnfit") { try await store.download(Data(), publicKeys: keys) }
        await assertFails("memoryLimit") { try await store.download(manifest, publicKeys: keys, memory: 999) }
    }

    func testANewerModelIsRolledBackAndAnOlderOneTakenOnlyWhereSomebodySaysSo() async throws {
        let store = try await ModelStore(directory: at("Models"))
        let content = try Data(contentsOf: checkoutFile("tests/conformance/base.gguf"))
        let older = try Data(contentsOf: checkoutFile("tests/conformance/base.manifest.json"))
        let newer = try Data(contentsOf: checkoutFile("tests/conformance/base-newer.manifest.json"))
        let key = try String(contentsOf: checkoutFile("tests/conformance/base.public-key"), encoding: .utf8)
        let keys = [key.trimmingCharacters(in: .whitespacesAndNewlines)]
        var sources: [String] = []
        for (manifest, content) in [(older, content), (newer, content + Data(count: 32))] {
            let download = try await store.download(manifest, publicKeys: keys)
            try await download.write(content, at: 0)
            try await download.install().finish()
            sources.append(download.manifest.sha256)
        }
        var installed = try await store.installed()
        XCTAssertEqual(installed.map(\.sourceSHA256), [sources[1]])
        try await store.rollback("base")
        installed = try await store.installed()
        XCTAssertEqual(installed.map(\.sourceSHA256), [sources[0]])
        await assertFails("modelNotFound") { try await store.rollback("base") }
        await assertFails("manifestOlder") { try await store.download(older, publicKeys: keys) }
        _ = try await store.download(older, publicKeys: keys, allowOlder: true)
    }

    // MARK: Snapshots

    func testASnapshotSparesAnotherSessionTheBeginning() async throws {
        let model = try await tiny()
        let beginning = "the cat sat on the mat, and then it sat on the cat"
        let whole = try await model.session().generate(beginning + " then", stop: Stop(maxTokens: 8)).text()
        let session = try await model.session()
        _ = try await session.generate(beginning, stop: Stop(maxTokens: 1)).text()
        let file = at("beginning.snapshot")
        try await session.saveSnapshot(to: file)

        let other = try await model.session()
        let tokens = try await other.restoreSnapshot(from: file)
        XCTAssertGreaterThanOrEqual(tokens, 20)
        let text = try await other.generate(beginning + " then", stop: Stop(maxTokens: 8)).text()
        XCTAssertEqual(text, whole)

        // One that lies within another file.
        let package = at("package")
        let snapshot = try Data(contentsOf: file)
        try (Data("head".utf8) + snapshot + Data("tail".utf8)).write(to: package)
        let descriptor = open(package.path, O_RDONLY)
        let third = try await model.session()
        await assertFails("snapshotUnfit") { try await third.restoreSnapshot(descriptor: descriptor, length: snapshot.count) }
        await assertFails("invalidArgument") { try await third.restoreSnapshot(descriptor: descriptor, offset: -1, length: 1) }
        let restored = try await third.restoreSnapshot(descriptor: descriptor, offset: 4, length: snapshot.count)
        XCTAssertEqual(restored, tokens)
        close(descriptor)
        let again = try await third.generate(beginning + " then", stop: Stop(maxTokens: 8)).text()
        XCTAssertEqual(again, whole)
    }

    func testASnapshotThatDoesNotFitChangesNothing() async throws {
        let model = try await tiny()
        let session = try await model.session()
        let text = try await session.generate("the cat", stop: Stop(maxTokens: 8)).text()
        let file = at("a.snapshot")
        try await session.saveSnapshot(to: file)

        let cut = at("cut.snapshot")
        try Data(contentsOf: file).dropLast(9).write(to: cut)
        let changed = at("changed.snapshot")
        var bytes = try Data(contentsOf: file)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: changed)
        for unfit in [cut, changed] {
            await assertFails("snapshotUnfit") { try await session.restoreSnapshot(from: unfit) }
        }
        await assertFails("modelNotFound") { try await session.restoreSnapshot(from: self.at("gone.snapshot")) }
        let halved = try await model.session(Session.Options(kvCache: .q8))
        await assertFails("snapshotUnfit") { try await halved.restoreSnapshot(from: file) }
        let short = try await model.session(Session.Options(context: 4))
        await assertFails("snapshotUnfit") { try await short.restoreSnapshot(from: file) }
        let stranger = try await tiny(seed: 2).session()
        await assertFails("snapshotUnfit") { try await stranger.restoreSnapshot(from: file) }
        let again = try await session.generate("the cat", stop: Stop(maxTokens: 8)).text()
        XCTAssertEqual(again, text)

        // There is nothing yet to be kept.
        await assertFails("invalidArgument") { try await stranger.saveSnapshot(to: file) }
        let lost = at("no such folder/a.snapshot")
        await assertFails("io") { try await session.saveSnapshot(to: lost) }
        session.close()
        await assertFails("closed") { try await session.saveSnapshot(to: file) }
        await assertFails("closed") { try await session.restoreSnapshot(from: file) }
    }

    // MARK: Models that are not what they should be

    func testAModelIsOpenedFromADescriptor() async throws {
        let packed = try Data(contentsOf: await packTinyModel())
        let archive = at("archive")
        try (Data(count: 16_384) + packed + Data(count: 100)).write(to: archive)
        let handle = try FileHandle(forReadingFrom: archive)
        let (descriptor, length) = (handle.fileDescriptor, packed.count)
        let model = try await Model(descriptor: descriptor, offset: 16_384, length: length)
        await assertFails("modelDamaged") { try await Model(descriptor: descriptor, length: length) }
        await assertFails("modelDamaged") { try await Model(descriptor: descriptor, offset: 16_384, length: length + 101) }
        await assertFails("invalidArgument") { try await Model(descriptor: descriptor, offset: -1, length: length) }
        await assertFails("invalidArgument") { try await Model(descriptor: -1, length: length) }
        let plan = try await Model.memoryPlan(descriptor: descriptor, offset: 16_384, length: length)
        let known = try await model.memoryPlan()
        XCTAssertEqual(plan, known)
        await assertFails("modelDamaged") { try await Model.memoryPlan(descriptor: descriptor, length: length) }
        try handle.close()
        // The model has its own.
        model.memoryPressure(.critical)
        let text = try await model.session().generate("the", stop: Stop(maxTokens: 4)).text()
        XCTAssertFalse(text.isEmpty)
        await assertFails("io") { try await Model(descriptor: descriptor, offset: 16_384, length: length) }
    }

    func testAnExtensionThatMayOnlyReadOpensWhatTheAppHasWritten() async throws {
        let words = at("words.fst")
        try FileManager.default.copyItem(at: checkoutFile("tests/conformance/words-en.fst"), to: words)
        try await ModelStore(directory: at("Models")).install("tiny", from: writeTinyModel()).finish()
        let written = try modified()
        func permit(_ permissions: Int) throws {
            for file in written.keys { try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: file) }
        }
        try permit(0o555)
        // Root may write anywhere: then it is somebody else who opens them.
        let user = geteuid()
        if user == 0 { XCTAssertEqual(seteuid(65_534), 0) }
        defer {
            XCTAssertEqual(seteuid(user), 0)
            XCTAssertNoThrow(try permit(0o755))
        }
        for file in ["mine", "Models/mine", "words.fst"] { XCTAssertThrowsError(try Data().write(to: at(file)), file) }

        let store = try await ModelStore(directory: at("Models"))
        let installed = try await store.installed()
        XCTAssertEqual(installed.map(\.name), ["tiny"])
        let model = try await store.open("tiny")
        let keyboard = try await model.keyboard(lexicons: [Lexicon(contentsOf: words)])
        let found = try await keyboard.suggest(context: "the ", typed: "t", gate: false)
        XCTAssertFalse(found.suggestions.isEmpty)
        // The file is mapped once more.
        model.memoryPressure(.critical)
        let text = try await model.session().generate("the", stop: Stop(maxTokens: 2)).text()
        XCTAssertFalse(text.isEmpty)
        XCTAssertEqual(try modified(), written)
    }

    func testAModelThatIsReplacedWhileItIsNotMapped() async throws {
        let file = try await packTinyModel()
        let model = try await Model(contentsOf: file)
        let session = try await model.session()
        _ = try await session.generate("the", stop: Stop(maxTokens: 2)).text()
        model.memoryPressure(.critical)
        try await packTinyModel(seed: 2, as: "tiny.nibble")
        await assertFails("modelDamaged") { try await session.generate("the", stop: Stop(maxTokens: 2)).text() }
        try FileManager.default.removeItem(at: file)
        await assertFails("modelNotFound") { try await session.generate("the", stop: Stop(maxTokens: 2)).text() }
        // With the right one in its place it goes on.
        try await packTinyModel()
        let text = try await session.generate("the", stop: Stop(maxTokens: 2)).text()
        XCTAssertFalse(text.isEmpty)
    }

    func testADamagedOrNewerModelIsRefused() async throws {
        let sound = try Data(contentsOf: await packTinyModel())
        let file = at("other.nibble")
        func open(_ bytes: Data) async throws {
            try bytes.write(to: file)
            _ = try await Model(contentsOf: file)
        }
        for place in [0, 100, sound.count / 2, sound.count - 1] {
            var bytes = sound
            bytes[place] ^= 0x40
            await assertFails("modelDamaged") { [bytes] in try await open(bytes) }
        }
        await assertFails("modelDamaged") { try await open(sound.dropLast(1)) }
        await assertFails("modelDamaged") { try await open(Data()) }
        var newer = sound
        newer[8] = 99
        await assertFails("modelVersion") { [newer] in try await open(newer) }
        await assertFails("io") { try await Model(contentsOf: self.folder) }
    }

    func testABaseModelHasNoChat() async throws {
        let session = try await tiny().session()
        await assertFails("noChatTemplate") { try await session.chat([.user("Hello")]).text() }
        // It goes on as if nothing had been.
        let text = try await session.generate("the", stop: Stop(maxTokens: 2)).text()
        XCTAssertFalse(text.isEmpty)
    }

    func testCalibratingKeepsWhatItFound() async throws {
        let file = try await packTinyModel()
        let model = try await Model(contentsOf: file)
        let cancelled = Task { try await model.calibrate() }
        cancelled.cancel()
        switch await cancelled.result {
        case .failure(is CancellationError): XCTAssertFalse(try files().contains("tiny.nibble.threads.json"))
        case let result: XCTFail("it was not cancelled: \(result)")
        }
        try await model.calibrate()
        XCTAssertTrue(try files().contains("tiny.nibble.threads.json"))
        model.close()
        await assertFails("closed") { try await model.calibrate() }
    }

    // MARK: Memory

    func testMemoryIsFlatOverThousandsOfSessionsAndKeyboards() async throws {
        let model = try await tiny()
        func cycles(_ count: Int) async throws {
            for number in 0..<count {
                if !number.isMultiple(of: 4) {
                    let session = try await model.session(Session.Options(context: 32, threads: 1))
                    let piece = try await session.generate("the").makeAsyncIterator().next()
                    XCTAssertNotNil(piece)
                    // Half of them are closed, and half only let go.
                    if number.isMultiple(of: 2) { session.close() }
                } else {
                    let keyboard = try await model.keyboard(threads: 1)
                    _ = try await keyboard.suggest(context: "the ", count: 1)
                    if number.isMultiple(of: 8) { keyboard.close() }
                }
            }
        }
        try await cycles(2_000)
        let early = try Held()
        try await cycles(8_000)
        let end = try Held()
        print("after 2,000 sessions and keyboards: \(early); after 10,000: \(end)")
        // 2 KB of each that stays would be 16 MB.
        end.assertNoMore(than: early, bytes: 16_000_000)
    }

    func testMemoryIsFlatOverThousandsOfModels() async throws {
        let file = try await packTinyModel()
        func cycles(_ count: Int) async throws {
            for number in 0..<count {
                let model = try await Model(contentsOf: file, options: Model.Options(checkWeights: false))
                if number.isMultiple(of: 2) {
                    _ = try await model.keyboard(threads: 1).suggest(context: "the ", count: 1)
                } else {
                    // A few have a thread more than the one that asks.
                    let threads = number % 8 == 1 ? 2 : 1
                    let session = try await model.session(Session.Options(context: 32, threads: threads))
                    let piece = try await session.generate("the").makeAsyncIterator().next()
                    XCTAssertNotNil(piece)
                }
                // Half of them are closed, and half only let go.
                if number % 4 < 2 { model.close() }
            }
        }
        try await cycles(2_000)
        let early = try Held()
        try await cycles(8_000)
        let end = try Held()
        print("after 2,000 models: \(early); after 10,000: \(end)")
        // 2 KB of each that stays would be 16 MB.
        end.assertNoMore(than: early, bytes: 16_000_000)
    }

    // MARK: Files

    private func at(_ name: String) -> URL {
        folder.appendingPathComponent(name)
    }

    private func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    private func exists(_ file: URL) -> Bool {
        FileManager.default.fileExists(atPath: file.path)
    }

    private func size(of file: URL) throws -> Int {
        try XCTUnwrap(FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int)
    }

    /// When the folder and all that is in it were written to last, by their paths.
    private func modified() throws -> [String: Date] {
        let paths = try [folder.path] + FileManager.default.subpathsOfDirectory(atPath: folder.path).map { at($0).path }
        let dates = try paths.map { try XCTUnwrap(FileManager.default.attributesOfItem(atPath: $0)[.modificationDate] as? Date) }
        return Dictionary(uniqueKeysWithValues: zip(paths, dates))
    }

    private func writeTinyModel(seed: UInt64 = 1) throws -> URL {
        try tinyModel(seed: seed).write(to: at("tiny.gguf"))
        return at("tiny.gguf")
    }

    @discardableResult private func packTinyModel(seed: UInt64 = 1, as name: String = "tiny.nibble") async throws -> URL {
        let file = at(name)
        try await Model.pack(writeTinyModel(seed: seed), to: file).finish()
        return file
    }

    private func tiny(seed: UInt64 = 1) async throws -> Model {
        try await Model(contentsOf: packTinyModel(seed: seed, as: "tiny\(seed).nibble"))
    }
}

/// Fails unless a `NibbleError` of this case is thrown.
private func assertFails<Value: Sendable>(
    _ name: String, line: UInt = #line, _ body: () async throws -> Value
) async {
    do {
        _ = try await body()
        XCTFail("nothing was thrown", line: line)
    } catch let error as NibbleError {
        XCTAssertTrue("\(error)".hasPrefix("\(name)("), "\(error)", line: line)
        XCTAssertFalse(error.reason.isEmpty, line: line)
    } catch {
        XCTFail("\(error)", line: line)
    }
}

private func assertCancelled(_ task: Task<Void, any Error>, line: UInt = #line) async {
    do {
        try await task.value
        XCTFail("it was not cancelled", line: line)
    } catch {
        XCTAssertTrue(error is CancellationError, "\(error)", line: line)
    }
}
