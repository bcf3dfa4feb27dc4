package dev.nibble.android

import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.Build
import android.os.PowerManager
import dev.nibble.Nibble
import dev.nibble.NibbleException
import dev.nibble.PowerState

/**
 * Has Nibble compute on fewer threads while the phone is hot or saves power, until it is closed. Results stay the same. It is for
 * the whole process, so an app has one; it looks at the battery saver, and from Android 10 on at how hot the phone is.
 *
 * @throws NibbleException.LibraryUnavailable if Nibble's native library could not be loaded.
 */
public class PowerGovernor(context: Context) : AutoCloseable {
    private val application = context.applicationContext ?: context
    private val power = application.getSystemService(PowerManager::class.java)
    private val saver = object : BroadcastReceiver() {
        override fun onReceive(context: Context, intent: Intent) = update()
    }
    private val heat = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) Heat(application, power, ::update) else null
    private var closed = false

    init {
        update()
        application.registerReceiver(saver, IntentFilter(PowerManager.ACTION_POWER_SAVE_MODE_CHANGED))
        heat?.listen()
    }

    /** Ends it; Nibble computes on all of its threads again. */
    @Synchronized
    override fun close() {
        if (closed) return
        closed = true
        heat?.close()
        application.unregisterReceiver(saver)
        Nibble.setPowerState(PowerState.NORMAL)
    }

    // What was posted before the close may run after it.
    @Synchronized
    private fun update() {
        if (!closed) {
            Nibble.setPowerState(powerState(power.isPowerSaveMode, heat?.status ?: PowerManager.THERMAL_STATUS_NONE))
        }
    }
}

/** In a class of its own: before Android 10 its types are not there. */
private class Heat(private val context: Context, private val power: PowerManager, changed: () -> Unit) : AutoCloseable {
    private val listener = PowerManager.OnThermalStatusChangedListener { changed() }

    val status: Int get() = power.currentThermalStatus

    fun listen() {
        try {
            power.addThermalStatusListener(context.mainExecutor, listener)
        } catch (_: RuntimeException) {
            // Thrown where the thermal service refuses. The status is still read whenever the battery saver changes.
        }
    }

    override fun close() = power.removeThermalStatusListener(listener)
}

/** What the battery saver and a thermal status of the power manager ask for together. */
internal fun powerState(saving: Boolean, thermalStatus: Int): PowerState = when {
    thermalStatus >= PowerManager.THERMAL_STATUS_CRITICAL -> PowerState.CRITICAL
    thermalStatus >= PowerManager.THERMAL_STATUS_SEVERE -> PowerState.HOT
    saving -> PowerState.SAVING
    else -> PowerState.NORMAL
}
