package dev.nibble

import java.io.File
import java.time.Instant
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.io.TempDir

/** Models by name, in a folder of the app. */
class ModelStoreTest {
    @TempDir
    lateinit var folder: File

    private lateinit var first: File
    private lateinit var second: File
    private val directory get() = folder.resolve("models")

    @BeforeTest
    fun write() {
        first = RandomModel.write(folder.resolve("first.gguf"), seed = 1)
        second = RandomModel.write(folder.resolve("second.gguf"), seed = 2)
    }

    @Test
    fun `what is installed is found by its name, by another store too`() = runBlocking {
        val before = Instant.now().minusSeconds(1)
        ModelStore.open(directory.path).use { store ->
            assertEquals(emptyList(), store.installed())
            val progress = store.install("words", first.path, sha256(first)).last()
            assertEquals(progress.total, progress.done)
            // A packed file is as good.
            store.install("copy", store.path("words")).collect()
        }
        ModelStore.open(directory.path).use { store ->
            val installed = store.installed().associateBy { it.name }
            assertEquals(setOf("words", "copy"), installed.keys)
            for ((name, model) in installed) {
                assertEquals(sha256(first), model.sourceSha256)
                assertEquals(File(model.path).length(), model.bytes)
                assertTrue(model.lastUsed >= before, "${model.lastUsed} is before $before")
                assertEquals(model.path, store.path(name))
            }
            store.open("words").use { assertEquals("Random", it.info.name) }
            val needed = Nibble.memoryPlan(store.path("words")).session
            assertEquals(setOf("words", "copy"), store.fitting(needed).map { it.name }.toSet())
            assertEquals(emptyList(), store.fitting(needed - 1))
            store.remove("copy")
            assertEquals(listOf("words"), store.installed().map { it.name })
            assertFailsWith<NibbleException.ModelNotFound> { store.path("copy") }
            assertFailsWith<NibbleException.ModelNotFound> { store.open("copy") }
            store.remove("copy")
        }
    }

    @Test
    fun `an upgrade takes the place of a model that is open, and of no model if it fails`() = runBlocking {
        ModelStore.open(directory.path).use { store ->
            store.install("words", first.path).collect()
            store.open("words").use { old ->
                suspend fun text(of: Model) = of.session(small).use { it.generate("Hello", stop = Stop(8)).text() }
                val expected = text(old)
                assertFailsWith<NibbleException.ModelDamaged> { store.install("words", second.path, sha256(first)).collect() }
                assertEquals(sha256(first), store.installed().single().sourceSha256)
                store.install("words", second.path).collect()
                store.open("words").use { assertEquals(sha256(second), it.info.sourceSha256) }
                assertEquals(expected, text(old))
                store.remove("words")
                assertEquals(expected, text(old))
            }
        }
    }

    @Test
    fun `a quota is kept, by the models that were not used for longest`() = runBlocking {
        val size = ModelStore.open(directory.path).use { store ->
            store.install("first", first.path).collect()
            store.installed().single().bytes
        }
        ModelStore.open(directory.path, quota = 2 * size + size / 2).use { store ->
            store.install("second", second.path).collect()
            // Times are to the second.
            used(store.path("first"), Instant.now().minusSeconds(20))
            used(store.path("second"), Instant.now().minusSeconds(10))
            store.install("third", second.path).collect()
            assertEquals(setOf("second", "third"), store.installed().map { it.name }.toSet())
        }
        ModelStore.open(directory.path, quota = size / 2).use { store ->
            assertFailsWith<NibbleException.StorageFull> { store.install("fourth", first.path).collect() }
        }
        assertFailsWith<NibbleException.InvalidArgument> { ModelStore.open(directory.path, quota = -1) }
        Unit
    }

    @Test
    fun `a signed model is downloaded after a break, and installed`() = runBlocking {
        fun file(name: String) = File(System.getProperty("nibble.conformance"), name)
        val (content, manifest) = file("base.gguf").readBytes() to file("base.manifest.json").readBytes()
        val keys = listOf(file("base.public-key").readText().trim())
        ModelStore.open(directory.path).use { store ->
            store.download(manifest, keys).use { download ->
                assertEquals("base", download.manifest.name)
                assertEquals(content.size.toLong(), download.manifest.length)
                assertFailsWith<NibbleException.InvalidArgument> { download.install().collect() }
                assertFailsWith<NibbleException.ModelDamaged> { download.write(0, ByteArray(content.size)) }
                download.write(0, content.copyOf(5000))
                assertEquals(listOf(5000L until content.size), download.missing())
            }
            store.download(manifest, keys).use { download ->
                // What was not a whole chunk is gone when the download is.
                for (missing in download.missing()) {
                    download.write(missing.first, content.copyOfRange(missing.first.toInt(), missing.last.toInt() + 1))
                }
                assertEquals(emptyList(), download.missing())
                val progress = download.install().last()
                assertEquals(progress.total, progress.done)
                assertEquals(download.manifest.sha256, store.installed().single().sourceSha256)
            }
            assertFailsWith<NibbleException.ModelNotFound> { store.rollback("base") }
            assertFailsWith<NibbleException.ManifestUntrusted> { store.download(manifest, emptyList()) }
            assertFailsWith<NibbleException.ManifestUnfit> { store.download(ByteArray(2), keys) }
            assertFailsWith<NibbleException.MemoryLimit> { store.download(manifest, keys, memory = 999) }
            Unit
        }
    }

    @Test
    fun `a newer model is rolled back, and an older one taken only where somebody says so`() = runBlocking {
        fun file(name: String) = File(System.getProperty("nibble.conformance"), name)
        val older = file("base.gguf").readBytes() to file("base.manifest.json").readBytes()
        val newer = older.first + ByteArray(32) to file("base-newer.manifest.json").readBytes()
        val keys = listOf(file("base.public-key").readText().trim())
        ModelStore.open(directory.path).use { store ->
            val sources = listOf(older, newer).map { (content, manifest) ->
                store.download(manifest, keys).use { download ->
                    download.write(0, content)
                    download.install().collect()
                    download.manifest.sha256
                }
            }
            val installed = suspend { store.installed().single().sourceSha256 }
            assertEquals(sources[1], installed())
            store.rollback("base")
            assertEquals(sources[0], installed())
            assertFailsWith<NibbleException.ModelNotFound> { store.rollback("base") }
            assertFailsWith<NibbleException.ManifestOlder> { store.download(older.second, keys) }
            store.download(older.second, keys, allowOlder = true).close()
        }
    }

    private fun used(path: String, at: Instant) = assertTrue(File(path).setLastModified(at.toEpochMilli()))

    @Test
    fun `who has enough stops an installation, and nothing of it is left`() = runBlocking {
        ModelStore.open(directory.path).use { store ->
            val installing = launch { store.install("words", TestModel.path).collect() }
            installing.awaitThreads(1, RUN)
            installing.cancelAndJoin()
            assertEquals(emptySet(), threadsIn(RUN))
            assertEquals(emptyList(), store.installed())
            val left = directory.walk().filter { it.isFile }.sumOf { it.length() }
            assertTrue(left < 1_000, "$left bytes are left")
        }
    }

    @Test
    fun `names are names, and a closed store says so`() = runBlocking {
        val store = ModelStore.open(directory.path)
        for (name in listOf("", "..", "a/b", "../words")) {
            assertFailsWith<NibbleException.InvalidArgument> { store.install(name, first.path).collect() }
        }
        store.close()
        store.close()
        assertFailsWith<NibbleException.Closed> { store.installed() }
        assertFailsWith<NibbleException.Closed> { store.install("words", first.path).collect() }
        assertFailsWith<NibbleException.Closed> { store.open("words") }
        assertFailsWith<NibbleException.Closed> { store.remove("words") }
        Unit
    }

    private companion object {
        /** The native call that installs. */
        const val RUN = "uniffi_nibble_ffi_fn_method_packing_run"
        val small = SessionOptions(context = 64)
    }
}
