package dev.nibble.examples.reply

import android.app.Activity
import android.content.ContentProvider
import android.content.ContentValues
import android.content.Intent
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.Looper
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import android.view.View
import android.widget.TextView
import dev.nibble.examples.ModelState
import dev.nibble.examples.PowerManagerOfTests
import dev.nibble.examples.Progress
import dev.nibble.examples.testFile
import dev.nibble.examples.waitFor
import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** From the file picker to the model, with a provider of files beside the app. */
@RunWith(RobolectricTestRunner::class)
@Config(shadows = [PowerManagerOfTests::class])
class PickerTest {
    private val app get() = RuntimeEnvironment.getApplication() as ReplyApp
    private val provider = Robolectric.setupContentProvider(Files::class.java, "files")
    private val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()

    private fun model() = activity.findViewById<TextView>(R.id.model).text

    private fun pick() {
        waitFor("the button") { activity.findViewById<View>(R.id.choose).isShown }
        activity.findViewById<View>(R.id.choose).performClick()
        val asked = shadowOf(activity).nextStartedActivityForResult.intent
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, asked.action)
        shadowOf(activity).receiveResult(asked, Activity.RESULT_OK, Intent().setData(Uri.parse("content://files/model")))
    }

    @Test
    fun `a GGUF file that is picked is copied, packed and opened, and one sees how far it is`() {
        provider.file = testFile("NIBBLE_TEST_GGUF")
        val seen = mutableListOf<ModelState>()
        val scope = CoroutineScope(Dispatchers.Main.immediate)
        scope.launch { app.brain.state.collect(seen::add) }
        pick()
        waitFor("the model") { model() == app.getString(R.string.model_ready) }
        scope.cancel()
        val progress = seen.filterIsInstance<ModelState.Installing>().map { it.progress }
        for (step in Progress.Step.entries) assertTrue(progress.any { it.step == step && it.done in 1..<it.total }, "$step in $progress")
        assertEquals(progress.map { it.percent }.sorted(), progress.map { it.percent })
        assertEquals(listOf(ModelState.Opening, ModelState.Ready), seen.takeLast(2))
        assertEquals(listOf("model.nibble"), app.noBackupFilesDir.resolve("model").list()?.toList())
    }

    @Test
    fun `a provider that refuses is no crash, and is not waited for on the main thread`() {
        pick()
        waitFor("the answer") { model() == app.getString(R.string.model_unreadable) }
        assertTrue(activity.findViewById<View>(R.id.choose).isShown)
        assertFalse(provider.onMainThread)
    }
}

/** Hands out one file, if it has one. */
class Files : ContentProvider() {
    var file: File? = null
    var onMainThread = false

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        val file = file ?: throw SecurityException("the right to read it was taken back")
        return ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun query(uri: Uri, columns: Array<String>?, what: String?, values: Array<String>?, order: String?): Cursor {
        onMainThread = Looper.myLooper() == Looper.getMainLooper()
        return MatrixCursor(arrayOf(OpenableColumns.SIZE)).apply { addRow(arrayOf(file?.length())) }
    }

    override fun onCreate() = true

    override fun getType(uri: Uri) = "application/octet-stream"

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun delete(uri: Uri, what: String?, values: Array<String>?) = 0

    override fun update(uri: Uri, new: ContentValues?, what: String?, values: Array<String>?) = 0
}
