package dev.nibble.app

import dev.nibble.Nibble
import dev.nibble.NibbleException
import dev.nibble.Stop
import dev.nibble.text
import kotlinx.coroutines.runBlocking

/** An app that uses the AAR, as small as one can be: it is shrunk by R8 and then run. */
fun main(arguments: Array<String>): Unit = runBlocking {
    Nibble.open(arguments[0]).use { model ->
        model.keyboard().use { keyboard -> println(keyboard.suggest("See you ", "to").suggestions.joinToString(" ") { it.word }) }
        model.session().use { session -> println(session.generate("The capital of France is", stop = Stop(maxTokens = 2)).text()) }
    }
    try {
        Nibble.open("missing.nibble")
    } catch (error: NibbleException.ModelNotFound) {
        println("not found")
    }
}
