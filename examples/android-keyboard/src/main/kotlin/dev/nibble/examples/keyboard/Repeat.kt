package dev.nibble.examples.keyboard

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch

/** A key that acts again and again while it is held. */
class Repeat(private val scope: CoroutineScope) {
    private var job: Job? = null

    /** Acts now, and from a moment later on in quick succession, until [stop]. */
    fun start(act: () -> Unit) {
        stop()
        act()
        job = scope.launch {
            delay(PAUSE_MS)
            while (true) {
                act()
                delay(INTERVAL_MS)
            }
        }
    }

    fun stop() {
        job?.cancel()
    }

    private companion object {
        const val PAUSE_MS = 400L
        const val INTERVAL_MS = 50L
    }
}
