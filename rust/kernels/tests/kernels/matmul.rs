//! Matrix products: right, and the same bits on every tier however the work is divided.

use crate::support::{Fill, Packed, Random, difference, multiply, quantize, scalar, source, values, variants};
use nibble_kernels::{Activations, ActivationsMut, Format, GROUP, Kernels, OutMut, TILE};
use proptest::prelude::*;

const FILLS: [Fill; 6] =
    [Fill::Random, Fill::Codes(0), Fill::Codes(0xff), Fill::Codes(0x80), Fill::ZeroScales, Fill::HugeScales];

/// Activations that reach the extreme codes in long runs, or anything.
fn inputs(random: &mut Random, n: usize) -> Vec<f32> {
    match random.next() % 4 {
        0 => vec![1.0; n],
        1 => (0..n).map(|i| if i % 2 == 0 { -3.0 } else { 3.0 }).collect(),
        2 => (0..n).map(|i| if i / 32 % 3 == 0 { 0.0 } else { random.float() * 1e4 }).collect(),
        _ => random.floats(n),
    }
}

fn check(format: Format, rows: usize, cols: usize, tokens: usize, fill: Fill, seed: u64) {
    let mut random = Random(seed);
    let packed = Packed::new(format, rows, cols, &source(format, rows, cols, fill, &mut random));
    let x = inputs(&mut random, tokens * cols);
    let wanted = multiply(scalar(), &packed, &x);
    for kernels in variants() {
        let got = multiply(kernels, &packed, &x);
        let difference = difference(&wanted, &got);
        let (name, tier) = (format.name(), kernels.tier());
        assert_eq!(difference, None, "{name} on {tier}, {rows} x {cols}, {tokens} tokens, {fill:?}");
    }
}

#[test]
fn every_tier_gives_the_same_bits() {
    for format in Format::ALL {
        for (i, cols) in [256, 576, 640, 1536, 2048].into_iter().enumerate() {
            if cols % format.block() == 0 {
                check(format, 16 + 5 * i, cols, 1 + 2 * i, Fill::Random, i as u64);
            }
        }
        for (i, fill) in FILLS.into_iter().enumerate() {
            for tokens in [1, 2, 3, 4, 5, 9, 18] {
                check(format, 23, 512, tokens, fill, i as u64);
            }
        }
        // So long that a group is not unpacked ahead, however many tokens there are.
        check(format, 5, 8192, 17, Fill::Random, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_tier_gives_the_same_bits_on_any_shape(
        seed: u64, format in 0..Format::ALL.len(), rows in 1usize..50, cols in 1usize..40, tokens in 1usize..20, fill in 0..FILLS.len(),
    ) {
        let format = Format::ALL[format];
        let cols = if format.block() == 256 { 256 * cols.div_ceil(10) } else { cols * format.block() };
        check(format, rows, cols, tokens, FILLS[fill], seed);
    }
}

#[test]
fn a_product_is_that_of_the_dequantized_values() {
    let (rows, cols, tokens) = (20, 512, 3);
    for format in Format::ALL {
        let mut random = Random(7);
        let source = source(format, rows, cols, Fill::Random, &mut random);
        let (packed, values) = (Packed::new(format, rows, cols, &source), values(format, &source));
        // One-hot identity weights of the same activation kind give the quantized activations back.
        let x = random.floats(tokens * cols);
        let mut seen = x.clone();
        let block = packed.matrix().format().activation();
        let block = match block {
            nibble_kernels::ActivationKind::Q8 => 32,
            nibble_kernels::ActivationKind::Q8K => 256,
            nibble_kernels::ActivationKind::F32 => 1,
        };
        if block > 1 {
            for x in seen.chunks_exact_mut(block) {
                let d = x.iter().fold(0.0f32, |max, x| max.max(x.abs())) / 127.0;
                x.iter_mut().for_each(|x| *x = (*x * (1.0 / d)).round_ties_even() * d);
            }
        }
        for kernels in Kernels::available() {
            for (i, got) in multiply(kernels, &packed, &x).into_iter().enumerate() {
                let (token, row) = (i / rows, i % rows);
                let products = (0..cols).map(|c| f64::from(values[row * cols + c]) * f64::from(seen[token * cols + c]));
                let (wanted, size) = products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()));
                let error = (f64::from(got) - wanted).abs() / size;
                assert!(error < 1e-6, "{} on {}: {got} for {wanted}", format.name(), kernels.tier());
            }
        }
    }
}

#[test]
fn dividing_the_work_changes_no_bit() {
    let (rows, cols, tokens) = (70, 512, 11);
    for format in Format::ALL {
        let mut random = Random(3);
        let packed = Packed::new(format, rows, cols, &source(format, rows, cols, Fill::Random, &mut random));
        let x = random.floats(tokens * cols);
        let (w, kind) = (packed.matrix(), format.activation());
        for kernels in Kernels::available() {
            let whole = multiply(kernels, &packed, &x);

            // Rows in two ranges, quantization in two parts.
            let mut bytes = vec![0; Activations::bytes(kind, tokens, cols)];
            let mut activations = ActivationsMut::new(kind, tokens, cols, &mut bytes).unwrap();
            let (mut first, mut second) = activations.reborrow().split_tiles(2);
            assert_eq!(first.tokens(), 2 * TILE);
            kernels.quantize(&x[..first.tokens() * cols], &mut first).unwrap();
            kernels.quantize(&x[2 * TILE * cols..], &mut second).unwrap();
            let mut out = vec![f32::NAN; tokens * rows];
            let (mut top, mut bottom) = OutMut::new(&mut out, tokens, rows).unwrap().split_rows(2 * GROUP);
            let activations = activations.as_ref();
            kernels.matmul(&w, 2..w.groups(), &activations, &mut bottom).unwrap();
            kernels.matmul(&w, 0..2, &activations, &mut top).unwrap();
            assert_eq!(difference(&whole, &out), None, "{} by rows on {}", format.name(), kernels.tier());

            // Token by token.
            let single: Vec<f32> = x.chunks_exact(cols).flat_map(|x| multiply(kernels, &packed, x)).collect();
            assert_eq!(difference(&whole, &single), None, "{} by tokens on {}", format.name(), kernels.tier());
        }
    }
}

#[test]
fn every_tier_quantizes_alike() {
    let mut random = Random(11);
    let tiny = [f32::MIN_POSITIVE, -f32::from_bits(1), 0.0, f32::from_bits(77)];
    let special = [f32::NAN, f32::INFINITY, -f32::INFINITY, f32::MAX, 1.0, -0.0];
    for format in [Format::Q4_0, Format::Q4_K, Format::F32] {
        for tokens in 1..=6 {
            let n = tokens * 512;
            let ties = (0..n).map(|i| if i % 32 == 0 { 127.0 } else { i as f32 % 64.0 - 31.5 }).collect();
            let cycle = |values: &[f32]| (0..n).map(|i| values[i * 7 % values.len()]).collect();
            for x in [random.floats(n), ties, cycle(&tiny), cycle(&special), vec![0.0; n]] {
                let wanted = quantize(scalar(), format, 512, &x);
                for kernels in variants() {
                    assert!(wanted == quantize(kernels, format, 512, &x), "{} on {}", format.name(), kernels.tier());
                }
            }
        }
    }
}

#[test]
fn activations_too_small_to_scale_count_as_zero() {
    let packed = Packed::new(Format::Q8_0, 1, 32, &source(Format::Q8_0, 1, 32, Fill::Random, &mut Random(1)));
    assert_eq!(multiply(scalar(), &packed, &[1e-40; 32]), [0.0]);
}

#[test]
fn wrong_shapes_are_errors() {
    let format = Format::Q4_0;
    let packed = Packed::new(format, 40, 64, &source(format, 40, 64, Fill::Random, &mut Random(1)));
    let (w, kind, other) = (packed.matrix(), format.activation(), Format::Q4_K.activation());
    let kernels = Kernels::best();
    let mut bytes = vec![0; Activations::bytes(other, 2, 256)];
    assert!(ActivationsMut::new(kind, 2, 33, &mut bytes).is_err());
    assert!(ActivationsMut::new(kind, 2, 1 << 20, &mut bytes).is_err());
    assert!(ActivationsMut::new(kind, usize::MAX, 64, &mut bytes).is_err());

    let mut out = vec![0.0; 80];
    assert!(OutMut::new(&mut out, 2, 41).is_err());
    let mut try_all = |kind, tokens, cols, groups, rows| {
        let activations = ActivationsMut::new(kind, tokens, cols, &mut bytes).unwrap();
        let (mut out, _) = OutMut::new(&mut out, 2, 40).unwrap().split_rows(rows);
        kernels.matmul(&w, groups, &activations.as_ref(), &mut out)
    };
    assert!(try_all(kind, 2, 64, 0..3, 40).is_ok());
    assert!(try_all(kind, 2, 64, 0..3, 39).is_err());
    assert!(try_all(kind, 2, 64, 0..2, 32).is_ok());
    assert!(try_all(kind, 2, 64, 0..2, 40).is_err());
    assert!(try_all(kind, 2, 64, 0..4, 40).is_err());
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = 2..1;
    assert!(try_all(kind, 2, 64, backwards, 0).is_err());
    assert!(try_all(kind, 1, 64, 0..3, 40).is_err());
    assert!(try_all(kind, 2, 96, 0..3, 40).is_err());
    assert!(try_all(other, 2, 256, 0..3, 40).is_err());

    let mut activations = ActivationsMut::new(kind, 2, 64, &mut bytes).unwrap();
    assert!(kernels.quantize(&[0.0; 127], &mut activations).is_err());
}
