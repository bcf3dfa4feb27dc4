// One conversation: what was said, and below it what may be answered.

import ReplyCore
import ReplyViews
import SwiftUI

struct ChatView: View {
    let chat: Chat

    @Environment(\.scenePhase) private var phase

    var body: some View {
        ScrollView {
            LazyVStack(spacing: 8) {
                ForEach(Array(chat.conversation.messages.enumerated()), id: \.offset) { _, message in
                    Bubble(message.text, isMine: message.isMine)
                        .accessibilityLabel("\(message.isMine ? "You" : chat.conversation.name): \(message.text)")
                }
            }
            .padding()
        }
        .defaultScrollAnchor(.bottom)
        .scrollDismissesKeyboard(.interactively)
        .safeAreaInset(edge: .bottom, spacing: 0) {
            ComposerBar(chat.drafting, title: "Send", systemImage: "arrow.up.circle.fill", action: chat.send)
        }
        .navigationTitle(chat.conversation.name)
        .navigationBarTitleDisplayMode(.inline)
        .task(id: chat.drafting.question) { await chat.drafting.suggest() }
        // For a chat that nobody sees nothing is written.
        .onDisappear {
            chat.drafting.stop()
            chat.keep()
        }
        .onChange(of: phase) {
            if phase == .background { chat.drafting.stop() }
            // Also when it is only about to go: from the list of apps, where it can be killed, no word comes any more.
            chat.keep()
        }
    }
}
