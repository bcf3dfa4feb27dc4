//! All replies as one trie of tokens, and the search that scores them over one prefix.
//!
//! Each distinct beginning is computed once, in batches over the shared KV cache (Kannan et al. 2016,
//! arXiv 1606.04870, score their reply set over a trie in the same way).

use std::ops::Range;

use nibble_engine::{LanguageModel, Node, Result, TokenId};

use crate::logits::log_sum_exp;

/// Rows in a batch.
const BATCH: usize = 8;

/// Token sequences that share their beginnings. Point 0 is the empty beginning.
pub(super) struct Trie {
    points: Vec<Point>,
    /// The sequences' numbers, in the order of their tokens.
    order: Vec<usize>,
    /// The tokens that end a turn.
    ends: Vec<TokenId>,
}

struct Point {
    token: TokenId,
    children: Vec<usize>,
    /// The sequences that go through this point, as a range of `order`.
    through: Range<usize>,
    /// The sequences that end here: several if the tokenizer cannot tell them apart.
    ends: Vec<usize>,
}

/// What the model said along a trie, after one prefix.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    /// Per point: ln P(its tokens | prefix), where known.
    pub path: Vec<Option<f64>>,
    /// Per sequence: ln P(its tokens and then the end of the turn | prefix), where known.
    pub whole: Vec<Option<f64>>,
    /// How often the model was run.
    pub forward_passes: usize,
}

impl Trie {
    /// From one token sequence for every reply; none is empty.
    pub fn new(model: &dyn LanguageModel, sequences: &[Vec<TokenId>]) -> Self {
        let vocabulary = model.vocabulary();
        let ends = (0..vocabulary.len() as TokenId)
            .filter(|&token| model.is_end(token) || vocabulary.text(token).starts_with(b"\n"))
            .collect();
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by(|&a, &b| sequences[a].cmp(&sequences[b]));
        let root = Point { token: 0, children: Vec::new(), through: 0..order.len(), ends: Vec::new() };
        let mut points = vec![root];
        for (rank, &sequence) in order.iter().enumerate() {
            let mut at = 0;
            for &token in &sequences[sequence] {
                at = match points[at].children.last() {
                    Some(&last) if points[last].token == token => last,
                    _ => {
                        points.push(Point { token, children: Vec::new(), through: rank..rank, ends: Vec::new() });
                        let new = points.len() - 1;
                        points[at].children.push(new);
                        new
                    }
                };
                points[at].through.end = rank + 1;
            }
            points[at].ends.push(sequence);
        }
        Self { points, order, ends }
    }

    /// The sequences that go through `point`.
    pub fn through(&self, point: usize) -> impl Iterator<Item = usize> {
        self.order[self.points[point].through.clone()].iter().copied()
    }

    /// Scores nothing yet.
    pub fn unknown(&self) -> Scores {
        Scores { path: vec![None; self.points.len()], whole: vec![None; self.order.len()], forward_passes: 0 }
    }

    /// Asks the model along the trie, best points first, until no point has a priority or the tree has no room.
    ///
    /// `priorities` is given what is known so far and the points that the model could be asked at. Results are added to
    /// `scores`.
    ///
    /// # Errors
    /// Whatever the model reports.
    pub fn explore(
        &self,
        model: &mut dyn LanguageModel,
        prefix: &[TokenId],
        scores: &mut Scores,
        priorities: impl Fn(&Scores, &[usize]) -> Vec<Option<f64>>,
    ) -> Result<()> {
        let logits = model.sync(prefix)?;
        self.visit(0, logits, 0.0, scores);
        scores.forward_passes += 1;
        let mut open: Vec<(usize, Node)> = self.points[0].children.iter().map(|&child| (child, Node::ROOT)).collect();
        loop {
            let points: Vec<usize> = open.iter().map(|&(point, _)| point).collect();
            let wanted = priorities(scores, &points).into_iter().enumerate();
            let mut ranked: Vec<(f64, usize)> = wanted.filter_map(|(i, priority)| Some((priority?, i))).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            ranked.truncate(BATCH.min(model.room()));
            if ranked.is_empty() {
                return Ok(());
            }
            let chosen: Vec<(usize, Node)> = ranked.iter().map(|&(_, i)| open[i]).collect();
            let rows: Vec<(Node, TokenId)> =
                chosen.iter().map(|&(point, parent)| (parent, self.points[point].token)).collect();
            let nodes = model.grow(&rows)?;
            scores.forward_passes += 1;
            open.retain(|entry| !chosen.contains(entry));
            for (i, (&(point, _), node)) in chosen.iter().zip(nodes).enumerate() {
                let path = scores.path[point].unwrap_or(f64::NEG_INFINITY);
                self.visit(point, model.logits(i), path, scores);
                open.extend(self.points[point].children.iter().map(|&child| (child, node)));
            }
        }
    }

    /// Takes in the model's answer at `point`.
    fn visit(&self, point: usize, logits: &[f32], path: f64, scores: &mut Scores) {
        let total = log_sum_exp(logits);
        for &child in &self.points[point].children {
            scores.path[child] = Some(path + f64::from(logits[self.points[child].token as usize]) - total);
        }
        if !self.points[point].ends.is_empty() {
            let ending: Vec<f32> = self.ends.iter().map(|&token| logits[token as usize]).collect();
            let whole = path + log_sum_exp(&ending) - total;
            for &sequence in &self.points[point].ends {
                scores.whole[sequence] = Some(whole);
            }
        }
    }
}
