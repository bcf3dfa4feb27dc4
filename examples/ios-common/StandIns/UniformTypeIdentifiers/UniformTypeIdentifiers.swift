// What the samples use of UniformTypeIdentifiers, declared as Apple's reference has it, so that they compile where that is not.

public struct UTType: Hashable, Sendable {
    public let identifier: String

    public static let data = UTType(identifier: "public.data")
}
