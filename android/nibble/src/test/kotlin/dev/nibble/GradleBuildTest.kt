package dev.nibble

import java.io.File
import javax.xml.parsers.DocumentBuilderFactory
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.w3c.dom.Element

/** There are two builds of the same library, Maven's and Gradle's. What both of them say is the same. */
class GradleBuildTest {
    private val pom = Xml("pom.xml")
    private val aar = Xml("src/aar/pom.xml")
    private val catalog = catalog("../gradle/libs.versions.toml")
    private val script = File("build.gradle.kts").readText()
    private val properties = properties("../gradle.properties")

    @Test
    fun `versions are the same`() {
        val maven = pom.all("project/properties/*").toMap()
        val versions = catalog.getValue("versions")
        assertEquals(pom.one("project/version"), properties["version"])
        assertEquals(pom.one("project/groupId"), properties["group"])
        assertEquals(maven["kotlin.version"], versions["kotlin"])
        assertEquals(maven["coroutines.version"], versions["coroutines"])
        assertEquals(maven["jna.version"], versions["jna"])
        assertEquals(maven["android.minSdk"], versions["minSdk"])
        val plugins = catalog.getValue("plugins").values
        assertTrue(plugins.any { "org.jetbrains.kotlin.android" in it && "version.ref = \"kotlin\"" in it }, "$plugins")
        assertTrue("minSdk = libs.versions.minSdk.get().toInt()" in script)
    }

    /** `group:artifact:version type scope`, of what an app gets with Nibble. */
    @Test
    fun `dependencies are the same, in both builds and in the POM of the AAR`() {
        val maven = pom.dependencies().filter { it.scope == "compile" }
        val published = aar.dependencies()
        assertEquals(maven.map { it.module to it.version }, published.map { it.module to it.version })

        val libraries = catalog.getValue("libraries").mapValues { (_, library) ->
            val (module, version) = assertNotNull(LIBRARY.matchEntire(library), library).destructured
            module to catalog.getValue("versions").getValue(version)
        }
        val gradle = DEPENDENCY.findAll(script).map { it.destructured }.map { (scope, alias, rest) ->
            val (module, version) = libraries.getValue(alias.replace('.', '-'))
            val type = if ("type = \"aar\"" in rest) "aar" else "jar"
            Dependency(module, version, type, if (scope == "api") "compile" else "runtime")
        }
        assertEquals(3, published.size)
        assertEquals(published, gradle.toList())
        assertEquals(libraries.keys, DEPENDENCY.findAll(script).map { it.groupValues[2].replace('.', '-') }.toSet())
    }

    @Test
    fun `the sources, the rules and the target are the same`() {
        val folders = Regex("""getByName\("main"\)\.kotlin\.setSrcDirs\(listOf\("([^"]+)"\)\)""").find(script)
        assertEquals(pom.one("project/build/sourceDirectory"), assertNotNull(folders).groupValues[1])
        val compiled = pom.all("project/build/plugins/plugin/executions/execution/configuration/sourceDirs/sourceDir")
        assertEquals(folders.groupValues[1], compiled.first().second)
        val rules = Regex("""consumerProguardFiles\("([^"]+)"\)""").find(script)
        val packed = pom.attributes("zipfileset").single { it["fullpath"] == "proguard.txt" }
        assertEquals(packed["file"], assertNotNull(rules).groupValues[1])
        assertTrue(File(rules.groupValues[1]).isFile)
        assertEquals("1.8", pom.all("project/build/plugins/plugin/configuration/jvmTarget").single().second)
        assertEquals(listOf("VERSION_1_8", "VERSION_1_8", "JVM_1_8"), Regex("""\b(JVM|VERSION)_[0-9_]+""").findAll(script).map { it.value }.toList())
    }

    /** Profile, linker arguments and exported names are said once, in what makes the libraries of a release and the tests too. */
    @Test
    fun `the native libraries are those of a release`() {
        val task = script.substringAfter("tasks.register<Cargo>(\"nativeLibraries\")").substringBefore("\n}\n")
        val commands = Regex("""commands\.add\((.+)\)""").findAll(task).map { it.groupValues[1] }.toList()
        assertEquals(listOf("""listOf("cargo", "xtask", "jni", Cargo.OUTPUT)"""), commands)
        assertTrue("jniLibs?.addGeneratedSourceDirectory(nativeLibraries, Cargo::output)" in script)
        assertTrue("keepDebugSymbols += \"**/libnibble_ffi.so\"" in script, "another strip makes another library")

        val release = File("../../rust/xtask/src/android.rs").readText()
        fun said(pattern: String, text: String = release) = assertNotNull(Regex(pattern).find(text), pattern).groupValues[1]
        assertEquals(catalog.getValue("versions")["minSdk"], said("""const API: u32 = (\d+);"""))
        // By this name it finds the NDK that Gradle has chosen.
        assertEquals(said("""environment\("(\w+)""", script), said("""let roots = \["(\w+)"""))
    }

    @Test
    fun `what is published says the same`() {
        val publication = script.substringAfter("pom {")
        fun said(name: String) = Regex("""\b$name = "([^"]+)"""").findAll(publication).map { it.groupValues[1] }.toList()
        val project = "project"
        fun maven(vararg paths: String) = paths.map { pom.one("$project/$it") }
        assertEquals(maven("name", "licenses/license/name", "developers/developer/name"), said("name"))
        assertEquals(maven("url", "licenses/license/url", "scm/url"), said("url"))
        assertEquals(maven("description"), said("description"))
        assertEquals(maven("scm/connection"), said("connection"))
        assertEquals(maven("artifactId").single(), Regex("""artifactId = "([^"]+)"""").find(script)?.groupValues?.get(1))
        val manifest = File("src/aar/AndroidManifest.xml").readText()
        val namespace = assertNotNull(Regex("""package="([^"]+)"""").find(manifest)).groupValues[1]
        assertEquals(namespace, Regex("""namespace = "([^"]+)"""").find(script)?.groupValues?.get(1))
    }

    private companion object {
        val LIBRARY = Regex("""\{ module = "([^"]+)", version\.ref = "([^"]+)" }""")
        val DEPENDENCY = Regex("""(?m)^ {4}(api|implementation)\(libs\.([a-z.]+)\)(.*)$""")
    }
}

/** A dependency of what is published. */
private data class Dependency(val module: String, val version: String, val type: String, val scope: String)

/** The part of an XML file that a path of element names leads to. */
private class Xml(file: String) {
    private val root: Element = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(File(file)).documentElement

    fun one(path: String): String = all(path).first().second

    /** Names and texts of the elements at [path], of which the last name may be `*`. */
    fun all(path: String): List<Pair<String, String>> = elements(path).map { it.tagName to it.textContent.trim() }

    fun attributes(tag: String): List<Map<String, String>> {
        val found = root.getElementsByTagName(tag)
        return (0 until found.length).map { found.item(it).attributes }.map { attributes ->
            (0 until attributes.length).associate { attributes.item(it).nodeName to attributes.item(it).nodeValue }
        }
    }

    fun dependencies(): List<Dependency> {
        val properties = Xml("pom.xml").all("project/properties/*").toMap()
        return elements("project/dependencies/dependency").map { dependency ->
            val said = children(dependency).associate { it.tagName to it.textContent.trim() }
            val version = said.getValue("version").let { properties[it.removeSurrounding("\${", "}")] ?: it }
            val module = "${said["groupId"]}:${said["artifactId"]}"
            Dependency(module, version, said["type"] ?: "jar", said["scope"] ?: "compile")
        }
    }

    private fun elements(path: String): List<Element> = path.split('/').drop(1).fold(listOf(root)) { parents, name ->
        parents.flatMap(::children).filter { name == "*" || it.tagName == name }
    }

    private fun children(of: Element) = of.childNodes.let { nodes -> (0 until nodes.length).map(nodes::item) }.filterIsInstance<Element>()
}

/** Tables of a version catalog, whose entries are one line each; values that are strings are without their quotes. */
private fun catalog(file: String): Map<String, Map<String, String>> {
    val tables = mutableMapOf<String, MutableMap<String, String>>()
    for (line in File(file).readLines().filter { it.isNotBlank() && !it.startsWith("#") }) {
        val table = Regex("""\[(\w+)]""").matchEntire(line)
        if (table != null) {
            tables[table.groupValues[1]] = mutableMapOf()
        } else {
            val (key, value) = line.split(" = ", limit = 2)
            tables.getValue(tables.keys.last())[key] = value.removeSurrounding("\"")
        }
    }
    return tables
}

private fun properties(file: String): Map<String, String> =
    File(file).readLines().filter { '=' in it && !it.startsWith("#") }.associate { it.substringBefore('=') to it.substringAfter('=') }
