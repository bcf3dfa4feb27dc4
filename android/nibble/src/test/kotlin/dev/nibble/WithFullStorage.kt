package dev.nibble

import java.io.File
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking

/** Packs a model into a folder that is too small for it, and prints what came of it, and what is left there. */
fun main(arguments: Array<String>) {
    val (source, folder) = arguments
    val outcome = runCatching { runBlocking { Nibble.pack(source, "$folder/model.nibble").collect() } }
    println("${outcome.exceptionOrNull()?.let { it::class.simpleName }} ${File(folder).list()?.toList()}")
}
