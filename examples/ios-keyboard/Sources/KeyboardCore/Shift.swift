// The shift key.

/// It goes down by itself where a capital belongs, unless the user has moved it since the last letter.
public struct Shift: Equatable, Sendable {
    public enum State: Sendable {
        case off, once, locked
    }

    /// Two taps within this time lock it.
    private static let doubleTap = Duration.milliseconds(300)

    public private(set) var state = State.off
    private var isByUser = false
    private var tapped: ContinuousClock.Instant?

    public init() {}

    /// The key was tapped.
    public mutating func tap(at now: ContinuousClock.Instant) {
        let isDouble = tapped.map { now - $0 <= Self.doubleTap } ?? false
        let wasLocked = state == .locked
        state = wasLocked ? .off : isDouble ? .locked : state == .off ? .once : .off
        tapped = wasLocked ? nil : now
        isByUser = true
    }

    /// Capitals only, until the next tap.
    public mutating func lock() {
        state = .locked
        isByUser = true
    }

    /// Something was typed: one letter is what it was down for.
    public mutating func typed() {
        if state != .locked { self = Shift() }
    }

    /// Whether a capital belongs where the cursor is now.
    public mutating func follow(_ isCapital: Bool) {
        guard !isByUser else { return }
        state = isCapital ? .once : .off
    }

    /// What a key types with shift as it is. A letter whose capital is two, as that of ß, stays small.
    public func apply(_ text: String) -> String {
        guard state != .off else { return text }
        let capital = text.uppercased()
        return capital.count == text.count ? capital : text
    }
}
