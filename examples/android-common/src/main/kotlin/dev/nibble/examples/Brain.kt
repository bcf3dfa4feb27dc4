package dev.nibble.examples

import dev.nibble.NibbleException
import java.io.File
import java.io.IOException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.launch

/** Where the model is on its way. */
sealed interface ModelState {
    /** There is none, or the last attempt to get one ended with a [problem]. */
    data class Missing(val problem: Problem? = null) : ModelState

    data class Installing(val progress: Progress) : ModelState

    data object Opening : ModelState

    data object Ready : ModelState
}

/** Why there is no model, in words that a user can do something about. */
enum class Problem { OTHER_FILE, STORAGE_FULL, UNREADABLE, UNSUPPORTED }

/** Finds the model, installs it and opens it: one for the whole app. All calls come on the thread of [scope]. */
class Brain<T : Any>(
    private val installer: Installer,
    /** The model that came with the app, if one did. */
    private val asset: () -> ModelSource?,
    /** Opens a packed file, as what the app does with it. */
    private val open: suspend (File) -> T,
    private val scope: CoroutineScope,
) {
    private val current = MutableStateFlow<ModelState>(ModelState.Missing())
    private val there = MutableStateFlow<T?>(null)
    private var work: Job? = null

    val state: StateFlow<ModelState> = current.asStateFlow()

    /** What was opened; `null` until it is there. */
    val opened: StateFlow<T?> = there.asStateFlow()

    /** Opens the model that is installed, or installs the one that came with the app. Does nothing the second time. */
    fun start() {
        if (work == null) begin { if (installer.installed() != null) null else asset() }
    }

    /** Installs a file that the user chose. */
    fun install(source: ModelSource) {
        if (current.value !is ModelState.Missing) return
        current.value = ModelState.Installing(Progress(Progress.Step.COPY, 0, 0))
        begin { source }
    }

    private fun begin(source: () -> ModelSource?) {
        val before = work
        work = scope.launch {
            before?.join()
            current.value = try {
                source()?.let { pack(it) }
                try {
                    openInstalled()
                } catch (problem: NibbleException) {
                    if (installer.installed() != null) throw problem
                    // It was removed as unfit: the one that came with the app takes its place, if there is one.
                    pack(asset() ?: throw problem)
                    openInstalled()
                }
            } catch (problem: IOException) {
                ModelState.Missing(problem(problem))
            } catch (problem: NibbleException) {
                ModelState.Missing(problem(problem))
            }
        }
    }

    private suspend fun pack(source: ModelSource) = installer.install(source).collect { current.value = ModelState.Installing(it) }

    private suspend fun openInstalled(): ModelState {
        val file = installer.installed()
        if (file != null) current.value = ModelState.Opening
        installer.tidy()
        if (file == null) return ModelState.Missing()
        try {
            there.value = open(file)
        } catch (problem: NibbleException) {
            // Made by another version of the app, or damaged: it is packed again from its file.
            if (problem is NibbleException.ModelVersion || problem is NibbleException.ModelDamaged) installer.remove()
            throw problem
        }
        return ModelState.Ready
    }

    private fun problem(exception: Exception): Problem? = when (exception) {
        is WrongModel, is NibbleException.ModelDamaged -> Problem.OTHER_FILE
        is NibbleException.StorageFull -> Problem.STORAGE_FULL
        is NibbleException.ModelVersion -> null
        is IOException -> if ("ENOSPC" in exception.message.orEmpty()) Problem.STORAGE_FULL else Problem.UNREADABLE
        is NibbleException.Io, is NibbleException.ModelNotFound -> Problem.UNREADABLE
        else -> Problem.UNSUPPORTED
    }
}
