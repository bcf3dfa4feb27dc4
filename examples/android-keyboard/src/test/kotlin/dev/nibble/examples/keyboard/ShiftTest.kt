package dev.nibble.examples.keyboard

import dev.nibble.examples.keyboard.Shift.State
import kotlin.test.Test
import kotlin.test.assertEquals

class ShiftTest {
    private val off = Shift()

    @Test
    fun `one tap is one capital`() {
        val once = off.tap(0)
        assertEquals("E", once.apply("e"))
        assertEquals(State.OFF, once.typed().state)
    }

    @Test
    fun `two taps in a short time lock it, and another one frees it`() {
        val locked = off.tap(0).tap(200)
        assertEquals(State.LOCKED, locked.typed().follow(capital = false).state)
        assertEquals(State.OFF, locked.tap(5_000).state)
    }

    @Test
    fun `two taps with a pause are off again`() = assertEquals(State.OFF, off.tap(0).tap(1_000).state)

    @Test
    fun `where a sentence begins it goes down by itself, and up again with the letter`() {
        val begins = off.follow(capital = true)
        assertEquals(State.ONCE, begins.state)
        assertEquals(State.OFF, begins.typed().follow(capital = false).state)
        assertEquals(State.OFF, begins.follow(capital = false).state)
    }

    @Test
    fun `where it went down by itself, two taps lock it too`() =
        assertEquals(State.LOCKED, off.follow(capital = true).tap(0).tap(200).state)

    @Test
    fun `what the user chose stays until a letter is typed`() {
        assertEquals(State.ONCE, off.tap(0).follow(capital = false).state)
        assertEquals(State.OFF, off.follow(capital = true).tap(0).follow(capital = true).state)
    }

    @Test
    fun `one letter stays one letter`() = assertEquals(listOf("Ä", "ß", "7"), listOf("ä", "ß", "7").map(off.tap(0)::apply))
}
