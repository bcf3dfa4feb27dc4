package dev.nibble

import dev.nibble.ffi.Disposable
import dev.nibble.ffi.Finish as NativeFinish
import dev.nibble.ffi.Generation as NativeGeneration
import dev.nibble.ffi.Sampling as NativeSampling
import dev.nibble.ffi.Stop as NativeStop
import dev.nibble.ffi.closeJson as nativeCloseJson
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.fold

/**
 * What one token added to a text. The texts of all pieces together are the text; exactly one piece has a [finish]: the last.
 */
public data class Piece(
    /** The text that became certain with the token: whole characters, possibly none. */
    public val text: String,
    /** The token; `null` only in the one piece of a text of no tokens ([Stop.maxTokens] of 0). */
    public val token: Int?,
    /** Why the text ends here; `null` while it goes on. */
    public val finish: Finish?,
)

/** Why a text ended. */
public enum class Finish {
    /** The model ended its text or its turn, or the text is all that its [Sampling.schema] asks for. */
    END_OF_TEXT,

    /** There are as many tokens as were asked for. */
    MAX_TOKENS,

    /** The text came to a stop string. */
    STOP_STRING,
}

/** How tokens are chosen. The default is greedy: always the most probable one. */
public data class Sampling(
    /** Divides the logits before the draw, 0 to 100; 0 takes the most probable token, whatever the rest says. */
    public val temperature: Float = 0f,
    /** Keeps the most probable tokens, so many; 0 keeps all. */
    public val topK: Int = 40,
    /** Keeps the smallest set of most probable tokens whose mass reaches this, 0 to 1; 1 keeps all. */
    public val topP: Float = 0.95f,
    /** Drops tokens less probable than this share of the most probable one, 0 to 1; 0 drops none. */
    public val minP: Float = 0.05f,
    /** Makes recent tokens less probable, 0.01 to 100; 1 changes nothing. */
    public val repetitionPenalty: Float = 1f,
    /** How many recent tokens the penalty looks at. */
    public val repetitionWindow: Int = 64,
    /** Where the randomness starts: the same seed, the same text. */
    public val seed: Long = 0,
    /**
     * A JSON schema. The text is JSON that meets it, and nothing else, if it ends with [Finish.END_OF_TEXT]; a limit or a stop string
     * cuts it. `docs/guides/guided-output.md` says what a schema can ask for.
     */
    public val schema: String? = null,
)

/** When a text ends, apart from the model's own end. */
public data class Stop(
    /** After so many tokens; `null` leaves it to the context. */
    public val maxTokens: Int? = null,
    /** When the text holds one of these, which is not returned. None may be empty. */
    public val strings: List<String> = emptyList(),
)

/**
 * The beginning of a JSON text as a whole one, so that it can be decoded while the rest is being written: what is open is closed, and
 * what is not certain yet is left out, such as a number at the end and a name without its value. `null` while nothing is certain.
 *
 * [partials] does that for every piece of a text.
 */
public fun closeJson(text: String): String? = loaded { nativeCloseJson(text) }

/**
 * What a text under a [Sampling.schema] is so far, whenever that has changed, by [decode], which is given what [closeJson] makes of it:
 *
 *     session.chat(messages, Sampling(schema = schema)).partials { Json.decodeFromString<PartialNote>(it) }
 *
 * A beginning that does not decode, because a field that has to be there has not come yet, is left out. Where the text ended with
 * [Finish.END_OF_TEXT] the last value is that of all of it, and what [decode] throws then is thrown. Where a limit has cut it, the last value
 * is what there was until then.
 */
public fun <T> Flow<Piece>.partials(decode: (String) -> T): Flow<T> = flow {
    val text = StringBuilder()
    var decoded: String? = null
    collect { piece ->
        text.append(piece.text)
        val whole = piece.finish == Finish.END_OF_TEXT
        val json = if (whole) text.toString() else closeJson(text.toString())
        if (json != null && json != decoded) {
            val value = try {
                decode(json)
            } catch (error: Exception) {
                if (whole) throw error
                return@collect
            }
            decoded = json
            emit(value)
        }
    }
}

/** Collects the whole text. */
public suspend fun Flow<Piece>.text(): String =
    fold(StringBuilder()) { text, piece -> text.append(piece.text) }.toString()

/** The text that [begin] makes of the object behind [writer], one piece for each that is asked for. It begins with the first. */
internal fun <N : Disposable> pieces(writer: Handle<N>, begin: N.() -> NativeGeneration): Flow<Piece> = flow {
    // A generation ends with a cancel: its own close would wait for the piece under way.
    fun handle(native: NativeGeneration) = Handle("generation", native, writer.lane) { cancel() }
    writer.now { handle(begin()) }.use { generation ->
        do {
            val piece = generation.call(stop = { cancel() }) { nextPiece() }
            emit(piece)
        } while (piece.finish == null)
    }
}

private fun NativeGeneration.nextPiece(): Piece {
    val piece = next()
    return Piece(piece?.text.orEmpty(), piece?.token?.toInt(), finish()?.toPublic())
}

private fun NativeFinish.toPublic() = when (this) {
    NativeFinish.END_OF_TEXT -> Finish.END_OF_TEXT
    NativeFinish.MAX_TOKENS -> Finish.MAX_TOKENS
    NativeFinish.STOP_STRING -> Finish.STOP_STRING
}

internal fun Sampling.toNative() = NativeSampling(
    temperature,
    topK.toNative("topK"),
    topP,
    minP,
    repetitionPenalty,
    repetitionWindow.toNative("repetitionWindow"),
    seed.toULong(),
    schema,
)

internal fun Stop.toNative() = NativeStop(maxTokens?.toNative("maxTokens"), strings)
