package dev.nibble.examples.keyboard

import android.annotation.SuppressLint
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.drawable.Drawable
import android.os.Build
import android.view.HapticFeedbackConstants
import android.view.MotionEvent
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import android.view.accessibility.AccessibilityNodeInfo.AccessibilityAction
import dev.nibble.Touch

/** One key. It is a view of its own, so that TalkBack and switch access find it as any other button. */
@SuppressLint("ViewConstructor")
class KeyView(val key: Key, private val board: BoardView) : View(board.context) {
    private val cap: Drawable = context.getDrawable(
        when (key.action) {
            is Action.Type -> R.drawable.key
            Action.Enter -> R.drawable.key_accent
            else -> R.drawable.key_function
        },
    )!!
    private val paint = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = context.getColor(if (key.action == Action.Enter) R.color.on_accent else R.color.text)
        textAlign = Paint.Align.CENTER
    }
    private val quiet = Paint(paint).apply {
        color = context.getColor(R.color.text_quiet)
        textSize = resources.getDimension(R.dimen.key_hint)
    }
    private val hint = key.alternatives.firstOrNull()?.takeIf { it.single().isDigit() }
    private val hold = Runnable { performLongClick() }
    private var face = Face()
    private var icon: Drawable? = null

    /** Where the finger came down that is typing. */
    private var touch: Touch? = null

    init {
        isClickable = true
        isFocusable = true
        isLongClickable = key.alternatives.isNotEmpty() || key.action == Action.Globe || key.action == Action.Shift
    }

    /** Shows what the key is now. */
    fun show(face: Face) {
        if (face == this.face) return
        this.face = face
        icon = face.icon?.let { context.getDrawable(it)!!.mutate() }?.apply { setTint(paint.color) }
        paint.textSize = resources.getDimension(if ((face.text?.length ?: 0) > 1) R.dimen.key_word else R.dimen.key_letter)
        contentDescription = face.description
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val unit = width / key.width
        val left = (key.blankStart * unit).toInt()
        val right = width - (key.blankEnd * unit).toInt()
        cap.setBounds(left, 0, right, height)
        cap.draw(canvas)
        val x = (left + right) / 2
        val y = height / 2
        icon?.run {
            setBounds(x - intrinsicWidth / 2, y - intrinsicHeight / 2, x + intrinsicWidth / 2, y + intrinsicHeight / 2)
            draw(canvas)
        }
        face.text?.let { canvas.drawText(it, x.toFloat(), y - (paint.ascent() + paint.descent()) / 2, paint) }
        hint?.let { canvas.drawText(it, right - quiet.textSize, quiet.textSize * HINT_FROM_TOP, quiet) }
    }

    override fun drawableStateChanged() {
        super.drawableStateChanged()
        cap.state = drawableState
        invalidate()
    }

    override fun onTouchEvent(event: MotionEvent): Boolean {
        when (event.actionMasked) {
            // Two thumbs may type one letter twice.
            MotionEvent.ACTION_DOWN, MotionEvent.ACTION_POINTER_DOWN ->
                begin(board.touch(left + event.getX(event.actionIndex), top + event.getY(event.actionIndex)))
            MotionEvent.ACTION_MOVE -> if (isPressed) board.alternatives.point(left + event.x)
            MotionEvent.ACTION_UP, MotionEvent.ACTION_POINTER_UP -> finish()
            MotionEvent.ACTION_CANCEL -> cancel()
        }
        return true
    }

    private fun begin(at: Touch) {
        board.begin(this)
        isPressed = true
        if (board.buzz) performHapticFeedback(HapticFeedbackConstants.KEYBOARD_TAP)
        touch = at
        if (key.action == Action.Backspace) {
            board.repeat.start { board.listener.press(Action.Backspace, null) }
        } else if (isLongClickable) {
            postDelayed(hold, HOLD_MS)
        }
    }

    /** The finger went up, or the next one came down: what the key does is done. */
    fun finish() {
        if (!isPressed) return
        val chosen = board.alternatives.isOpen
        cancel(keepOpen = chosen)
        when {
            chosen -> board.alternatives.choose()
            key.action != Action.Backspace -> performClick()
        }
        touch = null
    }

    private fun cancel(keepOpen: Boolean = false) {
        isPressed = false
        removeCallbacks(hold)
        board.repeat.stop()
        if (!keepOpen) board.alternatives.close()
    }

    override fun onDetachedFromWindow() {
        cancel()
        super.onDetachedFromWindow()
    }

    /** A finger that was lifted, or TalkBack. */
    override fun performClick(): Boolean {
        super.performClick()
        board.alternatives.close()
        board.listener.press(key.action, touch)
        return true
    }

    override fun performLongClick(): Boolean {
        if (board.buzz) performHapticFeedback(HapticFeedbackConstants.LONG_PRESS)
        when (key.action) {
            Action.Globe -> board.listener.chooseKeyboard()
            Action.Shift -> board.listener.lockCapitals()
            else -> return true.also { board.open(this) }
        }
        // That was all: a finger that goes up does no more.
        cancel()
        return true
    }

    override fun onInitializeAccessibilityNodeInfo(info: AccessibilityNodeInfo) {
        super.onInitializeAccessibilityNodeInfo(info)
        info.className = "android.widget.Button"
        if (key.action == Action.Shift) {
            // TalkBack says it; two taps in a short time are hard to do with it.
            info.addAction(AccessibilityAction(AccessibilityNodeInfo.ACTION_LONG_CLICK, context.getString(R.string.lock)))
        }
        // Lets TalkBack type when the finger is lifted, with no second tap.
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) info.isTextEntryKey = true
    }

    private companion object {
        const val HOLD_MS = 350L
        const val HINT_FROM_TOP = 1.6f
    }
}

/** What a key looks like, and what it is called. */
data class Face(val text: String? = null, val icon: Int? = null, val description: String = "")
