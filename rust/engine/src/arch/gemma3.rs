//! Gemma 3, text only: local and global layers, normalised queries and keys, norms on both sides of each block.
//!
//! Source: llama.cpp, `src/llama-model.cpp`, `LLM_ARCH_GEMMA3`; Gemma team 2025, arXiv 2503.19786. The norm weights in a
//! GGUF already include Gemma's +1.

use nibble_kernels::RopeStyle;

use super::{Architecture, Keys};
use crate::Config;
use crate::config::{Gate, Layer, Rope};
use crate::error::Fault;

pub(super) const ARCHITECTURE: Architecture = Architecture { name: "gemma3", config };

/// Layers of the 27B model, the only one whose queries are not scaled by their own width.
const LAYERS_OF_27B: usize = 62;

fn config(keys: &Keys, vocabulary: usize) -> Result<Config, Fault> {
    keys.refuse("attn_logit_softcapping", "a soft cap on attention")?;
    keys.refuse("final_logit_softcapping", "a soft cap on logits")?;
    let base = keys.decoder(vocabulary)?;
    let local = Rope { base: keys.maybe_number("rope.freq_base_swa")?.unwrap_or(10_000.0), scale: 1.0 };
    let window = keys.maybe_count("attention.sliding_window")?;
    let period = keys.maybe_count("attention.sliding_window_pattern")?.unwrap_or(6).max(1);
    let layer = |i: usize| match window {
        Some(window) if !(i + 1).is_multiple_of(period) => Layer { window: Some(window), rope: 1 },
        _ => Layer { window: None, rope: 0 },
    };
    let query_width =
        if base.layers.len() == LAYERS_OF_27B { base.embedding / base.heads.max(1) } else { base.head_dim };
    Ok(Config {
        embedding_scale: (base.embedding as f32).sqrt(),
        attention_scale: 1.0 / (query_width as f32).sqrt(),
        gate: Gate::Gelu,
        rope_style: RopeStyle::Halves,
        qk_norm: true,
        post_norms: true,
        ropes: vec![base.ropes[0], local],
        layers: (0..base.layers.len()).map(layer).collect(),
        ..base
    })
}
