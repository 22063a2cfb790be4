//! 256-bit vectors: AVX2 with FMA, in CPUs since 2013 (Intel) and 2017 (AMD), and AVX-VNNI, which
//! multiplies and adds at once, in those without AVX-512 since 2021.
//!
//! Products of bytes (`vpmaddubsw`) saturate; of 16-bit integers (`vpmaddwd`) they are exact.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::kernels::simd::{Operation, Simd};

const LANES: usize = 8;

/// Methods that are one expression of intrinsics without memory access.
macro_rules! intrinsics {
    ($(fn $name:ident($self:ident $(, $argument:ident: $type:ty)*) -> $result:ty { $body:expr })*) => {
        $(
            #[inline(always)]
            fn $name($self $(, $argument: $type)*) -> $result {
                // SAFETY: `self` proves that the CPU has the features of its set, which are all that
                // these intrinsics require.
                unsafe { $body }
            }
        )*
    };
}
pub(super) use intrinsics;

/// A set of 256-bit vectors: the features that it needs, and how it adds products to sums.
macro_rules! set {
    (
        $(#[$doc:meta])* $set:ident, $name:literal, [$($feature:tt),*], $features:literal,
        dot($sums:ident, $a:ident, $b:ident) = $dot:expr,
        multiply_quads = $multiply_quads:expr,
        add_quads($partial:ident) = $add_quads:expr,
        gathered: $gathered:ty = $none:expr,
        kept_multiplier($value:ident) = $bits:expr,
        gather($total:ident, $multiplier:ident) = $gather:expr,
        gathered($rest:ident) = $number:expr,
        $byte_rows:literal, $wide:literal
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $set(());

        impl $set {
            /// The proof, if the CPU has the features.
            pub(crate) fn detect() -> Option<Self> {
                let detected = $(is_x86_feature_detected!($feature))&&*;
                detected.then_some(Self(()))
            }

            #[target_feature(enable = $features)]
            fn compiled<O: Operation<Self>>(self, operation: O) -> O::Output {
                operation.run(self)
            }
        }

        impl Simd for $set {
            const NAME: &'static str = $name;
            const LANES: usize = LANES;
            const TILE_ROWS: usize = 6;
            const BYTE_TILE_ROWS: usize = $byte_rows;
            const WIDE_PARTIAL_SUMS: bool = $wide;

            type F32 = __m256;
            type I32 = __m256i;
            type Gathered = $gathered;

            fn run<O: Operation<Self>>(self, operation: O) -> O::Output {
                // SAFETY: `self` proves that the CPU has the features.
                unsafe { self.compiled(operation) }
            }

            #[inline(always)]
            fn load(self, values: &[f32]) -> __m256 {
                let values = &values[..LANES];
                // SAFETY: `values` has eight numbers; unaligned loads are allowed; AVX is proved.
                unsafe { _mm256_loadu_ps(values.as_ptr()) }
            }

            #[inline(always)]
            fn store(self, values: __m256, out: &mut [f32]) {
                let out = &mut out[..LANES];
                // SAFETY: `out` has eight numbers; unaligned stores are allowed; AVX is proved.
                unsafe { _mm256_storeu_ps(out.as_mut_ptr(), values) }
            }

            #[inline(always)]
            fn transpose(self, rows: [&[f32; 4]; 4]) -> [[f32; 4]; 4] {
                super::transpose(rows)
            }

            #[inline(always)]
            fn narrow(self, values: __m256i, out: &mut [[i16; 2]]) {
                let out = &mut out[..LANES / 2];
                // SAFETY: `out` has 16 bytes; unaligned stores are allowed; AVX2 is proved.
                unsafe {
                    let low = _mm256_castsi256_si128(values);
                    let high = _mm256_extracti128_si256::<1>(values);
                    _mm_storeu_si128(out.as_mut_ptr().cast(), _mm_packs_epi32(low, high));
                }
            }

            #[inline(always)]
            fn widen(self, bytes: &[[i8; 2]]) -> __m256i {
                let bytes = &bytes[..LANES];
                // SAFETY: `bytes` has 16 bytes; unaligned loads are allowed; AVX2 is proved.
                unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes.as_ptr().cast())) }
            }

            #[inline(always)]
            fn narrow_to_bytes(self, values: __m256i, out: &mut [[u8; 4]]) {
                let out = &mut out[..LANES / 4];
                // SAFETY: `out` has eight bytes; unaligned stores are allowed; AVX2 is proved.
                unsafe {
                    let low = _mm256_castsi256_si128(values);
                    let words = _mm_packs_epi32(low, _mm256_extracti128_si256::<1>(values));
                    _mm_storel_epi64(out.as_mut_ptr().cast(), _mm_packus_epi16(words, words));
                }
            }

            #[inline(always)]
            fn load_pairs(self, pairs: &[[i16; 2]]) -> __m256i {
                let pairs = &pairs[..LANES];
                // SAFETY: `pairs` has 32 bytes; unaligned loads are allowed; AVX is proved.
                unsafe { _mm256_loadu_si256(pairs.as_ptr().cast()) }
            }

            #[inline(always)]
            fn load_quads(self, quads: &[[i8; 4]]) -> __m256i {
                let quads = &quads[..LANES];
                // SAFETY: `quads` has 32 bytes; unaligned loads are allowed; AVX is proved.
                unsafe { _mm256_loadu_si256(quads.as_ptr().cast()) }
            }

            #[inline(always)]
            fn kept_multiplier(self, $value: i16) -> [u8; 4] {
                $bits
            }

            intrinsics! {
                fn splat(self, value: f32) -> __m256 { _mm256_set1_ps(value) }
                fn add(self, a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
                fn sub(self, a: __m256, b: __m256) -> __m256 { _mm256_sub_ps(a, b) }
                fn mul(self, a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
                fn div(self, a: __m256, b: __m256) -> __m256 { _mm256_div_ps(a, b) }
                fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
                    _mm256_fmadd_ps(a, b, c)
                }
                fn min(self, a: __m256, b: __m256) -> __m256 { _mm256_min_ps(a, b) }
                fn max(self, a: __m256, b: __m256) -> __m256 { _mm256_max_ps(a, b) }
                fn sum(self, values: __m256) -> f32 {{
                    let high = _mm256_extractf128_ps::<1>(values);
                    let halves = _mm_add_ps(_mm256_castps256_ps128(values), high);
                    let pairs = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
                    _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)))
                }}
                fn greatest(self, values: __m256) -> f32 {{
                    let high = _mm256_extractf128_ps::<1>(values);
                    let halves = _mm_max_ps(_mm256_castps256_ps128(values), high);
                    let pairs = _mm_max_ps(halves, _mm_movehl_ps(halves, halves));
                    _mm_cvtss_f32(_mm_max_ss(pairs, _mm_movehdup_ps(pairs)))
                }}
                fn round(self, values: __m256) -> __m256i { _mm256_cvtps_epi32(values) }
                fn float(self, values: __m256i) -> __m256 { _mm256_cvtepi32_ps(values) }
                fn power_of_two(self, exponents: __m256i) -> __m256 {{
                    let biased = _mm256_add_epi32(exponents, _mm256_set1_epi32(127));
                    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
                }}
                fn zeros(self) -> __m256i { _mm256_setzero_si256() }
                fn splat_pair(self, pair: [i16; 2]) -> __m256i {
                    _mm256_set1_epi32(super::pair_bits(pair))
                }
                fn low_bf16(self, pairs: __m256i) -> __m256 {
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs))
                }
                fn high_bf16(self, pairs: __m256i) -> __m256 {
                    _mm256_castsi256_ps(_mm256_andnot_si256(_mm256_set1_epi32(0xffff), pairs))
                }
                fn dot(self, $sums: __m256i, $a: __m256i, $b: __m256i) -> __m256i { $dot }
                fn splat_quad(self, quad: [u8; 4]) -> __m256i {
                    _mm256_set1_epi32(i32::from_ne_bytes(quad))
                }
                fn multiply_quads(self, $a: __m256i, $b: __m256i) -> __m256i { $multiply_quads }
                fn add_quads(self, $partial: __m256i, $a: __m256i, $b: __m256i) -> __m256i {
                    $add_quads
                }
                fn nothing_gathered(self) -> $gathered { $none }
                fn gather(self, $total: $gathered, $partial: __m256i, $multiplier: [u8; 4]) -> $gathered { $gather }
                fn gathered(self, $total: $gathered, $rest: __m256i) -> __m256 { $number }
            }
        }
    };
}

set!(
    /// The proof that the CPU has AVX2 and FMA.
    Avx2, "avx2", ["avx2", "fma"], "avx2,fma",
    dot(sums, a, b) = _mm256_add_epi32(sums, _mm256_madd_epi16(a, b)),
    // In 16 bits: 255 * 128 is within.
    multiply_quads = _mm256_maddubs_epi16(a, b),
    add_quads(partial) = _mm256_add_epi16(partial, _mm256_maddubs_epi16(a, b)),
    gathered: __m256i = _mm256_setzero_si256(),
    kept_multiplier(value) = (i32::from(value) * 0x1_0001).to_ne_bytes(),
    gather(sums, multiplier) = {
        let multiplier = _mm256_set1_epi32(i32::from_ne_bytes(multiplier));
        _mm256_add_epi32(sums, _mm256_madd_epi16(partial, multiplier))
    },
    gathered(rest) = _mm256_cvtepi32_ps(_mm256_add_epi32(sums, rest)), 4, false
);

set!(
    /// The proof that the CPU has AVX2, FMA and AVX-VNNI.
    AvxVnni, "avx-vnni", ["avx2", "fma", "avxvnni"], "avx2,fma,avxvnni",
    dot(sums, a, b) = _mm256_dpwssd_avx_epi32(sums, a, b),
    multiply_quads = _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), a, b),
    add_quads(partial) = _mm256_dpbusd_avx_epi32(partial, a, b),
    gathered: __m256 = _mm256_setzero_ps(),
    kept_multiplier(value) = f32::from(value).to_ne_bytes(),
    gather(sums, multiplier) = {
        let multiplier = _mm256_set1_ps(f32::from_ne_bytes(multiplier));
        _mm256_fmadd_ps(_mm256_cvtepi32_ps(partial), multiplier, sums)
    },
    gathered(rest) = _mm256_add_ps(sums, _mm256_cvtepi32_ps(rest)), 3, true
);
