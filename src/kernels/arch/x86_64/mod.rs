//! Instruction sets of x86-64.

mod amx;
mod avx2;
mod avx512;

pub(crate) use avx2::{Avx2, AvxVnni};
pub(crate) use avx512::{Amx, Avx512, Avx512Bf16};

/// A pair of 16-bit integers as they lie in memory.
#[inline(always)]
fn pair_bits([low, high]: [i16; 2]) -> i32 {
    i32::from(low) & 0xffff | i32::from(high) << 16
}
