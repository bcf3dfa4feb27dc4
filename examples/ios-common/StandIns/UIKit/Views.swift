// What the samples use of UIKit, declared as Apple's reference has it, so that they compile where that is not. Views have places and
// children, controls do what they are told to when they are tapped, and nothing is drawn: a test can type on the keys.

@_exported import Foundation

@MainActor open class UIResponder: NSObject {
    open func touchesBegan(_ touches: Set<UITouch>, with event: UIEvent?) {}
    open func touchesMoved(_ touches: Set<UITouch>, with event: UIEvent?) {}
    open func touchesEnded(_ touches: Set<UITouch>, with event: UIEvent?) {}
    open func touchesCancelled(_ touches: Set<UITouch>, with event: UIEvent?) {}

    // UIAccessibility
    open var isAccessibilityElement = false
    open var accessibilityLabel: String?
    open var accessibilityTraits = UIAccessibilityTraits.none
    open var accessibilityCustomActions: [UIAccessibilityCustomAction]?
    open func accessibilityActivate() -> Bool { false }
}

@MainActor open class UIEvent: NSObject {}

@MainActor open class UITouch: NSObject {
    /// Where it is in the view that it is on. UIKit's has none to set.
    public var standInLocation = CGPoint.zero

    open func location(in view: UIView?) -> CGPoint { standInLocation }
}

public struct UIAccessibilityTraits: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let none: UIAccessibilityTraits = []
    public static let keyboardKey = UIAccessibilityTraits(rawValue: 1)
}

@MainActor open class UIAccessibilityCustomAction: NSObject {
    public typealias Handler = (_ customAction: UIAccessibilityCustomAction) -> Bool

    public var name: String
    public var actionHandler: Handler?

    public init(name: String, actionHandler: @escaping Handler) {
        self.name = name
        self.actionHandler = actionHandler
    }
}

@MainActor open class UIView: UIResponder {
    open var frame: CGRect {
        didSet { if frame.size != oldValue.size { setNeedsLayout() } }
    }
    open var bounds: CGRect { CGRect(origin: .zero, size: frame.size) }
    open var isHidden = false
    open var isUserInteractionEnabled = true
    open var isMultipleTouchEnabled = false
    open var clipsToBounds = false
    open var backgroundColor: UIColor?
    open var tintColor: UIColor! = .tintColor
    open var contentMode = ContentMode.scaleToFill
    open var autoresizingMask: AutoresizingMask = []
    public let layer = CALayer()
    public let heightAnchor = NSLayoutDimension()
    public private(set) var subviews: [UIView] = []
    public private(set) weak var superview: UIView?
    private var needsLayout = true

    public init(frame: CGRect) {
        self.frame = frame
    }

    public required init?(coder: NSCoder) {
        frame = .zero
    }

    public convenience override init() {
        self.init(frame: .zero)
    }

    open func addSubview(_ view: UIView) {
        insertSubview(view, at: subviews.count)
    }

    open func insertSubview(_ view: UIView, at index: Int) {
        view.removeFromSuperview()
        subviews.insert(view, at: min(index, subviews.count))
        view.superview = self
    }

    open func removeFromSuperview() {
        superview?.subviews.removeAll { $0 === self }
        superview = nil
    }

    open func setNeedsLayout() {
        needsLayout = true
    }

    open func layoutIfNeeded() {
        if needsLayout {
            needsLayout = false
            layoutSubviews()
        }
        for view in subviews { view.layoutIfNeeded() }
    }

    open func layoutSubviews() {}

    open func convert(_ rect: CGRect, from view: UIView?) -> CGRect {
        let outer = superview === view ? rect : superview?.convert(rect, from: view) ?? rect
        return outer.offsetBy(dx: -frame.minX, dy: -frame.minY)
    }

    public enum ContentMode: Int, Sendable {
        case scaleToFill = 0
        case center = 4
    }

    public struct AutoresizingMask: OptionSet, Sendable {
        public let rawValue: UInt
        public init(rawValue: UInt) { self.rawValue = rawValue }
        public static let flexibleWidth = AutoresizingMask(rawValue: 2)
        public static let flexibleHeight = AutoresizingMask(rawValue: 16)
    }
}

@MainActor public final class CALayer: NSObject {
    public var cornerRadius: CGFloat = 0
}

@MainActor public final class NSLayoutDimension: NSObject {
    public func constraint(equalToConstant constant: CGFloat) -> NSLayoutConstraint {
        NSLayoutConstraint(constant)
    }
}

@MainActor public final class NSLayoutConstraint: NSObject {
    public var constant: CGFloat
    public var isActive = false
    public var priority = UILayoutPriority(1000)

    fileprivate init(_ constant: CGFloat) {
        self.constant = constant
    }
}

public struct UILayoutPriority: RawRepresentable, Hashable, Sendable {
    public let rawValue: Float
    public init(rawValue: Float) { self.rawValue = rawValue }
    public init(_ rawValue: Float) { self.rawValue = rawValue }
}
