//! The head: from hidden states to logits, all of them, those of some tokens, or the highest ones (see [`crate::screen`]).

use std::cmp::Ordering;
use std::ops::Range;

use arrayvec::ArrayVec;
use nibble_kernels::{Activations, GROUP, Kernels, Matrix, OutMut};

use crate::crew::{Crew, Quantized};
use crate::screen::{self, DIRECTIONS, Screen};
use crate::threads::MAX_THREADS;
use crate::{Model, Result, TokenId};

/// A token and its logit.
pub(crate) type Candidate = (TokenId, f32);

/// The order of candidates: highest logit first, lowest id first among equals.
pub(crate) fn better(a: &Candidate, b: &Candidate) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Leaves the `k` best candidates, k > 0, in no order, and gives the least logit among them; minus infinity if there are fewer.
pub(crate) fn keep_best(k: usize, candidates: &mut Vec<Candidate>) -> f32 {
    if candidates.len() < k {
        return f32::NEG_INFINITY;
    }
    let (_, &mut (_, least), _) = candidates.select_nth_unstable_by(k - 1, better);
    candidates.truncate(k);
    least
}

/// The `k` best of all `logits`, best first.
pub(crate) fn best_of(logits: &[f32], k: usize, best: &mut Vec<Candidate>) {
    best.clear();
    if k > 0 {
        best.extend((0..).zip(logits.iter().copied()));
        keep_best(k, best);
        best.sort_unstable_by(better);
    }
}

/// Writes the logits of hidden states, `[rows][vocabulary]`, to `logits`.
pub(crate) fn logits(
    crew: &mut Crew,
    model: &Model,
    hidden: &[f32],
    quantized: &mut Quantized,
    logits: &mut Vec<f32>,
) -> Result<()> {
    let head = model.weights().output.matrix();
    let rows = hidden.len() / head.cols();
    logits.resize(rows * head.rows(), 0.0);
    crew.project(hidden, rows, quantized, [(head, None, logits.as_mut_slice())])
}

/// Groups of rows that are computed before anything is known of the best logits; afterwards twice as many each time.
const GROUPS_AT_FIRST: usize = 8;

/// Groups whose bounds are computed together.
const GROUPS_BOUNDED: usize = 64;

/// The buffers of a head that computes some rows only, grown when first used.
#[derive(Default)]
pub(crate) struct Head {
    /// A quantized hidden state.
    input: Vec<u8>,
    /// The bound of each group of rows.
    bounds: Vec<f32>,
    /// Bounds and numbers of the groups that may hold one of the best and were not computed.
    open: Vec<(f32, usize)>,
    /// Groups and their logits.
    computed: Vec<(usize, [f32; GROUP])>,
}

impl Head {
    /// Writes the `k` tokens with the highest logits of one hidden state to `best`, best first, by way of a screen.
    #[allow(clippy::too_many_arguments, reason = "the parts of a session, borrowed one by one")]
    pub fn best(
        &mut self,
        crew: &mut Crew,
        model: &Model,
        hidden: &[f32],
        screen: &Screen,
        k: usize,
        best: &mut Vec<Candidate>,
    ) -> Result<()> {
        best.clear();
        if k == 0 {
            return Ok(());
        }
        let Self { input, bounds, open, computed } = self;
        let head = model.weights().output.matrix();
        let input = crew.quantize(head.format().activation(), hidden, 1, head.cols(), input)?;
        bounds.resize(head.groups(), 0.0);
        bound(crew, screen, &head, hidden, &input, bounds)?;
        open.clear();
        open.extend(bounds.iter().copied().zip(0..));
        let mut count = GROUPS_AT_FIRST;
        while !open.is_empty() {
            let at = open.len().saturating_sub(count);
            if at > 0 {
                open.select_nth_unstable_by(at, |a, b| a.0.total_cmp(&b.0));
            }
            compute(crew, &head, &input, open.drain(at..).map(|(_, group)| group), computed)?;
            for (group, logits) in &*computed {
                let first = group * GROUP;
                let rows = GROUP.min(head.rows() - first);
                best.extend((first as TokenId..).zip(logits[..rows].iter().copied()));
            }
            let least = keep_best(k, best);
            open.retain(|(bound, _)| bound.partial_cmp(&least) != Some(Ordering::Less));
            count *= 2;
        }
        best.sort_unstable_by(better);
        Ok(())
    }

    /// Writes the logits of `tokens`, in their order, to `logits`: those of one hidden state.
    pub fn logits_of(
        &mut self,
        crew: &mut Crew,
        model: &Model,
        hidden: &[f32],
        tokens: &[TokenId],
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        let Self { input, computed, .. } = self;
        let head = model.weights().output.matrix();
        let input = crew.quantize(head.format().activation(), hidden, 1, head.cols(), input)?;
        let mut groups: Vec<usize> = tokens.iter().map(|&token| token as usize / GROUP).collect();
        groups.sort_unstable();
        groups.dedup();
        compute(crew, &head, &input, groups.into_iter(), computed)?;
        logits.clear();
        logits.extend(tokens.iter().map(|&token| {
            let (group, row) = (token as usize / GROUP, token as usize % GROUP);
            let at = computed.binary_search_by_key(&group, |&(group, _)| group);
            computed[at.expect("the group of every token was computed")].1[row]
        }));
        Ok(())
    }
}

/// The logits of some groups of rows.
fn compute(
    crew: &mut Crew,
    head: &Matrix<'_>,
    input: &Activations<'_>,
    groups: impl Iterator<Item = usize>,
    computed: &mut Vec<(usize, [f32; GROUP])>,
) -> Result<()> {
    computed.clear();
    computed.extend(groups.map(|group| (group, [0.0; GROUP])));
    let kernels = crew.kernels;
    crew.pool.try_for_each(&mut [(); MAX_THREADS], computed, |(), (group, logits)| {
        let rows = GROUP.min(head.rows() - *group * GROUP);
        let mut out = OutMut::new(&mut logits[..rows], 1, rows)?;
        Ok(kernels.matmul(head, *group..*group + 1, input, &mut out)?)
    })
}

/// The bound of every group of rows of a head in nibbles.
fn bound(
    crew: &mut Crew,
    screen: &Screen,
    head: &Matrix<'_>,
    hidden: &[f32],
    input: &Activations<'_>,
    bounds: &mut [f32],
) -> Result<()> {
    let (kernels, directions, margins) = (crew.kernels, screen.directions(), screen.margins());
    let upper = head.upper().expect("a head that is screened is in nibbles");
    let mut components = [0.0; DIRECTIONS];
    let state = Activations::floats(hidden, hidden.len())?;
    product(kernels, &directions, 0..directions.groups(), &state, &mut components)?;
    let weights = screen::weigh(hidden, components);
    let weights = Activations::floats(&weights, weights.len())?;

    let share = head.groups().div_ceil(crew.pool.threads()).max(1);
    let mut shares: ArrayVec<(usize, &mut [f32]), MAX_THREADS> = ArrayVec::new();
    shares.extend(bounds.chunks_mut(share).enumerate().map(|(i, bounds)| (i * share, bounds)));
    crew.pool.try_for_each(&mut [(); MAX_THREADS], &mut shares, |(), (first, bounds)| {
        for (i, bounds) in bounds.chunks_mut(GROUPS_BOUNDED).enumerate() {
            let start = *first + i * GROUPS_BOUNDED;
            let groups = start..start + bounds.len();
            let mut rooms = [[0.0; GROUPS_BOUNDED * GROUP]; 2];
            let [estimates, added] = &mut rooms;
            let estimates = product(kernels, &upper, groups.clone(), input, estimates)?;
            let added = product(kernels, &margins, groups, &weights, added)?;
            kernels.group_bounds(estimates, added, bounds);
        }
        Ok(())
    })
}

/// One token's product with some groups of rows, in as much of `room` as it takes.
fn product<'a>(
    kernels: &Kernels,
    matrix: &Matrix<'_>,
    groups: Range<usize>,
    input: &Activations<'_>,
    room: &'a mut [f32],
) -> Result<&'a [f32]> {
    let rows = (groups.end * GROUP).min(matrix.rows()) - groups.start * GROUP;
    let out = &mut room[..rows];
    kernels.matmul(matrix, groups, input, &mut OutMut::new(out, 1, rows)?)?;
    Ok(out)
}
