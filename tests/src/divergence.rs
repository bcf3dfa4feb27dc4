//! How far one model's predictions are from another's.

use std::fmt;

use crate::golden::Position;

/// Means over positions, of a reference P and a tested Q.
#[derive(Debug, Default)]
pub struct Divergence {
    positions: usize,
    kl: f64,
    largest_kl: f64,
    same_top: usize,
    following: usize,
    log_p: f64,
    log_q: f64,
}

impl Divergence {
    /// Adds one position: `reference` as far as it is known against the whole `logits`; `next` is the token that follows in the text.
    pub fn add(&mut self, reference: &Position, logits: &[f32], next: Option<u32>) {
        let lse = log_sum_exp(logits);
        let (mut kl, mut rest) = (0.0, 1.0);
        for &(id, log_p) in &reference.top {
            let (log_p, log_q) = (f64::from(log_p), f64::from(logits[id as usize]) - lse);
            kl += log_p.exp() * (log_p - log_q);
            rest -= log_q.exp();
        }
        let rest_p = f64::from(reference.rest);
        if rest_p > 1e-6 {
            kl += rest_p * (rest_p / rest.max(1e-12)).ln();
        }
        self.add_position(kl, reference.top[0].0 as usize == argmax(logits));
        if let Some(next) = next {
            self.add_following(f64::from(reference.following), f64::from(logits[next as usize]) - lse);
        }
    }

    /// Adds one position of two whole distributions, given as logits.
    pub fn add_full(&mut self, reference: &[f32], logits: &[f32], next: Option<u32>) {
        let (lse_p, lse_q) = (log_sum_exp(reference), log_sum_exp(logits));
        let kl = reference.iter().zip(logits).map(|(&p, &q)| {
            let (log_p, log_q) = (f64::from(p) - lse_p, f64::from(q) - lse_q);
            log_p.exp() * (log_p - log_q)
        });
        self.add_position(kl.sum(), argmax(reference) == argmax(logits));
        if let Some(next) = next.map(|next| next as usize) {
            self.add_following(f64::from(reference[next]) - lse_p, f64::from(logits[next]) - lse_q);
        }
    }

    fn add_position(&mut self, kl: f64, same_top: bool) {
        self.positions += 1;
        self.kl += kl;
        self.largest_kl = self.largest_kl.max(kl);
        self.same_top += usize::from(same_top);
    }

    fn add_following(&mut self, log_p: f64, log_q: f64) {
        self.following += 1;
        self.log_p += log_p;
        self.log_q += log_q;
    }

    /// Number of positions.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Mean KL(P || Q), nats.
    pub fn mean_kl(&self) -> f64 {
        self.kl / self.positions as f64
    }

    /// Share of positions whose most probable token is the same.
    pub fn same_top(&self) -> f64 {
        self.same_top as f64 / self.positions as f64
    }

    /// Perplexity of Q over that of P.
    pub fn perplexity_ratio(&self) -> f64 {
        ((self.log_p - self.log_q) / self.following as f64).exp()
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let perplexity = (-self.log_p / self.following as f64).exp();
        write!(
            f,
            "{:4} positions | mean KL {:.6}, largest {:.4} | same top {:6.2} % | perplexity {perplexity:.3}, ratio {:.5}",
            self.positions,
            self.mean_kl(),
            self.largest_kl,
            100.0 * self.same_top(),
            self.perplexity_ratio()
        )
    }
}

/// Index of the largest value, the first of several.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = i;
        }
    }
    best
}

fn log_sum_exp(values: &[f32]) -> f64 {
    let peak = f64::from(values[argmax(values)]);
    peak + values.iter().map(|&v| (f64::from(v) - peak).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_does_not_diverge_from_itself_and_does_from_another() {
        let (p, q) = ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]);
        let mut same = Divergence::default();
        same.add_full(&p, &p, Some(1));
        assert_eq!((same.mean_kl(), same.same_top(), same.perplexity_ratio()), (0.0, 1.0, 1.0));
        let mut other = Divergence::default();
        other.add_full(&p, &q, Some(0));
        // Σ pᵢ (pᵢ - qᵢ) of the logits: both have the same log-sum-exp.
        let z = p.map(|p| f64::from(p).exp()).iter().sum::<f64>();
        let expected = (3f64.exp() - 1f64.exp()) / z * 2.0;
        assert!((other.mean_kl() - expected).abs() < 1e-12);
        assert_eq!(other.same_top(), 0.0);
        assert!((other.perplexity_ratio() - (-2f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn a_truncated_reference_gives_the_divergence_of_its_outcomes() {
        let p = [1.0f32, 2.0, 3.0];
        let lse = log_sum_exp(&p);
        let log = |i: usize| (f64::from(p[i]) - lse) as f32;
        let position = Position { following: log(1), top: vec![(2, log(2)), (1, log(1))], rest: log(0).exp() };
        let mut same = Divergence::default();
        same.add(&position, &p, Some(1));
        assert!(same.mean_kl().abs() < 1e-7 && same.same_top() == 1.0);
        // Everything moved to one token that is listed: KL over the outcomes {2, 1, rest}.
        let q = [1.0f32, 5.0, 3.0];
        let (mut cut, mut full) = (Divergence::default(), Divergence::default());
        cut.add(&position, &q, None);
        full.add_full(&p, &q, None);
        assert!((cut.mean_kl() - full.mean_kl()).abs() < 1e-6, "one token is left over, so nothing is lost");
        assert_eq!(cut.same_top(), 0.0);
    }
}
