// The three words over the keys, and the way to what was learned.

import KeyboardCore
import UIKit

final class StripView: BaseView {
    private let buttons = (0..<3).map { _ in UIButton(type: .system) }
    private let note = UILabel()
    private let book = UIButton(type: .system)
    private var slots: [Slot] = []

    init(take: @escaping @MainActor (Slot) -> Void, showWords: @escaping @MainActor () -> Void) {
        super.init()
        for (at, button) in buttons.enumerated() {
            button.titleLabel?.adjustsFontSizeToFitWidth = true
            button.tintColor = .label
            button.addAction(UIAction { [weak self] _ in self?.slots.dropFirst(at).first.map(take) }, for: .touchUpInside)
            addSubview(button)
        }
        note.font = .preferredFont(forTextStyle: .footnote)
        note.textColor = .secondaryLabel
        note.adjustsFontSizeToFitWidth = true
        book.addAction(UIAction { _ in showWords() }, for: .touchUpInside)
        book.tintColor = .secondaryLabel
        addSubview(note)
        addSubview(book)
    }

    func show(_ state: TypingState, hasWords: Bool) {
        slots = hasWords ? [] : state.slots
        for (at, button) in buttons.enumerated() {
            let slot = slots.dropFirst(at).first
            button.isHidden = slot == nil
            button.setTitle(slot?.suggestion.word, for: .normal)
            button.titleLabel?.font = slot?.isBySpace == true ? .boldSystemFont(ofSize: 17) : .systemFont(ofSize: 17)
            button.accessibilityLabel = slot.map { $0.isBySpace ? "\($0.suggestion.word), put in by the space bar" : $0.suggestion.word }
        }
        note.text = hasWords ? "Learned words" : state.note
        let isPrivate = state.input.isPrivate
        book.setImage(UIImage(systemName: hasWords ? "keyboard" : isPrivate ? "lock" : "character.book.closed"), for: .normal)
        book.accessibilityLabel = hasWords ? "Keys" : isPrivate ? "Private field: nothing is learned" : "Learned words"
        book.isEnabled = hasWords || !isPrivate
    }

    override func layoutSubviews() {
        super.layoutSubviews()
        let (end, words) = bounds.divided(atDistance: 44, from: .maxXEdge)
        book.frame = end
        note.frame = words.insetBy(dx: 12, dy: 0)
        let width = words.width / CGFloat(buttons.count)
        for (at, button) in buttons.enumerated() {
            button.frame = CGRect(x: CGFloat(at) * width, y: 0, width: width, height: words.height)
        }
    }
}
