//! What this crate promises, tested through its public interface on every tier that the machine has.

mod formats;
mod matmul;
mod ops;
mod support;
mod tiers;
