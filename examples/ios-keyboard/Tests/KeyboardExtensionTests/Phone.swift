// A phone to type on: the extension's own controller and views, the real model and word list, and a document that tells as some do.

import Foundation
import Nibble
import SampleTesting
import UIKit
import XCTest

@testable import KeyboardCore
@testable import KeyboardExtension
@testable import ModelSetup

/// A text field of an app.
@MainActor final class Field: UITextDocumentProxy {
    private(set) var text = ""
    private(set) var cursor = 0
    private var selection = 0
    /// After how many further edits it tells of one.
    var lateness = 0
    /// How many characters around the cursor it tells of.
    var reach = Int.max
    private var history: [(text: String, cursor: Int)] = []

    var documentIdentifier = UUID()
    var isSecureTextEntry: Bool?
    var textContentType: UITextContentType??
    var keyboardType: UIKeyboardType?
    var keyboardAppearance: UIKeyboardAppearance?
    var returnKeyType: UIReturnKeyType?
    var autocapitalizationType: UITextAutocapitalizationType?
    var autocorrectionType: UITextAutocorrectionType?

    var documentContextBeforeInput: String? { String(told.text.prefix(told.cursor).suffix(reach)) }
    var documentContextAfterInput: String? { String(told.text.dropFirst(told.cursor).prefix(reach)) }
    var selectedText: String? { selection == 0 ? nil : String(text.dropFirst(cursor).prefix(selection)) }

    func deleteBackward() {
        if selection == 0, cursor > 0 { (cursor, selection) = (cursor - 1, 1) }
        replaceSelection(with: "")
    }

    func insertText(_ text: String) {
        replaceSelection(with: text)
    }

    /// What the app, or a finger in the text, does.
    func change(_ text: String? = nil, cursor: Int? = nil, selection: Int = 0) {
        self.text = text ?? self.text
        self.cursor = cursor ?? self.text.count
        self.selection = selection
        history = []
    }

    private var told: (text: String, cursor: Int) {
        lateness == 0 || history.isEmpty ? (text, cursor) : history[max(0, history.count - lateness)]
    }

    private func replaceSelection(with inserted: String) {
        history.append((text, cursor))
        text = text.prefix(cursor) + inserted + text.dropFirst(cursor + selection)
        (cursor, selection) = (cursor + inserted.count, 0)
    }
}

/// The keyboard, and somebody who types on it.
@MainActor final class Phone {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("Phone-\(UUID().uuidString)")
    let shared: SharedFolder
    let predictions: Predictions
    private(set) var field = Field()
    private(set) var controller: KeyboardViewController
    private var refined = 0

    /// - Parameter hasModel: Whether the app has installed a model and a word list.
    init(hasModel: Bool = true, settings: Settings = Settings()) async throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        shared = SharedFolder(folder)
        try shared.save(settings)
        if hasModel {
            try await ModelStore(directory: shared.models)
                .install(ModelSetup.name, from: try testFile("NIBBLE_TEST_MODEL"), sourceSHA256: ModelSetup.sha256).finish()
            try await shared.install(wordList: try testFile("NIBBLE_TEST_LEXICON"))
        }
        predictions = Predictions(shared: shared, words: WordBook(in: folder.appendingPathComponent("own")))
        controller = KeyboardViewController()
        await open()
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    var state: TypingState { controller.typing.state }
    var text: String { field.text }

    /// Goes to a text field, as iOS does: with a controller of its own.
    func open(_ field: Field = Field()) async {
        close()
        self.field = field
        controller = KeyboardViewController()
        controller.predictions = predictions
        controller.standInProxy = field
        controller.loadViewIfNeeded()
        let show = controller.typing.changed
        var last: TypingSession.Strip?
        controller.typing.changed = { [unowned self] state in
            show(state)
            if let strip = state.strip, strip != last, strip.isRefined { refined += 1 }
            last = state.strip
        }
        let seen = refined
        controller.viewWillAppear(false)
        layOut(CGSize(width: 390, height: 260))
        await predictions.open()
        guard predictions.keyboard != nil else { return }
        await wait(for: "help") { state.isHelped }
        await wait(for: "the strip") { refined > seen }
    }

    func close() {
        if controller.standInProxy != nil { controller.viewWillDisappear(false) }
    }

    func layOut(_ size: CGSize) {
        controller.view.frame = CGRect(origin: .zero, size: size)
        controller.viewWillLayoutSubviews()
        controller.view.layoutIfNeeded()
    }

    /// Types a text as a person does who looks at the strip: with shift, on the page where each character is.
    func type(_ text: String) async {
        for character in text { await tell { hit(character) } }
    }

    func hit(_ character: Character) {
        let small = character.lowercased()
        for page in [Page.letters, .symbols, .moreSymbols] where !has(.type(small)) && has(.show(page)) { tap(.show(page)) }
        if character.isLetter, character.isUppercase != (state.shift.state != .off) { tap(.shift) }
        tap(character == "\n" ? .enter : .type(small))
    }

    func backspace() async {
        await tell { tap(.backspace) }
    }

    func take(_ word: String) async throws {
        let button = try XCTUnwrap(words.first { $0.title(for: .normal) == word }, "\(word) is not on \(strip)")
        await tell { button.sendActions(for: .touchUpInside) }
    }

    /// The app changes the text, or the user the cursor.
    func change(_ text: String? = nil, cursor: Int? = nil, selection: Int = 0) async {
        await tell { field.change(text, cursor: cursor, selection: selection) }
    }

    /// The words on the strip, with brackets around what a space puts in.
    var strip: [String] {
        words.map { button in
            let word = button.title(for: .normal) ?? ""
            return button.accessibilityLabel == word ? word : "[\(word)]"
        }
    }

    var note: String? { views(UILabel.self).first { $0.superview is StripView && $0.text != nil }?.text }

    func views<Kind: UIView>(_ kind: Kind.Type) -> [Kind] {
        var views: [UIView] = [controller.view], found: [Kind] = []
        while let view = views.popLast() {
            if let view = view as? Kind { found.append(view) }
            views += view.subviews.reversed().filter { !$0.isHidden }
        }
        return found
    }

    func button(_ label: String) throws -> UIButton {
        try XCTUnwrap(views(UIButton.self).first { $0.accessibilityLabel == label || $0.title(for: .normal) == label }, label)
    }

    func key(_ label: String) throws -> KeyView {
        try XCTUnwrap(views(KeyView.self).first { $0.accessibilityLabel == label }, label)
    }

    func middle(_ action: Action) -> CGPoint {
        guard let key = views(KeyView.self).first(where: { $0.key.action == action }) else {
            XCTFail("no key for \(action)")
            return .zero
        }
        return CGPoint(x: key.frame.midX, y: key.frame.midY)
    }

    func down(_ action: Action) -> UITouch {
        down(at: middle(action))
    }

    func down(at point: CGPoint) -> UITouch {
        let touch = UITouch()
        touch.standInLocation = point
        views(BoardView.self).first?.touchesBegan([touch], with: nil)
        return touch
    }

    func up(_ touch: UITouch) {
        views(BoardView.self).first?.touchesEnded([touch], with: nil)
    }

    /// Waits for something that is bound to come.
    func wait(for what: String, _ isThere: () async -> Bool) async {
        for _ in 0..<6_000 {
            if await isThere() { return }
            try? await Task.sleep(for: .milliseconds(10))
        }
        XCTFail("\(what) did not come")
    }

    private var words: [UIButton] {
        views(UIButton.self).filter { $0.superview is StripView && $0.title(for: .normal) != nil }
    }

    private func has(_ action: Action) -> Bool {
        views(KeyView.self).contains { $0.key.action == action }
    }

    private func tap(_ action: Action) {
        up(down(action))
        controller.view.layoutIfNeeded()
    }

    /// Does something to the text, has the document tell of it, and waits for the strip.
    private func tell(_ change: () -> Void) async {
        let seen = refined
        change()
        controller.textDidChange(nil)
        if state.isHelped { await wait(for: "the strip") { refined > seen } }
    }
}
