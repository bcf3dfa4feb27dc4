// What a document asks of a keyboard.

import Nibble

/// Where capitals begin by themselves.
public enum Capitals: Sendable {
    case none, words, sentences, all
}

/// What an app says of its text field, as far as it matters here.
public struct InputField: Equatable, Sendable {
    public var field = Keyboard.Field.text
    /// What the return key says; `nil` where it begins a line.
    public var returnKey: String?
    public var capitals = Capitals.sentences
    /// Whether digits are what is typed first.
    public var isNumeric = false

    public init() {}

    /// What is shown first.
    public var page: Page { isNumeric ? .symbols : .letters }

    /// Whether nothing of it is to be kept.
    public var isPrivate: Bool {
        switch field {
        case .noLearning, .password, .number, .code: true
        case .text, .search, .email, .url: false
        }
    }
}
