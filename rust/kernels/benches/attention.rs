//! How fast attention reads keys and values on this CPU: `cargo bench -p nibble-kernels --bench attention [-- TIER]`. One thread.

use std::time::Instant;

use nibble_kernels::{Attention, Kernels, KvFormat, Segments};

/// More than any cache holds, in bytes of keys and as many of values.
const LARGE: usize = 64 << 20;

const HEAD_DIM: usize = 64;

/// Seconds a position that one row of some heads takes for `count` key/value heads, at their fastest of several rounds.
fn row(kernels: &Kernels, format: KvFormat, heads: usize, positions: usize, count: usize) -> f64 {
    let row = format.row(HEAD_DIM).expect("whole blocks");
    // Halves of 0x2c2c are 1/15: any byte will do for a code.
    let [keys, values] = [0, 1].map(|_| vec![0x2c2cu16; positions * row * count]);
    let queries = vec![0.1; heads * HEAD_DIM];
    let mut scratch = vec![0.0; Attention::scratch(1, heads, HEAD_DIM, positions)];
    let mut out = vec![0.0; heads * HEAD_DIM];
    let seen = 0..positions;
    let mut fastest = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for (keys, values) in keys.chunks_exact(positions * row).zip(values.chunks_exact(positions * row)) {
            let attention = Attention {
                queries: &queries,
                stride: heads * HEAD_DIM,
                heads,
                head_dim: HEAD_DIM,
                scale: 0.125,
                format,
                shared: Segments { keys: &[keys], values: &[values] },
                own: &[],
                seen: std::slice::from_ref(&seen),
            };
            kernels.attend(&attention, &mut scratch, &mut out, heads * HEAD_DIM).expect("the shapes fit");
        }
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    fastest / (positions * count) as f64
}

fn main() {
    let tier = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for kernels in Kernels::available().filter(|kernels| tier.as_ref().is_none_or(|tier| kernels.tier().name() == tier))
    {
        println!("{}: ns per position of a key/value head; 4096 of each of many, and 256 of one", kernels.tier());
        for (format, name) in [(KvFormat::F16, "F16"), (KvFormat::Q8_0, "Q8_0")] {
            for heads in [1, 3, 4] {
                let bytes = format.row(HEAD_DIM).expect("whole blocks") * 2;
                let large = row(kernels, format, heads, 4096, LARGE / (4096 * bytes));
                let small = row(kernels, format, heads, 256, 1);
                let rate = 2.0 * bytes as f64 / large * 1e-9;
                println!("{name:5} {heads} heads: {:6.2} ({rate:.1} GB/s) {:6.2}", large * 1e9, small * 1e9);
            }
        }
    }
}
