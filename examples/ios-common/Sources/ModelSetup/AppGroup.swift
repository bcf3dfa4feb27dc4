// The folder that an app and its extension share.

import Foundation

/// The App Group of a sample: its app writes there, and its extension reads.
public enum AppGroup {
    /// The folder of its model.
    public static var models: URL {
        container.appendingPathComponent("Models")
    }

    /// Its container.
    public static var container: URL {
        #if canImport(Darwin)
            // `Info.plist` has the name from the project's settings, as the entitlements do.
            let group = Bundle.main.object(forInfoDictionaryKey: "AppGroup") as? String ?? ""
            guard let container = FileManager.default.containerURL(forSecurityApplicationGroupIdentifier: group) else {
                fatalError("the App Group \(group) is not among this target's entitlements; README.md says where it is set")
            }
            return container
        #else
            return FileManager.default.temporaryDirectory
        #endif
    }
}
