package dev.nibble.examples.reply

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.text.Editable
import android.text.TextWatcher
import android.view.View
import android.view.ViewGroup
import android.widget.EditText
import android.widget.ImageButton
import android.widget.ListView
import android.widget.TextView
import dev.nibble.examples.Rows
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/** One conversation: what was said, chips, and the text field in which drafts are written. */
class ChatActivity : Activity() {
    private lateinit var chat: Chat
    private lateinit var field: EditText
    private lateinit var send: ImageButton
    private lateinit var messages: Rows<Message>
    private var visible = CoroutineScope(SupervisorJob())

    /** The text field is being changed from here, and not by the user. */
    private var showing = false

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        // A conversation of a notification is gone when the process was.
        chat = (application as ReplyApp).chat(intent.getStringExtra(ID).orEmpty()) ?: return finish()
        setContentView(R.layout.chat)
        val name = chat.state.value.conversation.name
        title = name
        findViewById<TextView>(R.id.name).text = name
        findViewById<TextView>(R.id.avatar).text = name.take(1)
        findViewById<View>(R.id.back).setOnClickListener { finish() }
        messages = Rows(layoutInflater, listOf(R.layout.message_in, R.layout.message_out), ::bind) { if (it.fromMe) 1 else 0 }
        findViewById<ListView>(R.id.messages).adapter = messages
        field = findViewById(R.id.field)
        field.addTextChangedListener(object : TextWatcher {
            override fun beforeTextChanged(text: CharSequence, start: Int, count: Int, after: Int) = Unit

            override fun onTextChanged(text: CharSequence, start: Int, before: Int, count: Int) = Unit

            override fun afterTextChanged(text: Editable) {
                if (!showing) chat.type(text.toString())
            }
        })
        // The chat is still there when the phone was turned, and not when the process was gone.
        if (chat.state.value.composer == Composer()) chat.type(state?.getString(TEXT).orEmpty())
        findViewById<View>(R.id.draft).setOnClickListener { chat.write() }
        send = findViewById(R.id.send)
        send.setOnClickListener { if (chat.state.value.composer.writing) chat.stop() else chat.send() }
    }

    override fun onStart() {
        super.onStart()
        // The system may start the app here, and not with the list.
        (application as ReplyApp).brain.start()
        visible = CoroutineScope(SupervisorJob() + Dispatchers.Main.immediate)
        visible.launch { chat.state.collect(::show) }
        chat.show()
    }

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putString(TEXT, chat.state.value.composer.end().text)
    }

    override fun onStop() {
        visible.cancel()
        if (!isChangingConfigurations) chat.hide()
        super.onStop()
    }

    private fun show(state: ChatState) {
        messages.show(state.conversation.messages)
        showText(state.composer.text)
        showChips(state.chips)
        val note = findViewById<TextView>(R.id.note)
        note.visibility = if (state.note == null) View.GONE else View.VISIBLE
        state.note?.let { note.setText(text(it)) }
        val writing = state.composer.writing
        findViewById<View>(R.id.draft).isEnabled = state.canDraft && !writing
        send.isEnabled = writing || state.canSend
        send.setImageResource(if (writing) R.drawable.ic_stop else R.drawable.ic_send)
        send.contentDescription = getString(if (writing) R.string.stop else R.string.send)
    }

    private fun showText(text: String) {
        if (field.text.toString() == text) return
        showing = true
        field.setText(text)
        field.setSelection(text.length)
        showing = false
    }

    private fun showChips(chips: List<String>) {
        val row = findViewById<ViewGroup>(R.id.chips)
        if ((0 until row.childCount).map { (row.getChildAt(it) as TextView).text.toString() } == chips) return
        row.removeAllViews()
        for (chip in chips) {
            val view = layoutInflater.inflate(R.layout.chip, row, false) as TextView
            view.text = chip
            view.contentDescription = getString(R.string.suggested, chip)
            view.setOnClickListener { chat.take(chip) }
            row.addView(view)
        }
    }

    private fun bind(row: View, message: Message) {
        val bubble = row.findViewById<TextView>(R.id.text)
        bubble.text = message.text
        val who = if (message.fromMe) getString(R.string.me) else chat.state.value.conversation.name
        bubble.contentDescription = getString(R.string.said_by, who, message.text)
    }

    private fun text(note: Note): Int = when (note) {
        Note.GONE -> R.string.note_gone
        Note.NO_MODEL -> R.string.note_no_model
        Note.WRITING -> R.string.note_writing
        Note.NO_DRAFT -> R.string.note_no_draft
        Note.CODE -> R.string.note_code
        Note.SENSITIVE -> R.string.note_sensitive
        Note.AUTOMATED -> R.string.note_automated
        Note.LANGUAGE -> R.string.note_language
    }

    companion object {
        private const val ID = "conversation"
        private const val TEXT = "text"

        fun intent(context: Context, id: String): Intent = Intent(context, ChatActivity::class.java).putExtra(ID, id)
    }
}
