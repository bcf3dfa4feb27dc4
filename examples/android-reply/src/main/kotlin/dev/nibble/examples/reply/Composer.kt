package dev.nibble.examples.reply

/**
 * What is in the text field, and whether the model is writing it. A draft is text like any other: it can be stopped, edited and
 * deleted, and it is sent by the user alone, when it is no longer being written.
 */
data class Composer(
    val text: String = "",
    val writing: Boolean = false,
    /** What the draft takes the place of; it comes back where the draft comes to nothing. */
    val replaced: String = "",
) {
    val canSend: Boolean get() = !writing && text.isNotBlank()

    /** A draft begins, in the place of what was there. */
    fun begin() = Composer("", writing = true, replaced = end().text)

    /** The model wrote something; after a stop nothing of it is taken. */
    fun add(piece: String) = if (writing) copy(text = (text + piece).trimStart()) else this

    /** The draft is whole, was stopped, or failed: what there is stays, to be edited. */
    fun end() = if (writing) Composer(text.trimEnd().ifEmpty { replaced }) else this

    /** The user changed the text: a draft under way is the user's from now on. */
    fun type(typed: String) = if (typed == text) this else Composer(typed)
}
