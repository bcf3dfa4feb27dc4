// Colours, fonts and pictures.

import Foundation

open class UIColor: NSObject, @unchecked Sendable {
    public init(white: CGFloat, alpha: CGFloat) {}
    public init(red: CGFloat, green: CGFloat, blue: CGFloat, alpha: CGFloat) {}
    public init(dynamicProvider: @escaping (UITraitCollection) -> UIColor) {}

    public static let white = UIColor(white: 1, alpha: 1)
    public static let clear = UIColor(white: 0, alpha: 0)
    public static let label = UIColor(white: 0, alpha: 1)
    public static let secondaryLabel = UIColor(white: 0, alpha: 0.6)
    public static let systemRed = UIColor(red: 1, green: 0, blue: 0, alpha: 1)
    public static let tintColor = UIColor(red: 0, green: 0, blue: 1, alpha: 1)
}

public final class UITraitCollection: NSObject, Sendable {
    public let userInterfaceStyle = UIUserInterfaceStyle.light
    public let verticalSizeClass: UIUserInterfaceSizeClass

    public init(verticalSizeClass: UIUserInterfaceSizeClass) {
        self.verticalSizeClass = verticalSizeClass
    }
}

public enum UIUserInterfaceStyle: Int, Sendable {
    case unspecified, light, dark
}

public enum UIUserInterfaceSizeClass: Int, Sendable {
    case unspecified, compact, regular
}

public final class UIFont: NSObject, Sendable {
    public static func systemFont(ofSize fontSize: CGFloat) -> UIFont { UIFont() }
    public static func boldSystemFont(ofSize fontSize: CGFloat) -> UIFont { UIFont() }
    public static func preferredFont(forTextStyle style: TextStyle) -> UIFont { UIFont() }

    public struct TextStyle: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public static let footnote = TextStyle(rawValue: "footnote")
    }
}

public final class UIImage: NSObject, Sendable {
    /// The name of the symbol. UIKit's does not tell it.
    public let standInName: String

    public init?(systemName name: String) {
        standInName = name
    }
}
