// Where the model is on its way, and the button to choose one.

import ModelSetup
import ReplyCore
import SwiftUI
import UniformTypeIdentifiers

struct ModelView: View {
    let setup: ModelSetup
    let brain: Brain

    @State private var isChoosing = false

    var body: some View {
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

    /// It is installed, and does not open.
    private var isUnusable: Bool {
        setup.state == .ready && brain.assistant == nil && !brain.isOpening
    }

    private var canChoose: Bool {
        if case .missing = setup.state { true } else { isUnusable }
    }

    private var words: String {
        if isUnusable { return "The model could not be opened. Choose the file again." }
        return setup.state == .ready && brain.isOpening ? "Opening the model…" : setup.state.text
    }
}
