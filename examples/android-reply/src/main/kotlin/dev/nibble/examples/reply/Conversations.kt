package dev.nibble.examples.reply

import dev.nibble.Turn
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update

/** Something that was said. */
data class Message(val fromMe: Boolean, val text: String)

/** A conversation with one other side. */
data class Conversation(
    val id: String,
    val name: String,
    val messages: List<Message>,
    /** What the other side of a demo says next, a line after each answer. */
    val script: List<String> = emptyList(),
    /** The name of the app whose notification it came in; `null` for the demo. */
    val app: String? = null,
    /** Whether an answer can reach the other side: a notification that is gone takes none. */
    val open: Boolean = true,
) {
    val turns: List<Turn> get() = messages.map { Turn(it.fromMe, it.text) }
}

/** All conversations, the newest first. They are in memory alone: nothing that is said here is stored. */
class Conversations(demo: List<Conversation>) {
    private val list = MutableStateFlow(demo)

    val all: StateFlow<List<Conversation>> = list.asStateFlow()

    operator fun get(id: String): Conversation? = list.value.find { it.id == id }

    /** The user said something. */
    fun say(id: String, text: String) = change(id) { it.copy(messages = it.messages + Message(fromMe = true, text)) }

    /** The other side of a demo says its next line, if it has one. */
    fun hear(id: String) = change(id) {
        val next = it.script.firstOrNull() ?: return@change it
        it.copy(messages = it.messages + Message(fromMe = false, next), script = it.script.drop(1))
    }

    /** A notification came in, or one that is known has changed. */
    fun receive(conversation: Conversation) = list.update { known ->
        val before = known.find { it.id == conversation.id }
        val merged = if (before == null) conversation else conversation.copy(messages = before.messages.continuedBy(conversation.messages))
        listOf(merged) + known.filter { it.id != conversation.id }
    }

    /** Nobody takes an answer any more. */
    fun close(id: String) = change(id) { it.copy(open = false) }

    /** Forgets whatever came in notifications. */
    fun forgetNotifications() = list.update { known -> known.filter { it.app == null } }

    private fun change(id: String, change: (Conversation) -> Conversation) =
        list.update { known -> known.map { if (it.id == id) change(it) else it } }

    companion object {
        /** The conversations of a text; `conversations.txt` says what it looks like. */
        fun parse(text: String): List<Conversation> {
            val parsed = mutableListOf<Conversation>()
            for (line in text.lines().map(String::trim).filter { it.isNotEmpty() && !it.startsWith("#") }) {
                val (mark, said) = line.first() to line.drop(1).trim()
                if (mark == '=') {
                    parsed += Conversation("demo-${parsed.size}", said, emptyList())
                    continue
                }
                val last = parsed.removeLastOrNull() ?: throw IllegalArgumentException("a line before the first conversation: $line")
                parsed += when (mark) {
                    '<', '>' -> last.copy(messages = last.messages + Message(fromMe = mark == '>', said))
                    '?' -> last.copy(script = last.script + said)
                    else -> throw IllegalArgumentException("a line that begins with none of = < > ? #: $line")
                }
            }
            return parsed
        }
    }
}

/** A notification has the last few messages: those at its beginning that are known already are not said again. */
private fun List<Message>.continuedBy(newer: List<Message>): List<Message> =
    indices.firstNotNullOfOrNull { start -> drop(start).beginning(newer)?.let { take(start) + it } } ?: (this + newer)

/** These messages, which [newer] begins with, and the rest of it; `null` if it does not. */
private fun List<Message>.beginning(newer: List<Message>): List<Message>? {
    val merged = mutableListOf<Message>()
    var at = 0
    for (message in this) {
        when {
            message == newer.getOrNull(at) -> merged += newer[at++]
            // What the user said from here may be missing there, for good or for now, or stand behind what came in meanwhile.
            message.fromMe -> if (message !in newer.drop(at)) merged += message
            else -> return null
        }
    }
    return merged + newer.drop(at)
}
