package dev.nibble.examples.reply

import android.app.Application
import android.content.ComponentName
import android.content.Context
import android.service.notification.NotificationListenerService
import dev.nibble.ModelOptions
import dev.nibble.Nibble
import dev.nibble.Replier
import dev.nibble.Turn
import dev.nibble.android.PowerGovernor
import dev.nibble.android.attachTo
import dev.nibble.examples.Brain
import dev.nibble.examples.Installer
import dev.nibble.examples.asset
import java.io.File
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.flow.map

/** Holds what outlives an activity, and ties the classes that decide to Android. */
class ReplyApp : Application() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main.immediate)
    private val chats = mutableMapOf<String, Chat>()

    /** The service that reads notifications, while the system has it connected. */
    var reader: NotificationReader? = null

    val conversations by lazy { Conversations(Conversations.parse(resources.openRawResource(R.raw.conversations).reader().use { it.readText() })) }
    val outbox = Outbox(::consent)
    val policy by lazy { ReplyPolicy(packageName, ::consent) }
    val brain by lazy {
        val installer = Installer(noBackupFilesDir.resolve("model"), Installer.SMOLLM2, Nibble::pack)
        Brain(installer, { asset(ASSET) }, ::open, scope)
    }

    /** The chat with this conversation; `null` if there is none of this name. */
    fun chat(id: String): Chat? = chats[id]
        ?: conversations[id]?.let { Chat(it, conversations, outbox, brain.opened, scope) }?.also { chats[id] = it }

    /** Whether the user wants replies to notifications of other apps. It is off until it is switched on. */
    var consent: Boolean
        get() = settings().getBoolean(CONSENT, false)
        set(given) {
            settings().edit().putBoolean(CONSENT, given).apply()
            if (given) {
                NotificationListenerService.requestRebind(ComponentName(this, NotificationReader::class.java))
            } else {
                // From now on the system hands on no notification.
                reader?.requestUnbind()
                outbox.closeAll()
                conversations.forgetNotifications()
                chats.keys.removeAll { conversations[it] == null }
            }
        }

    private suspend fun open(file: File): Assistant {
        val model = Nibble.open(file.path, ModelOptions(sourceSha256 = Installer.SMOLLM2))
        model.attachTo(this)
        PowerGovernor(this)
        return NibbleAssistant(model.replier())
    }

    private fun settings() = getSharedPreferences("settings", Context.MODE_PRIVATE)

    private companion object {
        const val ASSET = "model.gguf"
        const val CONSENT = "notifications"
    }
}

/** Replies by Nibble. */
private class NibbleAssistant(private val replier: Replier) : Assistant {
    override suspend fun suggest(chat: List<Turn>) = replier.suggest(chat)

    override fun draft(chat: List<Turn>) = replier.draft(chat).map { it.text }
}
