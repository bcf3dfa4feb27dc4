package dev.nibble.examples.keyboard

import dev.nibble.NibbleException
import dev.nibble.examples.ModelSource
import java.io.File
import java.io.IOException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** Where the word list is: not there, there, or what was chosen is none. */
enum class WordListState { LOOKING, MISSING, UNFIT, UNREADABLE, READY }

/**
 * The word list, with which the keyboard sees through typing errors: a file that the user chose, or the asset that came with the app.
 * What was chosen is tried before it takes the place of an older one.
 */
class WordList<T : Any>(
    private val file: File,
    /** Opens the asset; `null` if there is none. */
    private val openAsset: suspend () -> T?,
    private val open: suspend (File) -> T,
    private val scope: CoroutineScope,
) {
    private val current = MutableStateFlow(WordListState.LOOKING)
    private val there = MutableStateFlow<T?>(null)
    private var work: Job? = null

    val state: StateFlow<WordListState> = current.asStateFlow()
    val opened: StateFlow<T?> = there.asStateFlow()

    /** Opens the list that is there. Does nothing the second time. */
    fun start() {
        if (work == null) begin { if (file.isFile) open(file) else openAsset() }
    }

    /** Takes a file that the user chose. */
    fun install(source: ModelSource) {
        if (work?.isActive == true) return
        begin {
            val partial = file.resolveSibling("${file.name}.partial")
            try {
                withContext(Dispatchers.IO) {
                    file.parentFile?.mkdirs()
                    source.open().use { input -> partial.outputStream().use(input::copyTo) }
                }
                open(partial).also { if (!partial.renameTo(file)) throw IOException("the word list could not be put in its place") }
            } finally {
                partial.delete()
            }
        }
    }

    private fun begin(find: suspend () -> T?) {
        work = scope.launch {
            current.value = try {
                find()?.let { there.value = it }
                if (there.value == null) WordListState.MISSING else WordListState.READY
            } catch (_: NibbleException) {
                WordListState.UNFIT
            } catch (_: IOException) {
                WordListState.UNREADABLE
            }
        }
    }
}
