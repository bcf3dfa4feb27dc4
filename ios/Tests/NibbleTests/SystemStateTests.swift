// What follows from what the system says about memory, heat and power.

import Foundation
import XCTest

@testable import Nibble

final class SystemStateTests: XCTestCase {
    func testMemoryIsGivenBackAsTheSystemAsks() {
        XCTAssertNil(Model.MemoryPressure(isWarning: false, isCritical: false))
        XCTAssertEqual(Model.MemoryPressure(isWarning: true, isCritical: false), .low)
        XCTAssertEqual(Model.MemoryPressure(isWarning: false, isCritical: true), .critical)
        XCTAssertEqual(Model.MemoryPressure(isWarning: true, isCritical: true), .critical)
    }

    func testHeatGoesBeforeTheUsersWish() {
        let states = (0...4).map { heat in
            [false, true].map { Runtime.PowerState(thermalState: heat, isLowPowerModeEnabled: $0) }
        }
        XCTAssertEqual(
            states,
            [[.normal, .saving], [.normal, .saving], [.hot, .hot], [.critical, .critical], [.critical, .critical]])
    }

    func testAGovernorFollowsTheSystemForAsLongAsItLives() {
        let (heat, applied) = (Locked(0), Locked<[Runtime.PowerState]>([]))
        let (center, changed) = (NotificationCenter(), Notification.Name("changed"))
        var governor: PowerGovernor? = PowerGovernor(
            center: center, notifications: [changed],
            state: { Runtime.PowerState(thermalState: heat.withLock { $0 }, isLowPowerModeEnabled: false) },
            apply: { state in applied.withLock { $0.append(state) } })
        for state in [2, 3, 0] {
            heat.withLock { $0 = state }
            center.post(name: changed, object: nil)
        }
        XCTAssertEqual(applied.withLock { $0 }, [.normal, .hot, .critical, .normal])
        heat.withLock { $0 = 2 }
        center.post(name: changed, object: nil)
        withExtendedLifetime(governor) {}
        governor = nil
        center.post(name: changed, object: nil)
        // What was asked for ends with it.
        XCTAssertEqual(applied.withLock { $0 }, [.normal, .hot, .critical, .normal, .hot, .normal])
    }

    func testResultsAreTheSameInAllStatesOfPower() async throws {
        let session = try await Model(contentsOf: modelFile()).session()
        defer { Runtime.setPowerState(.normal) }
        var texts: Set<String> = []
        for state in [Runtime.PowerState.normal, .saving, .hot, .critical] {
            Runtime.setPowerState(state)
            texts.insert(try await session.generate("The capital of France is", stop: Stop(maxTokens: 6)).text())
        }
        XCTAssertEqual(texts.count, 1)
    }

    func testTheVersionIsThatOfTheCrates() throws {
        let manifest = try String(contentsOf: checkoutFile("Cargo.toml"), encoding: .utf8)
        XCTAssertTrue(manifest.contains("\nversion = \"\(Runtime.version)\"\n"), Runtime.version)
    }

    func testTheSourcesAreSafeInAnExtension() throws {
        let sources = try FileManager.default.contentsOfDirectory(
            at: checkoutFile("ios/Sources/Nibble"), includingPropertiesForKeys: nil)
        let swift = sources.filter { $0.pathExtension == "swift" }
        XCTAssertFalse(swift.isEmpty)
        for file in swift {
            let text = try String(contentsOf: file, encoding: .utf8)
            XCTAssertFalse(text.contains("import UIKit"), file.lastPathComponent)
        }
    }
}
