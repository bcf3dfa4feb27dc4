// What the share sheet shows: the message, and below it what may be answered, to be copied.

import ReplyCore
import ReplyViews
import SwiftUI
import UIKit

struct ShareView: View {
    let message: String
    let drafting: Drafting
    let close: @MainActor () -> Void

    @State private var isCopied = false

    var body: some View {
        NavigationStack {
            ScrollView {
                if message.isEmpty {
                    Text("There is no text in what was shared.").foregroundStyle(.secondary).padding()
                } else {
                    Bubble(message, isMine: false).padding()
                }
            }
            .safeAreaInset(edge: .bottom, spacing: 0) {
                ComposerBar(drafting, title: "Copy", systemImage: "doc.on.doc", action: copy)
            }
            .navigationTitle("Reply")
            .navigationBarTitleDisplayMode(.inline)
            .toolbar {
                ToolbarItem(placement: .cancellationAction) {
                    Button(isCopied ? "Done" : "Cancel", action: close)
                }
            }
        }
        .task(id: drafting.question) { await drafting.suggest() }
        .onDisappear { drafting.stop() }
    }

    private func copy() {
        UIPasteboard.general.string = drafting.text
        isCopied = true
    }
}
