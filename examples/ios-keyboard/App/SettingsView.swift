// The one screen of the app: how to switch the keyboard on, what it needs, and what it does with what is typed.

import KeyboardCore
import ModelViews
import SwiftUI
import UniformTypeIdentifiers

struct SettingsView: View {
    @Bindable var setup: KeyboardSetup

    @Environment(\.openURL) private var openURL
    @State private var text = ""
    @State private var isChoosing = false

    var body: some View {
        NavigationStack {
            Form {
                guide
                needs
                choices
                privacy
            }
            .navigationTitle("Nibble Keyboard")
        }
        .task { await setup.start() }
    }

    private var guide: some View {
        Section {
            Label("In Settings, open Keyboards and switch Nibble on", systemImage: "1.circle")
            Button("Open Settings") {
                if let settings = URL(string: UIApplication.openSettingsURLString) { openURL(settings) }
            }
            Label("Tap the field, hold the globe and choose Nibble", systemImage: "2.circle")
            TextField("Try it here", text: $text, axis: .vertical)
        } header: {
            Text("Two steps, and you can type")
        } footer: {
            Text("It needs no full access, and does not ask for it.")
        }
    }

    private var needs: some View {
        Section("What it thinks with") {
            ModelView(setup.model)
            Text(setup.wordList.rawValue)
                .fileImporter(isPresented: $isChoosing, allowedContentTypes: [.data]) { result in
                    if case .success(let file) = result { Task { await setup.install(wordList: file) } }
                }
            if setup.wordList != .looking && setup.wordList != .ready {
                Button("Choose the word list") { isChoosing = true }
            }
        }
    }

    private var choices: some View {
        Section {
            Picker("Letters", selection: $setup.settings.letters) {
                ForEach(Letters.allCases, id: \.self) { Text($0.rawValue.uppercased()) }
            }
            Toggle("Learn the words I write", isOn: $setup.settings.isLearning)
        } footer: {
            Text("To look at learned words, remove one, or wipe them all, tap the book above the keys: they are in the keyboard and nowhere else.")
        }
    }

    private var privacy: some View {
        Section("Privacy") {
            Text(
                """
                What you type stays on this device: the keyboard has no network, and without full access iOS sees to that. It learns how \
                often you write which word behind which, never a number or an address, and nothing in private fields. What it learned is \
                in a file that no other app can read and no backup has.
                """)
        }
    }
}
