//! A float reference for the graphs: every weight dequantized by candle, every step the textbook's, no cache.
//!
//! Written to be obviously right, from the papers and the reference code of Llama (Touvron et al. 2023) and Gemma 3 (technical
//! report, 2025); only the products of matrices are left to candle.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Result, Tensor};

/// A model with float weights.
#[derive(Debug)]
pub struct Reference {
    tensors: HashMap<String, Tensor>,
    gemma: bool,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    epsilon: f32,
    rope_base: f32,
    /// Keys that a sliding layer sees, the query's own included.
    window: usize,
}

/// Rows of floats.
type Rows = Vec<Vec<f32>>;

impl Reference {
    /// Reads and dequantizes the GGUF at `path`, a `llama` or a `gemma3`.
    ///
    /// # Errors
    /// When candle cannot read it.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let content = Content::read(&mut file)?;
        let mut tensors = HashMap::new();
        for name in content.tensor_infos.keys() {
            let tensor = content.tensor(&mut file, name, &Device::Cpu)?.dequantize(&Device::Cpu)?;
            tensors.insert(name.clone(), tensor);
        }
        let architecture = content.metadata["general.architecture"].to_string()?;
        let value = |name: &str| content.metadata.get(&format!("{architecture}.{name}"));
        let count = |name: &str| value(name).map(Value::to_u32).transpose().map(|n| n.map(|n| n as usize));
        let required = |name: &str| Ok::<_, candle_core::Error>(count(name)?.expect("a key that every model has"));
        let heads = required("attention.head_count")?;
        Ok(Self {
            gemma: architecture == "gemma3",
            layers: required("block_count")?,
            heads,
            kv_heads: required("attention.head_count_kv")?,
            head_dim: count("attention.key_length")?.unwrap_or(required("embedding_length")? / heads),
            epsilon: value("attention.layer_norm_rms_epsilon").expect("a key that every model has").to_f32()?,
            rope_base: value("rope.freq_base").map(Value::to_f32).transpose()?.unwrap_or(10_000.0),
            window: count("attention.sliding_window")?.unwrap_or(usize::MAX),
            tensors,
        })
    }

    /// Logits `[vocabulary]` of every position.
    ///
    /// # Errors
    /// When a tensor is missing or of the wrong shape.
    pub fn logits(&self, tokens: &[u32]) -> Result<Rows> {
        let table = &self.tensors["token_embd.weight"];
        let ids = Tensor::new(tokens, &Device::Cpu)?;
        let mut x = table.index_select(&ids, 0)?.to_vec2::<f32>()?;
        if self.gemma {
            let scale = (x[0].len() as f32).sqrt();
            x.iter_mut().flatten().for_each(|value| *value *= scale);
        }
        for layer in 0..self.layers {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            let attended = self.attention(layer, &self.norm(&x, &name("attn_norm"))?)?;
            add(&mut x, &if self.gemma { self.norm(&attended, &name("post_attention_norm"))? } else { attended });
            let fed = self.feed_forward(layer, &self.norm(&x, &name("ffn_norm"))?)?;
            add(&mut x, &if self.gemma { self.norm(&fed, &name("post_ffw_norm"))? } else { fed });
        }
        let head = if self.tensors.contains_key("output.weight") { "output.weight" } else { "token_embd.weight" };
        self.linear(&self.norm(&x, "output_norm.weight")?, head)
    }

    fn attention(&self, layer: usize, x: &Rows) -> Result<Rows> {
        // Of every six layers of Gemma 3 the last is global; the others have their own RoPE base and see a window.
        let sliding = self.gemma && !(layer + 1).is_multiple_of(6);
        let base = if sliding { 10_000.0 } else { self.rope_base };
        let window = if sliding { self.window } else { usize::MAX };
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let project = |part: &str, rotate: bool| -> Result<Vec<Rows>> {
            let rows = self.linear(x, &name(part))?;
            let mut heads: Vec<Rows> =
                rows.iter().map(|row| row.chunks(self.head_dim).map(<[f32]>::to_vec).collect()).collect();
            if rotate {
                for (position, heads) in heads.iter_mut().enumerate() {
                    if self.gemma {
                        *heads = self.norm(heads, &name(&format!("{part}_norm")))?;
                    }
                    heads.iter_mut().for_each(|head| rope(head, position, base, self.gemma));
                }
            }
            Ok(heads)
        };
        let (queries, keys, values) = (project("attn_q", true)?, project("attn_k", true)?, project("attn_v", false)?);
        let group = self.heads / self.kv_heads;
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        let mut mixed = Vec::with_capacity(x.len());
        for (position, heads) in queries.iter().enumerate() {
            let seen = (position + 1).saturating_sub(window)..position + 1;
            let mut row = Vec::with_capacity(self.heads * self.head_dim);
            for (head, query) in heads.iter().enumerate() {
                let at = head / group;
                let scores: Vec<f32> = seen.clone().map(|key| dot(query, &keys[key][at]) * scale).collect();
                let mut out = vec![0.0; self.head_dim];
                for (weight, key) in softmax(&scores).into_iter().zip(seen.clone()) {
                    out.iter_mut().zip(&values[key][at]).for_each(|(out, value)| *out += weight * value);
                }
                row.extend(out);
            }
            mixed.push(row);
        }
        self.linear(&mixed, &name("attn_output"))
    }

    fn feed_forward(&self, layer: usize, x: &Rows) -> Result<Rows> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let mut gate = self.linear(x, &name("ffn_gate"))?;
        let up = self.linear(x, &name("ffn_up"))?;
        let activation = if self.gemma { gelu } else { silu };
        for (gate, up) in gate.iter_mut().flatten().zip(up.iter().flatten()) {
            *gate = activation(*gate) * up;
        }
        self.linear(&gate, &name("ffn_down"))
    }

    fn linear(&self, x: &Rows, weight: &str) -> Result<Rows> {
        let x = Tensor::new(x.clone(), &Device::Cpu)?;
        x.matmul(&self.tensors[weight].t()?)?.to_vec2()
    }

    fn norm(&self, x: &Rows, weight: &str) -> Result<Rows> {
        let weight: Vec<f32> = self.tensors[weight].to_vec1()?;
        let norm = |row: &Vec<f32>| {
            let scale = 1.0 / (dot(row, row) / row.len() as f32 + self.epsilon).sqrt();
            row.iter().zip(&weight).map(|(x, w)| x * scale * w).collect()
        };
        Ok(x.iter().map(norm).collect())
    }
}

fn add(x: &mut Rows, y: &Rows) {
    x.iter_mut().flatten().zip(y.iter().flatten()).for_each(|(x, y)| *x += y);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let peak = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = scores.iter().map(|score| (score - peak).exp()).collect();
    let sum: f32 = exps.iter().sum();
    exps.into_iter().map(|e| e / sum).collect()
}

/// Rotates the pairs of one head: `(2i, 2i + 1)` as GGUF stores Llama's weights, or `(i, i + half)`.
fn rope(head: &mut [f32], position: usize, base: f32, halves: bool) {
    let half = head.len() / 2;
    for i in 0..half {
        let angle = position as f64 / f64::from(base).powf(i as f64 / half as f64);
        let (sin, cos) = (angle.sin() as f32, angle.cos() as f32);
        let (a, b) = if halves { (i, i + half) } else { (2 * i, 2 * i + 1) };
        (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[a] * sin + head[b] * cos);
    }
}

fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// The tanh approximation (Hendrycks and Gimpel 2016), which Gemma is trained with.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + ((2.0 / std::f32::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
}
