// What every error is made of, and that the pages tell of each.

import Foundation
import XCTest

@testable import Nibble

final class ErrorsTests: XCTestCase {
    func testAFaultOfNibbleIsAskedToBeReportedAndQuotesNothing() {
        // A panic of the native side comes as an error of the generated bindings, with what the panic says.
        let panic = Obstacle("index out of bounds in \"hunter2\"")
        guard case .internal(let reason) = NibbleError(native: panic) else { return XCTFail("it is another error") }
        XCTAssertTrue(reason.contains("report"), reason)
        XCTAssertFalse(reason.contains("hunter2"), reason)
    }

    func testThePagesTellOfEveryErrorOnce() throws {
        let source = try String(contentsOf: checkoutFile("ios/Sources/Nibble/NibbleError.swift"), encoding: .utf8)
        // Four spaces: the cases of the enumeration, and of no `switch`.
        let cases = try captures(of: #"(?m)^    case `?(\w+)"#, in: source).sorted()
        XCTAssertTrue(cases.contains("modelNotFound") && cases.contains("internal"), "\(cases)")
        for (page, name) in [
            ("ios/README.md", #"`\.(\w+)`"#), ("ios/Sources/Nibble/Nibble.docc/Errors.md", #"``NibbleError/(\w+)\("#),
        ] {
            let rows = try String(contentsOf: checkoutFile(page), encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("| `") }
            // The error is in the first column.
            let told = try rows.flatMap { try captures(of: name, in: String($0.dropFirst().prefix { $0 != "|" })) }
            XCTAssertEqual(told.sorted(), cases, page)
        }
    }
}
