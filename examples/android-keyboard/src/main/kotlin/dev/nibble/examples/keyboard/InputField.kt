package dev.nibble.examples.keyboard

import android.text.InputType
import android.view.inputmethod.EditorInfo
import dev.nibble.Field
import dev.nibble.android.field

/** What the enter key does, and the action that an editor knows it by. */
enum class Enter(val action: Int) {
    NEW_LINE(EditorInfo.IME_ACTION_NONE),
    GO(EditorInfo.IME_ACTION_GO),
    SEARCH(EditorInfo.IME_ACTION_SEARCH),
    SEND(EditorInfo.IME_ACTION_SEND),
    NEXT(EditorInfo.IME_ACTION_NEXT),
    DONE(EditorInfo.IME_ACTION_DONE),
    PREVIOUS(EditorInfo.IME_ACTION_PREVIOUS),
}

/** What an app says of its text field, as far as it matters here. */
data class InputField(
    val field: Field = Field.TEXT,
    val enter: Enter = Enter.NEW_LINE,
    /** What is shown first. */
    val page: Page = Page.LETTERS,
    /** Where capitals begin by themselves: `InputType.TYPE_TEXT_FLAG_CAP_…`, or 0. */
    val capitals: Int = 0,
    /** Whether the keyboard should think along at all. */
    val assisted: Boolean = true,
) {
    /** Whether nothing of it is to be kept. */
    val isPrivate: Boolean get() = this.field in setOf(Field.NO_LEARNING, Field.PASSWORD, Field.NUMBER, Field.CODE)
}

/** What the app says. */
fun EditorInfo.inputField(): InputField {
    val kind = inputType and InputType.TYPE_MASK_CLASS
    val isText = kind == InputType.TYPE_CLASS_TEXT
    val action = (imeOptions and EditorInfo.IME_MASK_ACTION).takeIf { imeOptions and EditorInfo.IME_FLAG_NO_ENTER_ACTION == 0 }
    val asksForNone = isText && inputType and InputType.TYPE_TEXT_FLAG_NO_SUGGESTIONS != 0
    return InputField(
        field = field,
        enter = Enter.entries.find { it.action == action } ?: Enter.NEW_LINE,
        page = if (isText || kind == InputType.TYPE_NULL) Page.LETTERS else Page.SYMBOLS,
        capitals = if (isText) inputType and CAPITALS else 0,
        // Without a class the other side is no editor but takes keys, as a terminal does: there is no text to look at.
        assisted = kind != InputType.TYPE_NULL && !asksForNone,
    )
}

private const val CAPITALS =
    InputType.TYPE_TEXT_FLAG_CAP_CHARACTERS or InputType.TYPE_TEXT_FLAG_CAP_WORDS or InputType.TYPE_TEXT_FLAG_CAP_SENTENCES
