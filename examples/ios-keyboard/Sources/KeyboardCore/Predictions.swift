// Nibble for the keyboard: opened once in the life of the process, whatever number of text fields there are.

import Foundation
import ModelSetup
import Nibble

/// Holds what outlives a text field: the model, the keyboard over it, and what was learned.
@MainActor public final class Predictions {
    /// Nibble's keyboard; `nil` until there is a model.
    public private(set) var keyboard: Keyboard?

    /// What the app has installed, and the user chosen.
    public let shared: SharedFolder

    /// What was learned from what the user wrote.
    public let words: WordBook

    /// Bytes that the keyboard may write to. The system ends an extension that takes more than some 50 MB in all.
    private static let memoryLimit = 24_000_000

    private var model: Model?
    private var followed = Settings()
    private var opening: Task<Void, Never>?

    public nonisolated init(shared: SharedFolder, words: WordBook) {
        self.shared = shared
        self.words = words
    }

    /// Opens what is there, and follows what the user has chosen since. Where there was no model yet it looks again.
    public func open() async {
        // Several controllers may appear at once.
        let opening = Task { [opening] in
            await opening?.value
            await follow(shared.settings)
        }
        self.opening = opening
        await opening.value
    }

    private func follow(_ settings: Settings) async {
        await words.open(isLearning: settings.isLearning)
        if keyboard == nil || settings.wordList != followed.wordList {
            await openKeyboard(settings.letters)
        } else if settings.letters != followed.letters {
            try? keyboard?.setLayout(placed(settings.letters))
        }
        followed = settings
    }

    /// Without a model, or with one that this version cannot run, the keys type; the app says why.
    private func openKeyboard(_ letters: Letters) async {
        if model == nil { model = try? await ModelSetup.open(in: shared.models) }
        guard let model else { return }
        let lexicon = await shared.lexicon()
        // The memory is there for one.
        keyboard?.close()
        keyboard = try? await model.keyboard(
            lexicons: lexicon.map { [$0] } ?? [], layout: placed(letters), learned: words.learned, memoryLimit: Self.memoryLimit)
    }
}
