// Which words stand on the strip.

import Nibble

/// One of the places on the strip.
public struct Slot: Equatable, Sendable {
    public let suggestion: Keyboard.Suggestion
    /// Whether a space puts this word in.
    public let isBySpace: Bool
}

/// What goes onto the strip, three at most. What was typed has the first place, always, so that it is found without a look; what a space
/// would put in is marked, whichever that is, so that nobody is surprised. Then come the best of the others; where several words are likely at
/// once, the last place is theirs.
public func slots(
    _ suggestions: [Keyboard.Suggestion], typed: String, autocorrect: String?, ahead: Keyboard.Suggestion? = nil
) -> [Slot] {
    let bySpace = typed.isEmpty ? nil : autocorrect ?? typed
    let literal = suggestions.first { $0.word == typed } ?? Keyboard.Suggestion(word: typed, probability: 0, kind: .literal)
    let others = suggestions.filter { $0.word != typed }
    let words = (typed.isEmpty ? [] : [literal]) + others.filter { $0.word == bySpace } + others.filter { $0.word != bySpace }
    return (words.prefix(ahead == nil ? 3 : 2) + (ahead.map { [$0] } ?? [])).map { Slot(suggestion: $0, isBySpace: $0.word == bySpace) }
}
