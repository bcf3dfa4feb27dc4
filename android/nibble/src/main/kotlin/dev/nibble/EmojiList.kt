package dev.nibble

import dev.nibble.ffi.EmojiList as NativeEmojiList

/**
 * The emoji that the words of a language call to mind. [Nibble.openEmoji] opens one. It is mapped from its file, and takes no memory
 * that counts.
 */
public class EmojiList internal constructor(private val native: NativeEmojiList) : AutoCloseable {
    /**
     * Up to [count] emoji, eight at most, for the word with which [text] ends, whatever comes after it; the most used first. [text] is
     * what stands before the cursor. It takes microseconds, on any thread. Nothing of [text] is kept; yet do not ask where secrets are
     * typed.
     *
     * @throws NibbleException.Closed if it is closed.
     */
    public fun suggest(text: String, count: Int = 3): List<String> =
        translating(NAME) { native.suggest(text, count.toNative("count")) }

    /** Closes it. Closing twice does nothing. */
    override fun close(): Unit = native.destroy()

    internal companion object {
        const val NAME = "emoji list"
    }
}
