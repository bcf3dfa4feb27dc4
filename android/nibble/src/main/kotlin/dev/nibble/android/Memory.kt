// What Android says about memory, handed on to a model.
package dev.nibble.android

import android.app.ActivityManager
import android.content.ComponentCallbacks2
import android.content.Context
import android.content.res.Configuration
import dev.nibble.MemoryPressure
import dev.nibble.Model
import dev.nibble.NibbleException

/**
 * Has the model give memory back when Android says that it is short, until what is returned is closed, or the model is. What was
 * given back comes back by itself. That the app is no longer seen, or the screen is locked, gives nothing back.
 */
public fun Model.attachTo(context: Context): AutoCloseable {
    // A service or an activity may be gone before the model is.
    val application = context.applicationContext ?: context
    return MemoryCallbacks(this, application).also(application::registerComponentCallbacks)
}

private class MemoryCallbacks(private val model: Model, private val context: Context) : ComponentCallbacks2, AutoCloseable {
    override fun onTrimMemory(level: Int) {
        memoryPressure(level, ::memoryLeft)?.let(::handOn)
    }

    private fun memoryLeft() = ActivityManager.MemoryInfo().also { memory ->
        (context.getSystemService(Context.ACTIVITY_SERVICE) as ActivityManager?)?.getMemoryInfo(memory)
    }

    @Deprecated("The system still calls it where an app handles no levels.")
    override fun onLowMemory() = handOn(MemoryPressure.CRITICAL)

    override fun onConfigurationChanged(configuration: Configuration) = Unit

    override fun close() = context.unregisterComponentCallbacks(this)

    private fun handOn(pressure: MemoryPressure) = try {
        model.onMemoryPressure(pressure)
    } catch (_: NibbleException.Closed) {
        close()
    }
}

/**
 * What a level of `onTrimMemory` asks for, if it asks for anything. From Android 14 on only `UI_HIDDEN` and `BACKGROUND` come: an
 * app that is in front is no longer told, and one that is not has to look itself how much is [left] of the phone's memory.
 */
@Suppress("DEPRECATION")
internal fun memoryPressure(level: Int, left: () -> ActivityManager.MemoryInfo): MemoryPressure? = when {
    level >= ComponentCallbacks2.TRIM_MEMORY_COMPLETE -> MemoryPressure.CRITICAL
    level >= ComponentCallbacks2.TRIM_MEMORY_MODERATE -> MemoryPressure.LOW
    level >= ComponentCallbacks2.TRIM_MEMORY_BACKGROUND -> memoryPressureInBackground(left())
    // Says what the user sees, and nothing of memory.
    level >= ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN -> null
    level >= ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL -> MemoryPressure.CRITICAL
    level >= ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW -> MemoryPressure.LOW
    level >= ComponentCallbacks2.TRIM_MEMORY_RUNNING_MODERATE -> MemoryPressure.MODERATE
    else -> null
}

/**
 * How short memory is for an app in the background: below the threshold Android ends such apps, and twice that is close to it. Where
 * there is plenty, nothing is asked for: a screen that is locked is told of in the same way.
 */
private fun memoryPressureInBackground(left: ActivityManager.MemoryInfo): MemoryPressure? = when {
    left.lowMemory -> MemoryPressure.CRITICAL
    left.availMem < 2 * left.threshold -> MemoryPressure.LOW
    left.availMem < 4 * left.threshold -> MemoryPressure.MODERATE
    else -> null
}
