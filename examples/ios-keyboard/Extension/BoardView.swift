// The keys: where they are drawn, and the fingers on them.

import KeyboardCore
import UIKit

final class BoardView: BaseView {
    /// The key for the next keyboard: the system handles its touches, held ones too.
    let nextKeyboard = UIButton(type: .custom)

    private let press: @MainActor (Action, CGPoint?) -> Void
    private lazy var fingers = Fingers(board: Board(rows: [], size: .zero), press: press) { [weak self] in self?.follow() }
    private let choices = ChoicesView()
    private var keys: [KeyView] = []
    private var rows: [[Key]] = []
    private var shift = Shift()

    init(press: @escaping @MainActor (Action, CGPoint?) -> Void) {
        self.press = press
        super.init()
        isMultipleTouchEnabled = true
        nextKeyboard.setImage(UIImage(systemName: "globe"), for: .normal)
        nextKeyboard.tintColor = .label
        nextKeyboard.accessibilityLabel = "Next keyboard"
        addSubview(nextKeyboard)
        addSubview(choices)
    }

    func show(_ state: TypingState) {
        if state.rows != rows {
            rows = state.rows
            keys.forEach { $0.removeFromSuperview() }
            keys = rows.joined().map { KeyView($0, press: press) }
            keys.forEach { insertSubview($0, at: 0) }
            // At once: a finger that comes down before the one that changed the page is up aims at the new keys.
            setNeedsLayout()
            layoutIfNeeded()
        }
        shift = state.shift
        keys.forEach { $0.show(state) }
    }

    override func layoutSubviews() {
        super.layoutSubviews()
        fingers.board = Board(rows: rows, size: bounds.size)
        for (key, place) in zip(keys, fingers.board.places) {
            key.frame = place.face.insetBy(dx: 2.5, dy: 4)
            if place.key.action == .nextKeyboard { nextKeyboard.frame = place.frame }
        }
        nextKeyboard.isHidden = !keys.contains { $0.key.action == .nextKeyboard }
    }

    override func touchesBegan(_ touches: Set<UITouch>, with event: UIEvent?) {
        touches.forEach { fingers.down(ObjectIdentifier($0), at: $0.location(in: self)) }
    }

    override func touchesMoved(_ touches: Set<UITouch>, with event: UIEvent?) {
        touches.forEach { fingers.move(ObjectIdentifier($0), to: $0.location(in: self)) }
    }

    override func touchesEnded(_ touches: Set<UITouch>, with event: UIEvent?) {
        touches.forEach { fingers.up(ObjectIdentifier($0)) }
    }

    override func touchesCancelled(_ touches: Set<UITouch>, with event: UIEvent?) {
        touches.forEach { fingers.cancel(ObjectIdentifier($0)) }
    }

    private func follow() {
        for (index, key) in keys.enumerated() { key.isPressed = fingers.pressed == index }
        choices.isHidden = fingers.held == nil
        guard let held = fingers.held else { return }
        choices.show(held.choices.map(shift.apply), chosen: held.chosen, in: fingers.board.choices(held.choices.count, over: held.key))
    }
}

/// What a held key types besides, over it.
private final class ChoicesView: BaseView {
    private var labels: [UILabel] = []

    override init() {
        super.init()
        isHidden = true
        isUserInteractionEnabled = false
        backgroundColor = .key
        layer.cornerRadius = 8
        clipsToBounds = true
    }

    func show(_ texts: [String], chosen: Int, in frames: [CGRect]) {
        frame = frames.dropFirst().reduce(frames[0]) { $0.union($1) }
        labels.forEach { $0.removeFromSuperview() }
        labels = zip(texts, frames).enumerated().map { at, choice in
            let label = UILabel(frame: convert(choice.1, from: superview))
            label.text = choice.0
            label.textAlignment = .center
            label.font = .systemFont(ofSize: 22)
            label.textColor = at == chosen ? .white : .label
            label.backgroundColor = at == chosen ? .tintColor : .clear
            addSubview(label)
            return label
        }
    }
}
