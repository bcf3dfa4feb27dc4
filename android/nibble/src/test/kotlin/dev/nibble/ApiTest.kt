package dev.nibble

import com.sun.jna.Function
import dev.nibble.samples.gettingStarted
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.PrintStream
import java.nio.file.Path
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.CountDownLatch
import kotlin.concurrent.thread
import kotlin.reflect.KClass
import kotlin.reflect.KType
import kotlin.reflect.KVisibility
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Job
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.async
import kotlinx.coroutines.cancel
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.asFlow
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.collectLatest
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.job
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.coroutines.yield
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonObject
import org.junit.jupiter.api.io.TempDir

/** What the API promises beyond the answers: when it computes, when it stops, and what is left when it is closed. */
class ApiTest {
    private val model = TestModel.shared

    @Test
    fun `a flow is cold, and every collection is a text of its own`() = runBlocking {
        model.session(small).use { session ->
            val wrong = session.generate("Hello", Sampling(temperature = -1f))
            assertFailsWith<NibbleException.InvalidArgument> { wrong.toList() }
            val flow = session.generate(PROMPT, stop = Stop(maxTokens = 6))
            val first = flow.toList()
            assertEquals(6, first.size)
            assertEquals(first, flow.toList())
            assertEquals(first.joinToString("") { it.text }, flow.text())
        }
    }

    @Test
    fun `a collector that has enough ends the text, and the next one is whole`() = runBlocking {
        model.session(small).use { session ->
            val flow = session.generate(PROMPT, stop = Stop(maxTokens = 6))
            val whole = flow.toList()
            assertEquals(whole.take(2), flow.take(2).toList())
            assertEquals(whole, flow.toList())
        }
    }

    @Test
    fun `a text under a schema is JSON, and its beginnings can be closed`() = runBlocking {
        val schema = """{"type": "object", "required": ["mood", "tags"], "properties": {"mood": {"enum": ["good", "bad"]},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 8}, "minItems": 2, "maxItems": 2}}}"""
        model.session(small).use { session ->
            val flow = session.generate(PROMPT, Sampling(schema = schema))
            val note = Json.parseToJsonElement(flow.text()).jsonObject
            assertEquals(listOf("mood", "tags"), note.keys.toList())
            val partials = flow.partials { Json.parseToJsonElement(it) }.toList()
            assertEquals(JsonObject(emptyMap()), partials.first())
            assertEquals(note, partials.last())
            assertEquals(partials.distinct(), partials)
            // What does not decode yet is left out, and what never does is said at the end.
            val decodable = flow.partials { Json.parseToJsonElement(it).jsonObject.getValue("mood") }.toList()
            assertEquals(note["mood"], decodable.last())
            assertEquals(partials.size, decodable.size + 1, "without the empty object")
            assertFailsWith<NoSuchElementException> { flow.partials { Json.parseToJsonElement(it).jsonObject.getValue("name") }.toList() }
            val limited = session.generate(PROMPT, Sampling(schema = schema), Stop(maxTokens = 3))
            assertEquals(Finish.MAX_TOKENS, limited.toList().last().finish)
            assertEquals(emptyList(), limited.partials { Json.parseToJsonElement(it).jsonObject.getValue("name") }.toList())
        }
    }

    /**
     * While somebody types, other work waits before its next layer. So a prefill beside a longer one that is a keystroke cannot come
     * to its end, and that it ended all the same is the cancel's doing.
     */
    @Test
    fun `a cancel stops a prefill in its midst, and the cache is as it was`() = runBlocking {
        val long = SessionOptions(context = 4096, threads = 1)
        model.session(long.copy(priority = Priority.KEYSTROKE)).use { typing ->
            model.session(long).use { session ->
                val pieces = ConcurrentLinkedQueue<Piece>()
                val keystroke = launch { typing.generate("one ".repeat(3_000)).collect { pieces += it } }
                keystroke.awaitThreads(1, NEXT)
                val cancelled = launch { session.generate("two ".repeat(1_000)).collect { pieces += it } }
                val threads = cancelled.awaitThreads(2, NEXT)
                assertTrue(Thread.currentThread() !in threads, "the caller's thread computes")

                cancelled.cancelAndJoin()
                assertEquals(emptyList(), pieces.toList(), "it came to its end")
                assertEquals(1, threadsIn(NEXT).size, "the other one is still at work, and this one is not")
                keystroke.cancelAndJoin()
                assertEquals(emptySet(), threadsIn(NEXT))
                assertEquals(emptyList(), pieces.toList())

                val stop = Stop(maxTokens = 4)
                val expected = model.session(long).use { it.generate("two two", stop = stop).toList() }
                assertEquals(expected, session.generate("two two", stop = stop).toList())
            }
        }
    }

    @Test
    fun `keys in quick succession cost one answer, that to the last`() = runBlocking {
        model.keyboard().use { keyboard ->
            val strips = mutableMapOf<String, Suggestions>()
            listOf("", "t", "to", "tom").asFlow().collectLatest { typed -> strips[typed] = keyboard.suggest(CONTEXT, typed) }
            assertEquals(setOf("tom"), strips.keys)
            val alone = model.keyboard().use { it.suggest(CONTEXT, "tom") }
            assertEquals(alone.words(), strips.getValue("tom").words())
        }
    }

    @Test
    fun `the order of calls decides which request is the newest`() = runBlocking {
        model.keyboard().use { keyboard ->
            // No request begins before all were made.
            val gate = CountDownLatch(1)
            launch(start = CoroutineStart.UNDISPATCHED) { keyboard.handle.call { gate.await() } }
            val requests = listOf("t", "to", "tom").map { typed ->
                async(start = CoroutineStart.UNDISPATCHED) { runCatching { keyboard.suggest(CONTEXT, typed) } }
            }
            gate.countDown()
            val (first, second, last) = requests.map { it.await() }
            assertIs<NibbleException.Superseded>(first.exceptionOrNull())
            assertIs<NibbleException.Superseded>(second.exceptionOrNull())
            assertEquals("tom", last.getOrThrow().replaces)
        }
    }

    @Test
    fun `a glance is an answer too`() = runBlocking {
        model.keyboard().use { keyboard ->
            val unread = keyboard.glance(CONTEXT, "tom", count = 2, gate = false)
            assertEquals("tom" to emptyList(), unread.replaces to unread.suggestions, "there is too much to read for one")
            val found = keyboard.suggest(CONTEXT, "tom", count = 2, gate = false)
            assertEquals(2, found.suggestions.size)
            assertEquals(found.suggestions, keyboard.glance(CONTEXT, "tom", count = 2, gate = false).suggestions)
        }
    }

    @Test
    fun `a strip is shown for the newest text, at once and then refined, until the session is closed`() = runBlocking {
        model.keyboard().use { keyboard ->
            val typing = keyboard.start(before = CONTEXT)
            val shown = mutableListOf<Strip>()
            val watching = launch { typing.strips.collect { shown += it } }
            for (key in listOf("t", "o", "m")) {
                typing.key(key)
                yield()
            }
            while (shown.lastOrNull()?.let { it.refined && it.replaces == "tom" } != true) delay(1)
            assertEquals(listOf(false, true), shown.filter { it.replaces == "tom" }.map { it.refined })
            val strip = shown.last()
            assertEquals(Edit("tom", "tomorrow "), typing.accept(strip, strip.suggestions.first()))
            assertEquals(null, typing.accept(strip, strip.suggestions.first()), "its text is no more")
            typing.close()
            watching.join()
            typing.close()
            assertFailsWith<NibbleException.Closed> { typing.key("a") }
            assertFailsWith<NibbleException.Closed> { typing.reported("", "") }
        }
        val keyboard = model.keyboard()
        val typing = keyboard.start()
        keyboard.close()
        assertEquals(Edit("", "a"), typing.key("a"), "typing goes on")
        assertFailsWith<NibbleException.Closed> { typing.strips.first() }
        assertFailsWith<NibbleException.Closed> { keyboard.start() }
        typing.close()
    }

    @Test
    fun `what a session has learned is in the file when that is opened again`(@TempDir folder: Path) = runBlocking {
        val path = folder.resolve("learned").toString()
        val learned = Nibble.openLearnedWords(path, KEY)
        model.keyboard(KeyboardOptions(learned = learned)).use { keyboard ->
            keyboard.start().use { typing -> "see Zorp".forEach { typing.key(it.toString()) } }
        }
        assertFailsWith<NibbleException.LearnedWordsUnfit> { Nibble.openLearnedWords(path, KEY) }
        learned.close()
        assertFailsWith<NibbleException.Closed> { learned.list() }
        assertFailsWith<NibbleException.LearnedWordsUnfit> { Nibble.openLearnedWords(path) }
        Nibble.openLearnedWords(path, KEY).use { again ->
            assertEquals(listOf("Zorp", "see"), again.list().map { it.word })
            assertTrue(again.forget("zorp"))
            val exported = again.export()
            again.wipe()
            assertFailsWith<NibbleException.InvalidArgument> { again.add("no export") }
            again.add(exported)
            assertEquals(listOf("see"), again.list().map { it.word })
        }
        LearnedWords.inMemory().use { learned ->
            learned.pause(true)
            model.keyboard(KeyboardOptions(learned = learned)).use { keyboard ->
                keyboard.start().use { it.key("a") }
            }
            assertEquals(emptyList(), learned.list())
        }
    }

    @Test
    fun `a word list serves the keyboards that have it after its close, and no later ones`() = runBlocking {
        val lexicon = Nibble.openLexicon(words.path)
        assertEquals(File(words.path.replace("fst", "txt")).readLines().size, lexicon.size)
        val options = KeyboardOptions(lexicons = listOf(lexicon))
        model.keyboard(options).use { keyboard ->
            lexicon.close()
            lexicon.close()
            assertEquals("tomorrow", keyboard.suggest(CONTEXT, "tomoreow").autocorrect)
            model.onMemoryPressure(MemoryPressure.LOW)
            assertEquals("tomorrow", keyboard.suggest(CONTEXT, "tomoreow").autocorrect)
        }
        val closed = assertFailsWith<NibbleException.Closed> { model.keyboard(options) }
        assertTrue("word list" in closed.message!!)
        assertEquals(null, model.keyboard(options.copy(lexicons = emptyList())).use { it.suggest(CONTEXT, "tomoreow") }.autocorrect)
    }

    @Test
    fun `a touch that is no number is one that is not known`() = runBlocking {
        suspend fun probability(vararg touches: Touch?) = Nibble.openLexicon(words.path).use { lexicon ->
            model.keyboard(KeyboardOptions(lexicons = listOf(lexicon))).use { keyboard ->
                keyboard.suggest("I have a ", "nat", touches = touches.asList(), count = 20, gate = false)
            }
        }.suggestions.single { it.word == "bat" }.probability
        val unknown = probability()
        for (touch in listOf(null, Touch(Float.NaN, 2.5f), Touch(6.6f, Float.POSITIVE_INFINITY))) {
            assertEquals(unknown, probability(touch))
        }
        assertTrue(probability(Touch(6.6f, 2.5f)) > unknown)
    }

    @Test
    fun `closing ends what runs, at once, and says so`() = runBlocking {
        val keyboard = model.keyboard()
        val session = model.session(SessionOptions(context = 4096, threads = 1))
        val text = async { runCatching { session.generate("one ".repeat(3_000)).first() } }
        text.awaitThreads(1, NEXT)
        session.close()
        session.close()
        assertIs<NibbleException.Closed>(text.await().exceptionOrNull())
        assertFailsWith<NibbleException.Closed> { session.generate(PROMPT).first() }
        keyboard.close()
        assertFailsWith<NibbleException.Closed> { keyboard.suggest(CONTEXT, "t") }
        assertFailsWith<NibbleException.Closed> { keyboard.glance(CONTEXT, "t") }
        assertFailsWith<NibbleException.Closed> { keyboard.setLayout(KeyboardLayout.Azerty) }
        Unit
    }

    @Test
    fun `what goes with a scope is closed when its last coroutine has ended`() = runBlocking {
        val mappings = TestModel.mappings()
        val scope = CoroutineScope(Job())
        val model = Nibble.open(TestModel.path, unchecked).closeWith(scope)
        val session = model.session(small).closeWith(scope)
        val gate = CompletableDeferred<Unit>()
        val last = scope.launch(start = CoroutineStart.UNDISPATCHED) { withContext(NonCancellable) { gate.await() } }
        scope.cancel()
        assertEquals(6, session.generate(PROMPT, stop = Stop(maxTokens = 6)).toList().size, "a coroutine is still at work")
        gate.complete(Unit)
        last.join()
        scope.coroutineContext.job.join()
        assertFailsWith<NibbleException.Closed> { session.generate(PROMPT).first() }
        assertFailsWith<NibbleException.Closed> { model.tokenize("a") }
        session.close()
        val late = Nibble.open(TestModel.path, unchecked).closeWith(scope)
        assertFailsWith<NibbleException.Closed>("the scope is over") { late.tokenize("a") }
        assertEquals(mappings, TestModel.mappings())
    }

    @Test
    fun `a model takes with it all that was made over it`() = runBlocking {
        val mappings = TestModel.mappings()
        val model = Nibble.open(TestModel.path, unchecked)
        val session = model.session(small)
        val keyboard = model.keyboard()
        val replier = model.replier()
        val chat = listOf(Turn(fromMe = false, "Are you coming?"))
        val pieces = mutableListOf<Piece>()
        assertFailsWith<NibbleException.Closed> {
            session.generate(PROMPT).onEach { model.close() }.toList(pieces)
        }
        assertEquals(1, pieces.size)
        model.close()
        assertEquals(mappings, TestModel.mappings(), "the file is still mapped")
        assertFailsWith<NibbleException.Closed> { keyboard.suggest(CONTEXT, "t") }
        assertFailsWith<NibbleException.Closed> { replier.suggest(chat) }
        assertFailsWith<NibbleException.Closed> { replier.draft(chat).first() }
        assertFailsWith<NibbleException.Closed> { model.tokenize("a") }
        assertFailsWith<NibbleException.Closed> { model.session() }
        assertFailsWith<NibbleException.Closed> { model.onMemoryPressure(MemoryPressure.LOW) }
        assertEquals(TestModel.shared.info, model.info, "what it was is still known")
        listOf(session, keyboard, replier).forEach { it.close() }
    }

    @Test
    fun `many threads and a close in their midst give answers or say that it is closed`() {
        val model = runBlocking { Nibble.open(TestModel.path, unchecked) }
        val session = runBlocking { model.session(small) }
        val keyboard = runBlocking { model.keyboard() }
        val outcomes = ConcurrentLinkedQueue<Result<*>>()
        val threads = (0 until 8).map { i ->
            thread {
                runBlocking {
                    do {
                        val now = listOf(
                            runCatching { keyboard.suggest("Line $i ", "t") },
                            runCatching { session.generate("Line $i", stop = Stop(maxTokens = 1)).toList() },
                            runCatching { model.tokenize("Line $i") },
                        )
                        outcomes += now
                    } while (now.none { it.exceptionOrNull() is NibbleException.Closed })
                }
            }
        }
        while (outcomes.count { it.isSuccess } < 16 && threads.all { it.isAlive }) Thread.yield()
        val closing = listOf(session, keyboard, model).flatMap { listOf(it, it) }.map { thread { it.close() } }
        (threads + closing).forEach { it.join() }
        val errors = outcomes.mapNotNull { it.exceptionOrNull() }
        val unexpected = errors.filter { it !is NibbleException.Closed && it !is NibbleException.Superseded }
        assertEquals(emptyList(), unexpected)
        assertTrue(errors.count { it is NibbleException.Closed } >= threads.size)
    }

    @Test
    fun `what was opened for a coroutine that is over is closed`() = runBlocking {
        val mappings = TestModel.mappings()
        repeat(50) { attempt ->
            val opening = launch(start = CoroutineStart.UNDISPATCHED) { Nibble.open(TestModel.path, unchecked).close() }
            // From before it began to long after it ended, if chance will have it.
            repeat(attempt * attempt) { Thread.onSpinWait() }
            opening.cancelAndJoin()
            assertEquals(mappings, TestModel.mappings())
        }
    }

    @Test
    fun `memory that was given back comes back by itself`() = runBlocking {
        model.session(small).use { session ->
            val flow = session.generate(PROMPT, stop = Stop(maxTokens = 6))
            val expected = flow.toList()
            for (pressure in MemoryPressure.entries) {
                assertEquals(expected, flow.onEach { model.onMemoryPressure(pressure) }.toList(), "$pressure")
            }
        }
    }

    @Test
    fun `the library tells its version`() {
        val manifest = File(System.getProperty("nibble.conformance")).resolve("../../Cargo.toml").readText()
        assertContains(manifest, "\nversion = \"${Nibble.version}\"\n")
    }

    @Test
    fun `errors carry what an app needs, and nothing that was typed`() = runBlocking {
        val plan = model.memoryPlan(small)
        assertEquals(plan, Nibble.memoryPlan(TestModel.path, small))
        val limited = small.copy(memoryLimit = plan.session - 1)
        val memory = assertFailsWith<NibbleException.MemoryLimit> { model.session(limited) }
        assertEquals(plan.session to plan.session - 1, memory.needed to memory.limit)
        model.session(limited.copy(context = assertNotNull(memory.fittingContext))).close()
        val threads = small.threads
        val keyboard = KeyboardOptions(threads = threads, memoryLimit = plan.keyboard - 1)
        assertEquals(plan.keyboard, assertFailsWith<NibbleException.MemoryLimit> { model.keyboard(keyboard) }.needed)
        model.keyboard(keyboard.copy(memoryLimit = plan.keyboard)).close()
        val replier = ReplierOptions(threads, memoryLimit = plan.replier - 1)
        assertEquals(plan.replier, assertFailsWith<NibbleException.MemoryLimit> { model.replier(replier) }.needed)
        model.replier(replier.copy(memoryLimit = plan.replier)).close()

        val overflow = assertFailsWith<NibbleException.ContextOverflow> {
            model.session(small).use { it.generate("hunter2 ".repeat(500)).first() }
        }
        assertEquals(small.context, overflow.context)
        assertTrue(overflow.tokens > small.context)
        assertTrue("hunter2" !in overflow.stackTraceToString())

        assertFailsWith<NibbleException.ModelNotFound> { Nibble.memoryPlan("missing.nibble") }
        assertFailsWith<NibbleException.InvalidArgument> { model.session(SessionOptions(context = -1)) }
        assertFailsWith<NibbleException.InvalidArgument> { model.keyboard(KeyboardOptions(threads = -1)) }
        assertFailsWith<NibbleException.InvalidArgument> { model.replier(ReplierOptions(memoryLimit = -1)) }
        Unit
    }

    @Test
    fun `a model within an open file is the same model`(@TempDir folder: Path) = runBlocking {
        val packed = File(TestModel.path)
        val asset = folder.resolve("package").toFile()
        asset.outputStream().use { out ->
            out.write("head".toByteArray())
            packed.inputStream().use { it.copyTo(out) }
            out.write("tail".toByteArray())
        }
        val descriptor = Function.getFunction("c", "open").invokeInt(arrayOf(asset.path, 0))
        val part = Nibble.open(descriptor, 4, packed.length())
        assertFailsWith<NibbleException.ModelDamaged> { Nibble.open(descriptor, 0, packed.length()) }
        assertFailsWith<NibbleException.InvalidArgument> { Nibble.open(descriptor, -1, packed.length()) }
        assertEquals(0, Function.getFunction("c", "close").invokeInt(arrayOf(descriptor)))
        assertTrue(asset.delete())
        assertFailsWith<NibbleException.Io> { Nibble.open(descriptor + 10_000, 4, packed.length()) }
        part.use {
            assertEquals(model.info, it.info)
            suspend fun text(of: Model) = of.session(small).use { session -> session.generate(PROMPT, stop = Stop(6)).text() }
            it.onMemoryPressure(MemoryPressure.CRITICAL)
            assertEquals(text(model), text(it))
        }
    }

    @Test
    fun `a file that takes the place of one that was given back is looked at anew`(@TempDir folder: Path) = runBlocking {
        val file = File(TestModel.path).copyTo(folder.resolve("model.nibble").toFile())
        val packed = folder.resolve("another.nibble").toFile()
        Nibble.pack(RandomModel.write(folder.resolve("another.gguf").toFile()).path, packed.path).collect()
        Nibble.open(file.path, unchecked).use { model ->
            model.session(small).use { session ->
                val text = session.generate(PROMPT, stop = Stop(maxTokens = 6))
                val expected = text.toList()
                model.onMemoryPressure(MemoryPressure.CRITICAL)
                assertTrue(file.delete())
                assertFailsWith<NibbleException.ModelNotFound> { text.toList() }
                packed.copyTo(file)
                assertFailsWith<NibbleException.ModelDamaged> { text.toList() }
                file.writeText("no model")
                assertFailsWith<NibbleException.ModelDamaged> { text.toList() }
                File(TestModel.path).copyTo(file, overwrite = true)
                assertEquals(expected, text.toList())
            }
        }
    }

    @Test
    fun `power changes who computes, and no result`() = runBlocking {
        try {
            model.session(small.copy(threads = 2)).use { session ->
                val flow = session.generate(PROMPT, stop = Stop(maxTokens = 6))
                val expected = flow.toList()
                assertTrue(Nibble.workerThreads().isNotEmpty())
                val tasks = File("/proc/self/task").list()!!.map { it.toInt() }
                assertEquals(emptySet(), Nibble.workerThreads().toSet() - tasks.toSet(), "they are threads of this process")
                for (state in PowerState.entries) {
                    assertEquals(expected, flow.onEach { Nibble.setPowerState(state) }.toList(), "$state")
                }
            }
        } finally {
            Nibble.setPowerState(PowerState.NORMAL)
        }
    }

    @Test
    fun `what is logged can be set, and holds nothing that was typed`(@TempDir folder: Path) {
        val source = RandomModel.write(folder.resolve("random.gguf").toFile())
        fun log(level: LogLevel): String {
            val log = folder.resolve("$level").toFile()
            val models = folder.resolve("models-$level").toString()
            val command = javaCommand("dev.nibble.WithLogKt", level.name, source.path, models, "hunter hunter2 ".repeat(5))
            val process = ProcessBuilder(command).redirectOutput(log).redirectErrorStream(true).start()
            val status = process.waitFor()
            return log.readText().also { assertEquals(0, status, it) }
        }
        assertEquals("", log(LogLevel.OFF))
        assertEquals("", log(LogLevel.WARN))
        val all = log(LogLevel.DEBUG)
        assertTrue("Nibble INFO: removing the model first" in all, all)
        assertTrue("hunter" !in all)
    }

    @Test
    fun `a calibration is kept beside the model, and cancelling it or closing the model stops it`(@TempDir folder: Path) = runBlocking {
        val packed = folder.resolve("random.nibble").toFile()
        Nibble.pack(RandomModel.write(folder.resolve("random.gguf").toFile()).path, packed.path).collect()
        val model = Nibble.open(packed.path)
        model.calibrate()
        assertEquals(setOf("random.gguf", packed.name, "${packed.name}.threads.json"), folder.toFile().list()!!.toSet())
        model.close()
        assertFailsWith<NibbleException.Closed> { model.calibrate() }
        val larger = Nibble.open(TestModel.path, unchecked)
        val cancelled = async { larger.calibrate() }
        cancelled.awaitThreads(1, CALIBRATING)
        cancelled.cancelAndJoin()
        assertFailsWith<CancellationException> { cancelled.await() }
        val calibrating = async { runCatching { larger.calibrate() } }
        calibrating.awaitThreads(1, CALIBRATING)
        larger.close()
        assertIs<NibbleException.Closed>(calibrating.await().exceptionOrNull())
        Unit
    }

    @Test
    fun `a native library that is missing or of another kind is an error of Nibble`(@TempDir folder: Path) {
        fun open(): String {
            val command = javaCommand("dev.nibble.WithoutLibraryKt", TestModel.path, library = "$folder")
            val process = ProcessBuilder(command).redirectErrorStream(true)
            // What cargo sets for its tests names the folder of the library.
            process.environment().keys -= setOf("LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
            return process.start().inputStream.bufferedReader().readText().trim()
        }
        assertEquals("LibraryUnavailable LibraryUnavailable", open())
        folder.resolve(System.mapLibraryName("nibble_ffi")).toFile().writeText("no library")
        assertEquals("LibraryUnavailable LibraryUnavailable", open())
    }

    @Test
    fun `getting started is what the page says, and works`() {
        val snippet = File("src/test/kotlin/dev/nibble/samples/GettingStarted.kt").readText().substringAfter("\n\n")
        assertTrue(snippet in File(System.getProperty("nibble.readme")).readText(), "android/README.md has another snippet")
        val printed = ByteArrayOutputStream()
        val out = System.out
        System.setOut(PrintStream(printed, true))
        try {
            runBlocking { gettingStarted(TestModel.path) }
        } finally {
            System.setOut(out)
        }
        assertEquals("[tomorrow, to]\n Paris.\n\nThe United States has", printed.toString())
    }

    @Test
    fun `no type of the generated bindings is in the API`() {
        val folder = File(Nibble::class.java.protectionDomain.codeSource.location.toURI()).resolve("dev/nibble")
        val names = assertNotNull(folder.list()).filter { it.endsWith(".class") }.map { it.removeSuffix(".class") }
        val classes = names.filterNot { it.endsWith("Kt") || Regex("\\$\\d|\\$\\w+\\$") in it }
            .map { Class.forName("dev.nibble.$it").kotlin }
        val members = classes.filter { it.visibility == KVisibility.PUBLIC }.flatMap { publicTypes(it) }
        assertTrue(classes.size > 30 && members.size > 100, "too few were found to be all")
        assertEquals(emptyList(), members.filter { "dev.nibble.ffi" in it })
    }

    private fun publicTypes(type: KClass<*>): List<String> {
        val callables = (type.members + type.constructors).filter { it.visibility == KVisibility.PUBLIC }
        val types: List<KType> = callables.flatMap { it.parameters.map { parameter -> parameter.type } + it.returnType }
        return (types + type.supertypes).map { it.toString() }
    }

    private fun Suggestions.words() = suggestions.map { it.word }

    private companion object {
        const val PROMPT = "The capital of France is"
        const val CONTEXT = "See you "
        val KEY = ByteArray(32) { 7 }
        val words = File(System.getProperty("nibble.conformance"), "words-en.fst")
        val small = SessionOptions(context = 256)
        val unchecked = ModelOptions(checkWeights = false)
    }
}

/** The native call that measures threads. */
private const val CALIBRATING = "uniffi_nibble_ffi_fn_method_calibration_run"

/** The native call that computes a piece. */
private const val NEXT = "uniffi_nibble_ffi_fn_method_generation_next"
