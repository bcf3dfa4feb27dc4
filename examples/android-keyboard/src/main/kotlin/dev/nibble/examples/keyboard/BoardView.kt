package dev.nibble.examples.keyboard

import android.annotation.SuppressLint
import android.content.Context
import android.view.MotionEvent
import android.view.ViewGroup
import dev.nibble.Touch

/** What the keys and the strip tell of. */
interface Listener {
    /** A key was hit, at a place in units of the layout; by TalkBack without one. */
    fun press(action: Action, touch: Touch?)

    /** The shift key was held. */
    fun lockCapitals()

    /** A word was taken from the strip. */
    fun take(slot: Slot)

    /** The note on the strip was tapped. */
    fun openSettings()

    /** The choice between all keyboards of the phone is wanted. */
    fun chooseKeyboard()
}

/** The keys. Their rows share the width; between them is no gap, so that every touch hits one. */
@SuppressLint("ViewConstructor")
class BoardView(
    context: Context,
    val listener: Listener,
    val repeat: Repeat,
    val alternatives: AlternativesView,
) : ViewGroup(context) {
    private val rowHeight = resources.getDimensionPixelSize(R.dimen.key_height)
    private var rows: List<List<KeyView>> = emptyList()
    private var shown = TypingState()
    private var held: KeyView? = null

    /** Whether keys buzz. */
    var buzz = true

    fun show(state: TypingState) {
        if (rows.isEmpty() || rows.map { row -> row.map { it.key } } != state.rows) {
            removeAllViews()
            alternatives.close()
            rows = state.rows.map { row -> row.map { key -> KeyView(key, this).also(::addView) } }
        }
        shown = state
        for (view in rows.flatten()) view.show(context.face(view.key.action, state))
    }

    /** A key goes down. */
    fun begin(key: KeyView) {
        alternatives.close()
        held = key
    }

    /** Offers what the key types when it is held. */
    fun open(key: KeyView) {
        val texts = key.key.alternatives.map(shown.shift::apply)
        alternatives.open(key, texts) { listener.press(Action.Type(it), null) }
    }

    /** Who types fast puts the next finger down before the last one is up: letters come in the order of going down. */
    override fun dispatchTouchEvent(event: MotionEvent): Boolean {
        if (event.actionMasked != MotionEvent.ACTION_POINTER_DOWN) return super.dispatchTouchEvent(event)
        val before = rows
        held?.finish()
        if (rows === before) return super.dispatchTouchEvent(event)
        // It changed the page, and the key that the other finger is on is gone with it. The new keys get their places now, and this
        // finger is the first on them.
        measure(exactly(width), exactly(height))
        layout(left, top, right, bottom)
        val properties = MotionEvent.PointerProperties().also { event.getPointerProperties(event.actionIndex, it) }
        val place = MotionEvent.PointerCoords().also { event.getPointerCoords(event.actionIndex, it) }
        val down = MotionEvent.obtain(
            event.downTime, event.eventTime, MotionEvent.ACTION_DOWN, 1, arrayOf(properties), arrayOf(place), 0, 0, 1f, 1f, 0, 0, 0, 0,
        )
        return super.dispatchTouchEvent(down).also { down.recycle() }
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val width = MeasureSpec.getSize(widthSpec)
        for (view in rows.flatten()) view.measure(exactly((width * view.key.width / ROW).toInt()), exactly(rowHeight))
        setMeasuredDimension(width, rows.size * rowHeight)
    }

    private fun exactly(size: Int) = MeasureSpec.makeMeasureSpec(size, MeasureSpec.EXACTLY)

    override fun onLayout(changed: Boolean, left: Int, top: Int, right: Int, bottom: Int) {
        val unit = (right - left).toFloat() / ROW
        rows.forEachIndexed { at, row ->
            var x = 0f
            for (view in row) {
                val end = x + view.key.width * unit
                view.layout(x.toInt(), at * rowHeight, end.toInt(), (at + 1) * rowHeight)
                x = end
            }
        }
    }

    /** Where a finger is, in units of the layout. */
    fun touch(x: Float, y: Float) = Touch(x * ROW / width, y / rowHeight)
}

/** What a key looks like in this state. */
private fun Context.face(action: Action, state: TypingState): Face = when (action) {
    is Action.Type -> if (action.text == " ") {
        Face(state.letters.name, description = getString(R.string.space))
    } else {
        state.shift.apply(action.text).let { Face(it, description = it) }
    }
    is Action.Show -> when (action.page) {
        Page.LETTERS -> Face("ABC", description = getString(R.string.letters))
        Page.SYMBOLS -> Face("?123", description = getString(R.string.symbols))
        Page.MORE_SYMBOLS -> Face("=\\<", description = getString(R.string.more_symbols))
    }
    Action.Shift -> when (state.shift.state) {
        Shift.State.OFF -> Face(icon = R.drawable.ic_shift, description = getString(R.string.shift))
        Shift.State.ONCE -> Face(icon = R.drawable.ic_shift_on, description = getString(R.string.shift_on))
        Shift.State.LOCKED -> Face(icon = R.drawable.ic_shift_locked, description = getString(R.string.shift_locked))
    }
    Action.Backspace -> Face(icon = R.drawable.ic_backspace, description = getString(R.string.backspace))
    Action.Globe -> Face(icon = R.drawable.ic_globe, description = getString(R.string.globe, state.letters.next().name))
    Action.Enter -> when (state.input.enter) {
        Enter.NEW_LINE -> Face(icon = R.drawable.ic_new_line, description = getString(R.string.new_line))
        Enter.GO -> Face(icon = R.drawable.ic_next, description = getString(R.string.go))
        Enter.SEARCH -> Face(icon = R.drawable.ic_search, description = getString(R.string.search))
        Enter.SEND -> Face(icon = R.drawable.ic_send, description = getString(R.string.send))
        Enter.NEXT -> Face(icon = R.drawable.ic_next, description = getString(R.string.next))
        Enter.DONE -> Face(icon = R.drawable.ic_done, description = getString(R.string.done))
        Enter.PREVIOUS -> Face(icon = R.drawable.ic_previous, description = getString(R.string.previous))
    }
}
