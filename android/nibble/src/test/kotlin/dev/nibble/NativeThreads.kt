package dev.nibble

import kotlinx.coroutines.Job
import kotlinx.coroutines.yield

/** The threads that are in this native call. */
internal fun threadsIn(call: String): Set<Thread> =
    Thread.getAllStackTraces().filterValues { stack -> stack.any { it.methodName == call } }.keys

/** Waits for so many threads to be in the native call, which this job makes one of them. */
internal suspend fun Job.awaitThreads(count: Int, call: String): Set<Thread> {
    while (threadsIn(call).size < count) {
        check(isActive) { "it is over and was not seen to begin" }
        yield()
    }
    return threadsIn(call)
}
