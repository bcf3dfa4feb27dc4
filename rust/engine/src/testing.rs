//! Small random models for tests, as GGUF files: any architecture, any format, no download. Feature `testing`.

use std::ops::ControlFlow;
use std::path::Path;

use half::f16;
use nibble_kernels::Format;

use crate::tokenizer_source::gpt2_alphabet;
use crate::{Model, Result, TokenKind, pack};

/// A model with random weights of about the size that trained ones have.
#[derive(Clone, Debug)]
pub struct SyntheticModel {
    /// `llama` or `qwen2`, with a byte-level tokenizer, or `gemma3`, with one by scores.
    pub architecture: &'static str,
    /// The format of every matrix.
    pub format: Format,
    /// Number of layers.
    pub layers: usize,
    /// Width of the residual stream; a multiple of the format's block, as the next two products are.
    pub embedding: usize,
    /// Width of the feed-forward block.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Positions.
    pub context: usize,
    /// Sliding window of local layers (gemma3).
    pub window: usize,
    /// Whether the output head is the embedding.
    pub tied: bool,
    /// Whether Q, K and V have biases.
    pub biases: bool,
    /// Whether there are factors for the RoPE frequencies.
    pub rope_factors: bool,
    /// The chat template.
    pub chat_template: Option<String>,
    /// What the weights are drawn from.
    pub seed: u64,
}

impl SyntheticModel {
    /// A llama of two layers, tied.
    pub fn llama(format: Format) -> Self {
        let embedding = format.block().max(64);
        Self {
            architecture: "llama",
            format,
            layers: 2,
            embedding,
            feed_forward: 2 * embedding,
            heads: 4,
            kv_heads: 2,
            head_dim: embedding / 4,
            context: 256,
            window: 0,
            tied: true,
            biases: false,
            rope_factors: false,
            chat_template: None,
            seed: 1,
        }
    }

    /// A Gemma 3 of six layers, five of them local, whose heads are wider than its embedding divided among them.
    pub fn gemma3(format: Format) -> Self {
        let head_dim = format.block().max(128) / 4;
        Self { architecture: "gemma3", layers: 6, kv_heads: 1, head_dim, window: 8, ..Self::llama(format) }
    }

    /// A Qwen 2 of two layers, tied, with biases.
    pub fn qwen2(format: Format) -> Self {
        Self { architecture: "qwen2", biases: true, ..Self::llama(format) }
    }

    /// Packs the model into `folder` and opens it.
    ///
    /// # Errors
    /// When the folder cannot be written, or the fields make no model.
    pub fn open_in(&self, folder: &Path) -> Result<Model> {
        let (gguf, packed) = (folder.join("synthetic.gguf"), folder.join("synthetic.nibble"));
        let written = std::fs::write(&gguf, self.gguf().build());
        written.map_err(|source| crate::Error::Io { doing: "write", path: gguf.clone(), source })?;
        pack(&gguf, &packed, &mut |_| ControlFlow::Continue(()))?;
        Model::open(&packed)
    }

    /// The model as a GGUF that can still be added to.
    pub fn gguf(&self) -> GgufBuilder {
        let mut g = GgufBuilder::default();
        let a = self.architecture;
        g.string("general.architecture", a).string("general.name", "Synthetic").string("general.license", "apache-2.0");
        for (key, value) in [
            ("block_count", self.layers),
            ("context_length", self.context),
            ("embedding_length", self.embedding),
            ("feed_forward_length", self.feed_forward),
            ("attention.head_count", self.heads),
            ("attention.head_count_kv", self.kv_heads),
            ("attention.key_length", self.head_dim),
            ("attention.value_length", self.head_dim),
        ] {
            g.u32(&format!("{a}.{key}"), value as u32);
        }
        g.f32(&format!("{a}.rope.freq_base"), 100_000.0).f32(&format!("{a}.attention.layer_norm_rms_epsilon"), 1e-6);
        let gemma = a == "gemma3";
        if gemma {
            g.u32("gemma3.attention.sliding_window", self.window as u32);
        }
        if let Some(template) = &self.chat_template {
            g.string("tokenizer.chat_template", template);
        }
        let vocabulary = if gemma { scored_tokens(&mut g) } else { byte_level_tokens(&mut g) };
        self.tensors(&mut g, vocabulary);
        g
    }

    fn tensors(&self, g: &mut GgufBuilder, vocabulary: usize) {
        let mut random = Random(self.seed);
        let (embedding, queries, keys) = (self.embedding, self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let mut matrix = |g: &mut GgufBuilder, name: &str, rows: usize, cols: usize| {
            g.tensor(name, &[cols, rows], self.format.ggml(), &random.blocks(self.format, rows, cols));
        };
        let mut random = Random(self.seed ^ 0x5eed);
        let mut vector = |g: &mut GgufBuilder, name: &str, len: usize, mean: f32| {
            let values: Vec<u8> = (0..len).flat_map(|_| (mean + 0.1 * random.unit()).to_le_bytes()).collect();
            g.tensor(name, &[len], Format::F32.ggml(), &values);
        };
        matrix(g, "token_embd.weight", vocabulary, embedding);
        if !self.tied {
            matrix(g, "output.weight", vocabulary, embedding);
        }
        vector(g, "output_norm.weight", embedding, 1.0);
        if self.rope_factors {
            vector(g, "rope_freqs.weight", self.head_dim / 2, 2.0);
        }
        for layer in 0..self.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            for (part, rows, cols) in [
                ("attn_q", queries, embedding),
                ("attn_k", keys, embedding),
                ("attn_v", keys, embedding),
                ("attn_output", embedding, queries),
                ("ffn_gate", self.feed_forward, embedding),
                ("ffn_up", self.feed_forward, embedding),
                ("ffn_down", embedding, self.feed_forward),
            ] {
                matrix(g, &name(&format!("{part}.weight")), rows, cols);
            }
            vector(g, &name("attn_norm.weight"), embedding, 1.0);
            vector(g, &name("ffn_norm.weight"), embedding, 1.0);
            if self.biases {
                vector(g, &name("attn_q.bias"), queries, 0.0);
                vector(g, &name("attn_k.bias"), keys, 0.0);
                vector(g, &name("attn_v.bias"), keys, 0.0);
            }
            if self.architecture == "gemma3" {
                vector(g, &name("attn_q_norm.weight"), self.head_dim, 1.0);
                vector(g, &name("attn_k_norm.weight"), self.head_dim, 1.0);
                vector(g, &name("post_attention_norm.weight"), embedding, 1.0);
                vector(g, &name("post_ffw_norm.weight"), embedding, 1.0);
            }
        }
    }
}

/// Words that both vocabularies have whole.
const WORDS: [&str; 5] = ["the", "then", "cat", "sat", "on"];

/// Two control tokens, every byte, then the words with a space in front, merged letter by letter.
fn byte_level_tokens(g: &mut GgufBuilder) -> usize {
    let mut tokens: Vec<(String, TokenKind)> =
        ["<s>", "</s>"].map(|text| (text.to_owned(), TokenKind::Control)).to_vec();
    tokens.extend(gpt2_alphabet().iter().map(|&c| (c.to_string(), TokenKind::Normal)));
    let mut merges = Vec::new();
    for word in WORDS {
        let mut piece = "Ġ".to_owned();
        for letter in word.chars() {
            let merge = format!("{piece} {letter}");
            piece.push(letter);
            if !merges.contains(&merge) {
                merges.push(merge);
                tokens.push((piece.clone(), TokenKind::Normal));
            }
        }
    }
    g.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "smollm");
    g.u32("tokenizer.ggml.bos_token_id", 0).u32("tokenizer.ggml.eos_token_id", 1);
    g.strings("tokenizer.ggml.merges", &merges);
    tokens_with_kinds(g, &tokens)
}

/// The four special tokens of Gemma, every byte, then the words and their beginnings, longer ones with higher scores.
fn scored_tokens(g: &mut GgufBuilder) -> usize {
    let mut tokens: Vec<(String, TokenKind)> =
        ["<pad>", "</s>", "<s>", "<unk>"].map(|text| (text.to_owned(), TokenKind::Control)).to_vec();
    tokens.extend((0..=255u8).map(|byte| (format!("<0x{byte:02X}>"), TokenKind::Byte)));
    for word in WORDS {
        let word = format!("▁{word}");
        for (end, c) in word.char_indices() {
            for piece in [&word[..end + c.len_utf8()], &word[end..end + c.len_utf8()]] {
                if !tokens.iter().any(|(token, _)| token == piece) {
                    tokens.push((piece.to_owned(), TokenKind::Normal));
                }
            }
        }
    }
    let scores: Vec<f32> = tokens.iter().map(|(token, _)| token.chars().count() as f32 - 100.0).collect();
    g.string("tokenizer.ggml.model", "llama").bool("tokenizer.ggml.add_space_prefix", false);
    for (id, name) in ["padding", "eos", "bos", "unknown"].iter().enumerate() {
        g.u32(&format!("tokenizer.ggml.{name}_token_id"), id as u32);
    }
    g.f32s("tokenizer.ggml.scores", &scores);
    tokens_with_kinds(g, &tokens)
}

fn tokens_with_kinds(g: &mut GgufBuilder, tokens: &[(String, TokenKind)]) -> usize {
    g.strings("tokenizer.ggml.tokens", &tokens.iter().map(|(text, _)| text).collect::<Vec<_>>());
    g.i32s("tokenizer.ggml.token_type", &tokens.iter().map(|&(_, kind)| kind as i32).collect::<Vec<_>>());
    tokens.len()
}

/// Writes a GGUF version 3, sound unless told otherwise.
#[derive(Clone, Debug, Default)]
pub struct GgufBuilder {
    pairs: Vec<(String, Vec<u8>)>,
    tensors: Vec<TensorEntry>,
    data: Vec<u8>,
}

#[derive(Clone, Debug)]
struct TensorEntry {
    name: String,
    dimensions: Vec<u64>,
    kind: u32,
    offset: u64,
}

impl GgufBuilder {
    /// What tensors begin on.
    pub const ALIGNMENT: usize = 32;

    /// Adds a pair, in the place of an older one of that key; `value` is GGUF's type number and bytes.
    fn pair(&mut self, key: &str, value: Vec<u8>) -> &mut Self {
        self.remove(key);
        self.pairs.push((key.to_owned(), value));
        self
    }

    /// Takes a pair out.
    pub fn remove(&mut self, key: &str) -> &mut Self {
        self.pairs.retain(|(other, _)| other != key);
        self
    }

    /// Takes a tensor out of the table; its bytes stay.
    pub fn remove_tensor(&mut self, name: &str) -> &mut Self {
        self.tensors.retain(|tensor| tensor.name != name);
        self
    }

    fn scalar(&mut self, key: &str, kind: u32, bytes: &[u8]) -> &mut Self {
        self.pair(key, [&kind.to_le_bytes(), bytes].concat())
    }

    fn array(&mut self, key: &str, kind: u32, len: usize, bytes: Vec<u8>) -> &mut Self {
        self.array_claiming(key, kind, len as u64);
        self.pairs.last_mut().expect("just added").1.extend(bytes);
        self
    }

    /// Adds a u32.
    pub fn u32(&mut self, key: &str, value: u32) -> &mut Self {
        self.scalar(key, 4, &value.to_le_bytes())
    }

    /// Adds an f32.
    pub fn f32(&mut self, key: &str, value: f32) -> &mut Self {
        self.scalar(key, 6, &value.to_le_bytes())
    }

    /// Adds a truth value.
    pub fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.scalar(key, 7, &[u8::from(value)])
    }

    /// Adds a string.
    pub fn string(&mut self, key: &str, value: &str) -> &mut Self {
        self.scalar(key, 8, &string(value))
    }

    /// Adds an array of strings.
    pub fn strings(&mut self, key: &str, values: &[impl AsRef<str>]) -> &mut Self {
        let bytes = values.iter().flat_map(|value| string(value.as_ref())).collect();
        self.array(key, 8, values.len(), bytes)
    }

    /// Adds an array of f32.
    pub fn f32s(&mut self, key: &str, values: &[f32]) -> &mut Self {
        self.array(key, 6, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Adds an array of i32.
    pub fn i32s(&mut self, key: &str, values: &[i32]) -> &mut Self {
        self.array(key, 5, values.len(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Adds an array that claims `len` elements of `kind` and has none.
    pub fn array_claiming(&mut self, key: &str, kind: u32, len: u64) -> &mut Self {
        self.pair(key, [&9u32.to_le_bytes()[..], &kind.to_le_bytes(), &len.to_le_bytes()].concat())
    }

    /// Adds a tensor: its dimensions in GGUF's order (columns first), ggml's number of its format, and its bytes.
    pub fn tensor(&mut self, name: &str, dimensions: &[usize], kind: u32, bytes: &[u8]) -> &mut Self {
        let dimensions = dimensions.iter().map(|&dimension| dimension as u64).collect();
        self.tensors.push(TensorEntry { name: name.to_owned(), dimensions, kind, offset: self.data.len() as u64 });
        self.data.extend_from_slice(bytes);
        self.data.resize(self.data.len().next_multiple_of(Self::ALIGNMENT), 0);
        self
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, value) in &self.pairs {
            out.extend(string(key));
            out.extend(value);
        }
        for tensor in &self.tensors {
            out.extend(string(&tensor.name));
            out.extend((tensor.dimensions.len() as u32).to_le_bytes());
            out.extend(tensor.dimensions.iter().flat_map(|dimension| dimension.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(tensor.offset.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(Self::ALIGNMENT), 0);
        out.extend(&self.data);
        out
    }
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in -1..1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// A matrix of random codes whose values have mean 0 and a deviation of about `cols^-0.5`.
    fn blocks(&mut self, format: Format, rows: usize, cols: usize) -> Vec<u8> {
        let deviation = 1.0 / (cols as f32).sqrt();
        let size = format.source_len(1, format.block()).expect("one block");
        let blocks = rows * cols / format.block();
        (0..blocks).flat_map(|_| self.block(format, size, deviation)).collect()
    }

    fn block(&mut self, format: Format, size: usize, deviation: f32) -> Vec<u8> {
        let value = self.unit() * 3f32.sqrt() * deviation;
        let mut block: Vec<u8> = (0..size).map(|_| self.next() as u8).collect();
        // The deviation of the codes, and the mean in units of the scale where there is a minimum to take it off.
        let (codes, mean) = match format {
            Format::F32 => return value.to_le_bytes().to_vec(),
            Format::F16 => return f16::from_f32(value).to_le_bytes().to_vec(),
            Format::BF16 => return half::bf16::from_f32(value).to_le_bytes().to_vec(),
            Format::Q4_0 => (4.6, None),
            Format::Q4_1 => (4.6, Some(-7.5)),
            Format::Q5_0 => (9.2, None),
            Format::Q5_1 => (9.2, Some(-15.5)),
            Format::Q8_0 | Format::Q8_0N => (74.0, None),
            Format::Q4_K => (260.0, Some(7.5)),
            Format::Q5_K => (526.0, Some(15.5)),
            Format::Q6_K => (1367.0, None),
        };
        let scale = deviation / codes;
        let at = if format == Format::Q6_K { 208 } else { 0 };
        block[at..at + 2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
        if let Some(mean) = mean {
            block[2..4].copy_from_slice(&f16::from_f32(scale * mean).to_le_bytes());
        }
        block
    }
}
