// What Robolectric calls of `androidx.test:monitor`, which is in Google's repository alone: these six files have no more than that.
package androidx.test.platform.app

import android.app.Instrumentation
import android.os.Bundle

object InstrumentationRegistry {
    private var registered: Pair<Instrumentation, Bundle>? = null

    @JvmStatic
    fun getInstrumentation(): Instrumentation = checkNotNull(registered) { "no instrumentation is registered" }.first

    @JvmStatic
    fun getArguments(): Bundle = Bundle(registered?.second ?: Bundle.EMPTY)

    @JvmStatic
    fun registerInstance(instrumentation: Instrumentation, arguments: Bundle) {
        registered = instrumentation to arguments
    }
}
