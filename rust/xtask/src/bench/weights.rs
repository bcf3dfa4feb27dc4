//! What a token asks of a machine: the bytes and multiplications of a GGUF's matrices, from its table of tensors.
//!
//! Format: `docs/gguf.md` of ggml, versions 2 and 3.

use crate::shell::Result;
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Seek};
use std::path::Path;

/// The matrices of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Weights {
    /// Bytes of the layers' matrices.
    pub layer_bytes: u64,
    /// Bytes of the matrix that gives the logits, which may be the embedding.
    pub head_bytes: u64,
    /// Weights of the layers' matrices: multiplications for each token of a prompt.
    pub layer_macs: u64,
}

struct Tensor {
    name: String,
    dimensions: Vec<u64>,
    offset: u64,
}

impl Weights {
    /// Of the GGUF at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let read = || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Self::parse(BufReader::new(file), len)
        };
        read().map_err(|error: Error| format!("reading {}: {error}", path.display()))
    }

    /// What one token of a text that is being written reads: each matrix once, of the embedding only the head's use.
    pub fn bytes_per_token(&self) -> u64 {
        self.layer_bytes + self.head_bytes
    }

    fn parse(mut file: impl Read + Seek, len: u64) -> std::io::Result<Self> {
        let file = &mut file;
        let magic: [u8; 4] = bytes(file)?;
        let version = u32(file)?;
        if magic != *b"GGUF" || !(2..=3).contains(&version) {
            return Err(Error::new(ErrorKind::InvalidData, "it is no GGUF of version 2 or 3"));
        }
        let (count, pairs) = (u64(file)?, u64(file)?);
        let mut alignment = 32;
        for _ in 0..pairs {
            let (key, kind) = (string(file)?, u32(file)?);
            if key == "general.alignment" {
                alignment = u64::from(u32(file)?).max(1);
            } else {
                skip(file, kind)?;
            }
        }
        let mut tensors = Vec::new();
        for _ in 0..count {
            let name = string(file)?;
            let dimensions = (0..u32(file)?).map(|_| u64(file)).collect::<std::io::Result<_>>()?;
            let (_format, offset) = (u32(file)?, u64(file)?);
            tensors.push(Tensor { name, dimensions, offset });
        }
        let data = file.stream_position()?.next_multiple_of(alignment);
        tensors.sort_by_key(|tensor| tensor.offset);
        // A tensor ends where the next one begins, but for less than the alignment.
        let ends = tensors.iter().skip(1).map(|next| next.offset).chain([len.saturating_sub(data)]);
        let sizes: Vec<u64> = tensors.iter().zip(ends).map(|(tensor, end)| end.saturating_sub(tensor.offset)).collect();

        let mut weights = Self::default();
        let mut embedding = 0;
        for (tensor, bytes) in tensors.iter().zip(sizes).filter(|(tensor, _)| tensor.dimensions.len() == 2) {
            match tensor.name.as_str() {
                "token_embd.weight" => embedding = bytes,
                "output.weight" => weights.head_bytes = bytes,
                name if name.starts_with("blk.") => {
                    weights.layer_bytes += bytes;
                    weights.layer_macs += tensor.dimensions.iter().product::<u64>();
                }
                _ => {}
            }
        }
        if weights.head_bytes == 0 {
            weights.head_bytes = embedding;
        }
        if weights.layer_macs == 0 || weights.head_bytes == 0 {
            return Err(Error::new(ErrorKind::InvalidData, "it has no layers or no head"));
        }
        Ok(weights)
    }
}

fn bytes<const N: usize>(file: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map(|()| bytes)
}

fn u32(file: &mut impl Read) -> std::io::Result<u32> {
    bytes(file).map(u32::from_le_bytes)
}

fn u64(file: &mut impl Read) -> std::io::Result<u64> {
    bytes(file).map(u64::from_le_bytes)
}

fn string(file: &mut impl Read) -> std::io::Result<String> {
    let len = u64(file)?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Passes over a value of GGUF's type number `kind`.
fn skip(file: &mut impl Read, kind: u32) -> std::io::Result<()> {
    let len = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        8 => u64(file)?,
        9 => {
            let (kind, len) = (u32(file)?, u64(file)?);
            return (0..len).try_for_each(|_| skip(file, kind));
        }
        _ => return Err(Error::new(ErrorKind::InvalidData, format!("it has a value of the unknown type {kind}"))),
    };
    match std::io::copy(&mut file.take(len), &mut std::io::sink())? {
        passed if passed == len => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn string(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
    }

    /// A GGUF with these tensors: name, dimensions, bytes.
    fn gguf(tensors: &[(&str, &[u64], u64)]) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend((tensors.len() as u64).to_le_bytes());
        file.extend(2u64.to_le_bytes());
        file.extend([string("name"), 8u32.to_le_bytes().to_vec(), string("a model")].concat());
        let list = [9u32.to_le_bytes(), 8u32.to_le_bytes()].concat();
        file.extend([string("tokens"), list, 2u64.to_le_bytes().to_vec(), string("a"), string("bc")].concat());
        let mut offset = 0u64;
        for (name, dimensions, bytes) in tensors {
            file.extend(string(name));
            file.extend((dimensions.len() as u32).to_le_bytes());
            file.extend(dimensions.iter().flat_map(|dimension| dimension.to_le_bytes()));
            file.extend(2u32.to_le_bytes());
            file.extend(offset.to_le_bytes());
            offset += bytes.next_multiple_of(32);
        }
        file.resize(file.len().next_multiple_of(32) + offset as usize, 0);
        file
    }

    fn weights(file: Vec<u8>) -> std::io::Result<Weights> {
        let len = file.len() as u64;
        Weights::parse(Cursor::new(file), len)
    }

    #[test]
    fn a_tied_head_is_the_embedding() {
        let file = gguf(&[
            ("token_embd.weight", &[32, 100], 3200),
            ("blk.0.attn_q.weight", &[32, 64], 1152),
            ("blk.0.attn_norm.weight", &[32], 128),
            ("blk.1.ffn_up.weight", &[64, 32], 2048),
        ]);
        let expected = Weights { layer_bytes: 3200, head_bytes: 3200, layer_macs: 4096 };
        assert_eq!(weights(file).unwrap(), expected);
        assert_eq!(expected.bytes_per_token(), 6400);
    }

    #[test]
    fn a_head_of_its_own_is_read_instead_of_the_embedding() {
        let file = gguf(&[
            ("token_embd.weight", &[32, 100], 3200),
            ("blk.0.attn_q.weight", &[32, 64], 1152),
            ("output.weight", &[32, 100], 6400),
        ]);
        assert_eq!(weights(file).unwrap(), Weights { layer_bytes: 1152, head_bytes: 6400, layer_macs: 2048 });
    }

    #[test]
    fn another_file_is_an_error() {
        assert!(weights(b"NIBBLE..........".to_vec()).is_err());
        assert!(weights(gguf(&[])).is_err());
        let mut short = gguf(&[("blk.0.attn_q.weight", &[32, 64], 1152)]);
        short.truncate(60);
        assert!(weights(short).is_err());
    }
}
