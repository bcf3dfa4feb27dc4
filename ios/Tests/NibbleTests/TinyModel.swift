// A base model of a few kilobytes, as a GGUF: what a test packs, and what is fast enough to be opened thousands of times.

import Foundation

/// A llama of one layer with random weights and a byte-level tokenizer. It has no chat template. `feedForward` makes it larger:
/// so many times 768 bytes, of zeros.
func tinyModel(seed: UInt64 = 1, architecture: String = "llama", feedForward: Int = 64) -> Data {
    var gguf = GGUF(seed: seed)
    gguf.add("general.architecture", string: architecture)
    gguf.add("general.name", string: "Tiny")
    for (key, value) in [
        ("block_count", 1), ("context_length", 256), ("embedding_length", 64), ("feed_forward_length", feedForward),
        ("attention.head_count", 2), ("attention.head_count_kv", 1), ("attention.key_length", 32),
        ("attention.value_length", 32),
    ] {
        gguf.add("\(architecture).\(key)", number: UInt32(value))
    }
    gguf.add("\(architecture).rope.freq_base", float: 10_000)
    gguf.add("\(architecture).attention.layer_norm_rms_epsilon", float: 1e-6)
    gguf.add("tokenizer.ggml.model", string: "gpt2")
    gguf.add("tokenizer.ggml.pre", string: "smollm")
    gguf.add("tokenizer.ggml.bos_token_id", number: 0)
    gguf.add("tokenizer.ggml.eos_token_id", number: 1)
    // Two control tokens, every byte, and two longer tokens.
    let tokens = ["<s>", "</s>"] + byteAlphabet + ["Ġt", "Ġth"]
    gguf.add("tokenizer.ggml.tokens", strings: tokens)
    gguf.add("tokenizer.ggml.token_type", numbers: tokens.indices.map { $0 < 2 ? 3 : 1 })
    gguf.add("tokenizer.ggml.merges", strings: ["Ġ t", "Ġt h"])
    gguf.addTensor("token_embd.weight", rows: tokens.count, columns: 64)
    gguf.addTensor("output_norm.weight", columns: 64)
    gguf.addTensor("blk.0.attn_norm.weight", columns: 64)
    gguf.addTensor("blk.0.ffn_norm.weight", columns: 64)
    gguf.addTensor("blk.0.attn_q.weight", rows: 64, columns: 64)
    gguf.addTensor("blk.0.attn_k.weight", rows: 32, columns: 64)
    gguf.addTensor("blk.0.attn_v.weight", rows: 32, columns: 64)
    gguf.addTensor("blk.0.attn_output.weight", rows: 64, columns: 64)
    gguf.addTensor("blk.0.ffn_gate.weight", rows: feedForward, columns: 64, isRandom: false)
    gguf.addTensor("blk.0.ffn_up.weight", rows: feedForward, columns: 64, isRandom: false)
    gguf.addTensor("blk.0.ffn_down.weight", rows: 64, columns: feedForward, isRandom: false)
    return gguf.file
}

/// The characters by which GPT-2 writes the 256 bytes: a byte that is no visible character has one above all bytes.
private let byteAlphabet: [String] = {
    let visible = Set(UInt32(33)...126).union(161...172).union(174...255)
    let bytes = (0..<256 as Range<UInt32>).sorted { (visible.contains($0) ? 0 : 1, $0) < (visible.contains($1) ? 0 : 1, $1) }
    let hidden = bytes.drop(while: visible.contains).indices
    return bytes.enumerated().compactMap { index, byte in
        Unicode.Scalar(hidden.contains(index) ? 256 + UInt32(index - hidden.lowerBound) : byte).map { String(Character($0)) }
    }
}()

/// Writes a GGUF of version 3.
private struct GGUF {
    private var pairs = Data()
    private var pairCount: UInt64 = 0
    private var tensors = Data()
    private var tensorCount: UInt64 = 0
    private var weights = Data()
    private var random: UInt64

    init(seed: UInt64) {
        random = seed
    }

    var file: Data {
        var file = Data("GGUF".utf8) + bytes(UInt32(3)) + bytes(tensorCount) + bytes(pairCount) + pairs + tensors
        file.append(Data(count: (32 - file.count % 32) % 32))
        return file + weights
    }

    mutating func add(_ key: String, number: UInt32) { add(key, kind: 4, bytes(number)) }

    mutating func add(_ key: String, float: Float) { add(key, kind: 6, bytes(float.bitPattern)) }

    mutating func add(_ key: String, string: String) { add(key, kind: 8, text(string)) }

    mutating func add(_ key: String, strings: [String]) {
        add(key, kind: 9, strings.reduce(bytes(UInt32(8)) + bytes(UInt64(strings.count))) { $0 + text($1) })
    }

    mutating func add(_ key: String, numbers: [Int32]) {
        add(key, kind: 9, numbers.reduce(bytes(UInt32(5)) + bytes(UInt64(numbers.count))) { $0 + bytes($1) })
    }

    /// A matrix, or a vector near 1, in 32-bit floats.
    mutating func addTensor(_ name: String, rows: Int? = nil, columns: Int, isRandom: Bool = true) {
        let dimensions = [columns] + (rows.map { [$0] } ?? [])
        tensors += text(name) + bytes(UInt32(dimensions.count))
        for dimension in dimensions { tensors += bytes(UInt64(dimension)) }
        tensors += bytes(UInt32(0)) + bytes(UInt64(weights.count))
        tensorCount += 1
        let count = dimensions.reduce(1, *)
        guard isRandom else { return weights.append(Data(count: 4 * count)) }
        for _ in 0..<count {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let unit = Float(random >> 40) / Float(1 << 23) - 1
            weights += bytes((rows == nil ? 1 + unit / 10 : unit / 4).bitPattern)
        }
        weights.append(Data(count: (32 - weights.count % 32) % 32))
    }

    private mutating func add(_ key: String, kind: UInt32, _ value: Data) {
        pairs += text(key) + bytes(kind) + value
        pairCount += 1
    }

    private func text(_ string: String) -> Data { bytes(UInt64(string.utf8.count)) + Data(string.utf8) }

    private func bytes<Number: FixedWidthInteger>(_ number: Number) -> Data {
        withUnsafeBytes(of: number.littleEndian) { Data($0) }
    }
}
