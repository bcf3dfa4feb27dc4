// The keys of all pages: that they fill their rows, where they are, and which of them a finger hits.

import Foundation
import KeyboardCore
import Nibble
import XCTest

final class BoardTests: XCTestCase {
    private let view = CGSize(width: 400, height: 200)

    func testEveryRowOfEveryPageIsFull() {
        for page in [Page.letters, .symbols, .moreSymbols] {
            for letters in Letters.allCases {
                for field in Keyboard.Field.allCases {
                    for hasGlobe in [true, false] {
                        let rows = rows(of: page, letters: letters, field: field, hasGlobe: hasGlobe)
                        XCTAssertEqual(rows.map { $0.map(\.width).reduce(0, +) }, [10, 10, 10, 10], "\(page) \(letters) \(field)")
                        let actions = rows.joined().map(\.action)
                        XCTAssertEqual(Set(actions).count, actions.count, "two keys that do the same")
                        XCTAssertEqual(actions.contains(.nextKeyboard), hasGlobe)
                    }
                }
            }
        }
    }

    func testEveryLetterIsOnceOnAPage() {
        for letters in Letters.allCases {
            let rows = rows(of: .letters, letters: letters, field: .text, hasGlobe: true)
            let typed = rows.joined().compactMap { key in if case .type(let text) = key.action { text } else { nil } }
            XCTAssertEqual(typed.filter { $0 >= "a" && $0 <= "z" }.sorted(), (97...122).map { String(UnicodeScalar($0)) })
        }
    }

    func testAnAddressHasItsOwnKey() {
        for (field, text) in [(Keyboard.Field.email, "@"), (.url, "/"), (.text, ",")] {
            let last = rows(of: .letters, letters: .qwerty, field: field, hasGlobe: false)[3]
            XCTAssertTrue(last.contains { $0.action == .type(text) }, "\(field)")
        }
    }

    func testNibbleKnowsWhereTheLettersAre() throws {
        guard case .keys(let keys) = placed(.qwertz) else { return XCTFail("named keys") }
        let frames = Dictionary(uniqueKeysWithValues: keys.map { ($0.character, $0.frame) })
        XCTAssertEqual(frames["q"], CGRect(x: 0, y: 0, width: 1, height: 1))
        XCTAssertEqual(frames["a"], CGRect(x: 0.5, y: 1, width: 1, height: 1))
        XCTAssertEqual(frames["y"], CGRect(x: 1.5, y: 2, width: 1, height: 1))
        XCTAssertEqual(try XCTUnwrap(frames[" "]).minY, 3)
    }

    func testAFingerIsAlwaysOnTheNearestKey() throws {
        let board = Board(rows: rows(of: .letters, letters: .qwerty, field: .text, hasGlobe: true), size: view)
        func action(at x: CGFloat, _ y: CGFloat) throws -> Action {
            board.places[try XCTUnwrap(board.index(at: CGPoint(x: x, y: y)))].key.action
        }
        XCTAssertEqual(try action(at: 1, 1), .type("q"))
        XCTAssertEqual(try action(at: 0, 75), .type("a"), "at the edge, left of what is seen of the key")
        XCTAssertEqual(try action(at: 399, 75), .type("l"))
        XCTAssertEqual(try action(at: -20, 120), .shift, "outside the view")
        XCTAssertEqual(try action(at: 200, 300), .type(" "))
        XCTAssertNil(Board(rows: [], size: view).index(at: .zero))
    }

    func testPlacesDoNotDependOnTheSizeOfTheView() {
        let keys = rows(of: .letters, letters: .qwerty, field: .text, hasGlobe: true)
        for size in [view, CGSize(width: 844, height: 160)] {
            let board = Board(rows: keys, size: size)
            for place in board.places {
                let middle = board.inUnits(CGPoint(x: place.face.midX, y: place.face.midY))
                let same = Board(rows: keys, size: Board.units).places.first { $0.key == place.key }?.face
                XCTAssertEqual(middle.x, same?.midX ?? .nan, accuracy: 0.001)
                XCTAssertEqual(middle.y, same?.midY ?? .nan, accuracy: 0.001)
            }
        }
    }

    func testChoicesOpenToTheSideThatHasRoom() throws {
        let board = Board(rows: rows(of: .letters, letters: .qwerty, field: .text, hasGlobe: true), size: view)
        for (letter, direction) in [("e", 1.0), ("o", -1.0)] {
            let index = try XCTUnwrap(board.places.firstIndex { $0.key.action == .type(letter) })
            let frames = board.choices(6, over: index)
            XCTAssertEqual(frames[0].midX, board.places[index].face.midX)
            XCTAssertEqual(frames[1].midX - frames[0].midX, Board.choiceWidth * direction)
            XCTAssertTrue(frames.allSatisfy { $0.minX >= 0 && $0.maxX <= view.width }, "\(letter): \(frames)")
        }
    }
}
