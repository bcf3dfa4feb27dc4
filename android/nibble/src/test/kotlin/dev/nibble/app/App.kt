package dev.nibble.app

import dev.nibble.LogLevel
import dev.nibble.Model
import dev.nibble.ModelStore
import dev.nibble.Nibble
import dev.nibble.NibbleException
import dev.nibble.Piece
import dev.nibble.SessionOptions
import dev.nibble.Stop
import dev.nibble.Turn
import dev.nibble.text
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

/**
 * An app that uses the AAR, a little of each part: it is run as it is, and shrunk by R8, and says the same. It takes a GGUF file and an
 * empty folder.
 */
fun main(arguments: Array<String>): Unit = runBlocking {
    val (source, folder) = arguments
    // What is logged depends on the machine.
    Nibble.setLogLevel(LogLevel.OFF)
    ModelStore.open("$folder/models").use { store ->
        println("packed ${store.install("random", source).last().done}")
        println("installed ${store.installed().map { it.name }}")
        store.open("random").use { model ->
            type(model)
            reply(model)
            write(model, "$folder/session.snapshot")
        }
    }
    try {
        Nibble.open("missing.nibble")
    } catch (error: NibbleException.ModelNotFound) {
        println("not found")
    }
}

private suspend fun type(model: Model) = model.keyboard().use { keyboard ->
    println("suggested ${keyboard.suggest("See you ", "to", gate = false).suggestions}")
    keyboard.start(before = "See ").use { typing ->
        println("typed ${"youu".map { typing.key(it.toString()).insert }}, deleted ${typing.backspace().delete}")
        val strip = typing.strips.first { it.refined }
        println("shown for ${strip.replaces}: ${strip.suggestions}")
        println("accepted ${typing.accept(strip, strip.suggestions.first())}")
    }
}

private suspend fun reply(model: Model) = model.replier().use { replier ->
    val chat = listOf(Turn(fromMe = false, "Are you coming tonight?"))
    println("replies ${replier.suggest(chat).replies}")
    println("draft ${replier.draft(chat).text().codes()}")
}

private suspend fun write(model: Model, snapshot: String) {
    val options = SessionOptions(context = 128)
    val stop = Stop(maxTokens = 8)
    val text = model.session(options).use { session ->
        cancel(session.generate("The capital of France is"))
        session.generate("The capital of France is", stop = stop).text().also { session.saveSnapshot(snapshot) }
    }
    println("written ${text.codes()}")
    model.session(options).use { session ->
        println("restored ${session.restoreSnapshot(snapshot)}")
        check(session.generate("The capital of France is", stop = stop).text() == text) { "it goes on in another way" }
    }
}

/** Cancels a text when it has begun. */
private suspend fun cancel(text: Flow<Piece>) = coroutineScope {
    val begun = CompletableDeferred<Unit>()
    val writing = launch { text.collect { begun.complete(Unit) } }
    begun.await()
    writing.cancelAndJoin()
    check(writing.isCancelled) { "it came to its end" }
    println("cancelled")
}

/** What a random model writes may be no text for a line. */
private fun String.codes() = map { it.code }
