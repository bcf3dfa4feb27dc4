// What the tests share: the model, the files of the checkout, an actor, JSON.

import Foundation
import Nibble
import XCTest

/// An actor on which requests are made one after another, as on the main actor of an app.
@globalActor actor Typist {
    static let shared = Typist()
}

/// What keeps a test from running.
struct Obstacle: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The packed SmolLM2 that the tests run on.
func modelFile() throws -> URL {
    guard let path = ProcessInfo.processInfo.environment["NIBBLE_TEST_MODEL"], !path.isEmpty else {
        throw Obstacle("set NIBBLE_TEST_MODEL to the path of smollm2-135m-instruct, packed; ios/README.md says how")
    }
    return URL(fileURLWithPath: path)
}

/// What this process holds that a leak would add to.
struct Held: CustomStringConvertible {
    private let bytes: Int
    private let files: Int
    private let threads: Int

    init() throws {
        bytes = try dirtyBytes()
        files = try FileManager.default.contentsOfDirectory(atPath: "/dev/fd").count
        #if os(Linux)
            threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
        #else
            threads = 0
        #endif
    }

    var description: String {
        "\(bytes / 1_000_000) MB dirty, \(files) files, \(threads) threads"
    }

    /// Fails where there is more than before. A few threads, and what they have open, come and go with the system's queues.
    func assertNoMore(than before: Held, bytes allowance: Int, line: UInt = #line) {
        XCTAssertLessThan(bytes, before.bytes + allowance, "bytes", line: line)
        XCTAssertLessThan(files, before.files + 16, "open files", line: line)
        XCTAssertLessThan(threads, before.threads + 16, "threads", line: line)
    }
}

/// Memory that this process has written to. The pages of a model file do not count: when they leave the memory is the
/// system's business.
private func dirtyBytes() throws -> Int {
    #if os(Linux)
        let statm = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        let pages = statm.split(separator: " ").compactMap { Int($0) }
        guard pages.count > 2 else { throw Obstacle("/proc/self/statm is not as it was") }
        return (pages[1] - pages[2]) * sysconf(Int32(_SC_PAGESIZE))
    #else
        var info = task_vm_info_data_t()
        var count = mach_msg_type_number_t(MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<natural_t>.size)
        let status = withUnsafeMutablePointer(to: &info) { info in
            info.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                task_info(task_self_trap(), task_flavor_t(TASK_VM_INFO), $0, &count)
            }
        }
        guard status == KERN_SUCCESS else { throw Obstacle("task_info returned \(status)") }
        return Int(info.phys_footprint)
    #endif
}

/// A file of the checkout.
func checkoutFile(_ path: String) -> URL {
    // This file is ios/Tests/NibbleTests/Support.swift.
    let here = URL(fileURLWithPath: #filePath)
    return (0..<4).reduce(here) { url, _ in url.deletingLastPathComponent() }.appendingPathComponent(path)
}

/// What the group of a pattern matches in a text, every time.
func captures(of pattern: String, in text: String) throws -> [String] {
    let found = try NSRegularExpression(pattern: pattern).matches(in: text, range: NSRange(text.startIndex..., in: text))
    return found.compactMap { Range($0.range(at: 1), in: text).map { String(text[$0]) } }
}

enum JSON: Equatable, Decodable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    subscript(key: String) -> JSON {
        if case .object(let members) = self, let member = members[key] { member } else { .null }
    }

    var int: Int? { if case .int(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    var string: String? { if case .string(let value) = self { value } else { nil } }
    var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    var double: Double? { if case .double(let value) = self { value } else { int.map(Double.init) } }

    /// A text that the case cannot be without.
    func text(_ key: String) throws -> String {
        guard let text = self[key].string else { throw Obstacle("the case has no text \(key)") }
        return text
    }

    /// A number that the case cannot be without.
    func number(_ key: String) throws -> Int {
        guard let number = self[key].int else { throw Obstacle("the case has no number \(key)") }
        return number
    }

    /// A list that the case cannot be without.
    func list(_ key: String) throws -> [JSON] {
        guard let list = self[key].array else { throw Obstacle("the case has no list \(key)") }
        return list
    }
}

extension JSON {
    init(_ tokens: [UInt32]) {
        self = .array(tokens.map { .int(Int($0)) })
    }

    init(_ strings: [String]) {
        self = .array(strings.map(JSON.string))
    }

    init(_ string: String?) {
        self = string.map(JSON.string) ?? .null
    }
}
