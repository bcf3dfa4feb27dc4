package dev.nibble

import java.util.concurrent.TimeUnit
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test

/** The API on an aarch64 JVM, which the system properties `nibble.arm.java` and `nibble.arm.library` name. */
class ArmTest {
    @Test
    fun `the NEON library says the same as the one of this machine`() {
        val java = System.getProperty("nibble.arm.java")
        val library = System.getProperty("nibble.arm.library")
        assumeTrue(!java.isNullOrEmpty() && !library.isNullOrEmpty(), "there is no aarch64 JVM")
        val here = linesOf(javaCommand(MAIN, TestModel.path))
        assertEquals(5, here.size, "$here")
        assertTrue("Paris" in here[2], here[2])
        assertEquals(here, linesOf(javaCommand(MAIN, TestModel.path, java = java, library = library)))
    }

    /** What a program writes that ends well. */
    private fun linesOf(command: List<String>): List<String> {
        val process = ProcessBuilder(command).redirectErrorStream(true).start()
        val lines = process.inputStream.bufferedReader().readLines()
        assertTrue(process.waitFor(1, TimeUnit.MINUTES), "it does not end")
        assertEquals(0, process.exitValue(), lines.joinToString("\n"))
        return lines
    }

    private companion object {
        const val MAIN = "dev.nibble.SameTokensKt"
    }
}
