package dev.nibble

import java.io.File

/** The command that runs the program [main] in another JVM, set up like this one but for what is given. Where Maven was told of another
 * `jvm`, this one is its: `java.home` may then name what cannot be started without it. */
internal fun javaCommand(
    main: String,
    vararg arguments: String,
    java: String = System.getProperty("jvm") ?: File(System.getProperty("java.home"), "bin/java").path,
    library: String = System.getProperty("jna.library.path"),
    classes: String = System.getProperty("java.class.path"),
): List<String> = listOf(java, "-Djna.library.path=$library", "-cp", classes, main, *arguments)
