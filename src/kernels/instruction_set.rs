//! Which instruction set this CPU is served with.

use std::{env, sync::OnceLock};

#[cfg(target_arch = "aarch64")]
use super::arch::Neon;
#[cfg(target_arch = "x86_64")]
use super::arch::{Amx, Avx2, Avx512, Avx512Bf16, AvxVnni};
use super::{arch::Portable, simd::Simd};

/// The environment variable that names the instruction set to use instead of the best one.
const VARIABLE: &str = "DIGNITY_INSTRUCTION_SET";

/// An instruction set that this CPU has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InstructionSet {
    /// AVX-512 with VNNI and bf16, and AMX.
    #[cfg(target_arch = "x86_64")]
    Amx(Amx),
    /// AVX-512 with VNNI and bf16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16(Avx512Bf16),
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// AVX2 with FMA and VNNI.
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    /// What every CPU has.
    Portable,
}

/// What can be done with any instruction set.
pub(crate) trait ForSimd {
    /// What it gives.
    type Output;

    /// Does it.
    fn call<S: Simd>(self, simd: S) -> Self::Output;
}

impl InstructionSet {
    /// Those that this CPU has, the best first; found out once.
    pub(crate) fn available() -> &'static [Self] {
        static AVAILABLE: OnceLock<Vec<InstructionSet>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            let mut available = Vec::new();
            #[cfg(target_arch = "x86_64")]
            {
                available.extend(Amx::detect().map(Self::Amx));
                available.extend(Avx512Bf16::detect().map(Self::Avx512Bf16));
                available.extend(Avx512::detect().map(Self::Avx512));
                available.extend(AvxVnni::detect().map(Self::AvxVnni));
                available.extend(Avx2::detect().map(Self::Avx2));
            }
            #[cfg(target_arch = "aarch64")]
            available.push(Self::Neon(Neon));
            available.push(Self::Portable);
            available
        })
    }

    /// The best one, or the one that the environment variable `DIGNITY_INSTRUCTION_SET` names.
    pub(crate) fn chosen() -> Result<Self, InstructionSetError> {
        let Some(wanted) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) else {
            return Ok(Self::available()[0]);
        };
        let named = |set: &&Self| wanted == set.name();
        Self::available().iter().find(named).copied().ok_or_else(|| InstructionSetError {
            wanted: wanted.to_string_lossy().into_owned(),
            available: Self::available().iter().map(|set| set.name()).collect(),
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        struct Name;
        impl ForSimd for Name {
            type Output = &'static str;

            fn call<S: Simd>(self, _: S) -> &'static str {
                S::NAME
            }
        }
        self.with(Name)
    }

    /// Whether it multiplies bf16 numbers itself; else single precision is faster.
    pub(crate) fn multiplies_bf16(self) -> bool {
        struct MultipliesBf16;
        impl ForSimd for MultipliesBf16 {
            type Output = bool;

            fn call<S: Simd>(self, _: S) -> bool {
                S::BF16_PRODUCTS
            }
        }
        self.with(MultipliesBf16)
    }

    /// Whether it multiplies tiles.
    pub(crate) fn multiplies_tiles(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return matches!(self, Self::Amx(_));
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Does `what` with it.
    pub(crate) fn with<F: ForSimd>(self, what: F) -> F::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(simd) => what.call(simd),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16(simd) => what.call(simd),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => what.call(simd),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(simd) => what.call(simd),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => what.call(simd),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => what.call(simd),
            Self::Portable => what.call(Portable),
        }
    }
}

/// The environment asks for an instruction set that this CPU lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "DIGNITY_INSTRUCTION_SET is {wanted:?}, but this CPU has {}; unset it, or name one of these",
    .available.join(", ")
)]
pub struct InstructionSetError {
    wanted: String,
    available: Vec<&'static str>,
}
