//! The forward pass of a decoder, for every architecture that a [`Config`] can describe.
//!
//! A batch is a list of rows; each row has a token, a position and a slot of the KV cache, so that prefill, decode and the
//! token tree are one code path. A layer is five parallel regions: Q, K and V; attention; output projection; gate and
//! up; down. What lies between them is split over rows where a batch has many, and done by the caller where it has few.
//! The result does not depend on the number of threads or on how rows are batched: every output has one order of
//! summation (see `nibble_kernels`).

use std::{sync::Arc, time::Instant};

use arrayvec::ArrayVec;
use nibble_kernels::{ActivationKind, Activations, Attention, Tier};

use crate::{
    CancelToken, Config, Error, Model, Result, SessionOptions, TokenId,
    adapter::Adapter,
    config::Gate,
    crew::{Crew, MAX_SHARES, Quantized, Threads},
    head::{self, Candidate, Head},
    kv::{self, Half, LayerCache, MAX_DEPTH, MAX_TOGETHER, Slot, Tree},
    mmap::zeros,
    rope::Rotations,
    threads::{MAX_THREADS, Priority},
    turns,
    weights::LayerWeights,
};

/// One row of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub token: TokenId,
    pub position: usize,
    pub slot: Slot,
}

/// Which rows' logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Nothing,
    Last,
    All,
}

/// The forward pass's own memory: caches, buffers and threads of one session.
pub(crate) struct Transformer {
    crew: Crew,
    layers: Vec<LayerCache>,
    pub tree: Tree,
    buffers: Buffers,
    head: Head,
    /// What moves the hidden states.
    pub adapter: Option<Arc<Adapter>>,
    priority: Priority,
}

/// Activations of one batch, each `[row][width]`, big enough for the largest batch; touched only as far as a batch goes.
struct Buffers {
    rows: Vec<Row>,
    rotations: Rotations,
    /// The residual stream.
    x: Vec<f32>,
    /// What the current block makes of it.
    branch: Vec<f32>,
    normed: Vec<f32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    quantized: Quantized,
    /// Room for an adapter.
    moves: Vec<f32>,
    /// For each thread, what its part of an attention needs.
    scratch: Vec<Vec<f32>>,
}

/// Numbers that attention needs for each thread.
fn scratch_of(c: &Config, options: &SessionOptions) -> usize {
    let together = options.prefill_chunk.min(MAX_TOGETHER);
    Attention::scratch(together, c.heads / c.kv_heads, c.head_dim, options.context.saturating_add(MAX_DEPTH))
}

/// Bytes of the widest input of a batch, quantized, of `width` numbers in all.
fn quantized_of(width: usize) -> usize {
    Activations::bytes(ActivationKind::Q8, 1, width)
}

/// What [`Transformer::memory`] will be, on `threads` threads.
pub(crate) fn memory_of(c: &Config, options: &SessionOptions, threads: usize) -> u64 {
    let (attended, keys) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
    let rotations = c.ropes.len() * 2 * (c.rope_dimensions / 2);
    let row = 3 * c.embedding + 2 * attended + 2 * keys + 2 * c.feed_forward + rotations;
    let caches = c.layers.iter().map(|layer| kv::Shape::new(c, options, layer.window).memory() as u64);
    let rows = options.prefill_chunk;
    let floats = (rows as u64)
        .saturating_mul(row as u64)
        .saturating_add((options.max_nodes as u64).saturating_mul(c.embedding as u64))
        .saturating_add((scratch_of(c, options) as u64).saturating_mul(threads.clamp(1, MAX_THREADS) as u64));
    let quantized = quantized_of(rows.saturating_mul(attended.max(c.feed_forward).max(c.embedding))) as u64;
    caches.fold(floats.saturating_mul(4), u64::saturating_add).saturating_add(quantized)
}

impl Transformer {
    /// Reserves the memory and starts `crew`; `None` where there is not that much memory.
    pub fn new(model: &Model, options: &SessionOptions, crew: impl FnOnce() -> Crew) -> Option<Self> {
        let c = model.config();
        let rows = options.prefill_chunk;
        let layers = c.layers.iter().map(|layer| LayerCache::new(kv::Shape::new(c, options, layer.window)));
        let buffer = |width: usize| zeros(rows.checked_mul(width)?);
        let mut room_of_rows = Vec::new();
        room_of_rows.try_reserve_exact(rows).ok()?;
        Some(Self {
            layers: layers.collect::<Option<_>>()?,
            tree: Tree::new(options.max_nodes, c.embedding)?,
            buffers: Buffers {
                rows: room_of_rows,
                rotations: Rotations::new(c, model.weights().rope_factors(), rows)?,
                x: buffer(c.embedding)?,
                branch: buffer(c.embedding)?,
                normed: buffer(c.embedding)?,
                q: buffer(c.heads * c.head_dim)?,
                k: buffer(c.kv_heads * c.head_dim)?,
                v: buffer(c.kv_heads * c.head_dim)?,
                attended: buffer(c.heads * c.head_dim)?,
                gate: buffer(c.feed_forward)?,
                up: buffer(c.feed_forward)?,
                quantized: Quantized::default(),
                moves: Vec::new(),
                scratch: (0..MAX_THREADS).map(|_| zeros(scratch_of(c, options))).collect::<Option<_>>()?,
            },
            crew: crew(),
            head: Head::default(),
            adapter: None,
            priority: options.priority,
        })
    }

    /// Bytes that the caches, when they are full, and the buffers of the largest batch take.
    pub fn memory(&self) -> usize {
        let b = &self.buffers;
        let scratch = b.scratch.iter().take(self.crew.pool.size());
        let floats =
            [&b.x, &b.branch, &b.normed, &b.q, &b.k, &b.v, &b.attended, &b.gate, &b.up].into_iter().chain(scratch);
        let quantized = quantized_of(b.attended.len().max(b.gate.len()).max(b.x.len()));
        let caches: usize = self.layers.iter().map(LayerCache::memory).sum();
        caches + self.tree.memory() + 4 * floats.map(Vec::len).sum::<usize>() + b.rotations.memory() + quantized
    }

    /// The keys and values of every layer.
    pub fn caches(&self) -> &[LayerCache] {
        &self.layers
    }

    /// As [`caches`](Self::caches), to be written.
    pub fn caches_mut(&mut self) -> &mut [LayerCache] {
        &mut self.layers
    }

    /// Makes the nodes along `tokens` the positions of the timeline from `position` on, as far as there are any; gives their number and,
    /// if there are any, writes the hidden state of the last one to `hidden`.
    pub fn adopt(&mut self, tokens: impl Iterator<Item = TokenId>, position: usize, hidden: &mut Vec<f32>) -> usize {
        let nodes: ArrayVec<usize, MAX_DEPTH> = self.tree.along(tokens).collect();
        for (position, &node) in (position..).zip(&nodes) {
            self.layers.iter_mut().for_each(|layer| layer.adopt(node, position));
        }
        if let Some(&last) = nodes.last() {
            hidden.clear();
            hidden.extend_from_slice(self.tree.hidden(last));
        }
        nodes.len()
    }

    /// Whether a timeline that was longer can be cut to `len` positions and written on from there.
    pub fn resumes_at(&self, len: usize) -> bool {
        self.layers.iter().all(|layer| layer.resumes_at(len))
    }

    pub fn threads(&self) -> Threads {
        self.crew.threads()
    }

    pub fn set_threads(&mut self, threads: Threads) {
        self.crew.set_threads(threads);
    }

    pub fn tier(&self) -> Tier {
        self.crew.kernels.tier()
    }

    /// Computes a batch of rows after a timeline of `timeline` positions: writes their keys and values to their slots, and the
    /// wanted hidden states, normalised and [adapted](Adapter) as the head takes them, `[wanted rows][embedding]`, to `hidden`.
    ///
    /// Waits before each layer for work of a higher priority, and stops there with [`Error::Cancelled`] once `cancel` is set. Until then only the slots of these rows were
    /// written, so a caller that does not count them in has lost nothing.
    pub fn forward(
        &mut self,
        model: &Model,
        rows: impl Iterator<Item = Row>,
        timeline: usize,
        want: Want,
        hidden: &mut Vec<f32>,
        cancel: &CancelToken,
    ) -> Result<()> {
        let Self { crew, layers, tree, buffers: b, adapter, priority, .. } = self;
        let (c, weights) = (model.config(), model.weights());
        b.rows.clear();
        b.rows.extend(rows);
        b.rotations.turn_to(b.rows.iter().map(|row| row.position));
        let n = b.rows.len();
        crew.muster(n);
        let (start, mut waited) = (Instant::now(), false);
        for (row, x) in b.rows.iter().zip(b.x.chunks_exact_mut(c.embedding)) {
            weights.embedding.matrix().dequantize_row(row.token as usize, x);
            if c.embedding_scale != 1.0 {
                crew.kernels.scale(x, c.embedding_scale);
            }
        }
        for ((layer, cache), w) in c.layers.iter().zip(layers).zip(&weights.layers) {
            waited |= turns::give_way(*priority, cancel);
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            attention_block(crew, c, layer.rope, cache, tree, timeline, w, b, n)?;
            feed_forward_block(crew, c, w, b, n)?;
        }
        if !waited {
            crew.passed(n, start.elapsed());
        }
        let wanted = match want {
            Want::Nothing => n..n,
            Want::Last => n - 1..n,
            Want::All => 0..n,
        };
        let x = &b.x[wanted.start * c.embedding..wanted.end * c.embedding];
        hidden.resize(x.len(), 0.0);
        crew.rms_norm(x, weights.output_norm.values(), c.rms_eps, hidden);
        adapter.as_ref().map_or(Ok(()), |adapter| adapter.apply(crew.kernels, hidden, &mut b.moves))
    }

    /// Writes the logits of hidden states, `[rows][vocabulary]`, to `logits`.
    pub fn logits(&mut self, model: &Model, hidden: &[f32], logits: &mut Vec<f32>) -> Result<()> {
        self.crew.muster(hidden.len() / model.config().embedding);
        head::logits(&mut self.crew, model, hidden, &mut self.buffers.quantized, logits)
    }

    /// Writes the `k` tokens with the highest logits of one hidden state to `best`, best first. Where the head has no screen, all
    /// logits are computed first, and are left in `logits`.
    pub fn best(
        &mut self,
        model: &Model,
        hidden: &[f32],
        k: usize,
        logits: &mut Vec<f32>,
        best: &mut Vec<Candidate>,
    ) -> Result<()> {
        if let Some(screen) = model.screen() {
            self.crew.muster(1);
            return self.head.best(&mut self.crew, model, hidden, screen, k, best);
        }
        self.logits(model, hidden, logits)?;
        head::best_of(logits, k, best);
        Ok(())
    }

    /// Writes the logits of `tokens`, in their order, to `logits`: those of one hidden state.
    pub fn logits_of(
        &mut self,
        model: &Model,
        hidden: &[f32],
        tokens: &[TokenId],
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        self.crew.muster(1);
        self.head.logits_of(&mut self.crew, model, hidden, tokens, logits)
    }
}

/// x += output(attention(norm(x)))
#[allow(clippy::too_many_arguments, reason = "the parts of a session, borrowed one by one")]
fn attention_block(
    crew: &mut Crew,
    c: &Config,
    rope: usize,
    cache: &mut LayerCache,
    tree: &Tree,
    timeline: usize,
    w: &LayerWeights,
    b: &mut Buffers,
    n: usize,
) -> Result<()> {
    let (width, kv_width, head_dim) = (c.heads * c.head_dim, c.kv_heads * c.head_dim, c.head_dim);
    let (q, k, v) = (&mut b.q[..n * width], &mut b.k[..n * kv_width], &mut b.v[..n * kv_width]);
    let normed = &mut b.normed[..n * c.embedding];
    crew.rms_norm(&b.x[..n * c.embedding], w.attention_norm.values(), c.rms_eps, normed);
    let outputs = [
        (w.q.matrix(), w.q_bias.as_ref(), &mut *q),
        (w.k.matrix(), w.k_bias.as_ref(), &mut *k),
        (w.v.matrix(), w.v_bias.as_ref(), &mut *v),
    ];
    crew.project(normed, n, &mut b.quantized, outputs.map(|(m, bias, out)| (m, bias.map(|b| b.values()), out)))?;

    let kernels = crew.kernels;
    let rotations = &b.rotations;
    let turn = |heads: &mut [f32], norm: Option<&[f32]>, row: usize| {
        let (cos, sin) = rotations.at(rope, row);
        for head in heads.chunks_exact_mut(head_dim) {
            if let Some(weight) = norm {
                kernels.rms_norm(head, weight, c.rms_eps);
            }
            kernels.rope(head, cos, sin, c.rope_style);
        }
    };
    let (q_norm, k_norm) = (w.q_norm.as_ref().map(|t| t.values()), w.k_norm.as_ref().map(|t| t.values()));
    crew.over_rows(n, [(&mut *q, width), (&mut *k, kv_width)], |first, [q, k]| {
        let rows = q.chunks_exact_mut(width).zip(k.chunks_exact_mut(kv_width));
        for (i, (q, k)) in rows.enumerate() {
            turn(q, q_norm, first + i);
            turn(k, k_norm, first + i);
        }
    });
    let keys_and_values = k.chunks_exact(kv_width).zip(v.chunks_exact(kv_width));
    for (row, (k, v)) in b.rows.iter().zip(keys_and_values) {
        let heads = k.chunks_exact(head_dim).zip(v.chunks_exact(head_dim));
        for (head, (k, v)) in heads.enumerate() {
            kernels.store(cache.shape().format, k, cache.row_mut(Half::Keys, head, row.slot))?;
            kernels.store(cache.shape().format, v, cache.row_mut(Half::Values, head, row.slot))?;
        }
    }

    let attended = &mut b.attended[..n * width];
    attend(crew, c, cache, tree, timeline, &b.rows, q, &mut b.scratch, attended)?;
    let branch = &mut b.branch[..n * c.embedding];
    crew.project(attended, n, &mut b.quantized, [(w.o.matrix(), None, &mut *branch)])?;
    crew.add_normed(&mut b.x[..n * c.embedding], branch, w.post_attention_norm.as_ref().map(|t| t.values()), c);
    Ok(())
}

/// x += down(gate(norm(x)) * up(norm(x)))
fn feed_forward_block(crew: &mut Crew, c: &Config, w: &LayerWeights, b: &mut Buffers, n: usize) -> Result<()> {
    let normed = &mut b.normed[..n * c.embedding];
    crew.rms_norm(&b.x[..n * c.embedding], w.feed_forward_norm.values(), c.rms_eps, normed);
    let (gate, up) = (&mut b.gate[..n * c.feed_forward], &mut b.up[..n * c.feed_forward]);
    let outputs = [(w.gate.matrix(), None, &mut *gate), (w.up.matrix(), None, &mut *up)];
    crew.project(normed, n, &mut b.quantized, outputs)?;
    let kernels = crew.kernels;
    crew.over_rows(n, [(&mut *gate, c.feed_forward), (&mut *up, c.feed_forward)], |_, [gate, up]| match c.gate {
        Gate::Silu => kernels.silu_mul(gate, up),
        Gate::Gelu => kernels.gelu_mul(gate, up),
    });
    let branch = &mut b.branch[..n * c.embedding];
    crew.project(gate, n, &mut b.quantized, [(w.down.matrix(), None, &mut *branch)])?;
    crew.add_normed(&mut b.x[..n * c.embedding], branch, w.post_feed_forward_norm.as_ref().map(|t| t.values()), c);
    Ok(())
}

/// Some query heads of some rows.
struct Share<'a> {
    first_row: usize,
    heads: std::ops::Range<usize>,
    /// `[row][heads of this share][head_dim]`
    out: &'a mut [f32],
}

/// Attention of every row over what its slot sees. One row is split over query heads, several rows over rows.
#[allow(clippy::too_many_arguments, reason = "the parts of a session, borrowed one by one")]
fn attend(
    crew: &mut Crew,
    c: &Config,
    cache: &LayerCache,
    tree: &Tree,
    timeline: usize,
    rows: &[Row],
    q: &[f32],
    scratch: &mut [Vec<f32>],
    out: &mut [f32],
) -> Result<()> {
    let (kernels, head_dim, width) = (crew.kernels, c.head_dim, c.heads * c.head_dim);
    let mut shares: ArrayVec<Share, MAX_SHARES> = ArrayVec::new();
    if rows.len() == 1 {
        let heads = c.heads.div_ceil(crew.pool.threads());
        shares.extend(out.chunks_mut(heads * head_dim).enumerate().map(|(i, out)| {
            let first = i * heads;
            Share { first_row: 0, heads: first..(first + heads).min(c.heads), out }
        }));
    } else {
        // Later rows see more: many shares, dealt in turn, even that out. But rows that attend together are cheaper.
        let of_thread = rows.len().div_ceil(crew.pool.threads());
        let rows = rows.len().div_ceil(MAX_SHARES).max(of_thread.min(MAX_TOGETHER));
        let of_rows = out.chunks_mut(rows * width).enumerate();
        shares.extend(of_rows.map(|(i, out)| Share { first_row: i * rows, heads: 0..c.heads, out }));
    }
    let per_kv_head = c.heads / c.kv_heads;
    crew.pool.try_for_each(scratch, &mut shares, |scratch, share| {
        let stride = share.heads.len() * head_dim;
        let rows = &rows[share.first_row..][..share.out.len() / stride];
        let mut first = share.first_row;
        for (tile, out) in tiles(rows, stride, share.out) {
            let mut head = share.heads.start;
            while head < share.heads.end {
                let kv_head = head / per_kv_head;
                let end = ((kv_head + 1) * per_kv_head).min(share.heads.end);
                let seen = cache.seen(kv_head, tile.iter().map(|row| row.slot), timeline, tree);
                let attention = Attention {
                    queries: &q[first * width + head * head_dim..],
                    stride: width,
                    heads: end - head,
                    head_dim,
                    scale: c.attention_scale,
                    format: cache.shape().format,
                    shared: seen.shared(),
                    own: &seen.own(),
                    seen: seen.ranges(),
                };
                kernels.attend(&attention, scratch, &mut out[(head - share.heads.start) * head_dim..], stride)?;
                head = end;
            }
            first += tile.len();
        }
        Ok(())
    })
}

/// Rows that attend together, with their part of `out`: neighbours on the timeline, and nodes of the tree, which share almost
/// all that they see.
fn tiles<'a>(
    rows: &'a [Row],
    stride: usize,
    mut out: &'a mut [f32],
) -> impl Iterator<Item = (&'a [Row], &'a mut [f32])> {
    let share = |a: &Row, b: &Row| match (a.slot, b.slot) {
        (Slot::Prefix(a), Slot::Prefix(b)) => b == a + 1,
        (Slot::Node(_), Slot::Node(_)) => true,
        _ => false,
    };
    rows.chunk_by(share).flat_map(|run| run.chunks(MAX_TOGETHER)).map(move |tile| {
        let (part, rest) = std::mem::take(&mut out).split_at_mut(tile.len() * stride);
        out = rest;
        (tile, part)
    })
}
