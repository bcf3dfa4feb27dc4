package dev.nibble.examples.keyboard

import dev.nibble.Field
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue

class LayoutsTest {
    private val pages = Page.entries.flatMap { page -> Letters.entries.map { letters -> rows(page, letters, Field.TEXT) } }

    private fun List<List<Key>>.typed() = flatten().mapNotNull { (it.action as? Action.Type)?.text }

    @Test
    fun `every row is as wide as the others`() =
        pages.flatten().forEach { row -> assertEquals(ROW.toFloat(), row.map { it.width }.sum(), "$row") }

    @Test
    fun `every page has four rows, and types no character twice`() = pages.forEach { rows ->
        assertEquals(4, rows.size)
        assertEquals(rows.typed().distinct(), rows.typed())
    }

    @Test
    fun `every arrangement has all letters`() = Letters.entries.forEach { letters ->
        assertEquals(('a'..'z').toList(), letters.rows.joinToString("").toList().sorted())
    }

    @Test
    fun `from every page one comes back to the letters, and can take back, end a word and a line`() = pages.forEach { rows ->
        val actions = rows.flatten().map { it.action }
        assertTrue(actions.containsAll(listOf(Action.Backspace, Action.Type(" "), Action.Enter)))
        assertTrue(Action.Show(Page.LETTERS) in actions || Action.Shift in actions)
    }

    @Test
    fun `the outermost letters reach to the edge, and are seen as wide as the others`() {
        val (first, last) = rows(Page.LETTERS, Letters.QWERTY, Field.TEXT)[1].let { it.first() to it.last() }
        for (key in listOf(first, last)) assertEquals(1f, key.width - key.blankStart - key.blankEnd)
        assertEquals(0.5f to 0.5f, first.blankStart to last.blankEnd)
    }

    @Test
    fun `Nibble hears of every letter and the space bar, where they are seen`() {
        val keys = placed(Letters.QWERTZ).keys
        assertTrue(keys.map { it.key }.containsAll(('a'..'z').map(Char::toString) + " "))
        val (a, y) = listOf("a", "y").map { name -> keys.single { it.key == name } }
        assertEquals(listOf(0.5f, 1f, 1f, 1f), listOf(a.x, a.y, a.width, a.height))
        assertEquals(listOf(1.5f, 2f, 1f, 1f), listOf(y.x, y.y, y.width, y.height))
    }

    @Test
    fun `held letters offer a digit and their accents, one character each`() {
        val letters = rows(Page.LETTERS, Letters.QWERTY, Field.TEXT).flatten().filter { it.alternatives.isNotEmpty() }
        assertEquals(listOf("3", "é", "è", "ê", "ë", "ē"), letters.first { it.action == Action.Type("e") }.alternatives)
        assertTrue(letters.flatMap { it.alternatives }.all { it.length == 1 })
    }

    @Test
    fun `an address has its sign beside the space bar`() {
        assertTrue("@" in rows(Page.LETTERS, Letters.QWERTY, Field.EMAIL).typed())
        assertTrue("/" in rows(Page.LETTERS, Letters.QWERTY, Field.URL).typed())
    }

    @Test
    fun `the globe goes round`() = assertEquals(Letters.QWERTY, Letters.QWERTY.next().next())
}
