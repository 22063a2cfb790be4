//! What the CPU could do if it did nothing but multiply: what speeds are compared with.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use super::{
    gemm::{Int8, PANEL_VECTORS, Product, Single, with_rows},
    instruction_set::{ForSimd, InstructionSet, InstructionSetError},
    simd::{Operation, Simd},
};

/// Multiplications and additions a second of one thread, each counted as one, in int8 and in f32, with
/// operands and sums in registers. The best of several rounds.
///
/// # Errors
/// When the environment asks for an instruction set that this CPU lacks.
#[doc(hidden)]
pub fn multiplication_limits() -> Result<(f64, f64), InstructionSetError> {
    Ok(InstructionSet::chosen()?.with(Limits))
}

/// The name of the instruction set that kernels are compiled for.
///
/// # Errors
/// When the environment asks for one that this CPU lacks.
#[doc(hidden)]
pub fn instruction_set() -> Result<&'static str, InstructionSetError> {
    Ok(InstructionSet::chosen()?.name())
}

struct Limits;

impl ForSimd for Limits {
    type Output = (f64, f64);

    fn call<S: Simd>(self, simd: S) -> (f64, f64) {
        let best = |round: &dyn Fn() -> f64| (0..20).map(|_| round()).fold(0.0, f64::max);
        (best(&|| simd.run(Int8Loop)), best(&|| simd.run(SingleLoop)))
    }
}

/// Repetitions in a round; a round takes milliseconds.
const ROUNDS: u32 = 1_000_000;

/// Operations a second of `ROUNDS` repetitions of a full register tile.
fn rate<S: Simd, P: Product<S>>(duration: Duration) -> f64 {
    let products = S::TILE_ROWS * PANEL_VECTORS * S::LANES * P::GROUP;
    2.0 * products as f64 * f64::from(ROUNDS) / duration.as_secs_f64()
}

struct Int8Loop;

impl<S: Simd> Operation<S> for Int8Loop {
    type Output = f64;

    #[inline(always)]
    fn run(self, simd: S) -> f64 {
        with_rows!(S, S::TILE_ROWS, ROWS => {
            let weights = black_box([[3, 4], [5, 6]]).map(|pair| simd.splat_pair(pair));
            let mut sums = [weights; ROWS];
            let start = Instant::now();
            for _ in 0..ROUNDS {
                for row in &mut sums {
                    // A factor that no compiler knows: a sum of the round before.
                    let [factor, other] = *row;
                    *row = [
                        simd.dot(factor, factor, weights[0]),
                        simd.dot(other, factor, weights[1]),
                    ];
                }
            }
            let duration = start.elapsed();
            black_box(sums);
            rate::<S, Int8>(duration)
        })
    }
}

struct SingleLoop;

impl<S: Simd> Operation<S> for SingleLoop {
    type Output = f64;

    #[inline(always)]
    fn run(self, simd: S) -> f64 {
        with_rows!(S, S::TILE_ROWS, ROWS => {
            let (a, w) = (simd.splat(black_box(0.5)), simd.splat(black_box(0.25)));
            let mut sums = [[simd.splat(0.0); PANEL_VECTORS]; ROWS];
            let start = Instant::now();
            for _ in 0..ROUNDS {
                for row in &mut sums {
                    for sum in row {
                        *sum = simd.mul_add(a, w, *sum);
                    }
                }
            }
            let duration = start.elapsed();
            black_box(sums);
            rate::<S, Single>(duration)
        })
    }
}
