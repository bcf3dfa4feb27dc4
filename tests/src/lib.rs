//! What the tests over the whole stack share: where the models are, the golden vectors, a float reference.
#![forbid(unsafe_code)]

pub mod divergence;
pub mod golden;
pub mod models;
pub mod reference;
