//! The desktop workshop: quantize, prune, distil and adapt models for Nibble, and measure what came out.
//!
//! Nothing here is linked into a phone. What is there so far: `adapter.rs`, which fits an adapter of the head to texts.
#![forbid(unsafe_code)]

pub mod adapter;
