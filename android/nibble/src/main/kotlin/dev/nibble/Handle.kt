package dev.nibble

import dev.nibble.ffi.Disposable
import java.util.concurrent.atomic.AtomicBoolean

/**
 * A native object, which is freed when this is closed and the calls on it have returned: uniffi counts them. [name] is what it is
 * called in messages, and [end] stops whatever runs on it.
 */
internal class Handle<N : Disposable>(
    private val name: String,
    private val native: N,
    val lane: Lane,
    private val end: N.() -> Unit,
) : AutoCloseable {
    private val closed = AtomicBoolean()

    /** A call that computes nothing and waits for nothing. */
    fun <T> now(call: N.() -> T): T = translating(name) { native.call() }

    /** A call that may take its time; [stop] makes it return early. See [Lane.call]. */
    suspend fun <T> call(stop: N.() -> Unit = {}, discard: (T) -> Unit = {}, work: N.() -> T): T =
        lane.call({ stopQuietly(stop) }, discard) { now(work) }

    override fun close() {
        if (closed.compareAndSet(false, true)) {
            try {
                now(end)
            } finally {
                native.destroy()
            }
        }
    }

    private fun stopQuietly(stop: N.() -> Unit) {
        try {
            now(stop)
        } catch (_: NibbleException.Closed) {
            // Closing stopped it.
        }
    }
}
