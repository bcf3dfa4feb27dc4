//! Packing loses nothing, and means what the GGUF formats mean.

use crate::support::{Fill, Packed, Random, difference, source, values};
use nibble_kernels::{Format, Matrix, pack};
use proptest::prelude::*;

fn dequantize(packed: &Packed) -> Vec<f32> {
    let mut out = vec![0.0; packed.rows * packed.cols];
    for (row, out) in out.chunks_exact_mut(packed.cols).enumerate() {
        packed.matrix().dequantize_row(row, out);
    }
    out
}

#[test]
fn values_are_those_of_the_gguf_package() {
    macro_rules! golden {
        ($($format:ident)*) => {
            [$((Format::$format, &include_bytes!(concat!("golden/", stringify!($format), ".bin"))[..])),*]
        };
    }
    for (format, file) in golden!(F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K) {
        let (source, wanted) = file.split_at(format.source_len(2, 256).unwrap());
        let wanted: Vec<f32> = wanted.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!(wanted.len(), 512);
        let got = dequantize(&Packed::new(format, 2, 256, source));
        assert_eq!(difference(&wanted, &got), None, "{}", format.name());
        assert_eq!(difference(&wanted, &values(format, source)), None, "{}: the tests' own reference", format.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packing_loses_nothing(seed: u64, rows in 1usize..40, blocks in 1usize..4) {
        for format in Format::ALL {
            for fill in [Fill::Random, Fill::Codes(0), Fill::Codes(0xff), Fill::HugeScales] {
                let cols = blocks * format.block();
                let source = source(format, rows, cols, fill, &mut Random(seed));
                let got = dequantize(&Packed::new(format, rows, cols, &source));
                prop_assert_eq!(difference(&values(format, &source), &got), None, "{}", format.name());
            }
        }
    }
}

#[test]
fn wrong_shapes_are_errors() {
    let format = Format::Q4_0;
    let (source, mut packed) = (vec![0; format.source_len(3, 64).unwrap()], vec![0; format.packed_len(3, 64).unwrap()]);
    assert!(pack(format, 3, 64, &source, &mut packed).is_ok());
    assert!(pack(format, 3, 64, &source[1..], &mut packed).is_err());
    assert!(pack(format, 3, 63, &source, &mut packed).is_err());
    assert!(pack(format, usize::MAX, 64, &source, &mut packed).is_err());
    assert!(pack(format, 3, 64, &source, &mut packed[1..]).is_err());
    assert!(Matrix::new(format, 3, 64, &packed).is_ok());
    assert!(Matrix::new(format, 17, 64, &packed).is_err());
    assert!(Matrix::new(format, 3, 48, &packed).is_err());
    let error = Matrix::new(format, 3, 64, &packed[1..]).err().unwrap().to_string();
    assert_eq!(
        error,
        format!("wrong shape: bytes of a packed matrix must be {}, not {}", packed.len(), packed.len() - 1)
    );
}

#[test]
fn empty_matrices_pack_to_nothing() {
    for format in Format::ALL {
        assert_eq!(pack(format, 0, 256, &[], &mut []), Ok(()));
        assert_eq!(pack(format, 5, 0, &[], &mut []), Ok(()));
    }
}
