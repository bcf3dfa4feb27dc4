// What the tests of both samples need, to run a whole app on Android's own code.
package dev.nibble.examples

import android.content.Context
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Canvas
import android.os.Looper
import android.os.PowerManager
import android.view.View
import android.view.ViewGroup
import java.io.File
import java.nio.file.Files
import java.util.concurrent.Executor
import kotlin.math.abs
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlin.test.fail
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.shadows.ShadowPowerManager

/** Puts the model where an app has it when it is installed. */
fun installModel(context: Context) = link(context, "model/model.nibble", "NIBBLE_TEST_MODEL")

/** Puts the file that an environment variable names where an app has its own. */
fun link(context: Context, place: String, variable: String) {
    val target = testFile(variable)
    val path = context.noBackupFilesDir.resolve(place).toPath()
    Files.createDirectories(path.parent)
    if (!Files.exists(path)) Files.createSymbolicLink(path, target.toPath())
}

/** The file that an environment variable names. */
fun testFile(variable: String) =
    File(checkNotNull(System.getenv(variable)) { "$variable is not set: cargo xtask test --only samples sets it" })

/** A view, drawn, beside the picture that is committed. */
fun compareScreenshot(view: View, name: String = "screenshot.png") {
    val drawn = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
    view.draw(Canvas(drawn))
    val file = File(System.getProperty("made"), name)
    file.outputStream().use { drawn.compress(Bitmap.CompressFormat.PNG, 100, it) }
    val expected = BitmapFactory.decodeFile(name) ?: fail("there is no $name; $file is what it looks like")
    assertEquals(expected.width to expected.height, drawn.width to drawn.height)
    val different = (0 until drawn.height).sumOf { y -> (0 until drawn.width).count { x -> differ(drawn.getPixel(x, y), expected.getPixel(x, y)) } }
    val share = 100.0 * different / (drawn.width * drawn.height)
    assertTrue(share <= 1, "$share % of the pixels differ; if that is how it should look, copy $file over $name")
}

private fun differ(one: Int, other: Int) = listOf(0, 8, 16).any { abs((one shr it and 255) - (other shr it and 255)) > 32 }

/** Runs what the main thread has to do. */
fun settle() = shadowOf(Looper.getMainLooper()).idle()

/** Nobody waits that long: the limit is there so that a test which hangs ends. */
fun waitFor(what: String, step: () -> Unit = ::settle, condition: () -> Boolean) {
    val end = System.nanoTime() + 30_000_000_000
    while (!condition()) {
        if (System.nanoTime() > end) fail("$what did not come")
        step()
        Thread.sleep(2)
    }
}

/** A view and everything in it. */
fun View.all(): List<View> = listOf(this) + ((this as? ViewGroup)?.let { group -> (0 until group.childCount).flatMap { group.getChildAt(it).all() } }.orEmpty())

/** Robolectric's own has no thermometer to listen to. */
@Implements(PowerManager::class)
class PowerManagerOfTests : ShadowPowerManager() {
    @Implementation
    @Suppress("UNUSED_PARAMETER")
    fun addThermalStatusListener(executor: Executor, listener: PowerManager.OnThermalStatusChangedListener) = Unit
}
