// Ties the keyboard to iOS: the system makes one of these for a text field, and all of them share one process.

import KeyboardCore
import UIKit

final class KeyboardViewController: UIInputViewController {
    /// One for all controllers of the process.
    private static let ofProcess = Predictions(shared: SharedFolder(), words: WordBook(in: .applicationSupportDirectory))

    /// Where words come from; a test brings its own.
    var predictions = KeyboardViewController.ofProcess
    lazy var typing = Typing(in: self, keyboard: { [predictions] in predictions.keyboard })
    private lazy var board = BoardView { [weak self] action, point in self?.press(action, at: point) }
    private lazy var strip = StripView(
        take: { [weak self] slot in self?.take(slot) }, showWords: { [weak self] in self?.toggleWords() })
    private var letters = Letters.qwerty
    private var words: WordsView?
    private lazy var height = view.heightAnchor.constraint(equalToConstant: heights.strip + heights.board)

    override func viewDidLoad() {
        super.viewDidLoad()
        inputView = ClickingInputView(frame: .zero, inputViewStyle: .keyboard)
        #if canImport(ObjectiveC)
            board.nextKeyboard.addTarget(self, action: #selector(handleInputModeList(from:with:)), for: .allTouchEvents)
        #endif
        view.addSubview(strip)
        view.addSubview(board)
        // The system's own constraint goes first while it lays out its windows.
        height.priority = UILayoutPriority(999)
        height.isActive = true
        typing.changed = { [weak self] state in self?.show(state) }
    }

    override func viewWillAppear(_ animated: Bool) {
        super.viewWillAppear(animated)
        letters = predictions.shared.settings.letters
        follow()
        show(typing.state)
        Task { [weak self, predictions] in
            let before = predictions.keyboard
            await predictions.open()
            if predictions.keyboard !== before { self?.typing.assist() }
        }
    }

    override func viewWillDisappear(_ animated: Bool) {
        super.viewWillDisappear(animated)
        typing.end()
    }

    override func viewWillLayoutSubviews() {
        super.viewWillLayoutSubviews()
        height.constant = heights.strip + heights.board
        let (top, rest) = view.bounds.divided(atDistance: heights.strip, from: .minYEdge)
        strip.frame = top
        board.frame = rest
        words?.frame = rest
    }

    override func textDidChange(_ textInput: (any UITextInput)?) {
        super.textDidChange(textInput)
        follow()
    }

    override func selectionDidChange(_ textInput: (any UITextInput)?) {
        super.selectionDidChange(textInput)
        follow()
    }

    /// In points: less where the phone lies on its side.
    private var heights: (strip: CGFloat, board: CGFloat) {
        traitCollection.verticalSizeClass == .compact ? (36, 160) : (44, 216)
    }

    /// The system uses one controller for several text fields at times, and says so by a change of the text only.
    private func follow() {
        let proxy = textDocumentProxy
        overrideUserInterfaceStyle = proxy.keyboardAppearance == .dark ? .dark : .unspecified
        typing.arrange(letters, hasGlobe: needsInputModeSwitchKey)
        typing.begin(InputField(proxy), of: proxy.documentIdentifier)
    }

    private func show(_ state: TypingState) {
        strip.show(state, hasWords: words != nil)
        board.show(state)
    }

    private func press(_ action: Action, at point: CGPoint?) {
        UIDevice.current.playInputClick()
        typing.press(action, at: point)
    }

    private func take(_ slot: Slot) {
        UIDevice.current.playInputClick()
        typing.take(slot)
    }

    private func toggleWords() {
        words?.removeFromSuperview()
        words = words == nil ? WordsView(predictions.words) : nil
        if let words {
            view.addSubview(words)
            words.frame = board.frame
        }
        board.isHidden = words != nil
        show(typing.state)
    }
}

/// Lets keys click, if the user has that switched on.
private final class ClickingInputView: UIInputView, UIInputViewAudioFeedback {
    var enableInputClicksWhenVisible: Bool { true }
}
