//! The kernels and the threads that run them: what a forward pass does to the rows of a batch, split over cores.

use std::time::Duration;

use arrayvec::ArrayVec;
use nibble_kernels::{ActivationKind, Activations, ActivationsMut, GROUP, Kernels, Matrix, OutMut, TILE};

use crate::threads::{MAX_THREADS, Placement, Pool};
use crate::watchdog::{FEW_ROWS, Watchdogs};
use crate::{Config, PowerState, Result};

/// The most parts that a region's rows are cut into.
pub(crate) const MAX_SHARES: usize = 16;

/// Fewer rows than this are not worth a parallel region of their own for work that is linear in the width.
const ROWS_WORTH_SPLITTING: usize = 8;

/// How many threads compute, the caller's included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// When a prompt is read: batches of more than eight rows.
    pub prefill: usize,
    /// When a text is written or words are ranked: batches of up to eight rows.
    pub decode: usize,
}

impl Threads {
    /// The same number for everything.
    pub fn both(threads: usize) -> Self {
        Self { prefill: threads, decode: threads }
    }

    /// The threads that a pool needs.
    pub(crate) fn most(self) -> usize {
        self.prefill.max(self.decode)
    }
}

/// Kernels and the threads that run them.
pub(crate) struct Crew {
    pub kernels: &'static Kernels,
    pub pool: Pool,
    threads: Threads,
    placement: Placement,
    watchdogs: Watchdogs,
}

/// A product to be computed: the matrix, a bias `[rows]`, and where the result `[batch row][rows]` goes.
pub(crate) type Projection<'a> = (Matrix<'a>, Option<&'a [f32]>, &'a mut [f32]);

impl Crew {
    /// A crew for a model whose weights have `bytes` bytes.
    pub fn new(kernels: &'static Kernels, threads: Threads, placement: Placement, bytes: u64) -> Self {
        let watchdogs = Watchdogs::new(bytes);
        Self { kernels, pool: Pool::new(threads.most(), &placement), threads, placement, watchdogs }
    }

    /// How many threads compute; fewer than were asked for, where the pool has no more.
    pub fn threads(&self) -> Threads {
        let available = |threads: usize| threads.clamp(1, self.pool.size());
        Threads { prefill: available(self.threads.prefill), decode: available(self.threads.decode) }
    }

    /// Changes how many threads compute. Those that are no longer needed sleep.
    pub fn set_threads(&mut self, threads: Threads) {
        self.threads = threads;
        self.watchdogs.reset();
        if threads.most() > self.pool.size() {
            self.pool = Pool::new(threads.most(), &self.placement);
        }
    }

    /// Takes as many threads for the regions to come as a batch of `rows` rows is worth, the device can spare, and the
    /// watchdog allows.
    pub fn muster(&mut self, rows: usize) {
        let threads = self.wanted(rows);
        self.pool.limit(self.watchdogs.of(rows).allows(threads));
    }

    /// Tells the watchdog how long a pass over `rows` rows took.
    pub fn passed(&mut self, rows: usize, time: Duration) {
        let threads = self.wanted(rows);
        self.watchdogs.of(rows).saw(threads, rows, time);
    }

    /// How many threads a batch of `rows` rows is worth and the device can spare. A large one is a prefill, which gains from more.
    fn wanted(&self, rows: usize) -> usize {
        let threads = if rows <= FEW_ROWS { self.threads.decode } else { self.threads.prefill };
        PowerState::current().allows(threads)
    }

    /// Calls `f(first row, buffers of some rows)` for all `n` rows of buffers `[row][width]`; in parallel if there are many.
    pub fn over_rows<const N: usize>(
        &mut self,
        n: usize,
        buffers: [(&mut [f32], usize); N],
        f: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        if n < ROWS_WORTH_SPLITTING {
            return f(0, buffers.map(|(buffer, _)| buffer));
        }
        // Whole tiles, so that the parts are also parts of quantized activations.
        let rows = n.div_ceil(MAX_SHARES).next_multiple_of(TILE);
        let mut chunks = buffers.map(|(buffer, width)| buffer.chunks_mut(rows * width));
        let mut parts: ArrayVec<(usize, [&mut [f32]; N]), MAX_SHARES> = ArrayVec::new();
        for first in (0..n).step_by(rows) {
            let part = chunks.each_mut().map(|c| c.next().expect("every buffer has the same number of rows"));
            parts.push((first, part));
        }
        self.pool.for_each(&mut parts, |(first, part)| f(*first, part.each_mut().map(|b| &mut **b)));
    }

    /// RMSNorm of every row.
    pub fn rms_norm(&mut self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let (kernels, width) = (self.kernels, weight.len());
        self.over_rows(x.len() / width, [(out, width)], |first, [out]| {
            out.copy_from_slice(&x[first * width..][..out.len()]);
            out.chunks_exact_mut(width).for_each(|row| kernels.rms_norm(row, weight, eps));
        });
    }

    /// x += branch, or x += norm(branch) where the architecture has a norm after the block.
    pub fn add_normed(&mut self, x: &mut [f32], branch: &mut [f32], norm: Option<&[f32]>, c: &Config) {
        let (kernels, width) = (self.kernels, c.embedding);
        self.over_rows(x.len() / width, [(x, width), (branch, width)], |_, [x, branch]| {
            if let Some(weight) = norm {
                for row in branch.chunks_exact_mut(width) {
                    kernels.rms_norm(row, weight, c.rms_eps);
                }
            }
            kernels.add(x, branch);
        });
    }

    /// Quantizes `n` rows of `x`, `[n][cols]`.
    pub fn quantize<'b>(
        &mut self,
        kind: ActivationKind,
        x: &[f32],
        n: usize,
        cols: usize,
        bytes: &'b mut Vec<u8>,
    ) -> Result<Activations<'b>> {
        let len = Activations::bytes(kind, n, cols);
        if bytes.len() < len {
            bytes.resize(len, 0);
        }
        let mut out = ActivationsMut::new(kind, n, cols, bytes)?;
        let kernels = self.kernels;
        if n < ROWS_WORTH_SPLITTING {
            kernels.quantize(x, &mut out)?;
            return Ok(out.into_ref());
        }
        let tiles = n.div_ceil(MAX_SHARES * TILE);
        let mut shares: ArrayVec<(&[f32], ActivationsMut), MAX_SHARES> = ArrayVec::new();
        let mut rest = out.reborrow();
        for x in x.chunks(tiles * TILE * cols) {
            let (share, tail) = rest.split_tiles(tiles);
            shares.push((x, share));
            rest = tail;
        }
        self.pool.try_for_each(&mut [(); MAX_THREADS], &mut shares, |(), (x, out)| kernels.quantize(x, out))?;
        drop(shares);
        Ok(out.into_ref())
    }

    /// Multiplies `n` rows of `x` by several matrices in one region, each thread taking an equal run of their row groups.
    pub fn project<'a, const N: usize>(
        &mut self,
        x: &[f32],
        n: usize,
        quantized: &mut Quantized,
        projections: [Projection<'a>; N],
    ) -> Result<()> {
        let mut inputs: ArrayVec<Activations, { KINDS.len() }> = ArrayVec::new();
        for (kind, bytes) in KINDS.into_iter().zip(quantized) {
            if let Some((matrix, ..)) = projections.iter().find(|(matrix, ..)| matrix.format().activation() == kind) {
                inputs.push(self.quantize(kind, x, n, matrix.cols(), bytes)?);
            }
        }
        let total: usize = projections.iter().map(|(matrix, ..)| matrix.groups()).sum();
        let threads = self.pool.threads();
        let mut shares: ArrayVec<ArrayVec<Piece, N>, MAX_THREADS> = ArrayVec::new();
        shares.extend((0..threads).map(|_| ArrayVec::new()));
        let mut done = 0;
        for (matrix, bias, out) in projections {
            let kind = matrix.format().activation();
            let input = *inputs.iter().find(|input| input.kind() == kind).expect("every kind in use was quantized");
            let mut rest = OutMut::new(out, n, matrix.rows())?;
            let mut group = 0;
            while group < matrix.groups() {
                let thread = done * threads / total;
                let boundary = (total * (thread + 1)).div_ceil(threads);
                let end = (group + boundary - done).min(matrix.groups());
                let rows = (end * GROUP).min(matrix.rows()) - group * GROUP;
                let (out, tail) = rest.split_rows(rows);
                let bias = bias.map(|bias| &bias[group * GROUP..group * GROUP + rows]);
                shares[thread].push(Piece { matrix, groups: group..end, input, out, bias });
                rest = tail;
                done += end - group;
                group = end;
            }
        }
        let kernels = self.kernels;
        self.pool.try_for_each(&mut [(); MAX_THREADS], &mut shares, |(), pieces| {
            for piece in pieces {
                kernels.matmul(&piece.matrix, piece.groups.clone(), &piece.input, &mut piece.out)?;
                if let Some(bias) = piece.bias {
                    (0..n).for_each(|row| kernels.add(piece.out.token_mut(row), bias));
                }
            }
            Ok(())
        })
    }
}

/// The ways in which an input may have to be quantized, depending on the formats of the matrices it meets.
const KINDS: [ActivationKind; 3] = [ActivationKind::Q8, ActivationKind::Q8K, ActivationKind::F32];

/// Room for the quantized input of a region, one buffer a kind, grown when first needed.
pub(crate) type Quantized = [Vec<u8>; KINDS.len()];

/// A thread's part of one projection.
struct Piece<'a> {
    matrix: Matrix<'a>,
    groups: std::ops::Range<usize>,
    input: Activations<'a>,
    out: OutMut<'a>,
    bias: Option<&'a [f32]>,
}
