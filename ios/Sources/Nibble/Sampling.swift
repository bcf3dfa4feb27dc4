// How tokens are chosen, and when a text ends.

internal import NibbleFFI

/// How tokens are chosen. The default is greedy: always the most probable one.
public struct Sampling: Sendable, Equatable {
    /// Divides the logits before the draw, 0 to 100; 0 takes the most probable token.
    public var temperature: Float
    /// Keeps the most probable tokens, so many; 0 keeps all.
    public var topK: Int
    /// Keeps the smallest set of most probable tokens whose mass reaches this, 0 to 1; 1 keeps all.
    public var topP: Float
    /// Drops tokens less probable than this share of the most probable one, 0 to 1; 0 drops none.
    public var minP: Float
    /// Makes recent tokens less probable, 0.01 to 100; 1 changes nothing.
    public var repetitionPenalty: Float
    /// How many recent tokens the penalty looks at.
    public var repetitionWindow: Int
    /// Where the randomness starts: the same seed, the same text.
    public var seed: UInt64
    /// A JSON schema. The text is JSON that meets it, and nothing else, if it ends with ``Generation/Finish/endOfText``; a limit or a
    /// stop string cuts it.
    public var schema: String?

    public init(
        temperature: Float = 0, topK: Int = 40, topP: Float = 0.95, minP: Float = 0.05, repetitionPenalty: Float = 1,
        repetitionWindow: Int = 64, seed: UInt64 = 0, schema: String? = nil
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.repetitionWindow = repetitionWindow
        self.seed = seed
        self.schema = schema
    }

    func native() throws -> NibbleFFI.Sampling {
        NibbleFFI.Sampling(
            temperature: temperature, topK: try unsigned(topK, "topK"), topP: topP, minP: minP,
            repetitionPenalty: repetitionPenalty,
            repetitionWindow: try unsigned(repetitionWindow, "repetitionWindow"), seed: seed, schema: schema)
    }
}

/// The beginning of a JSON text as a whole one, so that it can be decoded while the rest is being written: what is open is closed, and
/// what is not certain yet is left out, such as a number at the end and a name without its value. `nil` while nothing is certain.
///
/// ```swift
/// var text = ""
/// for try await piece in session.chat(messages, sampling: Sampling(schema: schema)) {
///     text += piece.text
///     guard let partial = closeJSON(text) else { continue }
///     show(try JSONDecoder().decode(Draft.self, from: Data(partial.utf8)))
/// }
/// ```
public func closeJSON(_ text: String) -> String? {
    NibbleFFI.closeJson(text: text)
}

/// When a text ends, apart from the model's own end.
public struct Stop: Sendable, Equatable {
    /// After so many tokens; where it is `nil`, the context is the limit.
    public var maxTokens: Int?
    /// When the text holds one of these, which is not returned. None of them is empty.
    public var strings: [String]

    public init(maxTokens: Int? = nil, strings: [String] = []) {
        self.maxTokens = maxTokens
        self.strings = strings
    }

    func native() throws -> NibbleFFI.Stop {
        NibbleFFI.Stop(maxTokens: try maxTokens.map { try unsigned($0, "maxTokens") }, strings: strings)
    }
}
