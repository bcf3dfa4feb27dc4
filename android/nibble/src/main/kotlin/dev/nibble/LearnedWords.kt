package dev.nibble

import dev.nibble.ffi.LearnedWord as NativeLearnedWord
import dev.nibble.ffi.LearnedWords as NativeLearnedWords
import java.util.concurrent.atomic.AtomicBoolean

/**
 * What a person writes: words, and what they follow, with forgetting. A [Keyboard] that is opened with it suggests these words, leaves
 * them as they are, and learns from its [typing sessions][TypingSession]. Nothing of it leaves the file, and the model never reads it.
 *
 * [Nibble.openLearnedWords] opens one, whose file one process at a time may have open. Leave the file out of backups.
 */
public class LearnedWords internal constructor(private val native: NativeLearnedWords) : AutoCloseable {
    private val closed = AtomicBoolean()

    /** All words, the most written first. */
    public suspend fun list(): List<LearnedWord> = call { list() }.map { it.toPublic() }

    /**
     * Puts in a word of the person's on purpose, written so: a name, or an entry of their own dictionary. It is offered at once, is not
     * forgotten by itself, and no correction changes it, even while learning is [paused][pause].
     *
     * @return whether it can be a word: letters for the most part, without spaces.
     */
    public suspend fun addWord(word: String): Boolean = call { addWord(word) }

    /**
     * Forgets a word, whatever its case, and all that was learned with it, in the file too.
     *
     * @return whether it was known.
     */
    public suspend fun forget(word: String): Boolean = call { forget(word) }

    /** Forgets everything. */
    public suspend fun wipe(): Unit = call { wipe() }

    /** While paused nothing is learned; what is known stays in use. */
    public suspend fun pause(paused: Boolean): Unit = call { pause(paused) }

    /** Everything, as JSON, for [add]. It is not sealed. */
    public suspend fun export(): String = call { export() }

    /**
     * Adds what was exported: of what both know, the counts add up.
     *
     * @throws NibbleException.InvalidArgument if it is no export; nothing was taken from it.
     */
    public suspend fun add(exported: String): Unit = call { add(exported) }

    /**
     * Has what was not yet written down, and the file closed; keyboards that were opened with it go on, and keep nothing more. It waits for
     * nothing, and the file can be opened again at once. Closing twice does nothing.
     */
    override fun close() {
        if (closed.compareAndSet(false, true)) {
            learning.later {
                runCatching { native.shut() }
                native.destroy()
            }
        }
    }

    /** For a keyboard that is about to be opened with it. */
    internal fun toNative(): NativeLearnedWords =
        if (closed.get()) throw NibbleException.Closed("the $NAME is closed; open a new one") else native

    private suspend fun <T> call(work: NativeLearnedWords.() -> T): T = toNative().let { native ->
        learning.call { translating(NAME) { native.work() } }
    }

    public companion object {
        internal const val NAME = "store of learned words"

        /** Learns as long as a keyboard that was opened with it is there, and keeps nothing. */
        public fun inMemory(): LearnedWords = loaded { LearnedWords(NativeLearnedWords.inMemory()) }
    }
}

/** Where what a person writes is learned, in the order in which it was written; the disk is waited for there. */
internal val learning = Lane("nibble-learning")

/** A word that was learned. */
public data class LearnedWord(
    /** As it was last written inside a sentence. */
    public val word: String,
    /** How often it was written, as far as that is not forgotten. */
    public val count: Double,
    /** Whether it was put in on purpose, so that it stays and is written as it was put in. */
    public val added: Boolean = false,
)

private fun NativeLearnedWord.toPublic() = LearnedWord(word, count, added)
