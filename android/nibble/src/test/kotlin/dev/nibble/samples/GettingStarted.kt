package dev.nibble.samples

import dev.nibble.Nibble
import dev.nibble.Stop

suspend fun gettingStarted(modelFile: String) {
    Nibble.open(modelFile).use { model ->
        model.keyboard().use { keyboard ->
            val strip = keyboard.suggest(context = "See you ", typed = "to")
            println(strip.suggestions.map { it.word })
        }
        model.session().use { session ->
            val text = session.generate("The capital of France is", stop = Stop(maxTokens = 8))
            text.collect { piece -> print(piece.text) }
        }
    }
}
