// Where the model is on its way, and the button to choose one.

import ModelSetup
import SwiftUI
import UniformTypeIdentifiers

public struct ModelView: View {
    private let setup: ModelSetup
    private let isOpening: Bool
    private let isUnusable: Bool

    @State private var isChoosing = false

    /// - Parameters:
    ///   - isOpening: Whether the app is about to use it, when it is installed.
    ///   - isUnusable: Whether it is installed and does not open.
    public init(_ setup: ModelSetup, isOpening: Bool = false, isUnusable: Bool = false) {
        self.setup = setup
        self.isOpening = isOpening
        self.isUnusable = isUnusable
    }

    public var body: some View {
        VStack(alignment: .leading, spacing: 12) {
            Text(words)
            if case .installing(let share) = setup.state {
                ProgressView(value: share)
            }
            if canChoose {
                Button("Choose the model file") { isChoosing = true }
            }
        }
        // GGUF files have no type of their own.
        .fileImporter(isPresented: $isChoosing, allowedContentTypes: [.data]) { result in
            if case .success(let file) = result { setup.install(file) }
        }
    }

    private var canChoose: Bool {
        if case .missing = setup.state { true } else { isUnusable }
    }

    private var words: String {
        if isUnusable { return "The model could not be opened. Choose the file again." }
        return setup.state == .ready && isOpening ? "Opening the model…" : setup.state.text
    }
}
