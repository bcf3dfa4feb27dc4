// The conversations; above them the model.

import ModelSetup
import ModelViews
import ReplyCore
import SwiftUI

struct ConversationsView: View {
    let setup: ModelSetup
    let chats: [Chat]

    private let brain = Brain.shared

    var body: some View {
        NavigationStack {
            List {
                Section {
                    ModelView(setup, isOpening: brain.isOpening, isUnusable: isUnusable)
                } footer: {
                    Text("Replies are thought of on this iPhone. Nothing that is written here leaves it, and of that only what is not sent yet is stored.")
                }
                Section("Conversations") {
                    ForEach(chats) { chat in
                        NavigationLink {
                            ChatView(chat: chat)
                        } label: {
                            row(chat.conversation)
                        }
                    }
                }
            }
            .navigationTitle("Nibble Reply")
        }
    }

    private var isUnusable: Bool {
        setup.state == .ready && brain.assistant == nil && !brain.isOpening
    }

    private func row(_ conversation: Conversation) -> some View {
        VStack(alignment: .leading, spacing: 4) {
            Text(conversation.name).font(.headline)
            if let last = conversation.messages.last {
                Text(last.isMine ? "You: \(last.text)" : last.text)
                    .font(.subheadline)
                    .foregroundStyle(.secondary)
                    .lineLimit(1)
            }
        }
    }
}
