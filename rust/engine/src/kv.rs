//! The KV cache: keys and values of the timeline, and of the token tree that grows from its end.
//!
//! Every KV head has its own contiguous rows, so that attention reads one stream; a sliding layer's go round. The
//! memory is reserved at once and touched only where it is used: a session with a large context that holds a short
//! text costs the pages of the short text.

use std::ops::Range;

use arrayvec::ArrayVec;
use nibble_kernels::{KvFormat, Segments};

use crate::mmap::zeros;
use crate::{Config, SessionOptions, TokenId};

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
    /// Numbers of a hidden state.
    width: usize,
    /// The parent of each node, or `None` where it hangs on the end of the timeline.
    parents: Vec<Option<usize>>,
    depths: Vec<usize>,
    tokens: Vec<TokenId>,
    /// The hidden state of each node, `[nodes][embedding]`.
    hidden: Vec<f32>,
}

impl Tree {
    /// An empty tree with the memory for so many nodes, each with a hidden state of `width` numbers; `None` where there is not
    /// that much.
    pub fn new(nodes: usize, width: usize) -> Option<Self> {
        let mut hidden = Vec::new();
        hidden.try_reserve_exact(nodes.checked_mul(width)?).ok()?;
        Some(Self { width, hidden, ..Self::default() })
    }

    /// Bytes that the hidden states take when the tree is full.
    pub fn memory(&self) -> usize {
        size_of::<f32>() * self.hidden.capacity()
    }

    pub fn len(&self) -> usize {
        self.parents.len()
    }

    pub fn clear(&mut self) {
        self.truncate(0);
    }

    pub fn truncate(&mut self, len: usize) {
        self.hidden.truncate(len * self.width);
        self.parents.truncate(len);
        self.depths.truncate(len);
        self.tokens.truncate(len);
    }

    /// Adds a node and returns its number.
    pub fn push(&mut self, parent: Option<usize>, token: TokenId) -> usize {
        self.depths.push(parent.map_or(1, |p| self.depths[p] + 1));
        self.parents.push(parent);
        self.tokens.push(token);
        self.len() - 1
    }

    /// Keeps the hidden states of the nodes that were added since the last time.
    pub fn keep(&mut self, hidden: &[f32]) {
        self.hidden.extend_from_slice(hidden);
    }

    /// The hidden state of `node`.
    pub fn hidden(&self, node: usize) -> &[f32] {
        &self.hidden[node * self.width..(node + 1) * self.width]
    }

    /// The nodes along `tokens` from the end of the timeline, as far as there are any.
    pub fn along(&self, tokens: impl Iterator<Item = TokenId>) -> impl Iterator<Item = usize> {
        tokens.scan(None, |node, token| {
            *node = (0..self.len()).find(|&next| self.parents[next] == *node && self.tokens[next] == token);
            *node
        })
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

/// Positions that a sliding layer keeps beyond its window: as far as a timeline can be shortened, and written on, without
/// computing all of it anew. A chunk of a prefill needs as many.
const SLACK: usize = 256;

/// The shape of one layer's cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub heads: usize,
    pub head_dim: usize,
    pub format: KvFormat,
    /// Positions of the timeline.
    pub context: usize,
    /// Rows that are computed at once, at most.
    pub chunk: usize,
    /// Nodes of the tree.
    pub nodes: usize,
    /// How many positions back a row sees, itself included; `None` is all.
    pub window: Option<usize>,
}

impl Shape {
    /// The cache of a layer with this window in a session with these options.
    pub fn new(config: &Config, options: &SessionOptions, window: Option<usize>) -> Self {
        Self {
            heads: config.kv_heads,
            head_dim: config.head_dim,
            format: options.kv_format,
            context: options.context,
            chunk: options.prefill_chunk,
            nodes: options.max_nodes,
            window,
        }
    }

    /// Positions of the timeline that are kept.
    fn kept(&self) -> usize {
        let kept = self.window.map(|window| window.saturating_add(SLACK.max(self.chunk)));
        kept.map_or(self.context, |kept| kept.min(self.context))
    }

    /// Halves of a stored row. The format was checked when the session was opened.
    fn row(&self) -> usize {
        self.format.row(self.head_dim).unwrap_or(self.head_dim)
    }

    /// Elements of the keys, and as many of the values.
    fn elements(&self) -> usize {
        self.kept().saturating_add(self.nodes).saturating_mul(self.heads * self.row())
    }

    /// Bytes of all rows.
    pub fn memory(&self) -> usize {
        self.elements().saturating_mul(2 * size_of::<u16>())
    }
}

/// The most rows that attend together.
pub(crate) const MAX_TOGETHER: usize = 8;

/// Pieces of keys, and as many of values.
#[derive(Default)]
struct Pieces<'a, const N: usize> {
    keys: ArrayVec<&'a [u16], N>,
    values: ArrayVec<&'a [u16], N>,
}

impl<const N: usize> Pieces<'_, N> {
    fn segments(&self) -> Segments<'_> {
        Segments { keys: &self.keys, values: &self.values }
    }
}

/// What some rows see of one head: pieces of the timeline, what each row has alone, and each row's range of these positions.
pub(crate) struct Seen<'a> {
    /// Two where the timeline goes round the end of a sliding layer's memory.
    shared: Pieces<'a, 2>,
    own: ArrayVec<Pieces<'a, MAX_DEPTH>, MAX_TOGETHER>,
    ranges: ArrayVec<Range<usize>, MAX_TOGETHER>,
}

impl Seen<'_> {
    pub fn shared(&self) -> Segments<'_> {
        self.shared.segments()
    }

    pub fn own(&self) -> ArrayVec<Segments<'_>, MAX_TOGETHER> {
        self.own.iter().map(Pieces::segments).collect()
    }

    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }
}

/// Keys and values of one layer, each `[kv head][row]`, first the timeline's rows, then the tree's. A layer with a window
/// keeps the last positions only: position p is in row p modulo their number.
#[derive(Debug)]
pub(crate) struct LayerCache {
    shape: Shape,
    keys: Vec<u16>,
    values: Vec<u16>,
    /// The first position that was not overwritten by a later one.
    oldest: usize,
}

/// Which of the two halves of a [`LayerCache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Keys,
    Values,
}

impl LayerCache {
    /// An empty cache; `None` where there is no memory for it.
    pub fn new(shape: Shape) -> Option<Self> {
        let (keys, values) = (zeros(shape.elements())?, zeros(shape.elements())?);
        Some(Self { keys, values, shape, oldest: 0 })
    }

    /// Bytes that are reserved.
    pub fn memory(&self) -> usize {
        size_of_val(&self.keys[..]) + size_of_val(&self.values[..])
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Where some rows lie for one head.
    fn range(&self, head: usize, rows: Range<usize>) -> Range<usize> {
        let base = head * (self.shape.kept() + self.shape.nodes);
        (base + rows.start) * self.shape.row()..(base + rows.end) * self.shape.row()
    }

    /// Where the row of `slot` is to be written for KV head `head`. A timeline is written from its beginning on, or from
    /// where it [resumes](Self::resumes_at).
    pub fn row_mut(&mut self, half: Half, head: usize, slot: Slot) -> &mut [u16] {
        let range = self.range_of(head, slot);
        &mut self.half_mut(half)[range]
    }

    /// Where the row of `slot`, which is about to be written, lies.
    fn range_of(&mut self, head: usize, slot: Slot) -> Range<usize> {
        let row = match slot {
            Slot::Prefix(0) => {
                self.oldest = 0;
                0
            }
            Slot::Prefix(position) => {
                self.oldest = self.oldest.max((position + 1).saturating_sub(self.shape.kept()));
                position % self.shape.kept()
            }
            Slot::Node(node) => self.shape.kept() + node,
        };
        self.range(head, row..row + 1)
    }

    fn half_mut(&mut self, half: Half) -> &mut [u16] {
        match half {
            Half::Keys => &mut self.keys,
            Half::Values => &mut self.values,
        }
    }

    /// Makes a node's keys and values those of a position of the timeline.
    pub fn adopt(&mut self, node: usize, position: usize) {
        for half in [Half::Keys, Half::Values] {
            for head in 0..self.shape.heads {
                let row = self.shape.kept() + node;
                let from = self.range(head, row..row + 1);
                let to = self.range_of(head, Slot::Prefix(position));
                self.half_mut(half).copy_within(from, to.start);
            }
        }
    }

    /// The row of a position that is kept.
    pub fn row_at(&self, half: Half, head: usize, position: usize) -> &[u16] {
        let row = position % self.shape.kept();
        let range = self.range(head, row..row + 1);
        match half {
            Half::Keys => &self.keys[range],
            Half::Values => &self.values[range],
        }
    }

    /// Bytes of a stored row.
    pub fn row_bytes(&self) -> usize {
        size_of::<u16>() * self.shape.row()
    }

    /// The first of `len` positions that is kept.
    pub fn first_kept(&self, len: usize) -> usize {
        self.oldest.max(len.saturating_sub(self.shape.kept()))
    }

    /// Has the timeline begin with position `first`: what is before it was not kept where the rows to be written come from.
    pub fn begin_at(&mut self, first: usize) {
        self.oldest = first;
    }

    /// Whether a timeline that was longer can be cut to `len` positions and written on from there: what the next row sees must
    /// still be there.
    pub fn resumes_at(&self, len: usize) -> bool {
        len == 0 || self.first_seen(len) >= self.oldest
    }

    /// What rows see of KV head `head`, after a timeline of `prefix` positions: neighbours on the timeline, or nodes of the
    /// tree, no more than [`MAX_TOGETHER`].
    pub fn seen(
        &self,
        head: usize,
        slots: impl ExactSizeIterator<Item = Slot> + Clone,
        prefix: usize,
        tree: &Tree,
    ) -> Seen<'_> {
        let mut seen = Seen { shared: Pieces::default(), own: ArrayVec::new(), ranges: ArrayVec::new() };
        // The position that each row's are counted from, and those at the ends.
        let position = |slot| match slot {
            Slot::Prefix(position) => position,
            Slot::Node(node) => prefix + tree.depth(node) - 1,
        };
        let first = slots.clone().map(|slot| self.first_seen(position(slot))).min().unwrap_or(0);
        let end = slots.clone().map(|slot| position(slot) + 1).max().unwrap_or(0);
        let of_timeline = match slots.clone().next() {
            Some(Slot::Prefix(_)) => first..end,
            _ => first.min(prefix)..prefix,
        };
        let start = of_timeline.start;
        self.add_timeline(head, of_timeline, &mut seen.shared);
        for slot in slots {
            seen.ranges.push(self.first_seen(position(slot)) - start..position(slot) + 1 - start);
            if let Slot::Node(node) = slot {
                let runs = tree.runs(node);
                let mut own = Pieces::default();
                for run in &runs.ranges[runs.start..] {
                    let nodes = self.shape.kept();
                    self.add(head, nodes + run.start..nodes + run.end, &mut own);
                }
                seen.own.push(own);
            }
        }
        seen
    }

    /// Adds the rows of some positions of the timeline, which are no more than are kept.
    fn add_timeline<'a>(&'a self, head: usize, positions: Range<usize>, pieces: &mut Pieces<'a, 2>) {
        if positions.is_empty() {
            return;
        }
        let kept = self.shape.kept();
        let (start, len) = (positions.start % kept, positions.len());
        let before_end = len.min(kept - start);
        self.add(head, start..start + before_end, pieces);
        if before_end < len {
            self.add(head, 0..len - before_end, pieces);
        }
    }

    fn add<'a, const N: usize>(&'a self, head: usize, rows: Range<usize>, pieces: &mut Pieces<'a, N>) {
        let range = self.range(head, rows);
        pieces.keys.push(&self.keys[range.clone()]);
        pieces.values.push(&self.values[range]);
    }

    /// The first position that a row at `position` sees.
    pub fn first_seen(&self, position: usize) -> usize {
        self.shape.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(context: usize, nodes: usize, window: Option<usize>) -> Shape {
        Shape { heads: 2, head_dim: 1, format: KvFormat::F16, context, chunk: 4, nodes, window }
    }

    fn write(cache: &mut LayerCache, slot: Slot, value: usize) {
        for head in 0..2 {
            cache.row_mut(Half::Keys, head, slot)[0] = (head * 10_000 + value) as u16;
        }
    }

    /// A layer whose key rows hold their own number, so that segments show which rows they are.
    fn numbered(context: usize, nodes: usize, window: Option<usize>) -> LayerCache {
        let mut cache = LayerCache::new(shape(context, nodes, window)).unwrap();
        (0..context).for_each(|position| write(&mut cache, Slot::Prefix(position), position));
        (0..nodes).for_each(|node| write(&mut cache, Slot::Node(node), context + node));
        cache
    }

    /// The keys that each of some slots sees.
    fn seen(cache: &LayerCache, head: usize, slots: &[Slot], prefix: usize, tree: &Tree) -> Vec<Vec<u16>> {
        let seen = cache.seen(head, slots.iter().copied(), prefix, tree);
        let (shared, own) = (seen.shared().keys.concat(), seen.own());
        let all = |row: usize| [&shared[..], &own.get(row).map_or(Vec::new(), |own| own.keys.concat())].concat();
        seen.ranges().iter().enumerate().map(|(row, range)| all(row)[range.clone()].to_vec()).collect()
    }

    #[test]
    fn a_position_sees_itself_and_what_is_before_it() {
        let tree = Tree::default();
        assert_eq!(seen(&numbered(8, 0, None), 1, &[Slot::Prefix(2)], 8, &tree), [[10_000, 10_001, 10_002]]);
        assert_eq!(seen(&numbered(8, 0, Some(2)), 0, &[Slot::Prefix(4)], 8, &tree), [[3, 4]]);
    }

    #[test]
    fn neighbours_see_parts_of_one_piece() {
        let tree = Tree::default();
        for (window, from) in [(None, [0, 0, 0]), (Some(3), [1, 2, 3])] {
            let slots = [3, 4, 5].map(Slot::Prefix);
            let expected = [3, 4, 5].map(|position| (from[position - 3]..=position as u16).collect::<Vec<_>>());
            assert_eq!(seen(&numbered(8, 0, window), 0, &slots, 3, &tree), expected);
        }
    }

    #[test]
    fn a_node_sees_the_timeline_and_its_ancestors_only() {
        let mut tree = Tree::default();
        let a = tree.push(None, 7);
        let b = tree.push(None, 8);
        let c = tree.push(Some(a), 8);
        let d = tree.push(Some(c), 7);
        assert_eq!((tree.depth(b), tree.depth(d)), (1, 3));
        let cache = numbered(4, 4, None);
        let nodes = [d, b].map(Slot::Node);
        assert_eq!(seen(&cache, 0, &nodes, 2, &tree), [vec![0, 1, 4, 6, 7], vec![0, 1, 5]]);
        assert_eq!(seen(&cache, 1, &nodes[1..], 2, &tree), [[10_000, 10_001, 10_005]]);
        let together = cache.seen(0, [Slot::Node(d)].into_iter(), 2, &tree);
        assert_eq!(together.own()[0].keys.len(), 2, "neighbours are one piece");
        let narrow = numbered(4, 4, Some(2));
        assert_eq!(seen(&narrow, 0, &[d, a].map(Slot::Node), 2, &tree), [[6, 7], [1, 4]]);
        assert_eq!(seen(&narrow, 0, &[Slot::Node(d)], 2, &tree), [[6, 7]]);
    }

    #[test]
    fn a_sliding_layer_goes_round_its_memory() {
        let (window, tree) = (5, Tree::default());
        let mut cache = LayerCache::new(shape(2000, 0, Some(window))).unwrap();
        assert_eq!(cache.shape.kept(), window + SLACK);
        assert_eq!(cache.memory(), cache.shape.memory());
        assert!(cache.memory() < shape(2000, 0, None).memory() / 7);
        for chunk in (0..2000).step_by(4) {
            (chunk..chunk + 4).for_each(|position| write(&mut cache, Slot::Prefix(position), position));
            let slots = [0, 1, 2, 3].map(|i| Slot::Prefix(chunk + i));
            for (i, seen) in seen(&cache, 0, &slots, chunk, &tree).iter().enumerate() {
                let position = (chunk + i) as u16;
                assert_eq!(*seen, (position.saturating_sub(4)..=position).collect::<Vec<_>>());
            }
        }
        // 1739 is the first that was not overwritten, and a row in the place of 1743 sees it.
        let resumes: Vec<bool> = [0, 1, 1742, 1743, 2000].map(|len| cache.resumes_at(len)).to_vec();
        assert_eq!(resumes, [true, false, false, true, true]);
        // Written on from there, what had been overwritten stays lost.
        write(&mut cache, Slot::Prefix(1743), 1743);
        assert!(!cache.resumes_at(1742) && cache.resumes_at(1743));
        write(&mut cache, Slot::Prefix(0), 0);
        assert!(cache.resumes_at(1));
    }
}
