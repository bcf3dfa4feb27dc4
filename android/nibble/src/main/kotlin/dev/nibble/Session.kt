package dev.nibble

import dev.nibble.ffi.KvCache as NativeKvCache
import dev.nibble.ffi.Message as NativeMessage
import dev.nibble.ffi.Overflow as NativeOverflow
import dev.nibble.ffi.Priority as NativePriority
import dev.nibble.ffi.Session as NativeSession
import dev.nibble.ffi.SessionOptions as NativeSessionOptions
import kotlinx.coroutines.flow.Flow

/**
 * One timeline over a model: it writes texts, and remembers what it has computed. A text that begins as the one before it did is
 * read from where they part, so hand over the whole text or chat each time.
 *
 * One text is computed at a time; several may be collected, and take turns. After [close] every call and every flow throws
 * [NibbleException.Closed].
 */
public class Session internal constructor(native: NativeSession) : AutoCloseable {
    private val handle = Handle("session", native, Lane("nibble-session")) { shut() }

    /**
     * Goes on with [prompt]. The flow is cold: nothing is computed before it is collected, nor ahead of the collector, and each
     * collection is a text of its own. Its last [Piece] says why the text ended. Collecting throws
     *  - [NibbleException.ContextOverflow] if the prompt does not fit the context,
     *  - [NibbleException.InvalidArgument] if [sampling] or [stop] cannot be,
     *  - [NibbleException.SchemaUnfit] if the schema of [sampling] cannot be used.
     */
    public fun generate(prompt: String, sampling: Sampling = Sampling(), stop: Stop = Stop()): Flow<Piece> {
        val ends = stop.copy(strings = stop.strings.toList())
        return pieces(handle) { generate(prompt, sampling.toNative(), ends.toNative()) }
    }

    /**
     * Answers the last of [messages], by the model's chat template. The flow is as that of [generate]; collecting it throws
     * [NibbleException.NoChatTemplate] besides, if the model is a base model.
     */
    public fun chat(messages: List<Message>, sampling: Sampling = Sampling(), stop: Stop = Stop()): Flow<Piece> {
        val native = messages.map { NativeMessage(it.role.name.lowercase(), it.content) }
        val ends = stop.copy(strings = stop.strings.toList())
        return pieces(handle) { chat(native, sampling.toNative(), ends.toNative()) }
    }

    /**
     * Writes what the session has computed so far to the file [path], whole or not at all. It holds the text, so keep it where the text
     * may be. A session over the same model and with the same [SessionOptions.kvCache] takes it up, on another device too: an app can
     * ship that of a long system prompt.
     *
     * @throws NibbleException.InvalidArgument if nothing was computed yet.
     * @throws NibbleException.StorageFull if there is no room for it; [Model.memoryPlan] says what a token takes.
     * @throws NibbleException.Io if it cannot be written.
     */
    public suspend fun saveSnapshot(path: String): Unit = handle.call { saveSnapshot(path) }

    /**
     * Takes up what [saveSnapshot] wrote, in place of what the session has computed, and returns the number of tokens. The next text
     * that begins as that one did is read from where they part.
     *
     * @throws NibbleException.SnapshotUnfit if it does not fit the session, or is damaged; the session is as it was.
     * @throws NibbleException.ModelNotFound if there is no file [path].
     */
    public suspend fun restoreSnapshot(path: String): Int = handle.call { restoreSnapshot(path) }.toInt()

    /**
     * Takes up the snapshot that lies in an open file, [length] bytes from [offset] on: an asset that an app's package holds uncompressed
     * (`noCompress += "snapshot"`), as `restoreSnapshotAsset` of `dev.nibble.android` does. [descriptor] stays the caller's, who may close
     * it when this has returned. Throws what restoring from a path does.
     *
     * @throws NibbleException.Io if the descriptor is not open.
     */
    public suspend fun restoreSnapshot(descriptor: Int, offset: Long, length: Long): Int {
        val part = offset.toNative("offset") to length.toNative("length")
        return handle.call { restoreSnapshotDescriptor(descriptor, part.first, part.second) }.toInt()
    }

    /** Closes the session; texts under way end with [NibbleException.Closed]. It waits for nothing. */
    override fun close(): Unit = handle.close()
}

/** How a session is set up. */
public data class SessionOptions(
    /** Tokens that the timeline holds: the text and what is written after it. At most what the model was trained for. */
    public val context: Int = 2048,
    /** What happens to a longer text. */
    public val overflow: Overflow = Overflow.Fail,
    /** Threads that compute; 0 takes as many as suit the model and the device. */
    public val threads: Int = 0,
    /** How urgent the session's work is. */
    public val priority: Priority = Priority.INTERACTIVE,
    /** How keys and values are kept. */
    public val kvCache: KvCache = KvCache.F16,
    /** Bytes that the session may write to; `null` sets no limit. */
    public val memoryLimit: Long? = null,
)

/** What happens to a text that is longer than the context. */
public sealed interface Overflow {
    /** [NibbleException.ContextOverflow]. */
    public data object Fail : Overflow

    /** The first [keep] tokens stay, and the oldest of the others are forgotten. */
    public data class Slide(public val keep: Int) : Overflow
}

/** How urgent work is. While something more urgent is under way anywhere in the app, what is less urgent waits. */
public enum class Priority {
    /** Nobody waits. One thread, unless the options ask for more. */
    BACKGROUND,

    /** Somebody waits for the result. */
    INTERACTIVE,

    /** Somebody types. */
    KEYSTROKE,
}

/** How keys and values are kept. */
public enum class KvCache {
    /** 16 bits each. */
    F16,

    /** Half of that; a little off. */
    Q8,
}

/** One turn of a chat with the model. */
public data class Message(
    /** Who says it. */
    public val role: Role,
    /** What is said. */
    public val content: String,
)

/** Who says something in a chat with the model. */
public enum class Role {
    /** The app, which tells the model how to answer. */
    SYSTEM,

    /** The one who asks. */
    USER,

    /** The model. */
    ASSISTANT,
}

internal fun SessionOptions.toNative() = NativeSessionOptions(
    context = context.toNative("context"),
    overflow = when (overflow) {
        Overflow.Fail -> NativeOverflow.Fail
        is Overflow.Slide -> NativeOverflow.Slide(overflow.keep.toNative("keep"))
    },
    threads = threads.toNative("threads"),
    priority = when (priority) {
        Priority.BACKGROUND -> NativePriority.BACKGROUND
        Priority.INTERACTIVE -> NativePriority.INTERACTIVE
        Priority.KEYSTROKE -> NativePriority.KEYSTROKE
    },
    kvCache = when (kvCache) {
        KvCache.F16 -> NativeKvCache.F16
        KvCache.Q8 -> NativeKvCache.Q8
    },
    memoryLimit = memoryLimit?.toNative("memoryLimit"),
)
