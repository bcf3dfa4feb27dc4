//! The selection table: which function does an operation on a format on this CPU. Nothing else decides that.

use std::ops::Range;
use std::sync::LazyLock;

use crate::activation::{Activations, ActivationsMut, TILE};
use crate::attention::{Attention, KvFormat, RUN};
use crate::cpu::Tier;
use crate::format::{Format, GROUP, ShapeError};
use crate::matrix::{Matrix, OutMut};
use crate::ops::{Ops, RopeStyle};
use crate::product::Product;
use crate::scalar;
#[cfg(target_arch = "x86_64")]
use crate::{
    avx2, avx512,
    cpu::{Avx2, Avx512Vnni, AvxVnni},
};
#[cfg(target_arch = "aarch64")]
use crate::{
    cpu::{Neon, NeonDot, NeonI8mm},
    neon,
};

/// One CPU tier's functions. Every tier gives the same bits.
pub struct Kernels {
    tier: Tier,
    product: fn(Format) -> Product,
    ops: Ops,
}

/// Every variant that this CPU can run, from the lowest tier to the highest.
static TABLE: LazyLock<Vec<Kernels>> = LazyLock::new(|| {
    let mut table = vec![Kernels { tier: Tier::Scalar, product: |_| scalar::product, ops: Ops::scalar() }];
    #[cfg(target_arch = "x86_64")]
    if let Some(proof) = Avx2::detect() {
        table.push(Kernels { tier: Tier::Avx2, product: avx2::product(proof), ops: Ops::avx2(proof) });
        if let Some(vnni) = AvxVnni::detect() {
            table.push(Kernels { tier: Tier::AvxVnni, product: avx2::product_vnni(vnni), ops: Ops::avx2(proof) });
        }
        if let Some(vnni) = Avx512Vnni::detect() {
            table.push(Kernels { tier: Tier::Avx512Vnni, product: avx512::product(vnni), ops: Ops::avx512(vnni) });
        }
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(proof) = Neon::detect() {
        table.push(Kernels { tier: Tier::Neon, product: neon::product(proof), ops: Ops::neon(proof) });
        if let Some(dot) = NeonDot::detect() {
            table.push(Kernels { tier: Tier::NeonDot, product: neon::product_dot(dot), ops: Ops::neon_dot(dot) });
        }
        if let (Some(i8mm), Some(dot)) = (NeonI8mm::detect(), NeonDot::detect()) {
            table.push(Kernels { tier: Tier::NeonI8mm, product: neon::product_i8mm(i8mm), ops: Ops::neon_dot(dot) });
        }
    }
    table
});

/// Bytes of activations that are kept at hand: half of the second-level cache of a big core.
const CACHED: usize = 256 << 10;

/// The environment variable that forces a lower tier, for tests and comparisons.
const OVERRIDE: &str = "NIBBLE_TIER";

impl Kernels {
    /// The highest tier, or the one that `NIBBLE_TIER` names. A name that is unknown or a tier that this CPU lacks changes
    /// nothing: a caller who wants to say so compares [`Kernels::requested`] with [`Kernels::tier`].
    pub fn best() -> &'static Self {
        Self::choose(Self::requested().as_deref())
    }

    fn choose(requested: Option<&str>) -> &'static Self {
        let forced = requested.and_then(|name| name.parse().ok()).and_then(Self::for_tier);
        forced.unwrap_or_else(|| TABLE.last().expect("the table starts with the scalar tier"))
    }

    /// What `NIBBLE_TIER` holds, if it is set.
    pub fn requested() -> Option<String> {
        std::env::var_os(OVERRIDE).map(|name| name.to_string_lossy().into_owned())
    }

    /// The functions of a tier, None if this CPU lacks it. A tier without variants of its own gets those of the next lower
    /// one.
    pub fn for_tier(tier: Tier) -> Option<&'static Self> {
        let rank = |tier: Tier| Tier::ALL.iter().position(|&other| other == tier);
        tier.is_supported().then(|| TABLE.iter().rev().find(|kernels| rank(kernels.tier) <= rank(tier)))?
    }

    /// Every tier that this CPU has and that has variants of its own, from the scalar one up.
    pub fn available() -> impl Iterator<Item = &'static Self> {
        TABLE.iter()
    }

    /// Which tier these functions are for.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Stores activations `x`, `[tokens][cols]`, as the kind of `out`: 8-bit codes of x / d, rounded to nearest, ties to
    /// even, where d is the block's largest magnitude / 127.
    pub fn quantize(&self, x: &[f32], out: &mut ActivationsMut<'_>) -> Result<(), ShapeError> {
        ShapeError::unless_equal("length of activations", out.tokens() * out.cols(), x.len())?;
        (self.ops.quantize)(x, out);
        Ok(())
    }

    /// The product of some groups of rows of `w` with every token of `x`. `out` has exactly these groups' rows: row 0 of
    /// `out` is row `groups.start * GROUP` of `w`. The weights are streamed once, whatever the number of tokens (up to a
    /// few hundred).
    ///
    /// The bits of an output depend on its row and its token only: not on how rows or tokens are divided among calls, nor
    /// on the tier.
    pub fn matmul(
        &self,
        w: &Matrix<'_>,
        groups: Range<usize>,
        x: &Activations<'_>,
        out: &mut OutMut<'_>,
    ) -> Result<(), ShapeError> {
        if groups.start > groups.end || groups.end > w.groups() {
            return Err(ShapeError::new("end of the range of groups, at most", w.groups(), groups.end));
        }
        if x.kind() != w.format().activation() {
            let blocks = (w.format().activation().block(), x.kind().block());
            return Err(ShapeError::new("block of the activations", blocks.0, blocks.1));
        }
        ShapeError::unless_equal("columns of the activations", w.cols(), x.cols())?;
        ShapeError::unless_equal("tokens of the output", x.tokens(), out.tokens())?;
        let rows = (groups.end * GROUP).min(w.rows()).saturating_sub(groups.start * GROUP);
        ShapeError::unless_equal("rows of the output", rows, out.rows())?;
        // As many tokens at a time as stay in half of a second-level cache while the weights go by.
        let product = (self.product)(w.format());
        let run = (CACHED / x.token_bytes().max(1) / TILE).max(1) * TILE;
        for first in (0..x.tokens()).step_by(run) {
            product(w, groups.clone(), x, first..(first + run).min(x.tokens()), out.reborrow());
        }
        Ok(())
    }

    /// `x[i] *= weight[i] / sqrt(mean of x^2 + eps)` for one row (Zhang and Sennrich, 2019).
    ///
    /// # Panics
    /// If the lengths differ, as all operations below do.
    pub fn rms_norm(&self, x: &mut [f32], weight: &[f32], eps: f32) {
        same_length(x.len(), weight.len());
        (self.ops.rms_norm)(x, weight, eps);
    }

    /// The largest `16 * estimates[i] + margins[i]` of each group of [`GROUP`] rows, the last one perhaps not full; infinity
    /// where one is not finite. There are as many `bounds` as groups.
    pub fn group_bounds(&self, estimates: &[f32], margins: &[f32], bounds: &mut [f32]) {
        same_length(estimates.len(), margins.len());
        same_length(estimates.len().div_ceil(GROUP), bounds.len());
        (self.ops.group_bounds)(estimates, margins, bounds);
    }

    /// `x[i] += y[i]`
    pub fn add(&self, x: &mut [f32], y: &[f32]) {
        same_length(x.len(), y.len());
        (self.ops.add)(x, y);
    }

    /// `x[i] *= factor`
    pub fn scale(&self, x: &mut [f32], factor: f32) {
        (self.ops.scale)(x, factor);
    }

    /// Rotates the first `2 * cos.len()` elements of one head, pair by pair, by the angles whose cosines and sines are
    /// given (Su et al., RoFormer, 2021).
    ///
    /// # Panics
    /// If `cos` and `sin` differ in length, or the head is shorter than the pairs.
    pub fn rope(&self, x: &mut [f32], cos: &[f32], sin: &[f32], style: RopeStyle) {
        same_length(cos.len(), sin.len());
        (self.ops.rope)(&mut x[..2 * cos.len()], cos, sin, style);
    }

    /// `gate[i] = silu(gate[i]) * up[i]`, with silu(x) = x / (1 + e^-x).
    pub fn silu_mul(&self, gate: &mut [f32], up: &[f32]) {
        same_length(gate.len(), up.len());
        (self.ops.silu_mul)(gate, up);
    }

    /// `gate[i] = gelu(gate[i]) * up[i]`, in the tanh approximation (Hendrycks and Gimpel, 2016).
    pub fn gelu_mul(&self, gate: &mut [f32], up: &[f32]) {
        same_length(gate.len(), up.len());
        (self.ops.gelu_mul)(gate, up);
    }

    /// `x[i] = e^x[i] / sum of e^x[j]`, computed from the largest down.
    pub fn softmax(&self, x: &mut [f32]) {
        (self.ops.softmax)(x);
    }

    /// The logarithm of the sum of `e^x[i]`; minus infinity if `x` is empty. `x[i] - log_sum_exp(x)` is a log-probability.
    pub fn log_sum_exp(&self, x: &[f32]) -> f32 {
        (self.ops.log_sum_exp)(x)
    }

    /// To half precision, to the nearest, ties to even.
    pub fn f32_to_f16(&self, x: &[f32], out: &mut [u16]) {
        same_length(x.len(), out.len());
        (self.ops.f32_to_f16)(x, out);
    }

    /// A row of keys or values as a cache keeps it, in as many halves as [`KvFormat::row`] says.
    ///
    /// # Errors
    /// When the row is no whole number of the format's blocks.
    pub fn store(&self, format: KvFormat, x: &[f32], out: &mut [u16]) -> Result<(), ShapeError> {
        let Some(stored) = format.row(x.len()) else {
            return Err(ShapeError::new("length of a row, as a multiple", RUN, x.len()));
        };
        ShapeError::unless_equal("halves of a stored row", stored, out.len())?;
        match format {
            KvFormat::F16 => (self.ops.f32_to_f16)(x, out),
            KvFormat::Q8_0 => (self.ops.f32_to_q8)(x, out),
        }
        Ok(())
    }

    /// To single precision, exactly.
    pub fn f16_to_f32(&self, x: &[u16], out: &mut [f32]) {
        same_length(x.len(), out.len());
        (self.ops.f16_to_f32)(x, out);
    }

    /// Attention: for every row and head, `out = sum over the positions p it sees of softmax(scale * q . k[p]) * v[p]`.
    ///
    /// Head h of row r is written to `r * stride + h * head_dim` of `out`. `scratch` has at least [`Attention::scratch`]
    /// floats. A row sees at least one position. The bits of an output depend on its query and on what it sees only.
    pub fn attend(
        &self,
        attention: &Attention<'_>,
        scratch: &mut [f32],
        out: &mut [f32],
        stride: usize,
    ) -> Result<(), ShapeError> {
        attention.check(scratch.len(), out.len(), stride)?;
        (self.ops.attend)(attention, scratch, out, stride);
        Ok(())
    }
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kernels({})", self.tier)
    }
}

#[track_caller]
fn same_length(wanted: usize, got: usize) {
    assert_eq!(wanted, got, "two slices of one operation differ in length");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_tier_is_chosen_and_a_lower_one_can_be_forced() {
        let highest = Kernels::available().last().unwrap().tier();
        assert_eq!(Kernels::choose(None).tier(), highest);
        assert_eq!(Kernels::choose(Some("sse9")).tier(), highest);
        for tier in Tier::ALL {
            let chosen = Kernels::choose(Some(tier.name())).tier();
            let has_variants = Kernels::available().any(|kernels| kernels.tier() == tier);
            assert!(chosen == if has_variants { tier } else { highest }, "{tier} gave {chosen}");
        }
    }

    #[test]
    fn every_tier_of_this_cpu_has_functions() {
        for tier in Tier::ALL {
            let kernels = Kernels::for_tier(tier);
            assert_eq!(kernels.is_some(), tier.is_supported(), "{tier}");
            assert!(kernels.is_none_or(|kernels| kernels.tier().is_supported()), "{tier}");
        }
        assert_eq!(Kernels::available().next().map(Kernels::tier), Some(Tier::Scalar));
    }

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn the_best_multiplications_that_the_cpu_has_are_used() {
        let tier = match () {
            () if std::arch::is_aarch64_feature_detected!("i8mm") => Tier::NeonI8mm,
            () if std::arch::is_aarch64_feature_detected!("dotprod") => Tier::NeonDot,
            () => Tier::Neon,
        };
        assert_eq!(Kernels::choose(None).tier(), tier);
    }
}
