//! How fast the products are on this CPU, beside the rate at which one thread reads memory:
//! `cargo bench -p nibble-kernels [-- TIER [FORMAT]]`. One thread; the best of several runs.

use std::hint::black_box;
use std::time::Instant;

use nibble_kernels::{Activations, ActivationsMut, Format, Kernels, Matrix, OutMut};

/// Seconds of the fastest of several runs.
fn best(mut run: impl FnMut()) -> f64 {
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    let first = time(&mut run);
    let runs = (0.3 / first).clamp(2.0, 50.0) as usize;
    (0..runs).map(|_| time(&mut run)).fold(first, f64::min)
}

/// Seconds of one product of a matrix with some tokens.
fn product(kernels: &Kernels, format: Format, rows: usize, cols: usize, tokens: usize, packed: &[u8]) -> f64 {
    let w = Matrix::new(format, rows, cols, packed).expect("the buffer was made for it");
    let x: Vec<f32> = (0..tokens * cols).map(|i| (i * 37 % 101) as f32 - 50.0).collect();
    let mut bytes = vec![0; Activations::bytes(format.activation(), tokens, cols)];
    let mut activations = ActivationsMut::new(format.activation(), tokens, cols, &mut bytes).expect("as above");
    kernels.quantize(&x, &mut activations).expect("as above");
    let mut out = vec![0.0; tokens * rows];
    best(|| {
        let mut out = OutMut::new(&mut out, tokens, rows).expect("as above");
        kernels.matmul(&w, 0..w.groups(), &activations.as_ref(), &mut out).expect("as above");
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let (tier, format) = (arguments.first(), arguments.get(1));

    let words = vec![1u64; 16 << 20];
    let seconds = best(|| {
        black_box(words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)));
    });
    println!("plain read, 128 MiB: {:.1} GB/s", 8.0 * words.len() as f64 / seconds * 1e-9);
    drop(words);

    for kernels in Kernels::available().filter(|kernels| tier.is_none_or(|tier| kernels.tier().name() == tier)) {
        println!(
            "\n{:12}{:>26}{:>15}{:>30}",
            kernels.tier(),
            "1 token, from memory",
            "from cache",
            "4 / 8 / 128 tokens"
        );
        for format in Format::ALL.into_iter().filter(|known| format.is_none_or(|name| known.name() == name)) {
            // As much as no cache holds (for the scalar tier, whose time is its own, less), then one layer's worth.
            let cols = 2048;
            let large = if kernels.tier().name() == "scalar" { 4 << 20 } else { 128 << 20 };
            let rows = large / format.packed_len(16, cols).expect("whole blocks") * 16;
            // Halves of 0x2c2c are 1/15: any byte will do for a code.
            let packed = vec![0x2c; format.packed_len(rows, cols).expect("whole blocks")];
            let rate = packed.len() as f64 / product(kernels, format, rows, cols, 1, &packed) * 1e-9;
            let macs = |tokens: usize| {
                let (rows, cols) = (256, 1536);
                let packed = &packed[..format.packed_len(rows, cols).expect("whole blocks")];
                (rows * cols * tokens) as f64 / product(kernels, format, rows, cols, tokens, packed) * 1e-9
            };
            println!(
                "{:12}{rate:>21.1} GB/s{:>8.1} GMAC/s{:>10.1} / {:.1} / {:.1} GMAC/s",
                format.name(),
                macs(1),
                macs(4),
                macs(8),
                macs(128)
            );
        }
    }
}
