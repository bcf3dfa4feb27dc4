// The words of a language, mapped from a file.

import Dispatch
import Foundation
internal import NibbleFFI

/// The words of a language and how frequent they are, with which a ``Keyboard`` sees through typing errors.
///
/// Several keyboards may share one. It is mapped from its file: clean pages, which do not count against an extension's limit. A
/// lexicon that neither you nor a keyboard refers to any more closes by itself.
public final class Lexicon: Sendable {
    /// How many words there are.
    public let count: Int

    let native: NibbleFFI.Lexicon

    /// Opens a word list, as `nibble pull lexicon-en` makes it on a desktop, and reads it once to compare its checksum.
    ///
    /// - Parameter url: A file URL. Do not write to the file while it is open. To put another in its place, rename that one over it.
    /// - Throws: ``NibbleError/lexiconUnfit(reason:)`` where there is no file, or it is damaged, something else, or of another
    ///   version: open the keyboard without a word list then. ``NibbleError/io(reason:)``.
    public convenience init(contentsOf url: URL) async throws {
        self.init(try await DispatchQueue.nibble.call { try NibbleFFI.Lexicon.open(path: path(of: url)) })
    }

    /// Opens a word list that lies in an open file.
    ///
    /// - Parameters:
    ///   - descriptor: Of the open file. It stays the caller's, who may close it when this returns.
    ///   - offset: Where the word list begins, in bytes.
    ///   - length: How long it is, in bytes.
    /// - Throws: as ``init(contentsOf:)``.
    public convenience init(descriptor: Int32, offset: Int = 0, length: Int) async throws {
        self.init(
            try await DispatchQueue.nibble.call {
                try NibbleFFI.Lexicon.openDescriptor(
                    descriptor: descriptor, offset: unsigned(offset, "offset"), length: unsigned(length, "length"))
            })
    }

    private init(_ native: NibbleFFI.Lexicon) {
        self.native = native
        count = Int(clamping: native.size())
    }
}
