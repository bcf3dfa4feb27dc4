package dev.nibble.examples.keyboard

import kotlin.test.Test
import kotlin.test.assertEquals

class StepTest {
    @Test
    fun `a keyboard is switched on, then chosen`() {
        assertEquals(Step.SWITCH_ON, Step.next("own", listOf("other"), "other"))
        assertEquals(Step.CHOOSE, Step.next("own", listOf("other", "own"), "other"))
        assertEquals(Step.DONE, Step.next("own", listOf("other", "own"), "own"))
    }
}
