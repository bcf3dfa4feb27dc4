//! The architectures: each turns GGUF metadata into a [`Config`], and that is all it does.
//!
//! To add one, write its file with its `config` function and name it in [`ALL`].

mod gemma3;
mod llama;
mod qwen2;

use crate::Config;
use crate::config::{Gate, Layer, Rope};
use crate::error::Fault;
use crate::metadata::Metadata;

/// One architecture.
struct Architecture {
    /// GGUF's `general.architecture`.
    name: &'static str,
    /// What its metadata say; `vocabulary` is the number of tokens.
    config: fn(&Keys, vocabulary: usize) -> Result<Config, Fault>,
}

const ALL: [Architecture; 3] = [llama::ARCHITECTURE, gemma3::ARCHITECTURE, qwen2::ARCHITECTURE];

/// The configuration that `metadata` describes, for a vocabulary of this many tokens.
pub(crate) fn config(metadata: &Metadata, vocabulary: usize) -> Result<Config, Fault> {
    let name = metadata
        .string("general.architecture")
        .ok_or_else(|| Fault::damaged("the key general.architecture is missing"))?;
    let Some(architecture) = ALL.iter().find(|architecture| architecture.name == name) else {
        let known = ALL.map(|architecture| architecture.name).join(", ");
        return Err(Fault::unsupported(format!("the architecture {name:.40?}, and there are only {known}")));
    };
    let config = (architecture.config)(&Keys { metadata, architecture: architecture.name }, vocabulary)?;
    check(&config)?;
    Ok(config)
}

/// The keys under an architecture's name.
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'static str,
}

impl Keys<'_> {
    fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    fn missing(&self, key: &str) -> Fault {
        Fault::damaged(format!("the key {} is missing", self.path(key)))
    }

    fn count(&self, key: &str) -> Result<usize, Fault> {
        self.maybe_count(key)?.ok_or_else(|| self.missing(key))
    }

    fn maybe_count(&self, key: &str) -> Result<Option<usize>, Fault> {
        self.metadata.count(&self.path(key))
    }

    fn number(&self, key: &str) -> Result<f32, Fault> {
        self.maybe_number(key)?.ok_or_else(|| self.missing(key))
    }

    fn maybe_number(&self, key: &str) -> Result<Option<f32>, Fault> {
        self.metadata.number(&self.path(key))
    }

    /// Refuses a feature that the graph does not have: `key` must be absent or zero.
    fn refuse(&self, key: &str, what: &str) -> Result<(), Fault> {
        match self.maybe_number(key)? {
            None | Some(0.0) => Ok(()),
            Some(_) => Err(Fault::unsupported(format!("{what} ({})", self.path(key)))),
        }
    }

    /// What nearly every decoder has in common; llama's choices for the rest.
    fn decoder(&self, vocabulary: usize) -> Result<Config, Fault> {
        let (heads, embedding) = (self.count("attention.head_count")?, self.count("embedding_length")?);
        let head_dim = match self.maybe_count("attention.key_length")? {
            Some(length) => length,
            None => embedding.checked_div(heads).unwrap_or(0),
        };
        if self.maybe_count("attention.value_length")?.is_some_and(|length| length != head_dim) {
            return Err(Fault::unsupported("values of another width than keys"));
        }
        self.refuse("expert_count", "a mixture of experts")?;
        let rope = Rope { base: self.maybe_number("rope.freq_base")?.unwrap_or(10_000.0), scale: self.rope_scale()? };
        let layers = self.count("block_count")?;
        if layers > MOST_LAYERS {
            return Err(Fault::damaged(format!("{} is {layers}", self.path("block_count"))));
        }
        Ok(Config {
            architecture: self.architecture.to_owned(),
            vocabulary,
            context_length: self.count("context_length")?,
            embedding,
            feed_forward: self.count("feed_forward_length")?,
            heads,
            kv_heads: self.maybe_count("attention.head_count_kv")?.unwrap_or(heads),
            head_dim,
            rms_eps: self.number("attention.layer_norm_rms_epsilon")?,
            embedding_scale: 1.0,
            attention_scale: 1.0 / (head_dim as f32).sqrt(),
            gate: Gate::Silu,
            rope_style: nibble_kernels::RopeStyle::Interleaved,
            rope_dimensions: self.maybe_count("rope.dimension_count")?.unwrap_or(head_dim),
            qk_norm: false,
            post_norms: false,
            ropes: vec![rope],
            layers: vec![Layer { window: None, rope: 0 }; layers],
        })
    }

    /// The factor of linear position scaling; other kinds are refused. Llama 3's kind comes as `rope_freqs.weight`.
    fn rope_scale(&self) -> Result<f32, Fault> {
        match self.metadata.string(&self.path("rope.scaling.type")) {
            Some("none") => return Ok(1.0),
            None | Some("linear") => {}
            Some(other) => return Err(Fault::unsupported(format!("{other:.40?} scaling of positions"))),
        }
        let factor = match self.maybe_number("rope.scaling.factor")? {
            None => self.maybe_number("rope.scale_linear")?,
            factor => factor,
        };
        Ok(factor.filter(|&factor| factor != 0.0).unwrap_or(1.0))
    }
}

/// Far more than any decoder has; it keeps a damaged count from filling the memory.
const MOST_LAYERS: usize = 1024;

/// Refuses configurations that no graph can run, whatever the architecture.
fn check(c: &Config) -> Result<(), Fault> {
    let sizes = [c.embedding, c.feed_forward, c.heads, c.kv_heads, c.head_dim, c.layers.len(), c.context_length];
    let fits = |a: usize, b: usize| a.checked_mul(b).is_some_and(|product| product <= i32::MAX as usize);
    let wrong = if sizes.contains(&0) {
        "a size of zero"
    } else if !c.heads.is_multiple_of(c.kv_heads) {
        "a number of heads that is no multiple of the number of key and value heads"
    } else if !fits(c.heads, c.head_dim) {
        "heads that are too wide"
    } else if c.rope_dimensions > c.head_dim || !c.rope_dimensions.is_multiple_of(2) {
        "a number of rotated dimensions that does not fit its heads"
    } else if !(c.rms_eps >= 0.0 && c.rms_eps.is_finite()) {
        "an RMSNorm epsilon that is not a small number"
    } else if c.ropes.iter().any(|rope| !(rope.base > 0.0 && rope.base.is_finite() && rope.scale > 0.0)) {
        "a RoPE base or scale that is not positive"
    } else if c.layers.iter().any(|layer| layer.window == Some(0)) {
        "a sliding window of zero"
    } else {
        return Ok(());
    };
    Err(Fault::damaged(format!("its metadata give {wrong}")))
}

#[cfg(test)]
mod tests {
    use nibble_kernels::RopeStyle;
    use serde_json::{Value, json};

    use super::*;

    fn metadata(pairs: &[(&str, Value)]) -> Metadata {
        let mut metadata = Metadata::default();
        for (key, value) in pairs {
            metadata.insert((*key).to_owned(), value.clone());
        }
        metadata
    }

    /// What SmolLM2-135M-Instruct says.
    fn smollm2() -> Metadata {
        metadata(&[
            ("general.architecture", json!("llama")),
            ("llama.block_count", json!(30)),
            ("llama.context_length", json!(8192)),
            ("llama.embedding_length", json!(576)),
            ("llama.feed_forward_length", json!(1536)),
            ("llama.attention.head_count", json!(9)),
            ("llama.attention.head_count_kv", json!(3)),
            ("llama.rope.freq_base", json!(100000.0)),
            ("llama.attention.layer_norm_rms_epsilon", json!(1e-5)),
            ("llama.rope.dimension_count", json!(64)),
        ])
    }

    /// What Gemma 3 270M says.
    fn gemma3() -> Metadata {
        metadata(&[
            ("general.architecture", json!("gemma3")),
            ("gemma3.block_count", json!(18)),
            ("gemma3.context_length", json!(32768)),
            ("gemma3.embedding_length", json!(640)),
            ("gemma3.feed_forward_length", json!(2048)),
            ("gemma3.attention.head_count", json!(4)),
            ("gemma3.attention.head_count_kv", json!(1)),
            ("gemma3.attention.key_length", json!(256)),
            ("gemma3.attention.value_length", json!(256)),
            ("gemma3.attention.layer_norm_rms_epsilon", json!(1e-6)),
            ("gemma3.attention.sliding_window", json!(512)),
            ("gemma3.rope.freq_base", json!(1e6)),
        ])
    }

    /// What Qwen2.5-1.5B-Instruct says.
    fn qwen2() -> Metadata {
        metadata(&[
            ("general.architecture", json!("qwen2")),
            ("qwen2.block_count", json!(28)),
            ("qwen2.context_length", json!(32768)),
            ("qwen2.embedding_length", json!(1536)),
            ("qwen2.feed_forward_length", json!(8960)),
            ("qwen2.attention.head_count", json!(12)),
            ("qwen2.attention.head_count_kv", json!(2)),
            ("qwen2.rope.freq_base", json!(1e6)),
            ("qwen2.attention.layer_norm_rms_epsilon", json!(1e-6)),
        ])
    }

    fn with(mut base: Metadata, key: &str, value: Value) -> Metadata {
        base.insert(key.to_owned(), value);
        base
    }

    fn fault(metadata: &Metadata) -> String {
        match config(metadata, 10).expect_err("a fault") {
            Fault::Damaged(why) | Fault::Unsupported(why) => why,
        }
    }

    #[test]
    fn llama_is_as_its_metadata_say() {
        let c = config(&smollm2(), 49152).unwrap();
        assert_eq!((c.vocabulary, c.layers.len(), c.heads, c.kv_heads, c.head_dim), (49152, 30, 9, 3, 64));
        assert_eq!((c.embedding_scale, c.attention_scale, c.gate), (1.0, 0.125, Gate::Silu));
        assert_eq!((c.rope_style, c.rope_dimensions), (RopeStyle::Interleaved, 64));
        assert_eq!(c.ropes, [Rope { base: 100000.0, scale: 1.0 }]);
        assert!(c.layers.iter().all(|layer| layer.window.is_none()));
        assert!(!c.qk_norm && !c.post_norms);
    }

    #[test]
    fn gemma3_has_five_local_layers_for_each_global_one() {
        let c = config(&gemma3(), 262144).unwrap();
        assert_eq!((c.embedding_scale, c.attention_scale, c.gate), (640f32.sqrt(), 1.0 / 16.0, Gate::Gelu));
        assert_eq!(c.rope_style, RopeStyle::Halves);
        let global: Vec<usize> = (0..18).filter(|&i| c.layers[i].window.is_none()).collect();
        assert_eq!(global, [5, 11, 17]);
        assert_eq!(c.layers[0].window, Some(512));
        assert_eq!(c.ropes[c.layers[0].rope].base, 10000.0);
        assert_eq!(c.ropes[c.layers[5].rope].base, 1e6);
        assert!(c.qk_norm && c.post_norms);
    }

    #[test]
    fn qwen2_is_a_llama_that_turns_halves() {
        let c = config(&qwen2(), 151936).unwrap();
        assert_eq!((c.vocabulary, c.layers.len(), c.heads, c.kv_heads, c.head_dim), (151936, 28, 12, 2, 128));
        assert_eq!((c.rope_style, c.rope_dimensions), (RopeStyle::Halves, 128));
        assert_eq!((c.embedding_scale, c.attention_scale, c.gate), (1.0, 1.0 / 128f32.sqrt(), Gate::Silu));
        assert_eq!(c.ropes, [Rope { base: 1e6, scale: 1.0 }]);
        assert!(c.layers.iter().all(|layer| layer.window.is_none()));
        assert!(!c.qk_norm && !c.post_norms);
    }

    #[test]
    fn scaling_of_positions_is_for_global_layers_only() {
        let c = config(&with(gemma3(), "gemma3.rope.scaling.factor", json!(8.0)), 10).unwrap();
        assert_eq!((c.ropes[c.layers[0].rope].scale, c.ropes[c.layers[5].rope].scale), (1.0, 8.0));
    }

    #[test]
    fn what_cannot_run_is_refused_by_name() {
        for (metadata, says) in [
            (metadata(&[]), "general.architecture is missing"),
            (
                metadata(&[("general.architecture", json!("mamba"))]),
                "\"mamba\", and there are only llama, gemma3, qwen2",
            ),
            (metadata(&[("general.architecture", json!("llama"))]), "llama.attention.head_count is missing"),
            (with(smollm2(), "llama.block_count", json!(4_000_000_000u32)), "llama.block_count is 4000000000"),
            (with(smollm2(), "llama.block_count", json!("many")), "is a string, not a count"),
            (with(smollm2(), "llama.attention.head_count", json!(0)), "a size of zero"),
            (with(smollm2(), "llama.attention.head_count_kv", json!(2)), "no multiple"),
            (with(smollm2(), "llama.attention.head_count_kv", json!([3, 3])), "is an array, not a count"),
            (with(smollm2(), "llama.attention.key_length", json!(u32::MAX)), "too wide"),
            (with(smollm2(), "llama.rope.dimension_count", json!(66)), "rotated dimensions"),
            (with(smollm2(), "llama.rope.freq_base", json!(-1.0)), "not positive"),
            (with(smollm2(), "llama.rope.freq_base", json!(null)), "not finite"),
            (with(smollm2(), "llama.rope.scaling.type", json!("yarn")), "\"yarn\" scaling"),
            (with(smollm2(), "llama.expert_count", json!(8)), "mixture of experts"),
            (with(qwen2(), "qwen2.rope.scaling.type", json!("yarn")), "\"yarn\" scaling"),
            (with(gemma3(), "gemma3.final_logit_softcapping", json!(30.0)), "soft cap"),
            (with(gemma3(), "gemma3.attention.value_length", json!(128)), "another width"),
            (with(gemma3(), "gemma3.attention.sliding_window", json!(0)), "window of zero"),
        ] {
            let why = fault(&metadata);
            assert!(why.contains(says), "{why:?} does not say {says:?}");
        }
    }
}
