package dev.nibble

import java.util.concurrent.atomic.AtomicBoolean
import kotlin.coroutines.resume
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.asExecutor
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext

/**
 * Where blocking calls run, at most [width] at a time, in the order in which they came.
 *
 * An object computes one thing at a time, so each has a lane of one thread, and none waits for another's: a key does not queue
 * behind a draft. Views of [Dispatchers.IO] are not limited by its 64 threads, so an app that fills those does not stop Nibble,
 * and a lane with nothing to do has no thread.
 */
internal class Lane(name: String, width: Int = 1) {
    private val threads = Dispatchers.IO.limitedParallelism(width, name).asExecutor()

    /** Runs [work] when its turn comes, for nobody who waits. */
    fun later(work: () -> Unit): Unit = threads.execute(work)

    /**
     * Runs [work] and suspends until it has returned. When the caller is cancelled, [stop] is called at once, by whoever cancels it;
     * the caller goes on when [work] has returned all the same, so that nothing is computed for a coroutine that is over. What it
     * returned then goes to [discard]. Work that was not begun is not waited for.
     */
    suspend fun <T> call(stop: () -> Unit = {}, discard: (T) -> Unit = {}, work: () -> T): T {
        val begun = AtomicBoolean()
        val outcome = CompletableDeferred<Result<T>>()
        try {
            suspendCancellableCoroutine<Unit> { caller ->
                threads.execute {
                    if (begun.compareAndSet(false, true)) {
                        outcome.complete(runCatching(work))
                        caller.resume(Unit)
                    }
                }
                caller.invokeOnCancellation {
                    if (begun.compareAndSet(false, true)) {
                        outcome.complete(Result.failure(CancellationException("cancelled before it began")))
                    } else {
                        stop()
                    }
                }
            }
        } catch (cancellation: CancellationException) {
            withContext(NonCancellable) { outcome.await() }.onSuccess(discard)
            throw cancellation
        }
        return outcome.await().getOrThrow()
    }
}
