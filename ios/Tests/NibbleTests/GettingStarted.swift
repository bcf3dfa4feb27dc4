// The snippet of ios/README.md, as a user would write it. A test runs it, and another sees that the page shows it.

import Foundation
import Nibble

func gettingStarted(_ file: URL) async throws -> (words: [String], text: String) {
    let model = try await Model(contentsOf: file)

    let keyboard = try await model.keyboard()
    let strip = try await keyboard.suggest(context: "Can I bring something to ", typed: "dr")
    let words = strip.suggestions.map(\.word)

    let session = try await model.session()
    var text = ""
    for try await piece in session.generate("The capital of France is", stop: Stop(maxTokens: 16)) {
        text += piece.text
    }
    return (words, text)
}
