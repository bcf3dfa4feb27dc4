package dev.nibble.examples.keyboard

import dev.nibble.Edit
import dev.nibble.Strip
import dev.nibble.Suggestion
import dev.nibble.Touch
import dev.nibble.TypingSession
import kotlinx.coroutines.flow.Flow

/** What thinks along while a field is typed in: Nibble's [TypingSession], and something simpler in tests. It waits for nothing. */
interface Typist : AutoCloseable {
    val strips: Flow<Strip>
    val beginsSentence: Boolean

    fun type(text: String, touch: Touch?): Edit

    fun backspace(): Edit

    fun accept(strip: Strip, suggestion: Suggestion): Edit?

    fun reported(around: Around)
}

class NibbleTypist(private val session: TypingSession) : Typist {
    override val strips get() = session.strips
    override val beginsSentence get() = session.beginsSentence

    override fun type(text: String, touch: Touch?) = session.key(text, touch)

    override fun backspace() = session.backspace()

    override fun accept(strip: Strip, suggestion: Suggestion) = session.accept(strip, suggestion)

    override fun reported(around: Around) = session.reported(around.before, around.after, around.selected)

    override fun close() = session.close()
}
