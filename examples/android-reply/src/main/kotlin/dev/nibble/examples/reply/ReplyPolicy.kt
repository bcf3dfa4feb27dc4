package dev.nibble.examples.reply

/** A notification, as far as it matters here. */
data class Notice(
    /** Android's key: the same for each update of it. */
    val key: String,
    /** The package of the app that shows it, and the app's name. */
    val sender: String,
    val app: String,
    val category: String?,
    val ongoing: Boolean,
    val groupSummary: Boolean,
    /** Whether the app takes an answer in words. */
    val takesText: Boolean,
    /** Who the conversation is with. */
    val title: String?,
    /** The last messages, oldest first. */
    val messages: List<Message>,
)

/** Which notifications replies are offered for, if the user wants that at all. */
class ReplyPolicy(private val ownPackage: String, private val consent: () -> Boolean) {
    /** Why nothing is offered. */
    enum class Refusal { NO_CONSENT, OWN, NO_CONVERSATION, NO_ANSWER, NO_WORDS }

    /** Why a notification is left alone; `null` if it is not. Without consent nothing of it is looked at. */
    fun refusal(notice: Notice): Refusal? = when {
        !consent() -> Refusal.NO_CONSENT
        notice.sender == ownPackage -> Refusal.OWN
        notice.groupSummary || notice.ongoing || notice.category !in CATEGORIES -> Refusal.NO_CONVERSATION
        !notice.takesText -> Refusal.NO_ANSWER
        notice.messages.none { it.text.isNotBlank() } -> Refusal.NO_WORDS
        else -> null
    }

    /** The conversation in a notification, if replies to it are offered. */
    fun conversation(notice: Notice): Conversation? = if (refusal(notice) != null) null else Conversation(
        id = notice.key,
        name = notice.title?.takeIf(String::isNotBlank) ?: notice.app,
        messages = notice.messages.filter { it.text.isNotBlank() }.takeLast(MESSAGES),
        app = notice.app,
    )

    private companion object {
        /** What messengers call theirs; many old ones say nothing. */
        val CATEGORIES = setOf(null, "msg")

        /** As many as a replier reads, and a few for the eye. */
        const val MESSAGES = 8
    }
}

/** Takes an answer to the other side, as a notification's reply action does; `false` if it takes none any more. */
fun interface Route {
    fun send(text: String): Boolean
}

/** The ways back to those who wrote. Nothing goes out but by [send], which the send button calls, and only with consent. */
class Outbox(private val consent: () -> Boolean) {
    private val routes = mutableMapOf<String, Route>()

    fun open(id: String, route: Route) {
        routes[id] = route
    }

    fun close(id: String) {
        routes -= id
    }

    fun closeAll() = routes.clear()

    /** Whether the answer went out. */
    fun send(id: String, text: String): Boolean = consent() && text.isNotBlank() && routes[id]?.send(text) == true
}
