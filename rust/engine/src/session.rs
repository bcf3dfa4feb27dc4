//! One mutable timeline over a model.
//!
//! A caller hands over the whole prefix it wants; the session finds the longest common prefix with its KV cache and
//! computes only the rest. A token tree can grow from the end of the timeline, for trying continuations in batches; a prefix that
//! goes on along one of them finds it computed.

use std::{
    fs::File,
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use nibble_kernels::{Kernels, KvFormat, Tier};

use crate::{
    Adapter, Config, Error, LanguageModel, Message, Model, Node, Result, TokenId, Vocabulary, calibration,
    cores::Cores,
    crew::{Crew, Threads},
    head::best_of,
    kv::{MAX_DEPTH, Slot},
    mmap::MappedFile,
    snapshot,
    threads::Priority,
    transformer::{Row, Transformer, Want, memory_of},
    turns::{self, Turn},
};

/// What happens when a prefix is longer than the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// [`Error::ContextOverflow`].
    Error,
    /// The first `keep` tokens stay, and the oldest of the others are forgotten in blocks of half of the remaining context, so that the
    /// cached prefix stays valid until the next block is full.
    Slide {
        /// Tokens at the start that are never forgotten: a BOS, a system prompt.
        keep: usize,
    },
}

/// How a session is set up.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Tokens that the timeline can hold; at most what the model was trained for.
    pub context: usize,
    /// What to do with a longer prefix.
    pub overflow: Overflow,
    /// Threads that compute, the caller's included; 0 takes as many as [`Model::calibrate`] found best, or else as usually
    /// suit a model of this size on the fast cores of this machine.
    pub threads: usize,
    /// How urgent the session's work is.
    pub priority: Priority,
    /// Nodes that the token tree can hold.
    pub max_nodes: usize,
    /// Rows computed at once in prefill; cancelling is noticed between the layers of a chunk.
    pub prefill_chunk: usize,
    /// How keys and values are kept. Q8_0 takes half the memory of F16, and half the traffic of a long context; its
    /// predictions are a little off (README.md has figures).
    pub kv_format: KvFormat,
    /// Forces a kernel tier; `None` takes the best that the CPU has.
    pub tier: Option<Tier>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            context: 2048,
            overflow: Overflow::Error,
            threads: 0,
            priority: Priority::default(),
            max_nodes: 128,
            prefill_chunk: 128,
            kv_format: KvFormat::F16,
            tier: None,
        }
    }
}

/// Stops a computation from another thread.
///
/// Once [`cancel`](Self::cancel) was called, every call of the session that computes ends with [`Error::Cancelled`] until
/// [`reset`](Self::reset); so a cancel that comes a moment too early or too late is never lost.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the session to stop; it does within one layer of the batch under way.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
        // It may wait for its turn.
        turns::wake();
    }

    /// Lets the session compute again.
    pub fn reset(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Whether a stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        #[cfg(test)]
        tests::looked(self);
        self.0.load(Ordering::SeqCst)
    }
}

/// One mutable timeline, with its KV cache and its threads, over a shared [`Model`].
pub struct Session {
    model: Model,
    transformer: Transformer,
    options: SessionOptions,
    tokens: Vec<TokenId>,
    /// The hidden state of the last position of `tokens`; empty when it is not known.
    hidden: Vec<f32>,
    /// Its logits; empty when they were not computed.
    last: Vec<f32>,
    /// Hidden states and logits of the rows of the last `grow`.
    grown_hidden: Vec<f32>,
    grown: Vec<f32>,
    computed: u64,
    cancel: CancelToken,
}

/// What the options of a session come to, over a model and on this machine.
struct Setup {
    options: SessionOptions,
    kernels: &'static Kernels,
    cores: Cores,
    threads: Threads,
}

impl Setup {
    fn new(model: &Model, mut options: SessionOptions) -> Result<Self> {
        let config = model.config();
        options.context = options.context.clamp(1, config.context_length);
        options.prefill_chunk = options.prefill_chunk.clamp(1, options.context);
        let kernels = match options.tier {
            None => Kernels::best(),
            Some(tier) => Kernels::for_tier(tier).ok_or(Error::TierUnavailable { tier: tier.name() })?,
        };
        if options.kv_format.row(config.head_dim).is_none() {
            return Err(Error::KvFormatUnavailable { head_dim: config.head_dim });
        }
        let cores = Cores::here();
        let threads = match (options.threads, options.priority) {
            (0, Priority::Background) => Threads::both(1),
            (0, Priority::Interactive | Priority::Keystroke) => calibration::recall(model, &cores, kernels.tier())
                .unwrap_or_else(|| default_threads(config, cores.count)),
            (threads, _) => Threads::both(threads),
        };
        Ok(Self { options, kernels, cores, threads })
    }

    /// As [`Session::memory`], before there is a session.
    fn memory(&self, config: &Config) -> u64 {
        memory_of(config, &self.options, self.threads.most()).saturating_add(logits_of(config))
    }
}

/// Bytes of the logits of one position.
fn logits_of(config: &Config) -> u64 {
    (size_of::<f32>() * config.vocabulary) as u64
}

impl Session {
    pub(crate) fn new(model: Model, options: SessionOptions) -> Result<Self> {
        let setup = Setup::new(&model, options)?;
        let needed = setup.memory(model.config());
        let Setup { options, kernels, cores, threads } = setup;
        let crew = || Crew::new(kernels, threads, cores.placement(options.priority), model.length());
        let transformer = Transformer::new(&model, &options, crew).ok_or(Error::OutOfMemory { needed })?;
        Ok(Self {
            model,
            transformer,
            options,
            tokens: Vec::new(),
            hidden: Vec::new(),
            last: Vec::new(),
            grown_hidden: Vec::new(),
            grown: Vec::new(),
            computed: 0,
            cancel: CancelToken::default(),
        })
    }

    /// As [`Model::session_memory`].
    pub(crate) fn memory_needed(model: &Model, options: &SessionOptions) -> Result<u64> {
        Ok(Setup::new(model, options.clone())?.memory(model.config()))
    }

    /// Bytes that this session writes to at most: its KV cache when context and tree are full, the buffers of the
    /// largest batch, and the logits of one position. Each further row of a [`grow`](LanguageModel::grow) whose
    /// logits are kept adds four bytes per token of the vocabulary.
    pub fn memory(&self) -> u64 {
        self.transformer.memory() as u64 + logits_of(self.model.config())
    }

    /// The model that this session runs.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The tokens of the timeline, after any sliding.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// How many rows (timeline positions and nodes) this session has computed in its life.
    pub fn computed(&self) -> u64 {
        self.computed
    }

    /// Threads that compute, the caller's included.
    pub fn threads(&self) -> Threads {
        self.transformer.threads()
    }

    /// Changes how many threads compute, from the next call on.
    pub fn set_threads(&mut self, threads: Threads) {
        self.transformer.set_threads(threads);
    }

    /// The kernels in use.
    pub fn tier(&self) -> Tier {
        self.transformer.tier()
    }

    /// A handle that stops this session's computations from another thread.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// Has the computations to come stop when `cancel` says so, instead of the token that they obeyed so far: with one token a
    /// request, a cancel that comes too late for its request does not stop the next one.
    pub fn set_cancel_token(&mut self, cancel: CancelToken) {
        self.cancel = cancel;
    }

    /// Forgets all but the first `len` tokens of the timeline, and the tree. Where layers with a sliding window have lost what
    /// the token after these would see, which takes cutting off a few hundred, all tokens are forgotten.
    pub fn truncate(&mut self, len: usize) {
        if len < self.tokens.len() {
            self.tokens.truncate(if self.transformer.resumes_at(len) { len } else { 0 });
            self.hidden.clear();
            self.last.clear();
        }
        self.transformer.tree.clear();
    }

    /// Writes the timeline to the file `path`, whole or not at all: its tokens, keys and values. A session over the same model
    /// [restores](Self::restore) it in the time that reading the file takes, on any device. Nodes of the tree are left out.
    ///
    /// # Errors
    /// [`Error::EmptySession`] where the timeline is empty, [`Error::Io`] when the disk is full or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        if self.tokens.is_empty() {
            return Err(Error::EmptySession);
        }
        let owner = snapshot::Owner::new(&self.model, &self.options);
        // Whoever restores it may have another adapter, or none.
        let hidden = if self.transformer.adapter.is_some() { &[] } else { &self.hidden[..] };
        snapshot::save(path, &owner, &self.tokens, hidden, self.transformer.caches())
    }

    /// Makes the timeline what it was when the file at `path` was [saved](Self::save); says how many tokens it has. What is
    /// computed from there on has the same bits.
    ///
    /// # Errors
    /// [`Error::UnfitSnapshot`] for a file that is damaged, of another version, model or format of keys and values, or longer than
    /// the context, [`Error::Io`] for one that cannot be read; the session is as it was.
    pub fn restore(&mut self, path: &Path) -> Result<usize> {
        self.restore_from(&snapshot::map(path)?, path)
    }

    /// As [`restore`](Self::restore), from a part of another file: of an app's package, where the snapshot is stored uncompressed.
    /// `name` is what it is called in errors.
    ///
    /// # Errors
    /// As `restore`; [`Error::UnfitSnapshot`] too where the part is not within the file.
    pub fn restore_part(&mut self, file: &File, part: Range<u64>, name: &Path) -> Result<usize> {
        self.restore_from(&snapshot::map_part(file, part, name)?, name)
    }

    fn restore_from(&mut self, map: &MappedFile, name: &Path) -> Result<usize> {
        let owner = snapshot::Owner::new(&self.model, &self.options);
        let timeline = snapshot::restore(map, name, &owner, self.transformer.caches_mut())?;
        self.tokens = timeline.tokens;
        self.hidden = if self.transformer.adapter.is_some() { Vec::new() } else { timeline.hidden };
        self.last.clear();
        self.transformer.tree.clear();
        Ok(self.tokens.len())
    }

    /// Makes the timeline equal `tokens` and shows the logits `[vocabulary]` of every position to `visit`, computing all of
    /// them anew.
    ///
    /// # Errors
    /// As [`LanguageModel::sync`]; the overflow policy does not apply, `tokens` must fit.
    pub fn score(&mut self, tokens: &[TokenId], mut visit: impl FnMut(usize, &[f32])) -> Result<()> {
        let vocabulary = self.model.config().vocabulary;
        let mut logits = Vec::new();
        self.each_hidden(tokens, |session, start, hidden| {
            session.transformer.logits(&session.model, hidden, &mut logits)?;
            logits.chunks_exact(vocabulary).enumerate().for_each(|(i, row)| visit(start + i, row));
            Ok(())
        })
    }

    /// As [`Self::score`], with the `k` best tokens of every position as [`LanguageModel::sync_top`] finds them.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn score_top(
        &mut self,
        tokens: &[TokenId],
        k: usize,
        mut visit: impl FnMut(usize, &[(TokenId, f32)]),
    ) -> Result<()> {
        let width = self.model.config().embedding;
        let (mut logits, mut best) = (Vec::new(), Vec::new());
        self.each_hidden(tokens, |session, start, hidden| {
            for (i, hidden) in hidden.chunks_exact(width).enumerate() {
                session.transformer.best(&session.model, hidden, k, &mut logits, &mut best)?;
                visit(start + i, &best);
            }
            Ok(())
        })
    }

    /// Makes the timeline equal `tokens` and gives the hidden states of every position, `[tokens][embedding]`, normalised as the head
    /// takes them, computing all of them anew.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn hidden_states(&mut self, tokens: &[TokenId]) -> Result<Vec<f32>> {
        let mut states = Vec::new();
        self.each_hidden(tokens, |_, _, hidden| {
            states.extend_from_slice(hidden);
            Ok(())
        })?;
        Ok(states)
    }

    /// Makes the timeline equal `tokens`, computing all of them anew, and calls `visit(session, first position, hidden states)`
    /// for some positions after others.
    fn each_hidden(
        &mut self,
        tokens: &[TokenId],
        mut visit: impl FnMut(&mut Self, usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        self.check(tokens)?;
        if tokens.len() > self.options.context {
            return Err(Error::ContextOverflow { tokens: tokens.len(), context: self.options.context });
        }
        self.truncate(0);
        let mut hidden = Vec::new();
        for chunk in tokens.chunks(self.options.prefill_chunk.min(ROWS_OF_LOGITS)) {
            let start = self.tokens.len();
            self.extend(chunk, Want::All, &mut hidden)?;
            visit(self, start, &hidden)?;
        }
        self.hidden.extend_from_slice(&hidden[hidden.len() - self.model.config().embedding..]);
        Ok(())
    }

    fn check(&self, tokens: &[TokenId]) -> Result<()> {
        if tokens.is_empty() { Err(Error::EmptyPrefix) } else { self.check_known(tokens) }
    }

    fn check_known(&self, tokens: &[TokenId]) -> Result<()> {
        let size = self.model.config().vocabulary;
        match tokens.iter().find(|&&t| t as usize >= size) {
            Some(&token) => Err(Error::UnknownToken { token, size }),
            None => Ok(()),
        }
    }

    /// Computes `chunk` as the next positions of the timeline, and the wanted hidden states. When it fails the timeline is
    /// as before.
    fn extend(&mut self, chunk: &[TokenId], want: Want, hidden: &mut Vec<f32>) -> Result<()> {
        let start = self.tokens.len();
        let row = |(i, &token)| Row { token, position: start + i, slot: Slot::Prefix(start + i) };
        let rows = chunk.iter().enumerate().map(row);
        let _turn = Turn::begin(self.options.priority);
        self.transformer.forward(&self.model, rows, start, want, hidden, &self.cancel)?;
        self.tokens.extend_from_slice(chunk);
        self.computed += chunk.len() as u64;
        Ok(())
    }

    /// What of `prefix` the context holds under the overflow policy.
    fn wanted<'a>(&self, prefix: &'a [TokenId]) -> Result<impl Iterator<Item = TokenId> + Clone + use<'a>> {
        let (keep, resume) = self.window(prefix)?;
        Ok(prefix[..keep].iter().chain(&prefix[resume..]).copied())
    }

    /// How much of the timeline `wanted` begins with.
    fn common(&self, wanted: impl Iterator<Item = TokenId>) -> usize {
        self.tokens.iter().zip(wanted).take_while(|&(&a, b)| a == b).count()
    }

    /// The part of `prefix` that the context holds: a number of tokens at its start, and where the rest begins.
    fn window(&self, prefix: &[TokenId]) -> Result<(usize, usize)> {
        let context = self.options.context;
        if prefix.len() <= context {
            return Ok((0, 0));
        }
        match self.options.overflow {
            Overflow::Slide { keep } if keep + 1 < context => {
                let block = (context - keep).div_ceil(2);
                let blocks = (prefix.len() - context).div_ceil(block);
                Ok((keep, keep + blocks * block))
            }
            _ => Err(Error::ContextOverflow { tokens: prefix.len(), context }),
        }
    }
}

/// The most rows whose logits are held at once: enough to stream the head's weights once for many rows, few enough to
/// keep the logits of a large vocabulary (1 MB a row for Gemma) small.
const ROWS_OF_LOGITS: usize = 16;

/// Up to four threads, but only two where models of up to 360M parameters decode, which memory binds.
fn default_threads(config: &Config, cores: usize) -> Threads {
    let small = config.layers.len() * config.embedding * (config.embedding + config.feed_forward) * 3 < 360_000_000;
    Threads { prefill: cores.min(4), decode: cores.min(if small { 2 } else { 4 }) }
}

impl LanguageModel for Session {
    fn vocabulary(&self) -> &Vocabulary {
        self.model.vocabulary()
    }

    fn encode(&self, text: &str) -> Vec<TokenId> {
        self.model.tokenizer().encode(text)
    }

    fn decode(&self, tokens: &[TokenId]) -> String {
        self.model.tokenizer().decode(tokens)
    }

    fn bos(&self) -> Option<TokenId> {
        self.model.tokenizer().bos()
    }

    fn is_end(&self, token: TokenId) -> bool {
        self.model.tokenizer().is_end(token)
    }

    fn chat(&self, messages: &[Message]) -> Result<Vec<TokenId>> {
        self.model.chat(messages)
    }

    fn name(&self) -> Option<&str> {
        self.model.name()
    }

    fn adapt(&mut self, adapter: Option<&Arc<Adapter>>) -> Result<()> {
        let width = self.model.config().embedding;
        if let Some(other) = adapter.map(|adapter| adapter.embedding()).filter(|&other| other != width) {
            let why = format!("it is for hidden states of {other} numbers, and the model has {width}");
            return Err(Error::UnfitAdapter { why });
        }
        if adapter.map(Arc::as_ptr) != self.transformer.adapter.as_ref().map(Arc::as_ptr) {
            self.transformer.adapter = adapter.cloned();
            self.transformer.tree.clear();
            self.hidden.clear();
            self.last.clear();
        }
        Ok(())
    }

    fn context_limit(&self) -> usize {
        self.options.context
    }

    fn missing(&self, prefix: &[TokenId]) -> usize {
        let Ok(wanted) = self.wanted(prefix) else { return prefix.len() };
        let (len, common) = (wanted.clone().count(), self.common(wanted.clone()));
        let on_path = common == self.tokens.len();
        let nodes = if on_path { self.transformer.tree.along(wanted.skip(common)).count() } else { 0 };
        match len - common - nodes {
            // The last position is computed again when only its hidden state is missing.
            0 if nodes == 0 && (!on_path || self.hidden.is_empty()) => 1,
            missing => missing,
        }
    }

    fn sync(&mut self, prefix: &[TokenId]) -> Result<&[f32]> {
        self.advance(prefix)?;
        if self.last.is_empty() {
            self.transformer.logits(&self.model, &self.hidden, &mut self.last)?;
        }
        Ok(&self.last)
    }

    fn sync_top(&mut self, prefix: &[TokenId], k: usize, top: &mut Vec<(TokenId, f32)>) -> Result<()> {
        self.advance(prefix)?;
        if self.last.is_empty() {
            return self.transformer.best(&self.model, &self.hidden, k, &mut self.last, top);
        }
        best_of(&self.last, k, top);
        Ok(())
    }

    fn sync_some(&mut self, prefix: &[TokenId], tokens: &[TokenId], logits: &mut Vec<f32>) -> Result<()> {
        self.check_known(tokens)?;
        self.advance(prefix)?;
        if self.last.is_empty() {
            return self.transformer.logits_of(&self.model, &self.hidden, tokens, logits);
        }
        logits.clear();
        logits.extend(tokens.iter().map(|&token| self.last[token as usize]));
        Ok(())
    }

    fn grow(&mut self, rows: &[(Node, TokenId)]) -> Result<Vec<Node>> {
        if self.tokens.is_empty() {
            return Err(Error::EmptyPrefix);
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        if rows.len() > self.room() {
            return Err(Error::TreeFull { max: self.room() });
        }
        self.check(&rows.iter().map(|r| r.1).collect::<Vec<_>>())?;
        let first = self.transformer.tree.len();
        let timeline = self.tokens.len();
        let mut batch = Vec::with_capacity(rows.len());
        for &(parent, token) in rows {
            let parent = match parent {
                Node::ROOT => None,
                Node(number) if (number as usize) <= first => Some(number as usize - 1),
                Node(number) => return Err(self.abandon(first, Error::UnknownNode { node: number })),
            };
            let node = self.transformer.tree.push(parent, token);
            let depth = self.transformer.tree.depth(node);
            if depth > MAX_DEPTH {
                return Err(self.abandon(first, Error::TreeTooDeep { max: MAX_DEPTH }));
            }
            batch.push(Row { token, position: timeline + depth - 1, slot: Slot::Node(node) });
        }
        let mut grown = std::mem::take(&mut self.grown);
        let rows = batch.into_iter();
        let mut hidden = std::mem::take(&mut self.grown_hidden);
        let transformer = &mut self.transformer;
        let _turn = Turn::begin(self.options.priority);
        let outcome = transformer
            .forward(&self.model, rows, timeline, Want::All, &mut hidden, &self.cancel)
            .and_then(|()| transformer.logits(&self.model, &hidden, &mut grown));
        (self.grown, self.grown_hidden) = (grown, hidden);
        match outcome {
            Ok(()) => {
                self.transformer.tree.keep(&self.grown_hidden);
                let last = self.transformer.tree.len();
                self.computed += (last - first) as u64;
                Ok((first..last).map(|n| Node(n as u32 + 1)).collect())
            }
            Err(error) => Err(self.abandon(first, error)),
        }
    }

    fn logits(&self, i: usize) -> &[f32] {
        let vocabulary = self.model.config().vocabulary;
        &self.grown[i * vocabulary..(i + 1) * vocabulary]
    }

    fn room(&self) -> usize {
        (self.options.max_nodes - self.transformer.tree.len()).min(self.options.prefill_chunk).min(ROWS_OF_LOGITS)
    }
}

impl Session {
    /// Makes the timeline equal `prefix`, or what the overflow policy leaves of it, computing only what is new, and the hidden
    /// state be that of its last position. The logits are kept only if that is where they belong.
    fn advance(&mut self, prefix: &[TokenId]) -> Result<()> {
        self.check(prefix)?;
        let wanted = self.wanted(prefix)?;
        let len = wanted.clone().count();
        let mut common = self.common(wanted.clone());
        if common == self.tokens.len() {
            let more = wanted.clone().skip(common);
            common += self.transformer.adopt(more.clone(), common, &mut self.hidden);
            if common > self.tokens.len() {
                self.tokens.extend(more.take(common - self.tokens.len()));
                self.transformer.tree.clear();
                self.last.clear();
            }
            if common == len && !self.hidden.is_empty() {
                return Ok(());
            }
        }
        // The last position is computed again when only its hidden state is missing.
        self.truncate(common.min(len - 1));
        self.last.clear();
        let rest: Vec<TokenId> = wanted.skip(self.tokens.len()).collect();
        let mut hidden = std::mem::take(&mut self.hidden);
        let chunks = rest.chunks(self.options.prefill_chunk);
        let count = chunks.len();
        for (i, chunk) in chunks.enumerate() {
            let want = if i + 1 == count { Want::Last } else { Want::Nothing };
            self.extend(chunk, want, &mut hidden)?;
        }
        self.hidden = hidden;
        Ok(())
    }

    /// Takes the nodes from `first` on out of the tree again and hands the error through.
    fn abandon(&mut self, first: usize, error: Error) -> Error {
        self.transformer.tree.truncate(first);
        error
    }
}

#[cfg(test)]
mod tests;
