// What the app does for its keyboard: it brings the model and the word list, and writes down what the user chooses.

import Foundation
import ModelSetup
import Nibble
import Observation

/// Where the word list is, and what is said of that on a screen.
public enum WordListState: String, Sendable {
    case looking = "Looking for the word list…"
    case missing = "Corrections need a word list: lexicon-en, a file of 1.4 MB."
    case ready = "The word list is ready."
    case unfit = "That file is no word list, or one of another version. Choose another one."
    case unreadable = "The word list could not be copied. Choose it again."
}

/// Fills the folder that the keyboard reads.
@MainActor @Observable public final class KeyboardSetup {
    public let model: ModelSetup
    public private(set) var wordList = WordListState.looking
    /// What the user has chosen. What could not be written down goes back to what it was.
    public var settings: Settings {
        didSet {
            guard settings != shared.settings else { return }
            do { try shared.save(settings) } catch { settings = shared.settings }
        }
    }

    private let shared: SharedFolder

    public init(_ shared: SharedFolder) {
        self.shared = shared
        model = ModelSetup(in: shared.models)
        settings = shared.settings
    }

    /// Looks for what is there.
    public func start() async {
        model.start()
        wordList = await shared.lexicon() == nil ? .missing : .ready
    }

    /// Takes a word list that the user chose.
    public func install(wordList file: URL) async {
        do {
            try await shared.install(wordList: file)
            settings.wordList = UUID()
            wordList = .ready
        } catch NibbleError.lexiconUnfit {
            wordList = .unfit
        } catch {
            wordList = .unreadable
        }
    }
}
