// What the system says about memory, heat and power, and what follows from it. Nothing here needs UIKit, so that it works in
// extensions as in apps.

import Dispatch
import Foundation

extension Model.MemoryPressure {
    /// What to give back at an event of the system; nothing where memory is not short.
    init?(isWarning: Bool, isCritical: Bool) {
        switch (isWarning, isCritical) {
        case (_, true): self = .critical
        case (true, false): self = .low
        case (false, false): return nil
        }
    }
}

extension Runtime.PowerState {
    /// What a device allows that is so hot (0 to 3, as the cases of `ProcessInfo.ThermalState`), and whose user saves power
    /// or does not.
    init(thermalState: Int, isLowPowerModeEnabled: Bool) {
        switch thermalState {
        case 3...: self = .critical
        case 2: self = .hot
        default: self = isLowPowerModeEnabled ? .saving : .normal
        }
    }
}

/// Computes with fewer threads while the device is hot or its user saves power, for as long as something refers to it; then
/// as before. Results stay the same.
///
/// ```swift
/// let governor = PowerGovernor()   // keep it, beside the model
/// ```
///
/// One is enough for an app, and an extension has its own. An app that knows better calls ``Runtime/setPowerState(_:)``.
///
/// The tokens of the observers are touched when it begins and when it ends only, hence `@unchecked`.
public final class PowerGovernor: @unchecked Sendable {
    private let center: NotificationCenter
    private let apply: @Sendable (Runtime.PowerState) -> Void
    private let observers: [any NSObjectProtocol]

    #if canImport(Darwin)
        /// Begins with the state that the device is in.
        public convenience init() {
            self.init(
                center: .default,
                notifications: [ProcessInfo.thermalStateDidChangeNotification, .NSProcessInfoPowerStateDidChange],
                state: {
                    let process = ProcessInfo.processInfo
                    return Runtime.PowerState(
                        thermalState: process.thermalState.rawValue,
                        isLowPowerModeEnabled: process.isLowPowerModeEnabled)
                },
                apply: Runtime.setPowerState)
        }
    #endif

    /// Applies `state` now and at each of the notifications.
    init(
        center: NotificationCenter, notifications: [Notification.Name],
        state: @escaping @Sendable () -> Runtime.PowerState, apply: @escaping @Sendable (Runtime.PowerState) -> Void
    ) {
        self.center = center
        self.apply = apply
        observers = notifications.map { name in
            center.addObserver(forName: name, object: nil, queue: nil) { _ in apply(state()) }
        }
        apply(state())
    }

    deinit {
        for observer in observers { center.removeObserver(observer) }
        apply(.normal)
    }
}

#if canImport(Darwin)
    /// Calls back when the system says that memory is short, until nothing refers to it any more.
    ///
    /// The source is touched when this begins and when it ends only, hence `@unchecked`.
    final class MemoryWatch: @unchecked Sendable {
        private let source: any DispatchSourceMemoryPressure
        private let isShort: @Sendable (Model.MemoryPressure) -> Void

        init(_ isShort: @escaping @Sendable (Model.MemoryPressure) -> Void) {
            self.isShort = isShort
            source = DispatchSource.makeMemoryPressureSource(eventMask: [.warning, .critical], queue: .nibble)
            source.setEventHandler { [weak self] in self?.tell() }
            source.activate()
        }

        deinit {
            source.cancel()
        }

        private func tell() {
            let event = source.data
            let isWarning = event.contains(.warning), isCritical = event.contains(.critical)
            if let pressure = Model.MemoryPressure(isWarning: isWarning, isCritical: isCritical) {
                isShort(pressure)
            }
        }
    }
#endif
