package dev.nibble.examples.keyboard

import android.text.InputType
import dev.nibble.Edit
import dev.nibble.Field
import dev.nibble.Touch
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.test.TestScope
import kotlinx.coroutines.test.runCurrent
import kotlinx.coroutines.test.runTest

@OptIn(ExperimentalCoroutinesApi::class)
class TypingTest {
    private val editor = FakeEditor()
    private val text = InputField(capitals = InputType.TYPE_TEXT_FLAG_CAP_SENTENCES)
    private val sessions = mutableListOf<FakeTypist>()
    private var model = true
    private var now = 0L

    private fun TestScope.typing(input: InputField = text): Typing {
        val make = { _: InputField, _: Around -> if (model) FakeTypist().also(sessions::add) else null }
        return Typing(editor.gateway(), make, backgroundScope, { now }).also { it.begin(input) }.also { runCurrent() }
    }

    private fun Typing.type(text: String) = text.forEach { press(Action.Type(it.toString())) }

    @Test
    fun `what the session says is done, and not what the key says`() = runTest {
        val typing = typing()
        typing.type("teh")
        sessions[0].next.add(Edit("teh", "the "))
        typing.press(Action.Type(" "), Touch(5f, 3f))
        assertEquals("the ", editor.before.toString())
        assertEquals("type   at 5.0 3.0", sessions[0].calls.last())
        sessions[0].next.add(Edit("the ", "teh "))
        typing.press(Action.Backspace)
        assertEquals("teh ", editor.before.toString())
    }

    @Test
    fun `where the session knows no text, backspace is the editor's`() = runTest {
        val typing = typing()
        sessions[0].next.add(Edit("", ""))
        typing.press(Action.Backspace)
        assertEquals(listOf("key 67"), editor.calls)
    }

    @Test
    fun `the strip is shown, and a word taken from it after the editor was asked`() = runTest {
        val typing = typing()
        typing.type("to")
        val strip = strip("to", "tomorrow", generation = 7)
        sessions[0].strips.emit(strip)
        runCurrent()
        sessions[0].next.add(Edit("to", "tomorrow "))
        typing.take(typing.state.value.slots[1])
        assertEquals(listOf("reported to", "accept tomorrow of 7"), sessions[0].calls.takeLast(2))
        assertEquals("tomorrow ", editor.before.toString())
    }

    @Test
    fun `a word that comes too late changes nothing`() = runTest {
        val typing = typing()
        sessions[0].strips.emit(strip("to", "tomorrow"))
        runCurrent()
        editor.before = StringBuilder("something else")
        sessions[0].next.add(null)
        typing.take(typing.state.value.slots[1])
        assertEquals("something else", editor.before.toString())
    }

    @Test
    fun `what the editor says is handed on, a selection too, and silence is not`() = runTest {
        val typing = typing()
        editor.before = StringBuilder("from elsewhere")
        editor.selected = "else"
        typing.report()
        assertEquals("reported from elsewhere selected", sessions[0].calls.last())
        editor.answers = false
        val calls = sessions[0].calls.size
        typing.report()
        assertEquals(calls, sessions[0].calls.size)
    }

    @Test
    fun `shift goes down where the session says that a sentence begins`() = runTest {
        val typing = typing()
        sessions[0].beginsSentence = true
        typing.report()
        assertEquals(Shift.State.ONCE, typing.state.value.shift.state)
        sessions[0].beginsSentence = false
        typing.type("ab")
        assertEquals("Ab", editor.before.toString())
    }

    @Test
    fun `without a model the keys type, and capitals are the editor's affair`() = runTest {
        model = false
        editor.capital = true
        val typing = typing()
        assertEquals(Note.NO_MODEL, typing.state.value.note)
        typing.press(Action.Type("h"))
        editor.capital = false
        typing.report()
        typing.type("i ")
        typing.press(Action.Enter)
        typing.press(Action.Backspace)
        assertEquals("Hi ", editor.before.toString())
        assertEquals(listOf("key 66", "key 67"), editor.calls.takeLast(2))
    }

    @Test
    fun `a model that comes while somebody types helps from then on`() = runTest {
        model = false
        val typing = typing()
        model = true
        typing.assist()
        assertTrue(typing.state.value.helped)
        assertNull(typing.state.value.note)
        typing.end()
        typing.assist()
        assertEquals(1, sessions.size, "nobody types")
    }

    @Test
    fun `another field has a session of its own, and the one before is closed with its strip`() = runTest {
        val typing = typing()
        sessions[0].strips.emit(strip("secret", "secrets"))
        runCurrent()
        typing.end()
        assertEquals("close", sessions[0].calls.last())
        assertNull(typing.state.value.strip)
        typing.begin(text.copy(field = Field.PASSWORD))
        assertEquals(Note.PRIVATE, typing.state.value.note)
        assertEquals(2, sessions.size)
    }

    @Test
    fun `a turned phone changes nothing`() = runTest {
        val typing = typing()
        typing.press(Action.Show(Page.SYMBOLS))
        typing.begin(text)
        assertEquals(Page.SYMBOLS, typing.state.value.page)
        assertEquals(listOf("reported "), sessions.single().calls)
    }

    @Test
    fun `where the field wants no help there is none, and no note`() = runTest {
        val typing = typing(text.copy(assisted = false))
        assertEquals(0, sessions.size)
        assertNull(typing.state.value.note)
        typing.type("ls")
        assertEquals("ls", editor.before.toString())
    }

    @Test
    fun `enter is a new line or what the field asks for`() = runTest {
        val typing = typing()
        typing.press(Action.Enter)
        assertEquals("\n", editor.before.toString())
        typing.end()
        typing.begin(text.copy(enter = Enter.SEND))
        typing.press(Action.Enter)
        assertEquals("action ${Enter.SEND.action}", editor.calls.last())
    }

    @Test
    fun `pages and letters change, and after a space come letters`() = runTest {
        val typing = typing()
        typing.press(Action.Globe)
        assertEquals(Letters.QWERTZ, typing.state.value.letters)
        typing.press(Action.Show(Page.SYMBOLS))
        typing.type("7")
        assertEquals(Page.SYMBOLS, typing.state.value.page)
        typing.type(" ")
        assertEquals(Page.LETTERS, typing.state.value.page)
        typing.end()
        typing.begin(text.copy(page = Page.SYMBOLS))
        typing.type("7 ")
        assertEquals(Page.SYMBOLS to Letters.QWERTZ, typing.state.value.run { page to letters })
    }

    @Test
    fun `two quick taps on shift type capitals only`() = runTest {
        val typing = typing()
        typing.press(Action.Shift)
        now = 150
        typing.press(Action.Shift)
        typing.type("abc")
        assertEquals("ABC", editor.before.toString())
    }
}
