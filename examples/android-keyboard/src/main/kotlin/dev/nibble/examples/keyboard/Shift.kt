package dev.nibble.examples.keyboard

import java.util.Locale

/** The shift key. It goes down by itself where a sentence begins, unless the user has moved it since the last letter. */
data class Shift(val state: State = State.OFF, private val byUser: Boolean = false, private val tapped: Long? = null) {
    enum class State { OFF, ONCE, LOCKED }

    /** The key was tapped, at a time in milliseconds. Twice in a short time locks it. */
    fun tap(now: Long): Shift = when {
        state == State.LOCKED -> Shift(State.OFF, byUser = true)
        tapped != null && now - tapped <= DOUBLE_TAP_MS -> lock()
        else -> Shift(if (state == State.OFF) State.ONCE else State.OFF, byUser = true, tapped = now)
    }

    /** The key was held. */
    fun lock() = Shift(State.LOCKED, byUser = true)

    /** Something was typed: one letter is what it was down for. */
    fun typed(): Shift = if (state == State.LOCKED) this else Shift()

    /** Whether the text wants a capital where the cursor is now. */
    fun follow(capital: Boolean): Shift = if (byUser) this else Shift(if (capital) State.ONCE else State.OFF)

    /** What a key types with shift as it is. A letter whose capital is two, as that of ß, stays small. */
    fun apply(text: String): String =
        if (state == State.OFF) text else text.uppercase(Locale.ROOT).takeIf { it.length == text.length } ?: text

    private companion object {
        const val DOUBLE_TAP_MS = 300L
    }
}
