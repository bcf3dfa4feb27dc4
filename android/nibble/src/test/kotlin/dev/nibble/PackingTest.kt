package dev.nibble

import java.io.File
import java.nio.file.Path
import java.security.MessageDigest
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.io.TempDir

/** A GGUF file becomes a packed file, whole or not at all. */
class PackingTest {
    @TempDir
    lateinit var folder: File

    private lateinit var source: File
    private lateinit var target: File

    @BeforeTest
    fun write() {
        source = RandomModel.write(folder.resolve("model.gguf"))
        target = folder.resolve("model.nibble")
    }

    @Test
    fun `a packed model is the one that was packed`() = runBlocking {
        val sha256 = sha256(source)
        val flow = Nibble.pack(source.path, target.path, sha256)
        assertTrue(!target.exists(), "a flow is cold")
        val progress = flow.toList()
        assertEquals(progress.last().total, progress.last().done)
        assertTrue(progress.last().total > 0)
        assertEquals(progress.sortedBy { it.done }, progress)
        Nibble.open(target.path).use { assertEquals(sha256 to "Random", it.info.sourceSha256 to it.info.name) }
        assertEquals(progress.last(), flow.last(), "again, over the one that is there")
    }

    @Test
    fun `a base model follows no chat`() = runBlocking {
        Nibble.pack(source.path, target.path).collect()
        Nibble.open(target.path).use { model ->
            assertTrue(!model.info.hasChatTemplate)
            model.session(SessionOptions(context = 64)).use { session ->
                assertFailsWith<NibbleException.NoChatTemplate> { session.chat(listOf(Message(Role.USER, "Hello"))).first() }
                assertEquals(3, session.generate("Hello", stop = Stop(maxTokens = 3)).toList().size)
            }
        }
    }

    @Test
    fun `what goes wrong leaves no file`() = runBlocking {
        suspend fun pack(of: File, sha256: String? = null) = Nibble.pack(of.path, target.path, sha256).collect()
        assertFailsWith<NibbleException.ModelNotFound> { pack(folder.resolve("missing.gguf")) }
        assertFailsWith<NibbleException.ModelDamaged> { pack(source, "0".repeat(64)) }
        assertFailsWith<NibbleException.InvalidArgument> { pack(source, "12") }
        val cut = folder.resolve("cut.gguf").apply { writeBytes(source.readBytes().copyOf(200_000)) }
        assertFailsWith<NibbleException.ModelDamaged> { pack(cut) }
        val foreign = folder.resolve("foreign.gguf").apply { writeText("no model") }
        assertFailsWith<NibbleException.ModelDamaged> { pack(foreign) }
        assertEquals(setOf("model.gguf", "cut.gguf", "foreign.gguf"), folder.list()!!.toSet())
    }

    @Test
    fun `a file in the place of a folder is an error of the system`() = runBlocking {
        val below = source.resolve("model.nibble")
        assertFailsWith<NibbleException.Io> { Nibble.pack(source.path, below.path).collect() }
        assertFailsWith<NibbleException.Io> { Nibble.open(below.path) }
        assertFailsWith<NibbleException.Io> { ModelStore.open(source.path) }
        Unit
    }

    /** On a file system of 200 KB, which a process may mount in a user namespace of its own. */
    @Test
    fun `a full storage is an error of its own, and leaves no file`(@TempDir small: Path) {
        val mount = "mount -t tmpfs -o size=200k none '$small'"
        fun run(command: String) = ProcessBuilder("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "$mount && $command")
            .redirectErrorStream(true).start()
        val possible = runCatching { run("true").waitFor() == 0 }.getOrDefault(false)
        assumeTrue(possible, "this system does not let a test mount a file system: a full storage was not tested")
        val command = javaCommand("dev.nibble.WithFullStorageKt", source.path, "$small")
        val process = run(command.joinToString(" ") { "'$it'" })
        assertEquals("StorageFull []", process.inputStream.bufferedReader().readText().trim())
    }

    @Test
    fun `every error of the native side is one of ours`() {
        val natives = dev.nibble.ffi.NibbleException::class.sealedSubclasses
        val names = natives.filter { it.simpleName != "Cancelled" }.map { native ->
            val constructor = native.constructors.single()
            val arguments = constructor.parameters.map { if (it.type.classifier == String::class) "a reason" else 7uL }
            val error = constructor.call(*arguments.toTypedArray()).toPublic()
            assertEquals("a reason", error.message)
            assertNull(error.cause)
            assertEquals(native.simpleName, error::class.simpleName)
            error::class.simpleName
        }
        val ours = NibbleException::class.sealedSubclasses.map { it.simpleName }
        assertEquals(ours.toSet() - "LibraryUnavailable", names.toSet())
        val page = File(System.getProperty("nibble.readme")).readText()
        assertEquals(ours.toSet(), Regex("(?m)^\\| `(\\w+)`.*\\|.*\\|.*\\|$").findAll(page).map { it.groupValues[1] }.toSet())
    }
}

internal fun sha256(file: File): String =
    MessageDigest.getInstance("SHA-256").digest(file.readBytes()).joinToString("") { "%02x".format(it) }
