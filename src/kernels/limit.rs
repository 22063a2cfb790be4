//! What the CPU could do if it did nothing but multiply: what speeds are compared with.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

#[cfg(target_arch = "x86_64")]
use super::tiles::{TILE, TileMultiplier, Tiles};
use super::{
    gemm::{Bf16, PANEL_VECTORS, Product, Single, VectorProduct, W8A8, W8A16, with_rows},
    instruction_set::{ForSimd, InstructionSet, InstructionSetError},
    simd::{Operation, Simd},
};

/// Multiplications and additions a second of one thread, each counted as one.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MultiplicationLimits {
    /// In int8, activations in eight bits.
    pub int8: f64,
    /// The same with activations in 16 bits.
    pub w8a16: f64,
    /// In bf16, where the CPU has such products.
    pub bf16: Option<f64>,
    /// In single precision.
    pub f32: f64,
}

/// What this CPU reaches with operands and sums in registers: the best of several rounds.
///
/// # Errors
/// When the environment asks for an instruction set that this CPU lacks.
#[doc(hidden)]
pub fn multiplication_limits() -> Result<MultiplicationLimits, InstructionSetError> {
    let set = InstructionSet::chosen()?;
    let limits = set.with(Limits);
    #[cfg(target_arch = "x86_64")]
    if let InstructionSet::Amx(simd) = set {
        return Ok(with_tiles(simd, limits));
    }
    Ok(limits)
}

/// The name of the instruction set that kernels are compiled for.
///
/// # Errors
/// When the environment asks for one that this CPU lacks.
#[doc(hidden)]
pub fn instruction_set() -> Result<&'static str, InstructionSetError> {
    Ok(InstructionSet::chosen()?.name())
}

/// The same limits, but of what tiles multiply.
#[cfg(target_arch = "x86_64")]
fn with_tiles(simd: impl Tiles, limits: MultiplicationLimits) -> MultiplicationLimits {
    const TIMES: usize = 100_000;
    let tiles = simd.multiplier();
    // Two tiles by two, of so many numbers in a row.
    let rate = |numbers: usize, work: &dyn Fn()| {
        let start = Instant::now();
        work();
        2.0 * (4 * TILE * TILE * numbers * TIMES) as f64 / start.elapsed().as_secs_f64()
    };
    // An activation in 16 bits is two bytes, and two products.
    let w8a16 = best(&|| rate(2 * TILE, &|| tiles.repeat_bytes(TIMES)));
    let bf16 = best(&|| rate(2 * TILE, &|| tiles.repeat_bf16(TIMES)));
    // An activation in single precision is three bf16 numbers; a weight in int8 is one.
    MultiplicationLimits { w8a16, bf16: Some(bf16), f32: bf16 / 3.0, ..limits }
}

/// The best of several rounds.
fn best(round: &dyn Fn() -> f64) -> f64 {
    (0..20).map(|_| round()).fold(0.0, f64::max)
}

struct Limits;

impl ForSimd for Limits {
    type Output = MultiplicationLimits;

    fn call<S: Simd>(self, simd: S) -> MultiplicationLimits {
        MultiplicationLimits {
            int8: best(&|| simd.run(W8A8Loop)),
            w8a16: best(&|| simd.run(W8A16Loop)),
            bf16: S::BF16_PRODUCTS.then(|| best(&|| simd.run(Bf16Loop))),
            f32: best(&|| simd.run(SingleLoop)),
        }
    }
}

/// Repetitions in a round; a round takes milliseconds.
const ROUNDS: u32 = 1_000_000;

/// Operations a second of `ROUNDS` repetitions of a register tile of so many rows.
fn rate<S: Simd, P: Product<S>>(rows: usize, duration: Duration) -> f64 {
    let products = rows * PANEL_VECTORS * S::LANES * P::GROUP;
    2.0 * products as f64 * f64::from(ROUNDS) / duration.as_secs_f64()
}

/// A loop over a register tile of `$rows` rows, of which `$next` is a step. The activations are sums of the round
/// before: no compiler knows them.
macro_rules! multiply_loop {
    ($name:ident, $product:ty, $rows:expr, $simd:ident, $zero:expr, $weights:expr, ($sum:ident, $w:ident) => $next:expr) => {
        struct $name;

        impl<S: Simd> Operation<S> for $name {
            type Output = f64;

            #[inline(always)]
            fn run(self, $simd: S) -> f64 {
                const fn rows<S: Simd>() -> usize {
                    $rows
                }
                with_rows!(rows::<S>(), rows::<S>(), ROWS => {
                    let $w: <$product as VectorProduct<S>>::Vector = $weights;
                    let mut sums = [[$zero; PANEL_VECTORS]; ROWS];
                    let start = Instant::now();
                    for _ in 0..ROUNDS {
                        for row in 0..ROWS {
                            for vector in 0..PANEL_VECTORS {
                                let $sum = sums[row][vector];
                                sums[row][vector] = $next;
                            }
                        }
                    }
                    let duration = start.elapsed();
                    black_box(sums);
                    rate::<S, $product>(ROWS, duration)
                })
            }
        }
    };
}

multiply_loop!(
    W8A8Loop, W8A8, S::BYTE_TILE_ROWS, simd, simd.zeros(),
    // Different ones, or products would be computed once for all.
    black_box([[1, 2, 3, 4], [5, 6, 7, 8]])
        .map(|quad| simd.splat_quad(quad)),
    (sum, weights) => if S::WIDE_PARTIAL_SUMS {
        simd.add_quads(simd.add_quads(sum, sum, weights[0]), sum, weights[1])
    } else {
        // What `gather` is there.
        let partial = simd.add_quads(simd.multiply_quads(sum, weights[0]), sum, weights[1]);
        simd.dot(sum, partial, simd.splat_pair([1; 2]))
    }
);
// A row less than a full tile, lest a compiler keep a sum in memory.
multiply_loop!(
    W8A16Loop, W8A16, S::TILE_ROWS - 1, simd, simd.zeros(),
    simd.splat_pair(black_box([3, 4])),
    (sum, weights) => W8A16::multiply_add(simd, sum, sum, weights)
);
multiply_loop!(
    Bf16Loop, Bf16, S::TILE_ROWS - 1, simd, simd.splat(0.0),
    simd.splat_pair(black_box([0x3e80; 2])),
    (sum, weights) => Bf16::multiply_add(simd, sum, weights, weights)
);
multiply_loop!(
    SingleLoop, Single, S::TILE_ROWS - 1, simd, simd.splat(0.0),
    simd.splat(black_box(0.25)),
    (sum, weights) => Single::multiply_add(simd, sum, sum, weights)
);
