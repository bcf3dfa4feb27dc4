// The app by Google's plugin, from the same sources as pom.xml. The tests run on a JVM, by the Maven build.
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    id("com.android.application") version libs.versions.agp.get()
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "dev.nibble.examples.keyboard"
    compileSdk = libs.versions.compileSdk.get().toInt()
    defaultConfig {
        applicationId = "dev.nibble.examples.keyboard"
        minSdk = libs.versions.minSdk.get().toInt()
        targetSdk = 34
        versionCode = 1
        versionName = "0.1.0"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }
    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles("proguard-rules.pro")
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    sourceSets {
        getByName("main") {
            kotlin.srcDir("../android-common/src/main/kotlin")
            res.srcDir("../android-common/src/main/res")
        }
        getByName("test").kotlin.setSrcDirs(emptyList<String>())
    }
    androidResources { noCompress += listOf("gguf", "fst") }
}

kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.JVM_11
    }
}

dependencies {
    implementation(project(":nibble"))
    implementation("org.jetbrains.kotlinx:kotlinx-coroutines-android:" + libs.versions.coroutines.get())
}
