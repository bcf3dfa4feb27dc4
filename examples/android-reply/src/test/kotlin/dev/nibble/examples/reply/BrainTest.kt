package dev.nibble.examples.reply

import dev.nibble.Turn
import java.io.File
import java.io.IOException
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.emptyFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.yield
import org.junit.Rule
import org.junit.rules.TemporaryFolder

class BrainTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val assistant = object : Assistant {
        override suspend fun suggest(chat: List<Turn>) = error("nobody asks")

        override fun draft(chat: List<Turn>) = emptyFlow<String>()
    }
    private val good = ModelSource(0) { "".byteInputStream() }
    private var opened = 0

    private fun CoroutineScope.brain(asset: ModelSource? = null): Brain {
        val installer = Installer(temporary.root, EMPTY) { source, target, _ -> flow { File(source).copyTo(File(target)) } }
        return Brain(installer, { asset }, { opened++; assistant }, this)
    }

    private suspend fun Brain.settled() = state.first { it is ModelState.Ready || it is ModelState.Missing && it.problem != null }

    @Test
    fun `without a model it says so, and takes the one that is chosen`() = runBlocking {
        val brain = brain()
        brain.start()
        yield()
        assertEquals(ModelState.Missing(), brain.state.value)
        brain.install(good)
        assertEquals(ModelState.Ready, brain.settled())
        assertSame(assistant, brain.assistant.value)
    }

    @Test
    fun `a model that is installed is opened, once`() = runBlocking {
        temporary.newFile("model.nibble")
        val brain = brain(asset = ModelSource(0) { error("it is installed already") })
        repeat(2) { brain.start() }
        assertEquals(ModelState.Ready, brain.settled())
        brain.start()
        brain.install(good)
        yield()
        assertEquals(1, opened)
    }

    @Test
    fun `the one that came with the app is installed by itself`() = runBlocking {
        val brain = brain(asset = good)
        brain.start()
        assertEquals(ModelState.Ready, brain.settled())
    }

    @Test
    fun `what goes wrong is said, and another file can be chosen`() = runBlocking {
        val brain = brain()
        val problems = mapOf(
            ModelSource(0) { "another file".byteInputStream() } to Problem.OTHER_FILE,
            ModelSource(0) { throw IOException("write failed: ENOSPC (No space left on device)") } to Problem.STORAGE_FULL,
            ModelSource(0) { throw IOException("the provider is gone") } to Problem.UNREADABLE,
        )
        for ((source, problem) in problems) {
            brain.install(source)
            assertEquals(problem, (brain.state.first { it == ModelState.Missing(problem) } as ModelState.Missing).problem)
            yield()
        }
        assertNull(brain.assistant.value)
        brain.install(good)
        assertEquals(ModelState.Ready, brain.settled())
    }

    private companion object {
        /** The SHA-256 of nothing. */
        const val EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    }
}
