//! Fits a low-rank adapter of the head to texts, and measures what it brings.
//!
//! An adapter comes after all layers, so each text is read once, by the engine that will use the adapter, and what is left is a logistic
//! regression on hidden states: cross-entropy of the next token, by AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), in minutes.
//! Of a large vocabulary only some tokens are in the sum over all: those of the texts, and of the others one in some, each of which
//! stands for as many as it was chosen from.
//!
//! People who write messages make errors, and a keyboard is there to mend them. So what is no word as it should be written is read and
//! not learned from, and nor is a small letter where the model expects a capital.

use std::collections::{BTreeSet, HashMap};
use std::f64::consts::PI;
use std::iter::repeat_n;
use std::ops::ControlFlow;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use nibble_engine::{Adapter, LanguageModel, Model, Session, SplitMix64, TokenId, log_sum_exp};
use nibble_tasks::keyboard::noise::normal;

/// What can go wrong here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine's reason.
    #[error(transparent)]
    Engine(#[from] nibble_engine::Error),
    /// The reason of the library that computes.
    #[error("the computation failed: {0}")]
    Candle(#[from] candle_core::Error),
    /// Too little to learn from.
    #[error("the texts have {tokens} tokens, and a fit takes {needed}; give more of them")]
    TooLittle {
        /// Tokens of the texts.
        tokens: usize,
        /// The least number.
        needed: usize,
    },
    /// Whoever watched the progress said so.
    #[error("cancelled")]
    Cancelled,
}

/// What a function here returns.
pub type Result<T> = std::result::Result<T, Error>;

/// How an adapter is fitted.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Directions in which hidden states are moved.
    pub rank: usize,
    /// Times that every text is learned from.
    pub epochs: usize,
    /// Where randomness begins.
    pub seed: u64,
}

/// Tokens of a step.
const BATCH: usize = 1024;
/// Steps until the rate of learning is at its highest, from where it falls along a cosine.
const WARM_UP: usize = 20;
/// The highest rates, of b and of U and V.
const RATES: [f64; 2] = [0.02, 0.002];
const WEIGHT_DECAY: f64 = 0.3;
/// How much of U is taken in the end. Texts that it was not fitted to are known best with 0.7 to 0.9 of it, those that it was with all.
const TAKEN: f64 = 0.8;
/// How far from zero V begins. U begins at zero, so that the adapter does.
const SPREAD: f32 = 0.02;
/// Tokens that are in the sum for those that no text has.
const OTHERS: usize = 2048;
/// A file of few texts is learned from up to so many times as often as one of many.
const MOST_OFTEN: usize = 4;

/// A text to learn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// All of it, which is read.
    pub text: String,
    /// Its bytes that are not learned from.
    pub left_out: Vec<Range<usize>>,
}

/// Texts as a model has read them.
pub struct Corpus {
    /// `[tokens][embedding]`
    hidden: Vec<f32>,
    /// What followed each.
    targets: Vec<TokenId>,
    /// Which of them are learned from in an epoch, those of a short file several times.
    order: Vec<usize>,
}

impl Corpus {
    /// Reads the texts of some files, each behind `primer` and without an adapter; `progress` is called after each. What is fitted to them
    /// learns about as much from each file.
    ///
    /// # Errors
    /// [`Error::Engine`] for one that does not fit the session, [`Error::Cancelled`] where `progress` breaks.
    pub fn read(
        session: &mut Session,
        primer: &str,
        files: &[Vec<Lesson>],
        progress: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Self> {
        session.adapt(None)?;
        let width = session.model().config().embedding;
        let mut corpus = Self { hidden: Vec::new(), targets: Vec::new(), order: Vec::new() };
        let mut parts = Vec::new();
        let model = session.model().clone();
        let mut capitals = Capitals::of(&model);
        for lessons in files {
            let begin = corpus.targets.len();
            for lesson in lessons {
                let (tokens, first) = behind(session, primer, &lesson.text);
                let states = session.hidden_states(&tokens)?;
                let mut start = 0;
                for (hidden, &token) in states[(first - 1) * width..].chunks_exact(width).zip(&tokens[first..]) {
                    let end = start + model.vocabulary().bytes(token).len();
                    let left_out = lesson.left_out.iter().any(|left_out| left_out.start < end && start < left_out.end);
                    if !left_out && !capitals.expected(token, hidden)? {
                        corpus.hidden.extend_from_slice(hidden);
                        corpus.targets.push(token);
                    }
                    start = end;
                }
                if progress().is_break() {
                    return Err(Error::Cancelled);
                }
            }
            parts.push(begin..corpus.targets.len());
        }
        let longest = parts.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let times = ((longest + part.len() / 2) / part.len()).min(MOST_OFTEN);
            corpus.order.extend(repeat_n(part, times).flatten());
        }
        Ok(corpus)
    }

    /// How many tokens there are to learn from.
    pub fn tokens(&self) -> usize {
        self.targets.len()
    }

    /// Fits an adapter of `model`, which has read the texts, and gives its file; `progress` is told of every step: its number, how many
    /// there are, and the loss in nats a token.
    ///
    /// # Errors
    /// [`Error::TooLittle`], [`Error::Cancelled`] where `progress` breaks.
    pub fn fit(
        &self,
        model: &Model,
        recipe: Recipe,
        progress: &mut dyn FnMut(usize, usize, f32) -> ControlFlow<()>,
    ) -> Result<Vec<u8>> {
        if self.targets.len() < BATCH {
            return Err(Error::TooLittle { tokens: self.targets.len(), needed: BATCH });
        }
        let (cpu, width) = (Device::Cpu, model.config().embedding);
        let candidates = Candidates::of(model, &self.targets)?;
        let rows = Tensor::from_vec(candidates.rows, (candidates.log_counts.len(), width), &cpu)?;
        let bias = Var::zeros(width, DType::F32, &cpu)?;
        let up = Var::zeros((recipe.rank, width), DType::F32, &cpu)?;
        let mut random = SplitMix64(recipe.seed);
        let spread: Vec<f32> = (0..recipe.rank * width).map(|_| normal(&mut random)[0] * SPREAD).collect();
        let down = Var::from_tensor(&Tensor::from_vec(spread, (recipe.rank, width), &cpu)?)?;

        let optimizer = |vars: Vec<Var>| {
            AdamW::new(vars, ParamsAdamW { beta2: 0.98, weight_decay: WEIGHT_DECAY, ..ParamsAdamW::default() })
        };
        let mut optimizers = [optimizer(vec![bias.clone()])?, optimizer(vec![up.clone(), down.clone()])?];
        let mut order = self.order.clone();
        let batches = order.len() / BATCH;
        let steps = recipe.epochs * batches;
        for step in 0..steps {
            if step % batches == 0 {
                shuffle(&mut order, &mut random);
            }
            let batch = &order[step % batches * BATCH..][..BATCH];
            let hidden: Vec<f32> =
                batch.iter().flat_map(|&i| &self.hidden[i * width..(i + 1) * width]).copied().collect();
            let targets = batch.iter().map(|&i| candidates.places[&self.targets[i]]);
            let hidden = Tensor::from_vec(hidden, (BATCH, width), &cpu)?;
            let moved = hidden.broadcast_add(&bias)?.add(&hidden.matmul(&down.t()?)?.matmul(&up)?)?;
            let mut logits = moved.detach().matmul(&rows.t()?)?.flatten_all()?.to_vec1::<f32>()?;
            let loss = slopes(&mut logits, &candidates.log_counts, targets);
            // How the loss changes with the hidden states, through a head that stays as it is; candle would find that of the head too.
            let slopes = Tensor::from_vec(logits, (BATCH, rows.dim(0)?), &cpu)?.matmul(&rows)?;
            let gradients = moved.mul(&slopes)?.sum_all()?.backward()?;
            let height =
                (step as f64 / WARM_UP as f64).min(1.0) * 0.5 * (1.0 + (PI * step as f64 / steps as f64).cos());
            for (optimizer, rate) in optimizers.iter_mut().zip(RATES) {
                optimizer.set_learning_rate(rate * height);
                optimizer.step(&gradients)?;
            }
            if progress(step + 1, steps, loss).is_break() {
                return Err(Error::Cancelled);
            }
        }
        let flat = |var: &Var| var.flatten_all()?.to_vec1::<f32>();
        let up = Var::from_tensor(&up.affine(TAKEN, 0.0)?)?;
        Ok(Adapter::file(&flat(&bias)?, &flat(&down)?, &flat(&up)?))
    }
}

/// The tokens that begin with a small letter, and those that are the same with a capital.
struct Capitals<'a> {
    model: &'a Model,
    tokens: HashMap<Vec<u8>, TokenId>,
    /// What tells a token from that with a capital, by the hidden state before them; none where there is no such token.
    differences: HashMap<TokenId, Option<Vec<f32>>>,
}

impl<'a> Capitals<'a> {
    fn of(model: &'a Model) -> Self {
        let vocabulary = model.vocabulary();
        let tokens = (0..vocabulary.len() as TokenId).map(|token| (vocabulary.bytes(token).to_vec(), token)).collect();
        Self { model, tokens, differences: HashMap::new() }
    }

    /// Whether the model would rather write `token` with a capital behind this hidden state.
    fn expected(&mut self, token: TokenId, hidden: &[f32]) -> Result<bool> {
        if !self.differences.contains_key(&token) {
            let difference = match self.capital(token) {
                Some(capital) => {
                    let (small, capital) = (self.model.head_row(token)?, self.model.head_row(capital)?);
                    Some(capital.iter().zip(small).map(|(capital, small)| capital - small).collect())
                }
                None => None,
            };
            self.differences.insert(token, difference);
        }
        let along = |difference: &Vec<f32>| difference.iter().zip(hidden).map(|(a, b)| a * b).sum::<f32>() > 0.0;
        Ok(self.differences[&token].as_ref().is_some_and(along))
    }

    fn capital(&self, token: TokenId) -> Option<TokenId> {
        let mut bytes = self.model.vocabulary().bytes(token).to_vec();
        let first = bytes.iter_mut().find(|byte| **byte != b' ').filter(|first| first.is_ascii_lowercase())?;
        first.make_ascii_uppercase();
        self.tokens.get(&bytes).copied()
    }
}

/// Turns logits, `[targets][candidates]`, into how the mean cross-entropy changes with each, and gives that; each candidate stands for
/// as many as `log_counts` says.
fn slopes(logits: &mut [f32], log_counts: &[f32], targets: impl ExactSizeIterator<Item = usize>) -> f32 {
    let (count, mut nats) = (targets.len() as f32, 0.0);
    for (row, target) in logits.chunks_exact_mut(log_counts.len()).zip(targets) {
        row.iter_mut().zip(log_counts).for_each(|(logit, log_count)| *logit += log_count);
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let chosen = row[target] - most;
        row.iter_mut().for_each(|logit| *logit = (*logit - most).exp());
        let sum: f32 = row.iter().sum();
        nats += sum.ln() - chosen;
        row.iter_mut().for_each(|mass| *mass /= sum * count);
        row[target] -= 1.0 / count;
    }
    nats / count
}

/// The tokens that are in the sum over all.
struct Candidates {
    /// Their rows of the head, `[candidates][embedding]`.
    rows: Vec<f32>,
    /// ln of how many tokens each stands for.
    log_counts: Vec<f32>,
    /// Where each token of the texts is among them.
    places: HashMap<TokenId, usize>,
}

impl Candidates {
    fn of(model: &Model, targets: &[TokenId]) -> Result<Self> {
        let own: BTreeSet<TokenId> = targets.iter().copied().collect();
        let others: Vec<TokenId> =
            (0..model.vocabulary().len() as TokenId).filter(|token| !own.contains(token)).collect();
        let every = others.len().div_ceil(OTHERS).max(1);
        let chosen = others.iter().step_by(every);
        let mut rows = Vec::new();
        for &token in own.iter().chain(chosen.clone()) {
            rows.extend(model.head_row(token)?);
        }
        let mut log_counts = vec![0.0; own.len()];
        log_counts.extend(chosen.map(|_| (every as f32).ln()));
        Ok(Self { rows, log_counts, places: own.into_iter().zip(0..).collect() })
    }
}

/// How well a model knows some texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fluency {
    /// Tokens of the texts.
    pub tokens: usize,
    /// Cross-entropy, in nats a token.
    pub nats: f64,
    /// The share of tokens that were among the three most probable.
    pub among_three: f64,
}

impl Fluency {
    /// Measures it with an adapter, or without one, over the whole vocabulary; `progress` is called after each text.
    ///
    /// # Errors
    /// [`Error::Engine`] for a text that does not fit the session, or an adapter that does not; [`Error::Cancelled`] where `progress`
    /// breaks.
    pub fn of(
        session: &mut Session,
        adapter: Option<&Arc<Adapter>>,
        primer: &str,
        texts: &[String],
        progress: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Self> {
        session.adapt(adapter)?;
        let (mut tokens, mut nats, mut hits) = (0, 0.0, 0);
        for text in texts {
            let (all, first) = behind(session, primer, text);
            session.score(&all, |position, logits| {
                if let Some(&next) = all.get(position + 1).filter(|_| position + 1 >= first) {
                    let logit = logits[next as usize];
                    tokens += 1;
                    nats += log_sum_exp(logits) - f64::from(logit);
                    hits += usize::from(logits.iter().filter(|&&other| other > logit).count() < 3);
                }
            })?;
            if progress().is_break() {
                return Err(Error::Cancelled);
            }
        }
        let count = tokens.max(1) as f64;
        Ok(Self { tokens, nats: nats / count, among_three: hits as f64 / count })
    }
}

/// The tokens of a text behind a primer, and which of them is its first.
fn behind(session: &Session, primer: &str, text: &str) -> (Vec<TokenId>, usize) {
    let start = nibble_tasks::start_token(session);
    let tokens: Vec<TokenId> = [start].into_iter().chain(session.encode(&[primer, text].concat())).collect();
    let first = 1 + session.encode(primer).len();
    (tokens, first)
}

/// Every order is as likely (Fisher and Yates).
fn shuffle(order: &mut [usize], random: &mut SplitMix64) {
    for i in (1..order.len()).rev() {
        order.swap(i, (f64::from(random.unit()) * (i + 1) as f64) as usize);
    }
}

#[cfg(test)]
mod tests {
    use nibble_engine::SessionOptions;
    use nibble_engine::testing::SyntheticModel;
    use nibble_kernels::Format;

    use super::*;

    #[test]
    fn a_model_knows_texts_of_a_kind_better_that_it_was_fitted_to_others_of() {
        let folder = tempfile::tempdir().unwrap();
        let model = SyntheticModel::llama(Format::Q8_0).open_in(folder.path()).unwrap();
        let mut session = model.session(SessionOptions::default()).unwrap();
        let texts: Vec<String> = (0..110).map(|i| format!("abcabc abc{}\n", "abc ".repeat(i % 7 + 4))).collect();
        let (fitted, others) = texts.split_at(95);
        let lessons = fitted.iter().map(|text| Lesson { text: text.clone(), left_out: Vec::new() }).collect();
        let mut go_on = || ControlFlow::Continue(());
        let corpus = Corpus::read(&mut session, "abc\n", &[lessons], &mut go_on).unwrap();
        let recipe = Recipe { rank: 4, epochs: 80, seed: 1 };
        let mut losses = Vec::new();
        let fit = |watch: &mut dyn FnMut(usize, usize, f32) -> ControlFlow<()>| corpus.fit(&model, recipe, watch);
        let file = fit(&mut |step, steps, loss| {
            assert!(step <= steps);
            losses.push(loss);
            ControlFlow::Continue(())
        });
        let file = file.unwrap();
        assert_eq!(file, fit(&mut |_, _, _| ControlFlow::Continue(())).unwrap(), "the same seed");
        assert!(losses.last() < losses.first(), "{losses:?}");
        let adapter = Arc::new(Adapter::from_bytes(&file).unwrap());
        let [before, after] =
            [None, Some(&adapter)].map(|a| Fluency::of(&mut session, a, "abc\n", others, &mut go_on).unwrap());
        assert_eq!(before.tokens, after.tokens);
        assert!(after.nats < before.nats - 1.0, "{before:?} {after:?}");
        assert!(matches!(fit(&mut |_, _, _| ControlFlow::Break(())), Err(Error::Cancelled)));
    }

    #[test]
    fn too_little_to_learn_from_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let model = SyntheticModel::llama(Format::Q8_0).open_in(folder.path()).unwrap();
        let mut session = model.session(SessionOptions::default()).unwrap();
        let lesson = Lesson { text: "abcabcabc".to_owned(), left_out: vec![0..2, 3..6] };
        let read = |session: &mut _, lesson: &Lesson| {
            Corpus::read(session, "", &[vec![lesson.clone()]], &mut || ControlFlow::Continue(())).unwrap()
        };
        let corpus = read(&mut session, &lesson);
        let whole = read(&mut session, &Lesson { left_out: Vec::new(), ..lesson });
        assert!(corpus.tokens() < whole.tokens(), "what is left out is not learned from");
        let refused =
            corpus.fit(&model, Recipe { rank: 4, epochs: 1, seed: 1 }, &mut |_, _, _| ControlFlow::Continue(()));
        assert!(refused.unwrap_err().to_string().contains("a fit takes 1024"));
    }
}
