//! The angles of rotary position embedding (Su et al. 2021, arXiv 2104.09864) for the rows of a batch.

use crate::Config;
use crate::mmap::zeros;

/// Cosines and sines for every row of a batch and every base that the model's layers use.
pub(crate) struct Rotations {
    bases: Vec<Rotation>,
    pairs: usize,
}

struct Rotation {
    /// Angle per position of each pair, in radians, `[pairs]`.
    frequencies: Vec<f64>,
    /// `[row][pairs]`
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotations {
    /// Room for `rows` rows; `None` where there is no memory for them. `factors`, `[pairs]`, divide the frequencies of every base
    /// where the model file has them.
    pub fn new(config: &Config, factors: Option<&[f32]>, rows: usize) -> Option<Self> {
        let pairs = config.rope_dimensions / 2;
        let rotation = |rope: &crate::config::Rope| {
            let frequency = |i: usize| {
                let frequency = f64::from(rope.base).powf(-(i as f64) / pairs as f64) / f64::from(rope.scale);
                frequency / factors.map_or(1.0, |factors| f64::from(factors[i]))
            };
            let angles = || zeros(rows.checked_mul(pairs)?);
            Some(Rotation { frequencies: (0..pairs).map(frequency).collect(), cos: angles()?, sin: angles()? })
        };
        Some(Self { bases: config.ropes.iter().map(rotation).collect::<Option<_>>()?, pairs })
    }

    /// Bytes of the angles of the largest batch.
    pub fn memory(&self) -> usize {
        self.bases.iter().map(|base| size_of_val(&base.cos[..]) + size_of_val(&base.sin[..])).sum()
    }

    /// Computes the angles of a batch's rows from their positions.
    pub fn turn_to(&mut self, positions: impl Iterator<Item = usize>) {
        for (row, position) in positions.enumerate() {
            for rotation in &mut self.bases {
                let range = row * self.pairs..(row + 1) * self.pairs;
                let angles = rotation.cos[range.clone()].iter_mut().zip(&mut rotation.sin[range]);
                for ((cos, sin), frequency) in angles.zip(&rotation.frequencies) {
                    let (s, c) = (position as f64 * frequency).sin_cos();
                    (*cos, *sin) = (c as f32, s as f32);
                }
            }
        }
    }

    /// Cosines and sines, `[pairs]` each, for base number `base` and a row of the batch.
    pub fn at(&self, base: usize, row: usize) -> (&[f32], &[f32]) {
        let range = row * self.pairs..(row + 1) * self.pairs;
        (&self.bases[base].cos[range.clone()], &self.bases[base].sin[range])
    }
}
