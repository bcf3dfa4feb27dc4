// The share sheet's way in: takes the text that another app shares, and shows what may be answered.

import Foundation
import ReplyCore
import SwiftUI
import UIKit

final class ShareViewController: UIViewController {
    override func viewDidLoad() {
        super.viewDidLoad()
        Brain.shared.open()
        Task {
            let message = await sharedText()
            let context = extensionContext
            let drafting = Drafting(answering: message, brain: .shared)
            show(ShareView(message: message, drafting: drafting) { context?.completeRequest(returningItems: nil) })
        }
    }

    private func show(_ root: ShareView) {
        let host = UIHostingController(rootView: root)
        addChild(host)
        host.view.frame = view.bounds
        host.view.autoresizingMask = [.flexibleWidth, .flexibleHeight]
        view.addSubview(host.view)
        host.didMove(toParent: self)
    }

    /// The first text among what is shared.
    private func sharedText() async -> String {
        let items = extensionContext?.inputItems.compactMap { $0 as? NSExtensionItem } ?? []
        for provider in items.flatMap({ $0.attachments ?? [] }) where provider.canLoadObject(ofClass: String.self) {
            let text: String? = await withCheckedContinuation { continuation in
                // The system calls back on a queue of its own.
                _ = provider.loadObject(ofClass: String.self) { @Sendable text, _ in continuation.resume(returning: text) }
            }
            if let text { return text }
        }
        return ""
    }
}
