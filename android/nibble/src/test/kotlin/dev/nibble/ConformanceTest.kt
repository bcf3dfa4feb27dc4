package dev.nibble

import java.io.File
import java.nio.file.Path
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.cancel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.float
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.io.TempDir

/**
 * Every case of the conformance suite, through the API that an app uses; `tests/conformance/README.md` says what they mean. On an emulated
 * processor, which takes ten times as long, one case of each call and every error.
 */
class ConformanceTest {
    @TempDir
    lateinit var folder: Path

    private val model = TestModel.shared

    @TestFactory
    fun `every case gives what is expected`(): List<DynamicTest> {
        val suite = Json.parseToJsonElement(File(System.getProperty("nibble.conformance"), FILE).readText()).jsonObject
        val emulated = System.getProperty("nibble.emulated") == "true"
        val cases = suite.getValue("cases").jsonArray.map { it.jsonObject }
        return (if (emulated) cases.distinctBy { it.text("call") to it["of"] } else cases).map { case ->
            DynamicTest.dynamicTest(case.text("name")) { assertEquals(case.getValue("expect"), found(case), case.text("name")) }
        }
    }

    private fun found(case: JsonObject): JsonElement = runBlocking {
        try {
            run(case)
        } catch (error: NibbleException) {
            buildJsonObject {
                put("error", error.name)
                if (error is NibbleException.MemoryLimit) put("fitting_context", JsonPrimitive(error.fittingContext))
            }
        }
    }

    private suspend fun run(case: JsonObject): JsonElement = when (val call = case.text("call")) {
        "info" -> buildJsonObject {
            val info = model.info
            put("name", JsonPrimitive(info.name))
            put("source_sha256", JsonPrimitive(info.sourceSha256))
            put("vocabulary", JsonPrimitive(info.vocabulary))
            put("context", JsonPrimitive(info.context))
            put("has_chat_template", JsonPrimitive(info.hasChatTemplate))
        }
        "tokenize" -> {
            val tokens = model.tokenize(case.text("text"))
            assertEquals(case.text("text"), model.detokenize(tokens))
            buildJsonObject { put("tokens", tokens) }
        }
        "generate" -> session().use { written(it.generate(case.text("prompt"), case.sampling(), case.stop())) }
        "close_json" -> buildJsonObject { put("closed", JsonPrimitive(closeJson(case.text("text")))) }
        "chat" -> session().use { written(it.chat(case.messages(), case.sampling(), case.stop())) }
        "cancel" -> session().use { cancelled(it, case) }
        "keyboard" -> keyboard(case).use { keyboard ->
            val strips = case.list("keys").map { key ->
                key["layout"]?.let { keyboard.setLayout(it.layout()) }
                strip(keyboard.ask(case, key))
            }
            buildJsonObject { put("strips", JsonArray(strips)) }
        }
        "typing" -> typing(case)
        "learned" -> learned(case)
        "snapshot" -> snapshot(case)
        "emoji" -> Nibble.openEmoji(emoji.path).use { list ->
            buildJsonObject { put("emoji", strings(list.suggest(case.text("text"), case.int("count")))) }
        }
        "replies" -> model.replier().use { replies(it.suggest(case.chat(), case.int("count"))) }
        "draft" -> model.replier().use { written(it.draft(case.chat(), case.sampling())) }
        "error" -> {
            provoke(case.text("of"))
            error("nothing went wrong")
        }
        else -> error("there is no call $call")
    }

    private suspend fun session(options: SessionOptions = SessionOptions(context = CONTEXT)) = model.session(options)

    private suspend fun keyboard(case: JsonObject, learned: LearnedWords? = null): Keyboard {
        val languages = case["languages"]?.jsonArray?.map { it.jsonPrimitive.content }.orEmpty()
        val options = KeyboardOptions(
            lexicons = languages.map { Nibble.openLexicon(words(it).path) },
            layout = case["layout"]?.layout() ?: KeyboardLayout.Qwerty,
            learned = learned,
            languages = languages.ifEmpty { listOf("en") },
        )
        return model.keyboard(options).also { options.lexicons.forEach(Lexicon::close) }
    }

    private suspend fun typing(case: JsonObject): JsonElement {
        val path = folder.resolve("learned").toString()
        val texts = Nibble.openLearnedWords(path).use { typed(case, it) }
        val learned = Nibble.openLearnedWords(path).use { it.words() }
        File(path).delete()
        return buildJsonObject {
            put("texts", strings(texts))
            put("learned", learned)
        }
    }

    /** What stands in the fields of a case after each step. */
    private suspend fun typed(case: JsonObject, learned: LearnedWords): List<String> = buildList {
        keyboard(case, learned).use { keyboard ->
            for (field in case.list("fields")) {
                val editor = StringBuilder(field["before"]?.jsonPrimitive?.content.orEmpty())
                keyboard.start(field.field(), editor.toString(), field["after"]?.jsonPrimitive?.content.orEmpty()).use { typing ->
                    for (step in field.list("steps")) {
                        typing.step(step, editor)
                        add(editor.toString())
                    }
                }
            }
        }
    }

    private suspend fun learned(case: JsonObject): JsonElement = LearnedWords.inMemory().use { learned ->
        LearnedWords.inMemory().use { copy ->
            typed(case, learned)
            buildJsonObject {
                put("added", JsonArray(case.getValue("add").jsonArray.map { JsonPrimitive(learned.addWord(it.jsonPrimitive.content)) }))
                put("words", learned.words())
                put("forgotten", JsonPrimitive(learned.forget(case.text("forget"))))
                copy.add(learned.export())
                put("left", learned.words())
                put("copied", copy.words())
                put("kept", strings(copy.list().filter { it.added }.map { it.word }))
                learned.wipe()
                put("wiped", learned.words())
            }
        }
    }

    private suspend fun snapshot(case: JsonObject): JsonElement {
        val path = folder.resolve("snapshot").toString()
        val text = { session: Session -> session.generate(case.text("prompt"), case.sampling(), case.stop()) }
        session().use { session ->
            text(session).collect()
            session.saveSnapshot(path)
        }
        return session().use { session ->
            val restored = session.restoreSnapshot(path)
            JsonObject(written(text(session)).jsonObject + ("restored" to JsonPrimitive(restored)))
        }
    }

    private suspend fun written(flow: Flow<Piece>): JsonElement {
        val pieces = flow.toList()
        assertEquals(listOf(pieces.last()), pieces.filter { it.finish != null }, "the last piece and no other says why")
        return buildJsonObject {
            put("tokens", pieces.mapNotNull { it.token })
            put("pieces", strings(pieces.map { it.text }.filter { it.isNotEmpty() }))
            put("finish", JsonPrimitive(pieces.last().finish?.name?.lowercase()))
        }
    }

    private suspend fun cancelled(session: Session, case: JsonObject): JsonElement {
        val flow = session.generate(case.text("prompt"), stop = case.stop())
        val after = case.int("after")
        val tokens = mutableListOf<Int>()
        val error = runCatching {
            coroutineScope {
                if (tokens.size == after) cancel()
                flow.collect { piece ->
                    tokens += checkNotNull(piece.token)
                    if (tokens.size == after) cancel()
                }
            }
        }.exceptionOrNull()
        return buildJsonObject {
            put("tokens", tokens)
            put("error", if (error is CancellationException) JsonPrimitive("cancelled") else JsonPrimitive(error.toString()))
            put("again", flow.toList().mapNotNull { it.token })
        }
    }

    /** Makes the situation, which is an error. */
    private suspend fun provoke(situation: String) {
        when (situation) {
            "missing file" -> Nibble.open("$folder/missing.nibble")
            "empty file" -> open(ByteArray(0))
            "foreign file" -> open(ByteArray(20_000) { 120 })
            "cut file" -> open(head())
            "newer file" -> open(head().also { it[8] = 99 })
            "another model" -> Nibble.open(TestModel.path, ModelOptions(sourceSha256 = "0".repeat(64)))
            "closed model" -> Nibble.open(TestModel.path).also { it.close() }.tokenize("Hello")
            "closed session" -> session().also { it.close() }.generate("Hello").first()
            // A flow is closed by whoever collects it, who then cannot pull; or with the session, under way.
            "closed generation" -> session().let { session -> session.generate("Hello").collect { session.close() } }
            "closed keyboard" -> model.keyboard().also { it.close() }.suggest("", "h")
            "closed replier" -> model.replier().also { it.close() }.suggest(listOf(Turn(fromMe = false, "Are you coming?")))
            "superseded" -> model.keyboard().use { keyboard ->
                val long = "word ".repeat(500)
                coroutineScope {
                    val older = async(start = CoroutineStart.UNDISPATCHED) { runCatching { keyboard.suggest(long, "h") } }
                    keyboard.suggest("", "h")
                    older.await().getOrThrow()
                }
            }
            "foreign learned words" -> Nibble.openLearnedWords(changed(ByteArray(20_000) { 120 }).path)
            "bad key" -> Nibble.openLearnedWords(changed(ByteArray(20_000) { 120 }).path, ByteArray(31))
            "missing word list" -> Nibble.openLexicon("$folder/missing.fst")
            "foreign word list" -> Nibble.openLexicon(changed(ByteArray(20_000) { 120 }).path)
            "cut word list" -> Nibble.openLexicon(changed(words("en").readBytes().copyOf(1_000)).path)
            "foreign emoji list" -> Nibble.openEmoji(changed(ByteArray(20_000) { 120 }).path)
            "folder" -> Nibble.open(folder.toString())
            "newer source" -> pack(gguf(9))
            "cut source" -> pack(gguf(3).copyOf(20))
            "no chat template" -> {
                pack(base.readBytes())
                Nibble.open(packed).use { model -> model.session().use { it.chat(listOf(Message(Role.USER, "Hello"))).first() } }
            }
            "missing snapshot" -> session().use { it.restoreSnapshot("$folder/missing") }
            "foreign snapshot" -> session().use { it.restoreSnapshot(changed(ByteArray(20_000) { 120 }).path) }
            "snapshot of another cache" -> {
                val path = folder.resolve("snapshot").toString()
                session().use { session ->
                    session.generate("Hello", stop = Stop(maxTokens = 1)).collect()
                    session.saveSnapshot(path)
                }
                session(SessionOptions(context = CONTEXT, kvCache = KvCache.Q8)).use { it.restoreSnapshot(path) }
            }
            "foreign export" -> LearnedWords.inMemory().use { it.add("words") }
            "too many touches" -> model.keyboard().use { it.suggest("", "h", touches = listOf(Touch(0f, 0f), Touch(0f, 0f))) }
            "overlapping keys" -> model.keyboard().use { keyboard ->
                keyboard.setLayout(KeyboardLayout.Keys(listOf("a", "b").map { Key(it, x = 0f, y = 0f, width = 1f, height = 1f) }))
            }
            "unnamed language" -> Nibble.openLexicon(words("en").path).use { model.keyboard(KeyboardOptions(lexicons = listOf(it, it))) }
            "context overflow" -> session().use { it.generate("word ".repeat(500)).first() }
            "memory limit" -> session(SessionOptions(context = CONTEXT, memoryLimit = 1))
            "tight memory limit" -> {
                val options = SessionOptions(context = CONTEXT)
                session(options.copy(memoryLimit = model.memoryPlan(options).session - 1))
            }
            "memory limit of the model" -> {
                val options = SessionOptions(context = CONTEXT)
                val limit = model.memoryPlan(options).session
                Nibble.open(TestModel.path, ModelOptions(memoryLimit = limit)).use { model -> repeat(2) { model.session(options) } }
            }
            "bad sampling" -> session().use { it.generate("Hello", Sampling(temperature = -1f)).first() }
            "bad schema" -> session().use { it.generate("Hello", Sampling(schema = """{"oneOf": []}""")).first() }
            "empty stop" -> session().use { it.generate("Hello", stop = Stop(strings = listOf(""))).first() }
            "empty context" -> session(SessionOptions(context = 0))
            "unknown token" -> model.detokenize(listOf(4_000_000_000.toInt()))
            else -> error("there is no situation $situation")
        }
    }

    private suspend fun open(bytes: ByteArray): Model = Nibble.open(changed(bytes).path)

    private suspend fun pack(bytes: ByteArray) = Nibble.pack(changed(bytes).path, packed).collect()

    /** What is packed. */
    private val packed get() = "$folder/packed.nibble"

    /** How a GGUF of this version begins. */
    private fun gguf(version: Byte) = "GGUF".toByteArray() + version + ByteArray(19)

    /** A file of these bytes. */
    private fun changed(bytes: ByteArray): File = folder.resolve("changed").toFile().also { it.writeBytes(bytes) }

    /** The beginning of the model file. */
    private fun head(): ByteArray = File(TestModel.path).inputStream().use { it.readNBytes(65_536) }

    private companion object {
        const val FILE = "smollm2-135m-instruct.json"
        fun words(language: String) = File(System.getProperty("nibble.conformance"), "words-$language.fst")
        val emoji = File(System.getProperty("nibble.conformance"), "emoji-en.fst")
        val base = File(System.getProperty("nibble.conformance"), "base.gguf")
        const val CONTEXT = 256
    }
}

/** The name that all languages share: `ModelNotFound` is `model_not_found`. */
private val NibbleException.name: JsonElement
    get() = JsonPrimitive(this::class.simpleName!!.replace(Regex("(?<!^)[A-Z]"), "_$0").lowercase())

/** The words of a store, the most written first. */
private suspend fun LearnedWords.words() = strings(list().map { it.word })

private fun strings(texts: List<String>) = JsonArray(texts.map(::JsonPrimitive))

private fun strip(found: Suggestions) = buildJsonObject {
    put("words", JsonArray(found.suggestions.map { JsonPrimitive(it.word) }))
    put("kinds", JsonArray(found.suggestions.map { JsonPrimitive(it.kind.name.lowercase()) }))
    put("replaces", JsonPrimitive(found.replaces))
    put("proven", JsonPrimitive(found.proven))
    put("autocorrect", JsonPrimitive(found.autocorrect))
}

/** What a case does not say is what the API takes for itself. */
private suspend fun Keyboard.ask(case: JsonObject, key: JsonObject): Suggestions {
    val (context, typed, count) = Triple(key.text("context"), key.text("typed"), case.int("count"))
    val touches = key["touches"]?.jsonArray.orEmpty().map { touch ->
        (touch as? JsonArray)?.let { (x, y) -> Touch(x.jsonPrimitive.float, y.jsonPrimitive.float) }
    }
    val gate = case["gate"]?.jsonPrimitive?.boolean ?: return suggest(context, typed, count, touches, key.field())
    return suggest(context, typed, count, touches, key.field(), gate)
}

private fun JsonObject.field(): Field = this["field"]?.let { Field.valueOf(it.jsonPrimitive.content.uppercase()) } ?: Field.TEXT

private suspend fun TypingSession.step(step: JsonObject, editor: StringBuilder) {
    fun apply(edit: Edit) {
        assertTrue(editor.endsWith(edit.delete))
        editor.setLength(editor.length - edit.delete.length)
        editor.append(edit.insert)
    }
    for (key in step["keys"]?.jsonPrimitive?.content.orEmpty()) apply(key(key.toString()))
    if ("end" in step) {
        strips.first { it.refined }
        apply(key(step.text("end")))
    }
    step["accept"]?.let { index ->
        val strip = strips.first { it.refined }
        apply(checkNotNull(accept(strip, strip.suggestions[index.jsonPrimitive.int])))
    }
    if ("accept_ahead" in step) {
        val strip = strips.first { it.ahead != null }
        apply(checkNotNull(accept(strip, checkNotNull(strip.ahead))))
    }
    repeat(step["backspace"]?.jsonPrimitive?.int ?: 0) { apply(backspace()) }
    step["reported"]?.let { reported(it.jsonPrimitive.content, "") }
}

private fun JsonElement.layout(): KeyboardLayout = if (this is JsonArray) {
    val key = { key: JsonObject ->
        fun number(name: String) = key.getValue(name).jsonPrimitive.float
        Key(key.text("key"), number("x"), number("y"), number("width"), number("height"))
    }
    KeyboardLayout.Keys(map { key(it.jsonObject) })
} else {
    when (val name = jsonPrimitive.content) {
        "qwerty" -> KeyboardLayout.Qwerty
        "qwertz" -> KeyboardLayout.Qwertz
        "azerty" -> KeyboardLayout.Azerty
        "dvorak" -> KeyboardLayout.Dvorak
        else -> error("there is no layout $name")
    }
}

private fun replies(found: Replies) = buildJsonObject {
    val reply = { reply: Reply ->
        buildJsonObject {
            put("text", JsonPrimitive(reply.text))
            put("intent", JsonPrimitive(reply.intent))
        }
    }
    put("replies", JsonArray(found.replies.map(reply)))
    put("silence", JsonPrimitive(found.silence?.name?.lowercase()))
}

private fun JsonObjectBuilder.put(key: String, tokens: List<Int>) = put(key, JsonArray(tokens.map { JsonPrimitive(it) }))

private fun JsonObject.text(key: String) = getValue(key).jsonPrimitive.content

private fun JsonObject.int(key: String) = getValue(key).jsonPrimitive.int

private fun JsonObject.list(key: String) = getValue(key).jsonArray.map { it.jsonObject }

private fun JsonObject.messages() = list("messages").map { Message(Role.valueOf(it.text("role").uppercase()), it.text("content")) }

private fun JsonObject.chat() = list("chat").map { Turn(it.getValue("from_me").jsonPrimitive.boolean, it.text("text")) }

private fun JsonObject.sampling(): Sampling {
    val given = this["sampling"]?.jsonObject.orEmpty()
    val default = Sampling()
    return Sampling(
        temperature = given["temperature"]?.jsonPrimitive?.float ?: default.temperature,
        topK = given["top_k"]?.jsonPrimitive?.int ?: default.topK,
        topP = given["top_p"]?.jsonPrimitive?.float ?: default.topP,
        minP = given["min_p"]?.jsonPrimitive?.float ?: default.minP,
        repetitionPenalty = given["repetition_penalty"]?.jsonPrimitive?.float ?: default.repetitionPenalty,
        repetitionWindow = given["repetition_window"]?.jsonPrimitive?.int ?: default.repetitionWindow,
        seed = given["seed"]?.jsonPrimitive?.long ?: default.seed,
        schema = given["schema"]?.jsonPrimitive?.content,
    )
}

private fun JsonObject.stop(): Stop {
    val given = this["stop"]?.jsonObject.orEmpty()
    return Stop(
        maxTokens = given["max_tokens"]?.jsonPrimitive?.int,
        strings = given["strings"]?.jsonArray.orEmpty().map { it.jsonPrimitive.content },
    )
}
