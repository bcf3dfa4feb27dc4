//! Variants for aarch64.

use std::arch::aarch64::*;

use crate::cpu::Neon;
use crate::format::Format;
use crate::ops::Half;
use crate::select::Product;

/// The CPU's conversions of halves, which are part of the baseline.
pub(crate) struct Fcvt;

impl Half for Fcvt {
    #[inline(always)]
    fn widen(x: &[u16; 16]) -> [f32; 16] {
        let mut out = [0.0; 16];
        // SAFETY: NEON is in the aarch64 baseline; both arrays have the 16 elements that are read and written.
        unsafe {
            for i in [0, 4, 8, 12] {
                vst1q_f32(out.as_mut_ptr().add(i), vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x.as_ptr().add(i)))));
            }
        }
        out
    }

    #[inline(always)]
    fn narrow(x: &[f32; 16]) -> [u16; 16] {
        let mut out = [0; 16];
        // SAFETY: as above.
        unsafe {
            for i in [0, 4, 8, 12] {
                vst1_u16(out.as_mut_ptr().add(i), vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x.as_ptr().add(i)))));
            }
        }
        out
    }
}

/// The matrix products.
pub(crate) fn product(_: Neon) -> fn(Format) -> Product {
    |_| crate::scalar::product
}
