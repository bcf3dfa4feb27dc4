package dev.nibble

import dev.nibble.ffi.Download as NativeDownload
import dev.nibble.ffi.Manifest as NativeManifest
import kotlinx.coroutines.flow.Flow

/**
 * A model file on its way into a [ModelStore], which the app fetches by whatever means it has. Nibble checks each chunk as it comes and
 * keeps what is right: after a kill, [ModelStore.download] goes on there.
 *
 * After [close] every call throws [NibbleException.Closed]; what was downloaded stays.
 */
public class Download internal constructor(native: NativeDownload) : AutoCloseable {
    private val handle = Handle("download", native, Lane("nibble-download")) {}

    /** What is being fetched. */
    public val manifest: Manifest = handle.now { manifest() }.toPublic()

    /** Which bytes of the file are still to be written, in their order; empty when it can be installed. */
    public suspend fun missing(): List<LongRange> =
        handle.call { missing() }.map { it.start.toLong() until it.end.toLong() }

    /**
     * Takes [bytes] of the file that begin at [offset]: where something is missing, or at the beginning of a chunk.
     *
     * @throws NibbleException.ModelDamaged if a chunk is whole with them and is wrong; it is missing again.
     * @throws NibbleException.InvalidArgument if bytes before them are missing.
     */
    public suspend fun write(offset: Long, bytes: ByteArray) {
        val at = offset.toNative("offset")
        handle.call { write(at, bytes) }
    }

    /**
     * Installs the file under the name of its [manifest] when nothing is missing. The model that has the name serves until this one is
     * whole, and is kept for [ModelStore.rollback], as far as the quota allows. The flow is as that of [Nibble.pack].
     */
    public fun install(): Flow<PackProgress> = packing(handle.lane) { handle.now { install() } }

    /** Removes what was downloaded. */
    public suspend fun discard(): Unit = handle.call { discard() }

    override fun close(): Unit = handle.close()
}

/** What a publisher has signed of a model. */
public data class Manifest(
    /** What the model is called in a store. */
    public val name: String,
    /** Grows with every model that is published under the name. */
    public val sequence: Long,
    /** The licence's name, such as an SPDX identifier. */
    public val licence: String,
    /** Where the licence's text is. */
    public val licenceUrl: String?,
    /** Bytes of memory that a device must have. */
    public val minimumMemory: Long,
    /** Length of the file in bytes. */
    public val length: Long,
    /** SHA-256 of the file, in hexadecimal. That of a GGUF file is [InstalledModel.sourceSha256] when it is installed. */
    public val sha256: String,
)

private fun NativeManifest.toPublic() =
    Manifest(name, sequence.toLong(), licence, licenceUrl, minimumMemory.toLong(), length.toLong(), sha256)
