package dev.nibble

import com.android.tools.r8.ClassFileResourceProvider
import com.android.tools.r8.CompilationMode
import com.android.tools.r8.Diagnostic
import com.android.tools.r8.DiagnosticsHandler
import com.android.tools.r8.JdkClassFileProvider
import com.android.tools.r8.OutputMode
import com.android.tools.r8.R8
import com.android.tools.r8.R8Command
import com.android.tools.r8.origin.Origin
import com.sun.jna.Native
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.logging.Logger
import java.util.zip.ZipFile
import javax.xml.parsers.DocumentBuilderFactory
import kotlin.io.path.createTempDirectory
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineScope
import org.jetbrains.annotations.NotNull
import org.junit.jupiter.api.io.TempDir

/** The AAR that was made: what is in it, and that an app which R8 shrinks works with the rules that it has. */
class AarIT {
    @TempDir
    lateinit var folder: File

    private val aar = ZipFile(System.getProperty("nibble.aar"))
    private val jni = System.getProperty("nibble.jni")

    @Test
    fun `it has what an app takes, and no permission`() {
        val entries = aar.entries().asSequence().filterNot { it.isDirectory }.map { it.name }.toSet()
        val always = setOf("AndroidManifest.xml", "R.txt", "classes.jar", "proguard.txt", "LICENSE", "NOTICE")
        // Made without libraries it is what the rest of this tests.
        val libraries = if (File(jni).isDirectory) setOf("arm64-v8a/libnibble_ffi.so", "x86_64/libnibble_ffi.so") else emptySet()
        assertEquals(always + libraries.map { "jni/$it" }, entries)
        for (name in libraries) {
            val library = read("jni/$name")
            assertContentEquals(File(jni, name).readBytes(), library)
            assertTrue(alignment(library) >= 16_384, "$name cannot be loaded on a phone with pages of 16 KiB")
        }
        val manifest = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(read("AndroidManifest.xml").inputStream())
        assertEquals("dev.nibble", manifest.documentElement.getAttribute("package"))
        val children = manifest.documentElement.childNodes
        val elements = (0 until children.length).map { children.item(it).nodeName }.filterNot { it.startsWith("#") }
        assertEquals(listOf("uses-sdk"), elements)
        assertEquals(File("consumer-rules.pro").readText(), String(read("proguard.txt")))
        assertContains(File(System.getProperty("nibble.pom")).readText(), "<packaging>aar</packaging>")
    }

    @Test
    fun `an app that is shrunk works, and without the rules it does not`() {
        val whole = run(listOf(tests) + libraries())
        assertEquals(APP_SAYS, whole.lines().map { it.substringBefore(' ') }, whole)
        val shrunk = shrink("with.jar", rules())
        assertEquals(whole, run(listOf(shrunk)))
        println("an app with the AAR, JNA and coroutines: ${inputs().sumOf { it.length() } / 1024} KiB, shrunk ${shrunk.length() / 1024} KiB")
        assertContains(run(listOf(shrink("without.jar", emptyList()))), "Exception in thread \"main\"")
    }

    @Test
    fun `an app for phones is shrunk, with the classes that a phone has`() {
        val android = System.getProperty("java.class.path").split(File.pathSeparator).single { "android-all" in it }
        val out = folder.resolve("app.zip")
        shrink(rules()) {
            addLibraryFiles(File(android).toPath()).addLibraryResourceProvider(JavaOfAPhone)
            setMinApiLevel(26).setOutput(out.toPath(), OutputMode.DexIndexed)
        }
        assertTrue(ZipFile(out).use { it.getEntry("classes.dex") != null })
    }

    private fun rules() = listOf(String(read("proguard.txt")))

    /** The app as class files. */
    private fun shrink(name: String, rules: List<String>): File = folder.resolve(name).also { out ->
        shrink(rules) {
            addLibraryResourceProvider(JdkClassFileProvider.fromSystemJdk()).setOutput(out.toPath(), OutputMode.ClassFile)
        }
    }

    /** What the app of these classes prints, on the random model. */
    private fun run(classes: List<File>): String {
        val own = createTempDirectory(folder.toPath()).toFile()
        val source = RandomModel.write(own.resolve("random.gguf"))
        val command = javaCommand(APP, source.path, own.path, classes = classes.joinToString(File.pathSeparator))
        val process = ProcessBuilder(command).redirectErrorStream(true).start()
        return process.inputStream.bufferedReader().readText().trim()
    }

    /** As the Android plugin does it: everything in one go, with the rules of every library. A class that is missing is an error. */
    private fun shrink(rules: List<String>, target: R8Command.Builder.() -> Unit) {
        val command = R8Command.builder(Silent)
        command.addProgramFiles(inputs().map { it.toPath() }).setMode(CompilationMode.RELEASE)
        val app = "-keep class $APP { public static void main(java.lang.String[]); }"
        command.addProguardConfiguration(listOf(app) + inputs().flatMap(::rulesOf) + rules, Origin.unknown())
        command.target()
        R8.run(command.build())
    }

    /** The app's classes, and [libraries]. */
    private fun inputs(): List<File> = tests.resolve("dev/nibble/app").listFiles()!!.toList() + libraries()

    /** The AAR's classes, and those of the libraries that come with it. */
    private fun libraries(): List<File> {
        val classes = folder.resolve("classes.jar").apply { writeBytes(read("classes.jar")) }
        return listOf(classes) + listOf(Native::class, CoroutineScope::class, KotlinVersion::class, NotNull::class).map { fileOf(it.java) }
    }

    private val tests = fileOf(AarIT::class.java)

    private fun fileOf(type: Class<*>) = File(type.protectionDomain.codeSource.location.toURI())

    /** The rules that a library has for R8. */
    private fun rulesOf(library: File): List<String> = if (library.extension != "jar") emptyList() else ZipFile(library).use { jar ->
        val rules = jar.entries().asSequence().filter { it.name.startsWith("META-INF/com.android.tools/r8") && it.name.endsWith(".pro") }
        rules.map { String(jar.getInputStream(it).readBytes()) }.toList()
    }

    private fun read(entry: String): ByteArray = aar.getInputStream(aar.getEntry(entry)).readBytes()

    /** The least alignment of what a 64-bit ELF file has loaded. */
    private fun alignment(library: ByteArray): Long {
        val elf = ByteBuffer.wrap(library).order(ByteOrder.LITTLE_ENDIAN)
        assertEquals(0x464c457f, elf.getInt(0), "it is no ELF file")
        val (start, size, count) = Triple(elf.getLong(32).toInt(), elf.getShort(54).toInt(), elf.getShort(56).toInt())
        val headers = (0 until count).map { start + it * size }
        return headers.filter { elf.getInt(it) == LOAD }.minOf { elf.getLong(it + 48) }
    }

    private companion object {
        /** The program of the app. */
        const val APP = "dev.nibble.app.AppKt"

        /** What it does, in its words: the first of each line. */
        val APP_SAYS = listOf(
            "packed",
            "installed",
            "suggested",
            "typed",
            "shown",
            "accepted",
            "replies",
            "draft",
            "cancelled",
            "written",
            "restored",
            "not",
        )

        /** The type of a program header. */
        const val LOAD = 1
    }
}

/** Errors end the work all the same. The rest is that Kotlin is newer than this R8, said of every class, and that manifests are many. */
private object Silent : DiagnosticsHandler {
    override fun warning(warning: Diagnostic) = Unit

    override fun info(info: Diagnostic) = Unit
}

/** The classes of Java that a phone has: of the JDK's modules two, and no desktop. */
private object JavaOfAPhone : ClassFileResourceProvider {
    private val jdk = JdkClassFileProvider.fromSystemJdk()
    private val packages = listOf(Any::class, Logger::class).flatMap { it.javaObjectType.module.packages }.toSet()

    override fun getClassDescriptors(): Set<String> = jdk.classDescriptors.filter(::has).toSet()

    override fun getProgramResource(descriptor: String) = if (has(descriptor)) jdk.getProgramResource(descriptor) else null

    private fun has(descriptor: String) = descriptor.drop(1).substringBeforeLast('/').replace('/', '.') in packages
}
