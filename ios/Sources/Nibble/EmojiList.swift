// The emoji that words call to mind, mapped from a file.

import Dispatch
import Foundation
internal import NibbleFFI

/// The emoji that the words of a language call to mind.
///
/// It is mapped from its file: clean pages, which do not count against an extension's limit. A list that you do not refer to any more
/// closes by itself.
public final class EmojiList: Sendable {
    private let native: NibbleFFI.EmojiList

    /// Opens an emoji list, as `nibble pull emoji-en` makes it on a desktop, and reads it once to compare its checksum.
    ///
    /// - Parameter url: A file URL. Do not write to the file while it is open. To put another in its place, rename that one over it.
    /// - Throws: ``NibbleError/lexiconUnfit(reason:)`` where there is no file, or it is damaged, something else, or of another
    ///   version. ``NibbleError/io(reason:)``.
    public init(contentsOf url: URL) async throws {
        native = try await DispatchQueue.nibble.call { try NibbleFFI.EmojiList.open(path: path(of: url)) }
    }

    /// Opens an emoji list that lies in an open file.
    ///
    /// - Parameters:
    ///   - descriptor: Of the open file. It stays the caller's, who may close it when this returns.
    ///   - offset: Where the emoji list begins, in bytes.
    ///   - length: How long it is, in bytes.
    /// - Throws: as ``init(contentsOf:)``.
    public init(descriptor: Int32, offset: Int = 0, length: Int) async throws {
        native = try await DispatchQueue.nibble.call {
            try NibbleFFI.EmojiList.openDescriptor(
                descriptor: descriptor, offset: unsigned(offset, "offset"), length: unsigned(length, "length"))
        }
    }

    /// The emoji for the word with which a text ends, whatever comes after it; the most used first.
    ///
    /// It takes microseconds, on any thread. Nothing of the text is kept; yet do not ask where secrets are typed.
    ///
    /// - Parameters:
    ///   - text: What stands before the cursor.
    ///   - count: How many are wanted; there are eight at most.
    public func suggestions(for text: String, count: Int = 3) -> [String] {
        native.suggest(text: text, count: UInt32(clamping: count))
    }
}
