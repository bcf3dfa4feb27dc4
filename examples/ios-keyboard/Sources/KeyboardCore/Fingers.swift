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
        let key: Int
        let point: CGPoint
        let holding: Task<Void, Never>
    }

    /// How wide a choice of a held key is, in points.
    public static let choiceWidth: CGFloat = 38

    private static let pause = Duration.milliseconds(400), interval = Duration.milliseconds(60)

    /// The keys; with new ones all fingers that are down are forgotten.
    public var board: Board {
        didSet { if board != oldValue { forgetAll() } }
    }

    /// The keys that fingers are on, by their index.
    public var pressed: Set<Int> { Set(fingers.values.map(\.key)) }

    /// The key that is held, if one is.
    public private(set) var held: Held?

    private let press: @MainActor (Action, _ point: CGPoint?) -> Void
    private let changed: @MainActor () -> Void
    private let sleep: @Sendable (Duration) async throws -> Void
    private var fingers: [Int: Finger] = [:]
    /// In the order in which they came down.
    private var order: [Int] = []

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

    /// A finger came down. Those that are down already have hit their keys: letters stay in the order in which they were aimed at.
    public func down(_ finger: Int, at point: CGPoint) {
        for finger in order { up(finger) }
        guard let key = board.index(at: point) else { return }
        let isBackspace = board.places[key].key.action == .backspace
        let holding = Task { [weak self] () -> Void in
            // Cancelled when the finger goes up.
            if isBackspace { try? await self?.repeatBackspace() } else { try? await self?.hold(finger) }
        }
        fingers[finger] = Finger(key: key, point: point, holding: holding)
        order.append(finger)
        if isBackspace { press(.backspace, nil) }
        changed()
    }

    /// A finger moved: to another key, or to another choice of the key that it holds.
    public func move(_ finger: Int, to point: CGPoint) {
        guard let old = fingers[finger], board.places[old.key].key.action != .backspace else { return }
        if let held, held.key == old.key {
            let frames = board.choices(held.choices.count, over: held.key, width: Self.choiceWidth)
            self.held?.chosen = frames.indices.min { abs(frames[$0].midX - point.x) < abs(frames[$1].midX - point.x) } ?? 0
        } else if let key = board.index(at: point) {
            if key != old.key { old.holding.cancel() }
            fingers[finger] = Finger(key: key, point: point, holding: old.holding)
        }
        changed()
    }

    /// A finger went up.
    public func up(_ finger: Int) {
        guard let end = remove(finger) else { return }
        let action = board.places[end.key].key.action
        if let held, held.key == end.key {
            self.held = nil
            press(.type(held.choices[held.chosen]), nil)
        } else if action != .backspace {
            press(action, board.inUnits(end.point))
        }
        changed()
    }

    /// The system took a finger away: it has hit nothing.
    public func cancel(_ finger: Int) {
        if remove(finger)?.key == held?.key { held = nil }
        changed()
    }

    private func repeatBackspace() async throws {
        try await sleep(Self.pause)
        while true {
            press(.backspace, nil)
            try await sleep(Self.interval)
        }
    }

    private func hold(_ finger: Int) async throws {
        try await sleep(Self.pause)
        guard let key = fingers[finger]?.key, case .type(let text) = board.places[key].key.action else { return }
        let alternatives = board.places[key].key.alternatives
        guard !alternatives.isEmpty else { return }
        held = Held(key: key, choices: [text] + alternatives, chosen: 0)
        changed()
    }

    private func remove(_ finger: Int) -> Finger? {
        order.removeAll { $0 == finger }
        let removed = fingers.removeValue(forKey: finger)
        removed?.holding.cancel()
        return removed
    }

    private func forgetAll() {
        for finger in order { _ = remove(finger) }
        held = nil
        changed()
    }
}
