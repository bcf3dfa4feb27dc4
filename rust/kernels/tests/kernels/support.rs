//! Test matrices: random blocks in GGUF form, and their values computed straight from the definition of each format.

use nibble_kernels::{Activations, ActivationsMut, Format, Kernels, Matrix, OutMut, Tier, pack};

/// Bytes that are the same for a seed on every machine (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Between -1 and 1.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}

/// What to fill a matrix with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// Any codes, scales of about 1/64 to 1.
    Random,
    /// Every code byte the same.
    Codes(u8),
    /// Any codes, scales zero.
    ZeroScales,
    /// Any codes, the largest finite scales.
    HugeScales,
}

/// Bytes in a block of the source, and where its f16 scales are.
fn block(format: Format) -> (usize, &'static [usize]) {
    match format {
        Format::F32 => (4, &[]),
        Format::F16 | Format::BF16 => (2, &[]),
        Format::Q4_0 => (18, &[0]),
        Format::Q4_1 => (20, &[0, 2]),
        Format::Q5_0 => (22, &[0]),
        Format::Q5_1 => (24, &[0, 2]),
        Format::Q8_0 | Format::Q8_0N => (34, &[0]),
        Format::Q4_K => (144, &[0, 2]),
        Format::Q5_K => (176, &[0, 2]),
        Format::Q6_K => (210, &[208]),
    }
}

/// A GGUF tensor of this format.
pub fn source(format: Format, rows: usize, cols: usize, fill: Fill, random: &mut Random) -> Vec<u8> {
    let (bytes, scales) = block(format);
    let mut source = vec![0; format.source_len(rows, cols).unwrap()];
    for block in source.chunks_exact_mut(bytes) {
        match format {
            Format::F32 => block.copy_from_slice(&random.float().to_le_bytes()),
            Format::F16 => block.copy_from_slice(&(random.next() as u16 & 0xbfff).to_le_bytes()), // magnitudes below 2
            Format::BF16 => block.copy_from_slice(&random.float().to_le_bytes()[2..]),
            _ => {
                for byte in block.iter_mut() {
                    *byte = if let Fill::Codes(byte) = fill { byte } else { random.next() as u8 };
                }
                for &at in scales {
                    let half = match fill {
                        Fill::ZeroScales => 0,
                        Fill::HugeScales => 0x7bff,
                        _ => (random.next() as u16 & 0x83ff) | (9 + random.next() as u16 % 6) << 10,
                    };
                    block[at..at + 2].copy_from_slice(&half.to_le_bytes());
                }
            }
        }
    }
    source
}

fn half(bytes: &[u8], at: usize) -> f32 {
    let half = u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let (exponent, mantissa) = (i32::from(half >> 10 & 31), f32::from(half & 1023));
    let magnitude =
        if exponent == 0 { mantissa * 2f32.powi(-24) } else { (1.0 + mantissa / 1024.0) * 2f32.powi(exponent - 15) };
    if half >> 15 == 1 { -magnitude } else { magnitude }
}

/// The values of a GGUF tensor, written after the comments of `ggml-common.h` and not after this crate.
pub fn values(format: Format, source: &[u8]) -> Vec<f32> {
    let (bytes, _) = block(format);
    let mut values = Vec::new();
    for b in source.chunks_exact(bytes) {
        let (d, m) =
            (half(b, if format == Format::Q6_K { 208 } else { 0 }), if b.len() > 3 { half(b, 2) } else { 0.0 });
        let nibble = |at: usize, c: usize| if c < 16 { b[at + c] & 15 } else { b[at + c - 16] >> 4 };
        let fifth = |at: usize, c: usize| (b[at + c / 8] >> (c % 8) & 1) << 4;
        match format {
            Format::F32 => values.push(f32::from_le_bytes(b.try_into().unwrap())),
            Format::F16 => values.push(d),
            Format::BF16 => values.push(f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16)),
            Format::Q4_0 => values.extend((0..32).map(|c| d * (f32::from(nibble(2, c)) - 8.0))),
            Format::Q4_1 => values.extend((0..32).map(|c| d * f32::from(nibble(4, c)) + m)),
            Format::Q5_0 => values.extend((0..32).map(|c| d * (f32::from(nibble(6, c) | fifth(2, c)) - 16.0))),
            Format::Q5_1 => values.extend((0..32).map(|c| d * f32::from(nibble(8, c) | fifth(4, c)) + m)),
            Format::Q8_0 | Format::Q8_0N => values.extend((0..32).map(|c| d * f32::from(b[2 + c] as i8))),
            Format::Q4_K | Format::Q5_K => values.extend((0..256).map(|c| {
                let (s, sub, codes) = (&b[4..16], c / 32, if format == Format::Q4_K { 16 } else { 48 });
                let (scale, min) = match sub {
                    0..4 => (s[sub] & 63, s[sub + 4] & 63),
                    _ => (s[sub + 4] & 15 | s[sub - 4] >> 6 << 4, s[sub + 4] >> 4 | s[sub] >> 6 << 4),
                };
                let mut q = b[codes + c / 64 * 32 + c % 32] >> (sub % 2 * 4) & 15;
                if format == Format::Q5_K {
                    q |= (b[16 + c % 32] >> sub & 1) << 4;
                }
                d * f32::from(scale) * f32::from(q) - m * f32::from(min)
            })),
            Format::Q6_K => values.extend((0..256).map(|c| {
                let (half, run, l) = (c / 128, c % 128 / 32, c % 32);
                let low = b[half * 64 + run % 2 * 32 + l] >> (run / 2 * 4) & 15;
                let high = b[128 + half * 32 + l] >> (run * 2) & 3;
                d * f32::from(b[192 + c / 16] as i8) * (f32::from(low | high << 4) - 32.0)
            })),
        }
    }
    values
}

/// A matrix in packed form, with the buffer it lies in.
pub struct Packed {
    pub format: Format,
    pub rows: usize,
    pub cols: usize,
    bytes: Vec<u8>,
}

impl Packed {
    pub fn new(format: Format, rows: usize, cols: usize, source: &[u8]) -> Self {
        let mut bytes = vec![0xaa; format.packed_len(rows, cols).unwrap()];
        pack(format, rows, cols, source, &mut bytes).unwrap();
        Self { format, rows, cols, bytes }
    }

    pub fn matrix(&self) -> Matrix<'_> {
        Matrix::new(self.format, self.rows, self.cols, &self.bytes).unwrap()
    }
}

/// Quantizes `x`, `[tokens][cols]`, for a matrix of this format.
pub fn quantize(kernels: &Kernels, format: Format, cols: usize, x: &[f32]) -> Vec<u8> {
    let (kind, tokens) = (format.activation(), x.len() / cols);
    let mut bytes = vec![0x55; Activations::bytes(kind, tokens, cols)];
    kernels.quantize(x, &mut ActivationsMut::new(kind, tokens, cols, &mut bytes).unwrap()).unwrap();
    bytes
}

/// `x` times the matrix, `[tokens][rows]`.
pub fn multiply(kernels: &Kernels, packed: &Packed, x: &[f32]) -> Vec<f32> {
    let (w, kind, tokens) = (packed.matrix(), packed.format.activation(), x.len() / packed.cols);
    let mut bytes = vec![0; Activations::bytes(kind, tokens, packed.cols)];
    let mut activations = ActivationsMut::new(kind, tokens, packed.cols, &mut bytes).unwrap();
    kernels.quantize(x, &mut activations).unwrap();
    let mut out = vec![f32::NAN; tokens * packed.rows];
    let mut view = OutMut::new(&mut out, tokens, packed.rows).unwrap();
    kernels.matmul(&w, 0..w.groups(), &activations.as_ref(), &mut view).unwrap();
    out
}

/// The specification.
pub fn scalar() -> &'static Kernels {
    Kernels::for_tier(Tier::Scalar).unwrap()
}

/// The tiers above the specification that this machine can run.
pub fn variants() -> impl Iterator<Item = &'static Kernels> {
    Kernels::available().filter(|kernels| kernels.tier() != Tier::Scalar)
}

/// The first difference of two results, bit for bit.
pub fn difference(wanted: &[f32], got: &[f32]) -> Option<String> {
    assert_eq!(wanted.len(), got.len());
    let at = wanted.iter().zip(got).position(|(a, b)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan()))?;
    Some(format!("element {at} is {:e} and should be {:e}", got[at], wanted[at]))
}
