//! Qwen 2 and 2.5: llama's graph with biases on queries, keys and values, and RoPE over the halves of a head.
//!
//! Source: llama.cpp, `src/llama-model.cpp`, `LLM_ARCH_QWEN2`; Qwen team 2024, arXiv 2407.10671. The biases are where the file
//! has them, as for every architecture.

use nibble_kernels::RopeStyle;

use super::{Architecture, Keys};
use crate::Config;
use crate::error::Fault;

pub(super) const ARCHITECTURE: Architecture = Architecture { name: "qwen2", config };

fn config(keys: &Keys, vocabulary: usize) -> Result<Config, Fault> {
    Ok(Config { rope_style: RopeStyle::Halves, ..keys.decoder(vocabulary)? })
}
