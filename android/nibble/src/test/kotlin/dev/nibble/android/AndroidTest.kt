package dev.nibble.android

import android.app.ActivityManager.MemoryInfo
import android.content.ComponentCallbacks
import android.content.ComponentCallbacks2.TRIM_MEMORY_BACKGROUND
import android.content.ComponentCallbacks2.TRIM_MEMORY_COMPLETE
import android.content.ComponentCallbacks2.TRIM_MEMORY_MODERATE
import android.content.ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL
import android.content.ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW
import android.content.ComponentCallbacks2.TRIM_MEMORY_RUNNING_MODERATE
import android.content.ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN
import android.content.ComponentCallbacks2
import android.content.Context
import android.content.ContextWrapper
import android.content.res.AssetFileDescriptor
import android.content.res.AssetFileDescriptor.UNKNOWN_LENGTH
import android.os.ParcelFileDescriptor
import android.os.PowerManager
import android.text.InputType
import android.view.inputmethod.EditorInfo
import com.sun.jna.Function
import dev.nibble.Field
import dev.nibble.MemoryPressure
import dev.nibble.ModelOptions
import dev.nibble.Nibble
import dev.nibble.NibbleException
import dev.nibble.PowerState
import dev.nibble.Session
import dev.nibble.SessionOptions
import dev.nibble.Stop
import dev.nibble.TestModel
import dev.nibble.text
import java.io.Closeable
import java.io.File
import java.io.FileNotFoundException
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlin.test.fail
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.io.TempDir

/** What the classes for Android do that does not need Android: its own classes are there, and what they call is not. */
class AndroidTest {
    private val unchecked = ModelOptions(checkWeights = false)

    @Test
    @Suppress("DEPRECATION")
    fun `every level of memory asks for what it is about`() {
        val expected = mapOf(
            TRIM_MEMORY_RUNNING_MODERATE to MemoryPressure.MODERATE,
            TRIM_MEMORY_RUNNING_LOW to MemoryPressure.LOW,
            TRIM_MEMORY_RUNNING_CRITICAL to MemoryPressure.CRITICAL,
            TRIM_MEMORY_UI_HIDDEN to null,
            TRIM_MEMORY_BACKGROUND to null,
            TRIM_MEMORY_MODERATE to MemoryPressure.LOW,
            TRIM_MEMORY_COMPLETE to MemoryPressure.CRITICAL,
        )
        val plenty = { memory(available = 4_000, threshold = 1_000) }
        assertEquals(expected, expected.mapValues { (level, _) -> memoryPressure(level, plenty) })
        assertEquals(null, memoryPressure(0, plenty))
    }

    /** Newer phones send no other level that is about memory. */
    @Test
    fun `in the background every pressure comes of how much memory is left`() {
        fun pressure(available: Long, low: Boolean = false) =
            memoryPressure(TRIM_MEMORY_BACKGROUND) { memory(available, threshold = 1_000, low) }
        assertEquals(null, pressure(available = 4_000))
        for (available in listOf(2_000L, 3_999L)) assertEquals(MemoryPressure.MODERATE, pressure(available))
        assertEquals(MemoryPressure.LOW, pressure(available = 1_999))
        assertEquals(MemoryPressure.CRITICAL, pressure(available = 999, low = true))
        // Nobody asks the system for another level, nor when only the screen has changed.
        for (level in listOf(TRIM_MEMORY_UI_HIDDEN, 0)) assertEquals(null, memoryPressure(level) { fail("it was asked") })
    }

    private fun memory(available: Long, threshold: Long, low: Boolean = false) = MemoryInfo().apply {
        availMem = available
        this.threshold = threshold
        lowMemory = low
    }

    @Test
    fun `heat counts for more than the battery saver`() {
        val heat = listOf(
            PowerManager.THERMAL_STATUS_NONE to null,
            PowerManager.THERMAL_STATUS_LIGHT to null,
            PowerManager.THERMAL_STATUS_MODERATE to null,
            PowerManager.THERMAL_STATUS_SEVERE to PowerState.HOT,
            PowerManager.THERMAL_STATUS_CRITICAL to PowerState.CRITICAL,
            PowerManager.THERMAL_STATUS_EMERGENCY to PowerState.CRITICAL,
            PowerManager.THERMAL_STATUS_SHUTDOWN to PowerState.CRITICAL,
        )
        for ((status, state) in heat) {
            assertEquals(state ?: PowerState.NORMAL, powerState(saving = false, status))
            assertEquals(state ?: PowerState.SAVING, powerState(saving = true, status))
        }
    }

    /** Of the memory that a model gives back its mapping can be seen from here. */
    @Test
    @Suppress("DEPRECATION")
    fun `a model hears of memory until it is detached, or closed`() = runBlocking {
        val app = App()
        val mappings = TestModel.mappings()
        fun mapped() = TestModel.mappings() - mappings
        val model = Nibble.open(TestModel.path, unchecked)
        val attached = model.attachTo(app)
        val callbacks = assertIs<ComponentCallbacks2>(app.registered.single())
        assertEquals(1, mapped())
        callbacks.onTrimMemory(TRIM_MEMORY_UI_HIDDEN)
        callbacks.onTrimMemory(TRIM_MEMORY_BACKGROUND)
        assertEquals(1, mapped())
        callbacks.onTrimMemory(TRIM_MEMORY_RUNNING_CRITICAL)
        assertEquals(0, mapped())
        model.tokenize("comes back")
        assertEquals(1, mapped())
        callbacks.onLowMemory()
        assertEquals(0, mapped())
        attached.close()
        assertEquals(emptyList<ComponentCallbacks>(), app.registered)

        model.attachTo(app)
        model.close()
        app.registered.single().onLowMemory()
        assertEquals(emptyList<ComponentCallbacks>(), app.registered, "it is still called for a model that is closed")
    }

    @Test
    fun `an asset is opened where it lies`() = runBlocking {
        val length = File(TestModel.path).length()
        val number = Function.getFunction("c", "open").invokeInt(arrayOf(TestModel.path, 0))
        fun asset(size: Long, declared: Long) = AssetFileDescriptor(Descriptor(number, size), 0, declared)
        for (asset in listOf(asset(length, length), asset(length, UNKNOWN_LENGTH))) {
            Nibble.open(asset, unchecked).use { assertEquals(TestModel.shared.info, it.info) }
            assertEquals(Nibble.memoryPlan(TestModel.path), Nibble.memoryPlan(asset))
        }
        // What a pipe says of itself.
        val pipe = assertFailsWith<NibbleException.InvalidArgument> { Nibble.open(asset(-1, UNKNOWN_LENGTH), unchecked) }
        assertContains(pipe.message!!, "copy it to a file")
        assertEquals(0, Function.getFunction("c", "close").invokeInt(arrayOf(number)))
        assertFailsWith<NibbleException.Io> { Nibble.open(asset(length, length), unchecked) }
        Unit
    }

    @Test
    fun `an asset that is compressed is told from one that is not there`() {
        val missing = { _: String -> throw FileNotFoundException("it is probably compressed") }
        val stream = { _: String -> Closeable { } }
        assertEquals("there", descriptor("words.nibble", { "there" }, missing))
        val compressed = assertFailsWith<NibbleException.InvalidArgument> { descriptor("words.nibble", missing, stream) }
        assertContains(compressed.message!!, "androidResources { noCompress += \"nibble\" }")
        val absent = assertFailsWith<NibbleException.ModelNotFound> { descriptor("words.nibble", missing, missing) }
        assertContains(absent.message!!, "words.nibble")
        assertFailsWith<NibbleException.LexiconUnfit> {
            descriptor("words.fst", missing, missing, NibbleException::LexiconUnfit)
        }
        Unit
    }

    @Test
    fun `a word list may be an asset`(@TempDir folder: File) = runBlocking {
        val words = File(System.getProperty("nibble.conformance"), "words-en.fst").readBytes()
        val file = folder.resolve("package")
        file.writeBytes("head".toByteArray() + words + "tail".toByteArray())
        val number = Function.getFunction("c", "open").invokeInt(arrayOf(file.path, 0))
        fun asset(offset: Long, declared: Long) = AssetFileDescriptor(Descriptor(number, file.length()), offset, declared)
        Nibble.openLexicon(asset(4, words.size.toLong())).use { assertTrue(it.size > 100) }
        val cut = assertFailsWith<NibbleException.LexiconUnfit> { Nibble.openLexicon(asset(4, 1_000)) }
        assertContains(cut.message!!, "in the open file")
        assertFailsWith<NibbleException.LexiconUnfit> { Nibble.openLexicon(asset(0, UNKNOWN_LENGTH)) }
        assertEquals(0, Function.getFunction("c", "close").invokeInt(arrayOf(number)))
    }

    @Test
    fun `a snapshot may be an asset`(@TempDir folder: File) = runBlocking {
        val (snapshot, file) = folder.resolve("prompt.snapshot") to folder.resolve("package")
        val options = SessionOptions(context = 64, threads = 1)
        suspend fun Session.write() = generate("The capital of France is", stop = Stop(maxTokens = 6)).text()
        val expected = TestModel.shared.session(options).use { session ->
            session.write().also { session.saveSnapshot(snapshot.path) }
        }
        file.writeBytes("head".toByteArray() + snapshot.readBytes() + "tail".toByteArray())
        val number = Function.getFunction("c", "open").invokeInt(arrayOf(file.path, 0))
        fun asset(offset: Long, declared: Long) = AssetFileDescriptor(Descriptor(number, file.length()), offset, declared)
        TestModel.shared.session(options).use { session ->
            val cut = assertFailsWith<NibbleException.SnapshotUnfit> { session.restoreSnapshot(asset(4, 1_000)) }
            assertContains(cut.message!!, "in the open file")
            assertFailsWith<NibbleException.InvalidArgument> { session.restoreSnapshot(number, -4, 1_000) }
            assertTrue(session.restoreSnapshot(asset(4, snapshot.length())) >= 5)
            assertEquals(0, Function.getFunction("c", "close").invokeInt(arrayOf(number)))
            assertEquals(expected, session.write())
        }
    }

    @Test
    fun `what is secret is told from its type`() {
        val text = InputType.TYPE_CLASS_TEXT
        val search = EditorInfo.IME_ACTION_SEARCH
        val unlearned = EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING
        val expected = mapOf(
            (text to 0) to Field.TEXT,
            (text or InputType.TYPE_TEXT_VARIATION_SHORT_MESSAGE or InputType.TYPE_TEXT_FLAG_MULTI_LINE to 0) to Field.TEXT,
            (text to search) to Field.SEARCH,
            (text to (search or unlearned)) to Field.NO_LEARNING,
            (text or InputType.TYPE_TEXT_VARIATION_EMAIL_ADDRESS to 0) to Field.EMAIL,
            (text or InputType.TYPE_TEXT_VARIATION_WEB_EMAIL_ADDRESS to search) to Field.EMAIL,
            (text or InputType.TYPE_TEXT_VARIATION_URI to unlearned) to Field.URL,
            (text or InputType.TYPE_TEXT_VARIATION_PASSWORD to 0) to Field.PASSWORD,
            (text or InputType.TYPE_TEXT_VARIATION_VISIBLE_PASSWORD to unlearned) to Field.PASSWORD,
            (text or InputType.TYPE_TEXT_VARIATION_WEB_PASSWORD to search) to Field.PASSWORD,
            (InputType.TYPE_CLASS_NUMBER to 0) to Field.NUMBER,
            (InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_VARIATION_PASSWORD to 0) to Field.NUMBER,
            (InputType.TYPE_CLASS_PHONE to 0) to Field.NUMBER,
            (InputType.TYPE_CLASS_DATETIME to 0) to Field.NUMBER,
            (InputType.TYPE_NULL to 0) to Field.PASSWORD,
        )
        assertEquals(expected, expected.mapValues { (said, _) -> field(said.first, said.second) })
        assertEquals(Field.EMAIL, EditorInfo().apply { inputType = text or InputType.TYPE_TEXT_VARIATION_EMAIL_ADDRESS }.field)
    }

    @Test
    fun `a session of hints is about the workers that there are`() {
        val log = mutableListOf<String>()
        var workers = intArrayOf()
        val hints = HintSessions({ workers.clone() }) { threads ->
            val name = threads.joinToString("+")
            log += "open $name"
            // A phone may say that it takes no hints.
            if (9 in threads) null else object : HintSession {
                override fun report(nanoseconds: Long) {
                    log += "$name: $nanoseconds"
                }

                override fun close() {
                    log += "close $name"
                }
            }
        }
        hints.report(1)
        for ((now, time) in listOf(intArrayOf(5, 4) to 2L, intArrayOf(4, 5) to 3L, intArrayOf(9) to 4L, intArrayOf(6) to 5L)) {
            workers = now
            hints.report(time)
        }
        hints.close()
        hints.report(6)
        hints.close()
        assertEquals(listOf("open 4+5", "4+5: 2", "4+5: 3", "close 4+5", "open 9", "open 6", "6: 5", "close 6"), log)
    }

    /** An app that only keeps who wants to be called. */
    private class App : ContextWrapper(null) {
        val registered = mutableListOf<ComponentCallbacks>()

        override fun getApplicationContext(): Context = this

        override fun getSystemService(name: String): Any? = null

        override fun registerComponentCallbacks(callback: ComponentCallbacks) {
            registered += callback
        }

        override fun unregisterComponentCallbacks(callback: ComponentCallbacks) {
            registered -= callback
        }
    }

    /** An open file of this number. */
    private class Descriptor(private val number: Int, private val size: Long) : ParcelFileDescriptor(null as ParcelFileDescriptor?) {
        override fun getFd() = number

        override fun getStatSize() = size
    }
}
