//! Where the keys of a keyboard are, and how far a touch is from each.
//!
//! A touch is a point in the unit that the keys are given in; the shipped layouts have keys one unit wide and high, with
//! the first key of the first row at (0, 0). People miss a key's centre by a share of its size, so distances are taken in key sizes.

use std::collections::HashMap;

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use super::text;

/// A point, in the layout's unit; x grows to the right and y downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f32,
    /// From the top.
    pub y: f32,
}

/// A key: what it types, and its rectangle.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The character, in lower case; a space for the space bar.
    pub key: char,
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

/// The keys of a keyboard.
#[derive(Clone, Debug)]
pub struct Layout {
    keys: HashMap<char, Key>,
}

/// Why keys are no layout.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutError {
    /// There is not one letter key.
    #[error("the layout has no letter keys; give each key as {{\"key\", \"x\", \"y\", \"width\", \"height\"}}")]
    NoKeys,
    /// A key without an area, or with a number that is none.
    #[error("the key {0:?} has no area; its width and height have to be above 0, and all four numbers finite")]
    NoArea(char),
    /// Two keys type the same.
    #[error("two keys type {0:?}; give one of them another character")]
    Twice(char),
    /// Two keys lie on each other.
    #[error("the keys {0:?} and {1:?} overlap; move one of them")]
    Overlap(char, char),
    /// The text is not JSON, or not of this form.
    #[error(
        "the layout is not {{\"keys\": [{{\"key\", \"x\", \"y\", \"width\", \"height\"}}]}} (line {line}, column {column})"
    )]
    Form {
        /// Where, from 1 on.
        line: usize,
        /// Where in the line, from 1 on.
        column: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Key>,
}

/// The shipped layouts: rows of keys, each with where its first key begins.
const SHIPPED: [(&str, [(f32, &str); 3]); 4] = [
    ("qwerty", [(0.0, "qwertyuiop"), (0.5, "asdfghjkl"), (1.5, "zxcvbnm")]),
    ("qwertz", [(0.0, "qwertzuiopü"), (0.0, "asdfghjklöä"), (2.0, "yxcvbnm")]),
    ("azerty", [(0.0, "azertyuiop"), (0.0, "qsdfghjklm"), (2.0, "wxcvbn'")]),
    ("dvorak", [(1.0, "'pyfgcrl"), (0.0, "aoeuidhtns"), (1.0, "qjkxbmwvz")]),
];

/// The row below the letters, in which all four have the space bar: where it begins, and how wide it is.
const SPACE_BAR: (f32, f32) = (2.5, 5.0);

impl Layout {
    /// The names that [`shipped`](Self::shipped) takes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// A layout that comes with Nibble.
    pub fn shipped(name: &str) -> Option<Self> {
        let (_, rows) = SHIPPED.iter().find(|(other, _)| *other == name)?;
        let key = |key, x, y, width| Key { key, x, y, width, height: 1.0 };
        let letters = (0u8..).zip(rows).flat_map(|(row, &(start, letters))| {
            (0u8..).zip(letters.chars()).map(move |(i, letter)| key(letter, start + f32::from(i), f32::from(row), 1.0))
        });
        let space = key(' ', SPACE_BAR.0, rows.len() as f32, SPACE_BAR.1);
        Some(Self { keys: letters.chain([space]).map(|key| (key.key, key)).collect() })
    }

    /// A layout of one's own.
    ///
    /// # Errors
    /// [`LayoutError`] if there are no letters, a key has no area, or two are in each other's way.
    pub fn new(mut keys: Vec<Key>) -> Result<Self, LayoutError> {
        // They are looked up by what they type without shift.
        keys.iter_mut().for_each(|key| key.key = text::small(key.key));
        for (i, key) in keys.iter().enumerate() {
            let numbers = [key.x, key.y, key.width, key.height];
            if numbers.iter().any(|number| !number.is_finite()) || key.width <= 0.0 || key.height <= 0.0 {
                return Err(LayoutError::NoArea(key.key));
            }
            for other in &keys[..i] {
                if other.key == key.key {
                    return Err(LayoutError::Twice(key.key));
                }
                if other.overlaps(key) {
                    return Err(LayoutError::Overlap(other.key, key.key));
                }
            }
        }
        if !keys.iter().any(|key| key.key.is_alphabetic()) {
            return Err(LayoutError::NoKeys);
        }
        Ok(Self { keys: keys.into_iter().map(|key| (key.key, key)).collect() })
    }

    /// A layout of JSON: `{"keys": [{"key": "q", "x": 0, "y": 0, "width": 1, "height": 1}]}`.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`LayoutError::Form`].
    pub fn from_json(text: &str) -> Result<Self, LayoutError> {
        let form = |error: serde_json::Error| LayoutError::Form { line: error.line(), column: error.column() };
        Self::new(serde_json::from_str::<File>(text).map_err(form)?.keys)
    }

    /// The key that types `character`, in lower case.
    pub fn key(&self, character: char) -> Option<&Key> {
        self.keys.get(&character)
    }

    /// The letter key whose centre is the nearest.
    pub fn nearest_letter(&self, point: Point) -> &Key {
        let letters = self.keys.values().filter(|key| key.key != ' ');
        let nearest = letters
            .min_by(|a, b| a.distance_squared(point).total_cmp(&b.distance_squared(point)).then(a.key.cmp(&b.key)));
        nearest.expect("a layout has letters")
    }

    /// A letter key's character, each as probable as the others where `chance` is any number from 0 to 1.
    pub(super) fn letter(&self, chance: f32) -> char {
        let mut letters: Vec<char> = self.keys.keys().copied().filter(|key| key.is_alphabetic()).collect();
        letters.sort_unstable();
        letters[((chance * letters.len() as f32) as usize).min(letters.len() - 1)]
    }

    /// Where a person aims who types `character`.
    pub fn centre(&self, character: char) -> Option<Point> {
        self.key(character).map(Key::centre)
    }
}

impl Key {
    /// Its centre.
    pub fn centre(&self) -> Point {
        Point { x: self.x + self.width / 2.0, y: self.y + self.height / 2.0 }
    }

    /// The square of the distance from its centre, in key sizes; on the space bar, from the nearest point of its middle line.
    pub fn distance_squared(&self, point: Point) -> f32 {
        let centre = self.centre();
        // A bar is hit anywhere along its length: only what lies beyond its last stretch as long as it is high is a miss.
        let slack = (self.width / 2.0 - self.height / 2.0).max(0.0);
        let size = if slack > 0.0 { self.height } else { self.width };
        let across = ((point.x - centre.x).abs() - slack).max(0.0) / size;
        let down = (point.y - centre.y) / self.height;
        across * across + down * down
    }

    fn overlaps(&self, other: &Self) -> bool {
        // Edges that come out of a sum may pass each other by a rounding error.
        let apart = |a: f32, a_size: f32, b: f32, b_size: f32| {
            let tolerance = 1e-3 * a_size.min(b_size);
            a + a_size <= b + tolerance || b + b_size <= a + tolerance
        };
        !apart(self.x, self.width, other.x, other.width) && !apart(self.y, self.height, other.y, other.height)
    }
}

/// A letter without its accents.
pub(super) fn plain(letter: char) -> char {
    if letter.is_ascii() { letter } else { letter.nfd().next().unwrap_or(letter) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: char, x: f32, y: f32, width: f32, height: f32) -> Key {
        Key { key, x, y, width, height }
    }

    #[test]
    fn shipped_layouts_are_sound_and_have_the_alphabet() {
        for name in Layout::names() {
            let layout = Layout::shipped(name).unwrap();
            let again = Layout::new(layout.keys.values().cloned().collect());
            assert!(again.is_ok(), "{name}: {again:?}");
            assert!(('a'..='z').chain([' ']).all(|c| layout.key(c).is_some()), "{name}");
            for key in layout.keys.values().filter(|key| key.key != ' ') {
                assert_eq!(layout.nearest_letter(key.centre()).key, key.key, "{name}");
            }
        }
        assert!(Layout::shipped("colemak").is_none());
    }

    #[test]
    fn a_touch_goes_to_the_nearest_key() {
        let layout = Layout::shipped("qwerty").unwrap();
        let at = |x, y| layout.nearest_letter(Point { x, y }).key;
        assert_eq!((at(0.4, 0.6), at(4.9, 0.2), at(5.1, 0.2), at(-9.0, -9.0)), ('q', 't', 'y', 'q'));
        assert_eq!(at(5.0, 3.4), 'v', "a touch on the space bar, for a keyboard that has none");
        let space = layout.key(' ').unwrap();
        assert!(
            space.distance_squared(Point { x: 3.5, y: 3.5 }) < 1e-6
                && space.distance_squared(Point { x: 2.0, y: 3.5 }) > 0.9
        );
    }

    #[test]
    fn keys_may_be_of_any_size() {
        let wide = |x| key(if x == 0.0 { 'a' } else { 'b' }, x, 0.0, 120.0, 160.0);
        let layout = Layout::new(vec![wide(0.0), wide(120.0)]).unwrap();
        let far = layout.key('a').unwrap().distance_squared(Point { x: 180.0, y: 80.0 });
        assert!((far - 1.0).abs() < 1e-6, "{far}");
    }

    #[test]
    fn a_key_that_shows_a_capital_types_the_small_letter() {
        let layout = Layout::new(vec![key('Q', 0.0, 0.0, 1.0, 1.0)]).unwrap();
        assert_eq!(layout.key('q').map(|key| key.key), Some('q'));
    }

    #[test]
    fn keys_that_are_no_layout_are_refused_by_name() {
        let a = key('a', 0.0, 0.0, 1.0, 1.0);
        let error = |keys: &[Key]| Layout::new(keys.to_vec()).unwrap_err();
        assert_eq!(error(&[]), LayoutError::NoKeys);
        assert_eq!(error(&[key(' ', 0.0, 0.0, 5.0, 1.0)]), LayoutError::NoKeys);
        assert_eq!(error(&[a.clone(), key('b', 0.5, 0.5, 1.0, 1.0)]), LayoutError::Overlap('a', 'b'));
        assert_eq!(error(&[a.clone(), key('a', 2.0, 0.0, 1.0, 1.0)]), LayoutError::Twice('a'));
        for flat in [key('b', 2.0, 0.0, 0.0, 1.0), key('b', 2.0, 0.0, 1.0, -1.0), key('b', f32::NAN, 0.0, 1.0, 1.0)] {
            assert_eq!(error(&[a.clone(), flat]), LayoutError::NoArea('b'));
        }
        let json = r#"{"keys": [{"key": "a", "x": 0, "y": 0, "width": 1, "height": 1}]}"#;
        assert!(Layout::from_json(json).unwrap().key('a').is_some());
        for text in [
            "",
            "[]",
            "{\"keys\": [{}]}",
            "{\"keys\": [{\"key\": \"ab\", \"x\": 0, \"y\": 0, \"width\": 1, \"height\": 1}]}",
        ] {
            assert!(matches!(Layout::from_json(text), Err(LayoutError::Form { .. })), "{text}");
        }
    }
}
