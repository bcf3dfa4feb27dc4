//! Vector operations: right against double precision, and the same bits on every tier.
#![allow(clippy::single_range_in_vec_init, reason = "a row sees a range of positions")]

use nibble_kernels::{Attention, GROUP, Kernels, KvFormat, RopeStyle, Segments};
use proptest::prelude::*;

use crate::support::{Random, difference, scalar, variants};

/// Values of all magnitudes, zeros, the edges of the range and what is not finite.
const EDGES: [f32; 18] = [
    0.0,
    -0.0,
    1e-45,
    -1e-45,
    f32::MIN_POSITIVE,
    5.96e-8,
    6.1e-5,
    1.0,
    -1.0,
    88.7,
    -103.9,
    65504.0,
    65520.0,
    1e30,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
];

fn check_all(seed: u64, n: usize, edges: bool) {
    let mut random = Random(seed);
    let mut values = |n: usize| -> Vec<f32> {
        (0..n)
            .map(|_| match random.next() % 4 {
                0 if edges => EDGES[(random.next() % EDGES.len() as u64) as usize],
                _ => random.float() * 20.0,
            })
            .collect()
    };
    let (x, y, w) = (values(n), values(n), values(n));
    let run = |kernels: &Kernels| {
        let mut results = Vec::new();
        let mut keep = |name: &'static str, f: &dyn Fn(&mut [f32])| {
            let mut out = x.clone();
            f(&mut out);
            results.push((name, out));
        };
        keep("rms_norm", &|out| kernels.rms_norm(out, &w, 1e-5));
        keep("add", &|out| kernels.add(out, &y));
        keep("scale", &|out| kernels.scale(out, 0.3));
        for style in [RopeStyle::Interleaved, RopeStyle::Halves] {
            keep("rope", &|out| kernels.rope(out, &y[..n / 2], &w[..n / 2], style));
        }
        keep("silu_mul", &|out| kernels.silu_mul(out, &y));
        keep("gelu_mul", &|out| kernels.gelu_mul(out, &y));
        keep("softmax", &|out| kernels.softmax(out));
        keep("log_sum_exp", &|out| out.fill(kernels.log_sum_exp(&x)));
        keep("group_bounds", &|out| {
            let groups = n.div_ceil(GROUP);
            kernels.group_bounds(&x, &y, &mut out[..groups]);
            for (bound, (x, y)) in out.iter().zip(x.chunks(GROUP).zip(y.chunks(GROUP))) {
                let rows: Vec<f32> = x.iter().zip(y).map(|(x, y)| x.mul_add(16.0, *y)).collect();
                let finite = rows.iter().all(|row| row.is_finite());
                let largest = rows.into_iter().fold(f32::NEG_INFINITY, f32::max);
                assert_eq!(*bound, if finite { largest } else { f32::INFINITY });
            }
        });
        keep("f16", &|out| {
            let mut halves = vec![0; n];
            kernels.f32_to_f16(&x, &mut halves);
            kernels.f16_to_f32(&halves, out);
        });
        results
    };
    let wanted = run(scalar());
    for kernels in variants() {
        for ((name, wanted), (_, got)) in wanted.iter().zip(run(kernels)) {
            assert_eq!(difference(wanted, &got), None, "{name} of {n} on {}", kernels.tier());
        }
    }
}

#[test]
fn rows_whose_sum_overflows_have_a_bound() {
    for (rows, wanted) in [
        (vec![f32::MAX; 3], f32::MAX),
        (vec![f32::MIN; 3], f32::MIN),
        ([[f32::MAX; 8], [f32::MIN; 8]].concat(), f32::MAX),
        (vec![f32::MAX, f32::NEG_INFINITY], f32::INFINITY),
        (vec![1.0, f32::NAN], f32::INFINITY),
    ] {
        for kernels in variants() {
            let mut bound = [0.0];
            kernels.group_bounds(&vec![0.0; rows.len()], &rows, &mut bound);
            assert_eq!(bound, [wanted], "{rows:?} on {}", kernels.tier());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_tier_gives_the_same_bits(seed: u64, n in 1usize..300, edges: bool) {
        check_all(seed, n, edges);
    }

    #[test]
    fn every_tier_attends_alike(
        seed: u64, heads in 1usize..7, head_dim in 1usize..100, runs in 1usize..6,
        cuts in prop::collection::vec(0usize..40, 1..4),
    ) {
        for (format, head_dim) in [(KvFormat::F16, head_dim), (KvFormat::Q8_0, 32 * runs)] {
            let wanted = attend(scalar(), format, seed, heads, head_dim, &cuts);
            for kernels in variants() {
                let got = attend(kernels, format, seed, heads, head_dim, &cuts);
                prop_assert_eq!(difference(&wanted, &got), None, "{:?} on {}", format, kernels.tier());
            }
        }
    }
}

/// Attention of one row over segments of random rows, one more position than `cuts` adds up to.
fn attend(kernels: &Kernels, format: KvFormat, seed: u64, heads: usize, head_dim: usize, cuts: &[usize]) -> Vec<f32> {
    let (queries, keys, values) = attention_inputs(format, seed, heads, head_dim, cuts);
    let stored = format.row(head_dim).unwrap();
    let positions = cuts.iter().sum::<usize>() + 1;
    let segments = |rows: &[u16]| {
        let mut rest = rows;
        let mut segments = Vec::new();
        for &cut in cuts {
            let (segment, others) = rest.split_at(cut * stored);
            segments.push(segment.to_vec());
            rest = others;
        }
        segments.push(rest.to_vec());
        segments
    };
    let (keys, values) = (segments(&keys), segments(&values));
    let keys: Vec<&[u16]> = keys.iter().map(Vec::as_slice).collect();
    let values: Vec<&[u16]> = values.iter().map(Vec::as_slice).collect();
    let stride = heads * head_dim;
    let attention = Attention {
        queries: &queries,
        stride,
        heads,
        head_dim,
        scale: 0.125,
        format,
        shared: Segments { keys: &keys, values: &values },
        own: &[],
        seen: &[0..positions],
    };
    run(kernels, &attention, positions, stride)
}

fn run(kernels: &Kernels, attention: &Attention<'_>, positions: usize, stride: usize) -> Vec<f32> {
    let rows = attention.seen.len();
    let mut scratch = vec![f32::NAN; Attention::scratch(rows, attention.heads, attention.head_dim, positions)];
    let mut out = vec![f32::NAN; rows * stride];
    kernels.attend(attention, &mut scratch, &mut out, stride).unwrap();
    out
}

fn attention_inputs(
    format: KvFormat,
    seed: u64,
    heads: usize,
    head_dim: usize,
    cuts: &[usize],
) -> (Vec<f32>, Vec<u16>, Vec<u16>) {
    let mut random = Random(seed);
    let positions = cuts.iter().sum::<usize>() + 1;
    let mut rows = || {
        let mut stored = vec![0; positions * format.row(head_dim).unwrap()];
        scalar().store(format, &random.floats(positions * head_dim), &mut stored).unwrap();
        stored
    };
    let (keys, values) = (rows(), rows());
    (random.floats(heads * head_dim), keys, values)
}

/// Stored rows as floats.
fn widened(format: KvFormat, stored: &[u16]) -> Vec<f32> {
    let mut halves = vec![0.0; stored.len()];
    scalar().f16_to_f32(stored, &mut halves);
    match format {
        KvFormat::F16 => halves,
        KvFormat::Q8_0 => {
            let runs = stored.chunks(17).zip(halves.iter().step_by(17));
            runs.flat_map(|(run, d)| {
                let codes = run[1..].iter().flat_map(|two| two.to_le_bytes());
                codes.map(move |code| f32::from(code.cast_signed()) * d)
            })
            .collect()
        }
    }
}

#[test]
fn attention_is_the_softmax_of_the_scores_times_the_values() {
    for format in [KvFormat::F16, KvFormat::Q8_0] {
        for (heads, head_dim, cuts) in
            [(3, 64, vec![5, 2]), (4, 256, vec![7, 30]), (1, 96, vec![0, 3]), (5, 32, vec![0]), (1, 20, vec![0, 3])]
        {
            if format.row(head_dim).is_some() {
                check_softmax(format, heads, head_dim, &cuts);
            }
        }
    }
}

/// Against double precision. A score in 8 bits takes the query as it is after a round trip through them.
fn check_softmax(format: KvFormat, heads: usize, head_dim: usize, cuts: &[usize]) {
    let (queries, keys, values) = attention_inputs(format, 5, heads, head_dim, cuts);
    let (keys, values) = (widened(format, &keys), widened(format, &values));
    let seen_queries = match format {
        KvFormat::F16 => queries,
        KvFormat::Q8_0 => queries.chunks(32).flat_map(in_steps).collect(),
    };
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    for kernels in Kernels::available() {
        let got = attend(kernels, format, 5, heads, head_dim, cuts);
        for (query, got) in seen_queries.chunks(head_dim).zip(got.chunks(head_dim)) {
            let weights: Vec<f64> = keys.chunks(head_dim).map(|key| (0.125 * dot(query, key)).exp()).collect();
            let total: f64 = weights.iter().sum();
            for (d, got) in got.iter().enumerate() {
                let column = values.iter().skip(d).step_by(head_dim);
                let wanted = column.zip(&weights).map(|(v, w)| f64::from(*v) * w).sum::<f64>() / total;
                assert!((wanted - f64::from(*got)).abs() < 1e-6, "{got} for {wanted} on {}", kernels.tier());
            }
        }
    }
}

/// Each as the nearest of 127 steps up to the largest magnitude.
fn in_steps(run: &[f32]) -> Vec<f32> {
    let d = run.iter().fold(0.0f32, |largest, x| largest.max(x.abs())) / 127.0;
    run.iter().map(|x| (x * (1.0 / d)).round_ties_even() * d).collect()
}

#[test]
fn one_segment_or_several_is_the_same_attention() {
    let whole = attend(scalar(), KvFormat::F16, 9, 3, 64, &[0]);
    assert_eq!(whole.len(), 192);
    for (kernels, format) in Kernels::available().flat_map(|k| [(k, KvFormat::F16), (k, KvFormat::Q8_0)]) {
        let one = attend(kernels, format, 9, 3, 64, &[11]);
        let several = attend(kernels, format, 9, 3, 64, &[4, 0, 7]);
        assert_eq!(difference(&one, &several), None, "{format:?} on {}", kernels.tier());
    }
}

#[test]
fn rows_attend_together_as_they_do_alone() {
    // Forty positions, more than two blocks; rows see a prefix, a window, the whole, a single one.
    let seen = [5..21, 0..3, 0..16, 0..40, 39..40, 17..36];
    let heads = [(1, 64), (3, 64), (4, 256), (2, 20), (1, 100)];
    for (rows, (heads, head_dim)) in [1, 2, seen.len()].into_iter().flat_map(|rows| heads.map(|heads| (rows, heads))) {
        let seen = &seen[..rows];
        let (row, stride) = (heads * head_dim, heads * head_dim + 7);
        let mut random = Random(11);
        let queries = random.floats(seen.len() * stride);
        let mut halves = || {
            let mut halves = vec![0; 40 * head_dim];
            scalar().f32_to_f16(&random.floats(40 * head_dim), &mut halves);
            halves
        };
        let (keys, values) = (halves(), halves());
        let attention = Attention {
            queries: &queries,
            stride,
            heads,
            head_dim,
            scale: 0.3,
            format: KvFormat::F16,
            shared: Segments { keys: &[&keys], values: &[&values] },
            own: &[],
            seen,
        };
        for kernels in Kernels::available() {
            let together = run(kernels, &attention, 40, stride);
            for (r, range) in seen.iter().enumerate() {
                let range_of = range.start * head_dim..range.end * head_dim;
                let alone = Attention {
                    queries: &queries[r * stride..],
                    shared: Segments { keys: &[&keys[range_of.clone()]], values: &[&values[range_of]] },
                    seen: &[0..range.len()],
                    ..attention
                };
                let alone = run(scalar(), &alone, range.len(), stride);
                let got = &together[r * stride..][..row];
                assert_eq!(difference(&alone[..row], got), None, "row {r} on {}", kernels.tier());
            }
        }
    }
}

#[test]
fn branches_attend_together_as_they_do_alone() {
    // A prefix in two pieces of 21 positions together, and four rows: with none, one, three and twenty positions of their own.
    let own = [(0..0, 3..21), (0..1, 0..22), (1..4, 5..24), (4..24, 22..41)];
    for (format, heads, head_dim) in
        [(KvFormat::F16, 3, 64), (KvFormat::F16, 2, 20), (KvFormat::Q8_0, 3, 64), (KvFormat::Q8_0, 4, 256)]
    {
        let (row, stored) = (heads * head_dim, format.row(head_dim).unwrap());
        let mut random = Random(17);
        let queries = random.floats(own.len() * row);
        let mut rows = |n: usize| {
            let mut rows = vec![0; n * stored];
            for row in rows.chunks_exact_mut(stored) {
                scalar().store(format, &random.floats(head_dim), row).unwrap();
            }
            rows
        };
        let [keys, values, own_keys, own_values] = [21, 21, 24, 24].map(&mut rows);
        let ranges = own.clone().map(|(range, _)| range.start * stored..range.end * stored);
        let pieces = ranges.map(|range| ([&own_keys[range.clone()]], [&own_values[range]]));
        let segments = pieces.each_ref().map(|(keys, values)| Segments { keys, values });
        let seen = own.clone().map(|(_, seen)| seen);
        let cut = 9 * stored;
        let attention = Attention {
            queries: &queries,
            stride: row,
            heads,
            head_dim,
            scale: 0.2,
            format,
            shared: Segments { keys: &[&keys[..cut], &keys[cut..]], values: &[&values[..cut], &values[cut..]] },
            own: &segments,
            seen: &seen,
        };
        for kernels in Kernels::available() {
            let together = run(kernels, &attention, 41, row);
            for (r, (keys_alone, values_alone)) in pieces.iter().enumerate() {
                let alone = Attention {
                    queries: &queries[r * row..],
                    shared: Segments { keys: &[&keys, keys_alone[0]], values: &[&values, values_alone[0]] },
                    own: &[],
                    seen: &seen[r..=r],
                    ..attention
                };
                let wanted = run(scalar(), &alone, 41, row);
                let got = run(kernels, &alone, 41, row);
                assert_eq!(difference(&wanted, &got), None, "row {r} alone on {}", kernels.tier());
                assert_eq!(difference(&wanted, &together[r * row..][..row]), None, "row {r} on {}", kernels.tier());
            }
        }
    }
}

#[test]
fn stored_rows_are_within_half_a_step() {
    for kernels in Kernels::available() {
        let mut random = Random(3);
        let x: Vec<f32> = random.floats(64).into_iter().chain([0.0; 32]).collect();
        let mut stored = vec![0; 51];
        kernels.store(KvFormat::Q8_0, &x, &mut stored).unwrap();
        let mut expected = vec![0; 51];
        scalar().store(KvFormat::Q8_0, &x, &mut expected).unwrap();
        assert_eq!(stored, expected, "{}", kernels.tier());
        // One position's value comes out as it was stored.
        let query = vec![0.0; 96];
        let attention = Attention {
            queries: &query,
            stride: 96,
            heads: 1,
            head_dim: 96,
            scale: 1.0,
            format: KvFormat::Q8_0,
            shared: Segments { keys: &[&stored], values: &[&stored] },
            own: &[],
            seen: &[0..1],
        };
        let back = run(kernels, &attention, 1, 96);
        for (x, back) in x.chunks(32).zip(back.chunks(32)) {
            let step = x.iter().fold(0.0f32, |max, x| max.max(x.abs())) / 127.0;
            assert!(x.iter().zip(back).all(|(x, back)| (x - back).abs() <= 0.56 * step), "{}", kernels.tier());
        }
        assert!(kernels.store(KvFormat::Q8_0, &x[..33], &mut stored).is_err());
        assert!(kernels.store(KvFormat::Q8_0, &x, &mut stored[1..]).is_err());
    }
}

#[test]
fn wrong_attention_shapes_are_errors() {
    let kernels = Kernels::best();
    let (row, queries) = ([0u16; 32], [0.0; 64]);
    let right = Attention {
        queries: &queries,
        stride: 64,
        heads: 2,
        head_dim: 32,
        scale: 1.0,
        format: KvFormat::F16,
        shared: Segments { keys: &[&row], values: &[&row] },
        own: &[],
        seen: &[0..1],
    };
    let attend = |attention: Attention<'_>, missing: usize, out: usize, stride: usize| {
        let mut scratch = vec![0.0; Attention::scratch(1, 2, 32, 1) - missing];
        kernels.attend(&attention, &mut scratch, &mut vec![0.0; out], stride)
    };
    assert!(attend(right, 0, 64, 64).is_ok());
    assert!(attend(right, 1, 64, 64).is_err());
    assert!(attend(right, 0, 63, 64).is_err());
    assert!(attend(right, 0, 64, 63).is_err());
    assert!(attend(Attention { queries: &queries[1..], ..right }, 0, 64, 64).is_err());
    assert!(attend(Attention { stride: 63, ..right }, 0, 64, 64).is_err());
    assert!(attend(Attention { shared: Segments { values: &[], ..right.shared }, ..right }, 0, 64, 64).is_err());
    assert!(
        attend(Attention { shared: Segments { values: &[&row[1..]], ..right.shared }, ..right }, 0, 64, 64).is_err()
    );
    assert!(attend(Attention { shared: Segments::default(), ..right }, 0, 64, 64).is_err());
    assert!(attend(Attention { seen: &[0..2], ..right }, 64, 64, 64).is_err());
    assert!(attend(Attention { format: KvFormat::Q8_0, ..right }, 0, 64, 64).is_err());
    let two = [right.shared; 2];
    assert!(attend(Attention { own: &two, ..right }, 0, 64, 64).is_err());
    let many = Segments { keys: &[&[0; 32 * 32]], values: &[&[0; 32 * 32]] };
    assert!(attend(Attention { own: &[many], ..right }, 0, 64, 64).is_err(), "scratch for one position only");
    assert!(attend(Attention { seen: &[1..1], ..right }, 0, 64, 64).is_err());
    assert!(attend(Attention { head_dim: 0, ..right }, 0, 64, 64).is_err());
    assert!(attend(Attention { head_dim: 33, ..right }, 0, 64, 64).is_err());
    assert!(attend(Attention { seen: &[0..1, 0..1], ..right }, 0, 128, 64).is_err());
}

#[test]
fn halves_convert_as_in_ieee_754() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    for kernels in Kernels::available() {
        let (mut wide, mut back) = (vec![0.0; all.len()], vec![0; all.len()]);
        kernels.f16_to_f32(&all, &mut wide);
        kernels.f32_to_f16(&wide, &mut back);
        for ((&half, &wide), &back) in all.iter().zip(&wide).zip(&back) {
            let (exponent, mantissa) = (i32::from(half >> 10 & 31), f32::from(half & 1023));
            let magnitude = match exponent {
                0 => mantissa * 2f32.powi(-24),
                31 if mantissa == 0.0 => f32::INFINITY,
                31 => f32::NAN,
                _ => (1.0 + mantissa / 1024.0) * 2f32.powi(exponent - 15),
            };
            if magnitude.is_nan() {
                assert!(wide.is_nan() && back == half | 0x200, "{half:#x} on {}", kernels.tier());
            } else {
                let wanted = if half >> 15 == 1 { -magnitude } else { magnitude };
                assert!(wide.to_bits() == wanted.to_bits() && back == half, "{half:#x} on {}", kernels.tier());
            }
        }

        // Between two neighbours: to the nearer one, and from the middle to the even one.
        let finite = || (0..0x7bffu16).chain(0x8000..0xfbff);
        for (step, up) in [(0.49, [false, false]), (0.5, [false, true]), (0.51, [true, true])] {
            let between: Vec<f32> = finite()
                .map(|half| {
                    let (a, b) = (wide[usize::from(half)], wide[usize::from(half) + 1]);
                    a + (b - a) * step
                })
                .collect();
            let mut rounded = vec![0; between.len()];
            kernels.f32_to_f16(&between, &mut rounded);
            for (half, rounded) in finite().zip(rounded) {
                assert_eq!(
                    rounded,
                    half + u16::from(up[usize::from(half & 1)]),
                    "{step} past {half:#x} on {}",
                    kernels.tier()
                );
            }
        }
        let large = [65519.9, 65520.0, 1e30, f32::INFINITY, -65520.0, 2.9e-8, -1e-30, 1e-45];
        let mut rounded = [0; 8];
        kernels.f32_to_f16(&large, &mut rounded);
        assert_eq!(rounded, [0x7bff, 0x7c00, 0x7c00, 0x7c00, 0xfc00, 0, 0x8000, 0], "{}", kernels.tier());
    }
}

fn close(got: &[f32], wanted: impl IntoIterator<Item = f64>, tolerance: f64) {
    for (i, (&got, wanted)) in got.iter().zip(wanted).enumerate() {
        let error = (f64::from(got) - wanted).abs();
        assert!(error <= tolerance * wanted.abs().max(1e-3), "element {i} is {got}, not {wanted}");
    }
}

#[test]
fn results_are_those_of_double_precision() {
    let mut random = Random(4);
    let x: Vec<f32> = (0..203).map(|_| random.float() * 8.0).collect();
    let y = random.floats(203);
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let (x64, y64) = (wide(&x), wide(&y));
    let total: f64 = x64.iter().map(|x| x.exp()).sum();
    let norm = (x64.iter().map(|x| x * x).sum::<f64>() / 203.0 + 1e-5).sqrt();
    for kernels in Kernels::available() {
        let with = |f: &dyn Fn(&mut [f32])| {
            let mut out = x.clone();
            f(&mut out);
            out
        };
        let pairs = || x64.iter().zip(&y64);
        close(&with(&|out| kernels.rms_norm(out, &y, 1e-5)), pairs().map(|(x, y)| x / norm * y), 1e-6);
        close(&with(&|out| kernels.add(out, &y)), pairs().map(|(x, y)| x + y), 1e-6);
        close(&with(&|out| kernels.scale(out, -2.5)), x64.iter().map(|x| x * -2.5), 1e-6);
        close(&with(&|out| kernels.silu_mul(out, &y)), pairs().map(|(x, y)| x / (1.0 + (-x).exp()) * y), 1e-6);
        let gelu =
            |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh());
        close(&with(&|out| kernels.gelu_mul(out, &y)), pairs().map(|(x, y)| gelu(*x) * y), 3e-6);
        close(&with(&|out| kernels.softmax(out)), x64.iter().map(|x| x.exp() / total), 2e-6);
        close(&[kernels.log_sum_exp(&x)], [total.ln()], 1e-6);

        // Rotated by an angle, as complex numbers are; the elements past the pairs stay.
        let angles: Vec<f64> = (0..8).map(|i| f64::from(i) * 0.7).collect();
        let cos: Vec<f32> = angles.iter().map(|angle| angle.cos() as f32).collect();
        let sin: Vec<f32> = angles.iter().map(|angle| angle.sin() as f32).collect();
        for style in [RopeStyle::Interleaved, RopeStyle::Halves] {
            let mut wanted = x64[..20].to_vec();
            for (i, angle) in angles.iter().enumerate() {
                let (a, b) = if style == RopeStyle::Halves { (i, i + 8) } else { (2 * i, 2 * i + 1) };
                wanted[a] = x64[a] * angle.cos() - x64[b] * angle.sin();
                wanted[b] = x64[a] * angle.sin() + x64[b] * angle.cos();
            }
            close(&with(&|out| kernels.rope(&mut out[..20], &cos, &sin, style))[..20], wanted, 1e-5);
        }
    }
}

#[test]
fn softmax_and_log_sum_exp_survive_extremes() {
    for kernels in Kernels::available() {
        let mut x = [1e30, 1e30, f32::NEG_INFINITY, -1e30];
        assert_eq!(kernels.log_sum_exp(&x), 1e30);
        kernels.softmax(&mut x);
        assert_eq!(x, [0.5, 0.5, 0.0, 0.0]);
        assert_eq!(kernels.log_sum_exp(&[]), f32::NEG_INFINITY);
        assert_eq!(kernels.log_sum_exp(&[f32::NEG_INFINITY; 3]), f32::NEG_INFINITY);
    }
}
