package dev.nibble

import dev.nibble.ffi.Field as NativeField
import dev.nibble.ffi.Key as NativeKey
import dev.nibble.ffi.Keyboard as NativeKeyboard
import dev.nibble.ffi.KeyboardOptions as NativeKeyboardOptions
import dev.nibble.ffi.KeyboardRequest as NativeKeyboardRequest
import dev.nibble.ffi.Layout as NativeLayout
import dev.nibble.ffi.Suggestion as NativeSuggestion
import dev.nibble.ffi.SuggestionKind as NativeSuggestionKind
import dev.nibble.ffi.Suggestions as NativeSuggestions

/**
 * Predicts words for the word at the cursor and, with a [Lexicon], sees through typing errors. It keeps what it computed from one key
 * to the next, so use one keyboard for as long as the text field is there.
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
     * @param touches where the key of each code point of [typed] was hit, in the unit of the layout; `null` for what is not known, and
     *   there may be fewer. They help to tell neighbours apart, with a [Lexicon].
     * @param field what the text field is for.
     * @param gate leaves out words that are too improbable to be worth a look; what was typed and what a space would put there are never
     *   left out. Without it there are always [count] words, if the model has as many.
     * @throws NibbleException.Superseded if [suggest] or [glance] was called again before the answer was there.
     * @throws NibbleException.InvalidArgument if there are more [touches] than code points.
     */
    public suspend fun suggest(
        context: String,
        typed: String,
        count: Int = 3,
        touches: List<Touch?> = emptyList(),
        field: Field = Field.TEXT,
        gate: Boolean = true,
    ): Suggestions = ask(request(context, typed, count, touches, field, gate), NativeKeyboard::suggest)

    /**
     * As [suggest], from what is already known: the model runs once at most, when the context is new, and not at
     * all where it has more than a few words to read. This is what to show while [suggest] is at work; call it first, as it is a request too.
     */
    public suspend fun glance(
        context: String,
        typed: String,
        count: Int = 3,
        touches: List<Touch?> = emptyList(),
        field: Field = Field.TEXT,
        gate: Boolean = true,
    ): Suggestions = ask(request(context, typed, count, touches, field, gate), NativeKeyboard::glance)

    /**
     * From the next request on the keys are there. It waits for nothing.
     *
     * @throws NibbleException.InvalidArgument if the keys are no layout; see [KeyboardLayout.Keys].
     */
    public fun setLayout(layout: KeyboardLayout) {
        val native = layout.toNative()
        handle.now { setLayout(native) }
    }

    /**
     * Typing begins in a text field, with what its editor says of the text around the cursor. One session at a time is of use.
     *
     * @param field what the field is for: in one for secrets nothing is suggested or kept, and only ordinary text is learned.
     * @param before the text before the cursor, a few hundred characters of it.
     * @param after the text after the cursor.
     */
    public fun start(field: Field = Field.TEXT, before: String = "", after: String = ""): TypingSession =
        TypingSession(this, handle.now { start(field.toNative(), before, after) })

    /** Closes the keyboard; what runs ends with [NibbleException.Closed]. It waits for nothing. */
    override fun close(): Unit = handle.close()

    private suspend fun ask(
        request: NativeKeyboardRequest,
        ask: NativeKeyboard.(ULong, NativeKeyboardRequest) -> NativeSuggestions,
    ): Suggestions = ask { ticket -> handle.now { ask(ticket, request) } }.toPublic()

    internal suspend fun <T> ask(request: (ULong) -> T): T {
        // Here and not where the request runs: the order of the calls decides which is the newest.
        val ticket = handle.now { ticket() }
        return handle.call(stop = { cancel(ticket) }) { request(ticket) }
    }
}

/** How a keyboard is set up. */
public data class KeyboardOptions(
    /** Threads that compute; 0 takes as many as suit the model and the device. */
    public val threads: Int = 0,
    /** Bytes that the keyboard may write to; `null` sets no limit. */
    public val memoryLimit: Long? = null,
    /** The words with which typing errors are seen through, of each language that the person writes; without them it only predicts. */
    public val lexicons: List<Lexicon> = emptyList(),
    /** Where the keys are, which tells how near two letters are; of use with [lexicons] only. */
    public val layout: KeyboardLayout = KeyboardLayout.Qwerty,
    /** What the person has written, which is suggested and added to; with `null` nothing is learned. */
    public val learned: LearnedWords? = null,
    /**
     * The languages of the [lexicons] in their order, as ISO 639-1 has them, that which is written most first. Which one is being written
     * is found out from the last words; the model reads a few lines of it before the text, and words are joined as it joins them
     * ("l'homme"). Without lexicons it is the first.
     */
    public val languages: List<String> = listOf("en"),
)

/**
 * Where the keys of a keyboard are. In the four that have names, keys are one unit wide and high, x grows to the right from the left
 * edge and y downwards; the rows begin at y = 0, 1 and 2, and the space bar goes from x = 2.5 to 7.5 in the row below.
 */
public sealed interface KeyboardLayout {
    /** English: `qwertyuiop` from x = 0, `asdfghjkl` from 0.5, `zxcvbnm` from 1.5. */
    public data object Qwerty : KeyboardLayout

    /** German: `qwertzuiopü` from x = 0, `asdfghjklöä` from 0, `yxcvbnm` from 2. */
    public data object Qwertz : KeyboardLayout

    /** French: `azertyuiop` from x = 0, `qsdfghjklm` from 0, `wxcvbn'` from 2. */
    public data object Azerty : KeyboardLayout

    /** Dvorak's: `'pyfgcrl` from x = 1, `aoeuidhtns` from 0, `qjkxbmwvz` from 1. */
    public data object Dvorak : KeyboardLayout

    /**
     * The app's own, in any unit, such as the pixels in which its touches come. There is at least one letter, no two keys type the same,
     * and none lies on another.
     */
    public data class Keys(public val keys: List<Key>) : KeyboardLayout
}

/** A key of [KeyboardLayout.Keys]: what it types, and its rectangle. */
public data class Key(
    /** One character, in lower case; a space for the space bar. */
    public val key: String,
    /** Left edge. */
    public val x: Float,
    /** Upper edge. */
    public val y: Float,
    /** Width, above 0. */
    public val width: Float,
    /** Height, above 0. */
    public val height: Float,
)

/** Where a finger hit the keyboard, in the unit of its layout. A number that is none, or not finite, is as if it were not known. */
public data class Touch(
    /** From the left. */
    public val x: Float,
    /** From the top. */
    public val y: Float,
)

/** What a text field is for. On Android `EditorInfo.field` of `dev.nibble.android` tells. */
public enum class Field {
    /** Text of any kind. */
    TEXT,

    /** Text of which nothing is to be kept: a private tab, or a field that asks for it. */
    NO_LEARNING,

    /** What is searched for. */
    SEARCH,

    /** An e-mail address: words are predicted, and nothing is corrected. */
    EMAIL,

    /** The address of a page: words are predicted, and nothing is corrected. */
    URL,

    /** A password, shown or not: nothing is suggested, and neither the model nor a cache sees the text. */
    PASSWORD,

    /** A number, of a phone too, or a date: as [PASSWORD]. */
    NUMBER,

    /** A one-time code: as [PASSWORD]. */
    CODE,
}

/** The words for the strip. */
public data class Suggestions(
    /**
     * At most as many as were asked for, best first, no two the same but for case; but what was typed may stand beside itself as it is
     * written.
     */
    public val suggestions: List<Suggestion>,
    /** The text before the cursor that a suggestion takes the place of. */
    public val replaces: String,
    /** Whether it is proven that no other word is more probable. */
    public val proven: Boolean,
    /** The word that should take the place of [replaces] when a space is typed; `null` if what was typed stays. */
    public val autocorrect: String?,
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

internal fun KeyboardOptions.toNative() = NativeKeyboardOptions(
    lexicons = lexicons.map(Lexicon::toNative),
    layout = layout.toNative(),
    learned = learned?.toNative(),
    languages = languages,
    threads = threads.toNative("threads"),
    memoryLimit = memoryLimit?.toNative("memoryLimit"),
)

private fun request(context: String, typed: String, count: Int, touches: List<Touch?>, field: Field, gate: Boolean) =
    NativeKeyboardRequest(
        context,
        typed,
        touches.flatMap { listOf(it?.x ?: Float.NaN, it?.y ?: Float.NaN) },
        count.toNative("count"),
        field.toNative(),
        gate,
    )

private fun KeyboardLayout.toNative() = when (this) {
    KeyboardLayout.Qwerty -> NativeLayout.Qwerty
    KeyboardLayout.Qwertz -> NativeLayout.Qwertz
    KeyboardLayout.Azerty -> NativeLayout.Azerty
    KeyboardLayout.Dvorak -> NativeLayout.Dvorak
    is KeyboardLayout.Keys -> NativeLayout.Keys(keys.map { NativeKey(it.key, it.x, it.y, it.width, it.height) })
}

private fun Field.toNative() = when (this) {
    Field.TEXT -> NativeField.TEXT
    Field.NO_LEARNING -> NativeField.NO_LEARNING
    Field.SEARCH -> NativeField.SEARCH
    Field.EMAIL -> NativeField.EMAIL
    Field.URL -> NativeField.URL
    Field.PASSWORD -> NativeField.PASSWORD
    Field.NUMBER -> NativeField.NUMBER
    Field.CODE -> NativeField.CODE
}

private fun NativeSuggestions.toPublic() = Suggestions(suggestions.map { it.toPublic() }, replaces, proven, autocorrect)

internal fun NativeSuggestion.toPublic() = Suggestion(
    word,
    probability,
    when (kind) {
        NativeSuggestionKind.NEXT_WORD -> SuggestionKind.NEXT_WORD
        NativeSuggestionKind.COMPLETION -> SuggestionKind.COMPLETION
        NativeSuggestionKind.LITERAL -> SuggestionKind.LITERAL
        NativeSuggestionKind.CORRECTION -> SuggestionKind.CORRECTION
    },
)
