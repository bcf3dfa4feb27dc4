package dev.nibble.examples.keyboard

import android.view.KeyEvent
import android.view.inputmethod.InputConnection
import dev.nibble.Edit

/** The text around the cursor, as far as the keyboard looks. */
data class Around(val before: String, val after: String, val selected: Boolean)

/**
 * The way to the editor: the only place that writes text, and always as an edit. No text is ever "composing", which is what editors on
 * web pages double. [connection] is asked each time, as it changes with the field; while it is `null` nothing happens.
 */
class Gateway(
    private val connection: () -> InputConnection?,
    /** Sends the editor a key of its own: `InputMethodService.sendDownUpKeyEvents`. */
    private val sendKey: (code: Int) -> Unit,
) {
    fun apply(edit: Edit) {
        val editor = connection() ?: return
        editor.beginBatchEdit()
        if (edit.delete.isNotEmpty()) editor.deleteSurroundingText(edit.delete.length, 0)
        if (edit.insert.isNotEmpty()) editor.commitText(edit.insert, 1)
        editor.endBatchEdit()
    }

    /** The editor's own backspace, for what only the editor knows: a selection, text further back, a picture. */
    fun backspace() = sendKey(KeyEvent.KEYCODE_DEL)

    /** A new line, for an editor that takes keys. */
    fun enter() = sendKey(KeyEvent.KEYCODE_ENTER)

    /** What the enter key stands for. */
    fun perform(enter: Enter) {
        connection()?.performEditorAction(enter.action)
    }

    /** What the editor says its text is; `null` if it says nothing. */
    fun around(): Around? {
        val editor = connection() ?: return null
        val before = editor.getTextBeforeCursor(BEFORE, 0) ?: return null
        val after = editor.getTextAfterCursor(AFTER, 0) ?: return null
        return Around(before.toString(), after.toString(), !editor.getSelectedText(0).isNullOrEmpty())
    }

    /** Whether a capital belongs at the cursor, by these flags, in the eyes of the editor. */
    fun wantsCapital(flags: Int): Boolean = connection()?.getCursorCapsMode(flags) ?: 0 != 0

    companion object {
        /** How many characters before and after the cursor are looked at. */
        const val BEFORE = 256
        const val AFTER = 64
    }
}
