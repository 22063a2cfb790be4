//! The arithmetic of a transformer on the CPU: written once, compiled for each instruction set.

mod activation;
mod arch;
mod attention;
mod gemm;
mod instruction_set;
mod limit;
mod lines;
mod matrix;
mod norm;
mod simd;
#[cfg(any(test, target_arch = "x86_64"))]
mod tiles;

pub(crate) use activation::{Gelu, GeluTanh, Relu, ShortGelu, Silu, Tanh};
pub(crate) use attention::{Attend, AttentionScratch};
pub(crate) use gemm::{
    Accumulate, Activations, Bf16, Linear, Multiply, MultiplyPrepare, MultiplyScratch, Prepare,
    Product, Single, Store, W8A8, W8A16,
};
#[cfg(target_arch = "x86_64")]
pub(crate) use gemm::{TiledBf16, TiledSingle, TiledW8A16};
pub use instruction_set::InstructionSetError;
pub(crate) use instruction_set::{ForSimd, InstructionSet};
pub use limit::{MultiplicationLimits, instruction_set, multiplication_limits};
pub(crate) use lines::Lines;
pub(crate) use matrix::{Matrix, MatrixValues};
pub(crate) use norm::{LayerNorm, Normalize};
pub(crate) use simd::Simd;
