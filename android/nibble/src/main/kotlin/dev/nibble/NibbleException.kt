package dev.nibble

import dev.nibble.ffi.InternalException
import dev.nibble.ffi.NibbleException as NativeException

/**
 * Everything that Nibble can report. The message is a sentence for a developer: what went wrong, with what, and what to do. It
 * holds nothing that a user typed.
 *
 * A coroutine that was cancelled ends with a [kotlinx.coroutines.CancellationException], as everywhere, and not with one of these.
 */
public sealed class NibbleException(message: String, cause: Throwable? = null) : Exception(message, cause) {
    /** There is no file where the model, or the snapshot, should be. */
    public class ModelNotFound internal constructor(message: String) : NibbleException(message)

    /** The model file is cut short, changed, not a model file, or another model than was asked for. */
    public class ModelDamaged internal constructor(message: String) : NibbleException(message)

    /** The model file was packed by a version of Nibble whose format this one does not read. */
    public class ModelVersion internal constructor(message: String) : NibbleException(message)

    /** The model file is sound, and this version or this CPU cannot run it. */
    public class ModelUnsupported internal constructor(message: String) : NibbleException(message)

    /** The model is a base model: it has no chat template. */
    public class NoChatTemplate internal constructor(message: String) : NibbleException(message)

    /** There is no word list, or no emoji list, in the file: it is missing, damaged, or of another version. Go on without one. */
    public class LexiconUnfit internal constructor(message: String) : NibbleException(message)

    /**
     * The file holds no learned words, or is damaged, sealed with another key, or in use. It is as it was; a keyboard can be opened without
     * it.
     */
    public class LearnedWordsUnfit internal constructor(message: String) : NibbleException(message)

    /** The manifest is no manifest, or of a later version of the format. */
    public class ManifestUnfit internal constructor(message: String) : NibbleException(message)

    /** The manifest is signed with none of the given keys, or was changed since. Do not use what it names. */
    public class ManifestUntrusted internal constructor(message: String) : NibbleException(message)

    /** The manifest is older than the one that the model was last installed from. */
    public class ManifestOlder internal constructor(message: String) : NibbleException(message)

    /** The text has [tokens] tokens, and the session holds [context]. */
    public class ContextOverflow internal constructor(
        message: String,
        public val tokens: Int,
        public val context: Int,
    ) : NibbleException(message)

    /**
     * What was to be opened would take [needed] bytes and may take [limit], which is 0 where the system itself has no more to give.
     *
     * @property fittingContext a context that fits; `null` where none is known to.
     */
    public class MemoryLimit internal constructor(
        message: String,
        public val needed: Long,
        public val limit: Long,
        public val fittingContext: Int?,
    ) : NibbleException(message)

    /**
     * The snapshot is of another model, another version or another way to keep keys and values, longer than the session's context, or
     * damaged. The session is as it was.
     */
    public class SnapshotUnfit internal constructor(message: String) : NibbleException(message)

    /** The schema is no JSON, asks for what is not supported, or cannot be met. The message says what and where. */
    public class SchemaUnfit internal constructor(message: String) : NibbleException(message)

    /** The storage is full, or what a [ModelStore] may take of it. */
    public class StorageFull internal constructor(message: String) : NibbleException(message)

    /** The system refused to read or write a file. */
    public class Io internal constructor(message: String) : NibbleException(message)

    /** A newer request took the place of this one. */
    public class Superseded internal constructor(message: String) : NibbleException(message)

    /** The object, or the one it was made over, was closed before. */
    public class Closed internal constructor(message: String) : NibbleException(message)

    /** An argument that cannot be. */
    public class InvalidArgument internal constructor(message: String) : NibbleException(message)

    /** Nibble's native library is missing, is for another ABI, or is not the one that this version was built with. */
    public class LibraryUnavailable internal constructor(message: String, cause: Throwable) : NibbleException(message, cause)

    /** A fault of Nibble itself; please report it. */
    public class Internal internal constructor(message: String) : NibbleException(message)
}

/** Makes what the native side throws in [call] ours; [name] is what the object is called in messages. */
internal inline fun <T> translating(name: String, call: () -> T): T = try {
    call()
} catch (error: NativeException) {
    throw error.toPublic()
} catch (_: InternalException) {
    // Its message is that of a panic, which can quote what it was working on.
    throw NibbleException.Internal("Nibble failed in a call on a $name; please report it with the steps that lead to it")
} catch (_: IllegalStateException) {
    // What uniffi throws when the native object is gone.
    throw NibbleException.Closed("the $name is closed; open a new one")
}

internal fun NativeException.toPublic(): NibbleException = when (this) {
    is NativeException.ModelNotFound -> NibbleException.ModelNotFound(reason)
    is NativeException.ModelDamaged -> NibbleException.ModelDamaged(reason)
    is NativeException.ModelVersion -> NibbleException.ModelVersion(reason)
    is NativeException.ModelUnsupported -> NibbleException.ModelUnsupported(reason)
    is NativeException.NoChatTemplate -> NibbleException.NoChatTemplate(reason)
    is NativeException.LexiconUnfit -> NibbleException.LexiconUnfit(reason)
    is NativeException.LearnedWordsUnfit -> NibbleException.LearnedWordsUnfit(reason)
    is NativeException.ManifestUnfit -> NibbleException.ManifestUnfit(reason)
    is NativeException.ManifestUntrusted -> NibbleException.ManifestUntrusted(reason)
    is NativeException.ManifestOlder -> NibbleException.ManifestOlder(reason)
    is NativeException.ContextOverflow -> NibbleException.ContextOverflow(reason, tokens.toInt(), context.toInt())
    is NativeException.MemoryLimit ->
        NibbleException.MemoryLimit(reason, needed.toLong(), limit.toLong(), fittingContext?.toInt())
    is NativeException.SnapshotUnfit -> NibbleException.SnapshotUnfit(reason)
    is NativeException.SchemaUnfit -> NibbleException.SchemaUnfit(reason)
    is NativeException.StorageFull -> NibbleException.StorageFull(reason)
    is NativeException.Io -> NibbleException.Io(reason)
    is NativeException.Superseded -> NibbleException.Superseded(reason)
    is NativeException.Closed -> NibbleException.Closed(reason)
    is NativeException.InvalidArgument -> NibbleException.InvalidArgument(reason)
    is NativeException.Internal -> NibbleException.Internal(reason)
    // A call is cancelled only when its coroutine is, which then does not look at what the call says.
    is NativeException.Cancelled -> NibbleException.Internal("a call was stopped that nobody cancelled; please report it")
}

/** Numbers that cannot be negative are unsigned on the other side. */
internal fun Int.toNative(name: String): UInt {
    if (this < 0) throw NibbleException.InvalidArgument("$name is $this; it is 0 or more")
    return toUInt()
}

internal fun Long.toNative(name: String): ULong {
    if (this < 0) throw NibbleException.InvalidArgument("$name is $this; it is 0 or more")
    return toULong()
}
