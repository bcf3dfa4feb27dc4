// Where the keys of a page are in a view, and which of them a finger is on.

import Foundation

/// The keys of a page, in their places. They cover the view without gaps: a finger is always on one of them.
public struct Board: Equatable, Sendable {
    /// The size of four rows, in units.
    public static let units = CGSize(width: 10, height: 4)
    /// How wide a choice of a held key is, in points.
    public static let choiceWidth: CGFloat = 38

    /// A key in its place.
    public struct Place: Equatable, Sendable {
        public let key: Key
        /// Where it can be hit.
        public let frame: CGRect
        /// Where it is seen.
        public let face: CGRect
    }

    public let places: [Place]
    public let size: CGSize

    public init(rows: [[Key]], size: CGSize) {
        self.size = size
        let unit = CGSize(width: size.width / Self.units.width, height: size.height / Self.units.height)
        places = rows.enumerated().flatMap { y, row in
            var x: CGFloat = 0
            return row.map { key in
                defer { x += key.width }
                func frame(from start: CGFloat, to end: CGFloat) -> CGRect {
                    CGRect(x: start * unit.width, y: CGFloat(y) * unit.height, width: (end - start) * unit.width, height: unit.height)
                }
                let end = x + key.width
                return Place(key: key, frame: frame(from: x, to: end), face: frame(from: x + key.blankStart, to: end - key.blankEnd))
            }
        }
    }

    /// The index of the key at a point, or of the nearest where that is outside the view: the last key that begins before it.
    public func index(at point: CGPoint) -> Int? {
        places.lastIndex { $0.frame.minX <= max(point.x, 0) && $0.frame.minY <= max(point.y, 0) }
    }

    /// A point of the view in units, as Nibble has it.
    public func inUnits(_ point: CGPoint) -> CGPoint {
        CGPoint(x: point.x / size.width * Self.units.width, y: point.y / size.height * Self.units.height)
    }

    /// Where the choices of a held key are seen: in a row above it, the first over the key itself, the others to the side that has room.
    public func choices(_ count: Int, over index: Int) -> [CGRect] {
        let face = places[index].face, width = Self.choiceWidth
        let fitsRight = face.midX - width / 2 + CGFloat(count) * width <= size.width
        let step = fitsRight ? width : -width
        return (0..<count).map { at in
            CGRect(x: face.midX - width / 2 + CGFloat(at) * step, y: face.minY - face.height, width: width, height: face.height)
        }
    }
}
