package dev.nibble.examples.keyboard

import android.app.Application
import android.content.Context
import android.util.Log
import dev.nibble.Keyboard
import dev.nibble.KeyboardOptions
import dev.nibble.LearnedWords
import dev.nibble.Lexicon
import dev.nibble.Model
import dev.nibble.ModelOptions
import dev.nibble.Nibble
import dev.nibble.NibbleException
import dev.nibble.android.PowerGovernor
import dev.nibble.android.attachTo
import dev.nibble.android.openLexiconAsset
import dev.nibble.examples.Brain
import dev.nibble.examples.Installer
import dev.nibble.examples.asset
import java.io.File
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.collectLatest
import kotlinx.coroutines.flow.combine
import kotlinx.coroutines.flow.distinctUntilChanged
import kotlinx.coroutines.flow.filterNotNull
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.launch

/** Holds what outlives a text field: the model, the word list, what was learned, and the one keyboard over them. */
class KeyboardApp : Application() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main.immediate)
    private val there = MutableStateFlow<Keyboard?>(null)
    private var started = false

    val settings by lazy { Settings(getSharedPreferences("settings", Context.MODE_PRIVATE)) }
    val brain: Brain<Model> by lazy {
        Brain(Installer(noBackupFilesDir.resolve("model"), Installer.SMOLLM2, Nibble::pack), { asset(MODEL) }, ::open, scope)
    }
    val words: WordList<Lexicon> by lazy {
        WordList(noBackupFilesDir.resolve("words/lexicon.fst"), ::openAsset, { Nibble.openLexicon(it.path) }, scope)
    }

    /** What was learned from what the user wrote; it can be looked at without a model. */
    val learned: Deferred<LearnedWords> = scope.async(start = CoroutineStart.LAZY) { openLearned() }

    /**
     * The file of what was learned, if it cannot be read. It is left as it is until the user wipes it: it may only be in use. Meanwhile
     * words are learned and not kept.
     */
    var unread: File? = null
        private set

    /** Nibble's keyboard; `null` until there is a model. With a word list that comes later it is opened anew. */
    val keyboard: StateFlow<Keyboard?> = there.asStateFlow()

    /** Opens what is there. Does nothing the second time. */
    fun start() {
        if (started) return
        started = true
        brain.start()
        words.start()
        scope.launch {
            // Looking for the word list takes no time beside opening the keyboard twice.
            val looked = words.state.map { it != WordListState.LOOKING }
            combine(brain.opened, words.opened, looked) { model, lexicon, done -> if (done && model != null) model to lexicon else null }
                .filterNotNull().distinctUntilChanged().collectLatest { (model, lexicon) -> trying("open a keyboard") { open(model, lexicon) } }
        }
    }

    /** The letters are arranged like this from now on. */
    fun arrange(letters: Letters) {
        if (letters == settings.letters) return
        settings.letters = letters
        there.value?.setLayout(placed(letters))
    }

    /** Has Nibble think along in a text field. */
    fun typist(input: InputField, around: Around): Typist? {
        val session = there.value?.start(input.field, around.before, around.after) ?: return null
        return NibbleTypist(session).also { if (around.selected) it.reported(around) }
    }

    /** Whether words are learned in fields that allow it. */
    fun learn(on: Boolean) {
        settings.learning = on
        scope.launch { trying("pause learning") { learned.await().pause(!on) } }
    }

    /** Forgets all that was learned. What could not be read is gone when the keyboard starts the next time. */
    suspend fun forgetAll() {
        learned.await().wipe()
        unread?.delete()
        unread = null
    }

    /** Whoever types can do nothing about it: the keys go on as they were. There is nothing in the message that anybody typed. */
    private suspend fun trying(what: String, attempt: suspend () -> Unit) = try {
        attempt()
    } catch (problem: NibbleException) {
        Log.w("NibbleKeyboard", "could not $what", problem)
    }

    private suspend fun open(model: Model, lexicon: Lexicon?) {
        val lexicons = listOfNotNull(lexicon)
        val opened = model.keyboard(KeyboardOptions(lexicons = lexicons, layout = placed(settings.letters), learned = learned.await()))
        val old = there.value
        there.value = opened
        old?.close()
    }

    private suspend fun open(file: File): Model {
        val model = Nibble.open(file.path, ModelOptions(sourceSha256 = Installer.SMOLLM2))
        model.attachTo(this)
        PowerGovernor(this)
        return model
    }

    private suspend fun openAsset(): Lexicon? =
        if (assets.list("").orEmpty().contains(WORDS)) Nibble.openLexiconAsset(assets, WORDS) else null

    private suspend fun openLearned(): LearnedWords {
        val file = noBackupFilesDir.resolve("learned.redb")
        val words = try {
            Nibble.openLearnedWords(file.path)
        } catch (_: NibbleException) {
            unread = file
            LearnedWords.inMemory()
        }
        words.pause(!settings.learning)
        return words
    }

    private companion object {
        const val MODEL = "model.gguf"
        const val WORDS = "lexicon-en.fst"
    }
}
