// What the samples use of UIKit, and of Foundation on Apple's platforms, to take what another app shares.

import Foundation

@MainActor open class UIPasteboard {
    open class var general: UIPasteboard { UIPasteboard() }
    open var string: String?
}

/// Of Foundation on Apple's platforms.
open class NSExtensionContext {
    open var inputItems: [Any] { [] }
    open func completeRequest(returningItems items: [Any]?, completionHandler: (@Sendable (Bool) -> Void)? = nil) {}
}

/// Of Foundation on Apple's platforms.
open class NSExtensionItem {
    open var attachments: [NSItemProvider]?
}

/// Of Foundation on Apple's platforms.
open class NSItemProvider: @unchecked Sendable {
    open func canLoadObject<T>(ofClass: T.Type) -> Bool { false }
    open func loadObject<T>(ofClass: T.Type, completionHandler: @escaping @Sendable (T?, (any Error)?) -> Void) -> Progress {
        Progress(totalUnitCount: 1)
    }
}
