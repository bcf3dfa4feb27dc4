//! Llama and what shares its graph: SmolLM2, TinyLlama, Mistral, Llama 3.
//!
//! Source: llama.cpp, `src/llama-model.cpp`, `LLM_ARCH_LLAMA`; Touvron et al. 2023, arXiv 2302.13971.

use super::{Architecture, Keys};
use crate::Config;
use crate::error::Fault;

pub(super) const ARCHITECTURE: Architecture = Architecture { name: "llama", config };

fn config(keys: &Keys, vocabulary: usize) -> Result<Config, Fault> {
    // llama.cpp's converter reorders Q and K of this architecture so that RoPE pairs neighbours.
    keys.decoder(vocabulary)
}
