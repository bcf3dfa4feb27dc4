// What the chat and the share sheet show alike: the chips, and the text field that drafts are written into.

import ReplyCore
import SwiftUI

/// Chips, what is said where there are none, and a text field with two buttons: one has a draft written, the other stops it, and
/// does with the text what it is there for.
public struct ComposerBar: View {
    @Bindable private var drafting: Drafting
    private let title: String
    private let systemImage: String
    private let action: @MainActor () -> Void

    /// - Parameters:
    ///   - title: What is done with the text, as the button's name.
    ///   - systemImage: The button's picture.
    ///   - action: Does it.
    public init(_ drafting: Drafting, title: String, systemImage: String, action: @escaping @MainActor () -> Void) {
        self.drafting = drafting
        self.title = title
        self.systemImage = systemImage
        self.action = action
    }

    public var body: some View {
        VStack(alignment: .leading, spacing: 8) {
            if let note = drafting.note {
                Text(note.text).font(.footnote).foregroundStyle(.secondary)
            }
            if !drafting.chips.isEmpty {
                chips
            }
            HStack(alignment: .bottom, spacing: 4) {
                button("Have a draft written", systemImage: "sparkles", action: drafting.write).disabled(!drafting.canDraft)
                TextField("Message", text: $drafting.text, axis: .vertical)
                    .lineLimit(1...5)
                    .padding(10)
                    .background(.quaternary, in: .rect(cornerRadius: 20))
                if drafting.isWriting {
                    button("Stop writing", systemImage: "stop.circle.fill", action: drafting.stop)
                } else {
                    button(title, systemImage: systemImage, action: action).disabled(!drafting.canSend)
                }
            }
        }
        .padding(8)
        .background(.bar)
    }

    private var chips: some View {
        ScrollView(.horizontal, showsIndicators: false) {
            HStack {
                ForEach(drafting.chips, id: \.self) { chip in
                    Button(chip) { drafting.text = chip }
                        .buttonStyle(.bordered)
                        .buttonBorderShape(.capsule)
                        .controlSize(.large)
                        .accessibilityLabel("Suggested reply: \(chip)")
                }
            }
        }
    }

    private func button(_ title: String, systemImage: String, action: @escaping @MainActor () -> Void) -> some View {
        Button(action: action) {
            Image(systemName: systemImage).font(.title2).frame(minWidth: 44, minHeight: 44)
        }
        .accessibilityLabel(title)
    }
}

/// A message, on the side of whoever said it.
public struct Bubble: View {
    private let text: String
    private let isMine: Bool

    public init(_ text: String, isMine: Bool) {
        self.text = text
        self.isMine = isMine
    }

    public var body: some View {
        Text(text)
            .foregroundStyle(isMine ? Color.white : Color.primary)
            .padding(.horizontal, 14)
            .padding(.vertical, 9)
            .background(isMine ? AnyShapeStyle(.tint) : AnyShapeStyle(.quaternary), in: .rect(cornerRadius: 18))
            .frame(maxWidth: .infinity, alignment: isMine ? .trailing : .leading)
            .padding(isMine ? .leading : .trailing, 48)
    }
}
