// Replies for Siri, Spotlight and Shortcuts, without the app on the screen.

import AppIntents
import Foundation
import ReplyCore

/// Takes a message and gives replies to it, which a shortcut can offer, copy or send.
struct DraftReplyIntent: AppIntent {
    static let title: LocalizedStringResource = "Draft a Reply"
    static let description: IntentDescription? = IntentDescription("Suggests replies to a message. It never leaves this device.")

    @Parameter(title: "Message", requestValueDialog: "What does the message say?")
    var message: String

    @Parameter(title: "In the Model's Own Words", description: "One draft, instead of replies to choose from.", default: false)
    var inOwnWords: Bool

    func perform() async throws -> some IntentResult & ReturnsValue<[String]> & ProvidesDialog {
        do {
            let answer = try await Drafting.answer(to: message, inOwnWords: inOwnWords)
            return .result(value: answer.replies, dialog: "\(answer.summary)")
        } catch let error as CancellationError {
            throw error
        } catch {
            throw NoModel()
        }
    }
}

/// What is said where the model does not open.
struct NoModel: Error, CustomLocalizedStringResourceConvertible {
    var localizedStringResource: LocalizedStringResource {
        "The model is not there, or does not open. Open Nibble Reply, which says what to do."
    }
}

struct ReplyShortcuts: AppShortcutsProvider {
    static var appShortcuts: [AppShortcut] {
        AppShortcut(
            intent: DraftReplyIntent(),
            phrases: ["Draft a reply with \(.applicationName)", "Suggest a reply with \(.applicationName)"],
            shortTitle: "Draft a Reply", systemImageName: "text.bubble")
    }
}
