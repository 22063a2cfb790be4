//! 512-bit vectors: AVX-512 with VNNI, in server CPUs since 2019 (Intel) and 2022 (AMD), and with products of bf16,
//! since 2020 and 2022.

#![allow(unsafe_code)]

use std::{arch::x86_64::*, mem::transmute};

use super::{amx, avx2::intrinsics};
use crate::kernels::simd::{Operation, Simd};

const LANES: usize = 16;

/// A set of 512-bit vectors: the features that it needs, and what multiplies its pairs of bf16.
macro_rules! set {
    (
        $(#[$doc:meta])* $set:ident, $name:literal, [$($feature:tt),*], $features:literal
        $(, $bf16_products:literal, dot_bf16($sums:ident, $a:ident, $b:ident) = $dot_bf16:expr)?
        $(, if $besides:expr)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $set(());

        impl $set {
            /// The proof, if the CPU has the features.
            pub(crate) fn detect() -> Option<Self> {
                let detected = $(is_x86_feature_detected!($feature))&&* $(&& $besides)?;
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
            const TILE_ROWS: usize = 12;
            const BYTE_TILE_ROWS: usize = 6;
            const WIDE_PARTIAL_SUMS: bool = true;
            $(const BF16_PRODUCTS: bool = $bf16_products;)?

            type F32 = __m512;
            type I32 = __m512i;
            type Gathered = __m512;

            fn run<O: Operation<Self>>(self, operation: O) -> O::Output {
                // SAFETY: `self` proves that the CPU has the features.
                unsafe { self.compiled(operation) }
            }

            #[inline(always)]
            fn load(self, values: &[f32]) -> __m512 {
                let values = &values[..LANES];
                // SAFETY: `values` has 16 numbers; unaligned loads are allowed; AVX-512 F is proved.
                unsafe { _mm512_loadu_ps(values.as_ptr()) }
            }

            #[inline(always)]
            fn store(self, values: __m512, out: &mut [f32]) {
                let out = &mut out[..LANES];
                // SAFETY: `out` has 16 numbers; unaligned stores are allowed; AVX-512 F is proved.
                unsafe { _mm512_storeu_ps(out.as_mut_ptr(), values) }
            }

            #[inline(always)]
            fn transpose(self, rows: [&[f32; 4]; 4]) -> [[f32; 4]; 4] {
                super::transpose(rows)
            }

            #[inline(always)]
            fn narrow(self, values: __m512i, out: &mut [[i16; 2]]) {
                let out = &mut out[..LANES / 2];
                // SAFETY: `out` has 32 bytes; unaligned stores are allowed; AVX-512 F is proved.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm512_cvtsepi32_epi16(values)) }
            }

            #[inline(always)]
            fn widen(self, bytes: &[[i8; 2]]) -> __m512i {
                let bytes = &bytes[..LANES];
                // SAFETY: `bytes` has 32 bytes; unaligned loads are allowed; AVX-512 BW is proved.
                unsafe { _mm512_cvtepi8_epi16(_mm256_loadu_si256(bytes.as_ptr().cast())) }
            }

            #[inline(always)]
            fn narrow_to_bytes(self, values: __m512i, out: &mut [[u8; 4]]) {
                let out = &mut out[..LANES / 4];
                // SAFETY: `out` has 16 bytes; unaligned stores are allowed; AVX-512 F is proved.
                unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtusepi32_epi8(values)) }
            }

            #[inline(always)]
            fn load_pairs(self, pairs: &[[i16; 2]]) -> __m512i {
                let pairs = &pairs[..LANES];
                // SAFETY: `pairs` has 64 bytes; unaligned loads are allowed; AVX-512 F is proved.
                unsafe { _mm512_loadu_si512(pairs.as_ptr().cast()) }
            }

            #[inline(always)]
            fn load_quads(self, quads: &[[i8; 4]]) -> __m512i {
                let quads = &quads[..LANES];
                // SAFETY: `quads` has 64 bytes; unaligned loads are allowed; AVX-512 F is proved.
                unsafe { _mm512_loadu_si512(quads.as_ptr().cast()) }
            }

            #[inline(always)]
            fn kept_multiplier(self, value: i16) -> [u8; 4] {
                f32::from(value).to_ne_bytes()
            }

            intrinsics! {
                fn splat(self, value: f32) -> __m512 { _mm512_set1_ps(value) }
                fn add(self, a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
                fn sub(self, a: __m512, b: __m512) -> __m512 { _mm512_sub_ps(a, b) }
                fn mul(self, a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
                fn div(self, a: __m512, b: __m512) -> __m512 { _mm512_div_ps(a, b) }
                fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fmadd_ps(a, b, c) }
                fn min(self, a: __m512, b: __m512) -> __m512 { _mm512_min_ps(a, b) }
                fn max(self, a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
                fn sum(self, values: __m512) -> f32 { _mm512_reduce_add_ps(values) }
                fn greatest(self, values: __m512) -> f32 { _mm512_reduce_max_ps(values) }
                fn round(self, values: __m512) -> __m512i { _mm512_cvtps_epi32(values) }
                fn float(self, values: __m512i) -> __m512 { _mm512_cvtepi32_ps(values) }
                fn power_of_two(self, exponents: __m512i) -> __m512 {{
                    let biased = _mm512_add_epi32(exponents, _mm512_set1_epi32(127));
                    _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
                }}
                fn zeros(self) -> __m512i { _mm512_setzero_si512() }
                fn splat_pair(self, pair: [i16; 2]) -> __m512i {
                    _mm512_set1_epi32(super::pair_bits(pair))
                }
                fn dot(self, sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
                    _mm512_dpwssd_epi32(sums, a, b)
                }
                fn splat_quad(self, quad: [u8; 4]) -> __m512i {
                    _mm512_set1_epi32(i32::from_ne_bytes(quad))
                }
                fn multiply_quads(self, a: __m512i, b: __m512i) -> __m512i {
                    _mm512_dpbusd_epi32(_mm512_setzero_si512(), a, b)
                }
                fn add_quads(self, partial: __m512i, a: __m512i, b: __m512i) -> __m512i {
                    _mm512_dpbusd_epi32(partial, a, b)
                }
                fn nothing_gathered(self) -> __m512 { _mm512_setzero_ps() }
                fn gather(self, sums: __m512, partial: __m512i, multiplier: [u8; 4]) -> __m512 {{
                    let multiplier = _mm512_set1_ps(f32::from_ne_bytes(multiplier));
                    _mm512_fmadd_ps(_mm512_cvtepi32_ps(partial), multiplier, sums)
                }}
                fn gathered(self, sums: __m512, rest: __m512i) -> __m512 {
                    _mm512_add_ps(sums, _mm512_cvtepi32_ps(rest))
                }
                fn low_bf16(self, pairs: __m512i) -> __m512 { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs)) }
                fn high_bf16(self, pairs: __m512i) -> __m512 {
                    _mm512_castsi512_ps(_mm512_andnot_si512(_mm512_set1_epi32(0xffff), pairs))
                }
                $(fn dot_bf16(self, $sums: __m512, $a: __m512i, $b: __m512i) -> __m512 { $dot_bf16 })?
            }
        }
    };
}

set!(
    /// The proof that the CPU has AVX-512 F, BW and VNNI.
    Avx512, "avx512-vnni", ["avx512f", "avx512bw", "avx512vnni"], "avx512f,avx512bw,avx512vnni"
);

set!(
    /// The proof that the CPU has products of bf16 besides.
    Avx512Bf16, "avx512-bf16", ["avx512f", "avx512bw", "avx512vnni", "avx512bf16"],
    "avx512f,avx512bw,avx512vnni,avx512bf16", true,
    // Both types are 64 bytes that may be anything.
    dot_bf16(sums, a, b) = _mm512_dpbf16_ps(
        sums,
        transmute::<__m512i, __m512bh>(a),
        transmute::<__m512i, __m512bh>(b)
    )
);

set!(
    /// The proof that the CPU has tiles besides.
    Amx, "amx", ["avx512f", "avx512bw", "avx512vnni", "avx512bf16"],
    "avx512f,avx512bw,avx512vnni,avx512bf16", true,
    // Both types are 64 bytes that may be anything.
    dot_bf16(sums, a, b) = _mm512_dpbf16_ps(
        sums,
        transmute::<__m512i, __m512bh>(a),
        transmute::<__m512i, __m512bh>(b)
    ),
    if amx::detect()
);
