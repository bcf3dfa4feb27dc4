// Which keys there are, on which page.

import Foundation
import Nibble

/// What a key does.
public enum Action: Hashable, Sendable {
    /// It types text: a letter in lower case.
    case type(String)
    case show(Page)
    case shift
    /// It does what two taps on shift do, which VoiceOver cannot send in so short a time.
    case lockCapitals
    case backspace
    case enter
    /// It leads to the next keyboard of the device. The system does that by a control of its own.
    case nextKeyboard
}

/// A key, before it has a place. A row is ten units wide and one high, however many points that is.
public struct Key: Hashable, Sendable {
    public var action: Action
    /// In units, with the blank beside it.
    public var width: CGFloat = 1
    /// What it types besides while it is held: one character each.
    public var alternatives: [String] = []
    /// How much of it is not seen and can be hit all the same, so that a finger at the edge finds the outermost letter.
    public var blankStart: CGFloat = 0, blankEnd: CGFloat = 0
}

/// What is on the keys.
public enum Page: Hashable, Sendable {
    case letters, symbols, moreSymbols
}

/// How the letters are arranged.
public enum Letters: String, CaseIterable, Codable, Sendable {
    case qwerty, qwertz

    /// Three rows, from the top.
    var rows: [String] {
        switch self {
        case .qwerty: ["qwertyuiop", "asdfghjkl", "zxcvbnm"]
        case .qwertz: ["qwertzuiop", "asdfghjkl", "yxcvbnm"]
        }
    }
}

/// The four rows of keys of a page, from the top.
///
/// - Parameter hasGlobe: Whether one of them has to lead to the next keyboard.
public func rows(of page: Page, letters: Letters, field: Keyboard.Field, hasGlobe: Bool) -> [[Key]] {
    switch page {
    case .letters:
        let rows = letters.rows
        return [
            keys(rows[0], digits: Array("1234567890")),
            centred(keys(rows[1])),
            [Key(action: .shift, width: 1.5)] + keys(rows[2]) + [backspace],
            lastRow(to: .symbols, beforeSpace: field == .email ? "@" : field == .url ? "/" : ",", hasGlobe: hasGlobe),
        ]
    case .symbols:
        return [
            keys("1234567890"), keys("-/:;()€&@\""),
            [Key(action: .show(.moreSymbols), width: 1.5)] + keys("*'#?!+%") + [backspace],
            lastRow(to: .letters, beforeSpace: ",", hasGlobe: hasGlobe),
        ]
    case .moreSymbols:
        return [
            keys("[]{}^~=§°´"), keys("_\\|<>$£¥•…"),
            [Key(action: .show(.symbols), width: 1.5)] + keys("¿¡„“”‘’") + [backspace],
            lastRow(to: .letters, beforeSpace: ",", hasGlobe: hasGlobe),
        ]
    }
}

/// Where the letters are, for Nibble, in units: places of touches stay the same when the device is turned in the midst of a word. The
/// blank beside a key is left out, as nobody aims at it.
public func placed(_ letters: Letters) -> Keyboard.Layout {
    let board = Board(rows: rows(of: .letters, letters: letters, field: .text, hasGlobe: true), size: Board.units)
    return .keys(
        board.places.compactMap { place in
            guard case .type(let text) = place.key.action else { return nil }
            return Keyboard.Key(Character(text), frame: place.face)
        })
}

private func lastRow(to other: Page, beforeSpace: String, hasGlobe: Bool) -> [Key] {
    [Key(action: .show(other), width: 1.5)]
        + (hasGlobe ? [Key(action: .nextKeyboard)] : [])
        + [
            Key(action: .type(beforeSpace)),
            Key(action: .type(" "), width: hasGlobe ? 4 : 5),
            Key(action: .type("."), alternatives: "?!…:;-".map(String.init)),
            Key(action: .enter, width: 1.5),
        ]
}

private let backspace = Key(action: .backspace, width: 1.5)

/// Keys that type a character each, and while they are held a digit or the letter with marks.
private func keys(_ characters: String, digits: [Character] = []) -> [Key] {
    characters.enumerated().map { at, character in
        let others = digits.dropFirst(at).prefix(1) + (accents[character] ?? "")
        return Key(action: .type(String(character)), alternatives: others.map(String.init))
    }
}

/// Nine letters over ten units: the outermost reach to the edge.
private func centred(_ keys: [Key]) -> [Key] {
    let blank = (Board.units.width - CGFloat(keys.count)) / 2
    var keys = keys
    keys[0].width += blank
    keys[0].blankStart = blank
    keys[keys.count - 1].width += blank
    keys[keys.count - 1].blankEnd = blank
    return keys
}

/// Letters with marks, of the languages that have them, the most frequent first.
private let accents: [Character: String] = [
    "a": "àáâäæãåā", "c": "çćč", "e": "éèêëē", "i": "îïíīì", "l": "ł", "n": "ñń", "o": "ôöòóœøō", "s": "ßśš", "u": "ûüùúū",
    "y": "ÿý", "z": "žźż",
]
