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
        // What extensions may not call is in the frameworks of the screen, and these have nothing of it. Beside them there is only
        // looking something up by its name.
        let allowed: Set = ["Dispatch", "Foundation", "NibbleFFI", "CNibble"]
        let lookups = ["NSClassFromString", "NSSelectorFromString", "#selector", "perform(", "dlopen", "dlsym"]
        var imported: Set<String> = []
        for folder in ["ios/Sources", "bindings/swift"] {
            let names = try XCTUnwrap(FileManager.default.enumerator(atPath: checkoutFile(folder).path))
            for case let name as String in names where name.hasSuffix(".swift") {
                let text = try String(contentsOf: checkoutFile(folder).appendingPathComponent(name), encoding: .utf8)
                imported.formUnion(try captures(of: #"(?m)^\s*(?:@?\w+ )*import (\w+)"#, in: text))
                for lookup in lookups { XCTAssertFalse(text.contains(lookup), "\(name) has \(lookup)") }
            }
        }
        XCTAssertEqual(imported, allowed)
    }
}
