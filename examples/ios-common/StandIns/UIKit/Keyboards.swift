// Custom keyboards, and what a text field says of itself.

import Foundation

@MainActor open class UIInputViewController: UIViewController {
    /// What is typed into. In UIKit the system gives it.
    public var standInProxy: (any UITextDocumentProxy)!

    open var textDocumentProxy: any UITextDocumentProxy { standInProxy }
    open var needsInputModeSwitchKey: Bool { true }
    open var inputView: UIInputView? {
        get { view as? UIInputView }
        set { view = newValue }
    }

    open override func loadView() {
        view = UIInputView(frame: .zero, inputViewStyle: .keyboard)
    }

    open func textDidChange(_ textInput: (any UITextInput)?) {}
    open func selectionDidChange(_ textInput: (any UITextInput)?) {}
}

@MainActor open class UIInputView: UIView {
    public init(frame: CGRect, inputViewStyle: Style) {
        super.init(frame: frame)
    }

    public required init?(coder: NSCoder) {
        super.init(coder: coder)
    }

    public enum Style: Int, Sendable {
        case `default`, keyboard
    }
}

@MainActor public protocol UIInputViewAudioFeedback: NSObjectProtocol {
    var enableInputClicksWhenVisible: Bool { get }
}

@MainActor public final class UIDevice: NSObject {
    public static let current = UIDevice()

    public func playInputClick() {}
}

@MainActor public protocol UITextInput {}

/// The traits are optional requirements of UIKit's: what an app does not say is `nil`.
@MainActor public protocol UITextDocumentProxy: AnyObject {
    var documentContextBeforeInput: String? { get }
    var documentContextAfterInput: String? { get }
    var selectedText: String? { get }
    var documentIdentifier: UUID { get }
    func deleteBackward()
    func insertText(_ text: String)

    var isSecureTextEntry: Bool? { get }
    var textContentType: UITextContentType?? { get }
    var keyboardType: UIKeyboardType? { get }
    var keyboardAppearance: UIKeyboardAppearance? { get }
    var returnKeyType: UIReturnKeyType? { get }
    var autocapitalizationType: UITextAutocapitalizationType? { get }
    var autocorrectionType: UITextAutocorrectionType? { get }
}

public enum UIKeyboardType: Int, Sendable {
    case `default`, asciiCapable, numbersAndPunctuation, URL, numberPad, phonePad, namePhonePad, emailAddress, decimalPad, twitter
    case webSearch, asciiCapableNumberPad
}

public enum UIReturnKeyType: Int, Sendable {
    case `default`, go, google, join, next, route, search, send, yahoo, done, emergencyCall, `continue`
}

public enum UITextAutocapitalizationType: Int, Sendable {
    case none, words, sentences, allCharacters
}

public enum UITextAutocorrectionType: Int, Sendable {
    case `default`, no, yes
}

public enum UIKeyboardAppearance: Int, Sendable {
    case `default`, dark, light
}

public struct UITextContentType: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public static let password = UITextContentType(rawValue: "password")
    public static let newPassword = UITextContentType(rawValue: "new-password")
    public static let oneTimeCode = UITextContentType(rawValue: "one-time-code")
}
