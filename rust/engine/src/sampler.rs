//! Choosing the next token from logits.
//!
//! The steps and their order are those that users of llama.cpp know: repetition penalty (Keskar et al. 2019,
//! arXiv 1909.05858), top-k (Fan et al. 2018, arXiv 1805.04833), top-p (Holtzman et al. 2020, arXiv 1904.09751), min-p
//! (Nguyen et al. 2024, arXiv 2407.01082), temperature. All randomness comes from the seed.

use crate::head::{Candidate, better, keep_best};
use crate::{Schema, TokenId};

/// How the next token is chosen. The default is greedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits before the draw; 0 takes the most probable token.
    pub temperature: f32,
    /// Keeps the `top_k` most probable tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of most probable tokens whose mass reaches this; 1 keeps all.
    pub top_p: f32,
    /// Drops tokens less probable than this share of the most probable one; 0 drops none.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of recent tokens; 1 changes nothing.
    pub repetition_penalty: f32,
    /// How many recent tokens the penalty looks at.
    pub repetition_window: usize,
    /// Where the randomness starts.
    pub seed: u64,
    /// What the text has to be: only tokens that lead there are chosen from. A [`Generation`](crate::Generation) sees to it.
    pub schema: Option<Schema>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repetition_penalty: 1.0,
            repetition_window: 64,
            seed: 0,
            schema: None,
        }
    }
}

impl Sampling {
    /// Whether recent tokens count for less, or for more.
    fn penalises(&self) -> bool {
        self.repetition_penalty != 1.0 && self.repetition_window > 0
    }
}

/// Draws tokens as a [`Sampling`] says. Keeps its buffers, so that a draw allocates nothing after the first.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: SplitMix64,
    candidates: Vec<Candidate>,
}

impl Sampler {
    /// A sampler at the start of its seed's sequence.
    pub fn new(sampling: Sampling) -> Self {
        let random = SplitMix64(sampling.seed);
        Self { sampling, random, candidates: Vec::new() }
    }

    /// The next token after `history`, from the logits `[vocabulary]` of its last position.
    ///
    /// # Panics
    /// When `logits` is empty.
    pub fn sample(&mut self, logits: &[f32], history: &[TokenId]) -> TokenId {
        if self.sampling.temperature <= 0.0 && !self.sampling.penalises() {
            return most_probable(logits);
        }
        self.candidates.clear();
        self.candidates.extend((0..).zip(logits.iter().copied()));
        self.choose(history)
    }

    /// How many of the tokens with the highest logits decide a draw; `None` if all do.
    pub fn needs(&self) -> Option<usize> {
        let s = &self.sampling;
        let kept = if s.temperature <= 0.0 { 1 } else { s.top_k };
        match s.penalises() {
            _ if kept == 0 => None,
            false => Some(kept),
            // Recent tokens can only fall, and others take their places.
            true if s.repetition_penalty > 1.0 => kept.checked_add(s.repetition_window),
            true => None,
        }
    }

    /// As [`Self::sample`], from the tokens with the highest logits, of which there are at least as many as [`Self::needs`] says,
    /// or all that there are: the same token.
    ///
    /// # Panics
    /// When `top` is empty.
    pub fn sample_top(&mut self, top: &[(TokenId, f32)], history: &[TokenId]) -> TokenId {
        self.candidates.clear();
        self.candidates.extend_from_slice(top);
        self.choose(history)
    }

    /// The next token, of the candidates.
    fn choose(&mut self, history: &[TokenId]) -> TokenId {
        if self.sampling.penalises() {
            self.penalise(history);
        }
        if self.sampling.temperature <= 0.0 {
            return self.candidates.iter().copied().reduce(higher).expect("there is a candidate").0;
        }
        self.keep_likely();
        self.draw()
    }

    /// Lowers the logits of recent tokens among the candidates, or raises them, if that is what the penalty says.
    fn penalise(&mut self, history: &[TokenId]) {
        let s = &self.sampling;
        let recent = &history[history.len().saturating_sub(s.repetition_window)..];
        for (i, &token) in recent.iter().enumerate() {
            if recent[..i].contains(&token) {
                continue;
            }
            // Either all tokens are candidates, in order, or a few are.
            let at = match self.candidates.get(token as usize) {
                Some(&(id, _)) if id == token => Some(token as usize),
                _ => self.candidates.iter().position(|&(id, _)| id == token),
            };
            if let Some((_, logit)) = at.map(|at| &mut self.candidates[at]) {
                *logit = if *logit > 0.0 { *logit / s.repetition_penalty } else { *logit * s.repetition_penalty };
            }
        }
    }

    /// Leaves the candidates that top-k, top-p and min-p let through, most probable first.
    fn keep_likely(&mut self) {
        let s = &self.sampling;
        if s.top_k > 0 {
            keep_best(s.top_k, &mut self.candidates);
        }
        self.candidates.sort_unstable_by(better);
        let best = self.candidates[0].1;
        let mass: f32 = self.candidates.iter().map(|c| (c.1 - best).exp()).sum();
        let mut reached = 0.0;
        let mut kept = 0;
        for (_, logit) in &self.candidates {
            let relative = (logit - best).exp();
            if kept > 0 && (reached >= s.top_p * mass || relative < s.min_p) {
                break;
            }
            reached += relative;
            kept += 1;
        }
        self.candidates.truncate(kept);
    }

    /// Draws one of the candidates at the sampler's temperature.
    fn draw(&mut self) -> TokenId {
        let best = self.candidates[0].1;
        let weight = |logit: f32| ((logit - best) / self.sampling.temperature).exp();
        let mass: f32 = self.candidates.iter().map(|c| weight(c.1)).sum();
        let mut left = self.random.unit() * mass;
        for &(token, logit) in &self.candidates {
            left -= weight(logit);
            if left < 0.0 {
                return token;
            }
        }
        self.candidates[self.candidates.len() - 1].0
    }
}

/// The token with the highest logit; the lowest id when several have it.
///
/// # Panics
/// When `logits` is empty.
pub fn most_probable(logits: &[f32]) -> TokenId {
    let candidates = logits.iter().enumerate().map(|(id, &logit)| (id as TokenId, logit));
    candidates.reduce(higher).expect("logits are not empty").0
}

/// The log-probability, in nats, of `token` under the softmax of `logits`.
///
/// # Panics
/// When there is no such token.
pub fn log_prob(logits: &[f32], token: TokenId) -> f32 {
    (f64::from(logits[token as usize]) - log_sum_exp(logits)) as f32
}

/// log Σ exp(logit), in nats and double precision.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| f64::from(l - best).exp()).sum();
    f64::from(best) + sum.ln()
}

fn higher(a: Candidate, b: Candidate) -> Candidate {
    if b.1 > a.1 || b.1 == a.1 && b.0 < a.0 { b } else { a }
}

/// A seeded source of chance, the same on every machine: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
/// generators".
#[derive(Clone, Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// A number in [0, 1).
    pub fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOGITS: [f32; 5] = [0.0, 2.0, 1.0, 2.0, -3.0];

    fn counts(sampling: Sampling, draws: usize) -> [usize; 5] {
        let mut sampler = Sampler::new(sampling);
        let mut counts = [0; 5];
        (0..draws).for_each(|_| counts[sampler.sample(&LOGITS, &[]) as usize] += 1);
        counts
    }

    #[test]
    fn greedy_takes_the_first_of_equals() {
        assert_eq!(Sampler::new(Sampling::default()).sample(&LOGITS, &[]), 1);
        assert_eq!(most_probable(&LOGITS), 1);
    }

    #[test]
    fn a_penalty_moves_greedy_off_recent_tokens() {
        let sampling = Sampling { repetition_penalty: 3.0, ..Sampling::default() };
        assert_eq!(Sampler::new(sampling.clone()).sample(&LOGITS, &[1, 1]), 3);
        assert_eq!(Sampler::new(sampling.clone()).sample(&LOGITS, &[1, 3]), 2);
        let forgetful = Sampling { repetition_window: 1, ..sampling };
        assert_eq!(Sampler::new(forgetful).sample(&LOGITS, &[1, 3]), 1);
    }

    #[test]
    fn draws_follow_the_softmax() {
        let all = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..Sampling::default() };
        let counts = counts(all, 20_000);
        for (token, &count) in counts.iter().enumerate() {
            let expected = f64::from(log_prob(&LOGITS, token as TokenId)).exp() * 20_000.0;
            assert!((count as f64 - expected).abs() < 5.0 * expected.sqrt() + 5.0, "{token}: {count} of {expected}");
        }
    }

    #[test]
    fn filters_leave_only_likely_tokens() {
        let hot = Sampling { temperature: 5.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..Sampling::default() };
        let top_2 = counts(Sampling { top_k: 2, ..hot.clone() }, 500);
        assert!(top_2[1] > 0 && top_2[3] > 0 && top_2[0] + top_2[2] + top_2[4] == 0);
        let nucleus = counts(Sampling { top_p: 0.5, ..hot.clone() }, 500);
        assert!(nucleus[1] > 0 && nucleus[3] > 0 && nucleus[0] + nucleus[2] + nucleus[4] == 0);
        let floor = counts(Sampling { min_p: 0.3, ..hot.clone() }, 500);
        assert!(floor[2] > 0 && floor[0] + floor[4] == 0);
        assert_eq!(counts(hot.clone(), 100), counts(hot, 100), "the seed decides");
    }

    proptest! {
        #[test]
        fn any_logits_and_settings_give_a_token_of_the_vocabulary(
            logits in prop::collection::vec(-50f32..50.0, 1..200),
            (temperature, top_k, top_p) in (-1f32..3.0, 0usize..300, 0f32..1.0),
            (min_p, repetition_penalty, seed) in (0f32..1.0, 0.5f32..3.0, any::<u64>()),
            history in prop::collection::vec(0u32..400, 0..20),
        ) {
            let sampling =
                Sampling { temperature, top_k, top_p, min_p, repetition_penalty, repetition_window: 8, seed, schema: None };
            let token = Sampler::new(sampling.clone()).sample(&logits, &history);
            prop_assert!((token as usize) < logits.len());
            if let Some(needed) = Sampler::new(sampling.clone()).needs() {
                let mut top = Vec::new();
                crate::head::best_of(&logits, needed, &mut top);
                prop_assert_eq!(Sampler::new(sampling).sample_top(&top, &history), token);
            }
        }

        #[test]
        fn log_probs_sum_to_one(logits in prop::collection::vec(-50f32..50.0, 1..200)) {
            let sum: f64 = (0..logits.len()).map(|t| f64::from(log_prob(&logits, t as TokenId)).exp()).sum();
            prop_assert!((sum - 1.0).abs() < 1e-4);
        }
    }
}
