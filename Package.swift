// swift-tools-version: 6.0
// The Swift package. ios/README.md says how to use it and how to test it.

import PackageDescription

#if os(Linux)
    // The host's library, for tests: `-Xlinker -L` says where it is.
    let native = Target.systemLibrary(name: "CNibble", path: "bindings/swift/CNibble")
#else
    // ios/make-xcframework.sh makes it.
    let native = Target.binaryTarget(name: "CNibble", path: "ios/CNibble.xcframework")
#endif

let package = Package(
    name: "Nibble",
    platforms: [.iOS(.v15), .macOS(.v13)],
    products: [.library(name: "Nibble", targets: ["Nibble"])],
    targets: [
        native,
        // Generated, in the language mode that the generator writes.
        .target(
            name: "NibbleFFI", dependencies: ["CNibble"], path: "bindings/swift/NibbleFFI",
            swiftSettings: [.swiftLanguageMode(.v5)]),
        // It is safe in an extension. `-application-extension` cannot say so here: a package with unsafe flags cannot be depended
        // on. ios/README.md has the command that checks it.
        .target(
            name: "Nibble", dependencies: ["NibbleFFI"], path: "ios/Sources/Nibble",
            resources: [.copy("PrivacyInfo.xcprivacy")]),
        .testTarget(name: "NibbleTests", dependencies: ["Nibble"], path: "ios/Tests/NibbleTests"),
    ],
    swiftLanguageModes: [.v6]
)
