package dev.nibble.examples.keyboard

import dev.nibble.examples.ModelSource
import java.io.File
import java.io.IOException
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.yield
import org.junit.Rule
import org.junit.rules.TemporaryFolder

class WordListTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val file get() = temporary.root.resolve("words/lexicon.fst")

    private fun CoroutineScope.words(asset: String? = null) = WordList(file, { asset }, ::open, this)

    /** As Nibble's, which throws this too where the system cannot read it. */
    private fun open(file: File) = file.readText().also { if (it.startsWith("no list")) throw IOException("it is no list") }

    private fun source(text: String) = ModelSource { text.byteInputStream() }

    private suspend fun WordList<*>.settled(state: WordListState) = assertEquals(state, this.state.first { it == state })

    @Test
    fun `there is none, until one is chosen, and then it is there the next time`() = runBlocking {
        val words = words()
        words.start()
        words.settled(WordListState.MISSING)
        words.install(source("a b c"))
        words.settled(WordListState.READY)
        assertEquals("a b c", words.opened.value)
        assertEquals(listOf("lexicon.fst"), file.parentFile.list()?.toList())
        val again = words(asset = "of the app")
        again.start()
        again.settled(WordListState.READY)
        assertEquals("a b c", again.opened.value)
    }

    @Test
    fun `the one that came with the app is opened where it lies`() = runBlocking {
        val words = words(asset = "of the app")
        repeat(2) { words.start() }
        words.settled(WordListState.READY)
        assertEquals("of the app", words.opened.value)
    }

    @Test
    fun `another file is refused, and leaves nothing`() = runBlocking {
        val words = words()
        words.start()
        yield()
        words.install(source("no list"))
        words.settled(WordListState.UNREADABLE)
        assertNull(words.opened.value)
        assertEquals(emptyList(), file.parentFile.list()?.toList())
    }
}
