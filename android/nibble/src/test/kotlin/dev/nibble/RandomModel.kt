package dev.nibble

import java.io.ByteArrayOutputStream
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Random

/** A small model with random weights: a GGUF file of half a megabyte, of a base model with the bytes as its vocabulary. */
object RandomModel {
    private const val LAYERS = 2
    private const val EMBEDDING = 64
    private const val FEED_FORWARD = 128
    private const val HEADS = 4
    private const val KV_HEADS = 2
    private const val HEAD = EMBEDDING / HEADS

    /** Writes the model; another [seed] is another model. */
    fun write(file: File, seed: Long = 1): File {
        val tokens = listOf("<s>", "</s>") + byteCharacters()
        val pairs = pairs(tokens)
        val tensors = tensors(tokens.size, Random(seed))
        val head = Bytes().text("GGUF").int(3).long(tensors.size).long(pairs.size)
        pairs.forEach { (key, value) -> head.string(key).raw(value) }
        val data = Bytes()
        for ((name, dimensions, values) in tensors) {
            head.string(name).int(dimensions.size)
            dimensions.forEach { head.long(it) }
            head.int(0).long(data.size)
            values.forEach { data.float(it) }
            data.fill(ALIGNMENT)
        }
        head.fill(ALIGNMENT)
        file.writeBytes(head.bytes() + data.bytes())
        return file
    }

    private fun pairs(tokens: List<String>): List<Pair<String, ByteArray>> {
        fun words(value: String) = Bytes().int(8).string(value).bytes()
        fun number(value: Int) = Bytes().int(4).int(value).bytes()
        fun fraction(value: Float) = Bytes().int(6).float(value).bytes()
        fun array(kind: Int, size: Int, write: Bytes.() -> Unit) = Bytes().int(9).int(kind).long(size).apply(write).bytes()
        return listOf(
            "general.architecture" to words("llama"),
            "general.name" to words("Random"),
            "general.license" to words("apache-2.0"),
            "llama.block_count" to number(LAYERS),
            "llama.context_length" to number(256),
            "llama.embedding_length" to number(EMBEDDING),
            "llama.feed_forward_length" to number(FEED_FORWARD),
            "llama.attention.head_count" to number(HEADS),
            "llama.attention.head_count_kv" to number(KV_HEADS),
            "llama.attention.layer_norm_rms_epsilon" to fraction(1e-6f),
            "llama.rope.freq_base" to fraction(100_000f),
            "tokenizer.ggml.model" to words("gpt2"),
            "tokenizer.ggml.pre" to words("smollm"),
            "tokenizer.ggml.bos_token_id" to number(0),
            "tokenizer.ggml.eos_token_id" to number(1),
            "tokenizer.ggml.merges" to array(8, 0) {},
            "tokenizer.ggml.tokens" to array(8, tokens.size) { tokens.forEach { string(it) } },
            // Control tokens are of kind 3, others of kind 1.
            "tokenizer.ggml.token_type" to array(5, tokens.size) { tokens.indices.forEach { int(if (it < 2) 3 else 1) } },
        )
    }

    private fun tensors(vocabulary: Int, random: Random): List<Tensor> {
        fun matrix(name: String, rows: Int, columns: Int) =
            Tensor(name, listOf(columns, rows), FloatArray(rows * columns) { 0.2f * random.nextGaussian().toFloat() })
        fun norm(name: String) = Tensor(name, listOf(EMBEDDING), FloatArray(EMBEDDING) { 1f })
        val layers = (0 until LAYERS).flatMap { layer ->
            listOf(
                matrix("blk.$layer.attn_q.weight", HEADS * HEAD, EMBEDDING),
                matrix("blk.$layer.attn_k.weight", KV_HEADS * HEAD, EMBEDDING),
                matrix("blk.$layer.attn_v.weight", KV_HEADS * HEAD, EMBEDDING),
                matrix("blk.$layer.attn_output.weight", EMBEDDING, HEADS * HEAD),
                matrix("blk.$layer.ffn_gate.weight", FEED_FORWARD, EMBEDDING),
                matrix("blk.$layer.ffn_up.weight", FEED_FORWARD, EMBEDDING),
                matrix("blk.$layer.ffn_down.weight", EMBEDDING, FEED_FORWARD),
                norm("blk.$layer.attn_norm.weight"),
                norm("blk.$layer.ffn_norm.weight"),
            )
        }
        return listOf(matrix("token_embd.weight", vocabulary, EMBEDDING), norm("output_norm.weight")) + layers
    }

    /** The characters that stand for the bytes in the vocabularies of GPT-2: themselves, if they can be seen. */
    private fun byteCharacters(): List<String> {
        var unseen = 256
        return (0..255).map { byte ->
            val seen = byte in '!'.code..'~'.code || byte in 0xA1..0xAC || byte in 0xAE..0xFF
            (if (seen) byte else unseen++).toChar().toString()
        }
    }

    private const val ALIGNMENT = 32

    private data class Tensor(val name: String, val dimensions: List<Int>, val values: FloatArray)

    /** What GGUF is made of, in its order of bytes. */
    private class Bytes {
        private val out = ByteArrayOutputStream()
        val size: Int get() = out.size()

        fun bytes(): ByteArray = out.toByteArray()

        fun raw(bytes: ByteArray) = apply { out.write(bytes) }

        fun text(value: String) = raw(value.toByteArray())

        fun int(value: Int) = raw(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array())

        fun long(value: Int) = raw(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value.toLong()).array())

        fun float(value: Float) = int(value.toRawBits())

        fun string(value: String) = long(value.toByteArray().size).text(value)

        fun fill(alignment: Int) = raw(ByteArray((alignment - size % alignment) % alignment))
    }
}
