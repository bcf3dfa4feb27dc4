// swift-tools-version: 6.0
// What the samples for iOS decide, apart from what they show: plain Swift, in which Xcode's projects of the samples take part, and which
// is tested on any machine. ios-common/README.md says how.

import PackageDescription

let nibble = Target.Dependency.product(name: "Nibble", package: "Nibble")

#if os(Linux)
    // Apple's frameworks are not here. With stand-ins for what the samples use of them, the files that Xcode compiles are compiled too.
    let appleFrameworks: [Target.Dependency] = ["AppIntents", "SwiftUI", "UIKit", "UniformTypeIdentifiers"]
#else
    let appleFrameworks: [Target.Dependency] = []
#endif

let package = Package(
    name: "NibbleSamples",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "ModelSetup", targets: ["ModelSetup"]),
        .library(name: "ModelViews", targets: ["ModelViews"]),
        .library(name: "KeyboardCore", targets: ["KeyboardCore"]),
        .library(name: "ReplyCore", targets: ["ReplyCore"]),
        .library(name: "ReplyViews", targets: ["ReplyViews"]),
    ],
    dependencies: [.package(name: "Nibble", path: "..")],
    targets: [
        .target(name: "ModelSetup", dependencies: [nibble], path: "ios-common/Sources/ModelSetup"),
        .target(name: "ModelViews", dependencies: ["ModelSetup"] + appleFrameworks, path: "ios-common/Sources/ModelViews"),
        .target(name: "SampleTesting", path: "ios-common/Tests/SampleTesting"),
        .testTarget(
            name: "ModelSetupTests", dependencies: ["ModelSetup", "SampleTesting"], path: "ios-common/Tests/ModelSetupTests"),
        .target(name: "KeyboardCore", dependencies: [nibble, "ModelSetup"], path: "ios-keyboard/Sources/KeyboardCore"),
        .testTarget(
            name: "KeyboardCoreTests", dependencies: ["KeyboardCore", "SampleTesting"], path: "ios-keyboard/Tests/KeyboardCoreTests"),
        .target(name: "ReplyCore", dependencies: [nibble, "ModelSetup"], path: "ios-reply/Sources/ReplyCore"),
        .testTarget(
            name: "ReplyCoreTests", dependencies: ["ReplyCore", "SampleTesting"], path: "ios-reply/Tests/ReplyCoreTests"),
        .target(name: "ReplyViews", dependencies: ["ReplyCore"] + appleFrameworks, path: "ios-reply/Sources/ReplyViews"),
    ],
    swiftLanguageModes: [.v6]
)

#if os(Linux)
    let standIns = ["UIKit": [], "UniformTypeIdentifiers": [], "SwiftUI": ["UIKit", "UniformTypeIdentifiers"], "AppIntents": []]
    package.targets += standIns.map { name, needs in
        .target(name: name, dependencies: needs.map { .target(name: $0) }, path: "ios-common/StandIns/\(name)")
    }

    /// A target of an Xcode project: the sources of its folder, without what Xcode reads there.
    @MainActor func xcodeTarget(_ name: String, in folder: String, of products: [Target.Dependency], isApp: Bool = false) -> Target {
        let dependencies = products + appleFrameworks
        let others = ["Info.plist", "PrivacyInfo.xcprivacy", "\(name).entitlements"]
        return isApp
            ? .executableTarget(name: name, dependencies: dependencies, path: folder, exclude: others)
            : .target(name: name, dependencies: dependencies, path: folder, exclude: others)
    }
    package.targets += [
        xcodeTarget("KeyboardSample", in: "ios-keyboard/App", of: ["KeyboardCore", "ModelViews"], isApp: true),
        xcodeTarget("KeyboardExtension", in: "ios-keyboard/Extension", of: ["KeyboardCore"]),
        .testTarget(
            name: "KeyboardExtensionTests", dependencies: ["KeyboardExtension", "SampleTesting"],
            path: "ios-keyboard/Tests/KeyboardExtensionTests"),
        xcodeTarget("ReplyApp", in: "ios-reply/App", of: ["ModelSetup", "ModelViews", "ReplyCore", "ReplyViews"], isApp: true),
        xcodeTarget("ReplyShare", in: "ios-reply/Share", of: ["ReplyCore", "ReplyViews"]),
    ]
#endif
