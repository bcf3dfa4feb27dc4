// The app around the keyboard.

import KeyboardCore
import ModelSetup
import SwiftUI

@main struct KeyboardSampleApp: App {
    @State private var setup = KeyboardSetup(
        SharedFolder(AppGroup.container), bundledModel: Bundle.main.url(forResource: "model", withExtension: "gguf"),
        bundledWordList: Bundle.main.url(forResource: "lexicon-en", withExtension: "fst"))

    var body: some Scene {
        WindowGroup {
            SettingsView(setup: setup)
        }
    }
}
