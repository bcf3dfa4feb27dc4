package dev.nibble.examples.keyboard

import android.app.Activity
import android.content.res.Configuration
import android.os.Binder
import android.os.IBinder
import android.os.SystemClock
import android.text.InputType
import android.view.KeyEvent
import android.view.MotionEvent
import android.view.View
import android.view.inputmethod.EditorInfo
import android.view.inputmethod.InputConnection
import android.view.inputmethod.InputConnectionWrapper
import android.view.inputmethod.InputMethod
import android.widget.EditText
import android.widget.TextView
import dev.nibble.examples.all
import dev.nibble.examples.settle
import dev.nibble.examples.waitFor
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.android.controller.ServiceController
import org.robolectric.util.ReflectionHelpers
import org.robolectric.util.ReflectionHelpers.ClassParameter

/** The keyboard with a text field over it, and a finger. What the system does between the two on a phone is done here. */
class Phone {
    private val controller: ServiceController<KeyboardService> = Robolectric.buildService(KeyboardService::class.java).create()
    private val activity = Robolectric.buildActivity(Activity::class.java).setup().get()
    private val method: InputMethod
    private var field = EditText(activity)
    private var reports = true
    val service: KeyboardService = controller.get()
    val state get() = service.typing.state.value
    val text get() = field.text.toString()

    /** All that can be seen of the keyboard. */
    val view: InputView get() = service.window.window!!.decorView.all().filterIsInstance<InputView>().single()

    init {
        // The system gives the window its token, and a display that Robolectric has not.
        ReflectionHelpers.callInstanceMethod<Unit>(service.window, "setToken", ClassParameter.from(IBinder::class.java, Binder()))
        method = service.onCreateInputMethodInterface() as InputMethod
    }

    /** Taps into an empty text field; what it says of itself goes through [editor]. */
    fun open(type: Int = MESSAGE, options: Int = 0, reports: Boolean = true, editor: (InputConnection) -> InputConnection = { it }) {
        this.reports = reports
        field = EditText(activity)
        field.inputType = type
        field.imeOptions = options
        activity.setContentView(field)
        settle()
        val info = EditorInfo()
        method.startInput(editor(WithKeys(field, field.onCreateInputConnection(info))), info)
        method.showSoftInput(InputMethod.SHOW_EXPLICIT, null)
        settle()
        ready()
    }

    /** Waits until everything is known of the text as it is. */
    fun ready() {
        if (state.helped) waitFor("the strip") { state.strip?.refined == true }
    }

    /** Types, one key after another, each when the strip is there. */
    fun type(text: String) = text.forEach { character ->
        tap(character)
        ready()
    }

    /** Types one character, by the keys that takes. */
    fun tap(character: Char) {
        val small = Action.Type(character.lowercase())
        if (keys().none { it.key.action == small }) {
            tap(Action.Show(if (state.page == Page.LETTERS) Page.SYMBOLS else Page.LETTERS))
        }
        if (character.isLetter() && character.isUpperCase() != (state.shift.state != Shift.State.OFF)) tap(Action.Shift)
        tap(small)
    }

    fun tap(action: Action) {
        val strip = state.strip
        tap(key(action))
        tell()
        if (action is Action.Type || action == Action.Backspace) {
            // An old strip is no answer to this key.
            if (strip != null) waitFor("another strip") { state.strip !== strip }
        }
    }

    fun backspace() {
        tap(Action.Backspace)
        ready()
    }

    /** Takes the word at this place of the strip. */
    fun take(word: String) {
        val strip = state.strip
        tap(words().single { it.text.toString() == word })
        tell()
        waitFor("another strip") { state.strip !== strip }
        ready()
    }

    /** The words on the strip; the one that a space puts in is in brackets. */
    fun strip(): List<String> = words().map { if (it.isActivated) "[${it.text}]" else it.text.toString() }

    fun words(): List<TextView> =
        listOf(R.id.first, R.id.second, R.id.third).map { view.findViewById<TextView>(it) }.filter { it.isShown }

    fun keys(): List<KeyView> = view.all().filterIsInstance<KeyView>()

    fun key(action: Action): KeyView = keys().first { it.key.action == action }

    /** A finger goes down on a view, in its middle, and up again. */
    fun tap(view: View) {
        val at = middle(view)
        finger(MotionEvent.ACTION_DOWN, at)
        finger(MotionEvent.ACTION_UP, at)
        settle()
    }

    fun middle(view: View): Pair<Float, Float> {
        val (x, y) = IntArray(2).also(view::getLocationInWindow)
        return x + view.width / 2f to y + view.height / 2f
    }

    fun finger(action: Int, at: Pair<Float, Float>) {
        val now = SystemClock.uptimeMillis()
        val event = MotionEvent.obtain(now, now, action, at.first, at.second, 0)
        service.window.window!!.decorView.dispatchTouchEvent(event)
        event.recycle()
    }

    /** Two fingers in turn, of which the second comes down while the first is there, and goes up before it. */
    fun roll(fingers: List<Pair<Float, Float>>) {
        val second = 1 shl MotionEvent.ACTION_POINTER_INDEX_SHIFT
        for ((action, count) in listOf(
            MotionEvent.ACTION_DOWN to 1,
            MotionEvent.ACTION_POINTER_DOWN or second to 2,
            MotionEvent.ACTION_POINTER_UP or second to 2,
            MotionEvent.ACTION_UP to 1,
        )) {
            val properties = Array(count) { index -> MotionEvent.PointerProperties().apply { id = index } }
            val places = Array(count) { index ->
                MotionEvent.PointerCoords().apply {
                    x = fingers[index].first
                    y = fingers[index].second
                }
            }
            val event = MotionEvent.obtain(0, 0, action, count, properties, places, 0, 0, 1f, 1f, 0, 0, 0, 0)
            service.window.window!!.decorView.dispatchTouchEvent(event)
        }
        tell()
    }

    /** The system tells of the cursor, as soon as the editor has told it. */
    fun tell() {
        if (reports) service.onUpdateSelection(0, 0, field.selectionStart, field.selectionEnd, -1, -1)
        settle()
    }

    /** Somebody else changes the text: the app, or a finger on the field. */
    fun change(change: EditText.() -> Unit) {
        val strip = state.strip
        field.change()
        tell()
        waitFor("another strip") { state.strip !== strip }
        ready()
    }

    fun turn(qualifiers: String) {
        RuntimeEnvironment.setQualifiers(qualifiers)
        service.onConfigurationChanged(Configuration(service.resources.configuration))
        settle()
    }

    fun close() {
        controller.destroy()
    }

    companion object {
        const val MESSAGE = InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_FLAG_CAP_SENTENCES
        const val PASSWORD = InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_VARIATION_PASSWORD
    }
}

/** An editor that gets its keys from here, and not from the system. */
private class WithKeys(private val field: EditText, editor: InputConnection) : InputConnectionWrapper(editor, true) {
    override fun sendKeyEvent(event: KeyEvent) = field.dispatchKeyEvent(event)
}

/** A kind of editor that there is, by what it does: as a text field of Android has it, but for what is [around] it. */
class Editor(
    val name: String,
    /** Whether it tells of its own accord. */
    val reports: Boolean = true,
    /** Which characters it takes. */
    val takes: (Char) -> Boolean = { true },
    val around: (InputConnection) -> InputConnection = { it },
)

val EDITORS = listOf(
    Editor("tells at once"),
    Editor("tells an edit late", around = { Late(it, edits = 1) }),
    Editor("tells four edits late", around = { Late(it, edits = 4) }),
    Editor("answers nothing", around = ::Silent),
    Editor("never tells", reports = false),
    Editor("tells less than it is asked for", around = ::Short),
    Editor("tells another text once", around = ::Wrong),
    Editor("takes no digits", takes = { !it.isDigit() }, around = ::NoDigits),
)

/** An editor that tells what its text was some edits ago, as one in another process does. */
private class Late(editor: InputConnection, private val edits: Int) : InputConnectionWrapper(editor, true) {
    private val told = ArrayDeque<CharSequence?>()

    init {
        remember()
    }

    override fun endBatchEdit(): Boolean = super.endBatchEdit().also { remember() }

    override fun getTextBeforeCursor(length: Int, flags: Int): CharSequence? = told.first()

    private fun remember() {
        told += super.getTextBeforeCursor(Gateway.BEFORE, 0)?.toString()
        if (told.size > edits + 1) told.removeFirst()
    }
}

/** An editor that never says what its text is. */
private class Silent(editor: InputConnection) : InputConnectionWrapper(editor, true) {
    override fun getTextBeforeCursor(length: Int, flags: Int): CharSequence? = null
}

/** An editor that tells less than it is asked for, and still enough to know the text by. */
private class Short(editor: InputConnection) : InputConnectionWrapper(editor, true) {
    override fun getTextBeforeCursor(length: Int, flags: Int): CharSequence? = super.getTextBeforeCursor(minOf(length, 32), flags)
}

/** An editor that tells another text in the midst of a word, and its own from then on. */
private class Wrong(editor: InputConnection) : InputConnectionWrapper(editor, true) {
    private var asked = 0

    override fun getTextBeforeCursor(length: Int, flags: Int): CharSequence? =
        if (++asked == 6) "another text" else super.getTextBeforeCursor(length, flags)
}

/** An editor that takes no digits, and says nothing about it. */
private class NoDigits(editor: InputConnection) : InputConnectionWrapper(editor, true) {
    override fun commitText(text: CharSequence, cursor: Int) = super.commitText(text.filterNot(Char::isDigit), cursor)
}
