package dev.nibble

import dev.nibble.ffi.Keyboard as NativeKeyboard
import dev.nibble.ffi.Suggestion as NativeSuggestion
import dev.nibble.ffi.SuggestionKind as NativeSuggestionKind
import dev.nibble.ffi.Suggestions as NativeSuggestions

/**
 * Predicts words for the word at the cursor. It keeps what it computed from one key to the next, so use one keyboard for as long as
 * the text field is there.
 *
 * Ask at every key, from one place: a newer request stops an older one, which ends with [NibbleException.Superseded]. Newer is
 * what was called later. `collectLatest` over the state of the text field does all of this, and nobody sees the exception.
 *
 * After [close] every call throws [NibbleException.Closed].
 */
public class Keyboard internal constructor(native: NativeKeyboard) : AutoCloseable {
    internal val handle = Handle("keyboard", native, Lane("nibble-keyboard")) { shut() }

    /**
     * The most probable words at the cursor.
     *
     * @param context the text before the word at the cursor.
     * @param typed what was typed of that word; empty after a space.
     * @param count how many words at most.
     * @throws NibbleException.Superseded if [suggest] or [glance] was called again before the answer was there.
     */
    public suspend fun suggest(context: String, typed: String, count: Int = 3): Suggestions =
        ask(count) { ticket, top -> suggest(ticket, context, typed, top) }

    /**
     * As [suggest], from what is already known: the model runs once at most, when the context is new. This is what to show while
     * [suggest] is at work; call it first, as it is a request too.
     */
    public suspend fun glance(context: String, typed: String, count: Int = 3): Suggestions =
        ask(count) { ticket, top -> glance(ticket, context, typed, top) }

    /** Closes the keyboard; what runs ends with [NibbleException.Closed]. It waits for nothing. */
    override fun close(): Unit = handle.close()

    private suspend fun ask(count: Int, request: NativeKeyboard.(ULong, UInt) -> NativeSuggestions): Suggestions {
        val top = count.toNative("count")
        // Here and not where the request runs: the order of the calls decides which is the newest.
        val ticket = handle.now { ticket() }
        return handle.call(stop = { cancel(ticket) }) { request(ticket, top) }.toPublic()
    }
}

/** How a keyboard is set up. */
public data class KeyboardOptions(
    /** Threads that compute; 0 takes as many as suit the model and the device. */
    public val threads: Int = 0,
    /** Bytes that the keyboard may write to; `null` sets no limit. */
    public val memoryLimit: Long? = null,
)

/** The words for the strip. */
public data class Suggestions(
    /** At most as many as were asked for, best first, no two the same but for case. */
    public val suggestions: List<Suggestion>,
    /** The text before the cursor that a suggestion takes the place of. */
    public val replaces: String,
    /** Whether it is proven that no other word is more probable. */
    public val proven: Boolean,
)

/** A word for the strip. */
public data class Suggestion(
    /** The whole word, what was typed of it included. */
    public val word: String,
    /** How probable it is, given the text before it and what was typed: 0 to 1. */
    public val probability: Double,
    /** What it is to what was typed. */
    public val kind: SuggestionKind,
)

/** What a suggestion is to what was typed. */
public enum class SuggestionKind {
    /** Nothing was typed yet. */
    NEXT_WORD,

    /** It goes on with what was typed. */
    COMPLETION,

    /** It is what was typed. */
    LITERAL,

    /** It mends what was typed, and perhaps goes on with it. */
    CORRECTION,
}

private fun NativeSuggestions.toPublic() = Suggestions(suggestions.map { it.toPublic() }, replaces, proven)

private fun NativeSuggestion.toPublic() = Suggestion(
    word,
    probability,
    when (kind) {
        NativeSuggestionKind.NEXT_WORD -> SuggestionKind.NEXT_WORD
        NativeSuggestionKind.COMPLETION -> SuggestionKind.COMPLETION
        NativeSuggestionKind.LITERAL -> SuggestionKind.LITERAL
        NativeSuggestionKind.CORRECTION -> SuggestionKind.CORRECTION
    },
)
