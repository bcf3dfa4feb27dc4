package dev.nibble.examples.keyboard

import android.annotation.SuppressLint
import android.content.Context
import android.view.LayoutInflater
import android.view.View
import android.widget.LinearLayout
import android.widget.TextView

/** The words above the keys, or what is to be said in their place. */
@SuppressLint("ViewConstructor")
class StripView(context: Context, private val listener: Listener) : LinearLayout(context) {
    private val words: List<TextView>
    private val note: TextView
    private val lock: View

    init {
        LayoutInflater.from(context).inflate(R.layout.strip, this)
        words = listOf(R.id.first, R.id.second, R.id.third).map { findViewById(it) }
        note = findViewById(R.id.note)
        lock = findViewById(R.id.lock)
    }

    fun show(state: TypingState) {
        val slots = state.slots
        words.forEachIndexed { at, view ->
            val slot = slots.getOrNull(at)
            view.visibility = if (slot != null) View.VISIBLE else if (slots.isEmpty()) View.GONE else View.INVISIBLE
            view.text = slot?.suggestion?.word
            view.isActivated = slot?.bySpace == true
            view.contentDescription = slot?.suggestion?.word?.let { if (slot.bySpace) context.getString(R.string.by_space, it) else it }
            view.setOnClickListener { slot?.let(listener::take) }
        }
        lock.visibility = if (state.input.isPrivate) View.VISIBLE else View.GONE
        note.visibility = if (state.note == null) View.GONE else View.VISIBLE
        when (state.note) {
            Note.PRIVATE -> note.setText(R.string.note_private)
            Note.NO_MODEL -> note.setText(R.string.note_no_model)
            null -> note.text = null
        }
        if (state.note == Note.NO_MODEL) note.setOnClickListener { listener.openSettings() } else note.setOnClickListener(null)
        note.isClickable = state.note == Note.NO_MODEL
    }
}
