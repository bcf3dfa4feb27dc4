//! GGUF, the format that models come in: candle's reader behind a guard, and the tensors' bytes through a mapping.

mod guard;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use nibble_kernels::Format;
use serde_json::json;

use crate::error::Fault;
use crate::metadata::Metadata;
use crate::mmap::{MappedFile, Table};
use crate::tokenizer_source::{self, Gpt2Bytes, TokenizerSource};
use crate::weights::Shape;
use crate::{Error, Merges, Result, TokenKind, Vocabulary};

/// The arrays that are as long as the vocabulary; a packed file stores them as tables.
const TOKENS: &str = "tokenizer.ggml.tokens";
const TOKEN_TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
const MERGES: &str = "tokenizer.ggml.merges";

/// An open GGUF whose header was checked.
pub(crate) struct Gguf {
    path: PathBuf,
    file: MappedFile,
    content: Content,
}

/// A tensor of a GGUF.
#[derive(Clone, Debug)]
pub(crate) struct GgufTensor {
    pub format: Format,
    /// What it is to be packed as.
    pub stored: Format,
    pub shape: Shape,
    /// The blocks as they lie in the file.
    pub bytes: Table<u8>,
}

impl Gguf {
    /// Opens and checks the file at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::Io { doing: "open", path: path.to_owned(), source })?;
        let file = MappedFile::new(&file, path)?;
        let content = guard::check(file.head(), file.len()).and_then(|()| {
            Content::read(&mut Cursor::new(file.head()))
                .map_err(|error| Fault::damaged(format!("its header is wrong: {error}")))
        });
        let content = content.map_err(|fault| fault.in_gguf(path))?;
        Ok(Self { path: path.to_owned(), file, content })
    }

    /// The whole file, in pieces that follow one another.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Table<u8>> {
        const PIECE: u64 = 1 << 20;
        let len = self.file.len();
        (0..len).step_by(PIECE as usize).filter_map(move |at| self.file.table(at, PIECE.min(len - at)))
    }

    /// Length of the file in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.file.len()
    }

    /// The names of all tensors, in no particular order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.content.tensor_infos.keys().map(String::as_str)
    }

    /// The tensor called `name`, if there is one.
    pub(crate) fn tensor(&self, name: &str) -> Result<Option<GgufTensor>, Fault> {
        let Some(info) = self.content.tensor_infos.get(name) else { return Ok(None) };
        let shape = match *info.shape.dims() {
            [len] => Shape::Vector(len),
            [rows, cols] => Shape::Matrix { rows, cols },
            _ => return Err(Fault::damaged(format!("the tensor {name} has shape {:?}", info.shape.dims()))),
        };
        let format = format(info.ggml_dtype).ok_or_else(|| Fault::unsupported(format!("the format of {name}")))?;
        let (rows, cols) = match shape {
            Shape::Vector(len) => (1, len),
            Shape::Matrix { rows, cols } => (rows, cols),
        };
        let bytes = format
            .source_len(rows, cols)
            .and_then(|len| self.file.table(self.content.tensor_data_offset + info.offset, len as u64))
            .ok_or_else(|| Fault::unsupported(format!("a tensor over 1 GiB ({name})")))?;
        Ok(Some(GgufTensor { format, stored: format, shape, bytes }))
    }

    /// The metadata without the arrays of the vocabulary's length.
    pub(crate) fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::default();
        for (key, value) in &self.content.metadata {
            if ![TOKENS, TOKEN_TYPES, SCORES, MERGES].contains(&key.as_str()) {
                metadata.insert(key.clone(), json(value));
            }
        }
        metadata
    }

    /// What the file says about its tokenizer.
    pub(crate) fn tokenizer_source(&self) -> Result<TokenizerSource> {
        self.read_tokenizer().map_err(|fault| fault.in_gguf(&self.path))
    }

    fn read_tokenizer(&self) -> Result<TokenizerSource, Fault> {
        let metadata = self.metadata();
        let kind = tokenizer_source::kind(&metadata)?;
        let tokens = self.array(TOKENS)?.ok_or_else(|| Fault::damaged(format!("the key {TOKENS} is missing")))?;
        let types = self.array(TOKEN_TYPES)?;
        if types.is_some_and(|types| types.len() != tokens.len()) {
            return Err(Fault::damaged(format!("{TOKEN_TYPES} and {TOKENS} differ in length")));
        }
        let alphabet = Gpt2Bytes::new();
        let token = |i: usize| -> Result<_, Fault> {
            let kind_of = types.map_or(TokenKind::Normal, |types| {
                let number = types[i].to_i32().map(i64::from).or_else(|_| types[i].to_i64()).unwrap_or(0);
                TokenKind::from_gguf(u8::try_from(number).unwrap_or(0))
            });
            Ok((tokenizer_source::text_bytes(string(&tokens[i], TOKENS)?, kind_of, kind, &alphabet), kind_of))
        };
        let tokens = (0..tokens.len()).map(token).collect::<Result<Vec<_>, _>>()?;
        let vocabulary = Vocabulary::new(tokens).map_err(|error| Fault::damaged(error.to_string()))?;
        let merges = self.array(MERGES)?.unwrap_or_default().iter().map(|merge| string(merge, MERGES));
        // Two pieces with a space between; in GPT-2's alphabet a space within a piece is `Ġ`.
        let pairs = merges.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(|merge| merge.split_once(' '));
        let merges = Merges::new(&vocabulary, pairs.map(|(a, b)| (alphabet.decode(a), alphabet.decode(b))));
        let scores = self.array(SCORES)?.unwrap_or_default().iter().map(|score| {
            score.to_f32().map_err(|_| Fault::damaged(format!("{SCORES} has something that is not an f32")))
        });
        let scores = scores.collect::<Result<Vec<_>, _>>()?;
        TokenizerSource::new(&metadata, vocabulary.into(), merges, scores.into())
    }

    fn array(&self, key: &str) -> Result<Option<&[Value]>, Fault> {
        match self.content.metadata.get(key) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(_) => Err(Fault::damaged(format!("{key} is not an array"))),
        }
    }
}

fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str, Fault> {
    match value {
        Value::String(string) => Ok(string),
        _ => Err(Fault::damaged(format!("{key} has something that is not a string"))),
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::U8(v) => json!(v),
        Value::I8(v) => json!(v),
        Value::U16(v) => json!(v),
        Value::I16(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::U64(v) => json!(v),
        Value::I64(v) => json!(v),
        Value::F32(v) => json!(v),
        Value::F64(v) => json!(v),
        Value::Bool(v) => json!(v),
        Value::String(v) => json!(v),
        Value::Array(v) => v.iter().map(json).collect(),
    }
}

fn format(kind: GgmlDType) -> Option<Format> {
    Some(match kind {
        GgmlDType::F32 => Format::F32,
        GgmlDType::F16 => Format::F16,
        GgmlDType::BF16 => Format::BF16,
        GgmlDType::Q4_0 => Format::Q4_0,
        GgmlDType::Q4_1 => Format::Q4_1,
        GgmlDType::Q5_0 => Format::Q5_0,
        GgmlDType::Q5_1 => Format::Q5_1,
        GgmlDType::Q8_0 => Format::Q8_0,
        GgmlDType::Q4K => Format::Q4_K,
        GgmlDType::Q5K => Format::Q5_K,
        GgmlDType::Q6K => Format::Q6_K,
        _ => return None,
    })
}
