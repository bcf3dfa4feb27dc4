package dev.nibble.examples.keyboard

import dev.nibble.Strip
import dev.nibble.Suggestion
import dev.nibble.SuggestionKind

/** One of the places on the strip. */
data class Slot(
    val suggestion: Suggestion,
    /** Whether a space puts this word in. */
    val bySpace: Boolean,
)

/**
 * What goes onto the strip, three at most. What was typed has the first place, always, so that it is found without a look; what a
 * space would put in is marked, whichever that is, so that nobody is surprised. Then come the best of the others; where several words
 * are likely at once, the last place is theirs.
 */
fun slots(strip: Strip): List<Slot> {
    val ahead = listOfNotNull(strip.ahead).map { Slot(it, bySpace = false) }
    return words(strip).take(PLACES - ahead.size) + ahead
}

private fun words(strip: Strip): List<Slot> {
    val typed = strip.replaces
    if (typed.isEmpty()) return strip.suggestions.map { Slot(it, bySpace = false) }
    val bySpace = strip.autocorrect ?: typed
    val literal = strip.suggestions.find { it.word == typed } ?: Suggestion(typed, 0.0, SuggestionKind.LITERAL)
    val others = strip.suggestions.filter { it.word != typed }.sortedByDescending { it.word == bySpace }
    return (listOf(literal) + others).map { Slot(it, it.word == bySpace) }
}

private const val PLACES = 3
