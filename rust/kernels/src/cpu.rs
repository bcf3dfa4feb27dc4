//! What the CPU can do: tiers of instructions, and proofs that one is there.

use std::fmt;
use std::str::FromStr;

/// A level of SIMD instructions. Within an architecture, later ones are preferred to earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Plain Rust: the definition of every result.
    Scalar,
    /// aarch64 baseline.
    Neon,
    /// aarch64 with the dot product instructions (Cortex-A75/A55 and later).
    NeonDot,
    /// aarch64 with 8-bit matrix multiplication (Cortex-X2/A710/A510 and later).
    NeonI8mm,
    /// x86-64 with AVX2, FMA and F16C (Haswell, Zen and later).
    Avx2,
    /// The same with the 256-bit dot product instructions.
    AvxVnni,
    /// AVX-512 with its dot product instructions.
    Avx512Vnni,
}

/// A name that is no tier's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownTier(String);

impl fmt::Display for UnknownTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown CPU tier '{}'; the tiers are", self.0)?;
        Tier::ALL.iter().try_for_each(|tier| write!(f, " {tier}"))
    }
}

impl std::error::Error for UnknownTier {}

impl Tier {
    /// Every tier; within an architecture from the lowest to the highest.
    pub const ALL: [Self; 7] =
        [Self::Scalar, Self::Neon, Self::NeonDot, Self::NeonI8mm, Self::Avx2, Self::AvxVnni, Self::Avx512Vnni];

    /// The name that `NIBBLE_TIER` and the command line use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::NeonDot => "neon-dot",
            Self::NeonI8mm => "neon-i8mm",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx-vnni",
            Self::Avx512Vnni => "avx512-vnni",
        }
    }

    /// Whether this CPU has the tier's instructions.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => AvxVnni::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Avx512Vnni::detect().is_some(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Neon::detect().is_some(),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => NeonDot::detect().is_some(),
            #[cfg(target_arch = "aarch64")]
            Self::NeonI8mm => NeonI8mm::detect().is_some(),
            _ => false,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(name: &str) -> Result<Self, UnknownTier> {
        let known = Self::ALL.into_iter().find(|tier| tier.name().eq_ignore_ascii_case(name));
        known.ok_or_else(|| UnknownTier(name.to_owned()))
    }
}

/// Makes a zero-sized type that can only be had where the named features were detected.
macro_rules! proof {
    ($arch:literal, $name:ident, $detect:ident, $($feature:tt),+) => {
        #[doc = concat!("Proof that this CPU has ", $($feature, " "),+)]
        #[cfg(target_arch = $arch)]
        #[derive(Clone, Copy)]
        pub(crate) struct $name(());

        #[cfg(target_arch = $arch)]
        impl $name {
            pub(crate) fn detect() -> Option<Self> {
                ($(std::arch::$detect!($feature))&&+).then_some(Self(()))
            }
        }
    };
}
proof!("x86_64", Avx2, is_x86_feature_detected, "avx2", "fma", "f16c");
proof!("x86_64", AvxVnni, is_x86_feature_detected, "avx2", "fma", "f16c", "avxvnni");
proof!(
    "x86_64",
    Avx512Vnni,
    is_x86_feature_detected,
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512vnni"
);
proof!("aarch64", Neon, is_aarch64_feature_detected, "neon");
proof!("aarch64", NeonDot, is_aarch64_feature_detected, "neon", "dotprod");
proof!("aarch64", NeonI8mm, is_aarch64_feature_detected, "neon", "dotprod", "i8mm");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for tier in Tier::ALL {
            assert_eq!(tier.name().parse(), Ok(tier));
        }
        let error = "sse9".parse::<Tier>().unwrap_err().to_string();
        assert!(error.contains("sse9") && error.contains("avx2"), "{error}");
    }
}
