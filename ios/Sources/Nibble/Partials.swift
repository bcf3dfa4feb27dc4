// Values that are decoded while their text is being written.

import Foundation

extension Generation {
    /// What a text under a ``Sampling/schema`` is so far, whenever that has changed.
    ///
    /// ```swift
    /// for try await partial in session.chat(messages, sampling: Sampling(schema: schema)).partials(of: Draft.self) {
    ///     show(partial)
    /// }
    /// ```
    ///
    /// A beginning that does not decode, because a field that has to be there has not come yet, is left out: make fields that come
    /// late optional. Where the text ends with ``Finish/endOfText`` the last value is that of all of it, and what the decoder throws then
    /// is thrown. Where a limit has cut it, the last value is what there was until then; see ``finish``.
    public func partials<Value: Decodable>(
        of type: Value.Type = Value.self, using decoder: JSONDecoder = JSONDecoder()
    ) -> Partials<Value> {
        Partials(generation: self, decoder: decoder)
    }

    /// The values of a text under way: an asynchronous sequence, computed as the pieces are.
    public struct Partials<Value: Decodable>: AsyncSequence {
        fileprivate let generation: Generation
        fileprivate let decoder: JSONDecoder

        public func makeAsyncIterator() -> AsyncIterator {
            AsyncIterator(generation: generation, pieces: generation.makeAsyncIterator(), decoder: decoder)
        }

        /// Pulls the pieces, and decodes their text.
        public struct AsyncIterator: AsyncIteratorProtocol {
            fileprivate let generation: Generation
            fileprivate let pieces: Generation.AsyncIterator
            fileprivate let decoder: JSONDecoder
            private var text = ""
            private var decoded: String?

            fileprivate init(generation: Generation, pieces: Generation.AsyncIterator, decoder: JSONDecoder) {
                self.generation = generation
                self.pieces = pieces
                self.decoder = decoder
            }

            /// The next value; `nil` after the last one.
            ///
            /// - Throws: what the decoder does for the whole text; ``NibbleError``, or `CancellationError` where the task was cancelled.
            public mutating func next() async throws -> Value? {
                while let piece = try await pieces.next() {
                    text += piece.text
                    if let json = closeJSON(text), json != decoded, let value = try? decode(json) {
                        return value
                    }
                }
                guard generation.finish == .endOfText, text != decoded else { return nil }
                return try decode(text)
            }

            private mutating func decode(_ json: String) throws -> Value {
                let value = try decoder.decode(Value.self, from: Data(json.utf8))
                decoded = json
                return value
            }
        }
    }
}
