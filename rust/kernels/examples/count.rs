//! Multiplies a matrix again and again, for those who count or time what that takes:
//! `count FORMAT TIER TOKENS REPEATS`. Prints the multiplications of one repeat.

use nibble_kernels::{Activations, ActivationsMut, Format, GROUP, Kernels, Matrix, OutMut, Tier};

/// Two groups of rows, and as many columns as a small model has: calls and loops are a part of what a product takes.
const ROWS: usize = 2 * GROUP;
const COLS: usize = 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [format, tier, tokens, repeats] = &arguments[..] else { panic!("usage: count FORMAT TIER TOKENS REPEATS") };
    let format = Format::ALL.into_iter().find(|known| known.name() == format).expect("FORMAT is one of GGUF's names");
    let tier: Tier = tier.parse().expect("TIER is a tier's name");
    let kernels = Kernels::for_tier(tier).filter(|kernels| kernels.tier() == tier);
    let kernels = kernels.expect("this CPU has the tier, and the tier has kernels");
    let tokens: usize = tokens.parse().expect("TOKENS is a number");
    let repeats: usize = repeats.parse().expect("REPEATS is a number");

    // Any codes and scales will do: no kernel looks at their values.
    let packed = vec![0x2c; format.packed_len(ROWS, COLS).expect("whole blocks")];
    let w = Matrix::new(format, ROWS, COLS, &packed).expect("the buffer was made for it");
    let kind = format.activation();
    let mut bytes = vec![0; Activations::bytes(kind, tokens, COLS)];
    let mut activations = ActivationsMut::new(kind, tokens, COLS, &mut bytes).expect("the buffer was made for it");
    kernels.quantize(&vec![1.0; tokens * COLS], &mut activations).expect("as many as there are");
    let activations = activations.as_ref();
    let mut out = vec![0.0; tokens * ROWS];
    for _ in 0..repeats {
        let mut out = OutMut::new(&mut out, tokens, ROWS).expect("the buffer was made for it");
        kernels.matmul(&w, 0..w.groups(), &activations, &mut out).expect("the shapes fit");
    }
    println!("{}", tokens * ROWS * COLS);
}
