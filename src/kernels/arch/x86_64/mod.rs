//! Instruction sets of x86-64.

mod amx;
mod avx2;
mod avx512;

use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};

pub(crate) use avx2::{Avx2, AvxVnni};
pub(crate) use avx512::{Amx, Avx512, Avx512Bf16};

/// A pair of 16-bit integers as they lie in memory.
#[inline(always)]
fn pair_bits([low, high]: [i16; 2]) -> i32 {
    i32::from(low) & 0xffff | i32::from(high) << 16
}

/// The columns of four rows of four.
#[inline(always)]
#[allow(unsafe_code)]
fn transpose(rows: [&[f32; 4]; 4]) -> [[f32; 4]; 4] {
    let mut columns = [[0.0; 4]; 4];
    // SAFETY: each row and column has 16 bytes; unaligned loads and stores are allowed; SSE is part of the architecture.
    unsafe {
        let [mut a, mut b, mut c, mut d] = rows.map(|row| _mm_loadu_ps(row.as_ptr()));
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        for (column, values) in columns.iter_mut().zip([a, b, c, d]) {
            _mm_storeu_ps(column.as_mut_ptr(), values);
        }
    }
    columns
}
