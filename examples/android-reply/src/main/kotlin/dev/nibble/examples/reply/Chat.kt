package dev.nibble.examples.reply

import dev.nibble.NibbleException
import dev.nibble.Replies
import dev.nibble.SilenceReason
import dev.nibble.Turn
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.collectLatest
import kotlinx.coroutines.flow.combine
import kotlinx.coroutines.flow.distinctUntilChanged
import kotlinx.coroutines.flow.emptyFlow
import kotlinx.coroutines.flow.flatMapLatest
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.plus

/** What thinks of replies: Nibble's `Replier`, and something simpler in tests. */
interface Assistant {
    suspend fun suggest(chat: List<Turn>): Replies

    fun draft(chat: List<Turn>): Flow<String>
}

/** What the line above the text field says, where it says something. */
enum class Note { GONE, NO_MODEL, WRITING, NO_DRAFT, CODE, SENSITIVE, AUTOMATED, LANGUAGE }

/** What a chat shows. */
data class ChatState(
    val conversation: Conversation,
    val composer: Composer = Composer(),
    /** Replies to the last message. They are shown while the text field is empty. */
    val suggestions: List<String> = emptyList(),
    /** Why there are none, where they would be out of place. */
    val silence: SilenceReason? = null,
    /** Whether a model is there to write drafts. */
    val ready: Boolean = false,
    /** The last draft came to nothing. */
    val failed: Boolean = false,
) {
    val chips: List<String> get() = if (composer.text.isEmpty() && !composer.writing) suggestions else emptyList()

    val canDraft: Boolean get() = ready && conversation.open && conversation.messages.lastOrNull()?.fromMe == false

    val canSend: Boolean get() = composer.canSend && conversation.open

    val note: Note?
        get() = when {
            !conversation.open -> Note.GONE
            !ready -> Note.NO_MODEL
            composer.writing -> Note.WRITING
            failed -> Note.NO_DRAFT
            composer.text.isNotEmpty() -> null
            else -> when (silence) {
                SilenceReason.CODE -> Note.CODE
                SilenceReason.SENSITIVE -> Note.SENSITIVE
                SilenceReason.AUTOMATED -> Note.AUTOMATED
                SilenceReason.LANGUAGE -> Note.LANGUAGE
                SilenceReason.NOTHING, SilenceReason.OWN_TURN, null -> null
            }
        }
}

/**
 * One open conversation: it outlives the activity that shows it, so that turning the phone changes nothing. All calls come on the
 * thread of [parent].
 */
@OptIn(ExperimentalCoroutinesApi::class)
class Chat(
    conversation: Conversation,
    private val conversations: Conversations,
    private val outbox: Outbox,
    private val assistant: StateFlow<Assistant?>,
    parent: CoroutineScope,
) {
    private val scope = parent + SupervisorJob(parent.coroutineContext[Job])
    private val id = conversation.id
    private val current = MutableStateFlow(ChatState(conversation))
    private val shown = MutableStateFlow(false)
    private var drafting: Job? = null

    val state: StateFlow<ChatState> = current.asStateFlow()

    init {
        scope.launch {
            conversations.all.map { all -> all.find { it.id == id } }.distinctUntilChanged().collect { now ->
                if (now == null) forget() else follow(now)
            }
        }
        scope.launch {
            val messages = current.map { it.conversation.turns to it.conversation.open }.distinctUntilChanged()
            // One request at a time in the whole app: a newer one takes the place of an older one, whatever chat it is of.
            shown.flatMapLatest { shown -> if (shown) combine(messages, assistant, ::Pair) else emptyFlow() }
                .collectLatest { (messages, assistant) -> suggest(messages, assistant) }
        }
    }

    private fun follow(now: Conversation) {
        if (now.messages != state.value.conversation.messages) {
            // A draft would answer what is no longer the last message.
            stop()
            current.update { it.copy(failed = false) }
        }
        current.update { it.copy(conversation = now) }
    }

    /** What is forgotten there is forgotten here, what was typed too, and nothing more happens. */
    private fun forget() {
        current.update { ChatState(it.conversation.copy(messages = emptyList(), open = false)) }
        scope.cancel()
    }

    /** The chat is on the screen. */
    fun show() {
        shown.value = true
    }

    /** The chat is not on the screen any more: nothing is computed for it. */
    fun hide() {
        shown.value = false
        stop()
    }

    /** Takes what the model thinks of; the newest message has the chips. */
    private suspend fun suggest(messages: Pair<List<Turn>, Boolean>, assistant: Assistant?) {
        val (turns, open) = messages
        current.update { it.copy(suggestions = emptyList(), silence = null, ready = assistant != null) }
        if (assistant == null || !open) return
        try {
            val replies = assistant.suggest(turns)
            current.update { it.copy(suggestions = replies.replies.map { reply -> reply.text }, silence = replies.silence) }
        } catch (_: NibbleException) {
            // No chips: nobody waits for them.
        }
    }

    /** Has the model write into the text field. */
    fun write() {
        val model = assistant.value
        if (model == null || !state.value.canDraft) return
        drafting?.cancel()
        current.update { it.copy(composer = it.composer.begin(), failed = false) }
        val turns = state.value.conversation.turns
        drafting = scope.launch {
            try {
                model.draft(turns).collect { piece -> compose { it.add(piece) } }
                current.update { it.copy(failed = it.composer.text.isBlank()) }
            } catch (_: NibbleException) {
                current.update { it.copy(failed = true) }
            }
            compose { it.end() }
        }
    }

    /** Stops the model; what it wrote stays. */
    fun stop() {
        drafting?.cancel()
        compose { it.end() }
    }

    /** The text field has this text now. */
    fun type(text: String) {
        if (text == state.value.composer.text) return
        drafting?.cancel()
        current.update { it.copy(composer = it.composer.type(text), failed = false) }
    }

    /** Puts a chip into the text field, to be sent or changed. */
    fun take(chip: String) = type(chip)

    /** Sends what is in the text field. */
    fun send() {
        val (conversation, composer) = state.value
        if (!state.value.canSend) return
        val text = composer.text.trim()
        if (conversation.app != null && !outbox.send(id, text)) {
            // The text stays, to be copied.
            conversations.close(id)
            return
        }
        current.update { it.copy(composer = Composer(), failed = false) }
        conversations.say(id, text)
        if (conversation.app == null) {
            scope.launch {
                delay(ANSWER_MS)
                conversations.hear(id)
            }
        }
    }

    private fun compose(change: (Composer) -> Composer) = current.update { it.copy(composer = change(it.composer)) }

    private companion object {
        /** How long the other side of a demo takes to answer. */
        const val ANSWER_MS = 1_200L
    }
}
