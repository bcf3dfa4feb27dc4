//! What a row of touches may have been meant to spell: words of a lexicon, each with what its errors cost.
//!
//! A noisy channel (Kernighan, Church and Gale 1990; for touch keyboards Goodman et al. 2002): every touch is a Gaussian around
//! the centre of the key that was aimed at, and a letter may be left out, doubled, added, exchanged with the next, or be
//! another altogether; a space may be missing, or be a key beside the space bar; behind an elided word, as in "l'homme", another
//! begins. A beam goes over the touches, and keeps at each the readings that are cheapest together with the best word they can
//! still become. Its layers live from key to key: another letter adds one, a backspace takes one away.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};

use fst::raw::{CompiledAddr, Node};

use super::languages::{ELIDED_COST, elides};
use super::layout::{Layout, Point, plain};
use super::lexicon::{KNOWN_COST, Lexicon, Word, nats};
use super::text;

/// One key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Touch {
    /// What it typed.
    pub letter: char,
    /// Where it was hit; without, the middle of the key.
    pub point: Option<Point>,
}

impl Touch {
    /// Of a character in any case, and any apostrophe. A place that is none, or where no finger lands that goes for this key, says
    /// nothing.
    pub fn new(layout: &Layout, character: char, point: Option<Point>) -> Self {
        let letter = text::folded(character);
        let is_near = |point: Point| {
            let key = layout.key(plain(letter)).unwrap_or_else(|| layout.nearest_letter(point));
            slip(layout, Self { letter, point: Some(point) }, key.key).is_some_and(|cost| cost <= MAX_SLIP)
        };
        Self { letter, point: point.filter(|&point| is_near(point)) }
    }

    /// Where it was hit, or the middle of its key.
    fn place(self, layout: &Layout) -> Option<Point> {
        self.point.or_else(|| layout.centre(plain(self.letter)))
    }
}

/// A word that the touches may have been meant to spell or to begin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// In lower case; two words with a space, where that is what is missing.
    pub word: String,
    /// -ln P(touches | word): what its errors cost, in nats.
    pub cost: f64,
    /// ln of the frequency, of both if there are two.
    pub log_frequency: f64,
    /// Whether all of it is in a dictionary.
    pub listed: bool,
    /// Letters that were not typed yet.
    pub missing: usize,
}

impl Reading {
    /// As [`Word::is_known`].
    pub fn is_known(&self) -> bool {
        self.listed || self.log_frequency >= -nats(KNOWN_COST)
    }
}

/// What errors cost, in nats. The order is that of LatinIME's published table, the scale that of -ln of how often people make
/// them in a letter.
struct Costs {
    /// Key sizes: the deviation of a touch from the key's centre.
    sigma: f32,
    /// The same where only the key is known.
    sigma_of_key: f32,
    substitution: f32,
    omission: f32,
    omission_of_same: f32,
    omission_of_first: f32,
    omission_of_joiner: f32,
    insertion: f32,
    insertion_of_same: f32,
    insertion_of_far: f32,
    transposition: f32,
    accent: f32,
    missing_space: f32,
    neighbour_of_space: f32,
}

const COSTS: Costs = Costs {
    sigma: 0.25,
    sigma_of_key: 0.35,
    substitution: 7.0,
    omission: 5.5,
    omission_of_same: 4.0,
    omission_of_first: 7.5,
    omission_of_joiner: 0.3,
    insertion: 6.5,
    insertion_of_same: 4.5,
    insertion_of_far: 9.0,
    transposition: 5.0,
    accent: 0.7,
    missing_space: 5.5,
    neighbour_of_space: 3.0,
};

/// The square of the distance within which two keys are beside each other, in key sizes.
const BESIDE: f32 = 1.6;
/// A finger does not land as far from a key as this, in nats.
const MAX_SLIP: f32 = 12.0;
/// What a touch costs at most that the editor says was this key, so that sums of them stay numbers.
const FARTHEST: f32 = 50.0;
/// Readings kept at a touch.
const BEAM: usize = 160;
/// Errors in one reading, touches beside their key not counted.
const MAX_ERRORS: u8 = 2;
/// How much of ln frequency counts against the cost of errors in the choice of what is kept.
const FREQUENCY_WEIGHT: f32 = 0.6;
/// Nodes looked at for words that the readings may become.
const MAX_VISITS: usize = 4000;
/// A word is split off only if it is at least as frequent as this.
const MAX_SPLIT_COST: u16 = 480;

/// The readings of what was typed, layer by layer.
pub(super) struct Readings {
    touches: Vec<Touch>,
    states: Vec<State>,
    /// For every number of touches from 0 on: the states that have taken so many.
    layers: Vec<Vec<u32>>,
    /// What identifies the letters of the words that a word may be behind, with an apostrophe between.
    elided: Vec<u64>,
}

/// A reading so far.
#[derive(Clone, Copy)]
struct State {
    node: CompiledAddr,
    /// The sum of the outputs on the way to the node.
    output: u64,
    cost: f32,
    /// Cost units of the word that was split off before, or is elided before this one.
    split: Option<(u16, bool)>,
    errors: u8,
    /// Whether the last letter was left out: no two in a row are.
    omitted: bool,
    parent: u32,
    letter: char,
    /// The letter before that one, where two were taken at once.
    before: Option<char>,
    /// Identifies the letters.
    hash: u64,
}

const NONE: u32 = u32::MAX;

impl State {
    /// What it costs with the best word that it can become.
    fn rank(&self) -> f32 {
        let word = f32::from(Word::unpack(self.output).cost) + f32::from(self.split.map_or(0, |(cost, _)| cost));
        self.cost + FREQUENCY_WEIGHT * word * NATS
    }
}

/// Nats in a hundredth of a power of ten.
const NATS: f32 = std::f32::consts::LN_10 / 100.0;

impl Readings {
    /// Of no touches, in a language with these [elided words](super::languages::Language::elided).
    pub fn new(elided: &[&str]) -> Self {
        let elided = elided.iter().map(|word| word.chars().fold(0, hash_of)).collect();
        Self { touches: Vec::new(), states: Vec::new(), layers: Vec::new(), elided }
    }

    /// The `limit` best words for these touches, best first.
    pub fn of(&mut self, lexicon: &Lexicon, layout: &Layout, touches: &[Touch], limit: usize) -> Vec<Reading> {
        let known = self.touches.iter().zip(touches).take_while(|(a, b)| a == b).count();
        self.layers.truncate(known + 1);
        // A state stands behind its parents, and a layer's behind those of the layers before it.
        let kept = self.layers.iter().flatten().max().map_or(0, |&last| last as usize + 1);
        self.states.truncate(kept);
        self.touches = touches.to_vec();
        let walk = Walk { lexicon, layout };
        if self.layers.is_empty() {
            let root = State {
                node: lexicon.walk().root().addr(),
                output: 0,
                cost: 0.0,
                split: None,
                errors: 0,
                omitted: false,
                parent: NONE,
                letter: ' ',
                before: None,
                hash: 0,
            };
            self.layers.push(Vec::new());
            self.close(&walk, vec![root]);
        }
        for taken in self.layers.len() - 1..touches.len() {
            self.layers.push(Vec::new());
            let next = self.take(&walk, taken);
            self.close(&walk, next);
        }
        self.words(&walk, limit)
    }

    /// The states behind touch number `at`.
    fn take(&self, walk: &Walk, at: usize) -> Vec<State> {
        let touch = self.touches[at];
        let mut next = Vec::new();
        for &index in &self.layers[at] {
            let state = self.states[index as usize];
            walk.children(&state, |letter, child| {
                let hit = walk.hit(touch, letter).map(|cost| (cost, 0));
                let other = walk.other(touch, letter).filter(|_| state.errors < MAX_ERRORS).map(|cost| (cost, 1));
                let cheapest = hit.into_iter().chain(other).min_by(|a, b| a.0.total_cmp(&b.0));
                if let Some((cost, errors)) = cheapest {
                    next.push(child.after(index, letter, cost, errors));
                }
            });
            if state.errors < MAX_ERRORS {
                let cost = self.insertion(walk, &state, at);
                next.push(State { cost: state.cost + cost, errors: state.errors + 1, ..state });
            }
            if let (Some(split), Some(cost)) = (walk.split(&state), walk.space(touch)) {
                next.push(split.after(index, ' ', cost, 1));
            }
            if touch.letter == '\''
                && let Some(joined) = self.elide(walk, &state)
            {
                next.push(joined.after(index, '\'', 0.0, 0));
            }
        }
        if at > 0 {
            let before = self.touches[at - 1];
            for &index in self.layers[at - 1].iter().filter(|&&i| self.states[i as usize].errors < MAX_ERRORS) {
                let state = self.states[index as usize];
                walk.children(&state, |first, child| {
                    let Some(first_cost) = walk.hit(touch, first) else { return };
                    let child = child.after(index, first, first_cost, 0);
                    walk.children(&child, |second, grandchild| {
                        if let Some(cost) = walk.hit(before, second).filter(|_| first != second) {
                            let state = grandchild.after(index, second, COSTS.transposition + cost, 1);
                            next.push(State { before: Some(first), ..state });
                        }
                    });
                });
            }
        }
        next
    }

    /// What it costs that touch number `at` was meant as nothing: the same key twice, a key beside the one before, or any. Before
    /// the first there may have been one.
    fn insertion(&self, walk: &Walk, state: &State, at: usize) -> f32 {
        let touch = self.touches[at];
        if state.letter == touch.letter && state.parent != NONE {
            return COSTS.insertion_of_same;
        }
        let before = at.checked_sub(1).map(|i| self.touches[i]);
        let apart = before.and_then(|before| walk.apart(touch, before)).unwrap_or(0.0);
        if apart < BESIDE { COSTS.insertion } else { COSTS.insertion_of_far }
    }

    /// Keeps the best of `states`, with those that leave out a letter or a space after them, as the last layer.
    fn close(&mut self, walk: &Walk, states: Vec<State>) {
        let mut kept = best(states);
        let start = self.states.len() as u32;
        let mut longer = Vec::new();
        for (state, index) in kept.iter().zip(start..) {
            walk.children(state, |letter, child| {
                let joiner = text::is_joiner(letter);
                let cost = match (joiner, state.parent == NONE, state.letter == letter) {
                    (true, ..) => COSTS.omission_of_joiner,
                    (_, true, _) => COSTS.omission_of_first,
                    (_, _, true) => COSTS.omission_of_same,
                    _ => COSTS.omission,
                };
                if joiner || state.errors < MAX_ERRORS && !state.omitted {
                    let errors = u8::from(!joiner);
                    longer.push(State { omitted: !joiner, ..child.after(index, letter, cost, errors) });
                }
            });
            if let Some(split) = walk.split(state) {
                longer.push(split.after(index, ' ', COSTS.missing_space, 1));
            }
            if let Some(joined) = self.elide(walk, state) {
                longer.push(joined.after(index, '\'', COSTS.omission_of_joiner, 0));
            }
        }
        kept.extend(best(longer));
        // The states that others are reached from stay where they are; the layer lists those that are good enough.
        let mut layer: Vec<u32> = (start..start + kept.len() as u32).collect();
        layer.sort_by(|&a, &b| kept[(a - start) as usize].rank().total_cmp(&kept[(b - start) as usize].rank()));
        layer.truncate(BEAM);
        self.states.extend(kept);
        *self.layers.last_mut().expect("a layer is closed after it was begun") = layer;
    }

    /// The best words that the last layer's states are or may become.
    fn words(&self, walk: &Walk, limit: usize) -> Vec<Reading> {
        let mut open: BinaryHeap<Open> = BinaryHeap::new();
        for &index in self.layers.last().into_iter().flatten() {
            let state = self.states[index as usize];
            open.push(Open { rank: state.rank(), state, from: index, rest: String::new(), whole: false });
        }
        let mut words: Vec<Reading> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for _ in 0..MAX_VISITS {
            let Some(Open { state, from, rest, whole, .. }) = open.pop() else { break };
            if whole {
                let word = self.spelled(from) + &rest;
                let missing = rest.chars().count();
                let known = Word::unpack(state.output);
                let (split, split_listed) = state.split.unwrap_or((0, true));
                // What the list has with its apostrophe is as frequent as the list says.
                let joined = (split > 0 && word.contains('\'')).then(|| walk.lexicon.get(&word)).flatten();
                let parts = Word { cost: known.cost.saturating_add(split), listed: known.listed && split_listed };
                let Word { cost, listed } = joined.unwrap_or(parts);
                let log_frequency = -f64::from(NATS * f32::from(cost));
                let reading = Reading { cost: f64::from(state.cost), log_frequency, listed, missing, word };
                match places.get(&reading.word) {
                    Some(&place) if words[place].cost <= reading.cost => {}
                    Some(&place) => words[place] = reading,
                    None => {
                        places.insert(reading.word.clone(), words.len());
                        words.push(reading);
                    }
                }
                if words.len() == limit {
                    break;
                }
                continue;
            }
            let node = walk.node(&state);
            if node.is_final() {
                let state = State { output: state.output + node.final_output().value(), ..state };
                open.push(Open { rank: state.rank(), state, from, rest: rest.clone(), whole: true });
            }
            walk.children(&state, |letter, child| {
                let mut rest = rest.clone();
                rest.push(letter);
                open.push(Open { rank: child.rank(), state: child, from, rest, whole: false });
            });
        }
        words
    }

    /// The state before the word behind an elided one, if it is one that is read.
    fn elide(&self, walk: &Walk, state: &State) -> Option<State> {
        let joins = state.split.is_none() && self.elided.contains(&state.hash);
        // Other letters than those of a word that the list has with its apostrophe: one does not take the other's place.
        joins.then(|| State { hash: !state.hash, ..walk.anew(state, (ELIDED_COST, true)) })
    }

    /// What it costs that these touches were meant as the letters that they typed.
    pub fn cost_as_typed(layout: &Layout, touches: &[Touch]) -> f64 {
        touches.iter().filter_map(|&touch| slip(layout, touch, touch.letter)).map(f64::from).sum()
    }

    /// The letters on the way to a state.
    fn spelled(&self, mut index: u32) -> String {
        let mut letters = Vec::new();
        while let Some(state) = self.states.get(index as usize).filter(|state| state.parent != NONE) {
            letters.extend([Some(state.letter), state.before].into_iter().flatten());
            index = state.parent;
        }
        letters.iter().rev().collect()
    }
}

impl State {
    /// This child of `parent` as it is after `letter`.
    fn after(self, parent: u32, letter: char, cost: f32, errors: u8) -> Self {
        let (cost, errors) = (self.cost + cost, self.errors + errors);
        Self { cost, errors, parent, letter, before: None, hash: hash_of(self.hash, letter), omitted: false, ..self }
    }
}

/// The cheapest [`BEAM`] of the states, one for the same letters.
fn best(mut states: Vec<State>) -> Vec<State> {
    states.sort_unstable_by(|a, b| a.rank().total_cmp(&b.rank()).then(a.hash.cmp(&b.hash)));
    let mut seen = HashSet::with_capacity(2 * BEAM);
    states.retain(|state| seen.len() < BEAM && seen.insert(state.hash));
    states
}

/// What a search over the lexicon needs at every step.
struct Walk<'a> {
    lexicon: &'a Lexicon,
    layout: &'a Layout,
}

impl<'a> Walk<'a> {
    fn node(&self, state: &State) -> Node<'a> {
        self.lexicon.walk().node(state.node)
    }

    /// Visits the letters that can follow, each with the state as it is behind it; who calls says what it costs.
    fn children(&self, state: &State, mut visit: impl FnMut(char, State)) {
        let mut bytes = [0; 4];
        if state.letter == '\'' && state.node == self.lexicon.walk().root().addr() {
            let mut visit = |letter, state| {
                if elides(letter) {
                    visit(letter, state);
                }
            };
            return self.characters(self.node(state), state, &mut bytes, 0, &mut visit);
        }
        self.characters(self.node(state), state, &mut bytes, 0, &mut visit);
    }

    fn characters(
        &self,
        node: Node,
        state: &State,
        bytes: &mut [u8; 4],
        len: usize,
        visit: &mut impl FnMut(char, State),
    ) {
        for transition in node.transitions() {
            let child = State { node: transition.addr, output: state.output + transition.out.value(), ..*state };
            bytes[len] = transition.inp;
            match std::str::from_utf8(&bytes[..=len]) {
                Ok(text) => text.chars().for_each(|letter| visit(letter, child)),
                // Nothing but UTF-8 is in a list, so that a part of a character is a beginning of one.
                Err(_) if len < 3 => self.characters(self.node(&child), &child, bytes, len + 1, visit),
                Err(_) => {}
            }
        }
    }

    /// What it costs that another letter altogether was typed in the place of `letter`. Nothing slipped, so how far away it is does
    /// not matter.
    fn other(&self, touch: Touch, letter: char) -> Option<f32> {
        let letters = self.layout.key(plain(letter)).is_some() && touch.letter.is_alphabetic();
        letters.then(|| COSTS.substitution + slip(self.layout, touch, touch.letter).unwrap_or(0.0))
    }

    /// What it costs that the finger went for `letter`; none if it cannot have.
    fn hit(&self, touch: Touch, letter: char) -> Option<f32> {
        if touch.letter == letter {
            return Some(slip(self.layout, touch, letter).unwrap_or(0.0));
        }
        let plain = plain(letter);
        let accent = if plain == letter { 0.0 } else { COSTS.accent };
        Some(accent + slip(self.layout, touch, plain).filter(|&cost| cost <= MAX_SLIP)?)
    }

    /// The square of the distance of a touch from the key of another, in key sizes.
    fn apart(&self, touch: Touch, other: Touch) -> Option<f32> {
        Some(self.layout.key(plain(other.letter))?.distance_squared(touch.place(self.layout)?))
    }

    /// What it costs that `touch` was meant for the space bar.
    fn space(&self, touch: Touch) -> Option<f32> {
        Some(COSTS.neighbour_of_space + slip(self.layout, touch, ' ')?)
    }

    /// The state before a second word, if a first one may end here.
    fn split(&self, state: &State) -> Option<State> {
        let node = self.node(state);
        let long_enough = state.parent != NONE && state.split.is_none() && state.errors == 0 && node.is_final();
        let known = long_enough.then(|| Word::unpack(state.output + node.final_output().value()))?;
        (known.listed && known.cost <= MAX_SPLIT_COST).then(|| self.anew(state, (known.cost, known.listed)))
    }

    /// The same state before another word, behind one of which this is known.
    fn anew(&self, state: &State, split: (u16, bool)) -> State {
        State { node: self.lexicon.walk().root().addr(), output: 0, split: Some(split), ..*state }
    }
}

/// What it costs that the key of `letter` was missed by as much as that.
fn slip(layout: &Layout, touch: Touch, letter: char) -> Option<f32> {
    let key = layout.key(letter)?;
    let sigma = if touch.point.is_some() { COSTS.sigma } else { COSTS.sigma_of_key };
    Some((key.distance_squared(touch.place(layout)?) / (2.0 * sigma * sigma)).min(FARTHEST))
}

/// A state from which words are still looked for.
struct Open {
    rank: f32,
    state: State,
    /// The state of the last layer that it comes from, and the letters since.
    from: u32,
    rest: String,
    /// Whether it stands for the word that ends here.
    whole: bool,
}

impl Ord for Open {
    /// The cheapest first, then by letters, so that the order is one and the same on every run.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_rank = other.rank.total_cmp(&self.rank);
        by_rank
            .then_with(|| other.from.cmp(&self.from))
            .then_with(|| other.rest.cmp(&self.rest))
            .then(self.whole.cmp(&other.whole))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Open {}

fn hash_of(before: u64, letter: char) -> u64 {
    (before ^ u64::from(u32::from(letter))).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexicon() -> Lexicon {
        let words = [
            ("the", 127),
            ("then", 280),
            ("they", 260),
            ("hello", 420),
            ("help", 370),
            ("world", 350),
            ("good", 310),
            ("don't", 280),
            ("café", 520),
            ("because", 320),
            ("a", 164),
            ("lot", 370),
            ("of", 160),
            ("that", 200),
            ("definitely", 440),
            ("tomorrow", 420),
            ("what", 270),
            ("thanks", 400),
            ("i", 191),
        ];
        Lexicon::of(words.map(|(word, cost)| (word.to_owned(), Word { cost, listed: true })))
    }

    fn typed(letters: &str) -> Vec<Touch> {
        letters.chars().map(|letter| Touch { letter, point: None }).collect()
    }

    /// The best reading of plain letters that nothing is missing of.
    fn best_of(letters: &str) -> String {
        let layout = Layout::shipped("qwerty").unwrap();
        let readings = Readings::new(&[]).of(&lexicon(), &layout, &typed(letters), 64);
        let whole = readings.into_iter().filter(|reading| reading.missing == 0);
        whole.min_by(|a, b| a.cost.total_cmp(&b.cost)).map_or(String::new(), |reading| reading.word)
    }

    #[test]
    fn every_kind_of_error_is_undone() {
        for (letters, word) in [
            ("hello", "hello"),
            ("jello", "hello"),
            ("hwllo", "hello"),
            ("hllo", "hello"),
            ("hellko", "hello"),
            ("helllo", "hello"),
            ("ehllo", "hello"),
            ("helol", "hello"),
            ("dont", "don't"),
            ("cafe", "café"),
            ("definately", "definitely"),
            ("becuase", "because"),
            ("omorrow", "tomorrow"),
            ("alot", "a lot"),
            ("goodworld", "good world"),
            ("goodvworld", "good world"),
        ] {
            assert_eq!(best_of(letters), word, "{letters}");
        }
    }

    #[test]
    fn words_that_only_begin_are_found_too() {
        let layout = Layout::shipped("qwerty").unwrap();
        let readings = Readings::new(&[]).of(&lexicon(), &layout, &typed("th"), 3);
        let words: Vec<_> = readings.iter().map(|reading| (reading.word.as_str(), reading.missing)).collect();
        assert_eq!(words, [("the", 1), ("that", 2), ("they", 2)]);
        let readings = Readings::new(&[]).of(&lexicon(), &layout, &typed("tgam"), 1);
        assert_eq!((readings[0].word.as_str(), readings[0].missing), ("thanks", 2));
    }

    #[test]
    fn where_a_key_was_hit_decides() {
        let layout = Layout::shipped("qwerty").unwrap();
        let words = ["bat", "vat"].map(|word| (word.to_owned(), Word { cost: 400, listed: true }));
        let lexicon = Lexicon::of(words);
        let boundary = layout.key('b').unwrap().x;
        let first = |x: f32| {
            let mut touches = typed("bat");
            touches[0].point = Some(Point { x, y: 2.5 });
            Readings::new(&[]).of(&lexicon, &layout, &touches, 1).remove(0).word
        };
        assert_eq!((first(boundary - 0.1), first(boundary + 0.1)), ("vat".into(), "bat".into()));
    }

    #[test]
    fn layers_that_were_kept_give_what_new_ones_give() {
        let (layout, lexicon) = (Layout::shipped("qwerty").unwrap(), lexicon());
        let mut kept = Readings::new(&[]);
        for letters in ["t", "th", "thw", "th", "the", "goodvwo", "goodvwor", "g", "", "becuase", "becuas", "bw"] {
            let touches = typed(letters);
            let fresh = Readings::new(&[]).of(&lexicon, &layout, &touches, 20);
            assert_eq!(kept.of(&lexicon, &layout, &touches, 20), fresh, "{letters}");
        }
    }
}
