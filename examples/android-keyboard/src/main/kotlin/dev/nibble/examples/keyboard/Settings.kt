package dev.nibble.examples.keyboard

import android.content.SharedPreferences

/** What the user has chosen. Words are not among it. */
class Settings(private val stored: SharedPreferences) {
    var letters: Letters
        get() = Letters.entries.find { it.name == stored.getString(LETTERS, null) } ?: Letters.QWERTY
        set(letters) = stored.edit().putString(LETTERS, letters.name).apply()

    /** Whether the phone answers a key with a short buzz. */
    var haptics: Boolean
        get() = stored.getBoolean(HAPTICS, true)
        set(on) = stored.edit().putBoolean(HAPTICS, on).apply()

    /** Whether words are learned at all. */
    var learning: Boolean
        get() = stored.getBoolean(LEARNING, true)
        set(on) = stored.edit().putBoolean(LEARNING, on).apply()

    private companion object {
        const val LETTERS = "letters"
        const val HAPTICS = "haptics"
        const val LEARNING = "learning"
    }
}

/** What is left to do before one can type: the system wants a keyboard switched on first, and then chosen. */
enum class Step {
    SWITCH_ON,
    CHOOSE,
    DONE;

    companion object {
        /** [enabled] are the keyboards that are switched on, [chosen] is the one in use; all by their identifiers. */
        fun next(own: String, enabled: List<String>, chosen: String?): Step = when {
            own !in enabled -> SWITCH_ON
            own != chosen -> CHOOSE
            else -> DONE
        }
    }
}
