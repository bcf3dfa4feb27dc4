package dev.nibble.examples.keyboard

import android.annotation.SuppressLint
import android.content.Context
import android.view.View
import android.view.ViewGroup
import android.widget.FrameLayout
import android.widget.LinearLayout

/** The whole keyboard: the strip, the keys, and what pops up over them. */
@SuppressLint("ViewConstructor")
class InputView(context: Context, listener: Listener, repeat: Repeat) : FrameLayout(context) {
    private val alternatives = AlternativesView(context)
    private val strip = StripView(context, listener)
    private val column = LinearLayout(context)
    private val board = BoardView(context, listener, repeat, alternatives)

    init {
        setBackgroundColor(context.getColor(R.color.keyboard))
        // Keys stay where they are where text runs from the right.
        layoutDirection = View.LAYOUT_DIRECTION_LTR
        column.orientation = LinearLayout.VERTICAL
        column.addView(strip, ViewGroup.LayoutParams.MATCH_PARENT, resources.getDimensionPixelSize(R.dimen.strip_height))
        column.addView(board, ViewGroup.LayoutParams.MATCH_PARENT, ViewGroup.LayoutParams.WRAP_CONTENT)
        addView(column, LayoutParams(LayoutParams.MATCH_PARENT, LayoutParams.WRAP_CONTENT))
        addView(alternatives, LayoutParams(LayoutParams.WRAP_CONTENT, LayoutParams.WRAP_CONTENT))
    }

    fun show(state: TypingState) {
        strip.show(state)
        board.show(state)
    }

    /** Whether the phone answers keys with a buzz; its own setting is asked too. */
    fun buzz(on: Boolean) {
        board.buzz = on
    }
}
