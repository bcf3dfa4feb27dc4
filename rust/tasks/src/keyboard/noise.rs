//! A person who types on a touch screen, with the errors that people make.
//!
//! The kinds and rates are those of the kebbie protocol (noise model of version 0.5): a touch is a Gaussian around the key's centre
//! with a deviation of a sixth of the key; letters are exchanged with the next, left out or doubled; apostrophes and
//! hyphens are left out, and so is the space between two words. Where it differs: another letter may take the place of one, or come in
//! from the key beside; the space bar is missed at a rate of its own, and never twice in a row; there is no list of common
//! misspellings, as the protocol's has to be fetched; and letters are typed without their accents and capitals as small letters
//! always, since a keyboard restores both.

use nibble_engine::SplitMix64;

use super::layout::{Layout, Point, plain};
use super::text::is_joiner;

/// How a person errs.
#[derive(Clone, Debug)]
pub struct Noise {
    /// Deviation of a touch from the centre of its key, in key sizes.
    pub sigma: f32,
    /// How often a letter is exchanged with the next.
    pub transposition: f32,
    /// How often a letter is left out; the first one about a third as often, and the last one never.
    pub omission: f32,
    /// How often a letter is typed twice.
    pub doubling: f32,
    /// How often the key beside a letter's is hit as well.
    pub insertion: f32,
    /// How often it is another letter, wherever its key is.
    pub substitution: f32,
    /// How often an apostrophe or a hyphen is left out.
    pub omission_of_joiner: f32,
    /// How often the space between two words is left out.
    pub missing_space: f32,
    /// How often it is a letter above the space bar.
    pub neighbour_of_space: f32,
}

impl Default for Noise {
    fn default() -> Self {
        Self {
            sigma: 1.0 / 6.0,
            transposition: 0.01,
            omission: 0.005,
            doubling: 0.005,
            insertion: 0.002,
            substitution: 0.002,
            omission_of_joiner: 0.1,
            missing_space: 0.0036,
            neighbour_of_space: 0.002,
        }
    }
}

impl Noise {
    /// Somebody who never errs.
    pub fn none() -> Self {
        Self {
            sigma: 0.0,
            transposition: 0.0,
            omission: 0.0,
            doubling: 0.0,
            insertion: 0.0,
            substitution: 0.0,
            omission_of_joiner: 0.0,
            missing_space: 0.0,
            neighbour_of_space: 0.0,
        }
    }
}

/// How much less often the first letter is left out.
const FIRST: f32 = 0.36;

/// What a person typed who meant a word.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Typing {
    /// The characters that appeared.
    pub typed: String,
    /// Where each was hit; none of a character that is on no key.
    pub touches: Vec<Option<Point>>,
}

impl Noise {
    /// Types a word.
    pub fn type_word(&self, word: &str, layout: &Layout, chance: &mut SplitMix64) -> Typing {
        let mut letters: Vec<char> = word.to_lowercase().chars().collect();
        let mut typing = Typing::default();
        for i in 0..letters.len() {
            let (letter, next) = (letters[i], letters.get(i + 1).copied());
            let event = chance.unit();
            if is_joiner(letter) && event < self.omission_of_joiner && next.is_some() {
                continue;
            }
            let omission = match (i, next) {
                (_, None) => 0.0,
                (0, _) => FIRST * self.omission,
                _ => self.omission,
            };
            let swapped = next.filter(|next| next.is_alphabetic());
            // Each kind of error has its share of 0 to 1, one behind the other, and most letters are beyond them.
            let mut shares = 0.0;
            let mut is = |rate: f32| {
                shares += rate;
                event < shares
            };
            if !letter.is_alphabetic() {
                self.press(letter, layout, chance, &mut typing);
            } else if is(omission) {
                continue;
            } else if is(self.doubling) {
                self.press(letter, layout, chance, &mut typing);
                self.press(letter, layout, chance, &mut typing);
            } else if is(self.transposition) {
                self.press(swapped.unwrap_or(letter), layout, chance, &mut typing);
                if swapped.is_some() {
                    letters[i + 1] = letter;
                }
            } else if is(self.insertion) {
                self.press(letter, layout, chance, &mut typing);
                let side = if chance.unit() < 0.5 { -1.0 } else { 1.0 };
                if let Some(key) = layout.key(plain(letter)) {
                    let centre = key.centre();
                    typing.touch(Point { x: centre.x + side * key.width, ..centre }, layout);
                }
            } else if is(self.substitution) {
                self.press(layout.letter(chance.unit()), layout, chance, &mut typing);
            } else {
                self.press(letter, layout, chance, &mut typing);
            }
        }
        typing
    }

    /// Types a word and, where the space behind it is missed, the `next` one with it; says also what that was meant to be.
    pub fn type_to_space(
        &self,
        word: &str,
        next: Option<&str>,
        layout: &Layout,
        chance: &mut SplitMix64,
    ) -> (Typing, String) {
        let mut typing = self.type_word(word, layout, chance);
        let Some(next) = next else { return (typing, word.to_owned()) };
        let event = chance.unit();
        if event >= self.missing_space + self.neighbour_of_space {
            return (typing, word.to_owned());
        }
        if let Some(bar) = layout.key(' ').filter(|_| event >= self.missing_space) {
            let above = normal(chance)[0].abs() * self.sigma * bar.height;
            typing.touch(Point { x: bar.x + chance.unit() * bar.width, y: bar.y - above }, layout);
        }
        let second = self.type_word(next, layout, chance);
        typing.typed.push_str(&second.typed);
        typing.touches.extend(second.touches);
        (typing, [word, " ", next].concat())
    }

    /// Types the beginning of a word, so many keys of it, with an error among them; none if that does not happen in many tries.
    pub fn type_badly(&self, word: &str, keys: usize, layout: &Layout, chance: &mut SplitMix64) -> Option<Typing> {
        const TRIES: usize = 10_000;
        let meant: String = word.to_lowercase().chars().take(keys).collect();
        let beginning = |typing: Typing| Typing {
            typed: typing.typed.chars().take(keys).collect(),
            touches: typing.touches.into_iter().take(keys).collect(),
        };
        let mut tries = (0..TRIES).map(|_| beginning(self.type_word(word, layout, chance)));
        tries.find(|typing| typing.typed != meant && typing.touches.len() == keys)
    }

    /// Goes for a key, and hits it or one beside it.
    fn press(&self, letter: char, layout: &Layout, chance: &mut SplitMix64, typing: &mut Typing) {
        let Some(key) = layout.key(plain(letter)) else {
            typing.typed.push(letter);
            typing.touches.push(None);
            return;
        };
        let centre = key.centre();
        let [x, y] = normal(chance).map(|deviation| deviation * self.sigma);
        typing.touch(Point { x: centre.x + x * key.width, y: centre.y + y * key.height }, layout);
    }
}

impl Typing {
    /// Takes in a touch, wherever it fell.
    fn touch(&mut self, point: Point, layout: &Layout) {
        self.typed.push(layout.nearest_letter(point).key);
        self.touches.push(Some(point));
    }
}

/// Two standard normal numbers (Box and Muller 1958).
pub fn normal(chance: &mut SplitMix64) -> [f32; 2] {
    let radius = (-2.0 * (1.0 - chance.unit()).ln()).sqrt();
    let (sin, cos) = (std::f32::consts::TAU * chance.unit()).sin_cos();
    [radius * cos, radius * sin]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::shipped("qwerty").unwrap()
    }

    #[test]
    fn without_errors_everybody_types_what_they_mean() {
        let noise = Noise::none();
        let typing = noise.type_word("Don't2é", &layout(), &mut SplitMix64(1));
        assert_eq!(typing.typed, "don't2e");
        let on_key: Vec<bool> = typing.touches.iter().map(Option::is_some).collect();
        assert_eq!(on_key, [true, true, true, false, true, false, true]);
        assert_eq!(noise.type_badly("word", 3, &layout(), &mut SplitMix64(1)), None);
    }

    #[test]
    fn errors_are_as_frequent_as_they_should_be() {
        let (noise, layout, mut chance) = (Noise::default(), layout(), SplitMix64(7));
        let typings: Vec<String> =
            (0..20_000).map(|_| noise.type_word("sentence", &layout, &mut chance).typed).collect();
        let share = |is: &dyn Fn(&str) -> bool| typings.iter().filter(|typed| is(typed)).count() as f32 / 20_000.0;
        // Seven letters can be left out (one of them at a third of the rate), eight doubled or joined by another, seven exchanged.
        let [shorter, longer] = [share(&|typed| typed.len() < 8), share(&|typed| typed.len() > 8)];
        assert!((0.025..0.04).contains(&shorter) && (0.045..0.065).contains(&longer), "{shorter} {longer}");
        let right = share(&|typed| typed == "sentence");
        // Of eight touches, one in 140 misses its key to a side or up or down.
        assert!((0.78..0.88).contains(&right), "{right}");
        let mut again = SplitMix64(7);
        assert_eq!(noise.type_word("sentence", &layout, &mut again).typed, typings[0]);
    }

    /// The typing errors of one kind alone, in many tries.
    fn typed(noise: &Noise, times: usize) -> Vec<(Typing, String)> {
        let mut chance = SplitMix64(5);
        (0..times).map(|_| noise.type_to_space("sad", Some("man"), &layout(), &mut chance)).collect()
    }

    #[test]
    fn a_letter_comes_in_from_the_key_beside_or_takes_the_place_of_another() {
        for (typing, meant) in typed(&Noise { insertion: 1.0, ..Noise::none() }, 20) {
            let letters: Vec<char> = typing.typed.chars().collect();
            assert_eq!((letters.len(), letters[0], letters[2], letters[4], meant.as_str()), (6, 's', 'a', 'd', "sad"));
            assert!("ad".contains(letters[1]) && "as".contains(letters[3]) && "sf".contains(letters[5]), "{typing:?}");
            assert_eq!(typing.touches.len(), 6);
        }
        let other = typed(&Noise { substitution: 1.0, ..Noise::none() }, 200);
        assert!(other.iter().all(|(typing, _)| typing.typed.len() == 3));
        let firsts: std::collections::HashSet<_> =
            other.iter().map(|(typing, _)| typing.typed.chars().next()).collect();
        assert!(firsts.len() > 20, "any letter: {firsts:?}");
    }

    #[test]
    fn where_the_space_is_missed_two_words_are_typed() {
        let pair = |noise: Noise| typed(&noise, 20);
        let without = pair(Noise { missing_space: 1.0, ..Noise::none() });
        assert!(without.iter().all(|(typing, meant)| typing.typed == "sadman" && meant == "sad man"));
        for (typing, meant) in pair(Noise { neighbour_of_space: 1.0, sigma: 0.05, ..Noise::none() }) {
            let between = typing.typed.chars().nth(3).unwrap();
            assert!("xcvbnm".contains(between) && typing.touches.len() == 7 && meant == "sad man", "{typing:?}");
        }
        let (last, meant) =
            Noise { missing_space: 1.0, ..Noise::none() }.type_to_space("sad", None, &layout(), &mut SplitMix64(1));
        assert_eq!((last.typed.as_str(), meant.as_str()), ("sad", "sad"), "nothing follows");
    }

    #[test]
    fn a_bad_beginning_is_as_long_as_asked_and_bad() {
        let mut chance = SplitMix64(3);
        for _ in 0..50 {
            let typing = Noise::default().type_badly("Hello", 3, &layout(), &mut chance).unwrap();
            assert!(typing.typed != "hel" && typing.typed.chars().count() == 3 && typing.touches.len() == 3);
        }
    }
}
