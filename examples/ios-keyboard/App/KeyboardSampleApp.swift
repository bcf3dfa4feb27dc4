// The app around the keyboard.

import KeyboardCore
import SwiftUI

@main struct KeyboardSampleApp: App {
    @State private var setup = KeyboardSetup(SharedFolder())

    var body: some Scene {
        WindowGroup {
            SettingsView(setup: setup)
        }
    }
}
