//! Variants for x86-64 with AVX2, FMA and F16C.

use std::arch::x86_64::*;

use crate::cpu::Avx2;
use crate::format::Format;
use crate::ops::Half;
use crate::select::Matmul;

/// The CPU's conversions of halves. Only to be used where F16C is known to be there: in code compiled for this tier.
pub(crate) struct F16c;

impl Half for F16c {
    #[inline(always)]
    fn widen(x: &[u16; 16]) -> [f32; 16] {
        let mut out = [0.0; 16];
        // SAFETY: the proof that `Ops::avx2` takes; both arrays have the 16 elements that are read and written.
        unsafe {
            for i in [0, 8] {
                let v = _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().add(i).cast()));
                _mm256_storeu_ps(out.as_mut_ptr().add(i), v);
            }
        }
        out
    }

    #[inline(always)]
    fn narrow(x: &[f32; 16]) -> [u16; 16] {
        let mut out = [0; 16];
        // SAFETY: as above.
        unsafe {
            for i in [0, 8] {
                let v = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(x.as_ptr().add(i)));
                _mm_storeu_si128(out.as_mut_ptr().add(i).cast(), v);
            }
        }
        out
    }
}

/// The matrix products.
pub(crate) fn matmul(_: Avx2) -> fn(Format) -> Matmul {
    |_| crate::scalar::matmul
}
