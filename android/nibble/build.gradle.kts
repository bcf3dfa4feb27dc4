// The AAR by Google's plugin, from the same sources as pom.xml, with the native libraries and bindings that Cargo makes.
import javax.inject.Inject
import org.gradle.process.ExecOperations
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
    `maven-publish`
}

android {
    namespace = "dev.nibble"
    compileSdk = libs.versions.compileSdk.get().toInt()
    ndkVersion = libs.versions.ndk.get()
    defaultConfig {
        minSdk = libs.versions.minSdk.get().toInt()
        consumerProguardFiles("consumer-rules.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    sourceSets {
        getByName("main").kotlin.setSrcDirs(listOf("src/main/kotlin"))
        // The tests run on a JVM, by the Maven build.
        getByName("test").kotlin.setSrcDirs(emptyList<String>())
    }
    // They are stripped, and stay as they were checked.
    packaging.jniLibs.keepDebugSymbols += "**/libnibble_ffi.so"
    publishing {
        singleVariant("release") {
            withSourcesJar()
            withJavadocJar()
        }
    }
}

kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.JVM_1_8
    }
}

dependencies {
    api(libs.kotlin.stdlib)
    api(libs.coroutines.core)
    // The AAR of JNA has its native library for phones, the jar that for desktops.
    implementation(libs.jna) { artifact { type = "aar" } }
}

/** Runs commands in the root of the repository, which write into [output]. What is up to date Cargo knows. */
abstract class Cargo @Inject constructor(private val processes: ExecOperations) : DefaultTask() {
    @get:Internal
    abstract val repository: DirectoryProperty

    @get:Internal
    abstract val ndk: DirectoryProperty

    @get:OutputDirectory
    abstract val output: DirectoryProperty

    /** Each is a command line; [OUTPUT] stands for the folder. */
    @get:Input
    abstract val commands: ListProperty<List<String>>

    init {
        outputs.upToDateWhen { false }
    }

    @TaskAction
    fun run() {
        for (command in commands.get()) {
            processes.exec {
                workingDir = repository.get().asFile
                ndk.orNull?.let { environment("ANDROID_NDK_HOME", it.asFile.path) }
                commandLine(command.map { if (it == OUTPUT) output.get().asFile.path else it })
            }
        }
    }

    companion object {
        const val OUTPUT = "OUTPUT"
    }
}

/** The libraries for phones: those of a release. How they are compiled and linked, and with what, is said there and not here. */
val nativeLibraries = tasks.register<Cargo>("nativeLibraries") {
    repository = project.layout.projectDirectory.dir("../..")
    ndk = androidComponents.sdkComponents.ndkDirectory
    commands.add(listOf("cargo", "xtask", "jni", Cargo.OUTPUT))
}

/** The bindings, generated from the library of the host. */
val bindings = tasks.register<Cargo>("bindings") {
    repository = project.layout.projectDirectory.dir("../..")
    val library = "target/debug/" + System.mapLibraryName("nibble_ffi")
    commands.add(listOf("cargo", "build", "-p", "nibble-ffi"))
    val generate = listOf("cargo", "run", "-p", "nibble-uniffi-bindgen", "--", "generate", "--language", "kotlin", "--no-format")
    commands.add(generate + listOf("--out-dir", Cargo.OUTPUT, library))
}

androidComponents {
    onVariants { variant ->
        variant.sources.jniLibs?.addGeneratedSourceDirectory(nativeLibraries, Cargo::output)
        variant.sources.kotlin?.addGeneratedSourceDirectory(bindings, Cargo::output)
    }
}

publishing {
    publications {
        register<MavenPublication>("release") {
            artifactId = "nibble"
            afterEvaluate { from(components["release"]) }
            pom {
                name = "Nibble"
                description = "Small language models on the device, offline"
                // As in pom.xml.
                url = "https://example.org/nibble"
                licenses {
                    license {
                        name = "Apache-2.0"
                        url = "https://www.apache.org/licenses/LICENSE-2.0.txt"
                    }
                }
                developers {
                    developer {
                        name = "The Nibble authors"
                    }
                }
                scm {
                    url = "https://example.org/nibble"
                    connection = "scm:git:https://example.org/nibble.git"
                }
            }
        }
    }
}
