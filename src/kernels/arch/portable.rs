//! Plain Rust: for every CPU, and what the other sets are tested against.

use crate::kernels::simd::{Operation, Simd};

/// Four lanes, which compilers turn into the baseline vectors of most CPUs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

const LANES: usize = 4;

fn lanes<T: Copy, R>(a: [T; LANES], b: [T; LANES], f: impl Fn(T, T) -> R) -> [R; LANES] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Simd for Portable {
    const NAME: &'static str = "portable";
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 4;
    const BYTE_TILE_ROWS: usize = 4;
    const WIDE_PARTIAL_SUMS: bool = true;

    type F32 = [f32; LANES];
    type I32 = [i32; LANES];
    type Gathered = [i32; LANES];

    fn run<O: Operation<Self>>(self, operation: O) -> O::Output {
        operation.run(self)
    }

    #[inline(always)]
    fn load(self, values: &[f32]) -> Self::F32 {
        std::array::from_fn(|lane| values[..LANES][lane])
    }

    #[inline(always)]
    fn store(self, values: Self::F32, out: &mut [f32]) {
        out[..LANES].copy_from_slice(&values);
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F32 {
        [value; LANES]
    }

    #[inline(always)]
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        lanes(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        lanes(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        lanes(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        lanes(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        // Not f32::mul_add, which is a slow function where the CPU cannot do it.
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        lanes(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        lanes(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn sum(self, values: Self::F32) -> f32 {
        (values[0] + values[2]) + (values[1] + values[3])
    }

    #[inline(always)]
    fn greatest(self, values: Self::F32) -> f32 {
        values.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    fn round(self, values: Self::F32) -> Self::I32 {
        values.map(|value| value.round_ties_even() as i32)
    }

    #[inline(always)]
    fn float(self, values: Self::I32) -> Self::F32 {
        values.map(|value| value as f32)
    }

    #[inline(always)]
    fn power_of_two(self, exponents: Self::I32) -> Self::F32 {
        exponents.map(|exponent| f32::from_bits(((exponent + 127) as u32) << 23))
    }

    #[inline(always)]
    fn zeros(self) -> Self::I32 {
        [0; LANES]
    }

    #[inline(always)]
    fn narrow(self, values: Self::I32, out: &mut [[i16; 2]]) {
        let values = values.map(|value| value as i16);
        out[..2].copy_from_slice(&[[values[0], values[1]], [values[2], values[3]]]);
    }

    #[inline(always)]
    fn load_pairs(self, pairs: &[[i16; 2]]) -> Self::I32 {
        let pairs = &pairs[..LANES];
        std::array::from_fn(|lane| packed(pairs[lane]))
    }

    #[inline(always)]
    fn splat_pair(self, pair: [i16; 2]) -> Self::I32 {
        [packed(pair); LANES]
    }

    #[inline(always)]
    fn widen(self, bytes: &[[i8; 2]]) -> Self::I32 {
        let bytes = &bytes[..LANES];
        std::array::from_fn(|lane| packed(bytes[lane].map(i16::from)))
    }

    #[inline(always)]
    fn low_bf16(self, pairs: Self::I32) -> Self::F32 {
        pairs.map(|pair| f32::from_bits((pair as u32) << 16))
    }

    #[inline(always)]
    fn high_bf16(self, pairs: Self::I32) -> Self::F32 {
        pairs.map(|pair| f32::from_bits(pair as u32 & 0xffff_0000))
    }

    #[inline(always)]
    fn dot(self, sums: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32 {
        let products = lanes(a, b, |a, b| {
            low(a).wrapping_mul(low(b)).wrapping_add(high(a).wrapping_mul(high(b)))
        });
        lanes(sums, products, i32::wrapping_add)
    }

    #[inline(always)]
    fn narrow_to_bytes(self, values: Self::I32, out: &mut [[u8; 4]]) {
        out[0] = values.map(|value| value as u8);
    }

    #[inline(always)]
    fn splat_quad(self, quad: [u8; 4]) -> Self::I32 {
        [i32::from_ne_bytes(quad); LANES]
    }

    #[inline(always)]
    fn load_quads(self, quads: &[[i8; 4]]) -> Self::I32 {
        let quads = &quads[..LANES];
        std::array::from_fn(|lane| i32::from_ne_bytes(quads[lane].map(|byte| byte as u8)))
    }

    #[inline(always)]
    fn multiply_quads(self, a: Self::I32, b: Self::I32) -> Self::I32 {
        lanes(a, b, |a, b| {
            let products = a.to_ne_bytes().into_iter().zip(b.to_ne_bytes());
            products.map(|(a, b)| i32::from(a) * i32::from(b as i8)).sum()
        })
    }

    #[inline(always)]
    fn add_quads(self, partial: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32 {
        lanes(partial, self.multiply_quads(a, b), i32::wrapping_add)
    }

    #[inline(always)]
    fn kept_multiplier(self, value: i16) -> [u8; 4] {
        i32::from(value).to_ne_bytes()
    }

    #[inline(always)]
    fn nothing_gathered(self) -> Self::I32 {
        self.zeros()
    }

    #[inline(always)]
    fn gather(self, sums: Self::I32, partial: Self::I32, multiplier: [u8; 4]) -> Self::I32 {
        let multiplier = i32::from_ne_bytes(multiplier);
        lanes(sums, partial, |sum, partial| sum.wrapping_add(partial.wrapping_mul(multiplier)))
    }

    #[inline(always)]
    fn gathered(self, sums: Self::I32, rest: Self::I32) -> Self::F32 {
        self.float(lanes(sums, rest, i32::wrapping_add))
    }
}

#[inline(always)]
fn packed([low, high]: [i16; 2]) -> i32 {
    i32::from(low) & 0xffff | i32::from(high) << 16
}

#[inline(always)]
fn low(pair: i32) -> i32 {
    pair << 16 >> 16
}

#[inline(always)]
fn high(pair: i32) -> i32 {
    pair >> 16
}
