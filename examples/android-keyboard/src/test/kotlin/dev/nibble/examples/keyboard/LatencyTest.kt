package dev.nibble.examples.keyboard

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.Canvas
import android.text.InputType
import android.view.MotionEvent
import android.view.View
import dev.nibble.Edit
import dev.nibble.Strip
import dev.nibble.Touch
import dev.nibble.examples.PowerManagerOfTests
import dev.nibble.examples.all
import dev.nibble.examples.installModel
import dev.nibble.examples.link
import dev.nibble.examples.waitFor
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.onEach
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config

/** What a key takes, from the touch to the strip that is painted. The times are printed, and nothing is asked of them. */
@RunWith(RobolectricTestRunner::class)
@Config(shadows = [PowerManagerOfTests::class])
class LatencyTest {
    private val app get() = RuntimeEnvironment.getApplication() as KeyboardApp
    private val editor = FakeEditor()
    private val strips = mutableListOf<Pair<Strip, Long>>()

    /** Nanoseconds that a key took in the session, and a question for which it computes nothing: the way through the binding. */
    private var inKeys = 0L
    private var inQuestions = 0L

    @Test
    fun `from a touch to the strip`() {
        installModel(app)
        link(app, "words/lexicon.fst", "NIBBLE_TEST_LEXICON")
        app.start()
        waitFor("the model and the word list") { app.keyboard.value != null && app.words.state.value == WordListState.READY }
        val scope = CoroutineScope(Dispatchers.Main.immediate)
        val typing = Typing(editor.gateway(), { field, around -> app.typist(field, around)?.let(::Timed) }, scope, { 0 })
        val view = InputView(Robolectric.buildActivity(Activity::class.java).setup().get(), handOn(typing), Repeat(scope))
        view.show(typing.state.value)
        view.measure(View.MeasureSpec.makeMeasureSpec(WIDTH, View.MeasureSpec.EXACTLY), View.MeasureSpec.UNSPECIFIED)
        view.layout(0, 0, view.measuredWidth, view.measuredHeight)
        val canvas = Canvas(Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888))
        typing.begin(InputField(capitals = InputType.TYPE_TEXT_FLAG_CAP_SENTENCES))
        waitFor("the first strip") { typing.state.value.strip?.refined == true }

        val rows = TEXT.map { character ->
            val key = view.all().filterIsInstance<KeyView>().first { it.key.action == Action.Type(character.toString()) }
            strips.clear()
            inKeys = 0
            inQuestions = 0
            val start = System.nanoTime()
            for (action in listOf(MotionEvent.ACTION_DOWN, MotionEvent.ACTION_UP)) {
                key.dispatchTouchEvent(MotionEvent.obtain(0, 0, action, key.width / 2f, key.height / 2f, 0))
            }
            val typed = System.nanoTime()
            waitFor("the strip") { typing.state.value.strip?.refined == true && strips.isNotEmpty() }
            val came = System.nanoTime()
            assertTrue(strips.last().first.refined)
            view.show(typing.state.value)
            val shown = System.nanoTime()
            view.draw(canvas)
            val painted = System.nanoTime()
            val (glanced, refined) = strips.first().second to strips.last().second
            val inApp = typed - start - inKeys - inQuestions + (shown - came)
            listOf(inApp, painted - shown, inQuestions, inKeys, glanced - typed, refined - typed)
        }
        assertEquals(TEXT, editor.before.toString().lowercase())
        val medians = rows.first().indices.map { column -> rows.map { it[column] }.sorted()[rows.size / 2] / 1e6 }
        val line = "a key, median ms: app %.2f, painting in software %.2f; way through the binding %.3f; " +
            "core: key %.3f, then what is known after %.1f, what the model finds after %.1f"
        println(line.format(*medians.toTypedArray()))
    }

    private fun handOn(typing: Typing) = object : Listener {
        override fun press(action: Action, touch: Touch?) = typing.press(action, touch)

        override fun lockCapitals() = Unit

        override fun take(slot: Slot) = typing.take(slot)

        override fun openSettings() = Unit

        override fun chooseKeyboard() = Unit
    }

    /** Takes the time of what it hands on. */
    private inner class Timed(private val typist: Typist) : Typist by typist {
        override val strips = typist.strips.onEach { this@LatencyTest.strips += it to System.nanoTime() }

        override fun type(text: String, touch: Touch?): Edit {
            val start = System.nanoTime()
            return typist.type(text, touch).also { inKeys += System.nanoTime() - start }
        }

        override val beginsSentence: Boolean
            get() {
                val start = System.nanoTime()
                return typist.beginsSentence.also { inQuestions += System.nanoTime() - start }
            }
    }

    private companion object {
        const val WIDTH = 720
        const val TEXT = "see you at the station in the morning "
    }
}
