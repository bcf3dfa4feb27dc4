package dev.nibble.examples.keyboard

import android.content.DialogInterface
import android.content.pm.ApplicationInfo
import android.os.Looper
import android.view.HapticFeedbackConstants
import android.view.MotionEvent
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import android.view.inputmethod.EditorInfo
import android.widget.ImageButton
import android.widget.ListView
import android.widget.TextView
import dev.nibble.examples.ModelSource
import dev.nibble.examples.ModelState
import dev.nibble.examples.PowerManagerOfTests
import dev.nibble.examples.all
import dev.nibble.examples.compareScreenshot
import dev.nibble.examples.installModel
import dev.nibble.examples.link
import dev.nibble.examples.settle
import dev.nibble.examples.testFile
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
import org.robolectric.shadows.ShadowAlertDialog

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

    /** Types, and looks at the text after each key: what the strip has marked, and nothing else, comes in with the end of a word. */
    private fun Phone.write(text: String, editor: Editor) {
        for (character in text) {
            val before = this.text
            val typed = before.takeLastWhile(Char::isLetterOrDigit)
            val marked = strip().find { it.startsWith("[") }?.trim('[', ']') ?: typed
            type(character.toString())
            val added = (if (character.isLetterOrDigit()) typed else marked) + character
            assertEquals(before.dropLast(typed.length) + added.filter(editor.takes), this.text, "an editor that ${editor.name}")
        }
    }

    /** Does the same in each kind of editor. */
    private fun inEachEditor(work: Phone.(Editor) -> Unit) {
        val phone = phone()
        for (editor in EDITORS) {
            phone.open(reports = editor.reports, editor = editor.around)
            // What was learned in one editor would be known in the next.
            runBlocking { app.forgetAll() }
            phone.work(editor)
        }
    }

    @Test
    fun `a text is put right as it is typed, a correction is taken back, a word is taken, and nothing else is done`() = inEachEditor { editor ->
        fun assertAdded(text: String) = assertEquals(CORRECTED.filter(editor.takes) + text, this.text, "an editor that ${editor.name}")
        write(PARAGRAPH, editor)
        assertAdded("")
        write("I will be there tomoreow", editor)
        assertTrue("[tomorrow]" in strip(), "${strip()} in an editor that ${editor.name}")
        assertEquals("tomoreow", strip().first(), "what was typed is there to be kept")
        write(" ", editor)
        assertAdded("I will be there tomorrow ")
        backspace()
        assertAdded("I will be there tomoreow ")
        write("ok", editor)
        // It is not made again.
        assertAdded("I will be there tomoreow ok")
        write(". See you to", editor)
        take("tomorrow")
        assertAdded("I will be there tomoreow ok. See you tomorrow ")
        type(".")
        // The full stop takes the place of the space that came with the word.
        assertAdded("I will be there tomoreow ok. See you tomorrow. ")
        assertEquals(Shift.State.ONCE, state.shift.state, "a sentence begins")
    }

    @Test
    fun `what was typed is kept where it was chosen`() {
        val phone = phone()
        phone.type("See you tomoreow")
        phone.take("tomoreow")
        assertEquals("See you tomoreow ", phone.text)
    }

    @Test
    fun `several words are taken at once`() = inEachEditor { editor ->
        write("Can you share some of those facts wi", editor)
        waitFor("the words ahead in an editor that ${editor.name}") { strip().last() == "with me" }
        take("with me")
        assertEquals("Can you share some of those facts with me ", text, "an editor that ${editor.name}")
        type(".")
        assertEquals("Can you share some of those facts with me. ", text, "an editor that ${editor.name}")
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
    fun `a key is felt where that is switched on, and a held one differently`() {
        val phone = phone()
        val e = phone.key(Action.Type("e"))
        val felt = shadowOf(e)
        phone.tap(e)
        assertEquals(HapticFeedbackConstants.KEYBOARD_TAP, felt.lastHapticFeedbackPerformed())
        e.performLongClick()
        assertEquals(HapticFeedbackConstants.LONG_PRESS, felt.lastHapticFeedbackPerformed())
        app.settings.haptics = false
        phone.open()
        phone.tap(e)
        assertEquals(HapticFeedbackConstants.LONG_PRESS, felt.lastHapticFeedbackPerformed(), "nothing since")
        assertEquals("E", phone.text, "it types all the same")
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
    fun `the longest row of accents is there on a narrow phone, to its end`() {
        val phone = phone()
        val o = phone.key(Action.Type("o"))
        o.performLongClick()
        settle()
        val accents = phone.view.all().filterIsInstance<AlternativesView>().single()
        assertEquals(o.key.alternatives.map(String::uppercase), accents.all().filterIsInstance<TextView>().map { it.text })
        val end = accents.translationX + accents.childCount * accents.getChildAt(0).width
        assertTrue(accents.translationX >= 0 && end <= phone.view.width, "from ${accents.translationX} to $end")
        phone.tap(accents.getChildAt(accents.childCount - 1))
        assertEquals("Ō", phone.text)
    }

    @Test
    fun `the next finger may come down before the last one is up`() {
        val phone = phone()
        val fingers = listOf("t", "o").map { phone.middle(phone.key(Action.Type(it))) }
        phone.roll(fingers)
        assertEquals("To", phone.text)
        phone.roll(fingers)
        assertEquals("Toto", phone.text)
        phone.roll(fingers.takeLast(1) + fingers.takeLast(1))
        assertEquals("Totooo", phone.text)
    }

    @Test
    fun `the next finger may come down while the last one changes the page`() {
        val phone = phone()
        val (t, seven) = listOf("t", "u").map { phone.middle(phone.key(Action.Type(it))) }
        val symbols = phone.middle(phone.key(Action.Show(Page.SYMBOLS)))
        phone.roll(listOf(symbols, seven))
        assertEquals("7", phone.text)
        phone.roll(listOf(phone.middle(phone.key(Action.Type(" "))), t))
        assertEquals("7 t", phone.text)
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
        val shift = phone.key(Action.Shift)
        assertTrue(shift.createAccessibilityNodeInfo().actionList.any { it.label == app.getString(R.string.lock) })
        assertTrue(shift.performAccessibilityAction(AccessibilityNodeInfo.ACTION_LONG_CLICK, null))
        assertEquals(app.getString(R.string.shift_locked), shift.contentDescription)
        "ok".forEach { phone.tap(Action.Type(it.toString())) }
        assertEquals("See you tomorrow éOK", phone.text)
    }

    @Test
    fun `a held shift locks capitals, also when the finger goes up`() {
        val phone = phone()
        val at = phone.middle(phone.key(Action.Shift))
        phone.finger(MotionEvent.ACTION_DOWN, at)
        shadowOf(Looper.getMainLooper()).idleFor(500, TimeUnit.MILLISECONDS)
        phone.finger(MotionEvent.ACTION_UP, at)
        settle()
        assertEquals(Shift.State.LOCKED, phone.state.shift.state)
    }

    @Test
    fun `it looks as in the picture`() {
        val phone = phone()
        phone.type("See you tomoreow")
        compareScreenshot(phone.view)
    }

    @Test
    fun `several words look as in the picture`() {
        val phone = phone()
        phone.type("Can you share some of those facts wi")
        waitFor("the words ahead") { phone.strip().last() == "with me" }
        compareScreenshot(phone.view, "screenshot-ahead.png")
    }

    @Test
    @Config(qualifiers = "+night")
    fun `it looks as in the picture in the dark`() {
        val phone = phone()
        phone.type("See you tomoreow")
        compareScreenshot(phone.view, "screenshot-dark.png")
    }

    @Test
    fun `it looks as in the picture on its side`() {
        val phone = phone()
        phone.turn("+land")
        phone.type("See you tomoreow")
        compareScreenshot(phone.view, "screenshot-landscape.png")
    }

    @Test
    fun `the settings look as in the picture`() {
        val activity = settingsWithWords()
        waitFor("the words") { activity.findViewById<View>(R.id.wipe).isEnabled }
        // It fades away on a phone.
        activity.findViewById<View>(R.id.learned).isVerticalScrollBarEnabled = false
        compareScreenshot(activity.window.decorView, "screenshot-settings.png")
    }

    @Test
    fun `the settings show what was learned, and forget it`() {
        val activity = settingsWithWords()
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
        activity.wipe(DialogInterface.BUTTON_NEGATIVE)
        assertTrue("florp" in rows(), "it was asked whether that is meant")
        activity.wipe(DialogInterface.BUTTON_POSITIVE)
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
        val activity = settings()
        val wipe = activity.findViewById<View>(R.id.wipe)
        waitFor("the words") { wipe.isEnabled }
        activity.wipe(DialogInterface.BUTTON_POSITIVE)
        waitFor("no words") { learned().isEmpty() && !wipe.isEnabled }
        assertFalse(file.exists())
    }

    @Test
    fun `where what was learned cannot be changed, the settings say so`() {
        val phone = phone()
        runBlocking { app.learned.await() }.close()
        val activity = settings()
        waitFor("the reason") { activity.findViewById<TextView>(R.id.learned_count).text == app.getString(R.string.learned_failed) }
        activity.findViewById<View>(R.id.learning).performClick()
        phone.type("Still here")
        assertEquals("Still here", phone.text)
    }

    @Test
    fun `where no keyboard can be opened the keys type, and a later word list helps`() {
        installModel(app)
        link(app, "words/lexicon.fst", "NIBBLE_TEST_LEXICON")
        app.words.start()
        waitFor("the word list") { app.words.state.value == WordListState.READY }
        app.words.opened.value!!.close()
        val phone = Phone()
        waitFor("the model") { app.brain.state.value == ModelState.Ready }
        phone.open()
        phone.type("See you")
        assertEquals("See you", phone.text)
        app.words.install(ModelSource { testFile("NIBBLE_TEST_LEXICON").inputStream() })
        waitFor("the keyboard") { app.keyboard.value != null }
        phone.ready()
        phone.type(" tomoreow ")
        assertEquals("See you tomorrow ", phone.text)
    }

    @Test
    fun `no backup has what was learned`() {
        val phone = phone()
        phone.type("zorblatt and florp ")
        phone.close()
        waitFor("what was learned") { "florp" in learned() }
        assertEquals(0, app.applicationInfo.flags and ApplicationInfo.FLAG_ALLOW_BACKUP)
        assertTrue(app.noBackupFilesDir.resolve("learned.redb").isFile, "where a backup never looks")
        val others = app.dataDir.walk().filter { it.isFile && !it.startsWith(app.noBackupFilesDir) }
        assertEquals(emptyList(), others.filter { "florp" in it.readText().lowercase() }.toList())
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

    private fun settings(): SettingsActivity =
        Robolectric.buildActivity(SettingsActivity::class.java).setup().windowFocusChanged(true).get()

    /** Wipes all that was learned, and gives an answer where one is asked for. */
    private fun SettingsActivity.wipe(answer: Int) {
        findViewById<View>(R.id.wipe).performClick()
        ShadowAlertDialog.getLatestAlertDialog().getButton(answer).performClick()
        settle()
    }

    /** The settings, ready, of a keyboard that has learned "zorblatt" and "florp". */
    private fun settingsWithWords(): SettingsActivity {
        val phone = phone()
        phone.type("zorblatt and florp ")
        phone.close()
        waitFor("what was learned") { "zorblatt" in learned() && "florp" in learned() }
        val activity = settings()
        waitFor("the model") { activity.findViewById<TextView>(R.id.model).text == app.getString(R.string.model_ready) }
        return activity
    }

    private fun learned(): List<String> = runBlocking { app.learned.await().list() }.map { it.word.lowercase() }

    private companion object {
        const val PARAGRAPH = "See you tomoreow at the staton, I have to wotk today. Line 7 at nine. "
        const val CORRECTED = "See you tomorrow at the station, I have to work today. Line 7 at nine. "
    }
}
