// The app: what it keeps for as long as it runs.

import Foundation
import ModelSetup
import ReplyCore
import SwiftUI

@main struct ReplyApp: App {
    @State private var setup = ModelSetup(in: AppGroup.models)
    @State private var chats = Conversation.demo.map { Chat($0, brain: .shared, unsent: Unsent(in: .cachesDirectory)) }

    var body: some Scene {
        WindowGroup {
            ConversationsView(setup: setup, chats: chats)
                .onAppear { setup.start() }
                .onChange(of: setup.state) {
                    if setup.state == .ready { Brain.shared.open() }
                }
        }
    }
}
