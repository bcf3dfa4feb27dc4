package dev.nibble.android

import android.content.Context
import android.os.Build
import android.os.PerformanceHintManager
import dev.nibble.Nibble
import kotlin.time.Duration

/**
 * Tells Android how long work takes and how long it should, so that it clocks the cores as high as that needs and no higher (ADPF).
 * One for each kind of work, such as the keys of a text field, which should take [target]:
 *
 *     val strip = hints.measure { keyboard.suggest(context, typed) }
 *
 * It is about Nibble's worker threads, and those only: the thread that a request is made on changes from one to the next, and takes
 * one share of the work. Where there are no workers, before Android 12, and on phones that take no hints it does nothing.
 */
public class PerformanceHints(context: Context, target: Duration) : AutoCloseable {
    private val hints: HintSessions? = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
        val sessions = Sessions(context, target.inWholeNanoseconds)
        HintSessions(Nibble::workerThreads, sessions::open)
    } else {
        null
    }

    /** Runs [work] and reports how long it took, if it came to its end. */
    public suspend fun <T> measure(work: suspend () -> T): T {
        val start = System.nanoTime()
        val result = work()
        hints?.report(System.nanoTime() - start)
        return result
    }

    /** Ends the hints. What is measured after that is not reported. */
    override fun close() {
        hints?.close()
    }
}

/** In a class of its own: before Android 12 its types are not there. */
private class Sessions(context: Context, private val target: Long) {
    private val manager = context.getSystemService(PerformanceHintManager::class.java)

    fun open(threads: IntArray): HintSession? = try {
        manager?.createHintSession(threads, target)?.let { session ->
            object : HintSession {
                override fun report(nanoseconds: Long) = session.reportActualWorkDuration(nanoseconds)

                override fun close() = session.close()
            }
        }
    } catch (_: IllegalArgumentException) {
        // A worker ended since it was asked for.
        null
    } catch (_: SecurityException) {
        // The same, when another process has its number by now.
        null
    }
}

/** A session of Android's hints. */
internal interface HintSession : AutoCloseable {
    fun report(nanoseconds: Long)
}

/** One session of hints after another, as workers come and go: a session is about the threads that it was opened for. */
internal class HintSessions(
    private val workers: () -> IntArray,
    private val open: (IntArray) -> HintSession?,
) : AutoCloseable {
    private var threads = IntArray(0)
    private var session: HintSession? = null
    private var closed = false

    @Synchronized
    fun report(nanoseconds: Long) {
        if (closed) return
        val now = workers().apply { sort() }
        if (!now.contentEquals(threads)) {
            session?.close()
            threads = now
            session = if (now.isEmpty()) null else open(now)
        }
        session?.report(nanoseconds)
    }

    @Synchronized
    override fun close() {
        closed = true
        session?.close()
        session = null
    }
}
