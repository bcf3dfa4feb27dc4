package dev.nibble.examples.reply

import android.app.Activity
import android.app.Notification
import android.app.PendingIntent
import android.app.Person
import android.app.RemoteInput
import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.content.res.Configuration
import android.graphics.drawable.Icon
import android.os.Bundle
import android.os.Looper
import android.os.Process
import android.service.notification.StatusBarNotification
import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.ListView
import android.widget.TextView
import dev.nibble.examples.PowerManagerOfTests
import dev.nibble.examples.all
import dev.nibble.examples.compareScreenshot
import dev.nibble.examples.installModel
import dev.nibble.examples.settle
import dev.nibble.examples.waitFor
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config

/** The whole app on Android's own code, with the real model and the library for this machine. */
@RunWith(RobolectricTestRunner::class)
@Config(shadows = [PowerManagerOfTests::class])
class AppTest {
    private val app get() = RuntimeEnvironment.getApplication() as ReplyApp

    @Test
    fun `without a model the app asks for one`() {
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        assertEquals(app.getString(R.string.model_missing), activity.words(R.id.model))
        assertEquals(View.VISIBLE, activity.findViewById<View>(R.id.choose).visibility)
    }

    @Test
    fun `with one it is ready, and shows the conversations of the demo`() {
        installModel(app)
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        waitFor("the model") { activity.words(R.id.model) == app.getString(R.string.model_ready) }
        assertEquals(app.conversations.all.value.size + 1, activity.findViewById<ListView>(R.id.conversations).count)
    }

    @Test
    fun `chips come, and everything has a name for TalkBack and room for a finger`() {
        val activity = chat().get()
        val chips = activity.chips()
        assertEquals(3, chips.map { it.text }.distinct().size)
        assertEquals(chips.map { "Suggested reply: ${it.text}" }, chips.map { it.contentDescription })
        for (view in activity.window.decorView.all().filter { it.isClickable && it.isShown && it !is ListView }) {
            val name = view.contentDescription ?: (view as? TextView)?.let { it.text.ifEmpty { it.hint } }
            assertFalse(name.isNullOrBlank(), "$view has no name")
            val dp = view.height / view.resources.displayMetrics.density
            assertTrue(dp >= 48, "$view is $dp dp high")
        }
    }

    @Test
    fun `it looks as in the picture`() = compareScreenshot(chat().get().window.decorView)

    @Test
    @Config(qualifiers = "+night")
    fun `it looks as in the picture in the dark`() = compareScreenshot(chat().get().window.decorView, "screenshot-dark.png")

    @Test
    fun `the conversations look as in the picture`() {
        installModel(app)
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        waitFor("the model") { activity.words(R.id.model) == app.getString(R.string.model_ready) }
        compareScreenshot(activity.window.decorView, "screenshot-conversations.png")
    }

    @Test
    fun `a draft streams, is stopped, edited and sent`() {
        val activity = chat().get()
        activity.beginDraft()
        assertEquals(app.getString(R.string.stop), activity.findViewById<View>(R.id.send).contentDescription)
        activity.click(R.id.send)
        val written = activity.words(R.id.field)
        settle()
        assertEquals(written.trimEnd(), activity.words(R.id.field), "nothing is added after the stop")
        activity.findViewById<EditText>(R.id.field).append(" (edited)")
        activity.click(R.id.send)
        settle()
        assertEquals(mine("${written.trimEnd()} (edited)"), app.conversations["demo-0"]?.messages?.last { it.fromMe })
        assertEquals("", activity.words(R.id.field))
    }

    @Test
    fun `turning the phone changes nothing, and the draft goes on`() {
        val controller = chat()
        controller.get().beginDraft()
        val before = controller.get().words(R.id.field)
        val turned = Configuration(controller.get().resources.configuration).apply { orientation = Configuration.ORIENTATION_LANDSCAPE }
        val old = controller.get()
        controller.configurationChange(turned)
        assertTrue(controller.get() !== old, "the activity was made anew")
        assertTrue(controller.get().words(R.id.field).startsWith(before))
        waitFor("the end of the draft") { !app.chat("demo-0")!!.state.value.composer.writing }
        assertTrue(controller.get().words(R.id.field).length > before.length)
    }

    @Test
    fun `what was typed comes back when the process was killed`() {
        installModel(app)
        val saved = Bundle()
        val controller = chat()
        controller.get().findViewById<EditText>(R.id.field).setText("I am on")
        controller.saveInstanceState(saved).pause().stop().destroy()
        app.chat("demo-0")!!.type("")
        val again = Robolectric.buildActivity(ChatActivity::class.java, ChatActivity.intent(app, "demo-0")).setup(saved).get()
        assertEquals("I am on", again.words(R.id.field))
    }

    @Test
    fun `a notification is read with consent alone, and answered by the send button alone`() {
        installModel(app)
        val answers = mutableListOf<String?>()
        app.registerReceiver(
            object : BroadcastReceiver() {
                override fun onReceive(context: Context, intent: Intent) {
                    answers += RemoteInput.getResultsFromIntent(intent)?.getCharSequence("answer")?.toString()
                }
            },
            IntentFilter("answer"),
            Context.RECEIVER_NOT_EXPORTED,
        )
        val reader = Robolectric.buildService(NotificationReader::class.java).create().get()
        val posted = notification()
        assertFalse(app.consent, "it is off at first")
        reader.onNotificationPosted(posted)
        assertNull(app.conversations[posted.key])

        app.consent = true
        reader.onNotificationPosted(posted)
        assertEquals(listOf(said("Hello!"), mine("Hi"), said("Are we still on for lunch?")), app.conversations[posted.key]?.messages)
        val activity = chat(posted.key).get()
        assertEquals("Ada", activity.words(R.id.name))
        activity.chips().first().performClick()
        settle()
        assertEquals(emptyList(), answers)
        val chosen = activity.words(R.id.field)
        activity.click(R.id.send)
        settle()
        assertEquals(listOf<String?>(chosen), answers)

        app.consent = false
        settle()
        assertNull(app.conversations[posted.key])
        assertNull(app.chat(posted.key))
        assertFalse(activity.findViewById<View>(R.id.send).isEnabled)
        assertEquals(app.getString(R.string.note_gone), activity.words(R.id.note))
    }

    /** A chat that is open, with chips. */
    private fun chat(id: String = "demo-0"): ActivityController<ChatActivity> {
        installModel(app)
        val controller = Robolectric.buildActivity(ChatActivity::class.java, ChatActivity.intent(app, id)).setup()
        waitFor("chips") { controller.get().chips().isNotEmpty() }
        return controller
    }

    /** Has a draft written until there is some of it: what comes next is asked for on the thread that this is. */
    private fun Activity.beginDraft() {
        click(R.id.draft)
        val looper = shadowOf(Looper.getMainLooper())
        waitFor("the draft", step = { if (!looper.isIdle) looper.runOneTask() }) { words(R.id.field).isNotBlank() }
        assertTrue(app.chat("demo-0")!!.state.value.composer.writing, "it is being written")
    }

    private fun notification(): StatusBarNotification {
        val reply = PendingIntent.getBroadcast(app, 0, Intent("answer").setPackage(app.packageName), PendingIntent.FLAG_MUTABLE)
        val action = Notification.Action.Builder(null as Icon?, "Reply", reply).addRemoteInput(RemoteInput.Builder("answer").build()).build()
        val ada = Person.Builder().setName("Ada").build()
        val style = Notification.MessagingStyle(Person.Builder().setName("Me").build())
            .addMessage("Hello!", 1, ada).addMessage("Hi", 2, null as Person?).addMessage("Are we still on for lunch?", 3, ada)
        val notification = Notification.Builder(app, "messages").setSmallIcon(R.drawable.ic_send).setContentTitle("Ada")
            .setCategory(Notification.CATEGORY_MESSAGE).setStyle(style).addAction(action).build()
        @Suppress("DEPRECATION")
        return StatusBarNotification("a.messenger", "a.messenger", 1, null, 1, 1, 0, notification, Process.myUserHandle(), 4)
    }
}

private fun Activity.words(id: Int): String = findViewById<TextView>(id).text.toString()

private fun Activity.click(id: Int) = assertTrue(findViewById<View>(id).performClick())

private fun Activity.chips(): List<TextView> = findViewById<ViewGroup>(R.id.chips).let { row -> (0 until row.childCount).map { row.getChildAt(it) as TextView } }
