package dev.nibble.examples.reply

import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue

class ConversationsTest {
    private val conversations = Conversations(Conversations.parse("= Mia\n< Are you in?\n? Great.\n= Jonas\n> Hello"))
    private val incoming = Conversation("key", "Ada", listOf(said("one"), said("two")), app = "Messenger")

    @Test
    fun `a text is conversations`() {
        val (mia, jonas) = conversations.all.value
        assertEquals(Conversation("demo-0", "Mia", listOf(said("Are you in?")), listOf("Great.")), mia)
        assertEquals(Conversation("demo-1", "Jonas", listOf(mine("Hello"))), jonas)
    }

    @Test
    fun `another text is refused`() {
        assertFailsWith<IllegalArgumentException> { Conversations.parse("< nobody said that") }
        assertFailsWith<IllegalArgumentException> { Conversations.parse("= Mia\nwithout a mark") }
    }

    @Test
    fun `the demo that ships begins with somebody who waits for an answer`() {
        val demo = Conversations.parse(File("src/main/res/raw/conversations.txt").readText())
        assertTrue(demo.size >= 4)
        assertTrue(demo.all { it.messages.last().fromMe.not() && it.script.isNotEmpty() })
    }

    @Test
    fun `the other side answers with its next line, as long as it has one`() {
        conversations.say("demo-0", "Yes")
        repeat(2) { conversations.hear("demo-0") }
        assertEquals(listOf(said("Are you in?"), mine("Yes"), said("Great.")), conversations["demo-0"]?.messages)
    }

    @Test
    fun `a notification that is updated says nothing twice`() {
        conversations.receive(incoming)
        conversations.say("key", "three")
        conversations.receive(incoming.copy(messages = listOf(said("two"), mine("three"), said("four"))))
        assertEquals(listOf("one", "two", "three", "four"), conversations["key"]?.messages?.map { it.text })
        assertEquals("key", conversations.all.value.first().id)
    }

    @Test
    fun `what the user said from here may be missing in the notification, or come later in it`() {
        conversations.receive(incoming)
        conversations.say("key", "three")
        conversations.receive(incoming)
        assertEquals(listOf("one", "two", "three"), conversations["key"]?.messages?.map { it.text })
        conversations.receive(incoming.copy(messages = listOf(said("one"), said("two"), said("four"))))
        assertEquals(listOf("one", "two", "three", "four"), conversations["key"]?.messages?.map { it.text })
        conversations.say("key", "five")
        conversations.receive(incoming.copy(messages = listOf(said("four"), said("six"), mine("five"))))
        assertEquals(listOf("one", "two", "three", "four", "six", "five"), conversations["key"]?.messages?.map { it.text })
    }

    @Test
    fun `what was closed opens again with the next notification`() {
        conversations.receive(incoming)
        conversations.close("key")
        assertFalse(conversations["key"]!!.open)
        conversations.receive(incoming)
        assertTrue(conversations["key"]!!.open)
    }

    @Test
    fun `notifications are forgotten, and the demo stays`() {
        conversations.receive(incoming)
        conversations.forgetNotifications()
        assertNull(conversations["key"])
        assertEquals(2, conversations.all.value.size)
    }
}

internal fun said(text: String) = Message(fromMe = false, text)

internal fun mine(text: String) = Message(fromMe = true, text)
