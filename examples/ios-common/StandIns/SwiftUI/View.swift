// What the samples use of SwiftUI, declared as Apple's reference has it, so that they compile where that is not. It draws
// nothing: what is checked is that names, labels, types and actors are right. This file: views in general, and how they are put
// together.

import Foundation
@_exported import UIKit

/// What a declaration does whose value nobody asks for.
func standIn() -> Never {
    fatalError("this is not SwiftUI: it is there to be compiled against")
}

@MainActor @preconcurrency public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}

/// A view of SwiftUI's own.
public protocol Primitive: View where Body == Never {}

extension Primitive {
    public var body: Never { standIn() }
}

extension Never: View {
    public var body: Never { standIn() }
}

extension Optional: View where Wrapped: View {
    public typealias Body = Never
    public var body: Never { standIn() }
}

public struct EmptyView: Primitive {
    public init() {}
}

public struct TupleView<Views>: Primitive {
    init(_ views: Views) {}
}

public struct _ConditionalContent<First: View, Second: View>: Primitive {}

@resultBuilder public struct ViewBuilder {
    public static func buildExpression<Content: View>(_ content: Content) -> Content { content }
    public static func buildBlock() -> EmptyView { standIn() }
    public static func buildBlock<Content: View>(_ content: Content) -> Content { content }
    public static func buildBlock<each Content: View>(_ content: repeat each Content) -> TupleView<(repeat each Content)> {
        standIn()
    }
    public static func buildIf<Content: View>(_ content: Content?) -> Content? { content }
    public static func buildEither<First: View, Second: View>(first: First) -> _ConditionalContent<First, Second> { standIn() }
    public static func buildEither<First: View, Second: View>(second: Second) -> _ConditionalContent<First, Second> { standIn() }
    public static func buildLimitedAvailability<Content: View>(_ content: Content) -> some View { content }
}

@MainActor @preconcurrency public protocol Scene {}

@resultBuilder public struct SceneBuilder {
    public static func buildBlock<Content: Scene>(_ content: Content) -> Content { content }
}

public struct WindowGroup<Content: View>: Scene {
    public init(@ViewBuilder content: @escaping () -> Content) {}
}

@MainActor @preconcurrency public protocol App {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
    init()
}

extension App {
    public static func main() { standIn() }
}

@MainActor open class UIHostingController<Content: View>: UIViewController {
    public init(rootView: Content) { standIn() }
    public required init?(coder: NSCoder) { standIn() }
    open var rootView: Content { standIn() }
}
