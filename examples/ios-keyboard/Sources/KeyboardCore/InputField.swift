// What a document asks of a keyboard.

import Nibble

/// Where capitals begin by themselves.
public enum Capitals: Sendable {
    case none, words, sentences, all
}

/// What an app says of its text field, as far as it matters here.
public struct InputField: Equatable, Sendable {
    public var field: Keyboard.Field
    /// What the return key says; `nil` where it begins a line.
    public var returnKey: String?
    public var capitals: Capitals
    /// Whether digits are what is typed first.
    public var isNumeric: Bool

    public init(
        field: Keyboard.Field = .text, returnKey: String? = nil, capitals: Capitals = .sentences, isNumeric: Bool = false
    ) {
        self.field = field
        self.returnKey = returnKey
        self.capitals = capitals
        self.isNumeric = isNumeric
    }

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
