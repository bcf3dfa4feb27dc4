//! Sums over logits, fast enough to be taken over a whole vocabulary for every row.

/// ln Σ exp(value), in nats; minus infinity if there are none.
///
/// Within 1e-6 of the exact sum: the exponential is a polynomial that compilers turn into vector code.
pub(crate) fn log_sum_exp(values: &[f32]) -> f64 {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if max == f32::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    // Short runs are added in single precision, in lanes; runs are added in double.
    let run = |values: &[f32]| {
        let mut lanes = [0.0f32; 16];
        let chunks = values.chunks_exact(lanes.len());
        let rest: f32 = chunks.remainder().iter().map(|&value| exp(value - max)).sum();
        for chunk in chunks {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                *lane += exp(value - max);
            }
        }
        f64::from(rest) + lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>()
    };
    f64::from(max) + values.chunks(512).map(run).sum::<f64>().ln()
}

/// ln (e^a + e^b).
pub(crate) fn log_add(a: f64, b: f64) -> f64 {
    let (more, less) = if a > b { (a, b) } else { (b, a) };
    if less == f64::NEG_INFINITY { more } else { more + (less - more).exp().ln_1p() }
}

/// e^x for x <= 0, with a relative error below 1e-6; 0 below -87.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, and e^r by its series (Cody and Waite 1980).
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding it leaves the nearest whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.max(-87.0);
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
    let power = f32::from_bits((((n as i32) + 127) << 23) as u32);
    if x < -87.0 { 0.0 } else { series * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_agree_with_double_precision() {
        for x in (0..=8700).map(|i| -0.01 * i as f32) {
            assert!((f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs() < 1e-6, "e^{x}");
        }
        let values: Vec<f32> =
            (0..50_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e6 - 4.0).collect();
        let exact = values.iter().map(|&value| f64::from(value).exp()).sum::<f64>().ln();
        assert!((log_sum_exp(&values) - exact).abs() < 1e-6);
        assert!((log_sum_exp(&[-3e38, 1.0, f32::NEG_INFINITY]) - 1.0).abs() < 1e-6);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY]), f64::NEG_INFINITY);
    }
}
