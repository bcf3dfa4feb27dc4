package dev.nibble

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.job

/**
 * Closes this when [scope] is over, and returns it: nothing has to be closed by hand.
 *
 *     val session = Nibble.open(path).closeWith(viewModelScope).session().closeWith(viewModelScope)
 *
 * A scope is over when it was cancelled and the last of its coroutines has ended, which those that wait for Nibble do within the time of one
 * layer of the model. Closing earlier is as well; what is closed with a scope that is over already is closed at once.
 *
 * It is for what Nibble opens, whose `close` waits for nothing: it is called on whatever thread the scope ends on.
 */
public fun <T : AutoCloseable> T.closeWith(scope: CoroutineScope): T = apply {
    scope.coroutineContext.job.invokeOnCompletion { close() }
}
