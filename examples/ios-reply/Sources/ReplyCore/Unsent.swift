// What was typed and not sent, in a file: it comes back when the app was killed.

import Foundation

/// One text for each conversation. The file lies among the caches: no backup has it, and where room is short the system may remove it.
/// It is small, and read and written as a whole.
public struct Unsent: Sendable {
    private let file: URL

    /// - Parameter folder: `.cachesDirectory`.
    public init(in folder: URL) {
        file = folder.appendingPathComponent("unsent.json")
    }

    /// What was typed to somebody; empty where nothing is kept, or it cannot be read.
    subscript(name: String) -> String {
        get { texts[name] ?? "" }
        nonmutating set {
            var texts = texts
            texts[name] = newValue.isEmpty ? nil : newValue
            guard texts != self.texts else { return }
            // Where that fails the text is lost if the app is killed, and until then it is there.
            try? JSONEncoder().encode(texts).write(to: file, options: .atomic)
        }
    }

    private var texts: [String: String] {
        (try? JSONDecoder().decode([String: String].self, from: Data(contentsOf: file))) ?? [:]
    }
}
