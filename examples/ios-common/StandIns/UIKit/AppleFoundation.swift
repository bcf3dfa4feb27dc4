// What the samples use of Foundation that it has on Apple's systems only.

import Foundation

extension URL {
    public static var applicationSupportDirectory: URL { FileManager.default.temporaryDirectory }
    public static var cachesDirectory: URL { FileManager.default.temporaryDirectory }
    public static var temporaryDirectory: URL { FileManager.default.temporaryDirectory }
}
