//! What a decoder looks like: everything that one forward pass needs to know to run any supported architecture.

use nibble_kernels::RopeStyle;

/// The gate of the feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// x / (1 + e^-x), as in llama.
    Silu,
    /// GELU in the tanh approximation, as in gemma.
    Gelu,
}

/// One base of rotary position embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// The base: pair i of n turns by base^(-i/n) radians a position.
    pub base: f32,
    /// Divides the positions (linear scaling); 1 for none.
    pub scale: f32,
}

/// What sets one layer apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Positions that a row sees, its own included; `None` is all.
    pub window: Option<usize>,
    /// Which of [`Config::ropes`] turns its queries and keys.
    pub rope: usize,
}

/// The shape of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// GGUF's `general.architecture`.
    pub architecture: String,
    /// Tokens.
    pub vocabulary: usize,
    /// Positions that the model was trained for.
    pub context_length: usize,
    /// Width of the residual stream.
    pub embedding: usize,
    /// Width of the feed-forward block.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Added to the mean square in every RMSNorm.
    pub rms_eps: f32,
    /// Multiplies the embeddings.
    pub embedding_scale: f32,
    /// Multiplies the products of queries and keys.
    pub attention_scale: f32,
    /// The feed-forward block's gate.
    pub gate: Gate,
    /// How rotary embedding pairs elements.
    pub rope_style: RopeStyle,
    /// Elements of a head that are turned; the rest stay.
    pub rope_dimensions: usize,
    /// Whether every head of the queries and keys is normalised before it is turned.
    pub qk_norm: bool,
    /// Whether what attention and the feed-forward block give is normalised before it is added to the residual stream.
    pub post_norms: bool,
    /// The bases in use.
    pub ropes: Vec<Rope>,
    /// The layers, first to last.
    pub layers: Vec<Layer>,
}
