// The document behind the system's proxy, and what it says of its text field.

import KeyboardCore
import UIKit

final class ProxyDocument: Document {
    private weak var controller: UIInputViewController?

    init(_ controller: UIInputViewController) {
        self.controller = controller
    }

    var before: String { controller?.textDocumentProxy.documentContextBeforeInput ?? "" }
    var after: String { controller?.textDocumentProxy.documentContextAfterInput ?? "" }
    var isSelected: Bool { controller?.textDocumentProxy.selectedText?.isEmpty == false }

    func deleteBackward() {
        controller?.textDocumentProxy.deleteBackward()
    }

    func insert(_ text: String) {
        controller?.textDocumentProxy.insertText(text)
    }
}

extension InputField {
    /// What an app says; what it leaves open is text.
    @MainActor init(_ proxy: any UITextDocumentProxy) {
        self.init()
        var isSecret = proxy.isSecureTextEntry ?? false, isCode = false
        if let content = proxy.textContentType {
            isSecret = isSecret || content == .password || content == .newPassword
            isCode = content == .oneTimeCode
        }
        switch proxy.keyboardType ?? .default {
        case .emailAddress: field = .email
        case .URL: field = .url
        case .webSearch: field = .search
        case .numberPad, .decimalPad, .phonePad, .asciiCapableNumberPad: field = .number
        // Without corrections, as for an address: that is what the app asks for.
        default: field = proxy.autocorrectionType == .no ? .email : .text
        }
        if isCode { field = .code }
        if isSecret { field = .password }
        isNumeric = field == .number || field == .code || proxy.keyboardType == .numbersAndPunctuation
        capitals =
            switch proxy.autocapitalizationType ?? .sentences {
            case .none: .none
            case .words: .words
            case .allCharacters: .all
            default: .sentences
            }
        if field == .email && proxy.keyboardType == .emailAddress || field == .url || field == .password { capitals = .none }
        returnKey =
            switch proxy.returnKeyType ?? .default {
            case .go: .go
            case .join: .join
            case .next: .next
            case .route: .route
            case .search, .google, .yahoo: .search
            case .send: .send
            case .done: .done
            case .emergencyCall: .emergencyCall
            case .continue: .proceed
            default: .newLine
            }
    }
}
