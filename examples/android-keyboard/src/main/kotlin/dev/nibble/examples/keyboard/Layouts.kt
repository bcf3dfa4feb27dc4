package dev.nibble.examples.keyboard

import dev.nibble.Field
import dev.nibble.KeyboardLayout
import dev.nibble.Key as PlacedKey

/** What a key does. */
sealed interface Action {
    /** It types [text]: a letter in lower case. */
    data class Type(val text: String) : Action

    data class Show(val page: Page) : Action

    /** Held, capitals from then on. */
    data object Shift : Action

    data object Backspace : Action

    data object Enter : Action

    /** The next arrangement of the letters; held, the choice between all keyboards of the phone. */
    data object Globe : Action
}

/** A key, before it has a place. A row is ten units wide and one high, however many pixels that is. */
data class Key(
    val action: Action,
    /** In units, [blankStart] and [blankEnd] with it. */
    val width: Float = 1f,
    /** What it types while it is held: one character each. */
    val alternatives: List<String> = emptyList(),
    /** How much of it is not seen and can be hit all the same, so that a finger at the edge finds the outermost letter. */
    val blankStart: Float = 0f,
    val blankEnd: Float = 0f,
)

/** What is on the keys. */
enum class Page { LETTERS, SYMBOLS, MORE_SYMBOLS }

/** How the letters are arranged, in three rows from the top. */
enum class Letters(val rows: List<String>) {
    QWERTY(listOf("qwertyuiop", "asdfghjkl", "zxcvbnm")),
    QWERTZ(listOf("qwertzuiop", "asdfghjkl", "yxcvbnm"));

    fun next(): Letters = entries[(ordinal + 1) % entries.size]
}

/**
 * Where the letters are, for Nibble, in these units: places of touches stay the same when the phone is turned in the midst of a
 * word. The blank beside a key is left out, as nobody aims at it.
 */
fun placed(letters: Letters): KeyboardLayout.Keys = KeyboardLayout.Keys(
    rows(Page.LETTERS, letters, Field.TEXT).flatMapIndexed { y, row ->
        val ends = row.runningFold(0f) { x, key -> x + key.width }
        row.zip(ends).mapNotNull { (key, x) ->
            val text = (key.action as? Action.Type)?.text ?: return@mapNotNull null
            PlacedKey(text, x + key.blankStart, y.toFloat(), key.width - key.blankStart - key.blankEnd, height = 1f)
        }
    },
)

/** The four rows of keys of a page, from the top. */
fun rows(page: Page, letters: Letters, field: Field): List<List<Key>> = when (page) {
    Page.LETTERS -> listOf(
        letters.rows[0].mapIndexed { at, letter -> letter(letter, digit = "1234567890"[at]) },
        letters.rows[1].map { letter(it) }.centred(),
        listOf(Key(Action.Shift, 1.5f)) + letters.rows[2].map { letter(it) } + Key(Action.Backspace, 1.5f),
        lastRow(Page.SYMBOLS, field),
    )
    Page.SYMBOLS -> listOf(
        "1234567890".map(::symbol),
        "@#£_&-+()/".map(::symbol),
        listOf(Key(Action.Show(Page.MORE_SYMBOLS), 1.5f)) + "*\"':;!?".map(::symbol) + Key(Action.Backspace, 1.5f),
        lastRow(Page.LETTERS, field),
    )
    Page.MORE_SYMBOLS -> listOf(
        "~`|•√π÷×§¶".map(::symbol),
        "€$¥¢^°={}\\".map(::symbol),
        listOf(Key(Action.Show(Page.SYMBOLS), 1.5f)) + "%©®™<>…".map(::symbol) + Key(Action.Backspace, 1.5f),
        lastRow(Page.LETTERS, field),
    )
}

private fun lastRow(other: Page, field: Field): List<Key> {
    val beforeSpace = when (field) {
        Field.EMAIL -> "@"
        Field.URL -> "/"
        else -> ","
    }
    return listOf(
        Key(Action.Show(other), 1.5f),
        Key(Action.Globe),
        Key(Action.Type(beforeSpace)),
        Key(Action.Type(" "), 4f),
        Key(Action.Type("."), alternatives = characters("?!…:;-")),
        Key(Action.Enter, 1.5f),
    )
}

private fun letter(letter: Char, digit: Char? = null) =
    Key(Action.Type(letter.toString()), alternatives = characters(listOfNotNull(digit).joinToString("") + ACCENTS[letter].orEmpty()))

private fun symbol(symbol: Char) = Key(Action.Type(symbol.toString()))

private fun characters(text: String) = text.map(Char::toString)

/** Nine letters over ten units: the outermost reach to the edge. */
private fun List<Key>.centred(): List<Key> {
    val blank = (ROW - size) / 2f
    return mapIndexed { at, key ->
        when (at) {
            0 -> key.copy(width = key.width + blank, blankStart = blank)
            lastIndex -> key.copy(width = key.width + blank, blankEnd = blank)
            else -> key
        }
    }
}

/** The width of a row. */
const val ROW = 10

/** Letters with marks, of the languages that have them, the most frequent first. */
private val ACCENTS = mapOf(
    'a' to "àáâäæãåā", 'c' to "çćč", 'e' to "éèêëē", 'i' to "îïíīì", 'l' to "ł", 'n' to "ñń", 'o' to "ôöòóœøō", 's' to "ßśš",
    'u' to "ûüùúū", 'y' to "ÿý", 'z' to "žźż",
)
