//! Three ways to multiply 32 columns of some rows by a tile of tokens, for the instructions that a CPU has.
//!
//! Rows come in registers of four, and R registers are computed together. The sums lie in a [`Grid`] whose order is that of
//! the instructions; what is multiplied by the sums, or added to them, is brought into the same order first.

use std::arch::aarch64::*;
use std::arch::asm;

use crate::activation::{TILE, word};
use crate::format::Format;
use crate::format::marker::Marker;

/// Registers of sums. `[u][p]` belongs to vector u of tokens and vector p of rows; see [`Multiply`] for what these are and
/// how many. What lies beyond them is not used.
pub(super) type Grid<V> = [[V; 4]; TILE];

/// Where 32 columns of a group and of a tile lie, from the first row on that is computed.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub codes: *const u8,
    pub high: *const u8,
    pub activations: *const u8,
    pub masks: Masks,
}

/// What [`join`] needs; see there.
#[derive(Clone, Copy)]
pub(super) struct Masks {
    nibble: uint8x16_t,
    high: uint8x16_t,
}

impl Masks {
    pub fn new<F: Marker>() -> Self {
        // LLVM would rather make a constant anew, each time it is used, than keep it in a register.
        // SAFETY: NEON is in the baseline.
        let mask = |byte| opaque(unsafe { vdupq_n_u8(byte) });
        Self { nibble: mask(15), high: mask(if let Format::Q6_K = F::FORMAT { 0x30 } else { 0x10 }) }
    }
}

impl Columns {
    /// The 32 columns after these, in a superblock of format F and of a tile of T tokens.
    #[inline(always)]
    pub fn next<F: Marker, const T: usize>(self) -> Self {
        Self {
            codes: self.codes.wrapping_add(F::FORMAT.code_bytes() / 8),
            high: self.high.wrapping_add(F::FORMAT.high_bytes() / 8),
            activations: self.activations.wrapping_add(32 * T),
            ..self
        }
    }

    /// The same columns, `r` registers of rows further on.
    #[inline(always)]
    pub fn after(self, r: usize) -> Self {
        Self { codes: self.codes.wrapping_add(16 * r), high: self.high.wrapping_add(16 * r), ..self }
    }
}

/// Which of 32 columns are meant: the first 16, the others, or all.
pub(super) const FIRST: usize = 0;
pub(super) const SECOND: usize = 1;
pub(super) const ALL: usize = 2;

/// A way to multiply. Its methods may only be called where the CPU has its instructions. Unless it says otherwise, a vector of
/// rows is a register of four, and a vector of tokens is one, in all lanes.
pub(super) trait Multiply {
    /// Sums on their way.
    type Part: Copy;

    /// For each vector of rows that two registers of rows make, which of their eight rows are in its lanes.
    const LANES: &[[u8; 4]] = &[[0, 1, 2, 3], [4, 5, 6, 7]];

    /// How many vectors R registers of rows make.
    #[inline(always)]
    fn rows(r: usize) -> usize {
        r
    }

    /// How many vectors T tokens make.
    #[inline(always)]
    fn tokens(t: usize) -> usize {
        t
    }

    /// Vectors of rows, from registers of four.
    #[inline(always)]
    fn by_row(rows: [float32x4_t; 4]) -> [float32x4_t; 4] {
        rows
    }

    /// Vectors of T tokens, from a lane for each (or, of one token, all lanes).
    #[inline(always)]
    fn by_token<const T: usize>(x: int32x4_t) -> [int32x4_t; TILE] {
        // SAFETY: NEON is in the baseline.
        unsafe {
            match T {
                1 => [x; TILE],
                _ => {
                    [vdupq_laneq_s32::<0>(x), vdupq_laneq_s32::<1>(x), vdupq_laneq_s32::<2>(x), vdupq_laneq_s32::<3>(x)]
                }
            }
        }
    }

    /// Register `r` of four rows and token `t`.
    #[inline(always)]
    fn result(grid: &Grid<float32x4_t>, t: usize, r: usize) -> float32x4_t {
        grid[t][r]
    }

    /// Where a sum starts that shall end as `from` plus products with these activations.
    fn start<const T: usize>(from: Grid<int32x4_t>, activations: *const u8) -> Self::Part;

    /// Whether the registers do not suffice for all rows at once, if there is something between the products and the sums:
    /// always, or for the most rows of the largest blocks.
    const HALVES_ROWS: bool;
    const HALVES_SIX: bool;

    /// Adds the products of columns 4 * I to 4 * I + 3; the steps that are taken are those of HALF.
    ///
    /// # Safety
    /// As [`dot`].
    unsafe fn step<F: Marker, const T: usize, const R: usize, const HALF: usize, const I: usize>(
        at: Columns,
        part: &mut Self::Part,
    );

    /// Brings eight columns of two registers of rows, columns 0 to 3 of both and columns 4 to 7 of both, into the order that
    /// [`Self::add`] wants.
    #[inline(always)]
    fn ordered(columns: [int8x16_t; 4]) -> [int8x16_t; 4] {
        columns
    }

    /// Writes what [`Self::ordered`] makes of them; returns what is behind it.
    ///
    /// # Safety
    /// There is room for them at `to`.
    #[inline(always)]
    unsafe fn write(columns: [int8x16_t; 4], to: *mut u8) -> *mut u8 {
        for (i, columns) in columns.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { vst1q_s8(to.wrapping_add(16 * i).cast(), columns) };
        }
        to.wrapping_add(64)
    }

    /// Adds the products of eight columns of registers `r` and `r + 1` of rows, in the order of [`Self::ordered`], and of T
    /// tokens in the order of [`words`]; `is_first` if nothing was added to the sums before.
    ///
    /// # Safety
    /// The CPU has the instructions.
    unsafe fn add<F: Marker, const T: usize>(
        w: [int8x16_t; 4],
        x: [int8x16_t; 2],
        part: &mut Self::Part,
        r: usize,
        is_first: bool,
    );

    /// The same for registers 0 and 1, and T tokens at `x`: the first eight columns of those that the sums were started with
    /// if nothing was added to the sums before, or else the next ones.
    ///
    /// # Safety
    /// The CPU has the instructions; so many activations may be read.
    #[inline(always)]
    unsafe fn add_next<F: Marker, const T: usize>(
        w: [int8x16_t; 4],
        x: *const u8,
        part: &mut Self::Part,
        is_first: bool,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let x = [0, 16].map(|i| vld1q_s8(x.wrapping_add(i).cast()));
            Self::add::<F, T>(w, x, part, 0, is_first);
        }
    }

    /// Whether sums have room for more than 32 columns, so that those of the next columns may be added to them.
    const GOES_ON: bool;

    /// How many whole tiles save what unpacking ahead for them costs.
    const TILES_WORTH_UNPACKING: usize;

    /// Whether codes that are bytes already are better off in a panel.
    const UNPACKS_BYTES: bool;

    /// `from` and the sums of T tokens and R registers of rows.
    fn finish<F: Marker, const T: usize, const R: usize>(part: Self::Part, from: Grid<int32x4_t>) -> Grid<int32x4_t>;
}

/// `from`, and the products of columns HALF of R registers of rows.
///
/// # Safety
/// `at` is at 32 columns of format F and of a tile of T tokens, which may be read; the CPU has the
/// instructions.
#[inline(always)]
pub(super) unsafe fn dot<M: Multiply, F: Marker, const T: usize, const R: usize, const HALF: usize>(
    at: Columns,
    from: Grid<int32x4_t>,
) -> Grid<int32x4_t> {
    let mut part = M::start::<T>(from, at.activations);
    // In an order in which the two codes of a byte follow one another, if there are two. Spelt out: an array with a variable index would not
    // be in registers. `const` here and elsewhere spares LLVM what would be inlined only to be thrown away: it halves the
    // time that this crate takes to compile.
    macro_rules! steps {
        ($whole:literal: $($i:literal)*) => {$(
            if const { (HALF == ALL || $i / 4 == HALF) && $whole == matches!(F::FORMAT, Format::Q8_0) } {
                // SAFETY: the caller's promise.
                unsafe { M::step::<F, T, R, HALF, $i>(at, &mut part) };
            }
        )*};
    }
    steps!(false: 0 4 1 5 2 6 3 7);
    steps!(true: 0 1 2 3 4 5 6 7);
    M::finish::<F, T, R>(part, from)
}

/// Whether codes are whole bytes, be it in two nibbles.
const fn has_bytes(format: Format) -> bool {
    matches!(format, Format::Q8_0 | Format::Q8_0N)
}

/// Calls `$f::<LANE>` with the lane in which the word of four activations with this index lies.
macro_rules! by_lane {
    ($word:expr, $f:ident, $($argument:expr),*) => {
        match $word % 4 {
            0 => $f::<0>($($argument),*),
            1 => $f::<1>($($argument),*),
            2 => $f::<2>($($argument),*),
            _ => $f::<3>($($argument),*),
        }
    };
}

/// The register that holds the word of four activations with this index.
///
/// # Safety
/// `at` is at the activations of 32 columns of a tile, which have this word.
#[inline(always)]
unsafe fn words(at: Columns, word: usize) -> int8x16_t {
    // SAFETY: the caller's promise; whole registers, since a tile of T tokens has 8 * T words.
    unsafe { vld1q_s8(at.activations.wrapping_add(word / 4 * 16).cast()) }
}

/// Baseline: products are added in 16 bits, for each row and byte, as far as that is exact.
pub(super) struct Smlal;

/// The rows of a register, two in each, and for each row a sum of every fourth column.
#[derive(Clone, Copy)]
pub(super) struct Halves<V>(V, V);

/// Sums of [`Smlal`] on their way.
#[derive(Clone, Copy)]
pub(super) struct Narrow {
    /// In 16 bits.
    narrow: Grid<Halves<int16x8_t>>,
    /// What was widened.
    wide: Grid<Halves<int32x4_t>>,
    /// The activations that come next, in the first 16 columns and in the others.
    next: [*const u8; 2],
}

impl Narrow {
    /// Adds the products of eight columns of R registers of rows, from `r` on, and of N tokens, from `t` on. `w` has four columns
    /// of each register, then the next four, and `x` of each token.
    #[inline(always)]
    fn add<F: Marker, const R: usize, const N: usize>(
        &mut self,
        w: [[int8x16_t; 4]; 2],
        x: [[int8x16_t; 2]; 2],
        t: usize,
        r: usize,
        is_first: bool,
    ) {
        if !has_bytes(F::FORMAT) {
            self.add_four::<R, N>(w[0], [x[0][0], x[1][0]], t, r, is_first);
            self.add_four::<R, N>(w[1], [x[0][1], x[1][1]], t, r, false);
            return;
        }
        for i in 0..R {
            for n in 0..N {
                let (sum, w) = (&mut self.wide[t + n][r + i], [w[0][i], w[1][i]]);
                *sum = if is_first { smull_saddlp(w, x[n]) } else { smull_sadalp(*sum, w, x[n]) };
            }
        }
    }

    /// The same for four columns, whose products stay in 16 bits.
    #[inline(always)]
    fn add_four<const R: usize, const N: usize>(
        &mut self,
        w: [int8x16_t; 4],
        x: [int8x16_t; 2],
        t: usize,
        r: usize,
        is_first: bool,
    ) {
        for i in 0..R {
            for n in 0..N {
                let sum = &mut self.narrow[t + n][r + i];
                *sum = if is_first { smull(w[i], x[n]) } else { smlal(*sum, w[i], x[n]) };
            }
        }
    }

    /// The next eight columns of tokens `t` and `t + 1` of T, in words that are everywhere.
    ///
    /// # Safety
    /// They may be read.
    #[inline(always)]
    unsafe fn next<F: Marker, const T: usize>(&mut self, half: usize, t: usize) -> [[int8x16_t; 2]; 2] {
        let next = &mut self.next[half];
        // SAFETY: the caller's promise.
        unsafe {
            let mut one = || {
                *next = held(*next);
                let int32x4x2_t(a, b) = vld2q_dup_s32(next.cast());
                *next = next.wrapping_add(8);
                [vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)]
            };
            if t + 1 == T {
                let words = one();
                [words, words]
            } else if const { F::FORMAT.block() == 256 } {
                // There are no registers for more than a token at a time.
                [one(), one()]
            } else {
                *next = held(*next);
                let int32x4x4_t(a, b, c, d) = vld4q_dup_s32(next.cast());
                *next = next.wrapping_add(16);
                [[vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)], [vreinterpretq_s8_s32(c), vreinterpretq_s8_s32(d)]]
            }
        }
    }
}

impl Multiply for Smlal {
    type Part = Narrow;

    const HALVES_ROWS: bool = false;
    const HALVES_SIX: bool = false;

    #[inline(always)]
    fn start<const T: usize>(_: Grid<int32x4_t>, activations: *const u8) -> Self::Part {
        // SAFETY: NEON is in the baseline, here and below.
        unsafe {
            let (narrow, wide) = (vdupq_n_s16(0), vdupq_n_s32(0));
            Narrow {
                narrow: [[Halves(narrow, narrow); 4]; TILE],
                wide: [[Halves(wide, wide); 4]; TILE],
                next: [activations, activations.wrapping_add(16 * T)],
            }
        }
    }

    /// Two steps at once: nothing in the odd ones. A product is at most 127 times the largest code: 32767 holds two of bytes,
    /// four of Q6_K, which has a scale every four steps, and eight of the others.
    #[inline(always)]
    unsafe fn step<F: Marker, const T: usize, const R: usize, const HALF: usize, const I: usize>(
        at: Columns,
        part: &mut Self::Part,
    ) {
        if !I.is_multiple_of(2) {
            return;
        }
        let is_first = I == if HALF == SECOND { 4 } else { 0 };
        let half = if matches!(F::FORMAT, Format::Q8_0) { 0 } else { I / 4 };
        for t in (0..T).step_by(2) {
            // SAFETY: the caller's promise.
            unsafe {
                let x = part.next::<F, T>(half, t);
                if t + 1 < T {
                    part.add::<F, R, 2>(unpack_two::<F, R, I>(at), x, t, 0, is_first);
                } else if const { F::FORMAT.high_bytes() == 0 || has_bytes(F::FORMAT) || T > 1 } {
                    part.add::<F, R, 1>(unpack_two::<F, R, I>(at), x, t, 0, is_first);
                } else {
                    // One register of rows after the other: high bits of all take registers too.
                    for r in 0..R {
                        part.add::<F, 1, 1>(unpack_two::<F, 1, I>(at.after(r)), x, t, r, is_first);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn add<F: Marker, const T: usize>(
        w: [int8x16_t; 4],
        x: [int8x16_t; 2],
        part: &mut Self::Part,
        r: usize,
        is_first: bool,
    ) {
        for t in 0..T {
            // SAFETY: as above.
            let x = unsafe { [by_lane!(2 * t, repeat, x[t / 2]), by_lane!(2 * t + 1, repeat, x[t / 2])] };
            part.add::<F, 2, 1>([[w[0], w[1], w[0], w[1]], [w[2], w[3], w[2], w[3]]], [x, x], t, r, is_first);
        }
    }

    #[inline(always)]
    unsafe fn add_next<F: Marker, const T: usize>(
        w: [int8x16_t; 4],
        _: *const u8,
        part: &mut Self::Part,
        is_first: bool,
    ) {
        for t in (0..T).step_by(2) {
            // SAFETY: the caller's promise.
            let x = unsafe { part.next::<F, T>(0, t) };
            part.add::<F, 2, 2>([[w[0], w[1], w[0], w[1]], [w[2], w[3], w[2], w[3]]], x, t, 0, is_first);
        }
    }

    const GOES_ON: bool = false;
    const TILES_WORTH_UNPACKING: usize = 1;
    const UNPACKS_BYTES: bool = false;

    #[inline(always)]
    fn finish<F: Marker, const T: usize, const R: usize>(
        Narrow { narrow, wide, .. }: Self::Part,
        mut from: Grid<int32x4_t>,
    ) -> Grid<int32x4_t> {
        for t in 0..T {
            for r in 0..R {
                // SAFETY: as above.
                from[t][r] = unsafe {
                    let Halves(low, high) = if has_bytes(F::FORMAT) {
                        wide[t][r]
                    } else {
                        Halves(vpaddlq_s16(narrow[t][r].0), vpaddlq_s16(narrow[t][r].1))
                    };
                    vaddq_s32(from[t][r], pin(vpaddq_s32(low, high)))
                };
            }
        }
        from
    }
}

/// One word everywhere.
#[inline(always)]
unsafe fn repeat<const LANE: i32>(x: int8x16_t) -> int8x16_t {
    // SAFETY: NEON is in the baseline.
    unsafe { vreinterpretq_s8_s32(vdupq_laneq_s32::<LANE>(vreinterpretq_s32_s8(x))) }
}

/// Products of bytes, and of the bytes of the upper halves. Not the intrinsics: LLVM sees that codes are small, widens them
/// beforehand and multiplies 16 bits, which takes twice the instructions.
macro_rules! product_of_bytes {
    ($name:ident, $adding:ident, $instruction:literal, $lanes:literal) => {
        #[inline(always)]
        fn $name(w: int8x16_t, x: int8x16_t) -> int16x8_t {
            let product;
            // SAFETY: NEON is in the baseline; nothing but the output changes.
            unsafe {
                asm!(concat!("smull", $instruction, " {0:v}.8h, {1:v}.", $lanes, ", {2:v}.", $lanes),
                    out(vreg) product, in(vreg) w, in(vreg) x, options(nomem, nostack, preserves_flags));
            }
            product
        }

        /// The same, added.
        #[inline(always)]
        fn $adding(mut sum: int16x8_t, w: int8x16_t, x: int8x16_t) -> int16x8_t {
            // SAFETY: as above.
            unsafe {
                asm!(concat!("smlal", $instruction, " {0:v}.8h, {1:v}.", $lanes, ", {2:v}.", $lanes),
                    inout(vreg) sum, in(vreg) w, in(vreg) x, options(nomem, nostack, preserves_flags));
            }
            sum
        }
    };
}
product_of_bytes!(smull_low, smlal_low, "", "8b");
product_of_bytes!(smull_high, smlal_high, "2", "16b");

/// Products of the rows of a register.
#[inline(always)]
fn smull(w: int8x16_t, x: int8x16_t) -> Halves<int16x8_t> {
    Halves(smull_low(w, x), smull_high(w, x))
}

/// The same, added.
#[inline(always)]
fn smlal(sum: Halves<int16x8_t>, w: int8x16_t, x: int8x16_t) -> Halves<int16x8_t> {
    Halves(smlal_low(sum.0, w, x), smlal_high(sum.1, w, x))
}

/// For two registers, the sums of their products, and the sums of pairs of these. As one: LLVM would compute so many products
/// in parallel that it ran out of registers.
macro_rules! products_in_pairs {
    ($w:ident, $x:ident, $instruction:literal, $($sums:tt)*) => {
        // SAFETY: NEON is in the baseline; nothing but the outputs changes.
        unsafe {
            asm!(
                "smull {p:v}.8h, {v:v}.8b, {x:v}.8b",
                "smull2 {q:v}.8h, {v:v}.16b, {x:v}.16b",
                "smlal {p:v}.8h, {w:v}.8b, {y:v}.8b",
                "smlal2 {q:v}.8h, {w:v}.16b, {y:v}.16b",
                concat!($instruction, " {a:v}.4s, {p:v}.8h"),
                concat!($instruction, " {b:v}.4s, {q:v}.8h"),
                $($sums)*, p = out(vreg) _, q = out(vreg) _,
                v = in(vreg) $w[0], w = in(vreg) $w[1], x = in(vreg) $x[0], y = in(vreg) $x[1],
                options(nomem, nostack, preserves_flags)
            );
        }
    };
}

#[inline(always)]
fn smull_saddlp(w: [int8x16_t; 2], x: [int8x16_t; 2]) -> Halves<int32x4_t> {
    let (a, b);
    products_in_pairs!(w, x, "saddlp", a = lateout(vreg) a, b = lateout(vreg) b);
    Halves(a, b)
}

/// The same, added.
#[inline(always)]
fn smull_sadalp(Halves(mut a, mut b): Halves<int32x4_t>, w: [int8x16_t; 2], x: [int8x16_t; 2]) -> Halves<int32x4_t> {
    products_in_pairs!(w, x, "sadalp", a = inout(vreg) a, b = inout(vreg) b);
    Halves(a, b)
}

/// With dot products: four bytes of each of four rows by four bytes of a token.
pub(super) struct Sdot;

impl Multiply for Sdot {
    type Part = Grid<int32x4_t>;

    const HALVES_ROWS: bool = false;
    const HALVES_SIX: bool = true;

    #[inline(always)]
    fn start<const T: usize>(from: Grid<int32x4_t>, _: *const u8) -> Self::Part {
        from
    }

    #[inline(always)]
    unsafe fn step<F: Marker, const T: usize, const R: usize, const HALF: usize, const I: usize>(
        at: Columns,
        part: &mut Self::Part,
    ) {
        for r in 0..R {
            // SAFETY: the caller's promise.
            let w = unsafe { unpack::<F, I>(at, r) };
            for t in 0..T {
                // SAFETY: as above.
                part[t][r] = unsafe { by_lane!(word(I, T, t), sdot, part[t][r], w, words(at, word(I, T, t))) };
                if matches!(F::FORMAT, Format::Q6_K) {
                    // Otherwise LLVM computes both halves of the columns at once, and runs out of registers.
                    part[t][r] = pin(part[t][r]);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn add<F: Marker, const T: usize>(
        w: [int8x16_t; 4],
        x: [int8x16_t; 2],
        part: &mut Self::Part,
        r: usize,
        _: bool,
    ) {
        for t in 0..T {
            for i in 0..2 {
                let sum = &mut part[t][r + i];
                // SAFETY: the caller's promise.
                unsafe {
                    *sum = by_lane!(2 * t, sdot, *sum, w[i], x[t / 2]);
                    *sum = by_lane!(2 * t + 1, sdot, *sum, w[2 + i], x[t / 2]);
                }
            }
        }
    }

    const GOES_ON: bool = true;
    const TILES_WORTH_UNPACKING: usize = 2;
    const UNPACKS_BYTES: bool = true;

    #[inline(always)]
    fn finish<F: Marker, const T: usize, const R: usize>(part: Self::Part, _: Grid<int32x4_t>) -> Grid<int32x4_t> {
        part
    }
}

/// The products of 32 codes in four sums.
///
/// # Safety
/// The CPU has dot products.
#[inline(always)]
pub(super) unsafe fn products(a: [int8x16_t; 2], b: [int8x16_t; 2]) -> int32x4_t {
    // As for `sdot` below; `vdotq_s32` will be the intrinsic.
    // SAFETY: the caller's promise; nothing but `sum` changes.
    unsafe {
        let mut sum = vdupq_n_s32(0);
        asm!(
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            "sdot {sum:v}.4s, {c:v}.16b, {d:v}.16b",
            sum = inout(vreg) sum, a = in(vreg) a[0], b = in(vreg) b[0], c = in(vreg) a[1], d = in(vreg) b[1],
            options(pure, nomem, nostack, preserves_flags)
        );
        sum
    }
}

/// # Safety
/// The CPU has dot products.
#[inline(always)]
unsafe fn sdot<const LANE: i32>(mut sum: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    // Rust 1.95 has no stable intrinsic for it; `vdotq_laneq_s32` takes over when it has.
    // SAFETY: the caller's promise; nothing but `sum` changes.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
            sum = inout(vreg) sum, w = in(vreg) w, x = in(vreg) x, lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

/// With 8-bit matrix multiplication: eight bytes of two rows by eight bytes of two tokens. A vector of rows is a pair of them,
/// twice; a vector of tokens is a pair, each twice: `[row 0, row 1, row 0, row 1]` and `[token 0, token 0, token 1, token 1]`.
/// T is even.
pub(super) struct Smmla;

impl Multiply for Smmla {
    type Part = Grid<int32x4_t>;

    const LANES: &[[u8; 4]] = &[[0, 1, 0, 1], [2, 3, 2, 3], [4, 5, 4, 5], [6, 7, 6, 7]];

    const HALVES_ROWS: bool = true;
    const HALVES_SIX: bool = false;

    #[inline(always)]
    fn rows(r: usize) -> usize {
        2 * r
    }

    #[inline(always)]
    fn tokens(t: usize) -> usize {
        t / 2
    }

    #[inline(always)]
    fn by_row([a, b, ..]: [float32x4_t; 4]) -> [float32x4_t; 4] {
        let repeat = |rows: float32x4_t| {
            // SAFETY: NEON is in the baseline, here and below.
            let pairs = unsafe {
                let rows = vreinterpretq_f64_f32(rows);
                [vdupq_laneq_f64::<0>(rows), vdupq_laneq_f64::<1>(rows)]
            };
            // SAFETY: as above.
            pairs.map(|pair| unsafe { vreinterpretq_f32_f64(pair) })
        };
        let ([a, b], [c, d]) = (repeat(a), repeat(b));
        [a, b, c, d]
    }

    #[inline(always)]
    fn by_token<const T: usize>(tokens: int32x4_t) -> [int32x4_t; TILE] {
        // SAFETY: as above.
        unsafe {
            let (low, high) = (vzip1q_s32(tokens, tokens), vzip2q_s32(tokens, tokens));
            [low, high, low, high]
        }
    }

    #[inline(always)]
    fn result(grid: &Grid<float32x4_t>, t: usize, r: usize) -> float32x4_t {
        // SAFETY: as above.
        unsafe {
            let [a, b] = [grid[t / 2][2 * r], grid[t / 2][2 * r + 1]].map(|pair| vreinterpretq_f64_f32(pair));
            vreinterpretq_f32_f64(if t.is_multiple_of(2) { vzip1q_f64(a, b) } else { vzip2q_f64(a, b) })
        }
    }

    #[inline(always)]
    fn start<const T: usize>(from: Grid<int32x4_t>, _: *const u8) -> Self::Part {
        from
    }

    /// Two steps at once: nothing in the odd ones.
    #[inline(always)]
    unsafe fn step<F: Marker, const T: usize, const R: usize, const HALF: usize, const I: usize>(
        at: Columns,
        part: &mut Self::Part,
    ) {
        if !I.is_multiple_of(2) {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe {
            // Two tokens are one register.
            let x = [words(at, word(I, T, 0)), words(at, word(I, T, T - 2))];
            for r in 0..R {
                let w = unpack_pairs::<F, I>(at, r);
                for u in 0..T / 2 {
                    for i in 0..2 {
                        part[u][2 * r + i] = smmla(part[u][2 * r + i], x[u], w[i]);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn ordered([a, b, c, d]: [int8x16_t; 4]) -> [int8x16_t; 4] {
        // SAFETY: as above.
        let [a, b, c, d] = [a, b, c, d].map(|codes| unsafe { vreinterpretq_u8_s8(codes) });
        let ([a, b], [c, d]) = (zip(a, c), zip(b, d));
        // SAFETY: as above.
        [a, b, c, d].map(|codes| unsafe { vreinterpretq_s8_u8(codes) })
    }

    #[inline(always)]
    unsafe fn write([a, b, c, d]: [int8x16_t; 4], to: *mut u8) -> *mut u8 {
        // SAFETY: the caller's promise; the instruction does what `ordered` does.
        unsafe {
            let [a, b, c, d] = [a, b, c, d].map(|columns| vreinterpretq_s32_s8(columns));
            vst2q_s32(to.cast(), int32x4x2_t(a, c));
            let to = held(to.wrapping_add(32)).cast_mut();
            vst2q_s32(to.cast(), int32x4x2_t(b, d));
            held(to.wrapping_add(32)).cast_mut()
        }
    }

    #[inline(always)]
    unsafe fn add<F: Marker, const T: usize>(
        w: [int8x16_t; 4],
        x: [int8x16_t; 2],
        part: &mut Self::Part,
        r: usize,
        _: bool,
    ) {
        for u in 0..T / 2 {
            for (p, w) in w.into_iter().enumerate() {
                let sum = &mut part[u][2 * r + p];
                // SAFETY: the caller's promise.
                *sum = unsafe { smmla(*sum, x[u], w) };
            }
        }
    }

    const GOES_ON: bool = true;
    const TILES_WORTH_UNPACKING: usize = 2;
    const UNPACKS_BYTES: bool = true;

    #[inline(always)]
    fn finish<F: Marker, const T: usize, const R: usize>(part: Self::Part, _: Grid<int32x4_t>) -> Grid<int32x4_t> {
        part
    }
}

/// # Safety
/// The CPU has 8-bit matrix multiplication.
#[inline(always)]
unsafe fn smmla(mut sum: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    // As for `sdot`; the intrinsic will be `vmmlaq_s32`.
    // SAFETY: the caller's promise; nothing but `sum` changes.
    unsafe {
        asm!(
            "smmla {sum:v}.4s, {x:v}.16b, {w:v}.16b",
            sum = inout(vreg) sum, x = in(vreg) x, w = in(vreg) w,
            options(nomem, nostack, preserves_flags)
        );
    }
    sum
}

/// The codes of columns 4 * I to 4 * I + 3 for the four rows of register `r`, a byte each.
///
/// # Safety
/// As [`dot`], r being one of its registers.
#[inline(always)]
pub(super) unsafe fn unpack<F: Marker, const I: usize>(at: Columns, r: usize) -> int8x16_t {
    // SAFETY: the caller's promise.
    unsafe {
        let load = |p: *const u8, i: usize| vld1q_u8(p.wrapping_add(i * 64 + r * 16));
        if let Format::Q8_0 = F::FORMAT {
            return vreinterpretq_s8_u8(load(at.codes, I));
        }
        if let Format::Q8_0N = F::FORMAT {
            return join_nibbles::<I>(load(at.codes, I % 4), load(at.high, I % 4));
        }
        let high = match F::FORMAT {
            Format::Q5_0 | Format::Q5_1 | Format::Q5_K => load(at.high, 0),
            Format::Q6_K => load(at.high, I / 4),
            _ => vdupq_n_u8(0),
        };
        join::<F, I>(load(at.codes, I % 4), high, at.masks)
    }
}

/// The same for R registers of rows, and for the four columns behind these; I is even.
///
/// # Safety
/// As [`dot`].
#[inline(always)]
unsafe fn unpack_two<F: Marker, const R: usize, const I: usize>(at: Columns) -> [[int8x16_t; 4]; 2] {
    // SAFETY: the caller's promise; NEON is in the baseline.
    unsafe {
        let mut codes = [[vdupq_n_s8(0); 4]; 2];
        for r in 0..R {
            codes[0][r] = unpack::<F, I>(at, r);
            codes[1][r] = match I {
                0 => unpack::<F, 1>(at, r),
                2 => unpack::<F, 3>(at, r),
                4 => unpack::<F, 5>(at, r),
                _ => unpack::<F, 7>(at, r),
            };
        }
        codes
    }
}

/// The codes of columns 4 * I to 4 * I + 7, I even, for the first two rows of register `r` and for the others: eight bytes of
/// the one row, eight of the other.
///
/// # Safety
/// As [`unpack`].
#[inline(always)]
unsafe fn unpack_pairs<F: Marker, const I: usize>(at: Columns, r: usize) -> [int8x16_t; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let load = |p: *const u8, i: usize| vld1q_u8(p.wrapping_add(i * 64 + r * 16));
        if let Format::Q8_0 = F::FORMAT {
            return zip(load(at.codes, I), load(at.codes, I + 1)).map(|codes| vreinterpretq_s8_u8(codes));
        }
        if let Format::Q8_0N = F::FORMAT {
            let [upper, lower] = [at.codes, at.high].map(|plane| zip(load(plane, I % 4), load(plane, I % 4 + 1)));
            return [join_nibbles::<I>(upper[0], lower[0]), join_nibbles::<I>(upper[1], lower[1])];
        }
        // What is a step further on is shifted to where the first step's bits are.
        let high = match F::FORMAT {
            Format::Q5_0 | Format::Q5_1 | Format::Q5_K => {
                let bits = load(at.high, 0);
                zip(bits, vshrq_n_u8::<1>(bits))
            }
            Format::Q6_K => {
                let bits = load(at.high, I / 4);
                zip(bits, vshrq_n_u8::<2>(bits))
            }
            _ => [vdupq_n_u8(0); 2],
        };
        let [a, b] = zip(load(at.codes, I % 4), load(at.codes, I % 4 + 1));
        [join::<F, I>(a, high[0], at.masks), join::<F, I>(b, high[1], at.masks)]
    }
}

/// Where a load or store of several registers leaves a pointer, which LLVM would rather compute anew from the first one; and
/// what is read there is not read before.
#[inline(always)]
#[allow(clippy::pointers_in_nomem_asm_block, reason = "nothing is read or written through it")]
fn held(mut p: *const u8) -> *const u8 {
    // SAFETY: it does nothing.
    unsafe { asm!("/* {0} */", inout(reg) p, options(nomem, nostack, preserves_flags)) };
    p
}

/// The words of the first halves in turns, and those of the second halves.
#[inline(always)]
fn zip(a: uint8x16_t, b: uint8x16_t) -> [uint8x16_t; 2] {
    // SAFETY: NEON is in the baseline.
    unsafe {
        let (a, b) = (vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b));
        [vreinterpretq_u8_u32(vzip1q_u32(a, b)), vreinterpretq_u8_u32(vzip2q_u32(a, b))]
    }
}

/// The codes of step I: a nibble of `codes`, and the bits of `high` that belong to it.
#[inline(always)]
fn join<F: Marker, const I: usize>(codes: uint8x16_t, high: uint8x16_t, masks: Masks) -> int8x16_t {
    // SAFETY: NEON is in the baseline.
    unsafe {
        let nibbles = if I < 4 { vandq_u8(codes, masks.nibble) } else { vshrq_n_u8::<4>(codes) };
        let bits = match F::FORMAT {
            Format::Q5_0 | Format::Q5_1 | Format::Q5_K => up_to_four::<I>(high),
            Format::Q6_K => match I % 4 {
                0 => vshlq_n_u8::<4>(high),
                1 => vshlq_n_u8::<2>(high),
                2 => high,
                _ => vshrq_n_u8::<2>(high),
            },
            _ => return vreinterpretq_s8_u8(nibbles),
        };
        vreinterpretq_s8_u8(insert(nibbles, bits, masks.high))
    }
}

/// The codes of step I, of which there is a nibble in both: with the offset of Q8_0N taken off, which is the topmost bit.
#[inline(always)]
fn join_nibbles<const I: usize>(upper: uint8x16_t, lower: uint8x16_t) -> int8x16_t {
    // SAFETY: NEON is in the baseline.
    unsafe {
        // Once for the two codes of a byte: LLVM would rather do it for each.
        let upper = opaque(veorq_u8(upper, vdupq_n_u8(0x88)));
        vreinterpretq_s8_u8(if I < 4 { vsliq_n_u8::<4>(lower, upper) } else { vsriq_n_u8::<4>(upper, lower) })
    }
}

/// With bit I where bit 4 was.
#[inline(always)]
fn up_to_four<const I: usize>(x: uint8x16_t) -> uint8x16_t {
    // SAFETY: NEON is in the baseline.
    unsafe {
        match I {
            0 => vshlq_n_u8::<4>(x),
            1 => vshlq_n_u8::<3>(x),
            2 => vshlq_n_u8::<2>(x),
            3 => vshlq_n_u8::<1>(x),
            4 => x,
            5 => vshrq_n_u8::<1>(x),
            6 => vshrq_n_u8::<2>(x),
            _ => vshrq_n_u8::<3>(x),
        }
    }
}

/// `x` with the bits of `mask` taken from `bits`. Not the intrinsic: LLVM sees that these bits of `x` are zero, and makes two
/// instructions of it.
#[inline(always)]
fn insert(mut x: uint8x16_t, bits: uint8x16_t, mask: uint8x16_t) -> uint8x16_t {
    // SAFETY: NEON is in the baseline; nothing but `x` changes.
    unsafe {
        asm!(
            "bit {x:v}.16b, {bits:v}.16b, {mask:v}.16b",
            x = inout(vreg) x, bits = in(vreg) bits, mask = in(vreg) mask,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    x
}

/// The same, of which LLVM knows nothing.
#[inline(always)]
fn opaque(mut x: uint8x16_t) -> uint8x16_t {
    // SAFETY: it does nothing.
    unsafe { asm!("/* {0:v} */", inout(vreg) x, options(pure, nomem, nostack, preserves_flags)) };
    x
}

/// Nothing, at a fixed place: what is written before it is not computed after it.
#[inline(always)]
pub(super) fn pin(mut x: int32x4_t) -> int32x4_t {
    // SAFETY: it does nothing.
    unsafe { asm!("/* {0:v} */", inout(vreg) x, options(nomem, nostack, preserves_flags)) };
    x
}
