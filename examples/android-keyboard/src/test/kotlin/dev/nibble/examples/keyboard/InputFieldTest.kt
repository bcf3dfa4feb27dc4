package dev.nibble.examples.keyboard

import android.text.InputType
import android.view.inputmethod.EditorInfo
import dev.nibble.Field
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue

class InputFieldTest {
    private fun field(type: Int, options: Int = 0) = EditorInfo().apply {
        inputType = type
        imeOptions = options
    }.inputField()

    private val text = InputType.TYPE_CLASS_TEXT

    @Test
    fun `the enter key does what the field asks for`() {
        assertEquals(Enter.SEND, field(text, EditorInfo.IME_ACTION_SEND).enter)
        assertEquals(Enter.SEARCH, field(text, EditorInfo.IME_ACTION_SEARCH).enter)
        assertEquals(Enter.NEW_LINE, field(text, EditorInfo.IME_ACTION_SEND or EditorInfo.IME_FLAG_NO_ENTER_ACTION).enter)
        assertEquals(Enter.NEW_LINE, field(text, EditorInfo.IME_ACTION_UNSPECIFIED).enter)
        assertEquals(Enter.NEW_LINE, field(text, EditorInfo.IME_ACTION_NONE).enter)
    }

    @Test
    fun `fields of which nothing is kept are private`() {
        assertTrue(field(text or InputType.TYPE_TEXT_VARIATION_PASSWORD).isPrivate)
        assertTrue(field(text, EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING).isPrivate)
        assertTrue(field(InputType.TYPE_CLASS_NUMBER).isPrivate)
        assertFalse(field(text).isPrivate)
    }

    @Test
    fun `digits come first where a number is wanted`() {
        assertEquals(Page.SYMBOLS, field(InputType.TYPE_CLASS_PHONE).page)
        assertEquals(Page.LETTERS, field(text).page)
        assertEquals(Page.LETTERS, field(InputType.TYPE_NULL).page)
    }

    @Test
    fun `capitals begin by themselves where the field says so`() {
        assertEquals(InputType.TYPE_TEXT_FLAG_CAP_SENTENCES, field(text or InputType.TYPE_TEXT_FLAG_CAP_SENTENCES).capitals)
        assertEquals(0, field(text).capitals)
    }

    @Test
    fun `nobody thinks along where the field asks for that, or takes keys and no text`() {
        assertFalse(field(text or InputType.TYPE_TEXT_FLAG_NO_SUGGESTIONS).assisted)
        assertFalse(field(InputType.TYPE_NULL).assisted)
        assertTrue(field(text).assisted)
        assertEquals(Field.TEXT, field(text).field)
    }
}
