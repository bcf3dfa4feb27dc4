// What the samples use of AppIntents, declared as Apple's reference has it, so that they compile where that is not. Nothing runs.

import Foundation

public protocol AppIntent: Sendable {
    associatedtype PerformResult: IntentResult
    static var title: LocalizedStringResource { get }
    static var description: IntentDescription? { get }
    static var openAppWhenRun: Bool { get }
    init()
    func perform() async throws -> PerformResult
}

extension AppIntent {
    public typealias Parameter = IntentParameter
    public static var description: IntentDescription? { nil }
    public static var openAppWhenRun: Bool { false }
}

public struct IntentDescription: Sendable {
    public init(_ descriptionText: LocalizedStringResource) {}
}

@propertyWrapper public final class IntentParameter<Value: Sendable>: @unchecked Sendable {
    public init(
        title: LocalizedStringResource, description: LocalizedStringResource? = nil, requestValueDialog: IntentDialog? = nil
    ) {}
    public init(
        title: LocalizedStringResource, description: LocalizedStringResource? = nil, default defaultValue: Value,
        requestValueDialog: IntentDialog? = nil
    ) {}

    public var wrappedValue: Value {
        get { fatalError("this is not AppIntents: it is there to be compiled against") }
        set {}
    }
    public var projectedValue: IntentParameter<Value> { self }
}

// MARK: Results

public protocol IntentResult: Sendable {
    associatedtype Value: Sendable
    var value: Value? { get }
}

public protocol ReturnsValue<Value>: IntentResult {}

public protocol ProvidesDialog: IntentResult {}

public struct IntentResultContainer<Value: Sendable, OpensIntent, Snippet, Dialog>: IntentResult, ReturnsValue {
    public var value: Value?
}

extension IntentResultContainer: ProvidesDialog where Dialog == IntentDialog {}

extension IntentResult {
    public static func result<Value>(
        value: Value, dialog: IntentDialog
    ) -> Self where Self == IntentResultContainer<Value, Never, Never, IntentDialog> {
        IntentResultContainer(value: value)
    }
}

public struct IntentDialog: Sendable, ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) {}
}

// MARK: Shortcuts

public protocol AppShortcutsProvider: Sendable {
    @AppShortcutsBuilder static var appShortcuts: [AppShortcut] { get }
}

@resultBuilder public enum AppShortcutsBuilder {
    public static func buildBlock(_ components: AppShortcut...) -> [AppShortcut] { components }
}

public struct AppShortcut: Sendable {
    public init<Intent: AppIntent>(
        intent: Intent, phrases: [AppShortcutPhrase<Intent>], shortTitle: LocalizedStringResource, systemImageName: String
    ) {}
}

public struct AppShortcutPhrase<Intent: AppIntent>: Sendable, ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) {}
    public init(stringInterpolation: StringInterpolation) {}

    public struct StringInterpolation: StringInterpolationProtocol {
        public init(literalCapacity: Int, interpolationCount: Int) {}
        public mutating func appendLiteral(_ literal: String) {}
        public mutating func appendInterpolation(_ token: AppShortcutPhraseToken) {}
    }
}

public struct AppShortcutPhraseToken: Sendable {
    public static let applicationName = AppShortcutPhraseToken()
}

// MARK: Of Foundation on Apple's platforms

public struct LocalizedStringResource: Sendable, ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) {}
}

public protocol CustomLocalizedStringResourceConvertible {
    var localizedStringResource: LocalizedStringResource { get }
}
