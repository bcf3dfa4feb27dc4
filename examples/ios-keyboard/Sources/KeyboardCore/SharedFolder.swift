// What the app puts into the container that it shares with its extension. The extension only reads there, so it needs no full access.

import Foundation
import Nibble
import ModelSetup

/// What the user has chosen in the app.
public struct Settings: Codable, Equatable, Sendable {
    public var letters = Letters.qwerty
    /// Whether what is written is learned, in fields that allow it.
    public var isLearning = true
    /// Another for each word list that was chosen.
    public var wordList: UUID?

    public init() {}
}

/// The folder of the App Group.
public struct SharedFolder: Sendable {
    /// Models alone.
    public let models: URL
    private let words: URL
    private let bundledWords: URL?
    private let file: URL

    /// - Parameter bundledWords: The word list that came with the app or its extension, which is taken where the user chose none.
    public init(
        _ container: URL = AppGroup.container,
        bundledWords: URL? = Bundle.main.url(forResource: "lexicon-en", withExtension: "fst")
    ) {
        self.bundledWords = bundledWords
        models = container.appendingPathComponent("Models", isDirectory: true)
        words = container.appendingPathComponent("lexicon.fst")
        file = container.appendingPathComponent("settings.json")
    }

    /// What the user has chosen; what cannot be read was not chosen.
    public var settings: Settings {
        (try? JSONDecoder().decode(Settings.self, from: Data(contentsOf: file))) ?? Settings()
    }

    /// Writes them down, for the next time that the keyboard appears.
    public func save(_ settings: Settings) throws {
        try JSONEncoder().encode(settings).write(to: file, options: .atomic)
    }

    /// The word list; `nil` while there is none that this version reads.
    public func lexicon() async -> Lexicon? {
        for file in [words, bundledWords].compactMap(\.self) {
            if let lexicon = try? await Lexicon(contentsOf: file) { return lexicon }
        }
        return nil
    }

    /// Takes a word list that the user chose, when it has proven to be one.
    ///
    /// - Throws: ``NibbleError/lexiconUnfit(reason:)`` where it is none; what was there before stays.
    public func install(wordList picked: URL) async throws {
        let access = PickedFile(picked)
        defer { access.end() }
        let copy = words.appendingPathExtension("partial")
        try? FileManager.default.removeItem(at: copy)
        defer { try? FileManager.default.removeItem(at: copy) }
        try FileManager.default.copyItem(at: picked, to: copy)
        _ = try await Lexicon(contentsOf: copy)
        // A keyboard that has the old one mapped keeps it: this takes its place, and does not write to it.
        guard rename(copy.path, words.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
