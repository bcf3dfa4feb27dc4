package dev.nibble

import dev.nibble.ffi.Packing as NativePacking
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.distinctUntilChanged
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withTimeoutOrNull

/** How far a model is packed. */
public data class PackProgress(
    /** Bytes done. */
    public val done: Long,
    /** Bytes in all; 0 while that is not known. */
    public val total: Long,
)

/** The packing that [begin] makes: begun when it is collected, and stopped when its collector goes. */
internal fun packing(lane: Lane, begin: () -> NativePacking): Flow<PackProgress> = flow {
    fun handle(native: NativePacking) = Handle("packing", native, lane) { cancel() }
    lane.call(discard = { it.close() }) { handle(begin()) }.use { packing ->
        fun look(): PackProgress = packing.now { progress() }.let { PackProgress(it.done.toLong(), it.total.toLong()) }
        coroutineScope {
            val run = async { packing.call(stop = { cancel() }) { run() } }
            while (withTimeoutOrNull(INTERVAL) { run.await() } == null) emit(look())
        }
        emit(look())
    }
}.distinctUntilChanged()

/** Between two looks at the progress: as often as a person can see it move. */
private val INTERVAL = 100.milliseconds
