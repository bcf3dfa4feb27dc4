package androidx.test.internal.platform.util

@Suppress("UNUSED_PARAMETER")
object TestOutputEmitter {
    @JvmStatic
    fun dumpThreadStates(file: String) = Unit
}
