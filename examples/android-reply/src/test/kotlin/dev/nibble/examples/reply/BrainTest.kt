package dev.nibble.examples.reply

import dev.nibble.Nibble
import dev.nibble.examples.Brain
import dev.nibble.examples.Installer
import dev.nibble.examples.ModelSource
import dev.nibble.examples.ModelState
import dev.nibble.examples.Problem
import java.io.File
import java.io.IOException
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.job
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.yield
import org.junit.Rule
import org.junit.rules.TemporaryFolder

class BrainTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val good = ModelSource { "".byteInputStream() }
    private var opened = 0

    private fun CoroutineScope.brain(asset: ModelSource? = null): Brain<File> {
        val installer = Installer(temporary.root, EMPTY) { source, target, _ -> flow { File(source).copyTo(File(target)) } }
        return Brain(installer, { asset }, ::open, this)
    }

    private suspend fun open(file: File): File {
        opened++
        // There is nothing in a model that was packed here.
        if (file.length() > 0) Nibble.open(file.path)
        return file
    }

    private suspend fun Brain<File>.settled() = state.first { it is ModelState.Ready || it is ModelState.Missing && it.problem != null }

    @Test
    fun `without a model it says so, and takes the one that is chosen`() = runBlocking {
        val brain = brain()
        brain.start()
        yield()
        assertEquals(ModelState.Missing(), brain.state.value)
        brain.install(good)
        assertEquals(ModelState.Ready, brain.settled())
        assertEquals("model.nibble", brain.opened.value?.name)
    }

    @Test
    fun `a model that is installed is opened, once`() = runBlocking {
        temporary.newFile("model.nibble")
        val brain = brain(asset = ModelSource { error("it is installed already") })
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
    fun `a model that turns out to be damaged is replaced at once by the one that came with the app, and what was left over is gone`() =
        runBlocking {
            temporary.newFile("model.nibble").writeText("no model")
            temporary.newFile("model.gguf").writeText("half of it")
            val brain = brain(asset = good)
            brain.start()
            assertEquals(ModelState.Ready, brain.settled())
            assertEquals(listOf("model.nibble"), temporary.root.list()?.toList())
        }

    @Test
    fun `what a killed installation left is gone when the app has started, and a file can be chosen meanwhile`() = runBlocking {
        temporary.newFile("model.gguf").writeText("half of it")
        val brain = brain()
        brain.start()
        coroutineContext.job.children.toList().joinAll()
        assertEquals(emptyList(), temporary.root.list()?.toList())
        val next = brain()
        next.start()
        next.install(good)
        assertEquals(ModelState.Ready, next.settled())
    }

    @Test
    fun `a model that is damaged and cannot be replaced is removed`() = runBlocking {
        temporary.newFile("model.nibble").writeText("no model")
        val brain = brain()
        brain.start()
        assertEquals(ModelState.Missing(Problem.OTHER_FILE), brain.settled())
        assertEquals(emptyList(), temporary.root.list()?.toList())
    }

    @Test
    fun `what goes wrong is said, and another file can be chosen`() = runBlocking {
        val brain = brain()
        val problems = mapOf(
            ModelSource { "another file".byteInputStream() } to Problem.OTHER_FILE,
            ModelSource { throw IOException("write failed: ENOSPC (No space left on device)") } to Problem.STORAGE_FULL,
            ModelSource { throw IOException("the provider is gone") } to Problem.UNREADABLE,
        )
        for ((source, problem) in problems) {
            brain.install(source)
            assertEquals(problem, (brain.state.first { it == ModelState.Missing(problem) } as ModelState.Missing).problem)
            yield()
        }
        assertNull(brain.opened.value)
        brain.install(good)
        assertEquals(ModelState.Ready, brain.settled())
    }

    private companion object {
        /** The SHA-256 of nothing. */
        const val EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    }
}
