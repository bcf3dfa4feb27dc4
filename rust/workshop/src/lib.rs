//! The desktop workshop: quantize, prune, distil and adapt models for Nibble, and measure what came out.
//!
//! Nothing here is linked into a phone. The room is laid out and still empty.
#![forbid(unsafe_code)]
