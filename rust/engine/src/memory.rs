//! How much memory a model takes, before it takes it.

use crate::Config;

/// The memory of one model with one session, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemoryPlan {
    /// Read-only mapping of the model file: clean pages, shared between processes and dropped when memory is short.
    pub mapped: u64,
    /// Keys and values of a full context, in f16: dirty pages, touched only as far as the context is used.
    pub kv: u64,
    /// Keys and values of 1,000 tokens.
    pub kv_per_1000_tokens: u64,
}

impl MemoryPlan {
    pub(crate) fn new(config: &Config, mapped: u64, context: usize) -> Self {
        let row = kv_bytes_per_token(config);
        Self { mapped, kv: row * context as u64, kv_per_1000_tokens: row * 1000 }
    }
}

/// Keys and values of one token in all layers, in f16.
fn kv_bytes_per_token(config: &Config) -> u64 {
    let row = config.kv_heads as u64 * config.head_dim as u64 * 2;
    2 * row * config.layers.len() as u64
}
