// One key: how it looks and what it is called. Fingers are followed by the board, as they may hit the gap beside it.

import KeyboardCore
import UIKit

final class KeyView: BaseView {
    let key: Key
    var isPressed = false {
        didSet { if isPressed != oldValue { paint() } }
    }

    private let press: @MainActor (Action, CGPoint?) -> Void
    private let label = UILabel()
    private let image = UIImageView()
    private var isPlain = true

    init(_ key: Key, press: @escaping @MainActor (Action, CGPoint?) -> Void) {
        self.key = key
        self.press = press
        super.init()
        isUserInteractionEnabled = false
        layer.cornerRadius = 6
        label.textAlignment = .center
        label.adjustsFontSizeToFitWidth = true
        label.textColor = .label
        label.font = .systemFont(ofSize: key.typesLetter ? 23 : 16)
        image.contentMode = .center
        image.tintColor = .label
        addSubview(label)
        addSubview(image)
        // The control for the next keyboard lies over its key, and has a name of its own.
        isAccessibilityElement = key.action != .nextKeyboard
        accessibilityTraits = .keyboardKey
    }

    override func layoutSubviews() {
        super.layoutSubviews()
        label.frame = bounds
        image.frame = bounds
    }

    override func accessibilityActivate() -> Bool {
        press(key.action, nil)
        return true
    }

    func show(_ state: TypingState) {
        let face = key.face(state)
        label.text = face.title
        image.image = face.symbol.flatMap { UIImage(systemName: $0) }
        accessibilityLabel = face.name
        accessibilityCustomActions = key.others(state.shift).map { name, action in
            UIAccessibilityCustomAction(name: name) { [press] _ in
                press(action, nil)
                return true
            }
        }
        isPlain = key.typesLetter || key.action == .shift && state.shift.state != .off
        paint()
    }

    private func paint() {
        backgroundColor = isPressed != isPlain ? .key : .functionKey
    }
}

extension UIColor {
    static let key = UIColor { $0.userInterfaceStyle == .dark ? UIColor(white: 0.42, alpha: 1) : .white }
    static let functionKey = UIColor {
        $0.userInterfaceStyle == .dark ? UIColor(white: 0.27, alpha: 1) : UIColor(red: 0.67, green: 0.70, blue: 0.74, alpha: 1)
    }
}

extension Key {
    fileprivate var typesLetter: Bool {
        if case .type = action { true } else { false }
    }

    fileprivate func face(_ state: TypingState) -> Face {
        switch action {
        case .type(" "): Face(title: "space", name: "Space")
        case .type(let text): Face(title: state.shift.apply(text), name: state.shift.apply(text))
        case .show(.letters): Face(title: "ABC", name: "Letters")
        case .show(.symbols): Face(title: "123", name: "Symbols")
        case .show(.moreSymbols): Face(title: "#+=", name: "More symbols")
        case .shift:
            switch state.shift.state {
            case .off: Face(symbol: "shift", name: "Shift")
            case .once: Face(symbol: "shift.fill", name: "Shift, on")
            case .locked: Face(symbol: "capslock.fill", name: "Capitals, locked")
            }
        case .backspace: Face(symbol: "delete.left", name: "Delete")
        case .enter: state.input.returnKey.map { Face(title: $0, name: $0) } ?? Face(symbol: "return", name: "New line")
        case .lockCapitals, .nextKeyboard: Face()
        }
    }

    /// What it does besides, and what VoiceOver calls that.
    fileprivate func others(_ shift: Shift) -> [(name: String, action: Action)] {
        action == .shift ? [("Lock capitals", .lockCapitals)] : alternatives.map { (shift.apply($0), .type($0)) }
    }
}

/// What a key looks like, and what VoiceOver calls it.
private struct Face {
    var title: String?
    var symbol: String?
    var name: String?
}
