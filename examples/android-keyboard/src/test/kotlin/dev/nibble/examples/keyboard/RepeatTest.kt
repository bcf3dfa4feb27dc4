package dev.nibble.examples.keyboard

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.test.advanceTimeBy
import kotlinx.coroutines.test.runCurrent
import kotlinx.coroutines.test.runTest

@OptIn(ExperimentalCoroutinesApi::class)
class RepeatTest {
    private var acted = 0

    @Test
    fun `a tap acts once`() = runTest {
        val repeat = Repeat(backgroundScope)
        repeat.start { acted++ }
        assertEquals(1, acted, "it does not wait")
        advanceTimeBy(200)
        repeat.stop()
        advanceTimeBy(10_000)
        assertEquals(1, acted)
    }

    @Test
    fun `held, it goes on until the finger is up`() = runTest {
        val repeat = Repeat(backgroundScope)
        repeat.start { acted++ }
        advanceTimeBy(400)
        runCurrent()
        assertEquals(2, acted)
        advanceTimeBy(500)
        runCurrent()
        assertEquals(12, acted)
        repeat.stop()
        advanceTimeBy(10_000)
        assertEquals(12, acted)
    }
}
