package dev.nibble.examples.keyboard

import android.content.Context
import android.view.View
import android.widget.LinearLayout
import android.widget.TextView

/** What a key types when it is held, in a row above it. The finger that holds it slides to one; for TalkBack they are buttons. */
class AlternativesView(context: Context) : LinearLayout(context) {
    private var chosen: TextView? = null

    /** How wide each of them is. */
    private var size = 0

    val isOpen: Boolean get() = visibility == View.VISIBLE

    init {
        setBackgroundResource(R.drawable.alternatives)
        elevation = resources.getDimension(R.dimen.alternatives_elevation)
        visibility = View.GONE
    }

    /** Opens above a key, with the first of them above its middle. */
    fun open(key: KeyView, texts: List<String>, choose: (String) -> Unit) {
        removeAllViews()
        val board = key.parent as View
        val height = resources.getDimensionPixelSize(R.dimen.alternative)
        // All of a long row is there on a narrow phone too.
        size = minOf(height, board.width / texts.size)
        for (text in texts) {
            val view = inflate(context, R.layout.alternative, null) as TextView
            view.text = text
            view.setOnClickListener {
                close()
                choose(text)
            }
            addView(view, LayoutParams(size, height))
        }
        visibility = View.VISIBLE
        val room = board.width - texts.size * size
        translationX = (key.left + key.width / 2f - size / 2f).coerceIn(0f, room.toFloat())
        translationY = (board.top + key.top - height).coerceAtLeast(0).toFloat()
        point(key.left + key.width / 2f)
    }

    /** A finger is at this many pixels from the left edge. */
    fun point(x: Float) {
        if (!isOpen) return
        val at = ((x - translationX) / size).toInt().coerceIn(0, childCount - 1)
        chosen?.isSelected = false
        chosen = (getChildAt(at) as TextView).apply { isSelected = true }
    }

    /** The finger went up. */
    fun choose() {
        chosen?.performClick()
    }

    fun close() {
        chosen = null
        visibility = View.GONE
    }
}
