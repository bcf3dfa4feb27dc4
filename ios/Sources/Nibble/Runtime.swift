// What holds for all models of the process.

internal import NibbleFFI

/// Settings of the process: how much power computing may take, and what is logged.
public enum Runtime {
    /// The version of the native library.
    public static var version: String { NibbleFFI.version() }

    /// Says how much power computing may take, from the next batch of tokens on. Results stay the same. ``PowerGovernor``
    /// calls this as the system says.
    public static func setPowerState(_ state: PowerState) {
        NibbleFFI.setPowerState(state: state.native)
    }

    /// Says what is logged, in lines that begin with `Nibble:`. Text that a user typed never is.
    public static func setLogLevel(_ level: LogLevel) {
        NibbleFFI.setLogLevel(level: level.native)
    }

    /// How much power computing may take.
    public enum PowerState: Sendable, Equatable {
        /// As much as is fast.
        case normal
        /// The user saves power: half the threads.
        case saving
        /// The device is hot: half the threads.
        case hot
        /// The device is too hot: one thread.
        case critical

        fileprivate var native: NibbleFFI.PowerState {
            switch self {
            case .normal: .normal
            case .saving: .saving
            case .hot: .hot
            case .critical: .critical
            }
        }
    }

    /// What is logged. Each level has what the ones before it have, and more.
    public enum LogLevel: Sendable, Equatable {
        /// Nothing.
        case off
        /// What failed.
        case error
        /// What is not as it should be; the default.
        case warn
        /// What Nibble did by itself, such as removing a model for another one.
        case info
        /// What helps to find a fault of Nibble.
        case debug

        fileprivate var native: NibbleFFI.LogLevel {
            switch self {
            case .off: .off
            case .error: .error
            case .warn: .warn
            case .info: .info
            case .debug: .debug
            }
        }
    }
}
