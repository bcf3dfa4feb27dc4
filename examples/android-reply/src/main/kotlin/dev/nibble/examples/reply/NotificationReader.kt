package dev.nibble.examples.reply

import android.app.Notification
import android.app.PendingIntent
import android.app.Person
import android.app.RemoteInput
import android.content.Context
import android.content.Intent
import android.content.pm.PackageManager
import android.os.Build
import android.os.Bundle
import android.os.Parcelable
import android.service.notification.NotificationListenerService
import android.service.notification.StatusBarNotification

/** Hands notifications of messengers to the policy, which decides. It keeps nothing and answers nothing itself. */
class NotificationReader : NotificationListenerService() {
    private val app get() = application as ReplyApp

    override fun onListenerConnected() {
        app.reader = this
        if (app.consent) activeNotifications?.forEach(::onNotificationPosted) else requestUnbind()
    }

    override fun onListenerDisconnected() {
        app.reader = null
    }

    override fun onNotificationPosted(posted: StatusBarNotification) {
        if (!app.consent) return
        val action = posted.notification.replyAction()
        val conversation = app.policy.conversation(notice(posted, action != null)) ?: return
        if (action != null) app.outbox.open(posted.key, RemoteInputRoute(app, action))
        app.conversations.receive(conversation)
    }

    override fun onNotificationRemoved(removed: StatusBarNotification) {
        app.outbox.close(removed.key)
        app.conversations.close(removed.key)
    }

    private fun notice(posted: StatusBarNotification, takesText: Boolean): Notice {
        val notification = posted.notification
        val extras = notification.extras
        return Notice(
            key = posted.key,
            sender = posted.packageName,
            app = label(posted.packageName),
            category = notification.category,
            ongoing = posted.isOngoing,
            groupSummary = notification.flags and Notification.FLAG_GROUP_SUMMARY != 0,
            takesText = takesText,
            title = (extras.getCharSequence(Notification.EXTRA_CONVERSATION_TITLE) ?: extras.getCharSequence(Notification.EXTRA_TITLE))?.toString(),
            messages = extras.messages(),
        )
    }

    private fun label(name: String): String = try {
        packageManager.getApplicationLabel(packageManager.getApplicationInfo(name, 0)).toString()
    } catch (_: PackageManager.NameNotFoundException) {
        name
    }
}

/** The way back to a messenger: what its own reply button does. */
private class RemoteInputRoute(private val context: Context, private val action: Notification.Action) : Route {
    override fun send(text: String): Boolean {
        val answer = Bundle()
        action.remoteInputs.filter { it.allowFreeFormInput }.forEach { answer.putCharSequence(it.resultKey, text) }
        val intent = Intent().also { RemoteInput.addResultsToIntent(action.remoteInputs, it, answer) }
        return try {
            action.actionIntent.send(context, 0, intent)
            true
        } catch (_: PendingIntent.CanceledException) {
            false
        }
    }
}

private fun Notification.replyAction(): Notification.Action? =
    actions?.find { action -> action.actionIntent != null && action.remoteInputs?.any { it.allowFreeFormInput } == true }

/** The messages of a conversation, or the one text that an older notification has. */
@Suppress("DEPRECATION")
private fun Bundle.messages(): List<Message> {
    val bundles: List<Bundle> = getParcelableArray(Notification.EXTRA_MESSAGES).orEmpty().filterIsInstance<Bundle>()
    if (bundles.isEmpty()) return listOfNotNull(getCharSequence(Notification.EXTRA_TEXT)?.let { Message(fromMe = false, it.toString()) })
    val me = getCharSequence(Notification.EXTRA_SELF_DISPLAY_NAME)?.toString()
    return bundles.mapNotNull { bundle ->
        val text = bundle.getCharSequence("text") ?: return@mapNotNull null
        // The user's own messages have no sender, or the user as one.
        val sender = bundle.getParcelable<Parcelable>("sender_person")?.let(::nameOf) ?: bundle.getCharSequence("sender")?.toString()
        Message(fromMe = sender == null || sender == me, text.toString())
    }
}

private fun nameOf(person: Parcelable): String? =
    if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P && person is Person) person.name?.toString() else null
