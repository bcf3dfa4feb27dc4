package dev.nibble.examples

import dev.nibble.NibbleException
import dev.nibble.PackProgress
import java.io.File
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.conflate
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.withContext

/** A GGUF file that the user chose, or that came with the app. It is read once, and never on the main thread. */
class ModelSource(
    /** Bytes in all; 0 if nobody knows. */
    val length: () -> Long = { 0 },
    val open: () -> InputStream,
)

/** How far an installation is: first the file is copied, then it is packed. */
data class Progress(val step: Step, val done: Long, val total: Long) {
    enum class Step { COPY, PACK }

    /** Of both steps together, each of which is a half of it. */
    val percent: Int
        get() {
            val part = if (total > 0) (50 * done / total).toInt().coerceIn(0, 50) else 0
            return if (step == Step.COPY) part else 50 + part
        }
}

/** The file is not the model that this app was made for. */
class WrongModel : IOException("the file has another SHA-256 than the model")

/** As `Nibble.pack`: makes a packed file of a GGUF file, whole or not at all. */
typealias Pack = (source: String, target: String, sourceSha256: String) -> Flow<PackProgress>

/**
 * The one model of this app, in a folder of its own. Whatever else is in there was left by an installation that was killed, and goes
 * with [tidy]: there is a packed model or there is none, and never a half.
 */
class Installer(private val folder: File, private val sha256: String, private val pack: Pack) {
    private val packed = folder.resolve("model.nibble")
    private val copy = folder.resolve("model.gguf")

    /** The packed model, if it is installed. */
    fun installed(): File? = packed.takeIf(File::isFile)

    /** Removes what was left over. */
    suspend fun tidy(): Unit = withContext(Dispatchers.IO) {
        folder.listFiles()?.filter { it != packed && it.name != THREADS }?.forEach(File::deleteRecursively)
    }

    /** Removes the model. */
    suspend fun remove() {
        withContext(Dispatchers.IO) { packed.delete() }
        tidy()
    }

    /**
     * Installs a model. The flow is cold; when it ends, [installed] has it. Collecting throws [WrongModel], an [IOException] where a
     * file cannot be read or written, and a [NibbleException] where it cannot be packed. Then nothing is left of it.
     */
    fun install(source: ModelSource): Flow<Progress> = flow {
        tidy()
        folder.mkdirs()
        try {
            val length = source.length()
            source.open().use { input -> copy(input) { done -> emit(Progress(Progress.Step.COPY, done, length)) } }
            emitAll(pack(copy.path, packed.path, sha256).map { Progress(Progress.Step.PACK, it.done, it.total) })
        } finally {
            copy.delete()
        }
    }.conflate().flowOn(Dispatchers.IO)

    private suspend fun copy(input: InputStream, progress: suspend (Long) -> Unit) {
        val digest = MessageDigest.getInstance("SHA-256")
        val buffer = ByteArray(BUFFER)
        var done = 0L
        copy.outputStream().use { output ->
            while (true) {
                currentCoroutineContext().ensureActive()
                val read = input.read(buffer)
                if (read < 0) break
                output.write(buffer, 0, read)
                digest.update(buffer, 0, read)
                done += read
                progress(done)
            }
        }
        if (digest.digest().joinToString("") { "%02x".format(it) } != sha256) throw WrongModel()
    }

    companion object {
        /** SmolLM2-135M-Instruct.Q4_1.gguf, which `cargo nibble pull smollm2-135m-instruct` fetches. */
        const val SMOLLM2 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

        /** What `Model.calibrate` keeps beside the model. */
        private const val THREADS = "model.nibble.threads.json"

        private const val BUFFER = 1 shl 20
    }
}
