package dev.nibble

import dev.nibble.ffi.FfiConverterTypeSuggestions
import dev.nibble.ffi.Field as NativeField
import dev.nibble.ffi.KeyboardRequest as NativeKeyboardRequest
import java.io.File
import java.util.Locale
import kotlin.io.path.createTempDirectory
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking

/** That nothing stays behind, and what a call costs. The heap is resident from the start here, so what grows is native. */
class MemoryTest {
    private val model = TestModel.shared

    @Test
    fun `ten thousand texts and requests leave nothing behind`() = runBlocking {
        val prompt = "word ".repeat(1_000)
        model.session(SessionOptions(context = 64)).use { session ->
            model.keyboard().use { keyboard ->
                flat("10,000 texts and requests", cycles = 10_000) {
                    val pieces = session.generate(prompt, stop = Stop(maxTokens = 0)).toList()
                    assertEquals(listOf(Piece("", null, Finish.MAX_TOKENS)), pieces)
                    keyboard.suggest("", "t")
                }
            }
        }
    }

    @Test
    fun `sessions and keyboards that are opened, used and closed leave nothing behind`() = runBlocking {
        Random().use { random ->
            flat("10,000 sessions and keyboards", cycles = 10_000) {
                random.model.session(SessionOptions(context = 32, threads = 1)).use { session ->
                    assertEquals(1, session.generate("H", stop = Stop(maxTokens = 1)).toList().size)
                }
                random.model.keyboard(KeyboardOptions(threads = 1)).use { keyboard -> keyboard.suggest("", "H") }
            }
        }
    }

    @Test
    fun `models that are opened, used and closed leave nothing behind`() = runBlocking {
        val mappings = TestModel.mappings()
        flat("300 models", cycles = 300) { use(TestModel.path) }
        Random().use { random -> flat("1,000 small models", cycles = 1_000) { use(random.path) } }
        assertEquals(mappings, TestModel.mappings())
    }

    private suspend fun use(path: String) = Nibble.open(path, ModelOptions(checkWeights = false)).use { model ->
        model.session(SessionOptions(context = 64)).use { session ->
            assertEquals(1, session.generate("Hi", stop = Stop(maxTokens = 1)).toList().size)
        }
        model.keyboard().use { }
    }

    /** A model so small that what it computes takes no time. */
    private class Random : AutoCloseable {
        private val folder = createTempDirectory().toFile()
        val path = folder.resolve("random.nibble").path
        val model = runBlocking {
            Nibble.pack(RandomModel.write(folder.resolve("random.gguf")).path, path).collect()
            Nibble.open(path)
        }

        override fun close() {
            model.close()
            folder.deleteRecursively()
        }
    }

    /** Runs [cycle] so often, and checks that the second half takes nothing that the first half did not. */
    private suspend fun flat(what: String, cycles: Int, cycle: suspend () -> Unit) {
        repeat(cycles / 2) { cycle() }
        val middle = Held()
        repeat(cycles / 2) { cycle() }
        val end = Held()
        println("$what: after the first half $middle, after the second $end")
        assertTrue(end.memory - middle.memory < BOUND, "$what: resident memory went from $middle to $end")
        assertTrue(end.files <= middle.files, "$what: open files went from $middle to $end")
        assertTrue(end.threads - middle.threads < THREADS, "$what: threads went from $middle to $end")
    }

    /** What this process holds at the moment. */
    private class Held {
        /** Resident memory but for mapped files, in bytes. */
        val memory: Long
        val files = count("fd")
        val threads = count("task")

        init {
            repeat(2) { System.gc() }
            val line = File("/proc/self/status").readLines().first { it.startsWith("RssAnon:") }
            memory = line.filter { it.isDigit() }.toLong() * 1024
        }

        private fun count(what: String) = File("/proc/self", what).list()!!.size

        override fun toString() = "${memory / 1024} KiB, $files files, $threads threads"
    }

    @Test
    fun `what a call costs is printed`() = runBlocking {
        model.keyboard().use { keyboard ->
            val request = suspend { keyboard.suggest("See you ", "to") }
            val expected = request()
            val suggest = median { assertEquals(expected, request()) }
            val ticket = median { keyboard.handle.now { ticket() } }
            // In a field for secrets the native library has nothing to compute, so what remains is the way there and back, but for the
            // answer.
            val nothing = Suggestions(emptyList(), replaces = "", proven = false, autocorrect = null)
            val way = median { assertEquals(nothing, keyboard.suggest("See you ", "to", field = Field.PASSWORD)) }
            // Kotlin writes the answer down here as the native library does there, which takes Kotlin longer.
            val native = NativeKeyboardRequest("See you ", "to", emptyList(), 3u, NativeField.TEXT, true)
            val answer = keyboard.handle.now { suggest(ticket(), native) }
            val converter = FfiConverterTypeSuggestions
            val back = median {
                val read = converter.lift(converter.lower(answer))
                assertEquals(expected.suggestions, read.suggestions.map { it.toPublic() })
            }
            val line = "median: a ticket %.1f us; suggestions that are known %.1f us, which is at most %.1f us more than Rust takes " +
                "(%.1f us there and back, %.1f us for the answer); 100 us are promised"
            println(line.format(Locale.ROOT, ticket, suggest, way + back, way, back))
        }
    }

    /** The median time of a call, in microseconds. */
    private suspend fun median(call: suspend () -> Unit): Double = List(2_000) {
        val start = System.nanoTime()
        call()
        (System.nanoTime() - start) / 1e3
    }.sorted().let { it[it.size / 2] }

    private companion object {
        /** In bytes. 5,000 texts of 1,000 tokens that stay are 20 MB; 5,000 small sessions or 150 large ones are more. */
        const val BOUND = 12 shl 20

        /** The JVM has threads that come and go. One that stays of each cycle is 150 of them at least. */
        const val THREADS = 50
    }
}
