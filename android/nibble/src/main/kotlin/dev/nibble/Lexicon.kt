package dev.nibble

import dev.nibble.ffi.Lexicon as NativeLexicon

/**
 * The words of a language and how frequent they are, with which a [Keyboard] sees through typing errors. [Nibble.openLexicon] opens
 * one; several keyboards may share it. It is mapped from its file, and takes no memory that counts.
 */
public class Lexicon internal constructor(private val native: NativeLexicon) : AutoCloseable {
    /** How many words there are. */
    public val size: Int = native.size().toInt()

    /** Closes it; keyboards that were opened with it keep it. Closing twice does nothing. */
    override fun close(): Unit = native.destroy()

    /** For a keyboard that is about to be opened with it. */
    internal fun toNative(): NativeLexicon = translating("word list") { native.also { it.size() } }
}
