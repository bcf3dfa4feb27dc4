package dev.nibble.examples.keyboard

import dev.nibble.Edit
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull

class GatewayTest {
    private val editor = FakeEditor("I am teh")
    private val gateway = editor.gateway()

    @Test
    fun `an edit is one change to the editor`() {
        gateway.apply(Edit("teh", "the "))
        assertEquals("I am the ", editor.before.toString())
        assertEquals(listOf("begin", "delete 3 0", "commit the ", "end"), editor.calls)
    }

    @Test
    fun `nothing is removed or put in where there is nothing to`() {
        gateway.apply(Edit("", "x"))
        gateway.apply(Edit("x", ""))
        assertEquals(listOf("begin", "commit x", "end", "begin", "delete 1 0", "end"), editor.calls)
    }

    @Test
    fun `the editor has keys of its own`() {
        gateway.backspace()
        gateway.enter()
        assertEquals(listOf("key 67", "key 66"), editor.calls)
    }

    @Test
    fun `the text is read as far as it matters`() {
        editor.before = StringBuilder("x".repeat(1_000))
        editor.selected = "y"
        assertEquals(Around("x".repeat(Gateway.BEFORE), "", selected = true), gateway.around())
    }

    @Test
    fun `an editor that says nothing has said nothing`() {
        editor.answers = false
        assertNull(gateway.around())
    }

    @Test
    fun `without an editor nothing happens`() {
        val nowhere = Gateway({ null }) {}
        nowhere.apply(Edit("", "x"))
        nowhere.perform(Enter.SEND)
        assertNull(nowhere.around())
        assertFalse(nowhere.wantsCapital(1))
    }
}
