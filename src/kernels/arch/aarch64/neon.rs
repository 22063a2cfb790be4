//! NEON, which every 64-bit Arm CPU has.

#![allow(unsafe_code)]

use std::arch::aarch64::*;

use crate::kernels::simd::{Operation, Simd};

/// 128-bit vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon;

const LANES: usize = 4;

/// Methods that are one expression of intrinsics without memory access.
macro_rules! intrinsics {
    ($(fn $name:ident($self:ident $(, $argument:ident: $type:ty)*) -> $result:ty { $body:expr })*) => {
        $(
            #[inline(always)]
            fn $name($self $(, $argument: $type)*) -> $result {
                // SAFETY: NEON is part of the architecture.
                unsafe { $body }
            }
        )*
    };
}

impl Simd for Neon {
    const NAME: &'static str = "neon";
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 8;
    const BYTE_TILE_ROWS: usize = 6;
    const WIDE_PARTIAL_SUMS: bool = false;

    type F32 = float32x4_t;
    type I32 = int32x4_t;
    type Gathered = int32x4_t;

    fn run<O: Operation<Self>>(self, operation: O) -> O::Output {
        operation.run(self)
    }

    #[inline(always)]
    fn load(self, values: &[f32]) -> float32x4_t {
        let values = &values[..LANES];
        // SAFETY: `values` has four numbers; NEON is part of the architecture.
        unsafe { vld1q_f32(values.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, values: float32x4_t, out: &mut [f32]) {
        let out = &mut out[..LANES];
        // SAFETY: `out` has four numbers; NEON is part of the architecture.
        unsafe { vst1q_f32(out.as_mut_ptr(), values) }
    }

    #[inline(always)]
    fn narrow(self, values: int32x4_t, out: &mut [[i16; 2]]) {
        let out = &mut out[..LANES / 2];
        // SAFETY: `out` has four 16-bit integers; NEON is part of the architecture.
        unsafe { vst1_s16(out.as_mut_ptr().cast(), vqmovn_s32(values)) }
    }

    #[inline(always)]
    fn widen(self, bytes: &[[i8; 2]]) -> int32x4_t {
        let bytes = &bytes[..LANES];
        // SAFETY: `bytes` has eight bytes; NEON is part of the architecture.
        unsafe { vreinterpretq_s32_s16(vmovl_s8(vld1_s8(bytes.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn narrow_to_bytes(self, values: int32x4_t, out: &mut [[u8; 4]]) {
        // SAFETY: NEON is part of the architecture.
        let quad = unsafe {
            let words = vqmovun_s32(values);
            let bytes = vqmovn_u16(vcombine_u16(words, words));
            vget_lane_u32::<0>(vreinterpret_u32_u8(bytes))
        };
        out[0] = quad.to_ne_bytes();
    }

    #[inline(always)]
    fn load_pairs(self, pairs: &[[i16; 2]]) -> int32x4_t {
        let pairs = &pairs[..LANES];
        // SAFETY: `pairs` has 16 bytes; NEON is part of the architecture.
        unsafe { vreinterpretq_s32_s16(vld1q_s16(pairs.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_quads(self, quads: &[[i8; 4]]) -> int32x4_t {
        let quads = &quads[..LANES];
        // SAFETY: `quads` has 16 bytes; NEON is part of the architecture.
        unsafe { vreinterpretq_s32_s8(vld1q_s8(quads.as_ptr().cast())) }
    }

    #[inline(always)]
    fn kept_multiplier(self, value: i16) -> [u8; 4] {
        (i32::from(value) * 0x1_0001).to_ne_bytes()
    }

    #[inline(always)]
    fn nothing_gathered(self) -> int32x4_t {
        self.zeros()
    }

    #[inline(always)]
    fn gather(self, sums: int32x4_t, partial: int32x4_t, multiplier: [u8; 4]) -> int32x4_t {
        self.dot(sums, partial, self.splat_quad(multiplier))
    }

    intrinsics! {
        fn splat(self, value: f32) -> float32x4_t { vdupq_n_f32(value) }
        fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t { vaddq_f32(a, b) }
        fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t { vsubq_f32(a, b) }
        fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t { vmulq_f32(a, b) }
        fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t { vdivq_f32(a, b) }
        fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            vfmaq_f32(c, a, b)
        }
        fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t { vminnmq_f32(a, b) }
        fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t { vmaxnmq_f32(a, b) }
        fn sum(self, values: float32x4_t) -> f32 { vaddvq_f32(values) }
        fn greatest(self, values: float32x4_t) -> f32 { vmaxvq_f32(values) }
        fn round(self, values: float32x4_t) -> int32x4_t { vcvtnq_s32_f32(values) }
        fn float(self, values: int32x4_t) -> float32x4_t { vcvtq_f32_s32(values) }
        fn power_of_two(self, exponents: int32x4_t) -> float32x4_t {
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(exponents, vdupq_n_s32(127))))
        }
        fn zeros(self) -> int32x4_t { vdupq_n_s32(0) }
        fn splat_pair(self, pair: [i16; 2]) -> int32x4_t {
            vdupq_n_s32(i32::from(pair[0]) & 0xffff | i32::from(pair[1]) << 16)
        }
        fn low_bf16(self, pairs: int32x4_t) -> float32x4_t {
            vreinterpretq_f32_s32(vshlq_n_s32::<16>(pairs))
        }
        fn high_bf16(self, pairs: int32x4_t) -> float32x4_t {
            vreinterpretq_f32_s32(vbicq_s32(pairs, vdupq_n_s32(0xffff)))
        }
        fn dot(self, sums: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {{
            let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
            let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
            vaddq_s32(sums, vpaddq_s32(low, vmull_high_s16(a, b)))
        }}
        fn gathered(self, sums: int32x4_t, rest: int32x4_t) -> float32x4_t {
            vcvtq_f32_s32(vaddq_s32(sums, rest))
        }
        fn splat_quad(self, quad: [u8; 4]) -> int32x4_t {
            vdupq_n_s32(i32::from_ne_bytes(quad))
        }
        fn multiply_quads(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {{
            // In 16 bits: 255 * 128 is within.
            let (a, b) = (vreinterpretq_u8_s32(a), vreinterpretq_s8_s32(b));
            let low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a)));
            let low = vmulq_s16(low, vmovl_s8(vget_low_s8(b)));
            let high = vmulq_s16(vreinterpretq_s16_u16(vmovl_high_u8(a)), vmovl_high_s8(b));
            vreinterpretq_s32_s16(vpaddq_s16(low, high))
        }}
        fn add_quads(self, partial: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {{
            let products = vreinterpretq_s16_s32(self.multiply_quads(a, b));
            vreinterpretq_s32_s16(vaddq_s16(vreinterpretq_s16_s32(partial), products))
        }}
    }
}
