package dev.nibble

import java.io.File
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking

/** Installs a model in the place of another one and goes on with a text, in a process that logs from a level on. */
fun main(arguments: Array<String>) {
    val (level, source, directory, text) = arguments
    Nibble.setLogLevel(LogLevel.valueOf(level))
    runBlocking {
        // Room for one packed model, which is about as large as its source.
        ModelStore.open(directory, quota = File(source).length() * 3 / 2).use { store ->
            for (name in listOf("first", "second")) store.install(name, source).collect()
            store.open("second").use { model ->
                // On one thread: more may hinder each other on a busy machine, which is logged too.
                model.keyboard(KeyboardOptions(threads = 1)).use { it.suggest(text, "t") }
                model.session(SessionOptions(context = 128, threads = 1)).use { it.generate(text, stop = Stop(maxTokens = 1)).collect() }
            }
        }
    }
}
