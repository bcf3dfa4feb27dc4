// The text that is typed into, on the other side of the system.

import Nibble

/// What a keyboard can do to a document, and see of it: `UITextDocumentProxy`, in fewer words.
@MainActor public protocol Document: AnyObject {
    /// What it says stands before and after the cursor: late at times, and often only the sentence.
    var before: String { get }
    var after: String { get }
    var isSelected: Bool { get }

    /// Removes the selection, or the character before the cursor.
    func deleteBackward()
    /// Puts text in the place of the selection, or at the cursor.
    func insert(_ text: String)
}

extension Document {
    func apply(_ edit: TypingSession.Edit) {
        edit.delete.forEach { _ in deleteBackward() }
        if !edit.insert.isEmpty { insert(edit.insert) }
    }
}
