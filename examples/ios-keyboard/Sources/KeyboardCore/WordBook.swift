// What the keyboard has learned, for whoever wants to look at it.

import Foundation
import Nibble

/// The learned words, in a file of the extension's own: no other app reads it, and no backup has it. Without full access an extension
/// cannot write anywhere else, so that is where they are looked at too.
@MainActor public final class WordBook {
    /// A file that cannot be read is left as it is until the user wipes it: it may only be in use. Meanwhile words are learned and not kept.
    public private(set) var isReadable = true

    /// What is learned; `nil` before it was opened.
    public private(set) var learned: LearnedWords?

    private let file: URL

    public nonisolated init(in folder: URL) {
        file = folder.appendingPathComponent("learned.redb")
    }

    /// Opens the file, once, and begins to learn or stops it.
    public func open(isLearning: Bool) async {
        if learned == nil { await openFile() }
        try? await learned?.setPaused(!isLearning)
    }

    /// The words, the most written first.
    public func list() async -> [String] {
        (try? await learned?.words().map(\.word)) ?? []
    }

    public func forget(_ word: String) async {
        _ = try? await learned?.forget(word)
    }

    /// Forgets everything. What could not be read is gone when the keyboard starts the next time.
    public func wipe() async {
        try? await learned?.wipe()
        if !isReadable { isReadable = (try? FileManager.default.removeItem(at: file)) != nil }
    }

    private func openFile() async {
        do {
            let folder = file.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            learned = try await LearnedWords(contentsOf: file)
            #if canImport(Darwin)
                var file = file, values = URLResourceValues()
                values.isExcludedFromBackup = true
                try file.setResourceValues(values)
            #endif
        } catch {
            isReadable = false
            learned = LearnedWords()
        }
    }
}
