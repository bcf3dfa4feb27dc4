//! The weights of a decoder: which tensors there are, under which names and in which shapes, and how the graph gets at them.

use nibble_kernels::{Format, Matrix, ShapeError};

use crate::Config;
use crate::error::Fault;
use crate::mmap::Table;

/// One tensor in the mapped model file; cloning it copies no weight.
#[derive(Clone, Debug)]
pub(crate) enum Tensor {
    /// A packed matrix that was checked when the model was opened.
    Matrix { format: Format, rows: usize, cols: usize, packed: Table<u8> },
    /// A norm, a bias or the like.
    Vector(Table<f32>),
}

impl Tensor {
    /// The matrix. Panics if it is a vector: [`Weights::collect`] asked for each tensor in its shape.
    pub(crate) fn matrix(&self) -> Matrix<'_> {
        let Self::Matrix { format, rows, cols, packed } = self else { panic!("a vector where a matrix is needed") };
        Matrix::new(*format, *rows, *cols, packed).expect("checked when the model was opened")
    }

    /// A matrix of `(format, rows, columns)`, packed from what a GGUF would hold.
    pub(crate) fn packed((format, rows, cols): (Format, usize, usize), source: &[u8]) -> Result<Self, ShapeError> {
        let mut packed = vec![0; format.packed_len(rows, cols).unwrap_or(0)];
        nibble_kernels::pack(format, rows, cols, source, &mut packed)?;
        Ok(Self::Matrix { format, rows, cols, packed: packed.into() })
    }

    pub(crate) fn shape(&self) -> Shape {
        match *self {
            Self::Matrix { rows, cols, .. } => Shape::Matrix { rows, cols },
            Self::Vector(ref values) => Shape::Vector(values.len()),
        }
    }

    pub(crate) fn format(&self) -> Format {
        match *self {
            Self::Matrix { format, .. } => format,
            Self::Vector(_) => Format::F32,
        }
    }

    /// Length in the model file.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Matrix { packed, .. } => packed.len(),
            Self::Vector(values) => size_of_val(&values[..]),
        }
    }

    /// The values of a vector. Panics if it is a matrix.
    pub(crate) fn values(&self) -> &[f32] {
        let Self::Vector(values) = self else { panic!("a matrix where a vector is needed") };
        values
    }
}

/// A tensor's shape: a product with a matrix maps `cols` inputs to `rows` outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Matrix { rows: usize, cols: usize },
    Vector(usize),
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Matrix { rows, cols } => write!(f, "{rows} x {cols}"),
            Self::Vector(len) => write!(f, "{len}"),
        }
    }
}

/// All weights of a decoder. `T` is [`Tensor`], or whatever a caller of [`Weights::collect`] makes of a name and a shape.
#[derive(Debug)]
pub(crate) struct Weights<T = Tensor> {
    /// `[vocabulary][embedding]`
    pub embedding: T,
    /// `[vocabulary][embedding]`; the embedding itself where the model ties them.
    pub output: T,
    pub output_norm: T,
    /// Divides the RoPE frequencies, `[rope_dimensions / 2]`.
    pub rope_factors: Option<T>,
    pub layers: Vec<LayerWeights<T>>,
}

/// The weights of one layer.
#[derive(Debug)]
pub(crate) struct LayerWeights<T = Tensor> {
    pub attention_norm: T,
    pub q: T,
    pub k: T,
    pub v: T,
    pub o: T,
    pub q_bias: Option<T>,
    pub k_bias: Option<T>,
    pub v_bias: Option<T>,
    pub q_norm: Option<T>,
    pub k_norm: Option<T>,
    pub post_attention_norm: Option<T>,
    pub feed_forward_norm: T,
    pub gate: T,
    pub up: T,
    pub down: T,
    pub post_feed_forward_norm: Option<T>,
}

impl<T: Clone> Weights<T> {
    /// Asks `get` for every tensor of a decoder, by its GGUF name and shape. `get` says `None` if there is no such tensor.
    pub(crate) fn collect(
        config: &Config,
        mut get: impl FnMut(&str, Shape) -> Result<Option<T>, Fault>,
    ) -> Result<Self, Fault> {
        use Shape::{Matrix, Vector};
        let (embedding, feed_forward) = (config.embedding, config.feed_forward);
        let (queries, keys) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let table = Matrix { rows: config.vocabulary, cols: embedding };

        let mut need = |name: &str, shape| {
            get(name, shape)?.ok_or_else(|| Fault::damaged(format!("the tensor {name} is missing")))
        };
        let token_embedding = need("token_embd.weight", table)?;
        let output_norm = need("output_norm.weight", Vector(embedding))?;
        let mut layers = Vec::with_capacity(config.layers.len());
        for i in 0..config.layers.len() {
            let name = |part: &str| format!("blk.{i}.{part}");
            let mut need = |part: &str, shape| {
                let name = name(part);
                get(&name, shape)?.ok_or_else(|| Fault::damaged(format!("the tensor {name} is missing")))
            };
            let mut need_if = |wanted: bool, part: &str, len| wanted.then(|| need(part, Vector(len))).transpose();
            let q_norm = need_if(config.qk_norm, "attn_q_norm.weight", config.head_dim)?;
            let k_norm = need_if(config.qk_norm, "attn_k_norm.weight", config.head_dim)?;
            let post_attention_norm = need_if(config.post_norms, "post_attention_norm.weight", embedding)?;
            let post_feed_forward_norm = need_if(config.post_norms, "post_ffw_norm.weight", embedding)?;
            layers.push(LayerWeights {
                attention_norm: need("attn_norm.weight", Vector(embedding))?,
                q: need("attn_q.weight", Matrix { rows: queries, cols: embedding })?,
                k: need("attn_k.weight", Matrix { rows: keys, cols: embedding })?,
                v: need("attn_v.weight", Matrix { rows: keys, cols: embedding })?,
                o: need("attn_output.weight", Matrix { rows: embedding, cols: queries })?,
                feed_forward_norm: need("ffn_norm.weight", Vector(embedding))?,
                gate: need("ffn_gate.weight", Matrix { rows: feed_forward, cols: embedding })?,
                up: need("ffn_up.weight", Matrix { rows: feed_forward, cols: embedding })?,
                down: need("ffn_down.weight", Matrix { rows: embedding, cols: feed_forward })?,
                q_bias: get(&name("attn_q.bias"), Vector(queries))?,
                k_bias: get(&name("attn_k.bias"), Vector(keys))?,
                v_bias: get(&name("attn_v.bias"), Vector(keys))?,
                q_norm,
                k_norm,
                post_attention_norm,
                post_feed_forward_norm,
            });
        }
        Ok(Self {
            output: get("output.weight", table)?.unwrap_or_else(|| token_embedding.clone()),
            rope_factors: get("rope_freqs.weight", Vector(config.rope_dimensions / 2))?,
            embedding: token_embedding,
            output_norm,
            layers,
        })
    }
}

impl Weights {
    /// What divides the RoPE frequencies, if the model has it.
    pub(crate) fn rope_factors(&self) -> Option<&[f32]> {
        self.rope_factors.as_ref().map(Tensor::values)
    }
}
