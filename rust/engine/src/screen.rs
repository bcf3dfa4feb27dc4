//! The screened head: the tokens with the highest logits, without computing every logit.
//!
//! The head of a small model is a third to three quarters of what a decoded token reads. Stored in nibbles
//! ([`Format::Q8_0N`]), its upper ones estimate all logits at half of that traffic, and only rows that can still be among the
//! best are computed in full, with the bits that the full head gives.
//!
//! What an estimate lacks is the product of a hidden state h with a row's residual r, which is what its lower nibbles add.
//! Hidden states share a few directions. [`fit`] finds them when a model is packed, and stores for each row its residual's
//! components along them, so that their part is added exactly. The rest is a sum of many small terms of either sign. Taken
//! as random, its standard deviation is |r| |h| / sqrt(dimensions), both outside of the directions, and the estimate plus
//! [`SIGMAS`] of these is the bound that a row is judged by.
//!
//! Whoever takes tokens in the order of falling bounds can stop when the next bound is below the k-th best logit found.

pub(crate) mod fit;

use nibble_kernels::{Format, Matrix};

use crate::error::Fault;
use crate::weights::{Shape, Tensor, Weights};

/// Directions whose part is exact.
pub(crate) const DIRECTIONS: usize = 9;

/// Columns of the margins: a row's components along the directions, and the length of what is left.
pub(crate) const MARGINS: usize = DIRECTIONS + 1;

/// Standard deviations of an estimate that are allowed for. For a Gaussian, one in 10^12 is larger.
const SIGMAS: f32 = 7.0;

/// What the estimates of the head's upper nibbles lack.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Orthonormal, or zero: `[DIRECTIONS][embedding]`, F32.
    directions: Tensor,
    /// `[vocabulary][MARGINS]`, F16.
    margins: Tensor,
}

impl Screen {
    /// The names of the tensors in a packed file; no GGUF has any like them.
    const NAMES: [&str; 2] = ["output.screen.directions", "output.screen.margins"];

    /// Their formats, rows and columns, for a head of `vocabulary` rows.
    fn shapes(vocabulary: usize, embedding: usize) -> [(Format, usize, usize); 2] {
        [(Format::F32, DIRECTIONS, embedding), (Format::F16, vocabulary, MARGINS)]
    }

    /// The screen of the head in `weights`, if it is stored in nibbles; `get` finds a tensor by its name.
    pub(crate) fn collect(weights: &Weights, get: impl Fn(&str) -> Option<Tensor>) -> Result<Option<Self>, Fault> {
        let head = weights.output.matrix();
        if head.format() != Format::Q8_0N {
            return Ok(None);
        }
        let shapes = Self::shapes(head.rows(), head.cols());
        let [directions, margins] = std::array::from_fn(|i| {
            let (name, (format, rows, cols)) = (Self::NAMES[i], shapes[i]);
            let shape = Shape::Matrix { rows, cols };
            let tensor = get(name).ok_or_else(|| Fault::damaged(format!("the tensor {name} is missing")))?;
            if tensor.format() != format || tensor.shape() != shape {
                let (is, was) = (tensor.format().name(), format.name());
                let what = format!("the tensor {name} is {} of {is} and should be {shape} of {was}", tensor.shape());
                return Err(Fault::damaged(what));
            }
            Ok(tensor)
        });
        Ok(Some(Self { directions: directions?, margins: margins? }))
    }

    pub(crate) fn directions(&self) -> Matrix<'_> {
        self.directions.matrix()
    }

    pub(crate) fn margins(&self) -> Matrix<'_> {
        self.margins.matrix()
    }
}

/// The length of what the components of `x` along orthonormal directions leave of it.
fn outside(x: &[f32], components: &[f32]) -> f64 {
    let square = |x: &[f32]| x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    (square(x) - square(components)).max(0.0).sqrt()
}

/// What the margins of a hidden state are multiplied with, `[MARGINS]`: its components along the directions, and
/// [`SIGMAS`] standard deviations per length of a residual.
pub(crate) fn weigh(hidden: &[f32], components: [f32; DIRECTIONS]) -> [f32; MARGINS] {
    let per_dimension = outside(hidden, &components) / (hidden.len() as f64).sqrt();
    let mut weights = [SIGMAS * per_dimension as f32; MARGINS];
    weights[..DIRECTIONS].copy_from_slice(&components);
    weights
}
