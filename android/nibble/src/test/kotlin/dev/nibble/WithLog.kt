package dev.nibble

import java.io.File
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking

/** Installs a model in the place of another one and does with a text all that can be done, in a process that logs from a level on. */
fun main(arguments: Array<String>) {
    val (level, source, directory, text) = arguments
    Nibble.setLogLevel(LogLevel.valueOf(level))
    runBlocking {
        // Room for one packed model, which is about as large as its source.
        ModelStore.open(directory, quota = File(source).length() * 3 / 2).use { store ->
            for (name in listOf("first", "second")) store.install(name, source).collect()
            store.open("second").use { model ->
                // On one thread: more may hinder each other on a busy machine, which is logged too.
                model.session(SessionOptions(context = 256, threads = 1)).use { it.write(text, source) }
                model.replier(ReplierOptions(threads = 1)).use { replier ->
                    val chat = listOf(Turn(fromMe = false, text))
                    replier.suggest(chat)
                    replier.draft(chat).first()
                }
                Nibble.openLearnedWords("$directory/learned").use { model.type(text, it) }
            }
        }
    }
}

private suspend fun Session.write(text: String, source: String) {
    generate(text, stop = Stop(maxTokens = 1)).collect()
    generate(text, Sampling(schema = """{"enum": ["$text"]}"""), Stop(maxTokens = 1)).collect()
    // No folder, no schema, and no model that follows a chat.
    check(runCatching { saveSnapshot("$source/snapshot") }.exceptionOrNull() is NibbleException.Io)
    val unfit = generate(text, Sampling(schema = """{"type": "$text"}"""))
    check(runCatching { unfit.collect() }.exceptionOrNull() is NibbleException.SchemaUnfit)
    check(runCatching { chat(listOf(Message(Role.USER, text))).collect() }.exceptionOrNull() is NibbleException.NoChatTemplate)
}

private suspend fun Model.type(text: String, learned: LearnedWords) =
    keyboard(KeyboardOptions(threads = 1, learned = learned)).use { keyboard ->
        keyboard.suggest(text, "t")
        keyboard.start().use { typing -> text.forEach { typing.key(it.toString()) } }
        check(learned.list().isNotEmpty())
    }
