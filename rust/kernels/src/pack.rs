//! From the blocks of a GGUF file to the packed layout of `format.rs`. Nothing is rounded, so it can be undone exactly.

use crate::format::{Format, GROUP, Planes, ShapeError};

/// Packs one matrix of `rows` x `cols` from the bytes of a GGUF tensor into `out`, which has
/// [`Format::packed_len`] bytes. Rows beyond the last, up to a whole group, become zeros.
pub fn pack(format: Format, rows: usize, cols: usize, source: &[u8], out: &mut [u8]) -> Result<(), ShapeError> {
    let planes =
        Planes::new(format, rows, cols).ok_or(ShapeError::new("columns, as a multiple", format.block(), cols))?;
    let source_len =
        format.source_len(rows, cols).ok_or(ShapeError::new("columns, as a multiple", format.block(), cols))?;
    ShapeError::unless_equal("bytes of a source matrix", source_len, source.len())?;
    ShapeError::unless_equal("bytes of a packed matrix", planes.len, out.len())?;

    out.fill(0);
    let blocks = cols / format.block();
    if blocks == 0 {
        return Ok(());
    }
    for (row, source) in source.chunks_exact(blocks * format.source_block()).enumerate() {
        let (group, lane) = (row / GROUP, row % GROUP);
        for (b, source) in source.chunks_exact(format.source_block()).enumerate() {
            let block = group * blocks + b;
            let mut store = Store { out, lane, codes: 0, high: 0, scales: 0 };
            store.codes = planes.codes.start + block * format.code_bytes();
            store.high = planes.high.start + block * format.high_bytes();
            store.scales = planes.scales.start + block * format.scale_bytes();
            pack_block(format, source, &mut store);
        }
    }
    Ok(())
}

/// One source block into row `store.lane` of its group.
fn pack_block(format: Format, source: &[u8], store: &mut Store<'_>) {
    match format {
        Format::F32 | Format::F16 | Format::BF16 => {
            let at = store.codes + store.lane * source.len();
            store.out[at..at + source.len()].copy_from_slice(source);
        }
        Format::Q4_0 => {
            store.half(0, &source[0..2]);
            store.nibbles(0, &split_nibbles(&source[2..18]));
        }
        Format::Q4_1 => {
            store.half(0, &source[0..2]);
            store.half(1, &source[2..4]);
            store.nibbles(0, &split_nibbles(&source[4..20]));
        }
        Format::Q5_0 => {
            store.half(0, &source[0..2]);
            store.fives(0, &join_fifth_bits(split_nibbles(&source[6..22]), &source[2..6]));
        }
        Format::Q5_1 => {
            store.half(0, &source[0..2]);
            store.half(1, &source[2..4]);
            store.fives(0, &join_fifth_bits(split_nibbles(&source[8..24]), &source[4..8]));
        }
        Format::Q8_0 => {
            store.half(0, &source[0..2]);
            store.bytes(&source[2..34]);
        }
        Format::Q8_0N => {
            store.half(0, &source[0..2]);
            // With 128 added, as all codes are unsigned.
            let codes: [u8; 32] = std::array::from_fn(|c| source[2 + c] ^ 0x80);
            store.nibbles(0, &codes.map(|code| code >> 4));
            store.lower_nibbles(&codes);
        }
        Format::Q4_K => {
            store.half(0, &source[0..2]);
            store.half(1, &source[2..4]);
            store.scales_and_minima(&source[4..16]);
            for sub in 0..8 {
                store.nibbles(sub, &k_nibbles(&source[16..144], sub));
            }
        }
        Format::Q5_K => {
            store.half(0, &source[0..2]);
            store.half(1, &source[2..4]);
            store.scales_and_minima(&source[4..16]);
            for sub in 0..8 {
                let mut codes = k_nibbles(&source[48..176], sub);
                for (code, bits) in codes.iter_mut().zip(&source[16..48]) {
                    *code |= (bits >> sub & 1) << 4;
                }
                store.fives(sub, &codes);
            }
        }
        Format::Q6_K => {
            store.half(0, &source[208..210]);
            for (sub, &scale) in source[192..208].iter().enumerate() {
                store.sub_scale(32, sub, scale);
            }
            // Two halves of 128 columns; in each, 64 bytes of nibbles and 32 bytes of pairs of bits serve four runs of 32.
            for sub in 0..8 {
                let (half, run) = (sub / 4, sub % 4);
                let low = &source[half * 64 + run % 2 * 32..][..32];
                let upper = &source[128 + half * 32..][..32];
                let codes = std::array::from_fn(|l| {
                    let nibble = if run < 2 { low[l] & 15 } else { low[l] >> 4 };
                    nibble | (upper[l] >> (2 * run) & 3) << 4
                });
                store.sixes(sub, &codes);
            }
        }
    }
}

/// Sixteen bytes to 32 codes: first all the low nibbles, then all the high ones.
fn split_nibbles(bytes: &[u8]) -> [u8; 32] {
    std::array::from_fn(|c| if c < 16 { bytes[c] & 15 } else { bytes[c - 16] >> 4 })
}

/// Sub-block `sub` of a K format: 32 bytes hold two sub-blocks, the even one in the low nibbles.
fn k_nibbles(bytes: &[u8], sub: usize) -> [u8; 32] {
    std::array::from_fn(|c| bytes[sub / 2 * 32 + c] >> (sub % 2 * 4) & 15)
}

/// Adds the fifth bits, one per column, to 32 nibbles.
fn join_fifth_bits(mut codes: [u8; 32], bits: &[u8]) -> [u8; 32] {
    for (c, code) in codes.iter_mut().enumerate() {
        *code |= (bits[c / 8] >> (c % 8) & 1) << 4;
    }
    codes
}

/// Writes one row of a group's block: where the block starts in each plane, and which row it is.
struct Store<'a> {
    out: &'a mut [u8],
    lane: usize,
    codes: usize,
    high: usize,
    scales: usize,
}

impl Store<'_> {
    /// The `i`-th f16 of the row.
    fn half(&mut self, i: usize, bytes: &[u8]) {
        let at = self.scales + (i * GROUP + self.lane) * 2;
        self.out[at..at + 2].copy_from_slice(bytes);
    }

    /// One sub-block's scale or minimum, in the pairs that start `at` bytes into the scales.
    fn sub_scale(&mut self, at: usize, sub: usize, value: u8) {
        self.out[self.scales + at + sub / 2 * 32 + self.lane * 2 + sub % 2] = value;
    }

    /// The twelve bytes that hold eight 6-bit scales and eight 6-bit minima (ggml's `get_scale_min_k4`).
    fn scales_and_minima(&mut self, bytes: &[u8]) {
        for sub in 0..8 {
            let (scale, minimum) = if sub < 4 {
                (bytes[sub] & 63, bytes[sub + 4] & 63)
            } else {
                let (low, high) = (bytes[sub + 4], (bytes[sub - 4] >> 6, bytes[sub] >> 6));
                (low & 15 | high.0 << 4, low >> 4 | high.1 << 4)
            };
            self.sub_scale(64, sub, scale);
            self.sub_scale(192, sub, minimum);
        }
    }

    /// 32 signed bytes.
    fn bytes(&mut self, codes: &[u8]) {
        for (c, &code) in codes.iter().enumerate() {
            self.out[self.codes + c / 4 * 64 + self.lane * 4 + c % 4] = code;
        }
    }

    /// The low four bits of the 32 codes of run `sub`.
    fn nibbles(&mut self, sub: usize, codes: &[u8; 32]) {
        self.nibbles_at(self.codes + sub * 256, codes);
    }

    /// The same in the plane of high bits, which have the lower nibbles of Q8_0N.
    fn lower_nibbles(&mut self, codes: &[u8; 32]) {
        self.nibbles_at(self.high, codes);
    }

    fn nibbles_at(&mut self, start: usize, codes: &[u8; 32]) {
        for c in 0..16 {
            self.out[start + c / 4 * 64 + self.lane * 4 + c % 4] = codes[c] & 15 | codes[c + 16] << 4;
        }
    }

    /// 32 codes of 5 bits.
    fn fives(&mut self, sub: usize, codes: &[u8; 32]) {
        self.nibbles(sub, codes);
        for (c, code) in codes.iter().enumerate() {
            self.out[self.high + sub * 64 + self.lane * 4 + c % 4] |= (code >> 4) << (c / 4);
        }
    }

    /// 32 codes of 6 bits.
    fn sixes(&mut self, sub: usize, codes: &[u8; 32]) {
        self.nibbles(sub, codes);
        for (c, code) in codes.iter().enumerate() {
            let at = self.high + sub * 128 + c / 16 * 64 + self.lane * 4 + c % 4;
            self.out[at] |= (code >> 4) << (c % 16 / 4 * 2);
        }
    }
}
