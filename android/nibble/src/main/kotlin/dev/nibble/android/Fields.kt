// What Android says of a text field.
package dev.nibble.android

import android.text.InputType
import android.view.inputmethod.EditorInfo
import dev.nibble.Field

/** What the text field is for. That it is for a one-time code is not said on Android: such fields are [Field.NUMBER] as a rule. */
public val EditorInfo.field: Field get() = field(inputType, imeOptions)

internal fun field(inputType: Int, imeOptions: Int): Field {
    val kind = inputType and InputType.TYPE_MASK_CLASS
    // Without a class a field takes no text, as the screen of a terminal: what is typed is a command, or a password.
    if (kind == InputType.TYPE_NULL) return Field.PASSWORD
    if (kind != InputType.TYPE_CLASS_TEXT) return Field.NUMBER
    return when (inputType and InputType.TYPE_MASK_VARIATION) {
        InputType.TYPE_TEXT_VARIATION_PASSWORD,
        InputType.TYPE_TEXT_VARIATION_VISIBLE_PASSWORD,
        InputType.TYPE_TEXT_VARIATION_WEB_PASSWORD,
        -> Field.PASSWORD
        InputType.TYPE_TEXT_VARIATION_EMAIL_ADDRESS, InputType.TYPE_TEXT_VARIATION_WEB_EMAIL_ADDRESS -> Field.EMAIL
        InputType.TYPE_TEXT_VARIATION_URI -> Field.URL
        else -> when {
            imeOptions and EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING != 0 -> Field.NO_LEARNING
            imeOptions and EditorInfo.IME_MASK_ACTION == EditorInfo.IME_ACTION_SEARCH -> Field.SEARCH
            else -> Field.TEXT
        }
    }
}
