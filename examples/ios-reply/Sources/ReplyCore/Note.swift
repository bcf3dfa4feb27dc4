// What is said where nothing is offered.

import Nibble

/// What the line above the text field says, where it says something.
public enum Note: Equatable, Sendable {
    case noModel, writing, noDraft, code, sensitive, automated, language

    /// Why no reply is suggested; nothing where that explains itself.
    init?(_ silence: Replier.Silence) {
        switch silence {
        case .code: self = .code
        case .sensitive: self = .sensitive
        case .automated: self = .automated
        case .language: self = .language
        case .nothing, .ownTurn: return nil
        }
    }

    public var text: String {
        switch self {
        case .noModel: "Suggestions come when the model is there: see the list of conversations in Nibble Reply."
        case .writing: "A draft is being written. You can stop it, and change it before you use it."
        case .noDraft: "No draft came of it. Try again, or write yourself."
        case .code: "This looks like a code. No replies are suggested to those."
        case .sensitive: "This calls for your own words."
        case .automated: "A machine seems to have written this."
        case .language: "The suggestions are in English only."
        }
    }
}
