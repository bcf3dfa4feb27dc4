//! The graphs that candle-transformers has for GGUF files, and what has to be watched with each.
//!
//! candle's loaders take what they know and leave the rest of a file unread, so a file with one tensor more than
//! they expect (a bias, RoPE factors) runs and talks nonsense. Here every tensor that a loader did not read, and every
//! piece of metadata that changes the arithmetic but that no loader looks at, is an error.
//!
//! Left out: `qwen3moe`, whose experts candle runs on CUDA only; `smollm3`, whose loader prints to standard output
//! and requantizes the output matrix; `gemma` and `gemma2`, whose graphs candle has for safetensors only.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{
    gemma3, quantized_glm4, quantized_lfm2, quantized_llama, quantized_phi, quantized_phi3, quantized_qwen2,
    quantized_qwen3,
};

use crate::error::Fault;

/// `general.architecture` of the files that run.
pub(super) const ARCHITECTURES: [&str; 8] = ["llama", "qwen2", "qwen3", "phi2", "phi3", "gemma3", "glm4", "lfm2"];

/// Longest context: the length of candle's RoPE tables in the loaders that do not take it from the file.
const MAX_CONTEXT: usize = 4096;

/// Widest head that a real model has, with a margin; a bound on the tables that a hostile file can ask for.
const MAX_HEAD: u32 = 4096;

type Step = Box<dyn FnMut(&Tensor, usize) -> candle_core::Result<Tensor> + Send>;

/// One architecture's graph with its KV cache.
pub(super) struct Graph {
    step: Step,
    /// Tokens that a timeline may hold.
    pub(super) context: usize,
}

impl Graph {
    /// Loads the graph that the GGUF `source` is for.
    pub(super) fn load(source: &File) -> Result<Self, Fault> {
        let mut file = BufReader::new(source);
        let mut content = Content::read(&mut file).map_err(|e| Fault::damaged(reason(&e)))?;
        let architecture = match content.metadata.get("general.architecture") {
            Some(Value::String(name)) => name.clone(),
            _ => return Err(Fault::damaged("the key general.architecture is missing")),
        };
        if !ARCHITECTURES.contains(&&*architecture) {
            return Err(Fault::unsupported(format!(
                "the architecture {architecture:.40?}, and candle runs only {}",
                ARCHITECTURES.join(", ")
            )));
        }
        let context = check(&mut content, &architecture)?;
        let starts: BTreeMap<u64, String> = content
            .tensor_infos
            .iter()
            .map(|(name, info)| (content.tensor_data_offset.saturating_add(info.offset), name.clone()))
            .collect();
        let mut file = Watched { file, starts: HashSet::new() };
        let step = step(&architecture, content, &mut file, source, context)
            .map_err(|e| Fault::damaged(format!("candle cannot load it as {architecture}: {}", reason(&e))))?;
        let read = file.starts;
        if let Some((_, name)) = starts.iter().find(|(start, _)| !read.contains(start)) {
            return Err(Fault::unsupported(format!("the tensor {name:.80}, which candle's {architecture} leaves out")));
        }
        Ok(Self { step, context })
    }

    /// Logits `[vocabulary]` of the last of `tokens`, the first of which is at `position`. Position 0 empties the
    /// cache; any other must be the end of what is cached.
    pub(super) fn forward(&mut self, tokens: &[u32], position: usize) -> candle_core::Result<Vec<f32>> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        (self.step)(&input, position)?.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
    }
}

/// First line of candle's reason; the rest is a backtrace.
pub(super) fn reason(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Refuses numbers that candle would trip over and metadata that it would ignore; returns the context.
fn check(content: &mut Content, architecture: &str) -> Result<usize, Fault> {
    let key = |name: &str| format!("{architecture}.{name}");
    let count = |content: &Content, name: &str| content.metadata.get(&key(name)).and_then(|v| v.to_u32().ok());
    let tensors = content.tensor_infos.len() as u32;
    for (name, limit) in [
        ("block_count", tensors),
        ("attention.head_count", MAX_HEAD),
        ("attention.head_count_kv", MAX_HEAD),
        ("attention.key_length", MAX_HEAD),
        ("rope.dimension_count", MAX_HEAD),
        ("embedding_length", 1 << 20),
        ("shortconv.l_cache", MAX_HEAD),
    ] {
        if let Some(n) = count(content, name)
            && !(1..=limit).contains(&n)
        {
            return Err(Fault::damaged(format!("{} is {n}", key(name))));
        }
    }
    if let (Some(heads), Some(kv)) = (count(content, "attention.head_count"), count(content, "attention.head_count_kv"))
        && heads % kv != 0
    {
        return Err(Fault::damaged(format!("{heads} heads over {kv} key-value heads")));
    }
    if let (Some(width), Some(heads)) = (count(content, "embedding_length"), count(content, "attention.head_count"))
        && width / heads == 0
    {
        return Err(Fault::damaged(format!("{heads} heads over a width of {width}")));
    }
    for name in ["rope.scaling.factor", "rope.scale_linear"] {
        if let Some(factor) = content.metadata.get(&key(name)).and_then(|v| v.to_f32().ok())
            && factor != 0.0
            && factor != 1.0
        {
            return Err(Fault::unsupported(format!(
                "RoPE scaling by {factor}, which candle's {architecture} leaves out"
            )));
        }
    }
    // The sliding masks of candle are one key too wide or not there: within the window there is no difference.
    let context =
        [Some(MAX_CONTEXT as u32), count(content, "context_length"), count(content, "attention.sliding_window")]
            .into_iter()
            .flatten()
            .filter(|&n| n > 0)
            .min()
            .unwrap_or(MAX_CONTEXT as u32);
    // The loaders make RoPE tables of this length.
    content.metadata.insert(key("context_length"), Value::U32(context));
    // qwen3 makes its RoPE tables in half precision unless this says F32.
    content.metadata.insert("general.dtype".into(), Value::U32(0));
    Ok(context as usize)
}

fn step(
    architecture: &str,
    content: Content,
    file: &mut (impl Read + Seek),
    source: &File,
    context: usize,
) -> candle_core::Result<Step> {
    let cpu = &Device::Cpu;
    Ok(match architecture {
        "llama" => {
            let mut model = quantized_llama::ModelWeights::from_gguf(content, file, cpu)?;
            Box::new(move |tokens, position| model.forward(tokens, position))
        }
        "qwen2" => {
            let mut model = quantized_qwen2::ModelWeights::from_gguf(content, file, cpu)?;
            Box::new(move |tokens, position| model.forward(tokens, position))
        }
        "qwen3" => {
            let mut model = quantized_qwen3::ModelWeights::from_gguf(content, file, cpu)?;
            Box::new(move |tokens, position| {
                if position == 0 {
                    model.clear_kv_cache();
                }
                model.forward(tokens, position)
            })
        }
        "phi2" => {
            let mut model = quantized_phi::ModelWeights::from_gguf(content, file, cpu)?;
            Box::new(move |tokens, position| model.forward(tokens, position))
        }
        "phi3" => {
            let mut model = quantized_phi3::ModelWeights::from_gguf(false, content, file, cpu)?;
            Box::new(move |tokens, position| model.forward(tokens, position))
        }
        "gemma3" => {
            let mut model = gemma3(&content, file, context)?;
            Box::new(move |tokens, position| {
                if position == 0 {
                    model.clear_kv_cache();
                }
                // On a CPU its cache takes one token at a time.
                let mut logits = model.forward(&tokens.narrow(1, 0, 1)?, position)?;
                for i in 1..tokens.dim(1)? {
                    logits = model.forward(&tokens.narrow(1, i, 1)?, position + i)?;
                }
                Ok(logits)
            })
        }
        "glm4" => {
            let mut model = quantized_glm4::ModelWeights::from_gguf(content, file, cpu, DType::F32)?;
            Box::new(move |tokens, position| model.forward(tokens, position))
        }
        "lfm2" => {
            let mut model = quantized_lfm2::ModelWeights::from_gguf(content, file, cpu)?;
            let (mut source, mut used) = (source.try_clone()?, false);
            Box::new(move |tokens, position| {
                // Its convolutions cannot be emptied: a longer text replaces what they hold, a text of one token
                // would see it.
                if std::mem::replace(&mut used, true) && position == 0 && tokens.dim(1)? == 1 {
                    source.rewind()?;
                    let mut file = BufReader::new(&source);
                    let mut content = Content::read(&mut file)?;
                    check(&mut content, "lfm2").map_err(|fault| candle_core::Error::msg(format!("{fault:?}")))?;
                    model = quantized_lfm2::ModelWeights::from_gguf(content, &mut file, cpu)?;
                }
                model.forward(tokens, position)
            })
        }
        other => candle_core::bail!("no graph for {other}"),
    })
}

/// candle's float Gemma 3 over dequantized weights: its quantized one has SiLU where the model has GELU, and makes
/// RoPE tables of 131,072 positions for every layer.
fn gemma3(content: &Content, file: &mut (impl Read + Seek), context: usize) -> candle_core::Result<gemma3::Model> {
    let value = |name: &str| match content.metadata.get(&format!("gemma3.{name}")) {
        Some(value) => Ok(value),
        None => candle_core::bail!("the key gemma3.{name} is missing"),
    };
    let count = |name: &str| value(name)?.to_u32().map(|n| n as usize);
    let number = |name: &str, default: f64| match value(name) {
        Ok(value) => value.to_f32().map(f64::from),
        Err(_) => Ok(default),
    };
    let head_dim = count("attention.key_length")?;
    let layers = count("block_count")?;
    let hidden_size = count("embedding_length")?;
    let mut tensors = HashMap::new();
    let mut take = |from: &str, to: String| -> candle_core::Result<()> {
        let tensor = content.tensor(file, from, &Device::Cpu)?.dequantize(&Device::Cpu)?;
        // GGUF stores the norms' weights plus one, candle adds the one itself.
        tensors.insert(to, if from.ends_with("norm.weight") { (tensor - 1.0)? } else { tensor });
        Ok(())
    };
    take("token_embd.weight", "model.embed_tokens.weight".into())?;
    take("output_norm.weight", "model.norm.weight".into())?;
    for layer in 0..layers {
        for (from, to) in [
            ("attn_norm", "input_layernorm"),
            ("attn_q", "self_attn.q_proj"),
            ("attn_k", "self_attn.k_proj"),
            ("attn_v", "self_attn.v_proj"),
            ("attn_output", "self_attn.o_proj"),
            ("attn_q_norm", "self_attn.q_norm"),
            ("attn_k_norm", "self_attn.k_norm"),
            ("post_attention_norm", "post_attention_layernorm"),
            ("ffn_norm", "pre_feedforward_layernorm"),
            ("ffn_gate", "mlp.gate_proj"),
            ("ffn_up", "mlp.up_proj"),
            ("ffn_down", "mlp.down_proj"),
            ("post_ffw_norm", "post_feedforward_layernorm"),
        ] {
            take(&format!("blk.{layer}.{from}.weight"), format!("model.layers.{layer}.{to}.weight"))?;
        }
    }
    let config = gemma3::Config {
        attention_bias: false,
        head_dim,
        hidden_activation: candle_nn::Activation::GeluPytorchTanh,
        hidden_size,
        intermediate_size: count("feed_forward_length")?,
        num_attention_heads: count("attention.head_count")?,
        num_hidden_layers: layers,
        num_key_value_heads: count("attention.head_count_kv")?,
        rms_norm_eps: number("attention.layer_norm_rms_epsilon", 1e-6)?,
        rope_theta: number("rope.freq_base", 1e6)?,
        rope_local_base_freq: number("rope.freq_base_swa", 1e4)?,
        vocab_size: tensors["model.embed_tokens.weight"].dim(0)?,
        final_logit_softcapping: None,
        attn_logit_softcapping: None,
        query_pre_attn_scalar: head_dim,
        sliding_window: count("attention.sliding_window")?,
        // Of every six layers the last sees everything (Gemma 3 technical report, section 2).
        sliding_window_pattern: 6,
        max_position_embeddings: context,
    };
    gemma3::Model::new(false, &config, VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu))
}

/// A file that remembers where reading began, so that the tensors that were left out are known.
struct Watched<F> {
    file: F,
    starts: HashSet<u64>,
}

impl<F: Read> Read for Watched<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.file.read(buffer)
    }
}

impl<F: Seek> Seek for Watched<F> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = self.file.seek(to)?;
        self.starts.insert(position);
        Ok(position)
    }
}
