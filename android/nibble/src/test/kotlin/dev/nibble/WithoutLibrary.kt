package dev.nibble

import kotlinx.coroutines.runBlocking

/** Opens a model twice, in a process that has no native library, and prints what came of it. */
fun main(arguments: Array<String>) {
    val outcomes = List(2) { runBlocking { runCatching { Nibble.open(arguments[0]) } } }
    println(outcomes.joinToString(" ") { it.exceptionOrNull()?.let { error -> error::class.simpleName } ?: "opened" })
}
