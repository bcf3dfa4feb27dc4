package dev.nibble

import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking

/**
 * Writes what a model says, a line a call: to be compared with what another kind of processor says. Few tokens, since that
 * one may be emulated: a prompt that is read at once, a text that is written token by token, and a word.
 */
fun main(arguments: Array<String>) = runBlocking {
    val (path) = arguments
    Nibble.open(path, ModelOptions(checkWeights = false)).use { model ->
        write(model.info)
        write(model.tokenize("The capital of France is"))
        model.session(SessionOptions(context = 64, threads = 1)).use { session ->
            val pieces = session.generate("The capital of France is", stop = Stop(maxTokens = 4)).toList()
            write(pieces.map { it.token to it.text })
            val drawn = Sampling(temperature = 0.8f, seed = 7)
            write(session.generate("The capital of France is", drawn, Stop(maxTokens = 2)).text())
        }
        model.keyboard(KeyboardOptions(threads = 1)).use { keyboard ->
            write(keyboard.suggest(context = "See you ", typed = "to", gate = false).suggestions)
        }
    }
}

/** On one line, whatever the model says. */
private fun write(what: Any) = println(what.toString().replace("\n", "\\n"))
