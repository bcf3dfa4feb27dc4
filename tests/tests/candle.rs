//! The candle backend: every architecture against llama.cpp, the promises of the trait, and files that it must refuse.
//! Nibble's own graphs are compared with the same logits.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use nibble_engine::{CandleModel, Error, LanguageModel, Model, Node, SessionOptions, TokenId};
use serde::Deserialize;

/// `golden/architectures/architectures.json`; the README beside it says what is in it.
#[derive(Deserialize)]
struct Golden {
    vocabulary: usize,
    tokens: Vec<TokenId>,
    positions: Vec<usize>,
    models: BTreeMap<String, Tiny>,
}

#[derive(Clone, Deserialize)]
struct Tiny {
    metadata: BTreeMap<String, serde_json::Value>,
    tensors: Vec<TensorOf>,
    logits: Vec<Vec<f32>>,
}

#[derive(Clone, Deserialize)]
struct TensorOf {
    name: String,
    shape: Vec<usize>,
    scale: f32,
    offset: f32,
}

impl Golden {
    fn read() -> Self {
        serde_json::from_str(include_str!("../golden/architectures/architectures.json")).unwrap()
    }
}

impl Tiny {
    /// The model as a GGUF with one token for each of the first printable characters.
    fn write(&self, architecture: &str, vocabulary: usize, path: &Path) {
        let strings = |items: Vec<String>| Value::Array(items.into_iter().map(Value::String).collect());
        let pieces = (0..vocabulary).map(|i| char::from_u32(0xa1 + i as u32 + u32::from(i >= 12)).unwrap().to_string());
        let mut metadata = vec![
            ("general.architecture".to_owned(), Value::String(architecture.to_owned())),
            ("tokenizer.ggml.model".to_owned(), Value::String("gpt2".to_owned())),
            ("tokenizer.ggml.pre".to_owned(), Value::String("gpt-2".to_owned())),
            ("tokenizer.ggml.tokens".to_owned(), strings(pieces.collect())),
            ("tokenizer.ggml.token_type".to_owned(), Value::Array(vec![Value::I32(1); vocabulary])),
            ("tokenizer.ggml.merges".to_owned(), strings(vec!["¡ ¢".to_owned()])),
        ];
        metadata.extend(self.metadata.iter().map(|(key, value)| (key.clone(), gguf_value(value))));
        let tensors: Vec<_> = self.tensors.iter().zip(1..).map(|(tensor, seed)| tensor.make(seed)).collect();
        let metadata: Vec<_> = metadata.iter().map(|(key, value)| (&**key, value)).collect();
        let tensors: Vec<_> = self.tensors.iter().zip(&tensors).map(|(of, tensor)| (&*of.name, tensor)).collect();
        gguf_file::write(&mut std::fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
    }

    fn open(&self, architecture: &str, golden: &Golden) -> Result<CandleModel, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        self.write(architecture, golden.vocabulary, &path);
        CandleModel::open(&path)
    }
}

impl TensorOf {
    fn make(&self, seed: u64) -> QTensor {
        let mut state = seed;
        let values: Vec<f32> = (0..self.shape.iter().product())
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let x = ((state >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32;
                self.offset + self.scale * x
            })
            .collect();
        let tensor = Tensor::from_vec(values, &*self.shape, &Device::Cpu).unwrap();
        QTensor::quantize(&tensor, GgmlDType::F32).unwrap()
    }
}

fn gguf_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Array(items) => Value::Array(items.iter().map(gguf_value).collect()),
        number => match number.as_u64() {
            Some(count) => Value::U32(count as u32),
            None => Value::F32(number.as_f64().unwrap() as f32),
        },
    }
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_architecture_computes_what_llama_cpp_computes() {
    let golden = Golden::read();
    let names: Vec<_> = golden.models.keys().map(String::as_str).collect();
    let mut supported = CandleModel::ARCHITECTURES.to_vec();
    supported.sort_unstable();
    assert_eq!(names, supported);
    for (architecture, tiny) in &golden.models {
        let mut model = tiny.open(architecture, &golden).unwrap_or_else(|e| panic!("{architecture}: {e}"));
        // Once as a whole text, once token by token, and once more from the start, so that no cache is left over.
        let tokens = &golden.tokens;
        let expected = golden.positions.iter().zip(&tiny.logits);
        let mut largest = 0f32;
        for (&position, logits) in expected.clone().rev() {
            largest = largest.max(difference(model.sync(&tokens[..=position]).unwrap(), logits));
        }
        let mut shown = expected.peekable();
        for position in 0..tokens.len() {
            let got = model.sync(&tokens[..=position]).unwrap();
            if let Some((_, logits)) = shown.next_if(|(shown, _)| **shown == position) {
                largest = largest.max(difference(got, logits));
            }
        }
        println!("{architecture}: largest difference {largest:.6}");
        // llama.cpp keeps keys and values in f16, candle in f32; the largest logits are near 16.
        assert!(largest < 6e-3, "{architecture} differs by {largest}");
    }
}

#[test]
fn nibbles_own_graphs_compute_what_llama_cpp_computes() {
    let golden = Golden::read();
    for architecture in ["llama", "gemma3", "qwen2"] {
        let tiny = &golden.models[architecture];
        let folder = tempfile::tempdir().unwrap();
        let (gguf, packed) = (folder.path().join("tiny.gguf"), folder.path().join("tiny.nibble"));
        tiny.write(architecture, golden.vocabulary, &gguf);
        nibble_engine::pack(&gguf, &packed, &mut |_| ControlFlow::Continue(())).unwrap();
        let mut session = Model::open(&packed).unwrap().session(SessionOptions::default()).unwrap();
        for (&position, expected) in golden.positions.iter().zip(&tiny.logits) {
            let difference = difference(session.sync(&golden.tokens[..=position]).unwrap(), expected);
            assert!(difference < 6e-3, "{architecture} differs by {difference} at {position}");
        }
    }
}

#[test]
fn a_tree_predicts_as_its_paths_do() {
    let golden = Golden::read();
    for (architecture, tiny) in &golden.models {
        let mut model = tiny.open(architecture, &golden).unwrap();
        let prefix = &golden.tokens[..10];
        let root = model.sync(prefix).unwrap().to_vec();
        let first = model.grow(&[(Node::ROOT, 3), (Node::ROOT, 5)]).unwrap();
        let second = model.grow(&[(first[1], 7), (first[0], 9)]).unwrap();
        assert_eq!(second.len(), 2);
        let grown: Vec<_> = (0..2).map(|i| model.logits(i).to_vec()).collect();
        assert_eq!(model.sync(prefix).unwrap(), root, "{architecture}: the prefix is unchanged");
        let mut fresh = tiny.open(architecture, &golden).unwrap();
        for (path, grown) in [[5, 7], [3, 9]].iter().zip(&grown) {
            let expected = fresh.sync(&[prefix, path].concat()).unwrap();
            assert!(difference(expected, grown) < 1e-4, "{architecture}");
        }
        assert!(matches!(model.grow(&[(Node(99), 1)]), Err(Error::UnknownNode { node: 99 })));
        let size = golden.vocabulary;
        let unknown = model.sync(&[size as TokenId]);
        assert!(matches!(unknown, Err(Error::UnknownToken { .. })));
        assert!(matches!(model.sync(&vec![1; model.context_limit() + 1]), Err(Error::ContextOverflow { .. })));
        assert!(matches!(model.sync(&[]), Err(Error::EmptyPrefix)));
        assert_eq!(model.sync(prefix).unwrap(), root);
    }
}

/// The message with which a changed llama is refused.
fn refusal(change: impl FnOnce(&mut Tiny)) -> String {
    let golden = Golden::read();
    let mut tiny = golden.models["llama"].clone();
    change(&mut tiny);
    match tiny.open("llama", &golden) {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_unknown_architecture_is_refused_with_those_that_run() {
    let golden = Golden::read();
    let Err(error) = golden.models["llama"].open("mamba", &golden) else { panic!("it was accepted") };
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("mamba"), "{message}");
    assert!(CandleModel::ARCHITECTURES.iter().all(|name| message.contains(name)), "{message}");
}

#[test]
fn what_candle_would_leave_out_is_refused() {
    let extra = TensorOf { name: "rope_freqs.weight".into(), shape: vec![4], scale: 0.5, offset: 1.0 };
    let message = refusal(|tiny| tiny.tensors.push(extra));
    assert!(message.contains("rope_freqs.weight"), "{message}");
    let message = refusal(|tiny| drop(tiny.metadata.insert("llama.rope.scaling.factor".into(), 8.0.into())));
    assert!(message.contains("RoPE scaling by 8"), "{message}");
}

#[test]
fn a_broken_file_is_refused_without_a_panic() {
    for (key, value) in [
        ("llama.attention.head_count", 0u32),
        ("llama.attention.head_count", u32::MAX),
        ("llama.attention.head_count_kv", 0),
        ("llama.attention.head_count_kv", 3),
        ("llama.block_count", u32::MAX),
        ("llama.block_count", 3),
        ("llama.embedding_length", 0),
        ("llama.embedding_length", u32::MAX),
        ("llama.rope.dimension_count", u32::MAX),
        ("llama.rope.dimension_count", 0),
    ] {
        let message = refusal(|tiny| drop(tiny.metadata.insert(key.into(), value.into())));
        assert!(!message.contains('\n'), "{message}");
    }
    for missing in ["token_embd.weight", "blk.1.ffn_down.weight", "output_norm.weight"] {
        let message = refusal(|tiny| tiny.tensors.retain(|tensor| tensor.name != missing));
        assert!(message.contains(missing), "{message}");
    }
}
