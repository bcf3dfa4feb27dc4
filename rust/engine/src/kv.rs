//! The KV cache: keys and values of the timeline, and of the token tree that grows from its end.
//!
//! Both are f16. Every KV head has its own contiguous rows `[position][head_dim]`, so that attention reads one stream. The
//! memory is reserved at once and touched only where it is used: a session with a large context that holds a short
//! text costs the pages of the short text.

use std::ops::Range;

use arrayvec::ArrayVec;

/// What one row of a batch may see.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    /// Position `0` of the timeline: it sees all positions up to and including its own.
    Prefix(usize),
    /// Node number `0` of the tree: it sees the whole timeline, its ancestors and itself.
    Node(usize),
}

/// The longest chain of nodes in the tree.
pub(crate) const MAX_DEPTH: usize = 32;

/// The nodes of the tree, without their keys and values.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The parent of each node, or `None` where it hangs on the end of the timeline.
    parents: Vec<Option<usize>>,
    depths: Vec<usize>,
}

impl Tree {
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    pub fn clear(&mut self) {
        self.truncate(0);
    }

    pub fn truncate(&mut self, len: usize) {
        self.parents.truncate(len);
        self.depths.truncate(len);
    }

    /// Adds a node and returns its number.
    pub fn push(&mut self, parent: Option<usize>) -> usize {
        self.depths.push(parent.map_or(1, |p| self.depths[p] + 1));
        self.parents.push(parent);
        self.len() - 1
    }

    /// Number of nodes from the timeline to `node`, itself included.
    pub fn depth(&self, node: usize) -> usize {
        self.depths[node]
    }

    /// `node` and its ancestors as runs of consecutive numbers, the oldest first: what attention reads as one piece.
    fn runs(&self, node: usize) -> Runs {
        let mut runs = Runs { ranges: [const { 0..0 }; MAX_DEPTH], start: MAX_DEPTH };
        let mut next = Some(node);
        while let Some(n) = next {
            match runs.ranges.get_mut(runs.start) {
                Some(run) if run.start == n + 1 => run.start = n,
                _ => {
                    runs.start -= 1;
                    runs.ranges[runs.start] = n..n + 1;
                }
            }
            next = self.parents[n];
        }
        runs
    }
}

struct Runs {
    ranges: [Range<usize>; MAX_DEPTH],
    start: usize,
}

/// Keys or values of one layer: `[kv head][row][head_dim]`, first the timeline's rows, then the tree's.
#[derive(Debug)]
struct Rows {
    data: Vec<u16>,
    context: usize,
    nodes: usize,
    head_dim: usize,
}

impl Rows {
    fn new(heads: usize, context: usize, nodes: usize, head_dim: usize) -> Self {
        Self { data: vec![0; heads * (context + nodes) * head_dim], context, nodes, head_dim }
    }

    fn range(&self, head: usize, rows: Range<usize>) -> Range<usize> {
        let base = head * (self.context + self.nodes);
        (base + rows.start) * self.head_dim..(base + rows.end) * self.head_dim
    }

    fn row_of(&self, slot: Slot) -> usize {
        match slot {
            Slot::Prefix(position) => position,
            Slot::Node(node) => self.context + node,
        }
    }
}

/// The most rows that attend together.
pub(crate) const MAX_TOGETHER: usize = 8;

/// What some rows see of one head: contiguous pieces in order of position, and each row's range of these positions.
pub(crate) struct Seen<'a> {
    keys: ArrayVec<&'a [u16], { MAX_DEPTH + 1 }>,
    values: ArrayVec<&'a [u16], { MAX_DEPTH + 1 }>,
    ranges: ArrayVec<Range<usize>, MAX_TOGETHER>,
}

impl<'a> Seen<'a> {
    pub fn keys(&self) -> &[&'a [u16]] {
        &self.keys
    }

    pub fn values(&self) -> &[&'a [u16]] {
        &self.values
    }

    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }
}

/// Keys and values of one layer.
#[derive(Debug)]
pub(crate) struct LayerCache {
    keys: Rows,
    values: Rows,
    /// How many positions back a row sees, itself included; `None` is all.
    window: Option<usize>,
}

/// Which of the two halves of a [`LayerCache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Keys,
    Values,
}

impl LayerCache {
    pub fn new(heads: usize, head_dim: usize, context: usize, nodes: usize, window: Option<usize>) -> Self {
        let rows = || Rows::new(heads, context, nodes, head_dim);
        Self { keys: rows(), values: rows(), window }
    }

    /// Bytes of all rows.
    pub fn memory(&self) -> usize {
        size_of_val(&self.keys.data[..]) + size_of_val(&self.values.data[..])
    }

    /// Where the row of `slot` is to be written for KV head `head`: `[head_dim]`.
    pub fn row_mut(&mut self, half: Half, head: usize, slot: Slot) -> &mut [u16] {
        let rows = match half {
            Half::Keys => &mut self.keys,
            Half::Values => &mut self.values,
        };
        let row = rows.row_of(slot);
        let range = rows.range(head, row..row + 1);
        &mut rows.data[range]
    }

    /// What rows see of KV head `head`, after a timeline of `prefix` positions: one row in any slot, or neighbours on the
    /// timeline, no more than [`MAX_TOGETHER`].
    pub fn seen(
        &self,
        head: usize,
        slots: impl ExactSizeIterator<Item = Slot> + Clone,
        prefix: usize,
        tree: &Tree,
    ) -> Seen<'_> {
        let mut seen = Seen { keys: ArrayVec::new(), values: ArrayVec::new(), ranges: ArrayVec::new() };
        let mut positions = 0;
        let mut add = |range: Range<usize>| {
            if !range.is_empty() {
                positions += range.len();
                seen.keys.push(&self.keys.data[self.keys.range(head, range.clone())]);
                seen.values.push(&self.values.data[self.values.range(head, range)]);
            }
        };
        match slots.clone().next() {
            Some(Slot::Prefix(position)) => {
                let first = self.first_seen(position);
                add(first..position + slots.len());
                let range = |row| self.first_seen(position + row) - first..position + row + 1 - first;
                seen.ranges.extend((0..slots.len()).map(range));
            }
            Some(Slot::Node(node)) => {
                let first = self.first_seen(prefix + tree.depth(node) - 1);
                add(first.min(prefix)..prefix);
                let runs = tree.runs(node);
                // Ancestors that slid out of the window: the chain's positions start at `prefix`.
                let mut hidden = first.saturating_sub(prefix);
                for run in &runs.ranges[runs.start..] {
                    let skipped = hidden.min(run.len());
                    hidden -= skipped;
                    add(self.keys.context + run.start + skipped..self.keys.context + run.end);
                }
                seen.ranges.push(0..positions);
            }
            None => {}
        }
        seen
    }

    fn first_seen(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer whose key rows hold their own row number, so that segments show which rows they are.
    fn numbered(context: usize, nodes: usize, window: Option<usize>) -> LayerCache {
        let mut cache = LayerCache::new(2, 1, context, nodes, window);
        for head in 0..2 {
            for row in 0..context + nodes {
                let slot = if row < context { Slot::Prefix(row) } else { Slot::Node(row - context) };
                cache.row_mut(Half::Keys, head, slot)[0] = (head * 100 + row) as u16;
            }
        }
        cache
    }

    fn seen(cache: &LayerCache, head: usize, slot: Slot, prefix: usize, tree: &Tree) -> Vec<u16> {
        let seen = cache.seen(head, [slot].into_iter(), prefix, tree);
        let keys = seen.keys().concat();
        assert!(matches!(seen.ranges(), [all] if *all == (0..keys.len())));
        keys
    }

    #[test]
    fn a_position_sees_itself_and_what_is_before_it() {
        let tree = Tree::default();
        assert_eq!(seen(&numbered(8, 0, None), 1, Slot::Prefix(2), 8, &tree), [100, 101, 102]);
        assert_eq!(seen(&numbered(8, 0, Some(2)), 0, Slot::Prefix(4), 8, &tree), [3, 4]);
    }

    #[test]
    fn neighbours_see_parts_of_one_piece() {
        let tree = Tree::default();
        for (window, from) in [(None, [0, 0, 0]), (Some(3), [1, 2, 3])] {
            let cache = numbered(8, 0, window);
            let seen = cache.seen(0, (3..6).map(Slot::Prefix), 3, &tree);
            let piece = seen.keys().concat();
            for (row, range) in seen.ranges().iter().enumerate() {
                let expected: Vec<u16> = (from[row]..=3 + row as u16).collect();
                assert_eq!(piece[range.clone()], expected);
            }
        }
    }

    #[test]
    fn a_node_sees_the_timeline_and_its_ancestors_only() {
        let mut tree = Tree::default();
        let a = tree.push(None);
        let b = tree.push(None);
        let c = tree.push(Some(a));
        let d = tree.push(Some(c));
        assert_eq!((tree.depth(b), tree.depth(d)), (1, 3));
        let cache = numbered(4, 4, None);
        assert_eq!(seen(&cache, 0, Slot::Node(d), 2, &tree), [0, 1, 4, 6, 7]);
        assert_eq!(seen(&cache, 1, Slot::Node(b), 2, &tree), [100, 101, 105]);
        let pieces = cache.seen(0, [Slot::Node(d)].into_iter(), 2, &tree).keys().len();
        assert_eq!(pieces, 3, "neighbours are one piece");
        let narrow = numbered(4, 4, Some(2));
        assert_eq!(seen(&narrow, 0, Slot::Node(d), 2, &tree), [6, 7]);
        assert_eq!(seen(&narrow, 0, Slot::Node(a), 2, &tree), [1, 4]);
    }
}
