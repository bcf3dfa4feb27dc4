package dev.nibble

import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.io.TempDir

/** What a session has computed, on file. */
class SnapshotTest {
    @TempDir
    lateinit var folder: File

    private val model = TestModel.shared
    private val file get() = folder.resolve("session.snapshot")

    @Test
    fun `a session goes on where another one was saved`() = runBlocking {
        val beginning = "The quick brown fox jumps over the lazy dog. ".repeat(12)
        val stop = Stop(maxTokens = 6)
        val tokens = model.tokenize(beginning).size
        val expected = model.session(options).use { session ->
            session.generate(beginning, stop = Stop(maxTokens = 1)).collect()
            session.saveSnapshot(file.path)
            session.generate(beginning + "Then", stop = stop).toList()
        }
        model.session(options).use { session ->
            val restored = session.restoreSnapshot(file.path)
            assertTrue(restored in tokens..tokens + 2, "$restored of $tokens tokens were restored")
            assertEquals(expected, session.generate(beginning + "Then", stop = stop).toList())
            assertEquals(restored, session.restoreSnapshot(file.path))
        }
    }

    @Test
    fun `a snapshot that does not fit is refused, and the session is as it was`() = runBlocking {
        model.session(options).use { session ->
            assertFailsWith<NibbleException.InvalidArgument>("nothing was computed") { session.saveSnapshot(file.path) }
            assertFailsWith<NibbleException.ModelNotFound> { session.restoreSnapshot(file.path) }
            val text = session.generate("The capital of France is", stop = Stop(maxTokens = 6))
            val expected = text.toList()
            session.saveSnapshot(file.path)

            val damaged = folder.resolve("damaged.snapshot")
            damaged.writeBytes(file.readBytes().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() })
            assertFailsWith<NibbleException.SnapshotUnfit> { session.restoreSnapshot(damaged.path) }
            damaged.writeBytes(ByteArray(100))
            assertFailsWith<NibbleException.SnapshotUnfit> { session.restoreSnapshot(damaged.path) }
            assertEquals(expected, text.toList())

            for (other in listOf(options.copy(kvCache = KvCache.Q8), options.copy(context = 4))) {
                model.session(other).use { assertFailsWith<NibbleException.SnapshotUnfit> { it.restoreSnapshot(file.path) } }
            }
            assertFailsWith<NibbleException.Io> { session.saveSnapshot(file.resolve("session.snapshot").path) }
            session.close()
            assertFailsWith<NibbleException.Closed> { session.saveSnapshot(file.path) }
            assertFailsWith<NibbleException.Closed> { session.restoreSnapshot(file.path) }
        }
        random { other -> assertFailsWith<NibbleException.SnapshotUnfit> { other.restoreSnapshot(file.path) } }
    }

    /** A session over another model. */
    private suspend fun random(use: suspend (Session) -> Unit) {
        val packed = folder.resolve("random.nibble")
        Nibble.pack(RandomModel.write(folder.resolve("random.gguf")).path, packed.path).collect()
        Nibble.open(packed.path).use { model -> model.session(SessionOptions(context = 64)).use { use(it) } }
    }

    private companion object {
        val options = SessionOptions(context = 256)
    }
}
