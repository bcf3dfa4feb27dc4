package dev.nibble

import dev.nibble.ffi.Edit as NativeEdit
import dev.nibble.ffi.Strip as NativeStrip
import dev.nibble.ffi.TypingSession as NativeTypingSession
import java.util.concurrent.atomic.AtomicBoolean
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.channelFlow
import kotlinx.coroutines.flow.collectLatest
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.takeWhile

/**
 * One text field while it is typed in, for an input method. It knows the text around the cursor, says what each key does to it, tells
 * what the strip should show, and learns what is written:
 *
 *     val typing = keyboard.start(info.field, before, after)
 *     scope.launch { typing.strips.collect { show(it) } }
 *     fun onKey(text: String, touch: Touch) = apply(typing.key(text, touch))
 *
 * where `apply` does to the editor what an [Edit] says. An editor's own account of its text, given to [reported], is compared with what
 * the keys have made of it: editors that tell late or wrongly neither lose nor double a letter.
 *
 * All functions return at once and wait for nothing, so that they may be called where keys arrive. After [close] they throw
 * [NibbleException.Closed]; while the keyboard has no model, such as when it was closed, they go on and only [strips] fails.
 */
public class TypingSession internal constructor(
    private val keyboard: Keyboard,
    private val native: NativeTypingSession,
) : AutoCloseable {
    private val closed = AtomicBoolean()
    private val texts = MutableStateFlow(0)

    /**
     * What the strip should show, anew at every change of the text: first what is known at once, then what the model has found, and then
     * that with several words [ahead][Strip.ahead], where some are likely. While it is collected, what is written is learned. Collect it
     * once; it ends when the session is closed, and throws what [Keyboard.suggest] does, but not [NibbleException.Superseded].
     */
    public val strips: Flow<Strip> = channelFlow {
        texts.takeWhile { !closed.get() }.collectLatest { text ->
            whileFresh {
                send(text to ask { glance(it) }.toPublic(refined = false))
                val refined = ask { refine(it) }.toPublic(refined = true)
                send(text to refined)
                learning.later { learn() }
                ask { lookAhead(it) }?.let { send(text to refined.copy(ahead = it.toPublic())) }
            }
        }
    }.filter { (text, _) ->
        // On its way to the collector it may have been overtaken by a key.
        text == texts.value
    }.map { (_, strip) -> strip }

    /** Whether a sentence begins at the cursor, so that a shift key may go down by itself. */
    public val beginsSentence: Boolean get() = now { beginsSentence() }

    /**
     * A key that types [text], such as a letter, a mark, a space or a new line. The end of a word brings in the correction that the strip
     * has shown; a mark takes the place of a space that came with a suggestion, but for those that
     * have a space before them in French, if that is the language that is written most.
     *
     * @param touch where it was hit, in the unit of the layout.
     */
    public fun key(text: String, touch: Touch? = null): Edit =
        change { key(text, touch?.x ?: Float.NaN, touch?.y ?: Float.NaN) }.toPublic()

    /**
     * The backspace key; right after a correction it takes that back. An empty edit hands the key on to the editor: it has a selection, or
     * text that is not known here.
     */
    public fun backspace(): Edit = change { backspace() }.toPublic()

    /**
     * A suggestion was taken from this strip. Tell what the editor says first, see [reported].
     *
     * @return `null` if the text has changed since the strip was shown: nothing is to be done then, and another strip comes.
     */
    public fun accept(strip: Strip, suggestion: Suggestion): Edit? =
        change { accept(strip.generation.toULong(), suggestion.word) }?.toPublic()

    /**
     * What the editor says the text around the cursor is, as far as it tells: a few hundred characters are of use. Call it when the
     * editor tells of a new selection, and before [accept]. What it said before it had heard of the last edits changes nothing.
     *
     * @param selected whether some text is selected: the next edit replaces it, and nothing is suggested.
     */
    public fun reported(before: String, after: String, selected: Boolean = false) {
        if (now { reported(before, after, selected) }) texts.value++
    }

    /** The field is left, and what was written there is learned. It waits for nothing; closing twice does nothing. */
    override fun close() {
        if (!closed.compareAndSet(false, true)) return
        translating(NAME) { native.finish() }
        texts.value++
        learning.later {
            learn()
            native.destroy()
        }
    }

    private fun <T> now(call: NativeTypingSession.() -> T): T {
        if (closed.get()) throw NibbleException.Closed("the typing session is closed; start a new one")
        return translating(NAME) { native.call() }
    }

    private fun <T> change(call: NativeTypingSession.() -> T): T = now(call).also { texts.value++ }

    private suspend fun <T> ask(request: NativeTypingSession.(ULong) -> T): T =
        keyboard.ask { ticket -> translating(NAME) { native.request(ticket) } }

    /** Ends what was asked for a text when there is another one. */
    private inline fun whileFresh(show: () -> Unit) {
        try {
            show()
        } catch (problem: NibbleException) {
            if (problem !is NibbleException.Superseded && !closed.get()) throw problem
        }
    }

    /** What cannot be written down counts all the same, and is tried again with the next word; the log says why. */
    private fun learn() = try {
        translating(NAME) { native.learn() }
    } catch (_: NibbleException) {
        // Whoever types cannot do anything about it.
    }

    private companion object {
        const val NAME = "typing session"
    }
}

/**
 * What to do to the text at the cursor: remove [delete], which stands right before it, and then insert [insert]; where text is selected,
 * the selection goes too. On an `InputConnection` that is `deleteSurroundingText(delete.length, 0)` and `commitText(insert, 1)` in one
 * batch, without any composing text.
 */
public data class Edit(
    /** Text to remove. */
    public val delete: String,
    /** Text to insert. */
    public val insert: String,
)

/** What the strip shows for one text. */
public data class Strip(
    /** Which text it is for. */
    public val generation: Long,
    /** At most three words, best first; none where nothing is worth a look. */
    public val suggestions: List<Suggestion>,
    /** The text before the cursor that a suggestion takes the place of. */
    public val replaces: String,
    /** The word that a space will put in the place of [replaces]; `null` if what was typed stays. */
    public val autocorrect: String?,
    /** Whether the model was asked; else another strip for this text is on its way. */
    public val refined: Boolean,
    /** Several words in the place of [replaces], which are right about as often as not. */
    public val ahead: Suggestion? = null,
)

private fun NativeEdit.toPublic() = Edit(delete, insert)

private fun NativeStrip.toPublic(refined: Boolean) =
    Strip(generation.toLong(), suggestions.map { it.toPublic() }, replaces, autocorrect, refined)
