// Fingers on the keys, with time in the hand of the test.

import Foundation
import KeyboardCore
import XCTest

@MainActor final class FingersTests: XCTestCase, @unchecked Sendable {
    func testATapHitsItsKeyWhereItWas() async {
        let desk = Desk()
        desk.tap("q")
        desk.tap(" ")
        XCTAssertEqual(desk.typed, ["q", " "])
        XCTAssertEqual(desk.points[0], CGPoint(x: 0.5, y: 0.5))
    }

    func testTheNextFingerMayComeDownBeforeTheLastOneIsUp() async {
        let desk = Desk()
        desk.fingers.down(1, at: desk.middle("t"))
        desk.fingers.down(2, at: desk.middle("o"))
        desk.fingers.up(2)
        desk.fingers.up(1)
        XCTAssertEqual(desk.typed, ["t", "o"])
        XCTAssertNil(desk.fingers.pressed)
    }

    func testAFingerThatSlidesHitsWhereItEnds() async {
        let desk = Desk()
        desk.fingers.down(1, at: desk.middle("r"))
        desk.fingers.move(1, to: desk.middle("t"))
        desk.fingers.up(1)
        XCTAssertEqual(desk.typed, ["t"])
        XCTAssertEqual(desk.points, [CGPoint(x: 4.5, y: 0.5)])
    }

    func testWhatTheSystemTakesAwayHitsNothing() async {
        let desk = Desk()
        desk.fingers.down(1, at: desk.middle("e"))
        await desk.pass()
        XCTAssertNotNil(desk.fingers.held)
        desk.fingers.cancel(1)
        XCTAssertNil(desk.fingers.held)
        desk.fingers.up(1)
        XCTAssertEqual(desk.typed, [])
    }

    func testAHeldKeyOffersItsAccents() async throws {
        let desk = Desk()
        desk.fingers.down(1, at: desk.middle("e"))
        XCTAssertNil(desk.fingers.held)
        await desk.pass()
        let held = try XCTUnwrap(desk.fingers.held)
        XCTAssertEqual(held.choices.prefix(3), ["e", "3", "é"])
        desk.fingers.move(1, to: CGPoint(x: desk.middle("e").x + 2 * Board.choiceWidth, y: 0))
        desk.fingers.up(1)
        XCTAssertEqual(desk.typed, ["é"])
        XCTAssertNil(desk.fingers.held)
        desk.fingers.down(1, at: desk.middle("e"))
        await desk.pass()
        desk.fingers.up(1)
        XCTAssertEqual(desk.typed, ["é", "e"], "its own letter is the first")
    }

    func testAHeldKeyWithoutAlternativesIsATap() async {
        let desk = Desk()
        desk.fingers.down(1, at: desk.middle("w"))
        desk.fingers.move(1, to: desk.middle("q"))
        desk.fingers.up(1)
        desk.fingers.down(1, at: desk.middle(","))
        await desk.pass()
        XCTAssertNil(desk.fingers.held)
        desk.fingers.up(1)
        XCTAssertEqual(desk.typed, ["q", ","])
    }

    func testAHeldBackspaceGoesOnUntilItIsLetGo() async {
        let desk = Desk()
        desk.fingers.down(1, at: desk.middle(.backspace))
        XCTAssertEqual(desk.actions, [.backspace], "at once")
        for _ in 0..<3 { await desk.pass() }
        XCTAssertEqual(desk.actions.count, 4)
        desk.fingers.up(1)
        XCTAssertEqual(desk.actions.count, 4)
        XCTAssertEqual(desk.sleepers, 0, "nobody waits for more")
    }

    func testNewKeysForgetTheFingersOnTheOldOnes() async {
        let desk = Desk()
        desk.fingers.down(1, at: desk.middle("q"))
        desk.fingers.board = Board(rows: rows(of: .symbols, letters: .qwerty, field: .text, hasGlobe: true), size: desk.fingers.board.size)
        desk.fingers.up(1)
        XCTAssertEqual(desk.actions, [])
    }
}

/// A board to tap on, and a clock that stands still.
@MainActor private final class Desk {
    private(set) var actions: [Action] = []
    private(set) var points: [CGPoint] = []
    private let clock = Clock()
    private(set) lazy var fingers = Fingers(
        board: Board(rows: rows(of: .letters, letters: .qwerty, field: .text, hasGlobe: true), size: CGSize(width: 400, height: 200)),
        press: { [unowned self] action, point in
            actions.append(action)
            points.append(point ?? .zero)
        },
        changed: {}, sleep: { [clock] _ in try await clock.sleep() })

    var typed: [String] { actions.compactMap { if case .type(let text) = $0 { text } else { nil } } }
    var sleepers: Int { clock.sleepers.count }

    func middle(_ text: String) -> CGPoint { middle(.type(text)) }

    func middle(_ action: Action) -> CGPoint {
        guard let face = fingers.board.places.first(where: { $0.key.action == action })?.face else { return .zero }
        return CGPoint(x: face.midX, y: face.midY)
    }

    func tap(_ text: String) {
        fingers.down(1, at: middle(text))
        fingers.up(1)
    }

    /// So much time that whoever waits is woken.
    func pass() async {
        for _ in 0..<1_000 where clock.sleepers.isEmpty { await Task.yield() }
        let woken = clock.wake()
        XCTAssertGreaterThan(woken, 0, "somebody waits")
        for _ in 0..<1_000 { await Task.yield() }
    }
}

@MainActor private final class Clock {
    private(set) var sleepers: [UUID: CheckedContinuation<Void, any Error>] = [:]

    func sleep() async throws {
        let me = UUID()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { sleepers[me] = $0 }
        } onCancel: {
            MainActor.assumeIsolated { sleepers.removeValue(forKey: me)?.resume(throwing: CancellationError()) }
        }
    }

    func wake() -> Int {
        let woken = sleepers
        sleepers = [:]
        for sleeper in woken.values { sleeper.resume() }
        return woken.count
    }
}
