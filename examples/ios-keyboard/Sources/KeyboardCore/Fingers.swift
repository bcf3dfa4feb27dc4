// What fingers on the keys mean: taps, slides, held keys, and a second finger that comes down before the first is up.

import Foundation

/// Follows the fingers on a board, and tells which keys were hit.
@MainActor public final class Fingers {
    /// A held key that offers what it types besides.
    public struct Held: Equatable, Sendable {
        /// The index of the key.
        public let key: Int
        /// The key's own text, and its alternatives.
        public let choices: [String]
        public fileprivate(set) var chosen: Int
    }

    private struct Finger {
        let name: AnyHashable
        let key: Int
        let point: CGPoint
        let holding: Task<Void, Never>
    }

    private static let pause = Duration.milliseconds(400), interval = Duration.milliseconds(60)

    /// The keys; with new ones the finger that is down is forgotten.
    public var board: Board {
        didSet { if board != oldValue { forget() } }
    }

    /// The key that a finger is on, by its index.
    public var pressed: Int? { finger?.key }

    /// The key that is held, if one is.
    public private(set) var held: Held?

    private let press: @MainActor (Action, _ point: CGPoint?) -> Void
    private let changed: @MainActor () -> Void
    private let sleep: @Sendable (Duration) async throws -> Void
    /// The last that came down, until it is up.
    private var finger: Finger?

    /// - Parameters:
    ///   - press: A key was hit, at a point of the board in units if that is known.
    ///   - changed: ``pressed`` or ``held`` has changed.
    ///   - sleep: Waits; tests have a way of their own.
    public init(
        board: Board, press: @escaping @MainActor (Action, CGPoint?) -> Void, changed: @escaping @MainActor () -> Void,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.board = board
        self.press = press
        self.changed = changed
        self.sleep = sleep
    }

    /// A finger came down. The one that is down already has hit its key: letters stay in the order in which they were aimed at.
    public func down(_ name: AnyHashable, at point: CGPoint) {
        if let finger { up(finger.name) }
        guard let key = board.index(at: point) else { return }
        let isBackspace = board.places[key].key.action == .backspace
        let holding = Task { [weak self] () -> Void in
            // Cancelled when the finger goes up.
            if isBackspace { try? await self?.repeatBackspace() } else { try? await self?.hold() }
        }
        finger = Finger(name: name, key: key, point: point, holding: holding)
        if isBackspace { press(.backspace, nil) }
        changed()
    }

    /// A finger moved: to another key, or to another choice of the key that it holds.
    public func move(_ name: AnyHashable, to point: CGPoint) {
        guard let old = finger, old.name == name, board.places[old.key].key.action != .backspace else { return }
        if let held {
            let frames = board.choices(held.choices.count, over: held.key)
            self.held?.chosen = frames.indices.min { abs(frames[$0].midX - point.x) < abs(frames[$1].midX - point.x) } ?? 0
        } else if let key = board.index(at: point) {
            if key != old.key { old.holding.cancel() }
            finger = Finger(name: name, key: key, point: point, holding: old.holding)
        }
        changed()
    }

    /// A finger went up.
    public func up(_ name: AnyHashable) {
        guard let end = finger, end.name == name else { return }
        let chosen = held.map { $0.choices[$0.chosen] }
        let action = board.places[end.key].key.action
        forget()
        if let chosen {
            press(.type(chosen), nil)
        } else if action != .backspace {
            press(action, board.inUnits(end.point))
        }
    }

    /// The system took a finger away: it has hit nothing.
    public func cancel(_ name: AnyHashable) {
        if finger?.name == name { forget() }
    }

    private func repeatBackspace() async throws {
        try await wait(Self.pause)
        while true {
            press(.backspace, nil)
            try await wait(Self.interval)
        }
    }

    private func hold() async throws {
        try await wait(Self.pause)
        guard let key = finger?.key, case .type(let text) = board.places[key].key.action else { return }
        let alternatives = board.places[key].key.alternatives
        guard !alternatives.isEmpty else { return }
        held = Held(key: key, choices: [text] + alternatives, chosen: 0)
        changed()
    }

    /// Throws where the finger went up meanwhile, though it be in the moment in which the time was over.
    private func wait(_ time: Duration) async throws {
        try await sleep(time)
        try Task.checkCancellation()
    }

    private func forget() {
        finger?.holding.cancel()
        finger = nil
        held = nil
        changed()
    }
}
