package dev.nibble

import dev.nibble.ffi.LearnedWords as NativeLearnedWords
import dev.nibble.ffi.EmojiList as NativeEmojiList
import dev.nibble.ffi.Lexicon as NativeLexicon
import dev.nibble.ffi.LogLevel as NativeLogLevel
import dev.nibble.ffi.Packing as NativePacking
import dev.nibble.ffi.PowerState as NativePowerState
import dev.nibble.ffi.memoryPlan as nativeMemoryPlan
import dev.nibble.ffi.memoryPlanDescriptor
import dev.nibble.ffi.setLogLevel as nativeSetLogLevel
import dev.nibble.ffi.setPowerState as nativeSetPowerState
import dev.nibble.ffi.version as nativeVersion
import dev.nibble.ffi.workerThreadIds
import kotlinx.coroutines.flow.Flow

/**
 * Small language models on the device, offline. This is where it begins: [open] a [Model], then make what your app needs over
 * it: a [Keyboard] for the next word, a [Replier] for replies, a [Session] for text.
 *
 * Everything here may be called from any thread, the main thread too. Whatever computes or reads a file is `suspend` or a
 * [kotlinx.coroutines.flow.Flow], and runs on threads of Nibble's own. Cancelling a coroutine stops what the model computes for it at
 * once, within the time of one layer. What reads or writes a file without that, such as opening a model with all of its weights
 * checked, is waited for, and what it made is closed. Everything that goes wrong is a [NibbleException].
 */
public object Nibble {
    /**
     * The version of Nibble's native library, which is loaded for it if it was not before.
     *
     * @throws NibbleException.LibraryUnavailable if it could not be loaded.
     */
    public val version: String
        get() = loaded { nativeVersion() }

    /** Opening a model reads it, so several may be under way while calls on open models go on. */
    internal val lane = Lane("nibble", width = 4)

    /**
     * Opens the packed model file at [path]. It is mapped, not copied: close the model when the app is done with it, and leave the
     * file as it is until then.
     *
     * @throws NibbleException.ModelNotFound if there is no file.
     * @throws NibbleException.ModelDamaged if the file is cut short, changed, no model, or another one than
     *   [ModelOptions.sourceSha256] asks for.
     * @throws NibbleException.ModelVersion if another version of Nibble packed it.
     * @throws NibbleException.ModelUnsupported if this version or this CPU cannot run it.
     * @throws NibbleException.LibraryUnavailable if Nibble's native library could not be loaded.
     */
    public suspend fun open(path: String, options: ModelOptions = ModelOptions()): Model =
        lane.call(discard = Model::close) { loaded { Model.open(path, options) } }

    /**
     * Opens the packed model file that lies in an open file, [length] bytes from [offset] on. It is mapped from there, not copied.
     * This is how a model is opened that an app's package or an asset pack holds uncompressed (`noCompress += "nibble"`):
     *
     *     context.assets.openFd("model.nibble").use { asset ->
     *         Nibble.open(asset.parcelFileDescriptor.fd, asset.startOffset, asset.length)
     *     }
     *
     * which is what `openAsset` of `dev.nibble.android` does. [descriptor] stays the caller's, who may close it when this has returned.
     * Throws what opening a path does.
     *
     * @throws NibbleException.Io if the descriptor is not open.
     */
    public suspend fun open(
        descriptor: Int,
        offset: Long,
        length: Long,
        options: ModelOptions = ModelOptions(),
    ): Model = lane.call(discard = Model::close) { loaded { Model.open(descriptor, offset, length, options) } }

    /**
     * Opens the word list at [path], for [KeyboardOptions.lexicons]. It is mapped, not copied, and read once to compare its checksum:
     * leave the file as it is until the keyboards with it are closed. `nibble pull lexicon-en` makes one on a desktop.
     *
     * @throws NibbleException.LexiconUnfit if there is no file, or it is damaged, something else, or of another version. Go on without a
     *   word list then: words are still predicted.
     * @throws NibbleException.Io if the system refuses to read it.
     * @throws NibbleException.LibraryUnavailable if Nibble's native library could not be loaded.
     */
    public suspend fun openLexicon(path: String): Lexicon =
        lane.call(discard = Lexicon::close) { loaded { translating("word list") { Lexicon(NativeLexicon.open(path)) } } }

    /**
     * Opens the word list that lies in an open file, [length] bytes from [offset] on: an asset that an app's package holds uncompressed
     * (`noCompress += "fst"`). [descriptor] stays the caller's, who may close it when this has returned. Throws what opening a path does.
     */
    public suspend fun openLexicon(descriptor: Int, offset: Long, length: Long): Lexicon =
        lane.call(discard = Lexicon::close) {
            loaded {
                translating("word list") {
                    Lexicon(NativeLexicon.openDescriptor(descriptor, offset.toNative("offset"), length.toNative("length")))
                }
            }
        }

    /**
     * Opens the emoji list at [path], which is mapped as a word list is. `nibble pull emoji-en` makes one on a desktop. Throws what
     * [openLexicon] does.
     */
    public suspend fun openEmoji(path: String): EmojiList =
        lane.call(discard = EmojiList::close) { loaded { translating(EmojiList.NAME) { EmojiList(NativeEmojiList.open(path)) } } }

    /** Opens the emoji list that lies in an open file, as [openLexicon] does a word list. */
    public suspend fun openEmoji(descriptor: Int, offset: Long, length: Long): EmojiList =
        lane.call(discard = EmojiList::close) {
            loaded {
                translating(EmojiList.NAME) {
                    EmojiList(NativeEmojiList.openDescriptor(descriptor, offset.toNative("offset"), length.toNative("length")))
                }
            }
        }

    /**
     * Opens the file at [path], in which a [Keyboard] keeps what its person writes, or makes it. It is to lie in storage of the app's own
     * that no backup takes. With a [key] of 32 bytes, such as the system's key store keeps, its content is sealed.
     *
     * @throws NibbleException.LearnedWordsUnfit if it is damaged, something else, sealed with another key, or in use. It is as it was: go
     *   on without it, or delete it to begin anew.
     * @throws NibbleException.Io if the system refuses to read or write it.
     * @throws NibbleException.LibraryUnavailable if Nibble's native library could not be loaded.
     */
    public suspend fun openLearnedWords(path: String, key: ByteArray? = null): LearnedWords =
        learning.call(discard = LearnedWords::close) {
            loaded { translating(LearnedWords.NAME) { LearnedWords(NativeLearnedWords.open(path, key)) } }
        }

    /**
     * What the model file at [path] would take, and a session with these options, a keyboard or a replier over it. Reads little of the
     * file; throws what [open] does.
     */
    public suspend fun memoryPlan(path: String, options: SessionOptions = SessionOptions()): MemoryPlan =
        lane.call { loaded { translating("model") { nativeMemoryPlan(path, options.toNative()) }.toPublic() } }

    /** The same of the model file that lies in an open file, [length] bytes from [offset] on, as in an app's package. */
    public suspend fun memoryPlan(
        descriptor: Int,
        offset: Long,
        length: Long,
        options: SessionOptions = SessionOptions(),
    ): MemoryPlan = lane.call {
        loaded {
            translating("model") {
                memoryPlanDescriptor(descriptor, offset.toNative("offset"), length.toNative("length"), options.toNative())
            }.toPublic()
        }
    }

    /**
     * Packs the GGUF file [source] into [target], which is then opened with [open]. The flow is cold: collecting it packs, and ends when
     * [target] is whole. It emits how far that is, some ten times a second. Cancelling the collector stops the work, waits for that,
     * and leaves [target] as it was; so does whatever goes wrong. Collecting throws
     *  - [NibbleException.ModelNotFound] if there is no file [source],
     *  - [NibbleException.ModelDamaged] if it is damaged, or has another SHA-256,
     *  - [NibbleException.ModelUnsupported] if no version of Nibble packs it,
     *  - [NibbleException.StorageFull] if there is no room for [target], which takes about as much as [source],
     *  - [NibbleException.Io] if the system refuses to read or write a file,
     *  - [NibbleException.LibraryUnavailable] if Nibble's native library could not be loaded.
     *
     * @param sourceSha256 the SHA-256 that [source] must have, in hexadecimal; `null` takes any.
     */
    public fun pack(source: String, target: String, sourceSha256: String? = null): Flow<PackProgress> =
        packing(lane) { loaded { translating("packing") { NativePacking(source, target, sourceSha256) } } }

    /**
     * Says how much power there is to compute with; it takes effect within a batch, for the whole process, and changes no result. On
     * Android `PowerGovernor` of `dev.nibble.android` calls it.
     */
    public fun setPowerState(state: PowerState): Unit = loaded { nativeSetPowerState(state.toNative()) }

    /**
     * Says from which level on Nibble logs, for the whole process; [LogLevel.WARN] is the default. It logs to logcat, with the tag
     * `Nibble`, and to standard error elsewhere. No text of a user is ever logged.
     */
    public fun setLogLevel(level: LogLevel): Unit = loaded { nativeSetLogLevel(level.toNative()) }

    /** The kernel's numbers of the threads that sessions have for their own. */
    internal fun workerThreads(): IntArray = loaded { workerThreadIds() }.toIntArray()
}

/** How much power there is to compute with. */
public enum class PowerState {
    /** As much as it takes. */
    NORMAL,

    /** The user saves power: half of the threads. */
    SAVING,

    /** The device is hot: half of the threads. */
    HOT,

    /** The device is about to slow everything down: one thread. */
    CRITICAL,
}

/** What Nibble logs. Each level logs what those before it do, and more. */
public enum class LogLevel {
    /** Nothing. */
    OFF,

    /** What failed. */
    ERROR,

    /** What the app should know, such as memory that could not be had. */
    WARN,

    /** What was opened, and how. */
    INFO,

    /** What a developer of Nibble asks for. */
    DEBUG,
}

private fun PowerState.toNative() = when (this) {
    PowerState.NORMAL -> NativePowerState.NORMAL
    PowerState.SAVING -> NativePowerState.SAVING
    PowerState.HOT -> NativePowerState.HOT
    PowerState.CRITICAL -> NativePowerState.CRITICAL
}

private fun LogLevel.toNative() = when (this) {
    LogLevel.OFF -> NativeLogLevel.OFF
    LogLevel.ERROR -> NativeLogLevel.ERROR
    LogLevel.WARN -> NativeLogLevel.WARN
    LogLevel.INFO -> NativeLogLevel.INFO
    LogLevel.DEBUG -> NativeLogLevel.DEBUG
}

/** Loading happens with the first call, so this is where it can fail. */
internal inline fun <T> loaded(call: () -> T): T = try {
    call()
} catch (error: LinkageError) {
    throw NibbleException.LibraryUnavailable(
        "the native library nibble_ffi could not be loaded (${System.getProperty("os.arch")}): " +
            "check that the app ships it for this ABI, and that R8 keeps com.sun.jna and dev.nibble.ffi",
        error,
    )
}
