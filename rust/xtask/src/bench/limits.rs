//! The limits that speeds are held against: what this machine can do, and what the model asks of it for each token.

use super::weights::Weights;
use crate::shell::{self, Result};
use serde::{Deserialize, Serialize};

/// What so many threads of this machine do at best, as `rust/kernels/benches/limits.rs` measures it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Limits {
    pub tier: String,
    /// Memory that is read, in 10^9 bytes a second.
    pub read_gb_per_s: f64,
    /// Multiplications of 8-bit integers, each with its addition, in registers: 10^9 a second.
    pub gmac_per_s: Option<f64>,
    /// What multiplies.
    pub instructions: Option<String>,
}

/// What a model's speed cannot exceed, in tokens per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// By reading every weight once a token. A head that is not computed whole reads less.
    pub decode_tps: f64,
    /// By the multiplications of the layers' matrices; those of attention are not counted.
    pub prefill_tps: Option<f64>,
}

impl Limits {
    /// Measures them.
    pub fn measure(threads: u16) -> Result<Self> {
        let mut bench = shell::cargo();
        bench.args(["bench", "--quiet", "-p", "nibble-kernels", "--bench", "limits", "--", &threads.to_string()]);
        let json = shell::output(&mut bench)?;
        serde_json::from_str(&json).map_err(|error| format!("{}: {error} in {json}", shell::line(&bench)))
    }

    /// The higher ones of two measurements: a disturbed one is too low.
    pub fn or_higher(self, other: Self) -> Self {
        Self {
            read_gb_per_s: self.read_gb_per_s.max(other.read_gb_per_s),
            gmac_per_s: self.gmac_per_s.zip(other.gmac_per_s).map(|(a, b)| a.max(b)),
            ..self
        }
    }

    /// What they come to for a model.
    pub fn bounds(&self, weights: &Weights) -> Bounds {
        Bounds {
            decode_tps: self.read_gb_per_s * 1e9 / weights.bytes_per_token() as f64,
            prefill_tps: self.gmac_per_s.map(|rate| rate * 1e9 / weights.layer_macs as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(read_gb_per_s: f64, gmac_per_s: Option<f64>) -> Limits {
        Limits { tier: "avx2".to_owned(), read_gb_per_s, gmac_per_s, instructions: None }
    }

    #[test]
    fn bounds_are_rates_over_what_a_token_takes() {
        let weights = Weights { layer_bytes: 60_000_000, head_bytes: 40_000_000, layer_macs: 100_000_000 };
        let bounds = limits(20.0, Some(150.0)).bounds(&weights);
        assert_eq!(bounds, Bounds { decode_tps: 200.0, prefill_tps: Some(1500.0) });
        assert_eq!(limits(20.0, None).bounds(&weights).prefill_tps, None);
    }

    #[test]
    fn the_higher_rate_counts() {
        let higher = limits(20.0, Some(100.0)).or_higher(limits(10.0, Some(150.0)));
        assert_eq!(higher, limits(20.0, Some(150.0)));
    }

    #[test]
    fn what_the_benchmark_prints_is_read() {
        let json = r#"{"tier":"scalar","threads":1,"read_gb_per_s":20.5,"gmac_per_s":null,"instructions":null}"#;
        let expected = Limits { tier: "scalar".to_owned(), ..limits(20.5, None) };
        assert_eq!(serde_json::from_str::<Limits>(json).unwrap(), expected);
    }
}
