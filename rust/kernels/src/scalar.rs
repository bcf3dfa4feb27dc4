//! The specification of every matrix product: plain Rust, whose order of operations all variants reproduce bit for bit.
//!
//! The accumulator of an output starts at 0 and takes, in the order of the columns:
//! * blocks of 32: s = sum of (code - offset) * activation code, exact; `acc = fma(s, d * da, acc)`; with a minimum also
//!   `acc = fma(m, da * sum, acc)`, where `da * sum` comes with the activation;
//! * blocks of 256: s = sum of sub-scale * sub-dot and m = sum of sub-minimum * sub-sum, exact;
//!   `acc = fma(s, d * da, acc)`; with minima also `acc = fma(-(dmin * da), m, acc)`;
//! * floats: four accumulators, column k into number k mod 4, each by fma, added as (0 + 1) + (2 + 3).

use std::ops::Range;

use crate::activation::{self, ActivationKind, Activations, TILE};
use crate::format::{Format, GROUP};
use crate::matrix::{Matrix, OutMut, code, element, half, offset, sub_scale};
use crate::product::split_group;

/// See [`Product`](crate::product::Product).
pub(crate) fn product(
    w: &Matrix<'_>,
    groups: Range<usize>,
    x: &Activations<'_>,
    tokens: Range<usize>,
    mut rest: OutMut<'_>,
) {
    for group in groups {
        let mut out;
        (out, rest) = split_group(rest);
        for token in tokens.clone() {
            let (tile, width) = x.tile(token / TILE * TILE);
            let t = token % TILE;
            let acc = match x.kind() {
                ActivationKind::Q8 => blocks(w, group, tile, width, t),
                ActivationKind::Q8K => superblocks(w, group, tile, width, t),
                ActivationKind::F32 => floats(w, group, &tile[t * x.token_bytes()..][..x.token_bytes()]),
            };
            let out = out.token_mut(token);
            out.copy_from_slice(&acc[..out.len()]);
        }
    }
}

/// The code of column `c` of token `t` in a block's record.
#[inline(always)]
fn activation(record: &[u8], width: usize, t: usize, c: usize) -> i32 {
    i32::from(record[activation::word(c / 4, width, t) * 4 + c % 4] as i8)
}

/// The four bytes with index `i`, after `start` bytes.
#[inline(always)]
fn word(record: &[u8], start: usize, i: usize) -> [u8; 4] {
    let at = start + 4 * i;
    [record[at], record[at + 1], record[at + 2], record[at + 3]]
}

fn blocks(w: &Matrix<'_>, group: usize, tile: &[u8], width: usize, t: usize) -> [f32; GROUP] {
    let format = w.format();
    let (codes, high, scales) = (w.codes(group), w.high(group), w.scales(group));
    let mut acc = [0.0f32; GROUP];
    for (b, record) in tile.chunks_exact(width * ActivationKind::Q8.record()).enumerate() {
        let codes = &codes[b * format.code_bytes()..][..format.code_bytes()];
        let high = &high[b * format.high_bytes()..][..format.high_bytes()];
        let scales = &scales[b * format.scale_bytes()..][..format.scale_bytes()];
        let da = f32::from_le_bytes(word(record, 32 * width, t));
        let da_sum = f32::from_le_bytes(word(record, 36 * width, t));
        let sum = i32::from_le_bytes(word(record, 40 * width, t));
        for (lane, acc) in acc.iter_mut().enumerate() {
            let mut s = -offset(format) * sum;
            for c in 0..32 {
                s += code(format, codes, high, lane, c) * activation(record, width, t, c);
            }
            *acc = (s as f32).mul_add(half(scales, lane) * da, *acc);
            if matches!(format, Format::Q4_1 | Format::Q5_1) {
                *acc = half(scales, GROUP + lane).mul_add(da_sum, *acc);
            }
        }
    }
    acc
}

fn superblocks(w: &Matrix<'_>, group: usize, tile: &[u8], width: usize, t: usize) -> [f32; GROUP] {
    let format = w.format();
    let (codes, high, scales) = (w.codes(group), w.high(group), w.scales(group));
    let mut acc = [0.0f32; GROUP];
    for (b, record) in tile.chunks_exact(width * ActivationKind::Q8K.record()).enumerate() {
        let codes = &codes[b * format.code_bytes()..][..format.code_bytes()];
        let high = &high[b * format.high_bytes()..][..format.high_bytes()];
        let scales = &scales[b * format.scale_bytes()..][..format.scale_bytes()];
        let da = f32::from_le_bytes(word(record, 256 * width, t));
        for (lane, acc) in acc.iter_mut().enumerate() {
            let (mut s, mut m) = (0i32, 0i32);
            let run = if format == Format::Q6_K { 16 } else { 32 };
            for sub in 0..256 / run {
                let (mut dot, mut sum) = (0, 0);
                for c in sub * run..(sub + 1) * run {
                    let a = activation(record, width, t, c);
                    dot += (code(format, codes, high, lane, c) - offset(format)) * a;
                    sum += a;
                }
                if format == Format::Q6_K {
                    s += i32::from(sub_scale(scales, 32, lane, sub) as i8) * dot;
                } else {
                    s += i32::from(sub_scale(scales, 64, lane, sub)) * dot;
                    m += i32::from(sub_scale(scales, 192, lane, sub)) * sum;
                }
            }
            *acc = (s as f32).mul_add(half(scales, lane) * da, *acc);
            if format != Format::Q6_K {
                *acc = (-(half(scales, GROUP + lane) * da)).mul_add(m as f32, *acc);
            }
        }
    }
    acc
}

fn floats(w: &Matrix<'_>, group: usize, x: &[u8]) -> [f32; GROUP] {
    let (codes, column_bytes) = (w.codes(group), w.format().code_bytes());
    let mut chains = [[0.0f32; GROUP]; 4];
    for (k, column) in codes.chunks_exact(column_bytes).enumerate() {
        let x = f32::from_le_bytes(word(x, 0, k));
        for (lane, acc) in chains[k % 4].iter_mut().enumerate() {
            *acc = element(w.format(), column, lane).mul_add(x, *acc);
        }
    }
    std::array::from_fn(|lane| (chains[0][lane] + chains[1][lane]) + (chains[2][lane] + chains[3][lane]))
}
