package dev.nibble.examples.reply

import dev.nibble.Nibble
import dev.nibble.PackProgress
import dev.nibble.examples.Installer
import dev.nibble.examples.ModelSource
import dev.nibble.examples.Pack
import dev.nibble.examples.Progress
import dev.nibble.examples.WrongModel
import dev.nibble.examples.testFile
import java.io.File
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.test.runTest
import org.junit.Rule
import org.junit.rules.TemporaryFolder

class InstallerTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val folder get() = temporary.root.resolve("model")
    private val content = ByteArray(3_000_000) { it.toByte() }
    private val sha256 = MessageDigest.getInstance("SHA-256").digest(content).joinToString("") { "%02x".format(it) }
    private val source = ModelSource({ content.size.toLong() }) { content.inputStream() }

    private fun installer(pack: Pack = ::packed) = Installer(folder, sha256, pack)

    /** Packs by copying. */
    private fun packed(source: String, target: String, sourceSha256: String) = flow {
        assertEquals(sha256, sourceSha256)
        emit(PackProgress(0, 2))
        File(source).copyTo(File(target), overwrite = true)
        emit(PackProgress(2, 2))
    }

    @Test
    fun `a file is copied, packed, and gone`() = runTest {
        val installer = installer()
        assertNull(installer.installed())
        val progress = installer.install(source).toList()
        assertEquals(100, progress.last().percent)
        assertEquals(progress.map { it.percent }.sorted(), progress.map { it.percent })
        assertEquals("model.nibble", installer.installed()?.name)
        assertEquals(listOf("model.nibble"), folder.list()?.toList())
    }

    @Test
    fun `another file is refused before it is packed, and leaves nothing`() = runTest {
        val installer = installer { _, _, _ -> error("it was packed") }
        assertFailsWith<WrongModel> { installer.install(ModelSource { "another".byteInputStream() }).collect() }
        assertEquals(emptyList(), folder.list()?.toList())
    }

    @Test
    fun `a file that cannot be read leaves nothing`() = runTest {
        val broken = object : InputStream() {
            override fun read(): Int = throw IOException("the card was pulled")
        }
        assertFailsWith<IOException> { installer().install(ModelSource { broken }).collect() }
        assertEquals(emptyList(), folder.list()?.toList())
    }

    @Test
    fun `an installation that is cancelled leaves nothing`() = runBlocking {
        val begun = CompletableDeferred<Unit>()
        val installer = installer { _, _, _ ->
            flow {
                begun.complete(Unit)
                awaitCancellation()
            }
        }
        val job = launch { installer.install(source).collect() }
        begun.await()
        job.cancelAndJoin()
        assertEquals(emptyList(), folder.list()?.toList())
    }

    @Test
    fun `what a killed process left is removed, and the model stays`() = runTest {
        val installer = installer()
        installer.install(source).collect()
        folder.resolve("model.gguf").writeText("half of it")
        folder.resolve("model.nibble.partial").writeText("half of it")
        folder.resolve("model.nibble.threads.json").writeText("{}")
        installer.tidy()
        assertTrue(installer.installed()!!.isFile)
        assertEquals(setOf("model.nibble", "model.nibble.threads.json"), folder.list()?.toSet())
    }

    /** In a process of its own, with the real model: it can be killed. */
    @Test
    fun `whether it is killed while it copies or while it packs, there is no model, and the next attempt is as the first`() {
        val gguf = testFile("NIBBLE_TEST_GGUF")
        for (step in Progress.Step.entries) {
            val java = File(System.getProperty("java.home"), "bin/java").path
            val library = System.getProperty("jna.library.path")
            val classes = System.getProperty("java.class.path")
            val command = listOf(java, "-Djna.library.path=$library", "-cp", classes, VICTIM, "$folder", "$gguf")
            val installing = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
            assertTrue(installing.inputStream.bufferedReader().lineSequence().any { it == step.name }, "it ended by itself")
            installing.destroyForcibly().waitFor()
            assertTrue(folder.list()!!.isNotEmpty(), "something is left of $step")
            assertNull(Installer(folder, Installer.SMOLLM2, Nibble::pack).installed(), "killed in $step")
        }
        val installer = Installer(folder, Installer.SMOLLM2, Nibble::pack)
        runBlocking {
            installer.install(ModelSource { gguf.inputStream() }).collect()
            assertEquals(listOf("model.nibble"), folder.list()?.toList())
            Nibble.open(installer.installed()!!.path).use { assertEquals(Installer.SMOLLM2, it.info.sourceSha256) }
        }
    }

    @Test
    fun `the constant is that of the models that the project knows`() {
        val registry = File("../../rust/cli/models.toml").readText().substringAfter("name = \"smollm2-135m-instruct\"")
        assertEquals(registry.substringAfter("sha256 = \"").substringBefore('"'), Installer.SMOLLM2)
    }
}

/** Installs a model in a folder, the first of [arguments], from a file, the second; and says at which step it is. */
fun main(arguments: Array<String>) = runBlocking {
    val installer = Installer(File(arguments[0]), Installer.SMOLLM2, Nibble::pack)
    installer.install(ModelSource { File(arguments[1]).inputStream() }).collect { println(it.step) }
}

private const val VICTIM = "dev.nibble.examples.reply.InstallerTestKt"
