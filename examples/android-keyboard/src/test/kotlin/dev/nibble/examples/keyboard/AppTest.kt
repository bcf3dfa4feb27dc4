package dev.nibble.examples.keyboard

import android.os.Looper
import android.view.MotionEvent
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import android.view.inputmethod.EditorInfo
import android.view.inputmethod.InputConnection
import android.widget.ImageButton
import android.widget.ListView
import android.widget.TextView
import dev.nibble.examples.PowerManagerOfTests
import dev.nibble.examples.all
import dev.nibble.examples.compareScreenshot
import dev.nibble.examples.installModel
import dev.nibble.examples.link
import dev.nibble.examples.settle
import dev.nibble.examples.waitFor
import java.util.concurrent.TimeUnit
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** The whole keyboard on Android's own code, with the real model, the real word list and the library for this machine. */
@RunWith(RobolectricTestRunner::class)
@Config(shadows = [PowerManagerOfTests::class])
class AppTest {
    private val app get() = RuntimeEnvironment.getApplication() as KeyboardApp

    /** A keyboard that is ready to be typed on. */
    private fun phone(): Phone {
        installModel(app)
        link(app, "words/lexicon.fst", "NIBBLE_TEST_LEXICON")
        return Phone().also { phone ->
            waitFor("the model and the word list") { app.keyboard.value != null && app.words.state.value == WordListState.READY }
            phone.open()
        }
    }

    @Test
    fun `a paragraph with typing errors is put right as it is typed, and nothing else is done to it`() {
        val phone = phone()
        for (character in PARAGRAPH) {
            val before = phone.text
            val typed = before.takeLastWhile(Char::isLetter)
            val marked = phone.strip().find { it.startsWith("[") }?.trim('[', ']') ?: typed
            phone.type(character.toString())
            // What the strip has marked, and nothing else, comes in with the end of a word.
            val kept = if (character.isLetter()) before else before.dropLast(typed.length) + marked
            assertEquals(kept + character, phone.text)
        }
        assertEquals(CORRECTED, phone.text)
    }

    @Test
    fun `a correction is taken back by backspace, and not made again`() {
        val phone = phone()
        phone.type("I will be there tomoreow")
        assertTrue("[tomorrow]" in phone.strip(), "${phone.strip()}")
        assertEquals("tomoreow", phone.strip().first(), "what was typed is there to be kept")
        phone.type(" ")
        assertEquals("I will be there tomorrow ", phone.text)
        phone.backspace()
        assertEquals("I will be there tomoreow ", phone.text)
        phone.type("ok ")
        assertEquals("I will be there tomoreow ok ", phone.text)
    }

    @Test
    fun `words are taken from the strip, with their space, which a full stop takes the place of`() {
        val phone = phone()
        phone.type("See you to")
        phone.take("tomorrow")
        assertEquals("See you tomorrow ", phone.text)
        phone.type(".")
        assertEquals("See you tomorrow. ", phone.text)
        assertEquals(Shift.State.ONCE, phone.state.shift.state, "a sentence begins")
        phone.type("Tomoreow")
        phone.take("Tomoreow")
        assertEquals("See you tomorrow. Tomoreow ", phone.text, "what was typed is kept where it was chosen")
    }

    @Test
    fun `an editor that tells late, never, or takes no digits, gets what was typed, once`() {
        val phone = phone()
        val editors = listOf<(InputConnection) -> InputConnection>({ it }, { Late(it, edits = 1) }, { Late(it, edits = 4) }, ::Silent)
        for (editor in editors) {
            phone.open(editor = editor)
            phone.type("See you tomoreow at the station")
            assertEquals("See you tomorrow at the station", phone.text)
        }
        phone.open(reports = false)
        phone.type("See you tomoreow at the station")
        assertEquals("See you tomorrow at the station", phone.text)
        phone.open(editor = ::NoDigits)
        phone.type("Line 7 at nine")
        assertEquals("Line  at nine", phone.text)
    }

    @Test
    fun `what the app or a finger does to the text is taken over`() {
        val phone = phone()
        phone.type("I am teh")
        phone.change { setText("") }
        phone.type("We are here")
        assertEquals("We are here", phone.text)
        phone.change { setSelection("We".length) }
        phone.type(" all")
        assertEquals("We all are here", phone.text)
        phone.change { setSelection(0, "We all".length) }
        assertEquals(emptyList(), phone.strip())
        phone.type("They")
        assertEquals("They are here", phone.text)
        phone.change { setSelection(0, text.length) }
        phone.backspace()
        assertEquals("", phone.text)
    }

    @Test
    fun `nothing is suggested for a password or learned from it, nor from a private field`() {
        val phone = phone()
        phone.open(Phone.PASSWORD)
        phone.type("zorblatta zorblatta ")
        assertEquals("zorblatta zorblatta ", phone.text)
        assertEquals(emptyList(), phone.strip())
        assertEquals(app.getString(R.string.note_private), phone.view.findViewById<TextView>(R.id.note).text)
        phone.backspace()
        assertEquals("zorblatta zorblatta", phone.text)
        phone.open(options = EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING)
        assertTrue(phone.view.findViewById<View>(R.id.lock).isShown)
        phone.type("zorblattb is here ")
        phone.open()
        assertFalse(phone.view.findViewById<View>(R.id.lock).isShown)
        phone.type("zorblattc is here ")
        phone.open()
        waitFor("what was learned") { "zorblattc" in learned() }
        assertEquals(emptyList(), learned().filter { it == "zorblatta" || it == "zorblattb" })
    }

    @Test
    fun `the phone is turned in the midst of a word`() {
        val phone = phone()
        phone.type("See you tomo")
        val old = phone.view
        phone.turn("+land")
        assertTrue(phone.view !== old, "the view was made anew")
        assertTrue(phone.view.height < old.height, "there is less room")
        phone.type("reow ")
        assertEquals("See you tomorrow ", phone.text)
    }

    @Test
    fun `without a model the keys type`() {
        val phone = Phone()
        phone.open()
        phone.type("Hello, it is 7 to")
        phone.backspace()
        assertEquals("Hello, it is 7 t", phone.text)
        assertEquals(app.getString(R.string.note_no_model), phone.view.findViewById<TextView>(R.id.note).text)
        phone.view.findViewById<View>(R.id.note).performClick()
        assertEquals(SettingsActivity::class.java.name, shadowOf(app).nextStartedActivity.component?.className)
    }

    @Test
    fun `where Nibble fails the keys go on`() {
        val phone = phone()
        phone.type("See ")
        app.keyboard.value!!.close()
        "you".forEach(phone::tap)
        assertEquals("See you", phone.text)
        waitFor("the end of the strip") { phone.strip().isEmpty() }
    }

    @Test
    fun `a held key offers its accents, and the finger slides to one`() {
        val phone = phone()
        val e = phone.key(Action.Type("e"))
        val (x, y) = phone.middle(e)
        phone.finger(MotionEvent.ACTION_DOWN, x to y)
        shadowOf(Looper.getMainLooper()).idleFor(500, TimeUnit.MILLISECONDS)
        phone.finger(MotionEvent.ACTION_MOVE, x + phone.service.resources.getDimension(R.dimen.alternative) to y)
        phone.finger(MotionEvent.ACTION_UP, x to y)
        phone.tell()
        assertEquals("É", phone.text)
        assertFalse(phone.view.all().any { it is AlternativesView && it.isShown })
    }

    @Test
    fun `a held backspace goes on`() {
        val phone = phone()
        phone.type("See you")
        phone.finger(MotionEvent.ACTION_DOWN, phone.middle(phone.key(Action.Backspace)))
        shadowOf(Looper.getMainLooper()).idleFor(10, TimeUnit.SECONDS)
        phone.finger(MotionEvent.ACTION_UP, phone.middle(phone.key(Action.Backspace)))
        phone.tell()
        assertEquals("", phone.text)
    }

    @Test
    fun `the next finger may come down before the last one is up`() {
        val phone = phone()
        val decor = phone.service.window.window!!.decorView
        val fingers = listOf("t", "o").map { phone.middle(phone.key(Action.Type(it))) }
        for ((action, count) in listOf(
            MotionEvent.ACTION_DOWN to 1,
            MotionEvent.ACTION_POINTER_DOWN or SECOND to 2,
            // The second goes up first, and the letters stay in the order in which they were hit.
            MotionEvent.ACTION_POINTER_UP or SECOND to 2,
            MotionEvent.ACTION_UP to 1,
        )) {
            val properties = Array(count) { index -> MotionEvent.PointerProperties().apply { id = index } }
            val places = Array(count) { index ->
                MotionEvent.PointerCoords().apply {
                    x = fingers[index].first
                    y = fingers[index].second
                }
            }
            decor.dispatchTouchEvent(MotionEvent.obtain(0, 0, action, count, properties, places, 0, 0, 1f, 1f, 0, 0, 0, 0))
        }
        phone.tell()
        assertEquals("To", phone.text)
    }

    @Test
    fun `everything has a name for TalkBack, and can be done with it`() {
        val phone = phone()
        phone.type("See you tomoreow")
        for (view in phone.view.all().filter { it.isClickable && it.isShown }) {
            assertFalse(view.contentDescription.isNullOrBlank(), "$view has no name")
            val dp = view.height / view.resources.displayMetrics.density
            assertTrue(dp >= 48, "$view is $dp dp high")
        }
        assertEquals("tomorrow, put in by the space bar", phone.words().single { it.isActivated }.contentDescription)
        val space = phone.key(Action.Type(" "))
        assertEquals("Space", space.contentDescription)
        assertTrue(space.createAccessibilityNodeInfo().isTextEntryKey)
        assertTrue(space.performAccessibilityAction(AccessibilityNodeInfo.ACTION_CLICK, null))
        phone.tell()
        assertEquals("See you tomorrow ", phone.text)
        assertTrue(phone.key(Action.Type("e")).performAccessibilityAction(AccessibilityNodeInfo.ACTION_LONG_CLICK, null))
        val accents = phone.view.all().filterIsInstance<AlternativesView>().single()
        (0 until accents.childCount).map { accents.getChildAt(it) as TextView }.single { it.text == "é" }.performClick()
        phone.tell()
        assertEquals("See you tomorrow é", phone.text)
    }

    @Test
    fun `it looks as in the picture`() {
        val phone = phone()
        phone.type("See you tomoreow")
        compareScreenshot(phone.view)
    }

    @Test
    @Config(qualifiers = "+night")
    fun `it looks as in the picture in the dark`() {
        val phone = phone()
        phone.type("See you tomoreow")
        compareScreenshot(phone.view, "screenshot-dark.png")
    }

    @Test
    fun `the settings show what was learned, and forget it`() {
        val phone = phone()
        phone.type("zorblatt and florp ")
        phone.close()
        waitFor("what was learned") { "zorblatt" in learned() && "florp" in learned() }
        val activity = Robolectric.buildActivity(SettingsActivity::class.java).setup().windowFocusChanged(true).get()
        waitFor("the model") { activity.findViewById<TextView>(R.id.model).text == app.getString(R.string.model_ready) }
        assertEquals(app.getString(R.string.words_ready), activity.findViewById<TextView>(R.id.words).text)
        assertTrue(activity.findViewById<View>(R.id.guide).isShown, "it is not switched on yet")
        val list = activity.findViewById<ListView>(R.id.learned)
        fun rows(): List<String> {
            // Rows that are not on the screen have no views.
            list.setSelection(list.count - 1)
            settle()
            return list.all().filter { it.id == R.id.word && it.isShown }.map { (it as TextView).text.toString() }
        }
        waitFor("the words") { rows().containsAll(listOf("zorblatt", "florp")) }
        val forget = list.all().filterIsInstance<ImageButton>().single { it.contentDescription == "Forget zorblatt" }
        forget.performClick()
        waitFor("one word less") { "zorblatt" !in rows() && "florp" in rows() }
        activity.findViewById<View>(R.id.wipe).performClick()
        waitFor("no words") { rows().isEmpty() }
        assertEquals(emptyList(), learned())
    }

    @Test
    fun `what was learned and cannot be read is left as it is until everything is to be forgotten`() {
        val file = app.noBackupFilesDir.resolve("learned.redb")
        file.writeText("no words")
        val phone = phone()
        phone.type("zorblatt is here ")
        phone.close()
        waitFor("what was learned") { "zorblatt" in learned() }
        assertEquals("no words", file.readText())
        val activity = Robolectric.buildActivity(SettingsActivity::class.java).setup().windowFocusChanged(true).get()
        val wipe = activity.findViewById<View>(R.id.wipe)
        waitFor("the words") { wipe.isEnabled }
        wipe.performClick()
        waitFor("no words") { learned().isEmpty() && !wipe.isEnabled }
        assertFalse(file.exists())
    }

    @Test
    fun `nothing is learned while that is switched off`() {
        val phone = phone()
        app.learn(false)
        phone.type("zorblatt is here ")
        phone.open()
        app.learn(true)
        phone.type("florp is here ")
        phone.open()
        waitFor("what was learned") { "florp" in learned() }
        assertFalse("zorblatt" in learned())
    }

    private fun learned(): List<String> = runBlocking { app.learned.await().list() }.map { it.word.lowercase() }

    private companion object {
        const val SECOND = 1 shl MotionEvent.ACTION_POINTER_INDEX_SHIFT
        const val PARAGRAPH = "The bus did not come, so I am late. See you tomoreow at the staton, I have to wotk today. "
        const val CORRECTED = "The bus did not come, so I am late. See you tomorrow at the station, I have to work today. "
    }
}
