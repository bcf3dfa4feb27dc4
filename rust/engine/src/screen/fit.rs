//! Fits a screen when a model is packed: the directions that its hidden states share, and what they make of each row.

use half::f16;
use nibble_kernels::{Activations, Kernels, Matrix, OutMut};

use super::{DIRECTIONS, MARGINS, Screen, outside};
use crate::weights::Tensor;
use crate::{LanguageModel, Model, Result, SessionOptions};

/// What the model reads to show its hidden states: prose, messages, code, data, and several languages.
const SENTENCES: &str = include_str!("sentences.txt");

/// Tokens that are read of each sentence, at most: byte-level tokenizers make many of some scripts.
const TOKENS: usize = 48;

/// Rounds of the iteration that finds the directions. The leading ones stand out, and the others need not be exact.
const ROUNDS: usize = 12;

/// Rows of the head whose residuals are multiplied together.
const ROWS: usize = 64;

/// The tensors of a screen for the head of `model`, which is in nibbles, each with its name. `progress` is told the share of
/// the work that is done, and ends it by an error.
pub(crate) fn fit(model: &Model, mut progress: impl FnMut(f32) -> Result<()>) -> Result<[(&'static str, Tensor); 2]> {
    let head = model.weights().output.matrix();
    let hidden = hidden_states(model, |done| progress(done / 2.0))?;
    let directions: Vec<u8> = directions(&hidden, head.cols()).iter().flat_map(|x| x.to_le_bytes()).collect();
    let [of_directions, of_margins] = Screen::shapes(head.rows(), head.cols());
    let directions = Tensor::packed(of_directions, &directions)?;
    let margins = margins(&head, &directions.matrix(), |done| progress(0.5 + done / 2.0))?;
    let margins: Vec<u8> = margins.iter().flat_map(|x| x.to_le_bytes()).collect();
    let margins = Tensor::packed(of_margins, &margins)?;
    let [directions_name, margins_name] = Screen::NAMES;
    Ok([(directions_name, directions), (margins_name, margins)])
}

/// The hidden states of all tokens of all sentences, `[tokens][embedding]`.
fn hidden_states(model: &Model, mut progress: impl FnMut(f32) -> Result<()>) -> Result<Vec<f32>> {
    let mut session = model.session(SessionOptions { context: TOKENS, max_nodes: 0, ..SessionOptions::default() })?;
    let sentences: Vec<&str> = SENTENCES.lines().collect();
    let mut states = Vec::new();
    for (i, sentence) in sentences.iter().enumerate() {
        let mut tokens: Vec<_> = session.bos().into_iter().chain(session.encode(sentence)).collect();
        tokens.truncate(session.context_limit());
        if !tokens.is_empty() {
            states.extend(session.hidden_states(&tokens)?);
        }
        progress((i + 1) as f32 / sentences.len() as f32)?;
    }
    Ok(states)
}

/// Orthonormal directions, `[DIRECTIONS][width]`: that of equal parts, which all residuals have in common since nibbles are
/// not negative, and those along which the states are longest. By subspace iteration (Golub and Van Loan 2013, section 8.2).
/// Where states have fewer directions than are asked for, or are no numbers, the rest is zero.
fn directions(states: &[f32], width: usize) -> Vec<f32> {
    let rows = states.len() / width;
    let row = |i: usize| states[i * width..][..width].iter().map(|&x| f64::from(x));
    let mut directions = vec![vec![1.0; width]];
    directions.extend(
        (1..DIRECTIONS).map(|i| if rows == 0 { vec![0.0; width] } else { row(i * (rows - 1) / DIRECTIONS).collect() }),
    );
    orthonormalize(&mut directions);
    for _ in 0..ROUNDS {
        let mut next = vec![vec![0.0; width]; DIRECTIONS];
        next[0].clone_from(&directions[0]);
        for state in (0..rows).map(|i| row(i).collect::<Vec<f64>>()) {
            for (next, direction) in next.iter_mut().zip(&directions).skip(1) {
                add_scaled(next, &state, dot(direction, &state));
            }
        }
        orthonormalize(&mut next);
        directions = next;
    }
    directions.into_iter().flatten().map(|x| x as f32).collect()
}

/// Gram and Schmidt, twice: once leaves rounding errors.
fn orthonormalize(vectors: &mut [Vec<f64>]) {
    for i in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(i);
        let vector = &mut rest[0];
        let length = dot(vector, vector).sqrt();
        for other in before.iter().chain(&*before) {
            let inside = dot(vector, other);
            add_scaled(vector, other, -inside);
        }
        let left = dot(vector, vector).sqrt();
        let scale = if left > 1e-12 * length { 1.0 / left } else { 0.0 };
        vector.iter_mut().for_each(|x| *x = if scale > 0.0 { *x * scale } else { 0.0 });
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(x: &mut [f64], y: &[f64], factor: f64) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y * factor);
}

/// For every row of the head its residual's components along the directions and the length of the rest,
/// `[rows][MARGINS]`.
fn margins(
    head: &Matrix<'_>,
    directions: &Matrix<'_>,
    mut progress: impl FnMut(f32) -> Result<()>,
) -> Result<Vec<f16>> {
    let (kernels, width) = (Kernels::best(), head.cols());
    let upper = head.upper().expect("a head in nibbles");
    let mut margins = Vec::with_capacity(head.rows() * MARGINS);
    let (mut residuals, mut row_of_upper) = (vec![0.0; ROWS * width], vec![0.0; width]);
    let mut components = vec![0.0; ROWS * DIRECTIONS];
    for first in (0..head.rows()).step_by(ROWS) {
        let rows = ROWS.min(head.rows() - first);
        let (residuals, components) = (&mut residuals[..rows * width], &mut components[..rows * DIRECTIONS]);
        for (row, residual) in (first..).zip(residuals.chunks_exact_mut(width)) {
            // Exact: a scale has 11 bits, and a code 8.
            head.dequantize_row(row, residual);
            upper.dequantize_row(row, &mut row_of_upper);
            residual.iter_mut().zip(&row_of_upper).for_each(|(residual, upper)| *residual -= 16.0 * upper);
        }
        let mut out = OutMut::new(components, rows, DIRECTIONS)?;
        kernels.matmul(directions, 0..directions.groups(), &Activations::floats(residuals, width)?, &mut out)?;
        for (residual, components) in residuals.chunks_exact(width).zip(components.chunks_exact(DIRECTIONS)) {
            margins.extend(components.iter().map(|&component| f16::from_f32(component)));
            // Rounding must not make it shorter.
            margins.push(f16::from_f64(outside(residual, components) * (1.0 + 2f64.powi(-10))));
        }
        progress((first + rows) as f32 / head.rows() as f32)?;
    }
    Ok(margins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_orthonormal_and_the_longest() {
        let width = 16;
        // States of which nearly all lies in two planes, and noise.
        let states: Vec<f32> = (0..40 * width)
            .map(|i| {
                let (state, at) = (i / width, i % width);
                let noise = ((i * 7919) % 101) as f32 / 1e4;
                noise
                    + if at == 3 {
                        50.0
                    } else if at == 5 {
                        20.0 * (state as f32).sin()
                    } else {
                        0.0
                    }
            })
            .collect();
        let directions = directions(&states, width);
        let row = |i: usize| directions[i * width..][..width].iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        for i in 0..DIRECTIONS {
            for j in 0..=i {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot(&row(i), &row(j)) - expected).abs() < 1e-5, "{i} and {j}");
            }
        }
        // What the directions leave of each state is noise.
        for state in states.chunks_exact(width) {
            let state: Vec<f64> = state.iter().map(|&x| f64::from(x)).collect();
            let inside: f64 = (0..3).map(|i| dot(&row(i), &state).powi(2)).sum();
            assert!(dot(&state, &state) - inside < 0.01, "{}", dot(&state, &state) - inside);
        }
    }

    #[test]
    fn states_that_say_nothing_leave_zeros() {
        for states in [vec![], vec![0.0; 64], vec![f32::NAN; 64]] {
            let directions = directions(&states, 32);
            assert!(directions[..32].iter().all(|&x| (x - 32f32.sqrt().recip()).abs() < 1e-6));
            assert!(directions[32..].iter().all(|&x| x == 0.0));
        }
    }
}
