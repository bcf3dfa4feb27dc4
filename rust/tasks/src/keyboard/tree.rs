//! The tree of token paths that spell a word, and what the model said at its points.
//!
//! P(w | x) = Σ log p(path) + log B(path) − log M0: the probability of the one path of tokens that spells
//! the whitespace and the word the way the tokenizer would, times the mass B of what may follow a word,
//! within the mass M0 of everything that begins with the whitespace (Pimentel and Meister 2024,
//! arXiv 2406.14561; Oh and Schuler 2024, arXiv 2406.10851). Paths that the tokenizer would not write are left
//! out (Vieira et al. 2024, arXiv 2412.03719, on the difference).
//!
//! A row is kept as long as the context stands: another letter or a backspace only narrows or widens the
//! ranges that are read from it.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use nibble_engine::{LanguageModel, Node, TokenId, Vocabulary};

use super::table::{Order, WordTable};
use super::text;
use crate::logits::log_sum_exp;

/// A point of the tree that the model was asked at.
struct Row {
    node: Node,
    path: Vec<TokenId>,
    /// The bytes of `path`.
    text: Vec<u8>,
    /// ln P(path | context).
    logp: f64,
    /// ln B: the mass of what ends a word here.
    ends: f64,
    order: Order,
    /// ln P(token | context, path) for every token of `order`.
    children: Box<[f32]>,
}

/// A share of the mass that is not worth asking the tokenizer about.
const NEGLIGIBLE: f64 = 1e-3;

/// Where a tree begins.
#[derive(Clone, PartialEq)]
pub(super) struct Start {
    /// What the model reads.
    pub prefix: Vec<TokenId>,
    /// The end of the text that `prefix` spells, as much as the tokenizer has to see to write what follows as it would in place.
    pub anchor: String,
    /// Bytes that the tokenizer puts before the text by itself, when `anchor` is empty.
    pub lead: Vec<u8>,
}

/// A path that is one token longer than a row's, which the model was not asked at yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    row: usize,
    pub token: TokenId,
    /// ln P(path | context): no word behind it can be more probable.
    pub bound: f64,
}

impl Open {
    /// What tells it from every other.
    pub fn place(&self) -> (usize, TokenId) {
        (self.row, self.token)
    }
}

/// What has to be spelled.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// The bytes after the context: whitespace, then what was typed.
    pub bytes: &'a [u8],
    /// Where in `bytes` the word begins.
    pub word: usize,
}

/// A word with its path's log probability and, if the model was asked there, that of its end.
pub(super) struct Spelled {
    pub word: String,
    pub logp: f64,
    pub ends: Option<f64>,
    /// The last token of the path.
    pub last: TokenId,
}

/// How far the model was asked along the path of one spelling.
pub(super) struct Followed {
    /// ln P of the path, as far as it is known.
    pub logp: f64,
    /// The bytes that it covers.
    pub covered: usize,
    /// ln B behind the whole path, if the model was asked there.
    pub ends: Option<f64>,
    /// The last token of the known path.
    pub last: TokenId,
    /// Where to ask next, unless it was asked everywhere.
    pub open: Option<Open>,
}

/// All that is known after one context.
pub(super) struct Tree {
    rows: Vec<Row>,
    expanded: HashMap<(usize, TokenId), usize>,
    canonical: HashMap<Vec<TokenId>, bool>,
    /// How the tokenizer writes a text in this place.
    written: HashMap<Vec<u8>, Vec<TokenId>>,
    anchor: String,
    anchor_tokens: Vec<TokenId>,
    lead: Vec<u8>,
}

impl Tree {
    /// The tree with its root alone: `logits` of the context's last position.
    pub fn new(model: &dyn LanguageModel, table: &WordTable, start: &Start, logits: &[f32]) -> Self {
        let Start { anchor, lead, .. } = start.clone();
        let anchor_tokens = model.encode(&anchor);
        let root = Row::new(model.vocabulary(), table, Node::ROOT, Vec::new(), 0.0, Order::All, logits);
        let (expanded, canonical, written) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { rows: vec![root], expanded, canonical, written, anchor, anchor_tokens, lead }
    }

    /// The words that the model was asked at the end of.
    pub fn exact(&self, target: Target) -> impl Iterator<Item = Spelled> {
        self.rows.iter().filter_map(move |row| {
            let word = word_of(&row.text, target)?;
            Some(Spelled { word, logp: row.logp, ends: Some(row.ends), last: *row.path.last()? })
        })
    }

    /// The words that `open` ends on, unless it ends inside one's spelling or before its first letter.
    pub fn spelled(&self, vocabulary: &Vocabulary, open: &Open, target: Target) -> Option<Spelled> {
        let text = [&self.rows[open.row].text, vocabulary.bytes(open.token)].concat();
        Some(Spelled { word: word_of(&text, target)?, logp: open.bound, ends: None, last: open.token })
    }

    /// The `limit` most probable open paths towards `target` above `floor`, best first; whether they
    /// [lead on](Self::leads_on) is not looked at.
    pub fn open(
        &self,
        vocabulary: &Vocabulary,
        table: &WordTable,
        target: Target,
        floor: f64,
        limit: usize,
    ) -> Vec<Open> {
        let mut best: BinaryHeap<std::cmp::Reverse<Open>> = BinaryHeap::with_capacity(limit + 1);
        for (index, row) in self.rows.iter().enumerate() {
            let Some(rest) = row.rest(target.bytes) else { continue };
            let pending = if row.text.len() > target.bytes.len() { unfinished(&row.text) } else { &[] };
            let begun = row.text.len().max(target.bytes.len()) > target.word;
            let tokens = table.tokens(vocabulary, row.order);
            row.each_towards(vocabulary, tokens, rest, |i| {
                let bound = row.logp + f64::from(row.children[i]);
                if bound <= floor || best.len() == limit && bound <= best.peek().map_or(floor, |worst| worst.0.bound) {
                    return;
                }
                let token = tokens[i];
                if !self.expanded.contains_key(&(index, token))
                    && table.continues(vocabulary, token, rest.len(), pending, begun)
                {
                    best.push(std::cmp::Reverse(Open { row: index, token, bound }));
                    if best.len() > limit {
                        best.pop();
                    }
                }
            });
        }
        best.into_sorted_vec().into_iter().map(|open| open.0).collect()
    }

    /// ln of the mass of everything that begins with `bytes`; paths that may still turn out to lead elsewhere are counted in.
    pub fn mass(&mut self, model: &dyn LanguageModel, table: &WordTable, target: Target) -> f64 {
        if target.bytes.is_empty() {
            return 0.0;
        }
        let vocabulary = model.vocabulary();
        let mut mass = 0.0;
        let mut open = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            let Some(rest) = row.rest(target.bytes).filter(|rest| !rest.is_empty()) else { continue };
            let tokens = table.tokens(vocabulary, row.order);
            mass += (row.logp + log_sum_exp(&row.children[WordTable::range(vocabulary, tokens, rest)])).exp();
            for i in (1..rest.len()).flat_map(|length| equal_range(vocabulary, tokens, &rest[..length])) {
                let bound = row.logp + f64::from(row.children[i]);
                if !self.expanded.contains_key(&(index, tokens[i])) {
                    open.push(Open { row: index, token: tokens[i], bound });
                }
            }
        }
        for open in open {
            let share = open.bound.exp();
            if share < NEGLIGIBLE * mass || self.leads_on(model, &open, target) {
                mass += share;
            }
        }
        mass.ln()
    }

    /// Whether the tokenizer would write the path of `open`, and could write on from it to `target`.
    pub fn leads_on(&mut self, model: &dyn LanguageModel, open: &Open, target: Target) -> bool {
        let row = &self.rows[open.row];
        let mut path = row.path.clone();
        path.push(open.token);
        let length = row.text.len() + model.vocabulary().bytes(open.token).len();
        self.is_canonical(model, &path)
            && target.bytes.get(length..).is_none_or(|rest| rest.is_empty() || self.can_cover(model, &path, rest))
    }

    /// Whether there is a way on from `path` over `rest` that the tokenizer would write. Says yes when that takes too long to find out.
    fn can_cover(&mut self, model: &dyn LanguageModel, path: &[TokenId], rest: &[u8]) -> bool {
        const MANY: usize = 32;
        let vocabulary = model.vocabulary();
        let tokens = vocabulary.sorted();
        let covering = vocabulary.prefix_range(rest);
        if covering.len() > MANY {
            return true;
        }
        let longer = |token: TokenId| [path, &[token]].concat();
        if covering.into_iter().any(|i| self.is_canonical(model, &longer(tokens[i]))) {
            return true;
        }
        (1..rest.len()).rev().any(|length| {
            equal_range(vocabulary, tokens, &rest[..length]).any(|i| {
                let path = longer(tokens[i]);
                self.is_canonical(model, &path) && self.can_cover(model, &path, &rest[length..])
            })
        })
    }

    /// Whether `path` is how the tokenizer writes its own bytes in this place.
    ///
    /// A part of a character at the end is not looked at: it shows with the next token. The beginning of what a
    /// byte-pair tokenizer writes is always what it writes for that beginning, so asking at every step is right.
    fn is_canonical(&mut self, model: &dyn LanguageModel, path: &[TokenId]) -> bool {
        if let Some(&known) = self.canonical.get(path) {
            return known;
        }
        let bytes: Vec<u8> = path.iter().flat_map(|&token| model.vocabulary().bytes(token)).copied().collect();
        let (text, rest) = text::split_valid(&bytes);
        let canonical = if rest.is_empty() {
            self.encode(model, text.as_bytes()).as_deref() == Some(path)
        } else {
            text::begins_char(rest)
        };
        self.canonical.insert(path.to_vec(), canonical);
        canonical
    }

    /// How the tokenizer writes `bytes` in this place; none if they are no text, or do not begin as every text does here.
    fn encode(&self, model: &dyn LanguageModel, bytes: &[u8]) -> Option<Vec<TokenId>> {
        let text = std::str::from_utf8(bytes.strip_prefix(&self.lead[..])?).ok()?;
        let tokens = model.encode(&[&self.anchor, text].concat());
        Some(tokens.strip_prefix(&self.anchor_tokens[..])?.to_vec())
    }

    /// What is known of the path that spells `bytes`; nothing if no path does.
    pub fn follow(&mut self, model: &dyn LanguageModel, table: &WordTable, bytes: &[u8]) -> Option<Followed> {
        if !self.written.contains_key(bytes) {
            let tokens = self.encode(model, bytes).unwrap_or_default();
            self.written.insert(bytes.to_vec(), tokens);
        }
        let vocabulary = model.vocabulary();
        let mut row = 0;
        let path = &self.written[bytes];
        for &token in path {
            let parent = &self.rows[row];
            let tokens = table.tokens(vocabulary, parent.order);
            let i = equal_range(vocabulary, tokens, vocabulary.bytes(token)).find(|&i| tokens[i] == token)?;
            let logp = parent.logp + f64::from(parent.children[i]);
            match self.expanded.get(&(row, token)) {
                Some(&next) => row = next,
                None => {
                    let covered = parent.text.len() + vocabulary.bytes(token).len();
                    let open = Some(Open { row, token, bound: logp });
                    return Some(Followed { logp, covered, ends: None, last: token, open });
                }
            }
        }
        let end = &self.rows[row];
        Some(Followed { logp: end.logp, covered: bytes.len(), ends: Some(end.ends), last: *path.last()?, open: None })
    }

    /// Asks the model at the end of each of `batch`, in one call; returns ln B of each. The first `given` bytes of every
    /// path hold whitespace.
    ///
    /// # Errors
    /// As [`LanguageModel::grow`]; the tree is then as before.
    pub fn expand(
        &mut self,
        model: &mut dyn LanguageModel,
        table: &WordTable,
        batch: &[Open],
        given: usize,
    ) -> nibble_engine::Result<Vec<f64>> {
        let rows: Vec<(Node, TokenId)> = batch.iter().map(|open| (self.rows[open.row].node, open.token)).collect();
        let nodes = model.grow(&rows)?;
        let mut ends = Vec::with_capacity(batch.len());
        for (i, (open, node)) in batch.iter().zip(nodes).enumerate() {
            let mut path = self.rows[open.row].path.clone();
            path.push(open.token);
            let length = self.rows[open.row].text.len() + model.vocabulary().bytes(open.token).len();
            // Inside a word nothing begins with whitespace; before it, more whitespace may have to be spelled.
            let spelled = path.iter().flat_map(|&token| model.vocabulary().bytes(token));
            let inside = length >= given && !spelled.copied().all(|byte| byte.is_ascii_whitespace());
            let order = if inside { Order::Inner } else { Order::All };
            let row = Row::new(model.vocabulary(), table, node, path, open.bound, order, model.logits(i));
            self.expanded.insert((open.row, open.token), self.rows.len());
            ends.push(row.ends);
            self.rows.push(row);
        }
        Ok(ends)
    }
}

impl Row {
    fn new(
        vocabulary: &Vocabulary,
        table: &WordTable,
        node: Node,
        path: Vec<TokenId>,
        logp: f64,
        order: Order,
        logits: &[f32],
    ) -> Self {
        let total = log_sum_exp(logits);
        let ending: Vec<f32> = table.ends().iter().map(|&token| logits[token as usize]).collect();
        let ends = log_sum_exp(&ending) - total;
        let children =
            table.tokens(vocabulary, order).iter().map(|&token| (f64::from(logits[token as usize]) - total) as f32);
        let text = path.iter().flat_map(|&token| vocabulary.bytes(token)).copied().collect();
        Self { node, text, logp, ends, order, children: children.collect(), path }
    }

    /// What of `target` is still to be spelled after this row; none if the row spells something else.
    fn rest<'a>(&self, target: &'a [u8]) -> Option<&'a [u8]> {
        if self.text.len() >= target.len() {
            self.text.starts_with(target).then_some(&[])
        } else {
            target.strip_prefix(&self.text[..])
        }
    }

    /// Visits the tokens (by their place in `tokens`) that spell `rest` and perhaps more, and those that spell a beginning of it.
    fn each_towards(&self, vocabulary: &Vocabulary, tokens: &[TokenId], rest: &[u8], mut visit: impl FnMut(usize)) {
        for length in 1..rest.len() {
            equal_range(vocabulary, tokens, &rest[..length]).for_each(&mut visit);
        }
        WordTable::range(vocabulary, tokens, rest).for_each(visit);
    }
}

/// The range of `tokens` whose bytes are exactly `bytes`.
fn equal_range(vocabulary: &Vocabulary, tokens: &[TokenId], bytes: &[u8]) -> std::ops::Range<usize> {
    let start = tokens.partition_point(|&t| vocabulary.bytes(t) < bytes);
    start..start + tokens[start..].partition_point(|&t| vocabulary.bytes(t) == bytes)
}

/// The word in `text` if it covers `target` and ends with a whole character.
fn word_of(text: &[u8], target: Target) -> Option<String> {
    let covers = text.len() >= target.bytes.len().max(target.word + 1) && text.starts_with(target.bytes);
    covers.then(|| std::str::from_utf8(&text[target.word..]).ok().map(str::to_owned)).flatten()
}

/// The bytes of a character at the end of `text` that lacks some.
fn unfinished(text: &[u8]) -> &[u8] {
    text::split_valid(text).1
}

impl Ord for Open {
    /// By bound, then by path, so that the order is one and the same on every run.
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound.total_cmp(&other.bound).then(other.row.cmp(&self.row)).then(other.token.cmp(&self.token))
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
