package dev.nibble.examples.reply

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertSame
import kotlin.test.assertTrue

class ComposerTest {
    private val writing = Composer("old").begin().add(" Yes").add(", I ")

    @Test
    fun `a draft takes the place of what was there and grows`() =
        assertEquals(Composer("Yes, I ", writing = true, replaced = "old"), writing)

    @Test
    fun `what was there comes back where no word takes its place, also in a draft that begins anew`() {
        assertEquals(Composer("old"), Composer("old").begin().add(" \n").end())
        assertEquals(Composer("old"), Composer("old").begin().begin().end())
    }

    @Test
    fun `nothing is sent while it is being written`() {
        assertFalse(writing.canSend)
        assertTrue(writing.end().canSend)
    }

    @Test
    fun `what was written stays when it is stopped, and nothing is added to it`() {
        val stopped = writing.end()
        assertEquals(Composer("Yes, I"), stopped)
        assertSame(stopped, stopped.add("am late"))
    }

    @Test
    fun `what the user types ends the draft`() {
        val typed = writing.type("Yes, I will")
        assertEquals(Composer("Yes, I will"), typed)
        assertSame(typed, typed.add(" never"))
    }

    @Test
    fun `the same text is no change`() = assertSame(writing, writing.type("Yes, I "))

    @Test
    fun `blanks are no message`() = assertFalse(Composer("  \n").canSend)

    @Test
    fun `an end without a draft changes nothing`() = assertEquals(Composer("I am "), Composer("I am ").end())
}
