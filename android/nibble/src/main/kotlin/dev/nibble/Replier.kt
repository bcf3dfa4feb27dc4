package dev.nibble

import dev.nibble.ffi.Replier as NativeReplier
import dev.nibble.ffi.Replies as NativeReplies
import dev.nibble.ffi.SilenceReason as NativeSilenceReason
import dev.nibble.ffi.Turn as NativeTurn
import kotlinx.coroutines.flow.Flow

/**
 * Suggests replies to a message: chosen from a checked set ([suggest]), or written by the model ([draft]).
 *
 * A newer [suggest] stops an older one, which ends with [NibbleException.Superseded]; drafts go on. After [close] every call and
 * every flow throws [NibbleException.Closed].
 */
public class Replier internal constructor(native: NativeReplier) : AutoCloseable {
    private val handle = Handle("replier", native, Lane("nibble-replier")) { shut() }

    /**
     * Replies to the last turn of [chat], which is in the order in which it was said.
     *
     * @param count how many replies at most.
     * @throws NibbleException.Superseded if this was called again before the answer was there.
     */
    public suspend fun suggest(chat: List<Turn>, count: Int = 3): Replies {
        val turns = chat.map { it.toNative() }
        val top = count.toNative("count")
        // Here and not where the request runs: the order of the calls decides which is the newest.
        val ticket = handle.now { ticket() }
        return handle.call(stop = { cancel(ticket) }) { suggest(ticket, turns, top) }.toPublic()
    }

    /**
     * A reply to the last turn of [chat] in the model's own words, to be edited before it is sent. The flow is as that of
     * [Session.generate].
     */
    public fun draft(chat: List<Turn>, sampling: Sampling = Sampling()): Flow<Piece> {
        val turns = chat.map { it.toNative() }
        return pieces(handle) { draft(turns, sampling.toNative()) }
    }

    /** Closes the replier; what runs ends with [NibbleException.Closed]. It waits for nothing. */
    override fun close(): Unit = handle.close()
}

/** How a replier is set up. */
public data class ReplierOptions(
    /** Threads that compute; 0 takes as many as suit the model and the device. */
    public val threads: Int = 0,
    /** Bytes that the replier may write to; `null` sets no limit. */
    public val memoryLimit: Long? = null,
)

/** One turn of a conversation between people. */
public data class Turn(
    /** Whether the user of the app said it. */
    public val fromMe: Boolean,
    /** What was said. */
    public val text: String,
)

/** The replies to a message. */
public data class Replies(
    /** At most as many as were asked for, best first, with different intents. */
    public val replies: List<Reply>,
    /** Why there are none, where a suggestion is out of place. */
    public val silence: SilenceReason?,
)

/** A suggested reply. */
public data class Reply(
    /** What would be sent. */
    public val text: String,
    /** What the reply does: `accept`, `decline`, ... */
    public val intent: String,
    /** Compares replies to one message only. */
    public val score: Double,
)

/** Why nothing is suggested. */
public enum class SilenceReason {
    /** There is no message, or it has no words. */
    NOTHING,

    /** The last turn is the user's own. */
    OWN_TURN,

    /** A one-time code or a password. */
    CODE,

    /** A topic on which no ready-made reply is right. */
    SENSITIVE,

    /** Sent by a machine. */
    AUTOMATED,

    /** A language that the set of replies is not written in. */
    LANGUAGE,
}

private fun Turn.toNative() = NativeTurn(fromMe, text)

private fun NativeReplies.toPublic() =
    Replies(replies.map { Reply(it.text, it.intent, it.score) }, silence?.toPublic())

private fun NativeSilenceReason.toPublic() = when (this) {
    NativeSilenceReason.NOTHING -> SilenceReason.NOTHING
    NativeSilenceReason.OWN_TURN -> SilenceReason.OWN_TURN
    NativeSilenceReason.CODE -> SilenceReason.CODE
    NativeSilenceReason.SENSITIVE -> SilenceReason.SENSITIVE
    NativeSilenceReason.AUTOMATED -> SilenceReason.AUTOMATED
    NativeSilenceReason.LANGUAGE -> SilenceReason.LANGUAGE
}
