package dev.nibble.examples.keyboard

import android.app.Activity
import android.app.AlertDialog
import android.content.ComponentName
import android.content.Intent
import android.os.Bundle
import android.provider.Settings.ACTION_INPUT_METHOD_SETTINGS
import android.provider.Settings.Secure
import android.view.View
import android.view.inputmethod.InputMethodManager
import android.widget.Button
import android.widget.ListView
import android.widget.ProgressBar
import android.widget.Switch
import android.widget.TextView
import dev.nibble.LearnedWord
import dev.nibble.LearnedWords
import dev.nibble.NibbleException
import dev.nibble.examples.ModelState
import dev.nibble.examples.Problem
import dev.nibble.examples.Progress
import dev.nibble.examples.Rows
import dev.nibble.examples.source
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/** The way to switch the keyboard on, a field to try it, what it needs, and what it has learned. */
class SettingsActivity : Activity() {
    private val app get() = application as KeyboardApp
    private val methods get() = getSystemService(InputMethodManager::class.java)
    private lateinit var learned: Rows<LearnedWord>
    private var visible = CoroutineScope(SupervisorJob())

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.settings)
        val list = findViewById<ListView>(R.id.learned)
        list.addHeaderView(layoutInflater.inflate(R.layout.settings_header, list, false), null, false)
        learned = Rows(layoutInflater, listOf(R.layout.learned_word), ::bind)
        list.adapter = learned
        findViewById<Button>(R.id.switch_on).setOnClickListener { startActivity(Intent(ACTION_INPUT_METHOD_SETTINGS)) }
        findViewById<Button>(R.id.choose_keyboard).setOnClickListener { methods.showInputMethodPicker() }
        findViewById<Button>(R.id.choose).setOnClickListener { pick(MODEL) }
        findViewById<Button>(R.id.choose_words).setOnClickListener { pick(WORDS) }
        findViewById<Button>(R.id.wipe).setOnClickListener { askToWipe() }
        findViewById<Switch>(R.id.haptics).setOnClickListener { app.settings.haptics = (it as Switch).isChecked }
        findViewById<Switch>(R.id.learning).setOnClickListener { app.learn((it as Switch).isChecked) }
    }

    override fun onStart() {
        super.onStart()
        app.start()
        findViewById<Switch>(R.id.haptics).isChecked = app.settings.haptics
        findViewById<Switch>(R.id.learning).isChecked = app.settings.learning
        visible = CoroutineScope(SupervisorJob() + Dispatchers.Main.immediate)
        visible.launch { app.brain.state.collect(::show) }
        visible.launch { app.words.state.collect(::show) }
    }

    /** The user comes back from the system's settings, from its dialog, or from the keyboard over this window. */
    override fun onWindowFocusChanged(focused: Boolean) {
        super.onWindowFocusChanged(focused)
        if (!focused) return
        val own = ComponentName(this, KeyboardService::class.java)
        val enabled = methods.enabledInputMethodList.map { it.id }
        show(Step.next(own.flattenToShortString(), enabled, Secure.getString(contentResolver, Secure.DEFAULT_INPUT_METHOD)))
        changeLearned {}
    }

    override fun onStop() {
        visible.cancel()
        super.onStop()
    }

    @Deprecated("What takes its place is in AndroidX.")
    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        val picked = data?.data
        if (result != RESULT_OK || picked == null) return
        if (request == MODEL) app.brain.install(source(picked)) else app.words.install(source(picked))
    }

    /** Neither file has a type of its own. */
    private fun pick(request: Int) {
        val pick = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*")
        @Suppress("DEPRECATION")
        startActivityForResult(pick, request)
    }

    private fun askToWipe() {
        AlertDialog.Builder(this)
            .setMessage(R.string.wipe_sure)
            .setPositiveButton(R.string.wipe) { _, _ -> changeLearned { app.forgetAll() } }
            .setNegativeButton(android.R.string.cancel, null)
            .show()
    }

    /** Changes what was learned, and shows what is left. */
    private fun changeLearned(change: suspend LearnedWords.() -> Unit) {
        val count = findViewById<TextView>(R.id.learned_count)
        visible.launch {
            try {
                val words = app.learned.await()
                words.change()
                val list = words.list()
                learned.show(list)
                count.text = resources.getQuantityString(R.plurals.learned, list.size, list.size)
                findViewById<View>(R.id.wipe).isEnabled = list.isNotEmpty() || app.unread != null
            } catch (_: NibbleException) {
                count.setText(R.string.learned_failed)
            }
        }
    }

    private fun bind(row: View, word: LearnedWord) {
        row.findViewById<TextView>(R.id.word).text = word.word
        val forget = row.findViewById<View>(R.id.forget)
        forget.contentDescription = getString(R.string.forget, word.word)
        forget.setOnClickListener { changeLearned { forget(word.word) } }
    }

    private fun show(step: Step) {
        findViewById<View>(R.id.guide).visibility = if (step == Step.DONE) View.GONE else View.VISIBLE
        findViewById<View>(R.id.switch_on).isEnabled = step == Step.SWITCH_ON
        findViewById<View>(R.id.choose_keyboard).isEnabled = step == Step.CHOOSE
    }

    private fun show(state: ModelState) {
        findViewById<TextView>(R.id.model).setText(
            when (state) {
                is ModelState.Missing -> when (state.problem) {
                    null -> R.string.model_missing
                    Problem.OTHER_FILE -> R.string.model_other
                    Problem.STORAGE_FULL -> R.string.model_no_room
                    Problem.UNREADABLE -> R.string.model_unreadable
                    Problem.UNSUPPORTED -> R.string.model_unsupported
                }
                is ModelState.Installing -> if (state.progress.step == Progress.Step.COPY) R.string.model_copying else R.string.model_packing
                ModelState.Opening -> R.string.model_opening
                ModelState.Ready -> R.string.model_ready
            },
        )
        findViewById<View>(R.id.choose).visibility = if (state is ModelState.Missing) View.VISIBLE else View.GONE
        val bar = findViewById<ProgressBar>(R.id.progress)
        bar.visibility = if (state is ModelState.Installing) View.VISIBLE else View.GONE
        if (state is ModelState.Installing) bar.progress = state.progress.percent
    }

    private fun show(state: WordListState) {
        findViewById<TextView>(R.id.words).setText(
            when (state) {
                WordListState.LOOKING -> R.string.words_opening
                WordListState.MISSING -> R.string.words_missing
                WordListState.UNFIT -> R.string.words_unfit
                WordListState.UNREADABLE -> R.string.model_unreadable
                WordListState.READY -> R.string.words_ready
            },
        )
        findViewById<View>(R.id.choose_words).visibility = if (state == WordListState.READY) View.GONE else View.VISIBLE
    }

    private companion object {
        const val MODEL = 1
        const val WORDS = 2
    }
}
