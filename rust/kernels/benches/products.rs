//! How fast the products are on this CPU, beside the rate at which one thread reads memory:
//! `cargo bench -p nibble-kernels [-- TIER [FORMAT]]`. One thread.

use std::hint::black_box;
use std::time::Instant;

use nibble_kernels::{Activations, ActivationsMut, Format, GROUP, Kernels, Matrix, OutMut, Tier};

/// More than any cache holds.
const LARGE: usize = 128 << 20;

/// Seconds that a number of steps take, each at its fastest of several rounds: other processes disturb few of them.
fn best(steps: usize, mut step: impl FnMut(usize)) -> f64 {
    let mut fastest = vec![f64::MAX; steps];
    let start = Instant::now();
    for _ in 0..50 {
        for (i, fastest) in fastest.iter_mut().enumerate() {
            let start = Instant::now();
            step(i);
            *fastest = fastest.min(start.elapsed().as_secs_f64());
        }
        if start.elapsed().as_secs_f64() > 0.5 {
            break;
        }
    }
    fastest.iter().sum()
}

/// Seconds of one product of a matrix with some tokens, a number of groups at a time.
fn product(kernels: &Kernels, w: &Matrix<'_>, tokens: usize, step: usize) -> f64 {
    let (rows, cols, kind) = (w.rows(), w.cols(), w.format().activation());
    let x: Vec<f32> = (0..tokens * cols).map(|i| (i * 37 % 101) as f32 - 50.0).collect();
    let mut bytes = vec![0; Activations::bytes(kind, tokens, cols)];
    let mut activations = ActivationsMut::new(kind, tokens, cols, &mut bytes).expect("the buffer was made for it");
    kernels.quantize(&x, &mut activations).expect("as above");
    let mut out = vec![0.0; tokens * rows];
    best(w.groups().div_ceil(step), |i| {
        let groups = i * step..((i + 1) * step).min(w.groups());
        let out = OutMut::new(&mut out, tokens, rows).expect("as above");
        let (out, _) = out.split_rows(groups.end * GROUP);
        let (_, mut out) = out.split_rows(groups.start * GROUP);
        kernels.matmul(w, groups, &activations.as_ref(), &mut out).expect("as above");
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let (tier, format) = (arguments.first(), arguments.get(1));

    let words = vec![1u64; LARGE / 8];
    let chunk = words.len() / 32;
    let seconds = best(32, |i| {
        black_box(words[i * chunk..(i + 1) * chunk].iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)));
    });
    println!("plain read, {} MiB: {:.1} GB/s", LARGE >> 20, LARGE as f64 / seconds * 1e-9);
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
            // As much as no cache holds (less for the scalar tier, which has its own limits), then one layer's worth.
            let cols = 2048;
            let large = if kernels.tier() == Tier::Scalar { LARGE / 32 } else { LARGE };
            let rows = large / format.packed_len(GROUP, cols).expect("whole blocks") * GROUP;
            // Halves of 0x2c2c are 1/15: any byte will do for a code.
            let packed = vec![0x2c; format.packed_len(rows, cols).expect("whole blocks")];
            let w = Matrix::new(format, rows, cols, &packed).expect("the buffer was made for it");
            let rate = packed.len() as f64 / product(kernels, &w, 1, rows / GROUP / 32) * 1e-9;
            let macs = |tokens: usize| {
                let (rows, cols) = (256, 1536);
                let packed = &packed[..format.packed_len(rows, cols).expect("whole blocks")];
                let w = Matrix::new(format, rows, cols, packed).expect("the buffer was made for it");
                (rows * cols * tokens) as f64 / product(kernels, &w, tokens, 16) * 1e-9
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
