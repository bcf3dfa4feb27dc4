package dev.nibble

import java.io.File
import kotlinx.coroutines.runBlocking

/** The model that the tests run on: a packed file, named by the environment variable `NIBBLE_TEST_MODEL`. */
object TestModel {
    val path: String = checkNotNull(System.getenv("NIBBLE_TEST_MODEL")) {
        "NIBBLE_TEST_MODEL is not set: give the path of smollm2-135m-instruct, packed (cargo nibble pull smollm2-135m-instruct)"
    }

    /** How many mappings of model files this process has. */
    fun mappings(): Int = File("/proc/self/maps").readLines().count { it.endsWith(".nibble") }

    /** Open for as long as the tests run; a test that closes a model opens one of its own. */
    val shared: Model by lazy { runBlocking { Nibble.open(path) } }
}
