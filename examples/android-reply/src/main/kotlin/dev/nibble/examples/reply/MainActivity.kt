package dev.nibble.examples.reply

import android.app.Activity
import android.content.ComponentName
import android.content.Intent
import android.os.Bundle
import android.provider.Settings
import android.view.View
import android.widget.Button
import android.widget.ListView
import android.widget.ProgressBar
import android.widget.Switch
import android.widget.TextView
import dev.nibble.examples.ModelState
import dev.nibble.examples.Problem
import dev.nibble.examples.Progress
import dev.nibble.examples.Rows
import dev.nibble.examples.source
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/** The conversations; above them the model, and the switch for notifications. */
class MainActivity : Activity() {
    private val app get() = application as ReplyApp
    private lateinit var conversations: Rows<Conversation>
    private var visible = CoroutineScope(SupervisorJob())

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.main)
        val list = findViewById<ListView>(R.id.conversations)
        list.addHeaderView(layoutInflater.inflate(R.layout.main_header, list, false), null, false)
        conversations = Rows(layoutInflater, listOf(R.layout.conversation), ::bind)
        list.adapter = conversations
        list.setOnItemClickListener { _, _, position, _ ->
            (list.getItemAtPosition(position) as? Conversation)?.let { startActivity(ChatActivity.intent(this, it.id)) }
        }
        findViewById<Button>(R.id.choose).setOnClickListener { choose() }
        findViewById<Switch>(R.id.notifications).setOnClickListener { consent((it as Switch).isChecked) }
    }

    override fun onStart() {
        super.onStart()
        app.brain.start()
        findViewById<Switch>(R.id.notifications).isChecked = app.consent && mayRead()
        visible = CoroutineScope(SupervisorJob() + Dispatchers.Main.immediate)
        visible.launch { app.brain.state.collect(::show) }
        visible.launch { app.conversations.all.collect(conversations::show) }
    }

    override fun onStop() {
        visible.cancel()
        super.onStop()
    }

    @Deprecated("What takes its place is in AndroidX.")
    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        val picked = data?.data
        if (request == PICK && result == RESULT_OK && picked != null) app.brain.install(source(picked))
    }

    /** GGUF files have no type of their own. */
    private fun choose() {
        val pick = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*")
        @Suppress("DEPRECATION")
        startActivityForResult(pick, PICK)
    }

    /** Both are needed: the switch here, and what the system lets the app do. */
    private fun consent(given: Boolean) {
        app.consent = given
        if (given && !mayRead()) startActivity(Intent(Settings.ACTION_NOTIFICATION_LISTENER_SETTINGS))
    }

    private fun mayRead(): Boolean {
        val reader = ComponentName(this, NotificationReader::class.java)
        return Settings.Secure.getString(contentResolver, "enabled_notification_listeners").orEmpty()
            .split(':').any { ComponentName.unflattenFromString(it) == reader }
    }

    private fun show(state: ModelState) {
        findViewById<TextView>(R.id.model).setText(
            when (state) {
                is ModelState.Missing -> when (state.problem) {
                    null -> R.string.model_missing
                    Problem.OTHER_FILE -> R.string.model_other
                    Problem.STORAGE_FULL -> R.string.model_no_room
                    Problem.UNREADABLE -> R.string.model_unreadable
                    Problem.UNSUPPORTED -> R.string.model_unsupported
                }
                is ModelState.Installing -> if (state.progress.step == Progress.Step.COPY) R.string.model_copying else R.string.model_packing
                ModelState.Opening -> R.string.model_opening
                ModelState.Ready -> R.string.model_ready
            },
        )
        findViewById<View>(R.id.choose).visibility = if (state is ModelState.Missing) View.VISIBLE else View.GONE
        val bar = findViewById<ProgressBar>(R.id.progress)
        bar.visibility = if (state is ModelState.Installing) View.VISIBLE else View.GONE
        if (state is ModelState.Installing) bar.progress = state.progress.percent
    }

    private fun bind(row: View, conversation: Conversation) {
        row.findViewById<TextView>(R.id.avatar).text = conversation.name.take(1)
        row.findViewById<TextView>(R.id.name).text = conversation.name
        row.findViewById<TextView>(R.id.app).text = conversation.app
        val last = conversation.messages.lastOrNull()
        val text = if (last?.fromMe == true) getString(R.string.said_by_me, last.text) else last?.text
        row.findViewById<TextView>(R.id.last).text = text
    }

    private companion object {
        const val PICK = 1
    }
}
