// What shows text and pictures, and what can be tapped.

import Foundation

public enum NSTextAlignment: Int, Sendable {
    case left, center, right, justified, natural
}

@MainActor open class UILabel: UIView {
    open var text: String?
    open var font: UIFont!
    open var textColor: UIColor!
    open var textAlignment = NSTextAlignment.natural
    open var numberOfLines = 1
    open var adjustsFontSizeToFitWidth = false
}

@MainActor open class UIImageView: UIView {
    open var image: UIImage?
}

@MainActor open class UIControl: UIView {
    open var isEnabled = true
    private var actions: [(action: UIAction, events: Event)] = []

    open func addAction(_ action: UIAction, for controlEvents: Event) {
        actions.append((action, controlEvents))
    }

    open func sendActions(for controlEvents: Event) {
        for (action, events) in actions where !events.isDisjoint(with: controlEvents) { action.handler(action) }
    }

    public struct Event: OptionSet, Sendable {
        public let rawValue: UInt
        public init(rawValue: UInt) { self.rawValue = rawValue }
        public static let touchUpInside = Event(rawValue: 1 << 6)
        public static let allTouchEvents = Event(rawValue: 0xFFF)
    }

    public struct State: OptionSet, Sendable {
        public let rawValue: UInt
        public init(rawValue: UInt) { self.rawValue = rawValue }
        public static let normal: State = []
    }
}

public typealias UIActionHandler = @MainActor (UIAction) -> Void

@MainActor public final class UIAction: NSObject {
    fileprivate let handler: UIActionHandler

    public init(handler: @escaping UIActionHandler) {
        self.handler = handler
    }
}

@MainActor open class UIButton: UIControl {
    public let titleLabel: UILabel? = UILabel()
    private var image: UIImage?

    public convenience init(type: ButtonType) {
        self.init(frame: .zero)
    }

    open func setTitle(_ title: String?, for state: State) {
        titleLabel?.text = title
    }

    open func title(for state: State) -> String? { titleLabel?.text }

    open func setImage(_ image: UIImage?, for state: State) {
        self.image = image
    }

    open func image(for state: State) -> UIImage? { image }

    public enum ButtonType: Int, Sendable {
        case custom, system
    }
}
