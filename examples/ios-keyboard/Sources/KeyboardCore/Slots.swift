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
    let ahead = ahead.map { [Slot(suggestion: $0, isBySpace: false)] } ?? []
    return words(suggestions, typed: typed, autocorrect: autocorrect).prefix(3 - ahead.count) + ahead
}

private func words(_ suggestions: [Keyboard.Suggestion], typed: String, autocorrect: String?) -> [Slot] {
    guard !typed.isEmpty else { return suggestions.map { Slot(suggestion: $0, isBySpace: false) } }
    let bySpace = autocorrect ?? typed
    let literal = suggestions.first { $0.word == typed } ?? Keyboard.Suggestion(word: typed, probability: 0, kind: .literal)
    let others = suggestions.filter { $0.word != typed }
    let mended = others.filter { $0.word == bySpace }, rest = others.filter { $0.word != bySpace }
    return ([literal] + mended + rest).map { Slot(suggestion: $0, isBySpace: $0.word == bySpace) }
}
