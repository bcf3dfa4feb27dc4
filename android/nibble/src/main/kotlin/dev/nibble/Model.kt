package dev.nibble

import dev.nibble.ffi.MemoryPlan as NativeMemoryPlan
import dev.nibble.ffi.MemoryPressure as NativeMemoryPressure
import dev.nibble.ffi.Model as NativeModel
import dev.nibble.ffi.ModelInfo as NativeModelInfo
import dev.nibble.ffi.ModelOptions as NativeModelOptions

/**
 * An open model. All that is made over it shares its weights, and is closed with it.
 *
 * After [close] every call throws [NibbleException.Closed]; [info] can still be read.
 */
public class Model private constructor(native: NativeModel) : AutoCloseable {
    // A tokenization need not wait for another, nor for a session that is being opened.
    private val handle = Handle("model", native, Lane("nibble-model", width = 4)) { shut() }

    /** What the model is. */
    public val info: ModelInfo = native.info().toPublic()

    /** The tokens of [text], without a token for its beginning. Whatever looks like a control token in it is text. */
    public suspend fun tokenize(text: String): List<Int> = handle.call { tokenize(text) }.map { it.toInt() }

    /**
     * The text of [tokens]; bytes that are not UTF-8 become U+FFFD.
     *
     * @throws NibbleException.InvalidArgument if one of them is no token of the model.
     */
    public suspend fun detokenize(tokens: List<Int>): String {
        val native = tokens.map { it.toUInt() }
        return handle.call { detokenize(native) }
    }

    /** What this model takes, and a session with these options, a keyboard or a replier over it. */
    public suspend fun memoryPlan(options: SessionOptions = SessionOptions()): MemoryPlan {
        val native = options.toNative()
        return handle.call { memoryPlan(native) }.toPublic()
    }

    /**
     * A new session. Close it when it is no longer needed: it holds memory, as [memoryPlan] says.
     *
     * @throws NibbleException.MemoryLimit if it would take more than [SessionOptions.memoryLimit] allows, or
     * [ModelOptions.memoryLimit] leaves.
     * @throws NibbleException.InvalidArgument if an option cannot be.
     */
    public suspend fun session(options: SessionOptions = SessionOptions()): Session {
        val native = options.toNative()
        return handle.call(discard = Session::close) { Session(session(native)) }
    }

    /**
     * A new keyboard. Close it when it is no longer needed.
     *
     * @throws NibbleException.MemoryLimit if it would take more than [KeyboardOptions.memoryLimit] allows, or
     * [ModelOptions.memoryLimit] leaves.
     * @throws NibbleException.InvalidArgument if an option cannot be.
     */
    public suspend fun keyboard(options: KeyboardOptions = KeyboardOptions()): Keyboard {
        val native = options.toNative()
        return handle.call(discard = Keyboard::close) { Keyboard(keyboard(native)) }
    }

    /**
     * A new replier. Close it when it is no longer needed.
     *
     * @throws NibbleException.MemoryLimit if it would take more than [ReplierOptions.memoryLimit] allows, or
     * [ModelOptions.memoryLimit] leaves.
     */
    public suspend fun replier(options: ReplierOptions = ReplierOptions()): Replier {
        val threads = options.threads.toNative("threads")
        val limit = options.memoryLimit?.toNative("memoryLimit")
        return handle.call(discard = Replier::close) { Replier(replier(threads, limit)) }
    }

    /**
     * Measures on how many threads this model is fastest here, and keeps that beside the model file, if that folder can be written; of a
     * model in an asset or an open file, until the process ends. What is opened from then on, and leaves the number of threads open, takes
     * it. It takes seconds of all cores, so do it once, when nobody waits. Cancelling the coroutine stops it, and so does [close].
     */
    public suspend fun calibrate() {
        val calibration = handle.now { calibration() }
        try {
            handle.call(stop = { calibration.cancel() }) { calibration.run() }
        } finally {
            calibration.destroy()
        }
    }

    /**
     * Gives memory back; call it when the system says that memory is short. It returns at once: what runs goes on, and gives its
     * memory back when it is done. Nothing has to be opened again.
     */
    public fun onMemoryPressure(pressure: MemoryPressure) {
        handle.now { memoryPressure(pressure.toNative()) }
    }

    /** Closes the model and everything made over it; what runs ends with [NibbleException.Closed]. It waits for nothing. */
    override fun close(): Unit = handle.close()

    internal companion object {
        /** Blocks. */
        fun open(path: String, options: ModelOptions): Model = translating("model") {
            Model(NativeModel.open(path, options.toNative()))
        }

        /** Blocks. */
        fun open(descriptor: Int, offset: Long, length: Long, options: ModelOptions): Model = translating("model") {
            val part = offset.toNative("offset") to length.toNative("length")
            Model(NativeModel.openDescriptor(descriptor, part.first, part.second, options.toNative()))
        }

        private fun ModelOptions.toNative() =
            NativeModelOptions(checkWeights, sourceSha256, memoryLimit?.toNative("memoryLimit"))
    }
}

/** How a model file is opened. */
public data class ModelOptions(
    /**
     * Checks every byte of the weights against its checksum. Without it everything else is checked, and the weights are read when
     * they are first used: milliseconds, whatever the size of the model.
     */
    public val checkWeights: Boolean = true,
    /** The SHA-256 of the GGUF file that the model must have been packed from, in hexadecimal; `null` takes any. */
    public val sourceSha256: String? = null,
    /**
     * Bytes that everything over the model may write to together; `null` is no limit. Opening what would go beyond throws
     * [NibbleException.MemoryLimit], and so does a request to what gave its memory back and finds it taken.
     */
    public val memoryLimit: Long? = null,
)

/** What a model is. */
public data class ModelInfo(
    /** Its name, if the file gives one. */
    public val name: String?,
    /** Its licence, if the file gives one. */
    public val licence: String?,
    /** The SHA-256 of the GGUF file that it was packed from, in hexadecimal. */
    public val sourceSha256: String,
    /** Tokens of the vocabulary. */
    public val vocabulary: Int,
    /** Tokens that it was trained to see at once. */
    public val context: Int,
    /** Whether it follows a chat; a base model only continues texts. */
    public val hasChatTemplate: Boolean,
)

/** What a model with one session takes, in bytes. */
public data class MemoryPlan(
    /** The model file, mapped read-only: clean pages, which processes share and the system may drop. */
    public val mapped: Long,
    /** What the session writes to at most: its keys and values when the context is full, and its buffers. */
    public val session: Long,
    /** The part of that which keys and values take. */
    public val kv: Long,
    /** Keys and values of 1,000 tokens of context. */
    public val kvPer1000Tokens: Long,
    /** What a keyboard writes to at most, on as many threads as the session. */
    public val keyboard: Long,
    /** What a replier writes to at most, on as many threads as the session. */
    public val replier: Long,
)

/** How short memory is. Each level gives back what those before it do, and more. */
public enum class MemoryPressure {
    /** The caches of sessions. */
    MODERATE,

    /** Those of keyboards and repliers too: what was computed for the word at the cursor is computed again. */
    LOW,

    /** The mapping of the model file too. */
    CRITICAL,
}

private fun NativeModelInfo.toPublic() =
    ModelInfo(name, licence, sourceSha256, vocabulary.toInt(), context.toInt(), hasChatTemplate)

internal fun NativeMemoryPlan.toPublic() =
    MemoryPlan(mapped.toLong(), session.toLong(), kv.toLong(), kvPer1000Tokens.toLong(), keyboard.toLong(), replier.toLong())

private fun MemoryPressure.toNative() = when (this) {
    MemoryPressure.MODERATE -> NativeMemoryPressure.MODERATE
    MemoryPressure.LOW -> NativeMemoryPressure.LOW
    MemoryPressure.CRITICAL -> NativeMemoryPressure.CRITICAL
}
