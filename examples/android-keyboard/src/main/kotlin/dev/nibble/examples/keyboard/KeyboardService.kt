package dev.nibble.examples.keyboard

import android.content.Intent
import android.inputmethodservice.InputMethodService
import android.os.SystemClock
import android.view.View
import android.view.inputmethod.EditorInfo
import android.view.inputmethod.InputMethodManager
import dev.nibble.Touch
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/** What the system knows as the keyboard. It hands on: to [Typing] what happens, to [InputView] what is to be seen. */
class KeyboardService : InputMethodService(), Listener {
    private val app get() = application as KeyboardApp
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main.immediate)
    private var view: InputView? = null

    lateinit var typing: Typing
        private set

    override fun onCreate() {
        setTheme(R.style.App)
        super.onCreate()
        val gateway = Gateway(::getCurrentInputConnection, ::sendDownUpKeyEvents)
        typing = Typing(gateway, app::typist, scope, SystemClock::uptimeMillis, app.settings.letters)
        app.start()
        scope.launch { typing.state.collect(::show) }
        // The model may come, or be opened anew with a word list, while somebody types.
        scope.launch { app.keyboard.collect { typing.assist() } }
    }

    override fun onCreateInputView(): View = InputView(this, this, Repeat(scope)).also {
        view = it
        it.show(typing.state.value)
    }

    private fun show(state: TypingState) {
        app.arrange(state.letters)
        view?.show(state)
    }

    override fun onStartInputView(info: EditorInfo, restarting: Boolean) {
        super.onStartInputView(info, restarting)
        view?.buzz(app.settings.haptics)
        typing.begin(info.inputField())
    }

    override fun onFinishInputView(finishing: Boolean) {
        typing.end()
        super.onFinishInputView(finishing)
    }

    override fun onUpdateSelection(oldStart: Int, oldEnd: Int, start: Int, end: Int, composingStart: Int, composingEnd: Int) {
        super.onUpdateSelection(oldStart, oldEnd, start, end, composingStart, composingEnd)
        typing.report()
    }

    /** In landscape too, the app stays in sight: a copy of its field would be another editor. */
    override fun onEvaluateFullscreenMode() = false

    override fun onDestroy() {
        typing.end()
        scope.cancel()
        super.onDestroy()
    }

    override fun press(action: Action, touch: Touch?) = typing.press(action, touch)

    override fun lockCapitals() = typing.lockCapitals()

    override fun take(slot: Slot) = typing.take(slot)

    override fun chooseKeyboard() = getSystemService(InputMethodManager::class.java).showInputMethodPicker()

    override fun openSettings() =
        startActivity(Intent(this, SettingsActivity::class.java).addFlags(Intent.FLAG_ACTIVITY_NEW_TASK))
}
