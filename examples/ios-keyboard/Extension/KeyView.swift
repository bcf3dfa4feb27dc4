// One key: how it looks and what it is called. Fingers are followed by the board, as they may hit the gap beside it.

import KeyboardCore
import UIKit

final class KeyView: UIView {
    let key: Key
    var isPressed = false {
        didSet { if isPressed != oldValue { paint() } }
    }

    private let press: @MainActor (Action, CGPoint?) -> Void
    private let label = UILabel()
    private let image = UIImageView()
    private var isLit = false

    init(_ key: Key, press: @escaping @MainActor (Action, CGPoint?) -> Void) {
        self.key = key
        self.press = press
        super.init(frame: .zero)
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
        accessibilityCustomActions = key.alternatives.map { text in
            UIAccessibilityCustomAction(name: text) { _ in
                press(.type(text), nil)
                return true
            }
        }
    }

    @available(*, unavailable)
    required init?(coder: NSCoder) {
        fatalError("this view is in no storyboard")
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
        label.text = key.title(state)
        image.image = key.symbol(state).flatMap { UIImage(systemName: $0) }
        accessibilityLabel = key.name(state)
        isLit = key.action == .shift && state.shift.state != .off
        paint()
    }

    private func paint() {
        let isPlain = key.typesLetter || isLit
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

    fileprivate func title(_ state: TypingState) -> String? {
        switch action {
        case .type(" "): "space"
        case .type(let text): state.shift.apply(text)
        case .show(.letters): "ABC"
        case .show(.symbols): "123"
        case .show(.moreSymbols): "#+="
        case .enter: state.input.returnKey.title
        case .shift, .backspace, .nextKeyboard: nil
        }
    }

    fileprivate func symbol(_ state: TypingState) -> String? {
        switch action {
        case .shift:
            switch state.shift.state {
            case .off: "shift"
            case .once: "shift.fill"
            case .locked: "capslock.fill"
            }
        case .backspace: "delete.left"
        case .enter: state.input.returnKey == .newLine ? "return" : nil
        case .type, .show, .nextKeyboard: nil
        }
    }

    /// What VoiceOver says.
    fileprivate func name(_ state: TypingState) -> String? {
        switch action {
        case .type(" "): "Space"
        case .type, .nextKeyboard: title(state)
        case .show(.letters): "Letters"
        case .show(.symbols): "Symbols"
        case .show(.moreSymbols): "More symbols"
        case .shift:
            switch state.shift.state {
            case .off: "Shift"
            case .once: "Shift, on"
            case .locked: "Capitals, locked"
            }
        case .backspace: "Delete"
        case .enter: state.input.returnKey.title ?? "New line"
        }
    }
}

extension ReturnKey {
    fileprivate var title: String? {
        switch self {
        case .newLine: nil
        case .go: "go"
        case .join: "join"
        case .next: "next"
        case .route: "route"
        case .search: "search"
        case .send: "send"
        case .done: "done"
        case .emergencyCall: "emergency"
        case .proceed: "continue"
        }
    }
}
