package dev.nibble

import dev.nibble.ffi.InstalledModel as NativeInstalledModel
import dev.nibble.ffi.ModelStore as NativeModelStore
import java.time.Instant
import kotlinx.coroutines.flow.Flow

/**
 * Packed models in one folder of the app, by name: installed whole or not at all, replaced while they are in use, and limited to a
 * quota. Several stores, and several processes, may use one folder.
 *
 * After [close] every call throws [NibbleException.Closed]. Models that were opened from it stay open.
 */
public class ModelStore private constructor(native: NativeModelStore) : AutoCloseable {
    // A list need not wait for an installation.
    private val handle = Handle("store", native, Lane("nibble-store", width = 4)) {}

    /** What is installed, the last used first. */
    public suspend fun installed(): List<InstalledModel> = handle.call { installed() }.map { it.toPublic() }

    /**
     * The models of which a session with these [options] writes to at most [limit] bytes, the largest first: what to open instead when
     * [NibbleException.MemoryLimit] has no `fittingContext`. What this version of Nibble cannot read is left out.
     */
    public suspend fun fitting(limit: Long, options: SessionOptions = SessionOptions()): List<InstalledModel> {
        val (most, native) = limit.toNative("limit") to options.toNative()
        return handle.call { fitting(native, most) }.map { it.toPublic() }
    }

    /**
     * Installs the model in [source], a GGUF file, which is packed, or a packed file, which is checked and copied. Where [name] is taken
     * this is its upgrade: the old file serves until the new one is whole, and whoever has it open keeps it. If the quota is exceeded
     * then, the models that were not used for the longest go; until it is whole the storage holds them all. The flow is as that of
     * [Nibble.pack]; a model that is larger than the quota is [NibbleException.StorageFull], and a name that is no plain file name
     * [NibbleException.InvalidArgument].
     *
     * @param sourceSha256 the SHA-256 of the GGUF file that the model must come from, in hexadecimal; `null` takes any.
     */
    public fun install(name: String, source: String, sourceSha256: String? = null): Flow<PackProgress> =
        packing(handle.lane) { handle.now { install(name, source, sourceSha256) } }

    /**
     * Where the model [name] is; it is marked as used.
     *
     * @throws NibbleException.ModelNotFound if it is not installed.
     */
    public suspend fun path(name: String): String = handle.call { path(name) }

    /** Opens the model [name], as [Nibble.open] does what is at its [path]. */
    public suspend fun open(name: String, options: ModelOptions = ModelOptions()): Model = Nibble.open(path(name), options)

    /**
     * Begins to download the model of a signed [manifest], as `nibble manifest make` writes it, or goes on with it. One download of a
     * name at a time, in all processes.
     *
     * @param publicKeys the keys of which one must have signed it, in hexadecimal.
     * @param allowOlder takes one with a lower sequence number than what was last installed.
     * @param memory bytes of memory that the device has; `null` asks the system.
     * @throws NibbleException.ManifestUntrusted if none of the keys has signed it, or it was changed.
     * @throws NibbleException.ManifestUnfit if it is no manifest, or of a later version.
     * @throws NibbleException.ManifestOlder if a newer one was installed.
     * @throws NibbleException.MemoryLimit if the model needs more memory than the device has.
     * @throws NibbleException.StorageFull if it is larger than the quota.
     */
    public suspend fun download(
        manifest: ByteArray,
        publicKeys: List<String>,
        allowOlder: Boolean = false,
        memory: Long? = null,
    ): Download {
        val limit = memory?.toNative("memory")
        return handle.call(discard = { it.close() }) { Download(download(manifest, publicKeys, allowOlder, limit)) }
    }

    /**
     * Puts the model back that the last download of [name] took the place of.
     *
     * @throws NibbleException.ModelNotFound if none is kept.
     */
    public suspend fun rollback(name: String): Unit = handle.call { rollback(name) }

    /** Removes the model [name], if it is installed, and what was downloaded of it. Whoever has it open keeps it. */
    public suspend fun remove(name: String): Unit = handle.call { remove(name) }

    /** Closes the store; its files stay, and installations under way go on. */
    override fun close(): Unit = handle.close()

    public companion object {
        /**
         * Opens the store in the folder [directory], which is made if it is not there. It is the app's own, such as
         * `context.noBackupFilesDir.resolve("models").path`: models can be had again, so they need no backup.
         *
         * @param quota bytes that the models may take together; `null` sets no limit.
         * @throws NibbleException.Io if the folder cannot be made or read.
         */
        public suspend fun open(directory: String, quota: Long? = null): ModelStore {
            val limit = quota?.toNative("quota")
            return Nibble.lane.call(discard = ModelStore::close) {
                loaded { translating("store") { ModelStore(NativeModelStore.open(directory, limit)) } }
            }
        }
    }
}

/** A model of a [ModelStore]. */
public data class InstalledModel(
    /** The name under which it was installed. */
    public val name: String,
    /** Where it is. */
    public val path: String,
    /** What it takes of the storage. */
    public val bytes: Long,
    /**
     * The SHA-256 of the GGUF file that it was packed from, in hexadecimal; `null` where this version of Nibble cannot read the file,
     * which is to be installed again.
     */
    public val sourceSha256: String?,
    /** When it was installed or last asked for, to the second. */
    public val lastUsed: Instant,
)

private fun NativeInstalledModel.toPublic() =
    InstalledModel(name, path, bytes.toLong(), sourceSha256, Instant.ofEpochSecond(lastUsed.toLong()))
