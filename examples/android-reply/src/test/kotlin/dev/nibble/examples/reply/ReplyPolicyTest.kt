package dev.nibble.examples.reply

import dev.nibble.examples.reply.ReplyPolicy.Refusal
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue

class ReplyPolicyTest {
    private var consent = true
    private val policy = ReplyPolicy("this.app") { consent }
    private val notice = Notice(
        key = "key",
        sender = "a.messenger",
        app = "Messenger",
        category = "msg",
        ongoing = false,
        groupSummary = false,
        takesText = true,
        title = "Ada",
        messages = listOf(said("Hello"), said("Are you there?")),
    )

    @Test
    fun `a messenger's notification is a conversation`() {
        val expected = Conversation("key", "Ada", notice.messages, app = "Messenger")
        assertEquals(expected, policy.conversation(notice))
        assertEquals(expected, policy.conversation(notice.copy(category = null)))
    }

    @Test
    fun `without consent there is none, whatever it is`() {
        consent = false
        assertEquals(Refusal.NO_CONSENT, policy.refusal(notice))
        assertNull(policy.conversation(notice))
    }

    @Test
    fun `what is no conversation is left alone`() {
        val others = mapOf(
            notice.copy(sender = "this.app") to Refusal.OWN,
            notice.copy(groupSummary = true) to Refusal.NO_CONVERSATION,
            notice.copy(ongoing = true) to Refusal.NO_CONVERSATION,
            notice.copy(category = "email") to Refusal.NO_CONVERSATION,
            notice.copy(takesText = false) to Refusal.NO_ANSWER,
            notice.copy(messages = listOf(said(" "))) to Refusal.NO_WORDS,
        )
        assertEquals(others.values.toList(), others.keys.map(policy::refusal))
    }

    @Test
    fun `one without a title has the name of its app, and the last messages are enough`() {
        val long = notice.copy(title = " ", messages = List(20) { said("$it") })
        val conversation = policy.conversation(long)
        assertEquals("Messenger", conversation?.name)
        assertEquals((12..19).map { said("$it") }, conversation?.messages)
    }

    @Test
    fun `an answer goes the way that is open, with consent alone`() {
        val sent = mutableListOf<String>()
        val outbox = Outbox { consent }
        assertFalse(outbox.send("key", "Yes"))
        outbox.open("key") { sent.add(it) }
        assertTrue(outbox.send("key", "Yes"))
        assertFalse(outbox.send("key", " "))
        consent = false
        assertFalse(outbox.send("key", "No"))
        consent = true
        outbox.close("key")
        assertFalse(outbox.send("key", "No"))
        outbox.open("key") { false }
        assertFalse(outbox.send("key", "No"), "the messenger takes it no more")
        assertEquals(listOf("Yes"), sent)
    }
}
