// The document behind the system's proxy, and what it says of its text field.

import KeyboardCore
import UIKit

extension KeyboardViewController: Document {
    var before: String { textDocumentProxy.documentContextBeforeInput ?? "" }
    var after: String { textDocumentProxy.documentContextAfterInput ?? "" }
    var isSelected: Bool { textDocumentProxy.selectedText?.isEmpty == false }

    func deleteBackward() {
        textDocumentProxy.deleteBackward()
    }

    func insert(_ text: String) {
        textDocumentProxy.insertText(text)
    }
}

extension InputField {
    /// What an app says; what it leaves open is text.
    @MainActor init(_ proxy: any UITextDocumentProxy) {
        self.init()
        switch proxy.keyboardType ?? .default {
        case .emailAddress: field = .email
        case .URL: field = .url
        case .webSearch: field = .search
        case .numberPad, .decimalPad, .phonePad, .asciiCapableNumberPad: field = .number
        // Without corrections, as for an address: that is what the app asks for.
        default: field = proxy.autocorrectionType == .no ? .email : .text
        }
        let content = proxy.textContentType ?? nil
        if content == .oneTimeCode { field = .code }
        if proxy.isSecureTextEntry == true || content == .password || content == .newPassword { field = .password }
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
            case .go: "go"
            case .join: "join"
            case .next: "next"
            case .route: "route"
            case .search, .google, .yahoo: "search"
            case .send: "send"
            case .done: "done"
            case .emergencyCall: "emergency"
            case .continue: "continue"
            default: nil
            }
    }
}
