//! A low-rank adapter of the head: what a model has learned of one kind of text since it was trained.
//!
//! It moves the normalised hidden state before the head reads it, h' = h + b + U V h, which is the low-rank adaptation of Hu et al.
//! (2021, arXiv 2106.09685) where all hidden states come together. The layers, and so the keys and values, stay as they are: one
//! adapter takes the place of another at the cost of one position.
//!
//! The file, little-endian: [`MAGIC`], the width of a hidden state and the rank r (u32 each), b as F32, and the r directions of V, then
//! the r of U, as blocks of Q4_0 (the format of ggml): half a byte an element costs such an adapter a hundredth of a nat.

use half::f16;
use nibble_kernels::{Activations, Format, Kernels, Matrix, OutMut, pack};

use crate::{Error, Result};

/// What a file begins with; the last byte is the version.
const MAGIC: [u8; 8] = *b"nibadap1";

/// How directions are stored, in blocks of so many elements.
const STORED: Format = Format::Q4_0;
const BLOCK: usize = 32;

/// The widest hidden state, and the highest rank, that a file may have.
const MOST: u32 = 1 << 16;

/// A low-rank adapter. Sessions share it.
#[derive(Debug)]
pub struct Adapter {
    bias: Vec<f32>,
    rank: usize,
    /// V, `[rank][embedding]`, and U, `[embedding][rank]`, packed as F32.
    down: Vec<u8>,
    up: Vec<u8>,
}

impl Adapter {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::UnfitAdapter`] where it is none, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let mut take = |len: usize| -> Result<&[u8]> {
            let (head, tail) = rest.split_at_checked(len).ok_or_else(|| unfit("it is cut short"))?;
            rest = tail;
            Ok(head)
        };
        if take(MAGIC.len())? != MAGIC {
            return Err(unfit("it is no adapter, or one of another version"));
        }
        let [embedding, rank] =
            [take(4)?, take(4)?].map(|field| u32::from_le_bytes(field.try_into().expect("4 bytes")));
        if embedding == 0 || embedding > MOST || rank == 0 || rank > embedding {
            return Err(unfit("its shape makes no sense"));
        }
        let (embedding, rank) = (embedding as usize, rank as usize);
        let bias = take(4 * embedding)?.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let stored = STORED.source_len(rank, embedding).ok_or_else(|| unfit("its shape makes no sense"))?;
        let [down, up] = [take(stored)?, take(stored)?].map(|blocks| unpacked(rank, embedding, blocks));
        if !rest.is_empty() {
            return Err(unfit("something follows it"));
        }
        if [&bias, &down, &up].into_iter().flatten().any(|x: &f32| !x.is_finite()) {
            return Err(unfit("it has numbers that are none"));
        }
        let up = transposed(&up, rank);
        let [down, up] = [(rank, embedding, down), (embedding, rank, up)].map(|(rows, cols, values)| {
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            packed(Format::F32, rows, cols, &bytes)
        });
        Ok(Self { bias, rank, down, up })
    }

    /// The file of the adapter that is nearest to these numbers: `bias` b, `[embedding]`, and the directions of V and those of U,
    /// `[rank][embedding]` each.
    ///
    /// # Panics
    /// If the lengths do not fit together, or an embedding is not a whole number of blocks of 32.
    pub fn file(bias: &[f32], down: &[f32], up: &[f32]) -> Vec<u8> {
        let embedding = bias.len();
        assert!(down.len() == up.len() && down.len().is_multiple_of(embedding), "directions as long as a hidden state");
        assert!(embedding.is_multiple_of(BLOCK), "whole blocks");
        let mut file = MAGIC.to_vec();
        file.extend([embedding, down.len() / embedding].iter().flat_map(|&n| (n as u32).to_le_bytes()));
        file.extend(bias.iter().flat_map(|x| x.to_le_bytes()));
        for block in [down, up].into_iter().flat_map(|matrix| matrix.as_chunks::<BLOCK>().0) {
            let scale = f16::from_f32(block.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 7.0);
            let code = |x: f32| {
                if scale.to_f32() == 0.0 { 8 } else { (x / scale.to_f32()).round().clamp(-8.0, 7.0) as i8 + 8 }
            };
            file.extend(scale.to_le_bytes());
            let (low, high) = block.split_at(BLOCK / 2);
            file.extend(low.iter().zip(high).map(|(&low, &high)| (code(low) | code(high) << 4).cast_unsigned()));
        }
        file
    }

    /// How wide the hidden states are that it moves.
    pub fn embedding(&self) -> usize {
        self.bias.len()
    }

    /// Moves hidden states, `[rows][embedding]`. The bits are the same with all kernels, and whatever rows are moved together. `room` is
    /// grown when it is first used.
    pub(crate) fn apply(&self, kernels: &Kernels, hidden: &mut [f32], room: &mut Vec<f32>) -> Result<()> {
        let (embedding, rank) = (self.embedding(), self.rank);
        let rows = hidden.len() / embedding;
        room.resize(rows * (rank + embedding), 0.0);
        let (within, moves) = room.split_at_mut(rows * rank);
        let product = |packed: &[u8], x: &[f32], width: usize, out: &mut [f32], height: usize| -> Result<()> {
            let matrix = Matrix::new(Format::F32, height, width, packed)?;
            let (x, mut out) = (Activations::floats(x, width)?, OutMut::new(out, rows, height)?);
            Ok(kernels.matmul(&matrix, 0..matrix.groups(), &x, &mut out)?)
        };
        product(&self.down, hidden, embedding, within, rank)?;
        product(&self.up, within, rank, moves, embedding)?;
        for (hidden, moves) in hidden.chunks_exact_mut(embedding).zip(moves.chunks_exact(embedding)) {
            kernels.add(hidden, &self.bias);
            kernels.add(hidden, moves);
        }
        Ok(())
    }
}

fn unfit(why: &str) -> Error {
    Error::UnfitAdapter { why: why.to_owned() }
}

/// `[columns][rows]` of `[rows][columns]`.
fn transposed(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows;
    (0..matrix.len()).map(|i| matrix[i % rows * columns + i / rows]).collect()
}

/// A matrix as the kernels read it, from its blocks in a file.
fn packed(format: Format, rows: usize, cols: usize, blocks: &[u8]) -> Vec<u8> {
    let mut out = vec![0; format.packed_len(rows, cols).expect("small, and in whole blocks")];
    pack(format, rows, cols, blocks, &mut out).expect("as many bytes as it takes");
    out
}

/// The numbers of a matrix that was stored, `[rows][cols]`.
fn unpacked(rows: usize, cols: usize, blocks: &[u8]) -> Vec<f32> {
    let packed = packed(STORED, rows, cols, blocks);
    let matrix = Matrix::new(STORED, rows, cols, &packed).expect("packed for this shape");
    let mut values = vec![0.0; rows * cols];
    values.chunks_exact_mut(cols).enumerate().for_each(|(row, out)| matrix.dequantize_row(row, out));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, in -1..1.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mix = |i: u32| (i ^ seed).wrapping_mul(0x9e37_79b9).rotate_left(13).wrapping_mul(0x85eb_ca6b);
        (0..count as u32).map(|i| mix(i) as i32 as f32 / i32::MAX as f32).collect()
    }

    /// The same, so that a file holds them as they are: eighths, the largest of a block being seven of them.
    fn stored(mut numbers: Vec<f32>) -> Vec<f32> {
        for block in numbers.as_chunks_mut::<BLOCK>().0 {
            block.iter_mut().for_each(|x| *x = (*x * 7.0).round() / 8.0);
            block[5] = 7.0 / 8.0;
        }
        numbers
    }

    #[test]
    fn it_adds_what_its_numbers_say_on_every_tier_and_in_any_company() {
        let (embedding, rank, rows) = (96, 5, 7);
        let [bias, hidden] = [numbers(embedding, 1), numbers(rows * embedding, 2)];
        let [down, up] = [3, 4].map(|seed| stored(numbers(rank * embedding, seed)));
        let adapter = Adapter::from_bytes(&Adapter::file(&bias, &down, &up)).unwrap();
        assert_eq!(adapter.embedding(), embedding);
        let mut moved = hidden.clone();
        let mut room = Vec::new();
        adapter.apply(Kernels::best(), &mut moved, &mut room).unwrap();
        for (row, moved) in hidden.chunks(embedding).zip(moved.chunks(embedding)) {
            let along = |direction: &[f32]| direction.iter().zip(row).map(|(a, b)| a * b).sum::<f32>();
            let within: Vec<f32> = down.chunks(embedding).map(along).collect();
            for (i, &moved) in moved.iter().enumerate() {
                let expected = row[i] + bias[i] + (0..rank).map(|r| up[r * embedding + i] * within[r]).sum::<f32>();
                assert!((moved - expected).abs() < 1e-4, "{moved} {expected}");
            }
        }
        for kernels in Kernels::available() {
            let mut alone = hidden.clone();
            alone.chunks_mut(embedding).for_each(|row| adapter.apply(kernels, row, &mut room).unwrap());
            assert!(alone.iter().zip(&moved).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", kernels.tier());
        }
    }

    #[test]
    fn what_is_no_adapter_is_refused() {
        let file = Adapter::file(&[0.5; BLOCK], &[0.25; 2 * BLOCK], &[0.0; 2 * BLOCK]);
        assert!(Adapter::from_bytes(&file).is_ok());
        for len in 0..file.len() {
            assert!(Adapter::from_bytes(&file[..len]).is_err(), "{len} bytes of it");
        }
        let change = |at: usize, byte: u8| {
            let mut file = file.clone();
            file[at] = byte;
            let refused = Adapter::from_bytes(&file).map(|_| "nothing".to_owned());
            refused.unwrap_or_else(|error| error.to_string())
        };
        assert!(change(7, b'2').contains("another version"));
        assert!(change(8, 0).contains("makes no sense"));
        assert!(change(12, 33).contains("makes no sense"), "more directions than the space has");
        assert!(change(8, 33).contains("makes no sense"), "no whole blocks");
        let scale = file.len() - 2 * 2 * (2 + BLOCK / 2) + 1;
        assert!(change(scale, 0x7f).contains("numbers that are none"));
        assert!(Adapter::from_bytes(&[&file[..], &[0]].concat()).is_err());
    }
}
