// What the samples use of SwiftUI: where the values of views live.

import Foundation
import Observation

public protocol DynamicProperty {}

@propertyWrapper @dynamicMemberLookup public struct Binding<Value> {
    public init(
        @_inheritActorContext get: @escaping @isolated(any) @Sendable () -> Value,
        @_inheritActorContext set: @escaping @isolated(any) @Sendable (Value) -> Void
    ) {}
    public static func constant(_ value: Value) -> Binding<Value> { standIn() }

    public var wrappedValue: Value {
        get { standIn() }
        nonmutating set { standIn() }
    }
    public var projectedValue: Binding<Value> { self }
    public subscript<Subject>(dynamicMember keyPath: WritableKeyPath<Value, Subject>) -> Binding<Subject> { standIn() }
}

@propertyWrapper public struct State<Value>: DynamicProperty {
    public init(wrappedValue: Value) {}
    public init(initialValue: Value) {}

    public var wrappedValue: Value {
        get { standIn() }
        nonmutating set { standIn() }
    }
    public var projectedValue: Binding<Value> { standIn() }
}

extension State where Value: ExpressibleByNilLiteral {
    public init() {}
}

@propertyWrapper @dynamicMemberLookup public struct Bindable<Value> {
    public var wrappedValue: Value
    public var projectedValue: Bindable<Value> { self }
    @available(*, unavailable) public init(wrappedValue: Value) { standIn() }
}

extension Bindable where Value: AnyObject & Observable {
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    public init(_ wrappedValue: Value) { self.wrappedValue = wrappedValue }
    public subscript<Subject>(dynamicMember keyPath: ReferenceWritableKeyPath<Value, Subject>) -> Binding<Subject> { standIn() }
}

@propertyWrapper public struct FocusState<Value: Hashable>: DynamicProperty {
    public init() where Value == Bool {}
    public init<Wrapped: Hashable>() where Value == Wrapped? {}

    public var wrappedValue: Value {
        get { standIn() }
        nonmutating set { standIn() }
    }
    public var projectedValue: Binding { standIn() }

    public struct Binding {
        public var wrappedValue: Value {
            get { standIn() }
            nonmutating set { standIn() }
        }
        public var projectedValue: Binding { self }
    }
}

@propertyWrapper public struct AppStorage<Value>: DynamicProperty {
    public init(wrappedValue: Value, _ key: String, store: UserDefaults? = nil) where Value == Bool {}
    public init(wrappedValue: Value, _ key: String, store: UserDefaults? = nil) where Value == String {}

    public var wrappedValue: Value {
        get { standIn() }
        nonmutating set { standIn() }
    }
    public var projectedValue: Binding<Value> { standIn() }
}

@propertyWrapper public struct Environment<Value>: DynamicProperty {
    public init(_ keyPath: KeyPath<EnvironmentValues, Value>) {}
    public var wrappedValue: Value { standIn() }
}

extension Environment {
    public init(_ objectType: Value.Type) where Value: AnyObject & Observable {}
}

public struct EnvironmentValues {
    public var openURL: OpenURLAction { standIn() }
    public var scenePhase: ScenePhase { standIn() }
    public var dismiss: DismissAction { standIn() }
    public var colorScheme: ColorScheme { standIn() }
    public var dynamicTypeSize: DynamicTypeSize { standIn() }
}

@MainActor @preconcurrency public struct OpenURLAction {
    public func callAsFunction(_ url: URL) { standIn() }
}

@MainActor @preconcurrency public struct DismissAction {
    public func callAsFunction() { standIn() }
}

public enum ScenePhase: Comparable, Hashable, Sendable { case background, inactive, active }

public enum ColorScheme: CaseIterable, Hashable, Sendable { case light, dark }

public enum DynamicTypeSize: Comparable, Hashable, CaseIterable, Sendable {
    case xSmall, small, medium, large, xLarge, xxLarge, xxxLarge
    case accessibility1, accessibility2, accessibility3, accessibility4, accessibility5

    public var isAccessibilitySize: Bool { self >= .accessibility1 }
}
