//! The loop of every BPE: of all neighbours that may be merged, the best pair is, the leftmost of equals, until none is left.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::TokenId;

/// A piece of the text. Pieces form a list; one that was merged into its left neighbour has length 0.
#[derive(Debug)]
pub(super) struct Symbol {
    /// Bytes from the start of the text.
    pub start: usize,
    pub len: usize,
    /// The token that the piece is, if it is known to be one.
    pub token: Option<TokenId>,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours that may be merged.
struct Pair<P> {
    priority: P,
    token: TokenId,
    left: usize,
    right: usize,
    len: usize,
}

impl<P: Ord> Ord for Pair<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.priority.cmp(&other.priority).then(other.left.cmp(&self.left))
    }
}

impl<P: Ord> PartialOrd for Pair<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P: Ord> PartialEq for Pair<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P: Ord> Eq for Pair<P> {}

/// Merges pieces, given as their lengths and, where they are tokens, those. `join` says what two neighbours become and how
/// early, the highest priority first. Returns what is left, in order. Takes O(n log n) whatever the text is.
pub(super) fn merge<P: Ord>(
    pieces: impl Iterator<Item = (usize, Option<TokenId>)>,
    join: impl Fn(&Symbol, &Symbol) -> Option<(P, TokenId)>,
) -> impl Iterator<Item = Symbol> {
    let mut symbols: Vec<Symbol> = Vec::new();
    let mut start = 0;
    for (i, (len, token)) in pieces.enumerate() {
        symbols.push(Symbol { start, len, token, previous: i.checked_sub(1), next: Some(i + 1) });
        start += len;
    }
    if let Some(last) = symbols.last_mut() {
        last.next = None;
    }

    let mut pairs = BinaryHeap::new();
    let offer = |pairs: &mut BinaryHeap<Pair<P>>, symbols: &[Symbol], left: usize, right: usize| {
        let (a, b) = (&symbols[left], &symbols[right]);
        if let Some((priority, token)) = join(a, b) {
            pairs.push(Pair { priority, token, left, right, len: a.len + b.len });
        }
    };
    for right in 1..symbols.len() {
        offer(&mut pairs, &symbols, right - 1, right);
    }
    while let Some(Pair { token, left, right, len, .. }) = pairs.pop() {
        let (a, b) = (symbols[left].len, symbols[right].len);
        if a == 0 || b == 0 || a + b != len {
            continue; // one of the two was merged with another since
        }
        symbols[left].len = len;
        symbols[left].token = Some(token);
        symbols[right].len = 0;
        let next = symbols[right].next;
        symbols[left].next = next;
        if let Some(previous) = symbols[left].previous {
            offer(&mut pairs, &symbols, previous, left);
        }
        if let Some(next) = next {
            symbols[next].previous = Some(left);
            offer(&mut pairs, &symbols, left, next);
        }
    }
    symbols.into_iter().filter(|symbol| symbol.len > 0)
}
