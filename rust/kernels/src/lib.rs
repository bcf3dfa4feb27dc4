//! Quantized matrix kernels: block formats, the packed layout, one scalar reference per operation and its SIMD variants.
//!
//! Nothing here starts a thread, allocates, opens a file or knows what a model is. The caller owns every buffer and hands
//! out views: [`Matrix`] over packed weights, [`Activations`] over quantized inputs, [`OutMut`] over results. [`Kernels`]
//! is one CPU tier's set of functions; every tier gives the same bits as the scalar one, whose order of operations is the
//! definition (see `scalar.rs` and `ops.rs`).
//!
//! ```
//! use nibble_kernels::{Activations, ActivationsMut, Format, Kernels, Matrix, OutMut, pack};
//!
//! // Two rows of 32 columns in Q8_0: each block is an f16 scale (here 1.0) and 32 signed codes.
//! let mut source = Vec::new();
//! for code in [1u8, 2] {
//!     source.extend([0x00, 0x3c]);
//!     source.extend([code; 32]);
//! }
//! let mut packed = vec![0; Format::Q8_0.packed_len(2, 32).unwrap()];
//! pack(Format::Q8_0, 2, 32, &source, &mut packed)?;
//! let weights = Matrix::new(Format::Q8_0, 2, 32, &packed)?;
//!
//! let kernels = Kernels::best();
//! let kind = weights.format().activation();
//! let mut bytes = vec![0; Activations::bytes(kind, 1, 32)];
//! let mut activations = ActivationsMut::new(kind, 1, 32, &mut bytes)?;
//! kernels.quantize(&[1.0; 32], &mut activations)?;
//!
//! let mut out = [0.0; 2];
//! kernels.matmul(&weights, 0..weights.groups(), &activations.as_ref(), &mut OutMut::new(&mut out, 1, 2)?)?;
//! assert!((out[0] - 32.0).abs() < 1e-4 && (out[1] - 64.0).abs() < 1e-4);
//! # Ok::<(), nibble_kernels::ShapeError>(())
//! ```
#![allow(unsafe_code, reason = "SIMD and interleaved outputs: this crate is one of the rooms for it")]

mod activation;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod cpu;
mod format;
mod matrix;
#[cfg(target_arch = "aarch64")]
mod neon;
mod ops;
mod pack;
mod product;
mod scalar;
mod select;

pub use activation::{ActivationKind, Activations, ActivationsMut, TILE};
pub use attention::{Attention, KvFormat, Segments};
pub use cpu::{Tier, UnknownTier};
pub use format::{ALIGN, Format, GROUP, ShapeError};
pub use matrix::{Matrix, OutMut};
pub use ops::RopeStyle;
pub use pack::pack;
pub use select::Kernels;
