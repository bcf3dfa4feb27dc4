//! What no product can be faster than on this CPU: the rate at which threads read memory, and the rate at which they multiply
//! 8-bit integers in registers. `cargo bench -p nibble-kernels --bench limits [-- THREADS]` prints one JSON object:
//!
//! * `read_gb_per_s`: 10^9 bytes a second, all threads together; each sums up 128 MiB of its own, which no cache holds.
//! * `gmac_per_s`: 10^9 multiplications of two 8-bit integers a second, each with its addition to a sum, all threads together;
//!   null for the scalar tier. Nothing is loaded, unpacked, scaled or stored.
//! * `instructions`: what multiplies and adds in this tier, and how many multiplications it counts for.
//!
//! Both rates are the best of several rounds, in which all threads start together. `NIBBLE_TIER` forces a lower tier.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use nibble_kernels::{Kernels, Tier};

/// Other processes disturb some rounds, and in none is a CPU faster than it is.
const ROUNDS: usize = 50;

/// What a thread reads in a round.
const WORDS: usize = (128 << 20) / size_of::<u64>();

/// Steps of multiplication in a round: some ten milliseconds.
const STEPS: u64 = 1 << 22;

/// The multiplication of a tier.
struct Multiply {
    instructions: &'static str,
    /// Multiplications in a step.
    macs: u64,
    /// Runs a number of steps.
    run: fn(u64),
}

/// Seconds of the fastest round of `work` by so many threads at once, each on what it made with `prepare`.
fn fastest<T>(threads: usize, prepare: impl Fn() -> T + Sync, work: impl Fn(&T) + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let run = || {
        let prepared = prepare();
        let round = |_| {
            barrier.wait();
            let start = Instant::now();
            work(&prepared);
            // Until the last of them is done.
            barrier.wait();
            start.elapsed().as_secs_f64()
        };
        (0..ROUNDS).map(round).fold(f64::MAX, f64::min)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        // The slowest thread's: another one may have seen only the end of a round.
        threads.into_iter().map(|thread| thread.join().expect("nothing panics here")).fold(0.0, f64::max)
    })
}

/// Reads at four places in turn: one after the other would leave some of the memory's rate unused.
fn sum(words: &[u64]) -> u64 {
    const LINE: usize = 4;
    let lines = words.as_chunks::<LINE>().0;
    let quarters: [_; 4] = std::array::from_fn(|i| &lines[i * lines.len() / 4..][..lines.len() / 4]);
    let mut sums = [[0u64; LINE]; 4];
    for line in 0..lines.len() / 4 {
        for (sums, quarter) in sums.iter_mut().zip(quarters) {
            for (sum, word) in sums.iter_mut().zip(quarter[line]) {
                *sum = sum.wrapping_add(word);
            }
        }
    }
    sums.as_flattened().iter().fold(0, |sum: u64, &word| sum.wrapping_add(word))
}

fn multiply(tier: Tier) -> Option<Multiply> {
    match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Avx2 => Some(x86::AVX2),
        #[cfg(target_arch = "x86_64")]
        Tier::AvxVnni => Some(x86::AVX_VNNI),
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512Vnni => Some(x86::AVX512_VNNI),
        #[cfg(target_arch = "aarch64")]
        Tier::Neon => Some(aarch64::NEON),
        #[cfg(target_arch = "aarch64")]
        Tier::NeonDot => Some(aarch64::DOT),
        #[cfg(target_arch = "aarch64")]
        Tier::NeonI8mm => Some(aarch64::I8MM),
        _ => None,
    }
}

fn main() {
    // Cargo adds `--bench`.
    let threads = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1usize).max(1);
    let tier = Kernels::best().tier();
    let seconds = fastest(
        threads,
        || vec![1u64; WORDS],
        |words| {
            black_box(sum(words));
        },
    );
    let read = (threads * WORDS * size_of::<u64>()) as f64 / seconds * 1e-9;
    let (rate, instructions) = match multiply(tier) {
        None => ("null".to_owned(), "null".to_owned()),
        Some(Multiply { instructions, macs, run }) => {
            let seconds = fastest(threads, || (), |()| run(STEPS));
            let rate = (threads as u64 * STEPS * macs) as f64 / seconds * 1e-9;
            (format!("{rate:.1}"), format!("\"{instructions}\""))
        }
    };
    println!(
        "{{\"tier\":\"{tier}\",\"threads\":{threads},\"read_gb_per_s\":{read:.1},\"gmac_per_s\":{rate},\
         \"instructions\":{instructions}}}"
    );
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;
    use std::array;
    use std::hint::black_box;

    use super::Multiply;

    pub const AVX2: Multiply = Multiply {
        instructions: "vpmaddubsw and vpaddw, 32 multiplications a pair",
        macs: 6 * 32,
        // SAFETY: `multiply` is asked for the tier that was detected.
        run: |steps| unsafe { avx2(steps) },
    };

    pub const AVX_VNNI: Multiply = Multiply {
        instructions: "vpdpbusd of 256 bits, 32 multiplications each",
        macs: 12 * 32,
        // SAFETY: as above.
        run: |steps| unsafe { avx_vnni(steps) },
    };

    pub const AVX512_VNNI: Multiply = Multiply {
        instructions: "vpdpbusd of 512 bits, 64 multiplications each",
        macs: 12 * 64,
        // SAFETY: as above.
        run: |steps| unsafe { avx512_vnni(steps) },
    };

    /// Two registers of weights by three of activations, into six sums.
    #[target_feature(enable = "avx2")]
    fn avx2(steps: u64) {
        let mut w = [5, 7].map(|code| _mm256_set1_epi8(code));
        let x = [3, -2, 1].map(|code| _mm256_set1_epi8(code));
        let mut sums = [[_mm256_setzero_si256(); 3]; 2];
        for _ in 0..steps {
            for (w, sums) in w.iter_mut().zip(&mut sums) {
                // SAFETY: an empty instruction sequence. The compiler takes the weights for new ones after it, or it would
                // multiply once, before the loop.
                unsafe { asm!("/* {0} */", inout(ymm_reg) * w, options(pure, nomem, nostack, preserves_flags)) };
                for (x, sum) in x.iter().zip(sums) {
                    *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(*w, *x));
                }
            }
        }
        black_box(sums);
    }

    /// Twelve sums, so that none waits for itself; they begin differently, or the compiler would keep one for all.
    #[target_feature(enable = "avx2,avxvnni")]
    fn avx_vnni(steps: u64) {
        let (w, x) = (_mm256_set1_epi8(5), _mm256_set1_epi8(3));
        let mut sums: [_; 12] = array::from_fn(|i| _mm256_set1_epi32(i as i32));
        for _ in 0..steps {
            sums = sums.map(|sum| _mm256_dpbusd_avx_epi32(sum, w, x));
        }
        black_box(sums);
    }

    /// As above.
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn avx512_vnni(steps: u64) {
        let (w, x) = (_mm512_set1_epi8(5), _mm512_set1_epi8(3));
        let mut sums: [_; 12] = array::from_fn(|i| _mm512_set1_epi32(i as i32));
        for _ in 0..steps {
            sums = sums.map(|sum| _mm512_dpbusd_epi32(sum, w, x));
        }
        black_box(sums);
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::aarch64::*;
    use std::arch::asm;
    use std::hint::black_box;

    use super::Multiply;

    pub const NEON: Multiply = Multiply {
        instructions: "smlal and smlal2, 8 multiplications each",
        macs: 16 * 8,
        // SAFETY: `multiply` is asked for the tier that was detected.
        run: |steps| unsafe { neon(steps) },
    };

    pub const DOT: Multiply = Multiply {
        instructions: "sdot, 16 multiplications each",
        macs: 16 * 16,
        // SAFETY: as above.
        run: |steps| unsafe { dot(steps) },
    };

    pub const I8MM: Multiply = Multiply {
        instructions: "smmla, 32 multiplications each",
        macs: 16 * 32,
        // SAFETY: as above.
        run: |steps| unsafe { i8mm(steps) },
    };

    /// Sixteen times an instruction, each with a sum of its own, so that none waits for itself.
    macro_rules! sixteen {
        ($steps:ident, $($line:literal),+) => {{
            let (w, x) = (vdupq_n_s8(5), vdupq_n_s8(3));
            let mut sums = [vdupq_n_s32(0); 16];
            for _ in 0..$steps {
                for sums in sums.as_chunks_mut::<{ [$($line),+].len() }>().0 {
                    let mut sums = sums.iter_mut();
                    $(
                        // SAFETY: one instruction that the function's features include, on registers alone.
                        unsafe {
                            asm!($line, inout(vreg) *sums.next().expect("as many as lines"), in(vreg) w, in(vreg) x,
                                options(nomem, nostack, preserves_flags));
                        }
                    )+
                }
            }
            black_box(sums);
        }};
    }

    #[target_feature(enable = "neon")]
    fn neon(steps: u64) {
        sixteen!(steps, "smlal {0:v}.8h, {1:v}.8b, {2:v}.8b", "smlal2 {0:v}.8h, {1:v}.16b, {2:v}.16b");
    }

    #[target_feature(enable = "neon,dotprod")]
    fn dot(steps: u64) {
        sixteen!(steps, "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b");
    }

    #[target_feature(enable = "neon,i8mm")]
    fn i8mm(steps: u64) {
        sixteen!(steps, "smmla {0:v}.4s, {1:v}.16b, {2:v}.16b");
    }
}
