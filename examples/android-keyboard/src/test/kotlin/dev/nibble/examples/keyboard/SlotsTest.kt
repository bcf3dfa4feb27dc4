package dev.nibble.examples.keyboard

import dev.nibble.Suggestion
import dev.nibble.SuggestionKind
import kotlin.test.Test
import kotlin.test.assertEquals

class SlotsTest {
    private fun words(slots: List<Slot>) = slots.map { if (it.bySpace) "[${it.suggestion.word}]" else it.suggestion.word }

    @Test
    fun `what a space puts in is marked, and what was typed is there to be kept`() {
        val strip = strip("tomoreow", "tomorrow", "tomorrow's", "tomboy", autocorrect = "tomorrow")
        assertEquals(listOf("tomoreow", "[tomorrow]", "tomorrow's"), words(slots(strip)))
    }

    @Test
    fun `where a space changes nothing, what was typed is what is marked`() =
        assertEquals(listOf("[to]", "the", "tomorrow"), words(slots(strip("to", "the", "tomorrow", "to"))))

    @Test
    fun `what a space puts in is there, however low it is`() =
        assertEquals(listOf("tge", "[the]", "a"), words(slots(strip("tge", "a", "b", "c", "the", autocorrect = "the"))))

    @Test
    fun `what was typed is taken as it is, also where the model did not offer it`() =
        assertEquals(SuggestionKind.LITERAL, slots(strip("Zor", "Zora")).first().suggestion.kind)

    @Test
    fun `case tells words apart`() = assertEquals(listOf("i", "[I]"), words(slots(strip("i", "I", autocorrect = "I"))))

    @Test
    fun `several words at once have the last place`() {
        val ahead = Suggestion("with me", 0.9, SuggestionKind.COMPLETION)
        assertEquals(listOf("[wi]", "with", "with me"), words(slots(strip("wi", "with", "will").copy(ahead = ahead))))
        assertEquals(listOf("you", "with me"), words(slots(strip("", "you").copy(ahead = ahead))))
    }

    @Test
    fun `with nothing typed a space puts in nothing`() =
        assertEquals(listOf("you", "a", "the"), words(slots(strip("", "you", "a", "the", "some"))))
}
