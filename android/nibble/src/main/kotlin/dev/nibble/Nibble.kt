package dev.nibble

import dev.nibble.ffi.memoryPlan as nativeMemoryPlan

/**
 * Small language models on the device, offline. This is where it begins: [open] a [Model], then make what your app needs over
 * it: a [Keyboard] for the next word, a [Replier] for replies, a [Session] for text.
 *
 * Everything here may be called from any thread, the main thread too. Whatever computes or reads a file is `suspend` or a
 * [kotlinx.coroutines.flow.Flow], and runs on threads of Nibble's own. Cancelling a coroutine stops its computation at once, within
 * the time of one layer of the model. Everything that goes wrong is a [NibbleException].
 */
public object Nibble {
    /** Opening a model reads it, so several may be under way while calls on open models go on. */
    private val lane = Lane("nibble", width = 4)

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
     * [descriptor] stays the caller's, who may close it when this has returned. Throws what opening a path does.
     *
     * @throws NibbleException.Io if the descriptor is not open.
     */
    public suspend fun open(
        descriptor: Int,
        offset: Long,
        length: Long,
        options: ModelOptions = ModelOptions(),
    ): Model = lane.call(discard = Model::close) { loaded { Model.open(descriptor, offset, length, options) } }

    /** What the model file at [path] would take with one session. Reads little of the file; throws what [open] does. */
    public suspend fun memoryPlan(path: String, options: SessionOptions = SessionOptions()): MemoryPlan =
        lane.call { loaded { translating("model") { nativeMemoryPlan(path, options.toNative()) }.toPublic() } }

    /** Loading happens with the first call, so this is where it can fail. */
    private inline fun <T> loaded(call: () -> T): T = try {
        call()
    } catch (error: LinkageError) {
        throw NibbleException.LibraryUnavailable(
            "the native library nibble_ffi could not be loaded (${System.getProperty("os.arch")}): " +
                "check that the app ships it for this ABI, and that R8 keeps com.sun.jna and dev.nibble.ffi",
            error,
        )
    }
}
