// The sample for Android Studio: open this folder. It builds the SDK beside it, which android/README.md is about.
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode.set(RepositoriesMode.FAIL_ON_PROJECT_REPOS)
    repositories {
        google()
        mavenCentral()
    }
    versionCatalogs {
        create("libs") { from(files("../../android/gradle/libs.versions.toml")) }
    }
}

rootProject.name = "android-keyboard"
include(":nibble")
project(":nibble").projectDir = file("../../android/nibble")
