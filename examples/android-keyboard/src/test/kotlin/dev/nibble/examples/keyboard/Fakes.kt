package dev.nibble.examples.keyboard

import android.view.inputmethod.InputConnectionWrapper
import dev.nibble.Edit
import dev.nibble.Strip
import dev.nibble.Suggestion
import dev.nibble.SuggestionKind
import dev.nibble.Touch
import kotlinx.coroutines.flow.MutableSharedFlow

/** A text field that does what it is told, and keeps a list of it. */
class FakeEditor(text: String = "") : InputConnectionWrapper(null, true) {
    val calls = mutableListOf<String>()
    var before = StringBuilder(text)
    var selected = ""

    /** Whether it answers at all: an app that hangs does not. */
    var answers = true
    var capital = false

    override fun beginBatchEdit() = calls.add("begin")

    override fun endBatchEdit() = calls.add("end")

    override fun deleteSurroundingText(left: Int, right: Int): Boolean {
        before.setLength(before.length - left)
        return calls.add("delete $left $right")
    }

    override fun commitText(text: CharSequence, cursor: Int): Boolean {
        before.append(text)
        selected = ""
        return calls.add("commit $text")
    }

    override fun performEditorAction(action: Int) = calls.add("action $action")

    override fun getTextBeforeCursor(length: Int, flags: Int): CharSequence? = before.takeLast(length).takeIf { answers }

    override fun getTextAfterCursor(length: Int, flags: Int): CharSequence? = "".takeIf { answers }

    override fun getSelectedText(flags: Int): CharSequence? = selected.ifEmpty { null }

    override fun getCursorCapsMode(flags: Int) = if (capital) flags else 0
}

/** Types what it gets, or does as it was told, and keeps a list of what it was asked. */
class FakeTypist : Typist {
    val calls = mutableListOf<String>()
    val next = ArrayDeque<Edit?>()
    override val strips = MutableSharedFlow<Strip>()
    override var beginsSentence = false

    override fun type(text: String, touch: Touch?): Edit {
        calls += "type $text" + touch?.run { " at $x $y" }.orEmpty()
        return if (next.isEmpty()) Edit("", text) else next.removeFirst()!!
    }

    override fun backspace(): Edit {
        calls += "backspace"
        return next.removeFirst()!!
    }

    override fun accept(strip: Strip, suggestion: Suggestion): Edit? {
        calls += "accept ${suggestion.word} of ${strip.generation}"
        return next.removeFirst()
    }

    override fun reported(around: Around) {
        calls += "reported ${around.before}${if (around.selected) " selected" else ""}"
    }

    override fun close() {
        calls += "close"
    }
}

fun FakeEditor.gateway() = Gateway({ this }) { calls += "key $it" }

fun strip(typed: String, vararg words: String, autocorrect: String? = null, generation: Long = 1) =
    Strip(generation, words.map { Suggestion(it, 0.5, SuggestionKind.COMPLETION) }, typed, autocorrect, refined = true)
