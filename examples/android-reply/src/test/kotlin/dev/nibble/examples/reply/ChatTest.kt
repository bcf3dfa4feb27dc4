package dev.nibble.examples.reply

import dev.nibble.Replies
import dev.nibble.Reply
import dev.nibble.SilenceReason
import dev.nibble.Turn
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.test.TestScope
import kotlinx.coroutines.test.advanceTimeBy
import kotlinx.coroutines.test.runCurrent
import kotlinx.coroutines.test.runTest

@OptIn(ExperimentalCoroutinesApi::class)
class ChatTest {
    private val conversations = Conversations(Conversations.parse("= Mia\n< Are you in?\n? Great."))
    private val sent = mutableListOf<String>()
    private val outbox = Outbox { true }
    private val assistant = FakeAssistant()
    private val model = MutableStateFlow<Assistant?>(assistant)

    private fun TestScope.chat(id: String = "demo-0") =
        Chat(conversations[id]!!, conversations, outbox, model, backgroundScope).also { it.show() }.also { runCurrent() }

    @Test
    fun `chips come for the last message, fill the text field, and are sent by the user alone`() = runTest {
        val chat = chat()
        assertEquals(listOf("Yes!", "No."), chat.state.value.chips)
        chat.take("Yes!")
        runCurrent()
        assertEquals(Composer("Yes!"), chat.state.value.composer)
        assertEquals(emptyList(), chat.state.value.chips)
        assertEquals(1, conversations["demo-0"]?.messages?.size)
        chat.send()
        runCurrent()
        assertEquals(listOf(said("Are you in?"), mine("Yes!")), chat.state.value.conversation.messages)
        assertEquals(Composer(), chat.state.value.composer)
    }

    @Test
    fun `the other side of the demo answers, and there are chips for that`() = runTest {
        val chat = chat()
        chat.take("Yes!")
        chat.send()
        runCurrent()
        assertEquals(emptyList(), chat.state.value.chips, "nobody answers oneself")
        assertFalse(chat.state.value.canDraft)
        advanceTimeBy(60_000)
        assertEquals("Great.", chat.state.value.conversation.messages.last().text)
        assertEquals(listOf("Yes!", "No."), chat.state.value.chips)
        assertEquals(Turn(false, "Great."), assistant.asked.last().last())
    }

    @Test
    fun `a draft streams, is stopped, edited and sent`() = runTest {
        val chat = chat()
        chat.write()
        assistant.pieces.send("I would ")
        assistant.pieces.send("love to ")
        runCurrent()
        assertEquals(Composer("I would love to ", writing = true), chat.state.value.composer)
        assertEquals(Note.WRITING, chat.state.value.note)
        chat.send()
        assertEquals(1, conversations["demo-0"]?.messages?.size, "it is still being written")
        chat.stop()
        runCurrent()
        assertTrue(assistant.stopped)
        chat.type("I would love to come")
        chat.send()
        runCurrent()
        assertEquals(mine("I would love to come"), chat.state.value.conversation.messages.last())
    }

    @Test
    fun `what the user types ends a draft, and leaving does too`() = runTest {
        val chat = chat()
        chat.write()
        runCurrent()
        chat.type("No")
        runCurrent()
        assertTrue(assistant.stopped)
        assertEquals(Composer("No"), chat.state.value.composer)
        assistant.stopped = false
        chat.write()
        runCurrent()
        chat.hide()
        runCurrent()
        assertTrue(assistant.stopped)
        assertFalse(chat.state.value.composer.writing)
    }

    @Test
    fun `a draft that is whole can be sent, and one that is empty is said`() = runTest {
        val chat = chat()
        chat.write()
        assistant.pieces.send("Yes")
        assistant.pieces.close()
        runCurrent()
        assertEquals(Composer("Yes"), chat.state.value.composer)
        assistant.pieces = Channel(Channel.UNLIMITED)
        assistant.pieces.close()
        chat.write()
        runCurrent()
        assertEquals(Note.NO_DRAFT, chat.state.value.note)
    }

    @Test
    fun `a draft that is stopped before its first word gives back what was typed`() = runTest {
        val chat = chat()
        chat.type("I think")
        chat.write()
        runCurrent()
        assertEquals("", chat.state.value.composer.text)
        chat.stop()
        assertEquals(Composer("I think"), chat.state.value.composer)
    }

    @Test
    fun `that a draft came to nothing is said until the user types or somebody else says something`() = runTest {
        val chat = chat()
        assistant.pieces.close()
        for (goOn in listOf({ chat.type("No") }, { conversations.hear("demo-0") })) {
            chat.type("I think")
            chat.write()
            runCurrent()
            assertEquals(Note.NO_DRAFT, chat.state.value.note)
            assertEquals(Composer("I think"), chat.state.value.composer)
            goOn()
            runCurrent()
            assertNull(chat.state.value.note)
        }
    }

    @Test
    fun `a draft ends where a newer message comes, which it would not answer`() = runTest {
        val chat = chat()
        chat.write()
        assistant.pieces.send("I would ")
        runCurrent()
        conversations.hear("demo-0")
        runCurrent()
        assertTrue(assistant.stopped)
        assertEquals(Composer("I would"), chat.state.value.composer)
        assertEquals("Great.", chat.state.value.conversation.messages.last().text)
    }

    @Test
    fun `nothing is computed for a chat that nobody sees`() = runTest {
        val chat = chat()
        val asked = assistant.asked.size
        chat.hide()
        conversations.hear("demo-0")
        runCurrent()
        assertEquals(asked, assistant.asked.size)
        chat.show()
        runCurrent()
        assertEquals(asked + 1, assistant.asked.size)
    }

    @Test
    fun `without a model there are no chips, and they come with it`() = runTest {
        model.value = null
        val chat = chat()
        assertEquals(Note.NO_MODEL, chat.state.value.note)
        chat.write()
        assertFalse(chat.state.value.composer.writing)
        model.value = assistant
        runCurrent()
        assertEquals(listOf("Yes!", "No."), chat.state.value.chips)
        assertNull(chat.state.value.note)
    }

    @Test
    fun `where a suggestion is out of place, the reason is said`() = runTest {
        assistant.answer = Replies(emptyList(), SilenceReason.CODE)
        assertEquals(Note.CODE, chat().state.value.note)
    }

    @Test
    fun `an answer to a notification goes to its app, once, and is refused when it is gone`() = runTest {
        conversations.receive(Conversation("key", "Ada", listOf(said("Hello?")), app = "Messenger"))
        outbox.open("key") { sent.add(it) }
        val chat = chat("key")
        chat.take("Yes!")
        assertEquals(emptyList(), sent)
        chat.send()
        chat.send()
        advanceTimeBy(60_000)
        assertEquals(listOf("Yes!"), sent)
        assertEquals(mine("Yes!"), chat.state.value.conversation.messages.last())

        outbox.close("key")
        chat.type("Are you there?")
        chat.send()
        runCurrent()
        assertEquals(Note.GONE, chat.state.value.note)
        assertEquals("Are you there?", chat.state.value.composer.text)
        assertFalse(chat.state.value.canSend)
    }

    @Test
    fun `a conversation that is forgotten is empty with what was typed, and takes no answer`() = runTest {
        conversations.receive(Conversation("key", "Ada", listOf(said("Hello?")), app = "Messenger"))
        val chat = chat("key")
        chat.type("Hello, A")
        conversations.forgetNotifications()
        runCurrent()
        assertEquals(Composer(), chat.state.value.composer)
        assertEquals(emptyList(), chat.state.value.conversation.messages)
        assertEquals(emptyList(), chat.state.value.chips)
        assertEquals(Note.GONE, chat.state.value.note)
    }
}

private class FakeAssistant : Assistant {
    val asked = mutableListOf<List<Turn>>()
    var answer = Replies(listOf(Reply("Yes!", "accept", 1.0), Reply("No.", "decline", 0.5)), null)
    var pieces = Channel<String>(Channel.UNLIMITED)
    var stopped = false

    override suspend fun suggest(chat: List<Turn>): Replies {
        asked += chat
        return if (chat.last().fromMe) Replies(emptyList(), SilenceReason.OWN_TURN) else answer
    }

    override fun draft(chat: List<Turn>): Flow<String> = flow {
        try {
            for (piece in pieces) emit(piece)
        } catch (gone: CancellationException) {
            stopped = true
            throw gone
        }
    }
}
