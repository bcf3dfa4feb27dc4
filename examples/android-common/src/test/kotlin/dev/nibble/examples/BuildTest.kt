package dev.nibble.examples

import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** The builds of the SDK and of the sample, by Maven and by Gradle: what two of them say is the same. */
class BuildTest {
    private val own = File("pom.xml").readText()
    private val pom = own + File("../android-common/pom.xml").readText()
    private val sdk = File("../../android/nibble/pom.xml").readText()
    private val gradle = File("build.gradle.kts").readText()
    private val manifest = File("src/main/AndroidManifest.xml").readText()

    private fun String.element(name: String) = Regex("<$name>([^<]+)</$name>").find(this)?.groupValues?.get(1)

    private fun String.setting(name: String) = Regex("""\b$name = "?([\w.]+)""").find(this)?.groupValues?.get(1)

    private fun String.string(name: String) = Regex("""<string name="$name">([^<]+)<""").find(this)?.groupValues?.get(1)

    @Test
    fun `versions are those of the SDK`() {
        for (name in listOf("version", "kotlin.version", "coroutines.version", "jna.version", "android.minSdk")) {
            assertEquals(sdk.element(name), pom.element(name), name)
        }
        // The rest of what Gradle builds with comes from the SDK's catalog, which the SDK's test compares.
        assertEquals(pom.element("version"), gradle.setting("versionName"))
    }

    @Test
    fun `both builds make the same app`() {
        assertEquals(pom.element("app.id"), gradle.setting("applicationId"))
        assertEquals(pom.element("app.id"), gradle.setting("namespace"))
        assertEquals(pom.element("android.targetSdk"), gradle.setting("targetSdk"))
        assertEquals(File("src/main/res/values/strings.xml").readText().string("app_name"), own.element("name"))
        assertTrue("\"proguard-rules.pro\"" in gradle)
        for (shared in listOf("kotlin", "res")) assertTrue("\"../android-common/src/main/$shared\"" in gradle, shared)
        assertEquals("JVM_" + pom.element("jvmTarget"), gradle.substringAfter("JvmTarget.JVM_").let { "JVM_" + it.takeWhile(Char::isDigit) })
    }

    @Test
    fun `it asks for no permission, and nothing of it is backed up`() {
        assertTrue("<uses-permission" !in manifest)
        assertTrue("android:allowBackup=\"false\"" in manifest)
        for (file in listOf("backup", "backup_before_android_12")) {
            assertTrue("@xml/$file\"" in manifest, file)
            assertTrue("<include" !in File("../android-common/src/main/res/xml/$file.xml").readText(), file)
        }
    }

    @Test
    fun `R8 keeps what the manifest names, and no more`() {
        val named = Regex("""android:name="(dev\.nibble[\w.]+)"""").findAll(manifest).map { it.groupValues[1] }.toSet()
        val kept = Regex("""-keep class ([\w.]+)""").findAll(File("proguard-rules.pro").readText()).map { it.groupValues[1] }.toSet()
        assertEquals(named, kept)
    }
}
