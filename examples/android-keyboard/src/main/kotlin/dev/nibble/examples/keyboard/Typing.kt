package dev.nibble.examples.keyboard

import android.text.InputType
import dev.nibble.Edit
import dev.nibble.NibbleException
import dev.nibble.Strip
import dev.nibble.Touch
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch

/** What the keyboard shows. */
data class TypingState(
    val input: InputField = InputField(),
    val page: Page = Page.LETTERS,
    val letters: Letters = Letters.QWERTY,
    val shift: Shift = Shift(),
    /** Whether somebody thinks along. */
    val helped: Boolean = false,
    /** What is known of the words at the cursor. */
    val strip: Strip? = null,
) {
    val rows: List<List<Key>> get() = rows(page, letters, input.field)

    val slots: List<Slot> get() = strip?.let(::slots).orEmpty()

    val note: Note?
        get() = when {
            slots.isNotEmpty() -> null
            input.isPrivate -> Note.PRIVATE
            input.assisted && !helped -> Note.NO_MODEL
            else -> null
        }
}

/** What the strip says where it has no words. */
enum class Note { PRIVATE, NO_MODEL }

/**
 * One keyboard at work: what a key does to the text, and what is shown then. It outlives its view, so that turning the phone changes
 * nothing. Without a model it types what is on the keys. All calls come on the thread of [scope].
 */
class Typing(
    private val gateway: Gateway,
    /** Has somebody think along in a field; `null` while there is no model. */
    private val start: (InputField, Around) -> Typist?,
    private val scope: CoroutineScope,
    /** A time in milliseconds. */
    private val now: () -> Long,
    letters: Letters = Letters.QWERTY,
) {
    private val current = MutableStateFlow(TypingState(letters = letters))
    private var session: Typist? = null
    private var watching: Job? = null

    private var begun = false

    val state: StateFlow<TypingState> = current.asStateFlow()

    /** A text field is typed in from now on. The one that is typed in already, as when the phone is turned, goes on as it was. */
    fun begin(input: InputField) {
        if (begun && input == state.value.input) return report()
        begun = true
        current.update { TypingState(input, input.page, it.letters) }
        assist()
    }

    /** Asks for help once more: there may be a model by now, or a better one. */
    fun assist() {
        if (!begun) return
        leave()
        val input = state.value.input
        if (input.assisted) {
            session = start(input, gateway.around() ?: Around("", "", selected = false))?.also { typist ->
                watching = scope.launch { watch(typist) }
            }
        }
        current.update { it.copy(helped = session != null) }
        followText()
    }

    private suspend fun watch(typist: Typist) = try {
        typist.strips.collect { strip -> current.update { it.copy(strip = strip) } }
    } catch (_: NibbleException) {
        // Whoever types can do nothing about it, and the keys go on without a strip.
        current.update { it.copy(strip = null) }
    }

    /** The text field is left. */
    fun end() {
        begun = false
        leave()
        current.update { TypingState(letters = it.letters) }
    }

    private fun leave() {
        watching?.cancel()
        session?.close()
        session = null
        current.update { it.copy(helped = false, strip = null) }
    }

    /** The editor says that its text or its cursor changed, by us or by somebody else, and perhaps a while ago. */
    fun report() {
        gateway.around()?.let { session?.reported(it) }
        followText()
    }

    /** A key was hit, at a place in the unit of the layout if that is known. */
    fun press(action: Action, touch: Touch? = null) {
        when (action) {
            is Action.Type -> type(state.value.shift.apply(action.text), touch)
            is Action.Show -> current.update { it.copy(page = action.page) }
            Action.Shift -> current.update { it.copy(shift = it.shift.tap(now())) }
            Action.Backspace -> backspace()
            Action.Enter -> enter()
            Action.Globe -> current.update { it.copy(letters = it.letters.next()) }
        }
    }

    /** Capitals from now on, until shift is tapped. */
    fun lockCapitals() = current.update { it.copy(shift = it.shift.lock()) }

    /** A word on the strip was tapped. */
    fun take(slot: Slot) {
        val strip = state.value.strip ?: return
        // The word may have been offered for a text that the editor has changed since.
        report()
        session?.accept(strip, slot.suggestion)?.let(::write)
    }

    private fun type(text: String, touch: Touch?) {
        val edit = session?.type(text, touch) ?: Edit("", text)
        // After a space come letters as a rule.
        if (text == " ") current.update { it.copy(page = it.input.page) }
        write(edit)
    }

    private fun backspace() {
        val edit = session?.backspace()
        if (edit == null || edit == Edit("", "")) gateway.backspace() else gateway.apply(edit)
        followText()
    }

    private fun enter() {
        val input = state.value.input
        when {
            input.enter != Enter.NEW_LINE -> gateway.perform(input.enter)
            session == null -> gateway.enter()
            else -> type("\n", touch = null)
        }
    }

    private fun write(edit: Edit) {
        gateway.apply(edit)
        current.update { it.copy(shift = it.shift.typed()) }
        followText()
    }

    private fun followText() {
        val capitals = state.value.input.capitals
        val capital = when {
            capitals == 0 -> false
            // The editor may not have heard of the last edit yet; who made it has.
            capitals == InputType.TYPE_TEXT_FLAG_CAP_SENTENCES -> session?.beginsSentence ?: gateway.wantsCapital(capitals)
            else -> gateway.wantsCapital(capitals)
        }
        current.update { it.copy(shift = it.shift.follow(capital)) }
    }
}
