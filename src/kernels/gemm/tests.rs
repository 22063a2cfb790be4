//! Every kernel on every instruction set that this CPU has, against plain loops.

use proptest::prelude::*;

use super::{
    tiles::{TiledBf16, TiledSingle, TiledW8A16},
    w8a8::SUB_BLOCK_SIZE,
    *,
};
use crate::kernels::{ForSimd, InstructionSet, MatrixValues, arch::Portable, tiles::Tiles};

/// A product to check, with numbers that a seed makes.
#[derive(Clone, Copy, Debug)]
struct Case {
    rows: usize,
    inputs: usize,
    outputs: usize,
    seed: u64,
}

impl Case {
    fn numbers(self, salt: u64, count: usize) -> Vec<f32> {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ salt);
        (0..count).map(|_| rng.f32() * 2.0 - 1.0).collect()
    }

    fn activations(self) -> Vec<f32> {
        self.numbers(1, self.rows * self.inputs)
    }

    fn bias(self) -> Vec<f32> {
        self.numbers(2, self.outputs)
    }

    fn int8(self) -> Matrix {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ 3);
        // The extremes are common: where sums overflow or saturate, they show it.
        let mut weight =
            || if rng.bool() { rng.i8(..) } else { *rng.choice(&[-128, 127]).unwrap() };
        let values = (0..self.outputs * self.inputs).map(|_| weight()).collect();
        let scales = self.numbers(4, self.outputs).iter().map(|scale| scale * 0.01).collect();
        self.matrix(MatrixValues::Int8 { values, scales })
    }

    /// As large as weights for bytes may be: of four, those of one sign are 128 in sum.
    fn small_int8(self) -> Matrix {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ 6);
        let mut values = Vec::with_capacity(self.outputs * self.inputs);
        for _ in 0..self.outputs {
            let mut row = vec![0_i8; self.inputs.next_multiple_of(8)];
            for group in row.chunks_mut(8) {
                let (alone, sign) = (rng.usize(..4), rng.bool());
                let mut weight = |input: usize| match (alone, sign) {
                    // All as large as they can be together, of one sign or of both.
                    (0, true) => 32,
                    (0, false) if input < 4 => 64,
                    (0, false) => -64,
                    // One of each sign in each half of the quads that is as large as it can be alone.
                    (1, _) if [0, 2].contains(&input) => 127,
                    (1, true) if [5, 7].contains(&input) => -128,
                    (1, false) if [1, 3].contains(&input) => -128,
                    (1, _) => 0,
                    _ => rng.i8(-32..=32),
                };
                (0..8).for_each(|input| group[input] = weight(input));
            }
            values.extend(&row[..self.inputs]);
        }
        let scales = self.numbers(4, self.outputs).iter().map(|scale| scale * 0.01).collect();
        self.matrix(MatrixValues::Int8 { values, scales })
    }

    fn f32(self) -> Matrix {
        self.matrix(MatrixValues::F32(self.numbers(5, self.outputs * self.inputs)))
    }

    fn matrix(self, values: MatrixValues) -> Matrix {
        Matrix { outputs: self.outputs, inputs: self.inputs, values }
    }

    /// What the layer gives, in double precision, of the given activations.
    fn oracle(self, activations: &[f32], matrix: &Matrix) -> Vec<f64> {
        let weights = matrix.to_f32();
        let mut out = Vec::new();
        for row in 0..self.rows {
            for (output, bias) in self.bias().into_iter().enumerate() {
                let products = (0..self.inputs).map(|input| {
                    f64::from(activations[row * self.inputs + input])
                        * f64::from(weights[output * self.inputs + input])
                });
                out.push(products.sum::<f64>() + f64::from(bias));
            }
        }
        out
    }
}

/// Computes a case over poisoned memory.
fn multiply<S: Simd, P: Product<S>>(
    simd: S,
    case: Case,
    matrix: &Matrix,
    activations: &[f32],
    epilogue: impl Epilogue<S>,
) -> (Vec<f32>, Activations<S, P>) {
    let linear = Linear::<S, P>::new(simd, matrix, &case.bias());
    let mut prepared = Activations::default();
    simd.run(Prepare { rows: activations, columns: case.inputs, out: &mut prepared });
    let mut out = vec![f32::NAN; case.rows * case.outputs];
    let mut scratch = MultiplyScratch::default();
    simd.run(Multiply {
        activations: &prepared,
        linear: &linear,
        epilogue,
        out: &mut out,
        scratch: &mut scratch,
    });
    (out, prepared)
}

/// On every instruction set.
fn everywhere(check: impl ForSimd<Output = ()> + Copy) {
    InstructionSet::available().iter().for_each(|set| set.with(check));
}

/// A check of products by tiles.
trait ForTiles: Copy {
    fn call<S: Tiles>(self, simd: S);
}

/// With every instruction set that has tiles, and with plain loops.
fn with_tiles(check: impl ForTiles) {
    check.call(Portable);
    #[cfg(target_arch = "x86_64")]
    for set in InstructionSet::available() {
        if let InstructionSet::Amx(simd) = set {
            check.call(*simd);
        }
    }
}

#[derive(Clone, Copy)]
struct SinglePrecision(Case);

impl SinglePrecision {
    /// Sums are rounded, nothing else.
    fn check<S: Simd, P: Product<S>>(self, simd: S, matrix: &Matrix) {
        let Self(case) = self;
        let activations = case.activations();
        let (out, _) = multiply::<S, P>(simd, case, matrix, &activations, Store);
        let magnitudes = Matrix { values: MatrixValues::F32(positive(matrix.to_f32())), ..*matrix };
        let magnitudes = case.oracle(&positive(activations.clone()), &magnitudes);
        let wanted = case.oracle(&activations, matrix);
        let inputs = case.inputs as f64;
        for ((out, wanted), magnitude) in out.iter().zip(wanted).zip(magnitudes) {
            let difference = (f64::from(*out) - wanted).abs();
            // Half a unit in the last place for every sum, most of which even out.
            let bound = 6e-8 * (inputs.sqrt() + 3.0) * (magnitude + 2.0);
            assert!(difference <= bound.min(1e-6 * (inputs + 1.0)), "{out} {wanted} {}", S::NAME);
        }
    }
}

fn positive(numbers: Vec<f32>) -> Vec<f32> {
    numbers.into_iter().map(f32::abs).collect()
}

impl ForSimd for SinglePrecision {
    type Output = ();

    fn call<S: Simd>(self, simd: S) {
        self.check::<S, Single>(simd, &self.0.f32());
    }
}

impl ForTiles for SinglePrecision {
    fn call<S: Tiles>(self, simd: S) {
        self.check::<S, TiledSingle>(simd, &self.0.f32());
        self.check::<S, TiledSingle>(simd, &self.0.int8());
    }
}

#[derive(Clone, Copy)]
struct BrainFloats(Case);

impl BrainFloats {
    /// Operands are rounded once, to the nearest; products of such are exact.
    fn check<S: Simd, P: Product<S>>(self, simd: S) {
        let Self(case) = self;
        let matrix = case.matrix(MatrixValues::F32(Self::rounded(case.f32().to_f32())));
        self.compare::<S, P>(simd, &case.f32(), &matrix);
    }

    /// Activations are rounded once.
    fn compare<S: Simd, P: Product<S>>(self, simd: S, matrix: &Matrix, rounded: &Matrix) {
        let Self(case) = self;
        let activations = case.activations();
        let (out, _) = multiply::<S, P>(simd, case, matrix, &activations, Store);
        for (out, wanted) in out.iter().zip(case.oracle(&Self::rounded(activations), rounded)) {
            let difference = (f64::from(*out) - wanted).abs();
            assert!(difference < 1e-6 * (case.inputs as f64 + 1.0), "{out} {wanted} {}", S::NAME);
        }
    }

    fn rounded(numbers: Vec<f32>) -> Vec<f32> {
        numbers.into_iter().map(|number| half::bf16::from_f32(number).to_f32()).collect()
    }
}

impl ForSimd for BrainFloats {
    type Output = ();

    fn call<S: Simd>(self, simd: S) {
        self.check::<S, Bf16>(simd);
    }
}

impl ForTiles for BrainFloats {
    fn call<S: Tiles>(self, simd: S) {
        self.check::<S, TiledBf16>(simd);
        // Weights in int8 are exact.
        let matrix = self.0.int8();
        self.compare::<S, TiledBf16>(simd, &matrix, &matrix);
    }
}

#[derive(Clone, Copy)]
struct ExactIntegers(Case);

impl ExactIntegers {
    /// Sums of integers are exact; what is rounded is a sum made a number, the product of its scales,
    /// their product, and the bias added.
    fn check<S: Simd, P: Product<S>>(
        self,
        simd: S,
        quantized_rows: impl Fn(&Activations<S, P>, usize) -> Vec<(Vec<i16>, f32)>,
    ) {
        let Self(case) = self;
        let matrix = case.int8();
        let MatrixValues::Int8 { values: weights, scales } = &matrix.values else { unreachable!() };
        let activations = case.activations();
        let (out, prepared) = multiply::<S, P>(simd, case, &matrix, &activations, Store);
        let rows = quantized_rows(&prepared, case.inputs);
        assert_eq!(rows.len(), case.rows);
        for (row, (quantized, row_scale)) in rows.iter().enumerate() {
            let activations = &activations[row * case.inputs..][..case.inputs];
            for (quantized, activation) in quantized.iter().zip(activations) {
                let error = f32::from(*quantized) * row_scale - activation;
                assert!(error.abs() <= 1.0 / 4_000.0, "{quantized} {row_scale} {activation}");
            }
            for (output, bias) in case.bias().into_iter().enumerate() {
                let weights = &weights[output * case.inputs..][..case.inputs];
                let products = quantized.iter().zip(weights);
                let sum: i64 = products.map(|(&a, &w)| i64::from(a) * i64::from(w)).sum();
                assert!(i32::try_from(sum).is_ok());
                let product = sum as f64 * f64::from(*row_scale) * f64::from(scales[output]);
                let wanted = product + f64::from(bias);
                let out = f64::from(out[row * case.outputs + output]);
                let bound = 2e-7 * product.abs() + 1e-7 * wanted.abs();
                assert!((out - wanted).abs() <= bound, "{out} {wanted} {}", S::NAME);
            }
        }
    }
}

impl ForSimd for ExactIntegers {
    type Output = ();

    fn call<S: Simd>(self, simd: S) {
        self.check::<S, W8A16>(simd, w8a16::quantized_rows);
    }
}

impl ForTiles for ExactIntegers {
    fn call<S: Tiles>(self, simd: S) {
        self.check::<S, TiledW8A16>(simd, tiles::quantized_rows);
    }
}

#[derive(Clone, Copy)]
struct ExactBytes(Case);

impl ForSimd for ExactBytes {
    type Output = ();

    /// A block's sums are exact; what is rounded is a few operations on each.
    fn call<S: Simd>(self, simd: S) {
        let Self(case) = self;
        let matrix = case.small_int8();
        let MatrixValues::Int8 { values: weights, scales } = &matrix.values else { unreachable!() };
        // Every 16 of another size, so that what shares too much is coarse.
        let mut activations = case.activations();
        for row in activations.chunks_mut(case.inputs) {
            for (index, numbers) in row.chunks_mut(16).enumerate() {
                numbers.iter_mut().for_each(|number| *number /= [1.0, 20.0, 3.0][index % 3]);
            }
        }
        let (out, prepared) = multiply::<S, W8A8>(simd, case, &matrix, &activations, Store);
        let rows = w8a8::restored(simd, &prepared, case.inputs);
        assert_eq!(rows.len(), case.rows);
        for (row, numbers) in rows.iter().enumerate() {
            let activations = &activations[row * case.inputs..][..case.inputs];
            for (shared, numbers) in activations.chunks(64).zip(numbers.chunks(64)) {
                let least = shared.iter().copied().fold(0.0, f32::min);
                for (own, numbers) in
                    shared.chunks(SUB_BLOCK_SIZE).zip(numbers.chunks(SUB_BLOCK_SIZE))
                {
                    let range = f64::from(own.iter().copied().fold(0.0, f32::max) - least);
                    for (&activation, (number, step)) in own.iter().zip(numbers) {
                        // Multipliers are integers: a step may be larger than the range needs, by a
                        // 127th of the greatest that is possible here.
                        assert!(*step <= range / 254.0 + 2.0 / 254.0 / 127.0, "{step}: {range}");
                        let error = number - f64::from(activation);
                        assert!(error.abs() <= 0.501 * step, "{number} {activation}, step {step}");
                    }
                }
            }
            let restored = || numbers.iter().map(|(number, _)| number);
            for (output, bias) in case.bias().into_iter().enumerate() {
                let weights = &weights[output * case.inputs..][..case.inputs];
                let products = || restored().zip(weights).map(|(a, &w)| a * f64::from(w));
                let scale = f64::from(scales[output]);
                let wanted = products().sum::<f64>() * scale + f64::from(bias);
                let magnitude = products().map(f64::abs).sum::<f64>() * scale.abs() + 1.0;
                let out = f64::from(out[row * case.outputs + output]);
                assert!((out - wanted).abs() <= 1e-6 * magnitude, "{out} {wanted} {}", S::NAME);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct NotFinite;

impl ForSimd for NotFinite {
    type Output = ();

    /// What is not finite in a row is not lost, nor in another row.
    fn call<S: Simd>(self, simd: S) {
        let case = Case { rows: 7, inputs: 400, outputs: 3, seed: 1 };
        for (at, damage) in [(400, f32::NAN), (799, f32::INFINITY), (2_000, f32::NEG_INFINITY)] {
            let mut activations = case.activations();
            activations[at] = damage;
            let (out, _) = multiply::<S, W8A8>(simd, case, &case.small_int8(), &activations, Store);
            for (row, out) in out.chunks(case.outputs).enumerate() {
                assert_eq!(out.iter().all(|out| out.is_finite()), row != at / 400, "{}", S::NAME);
            }
        }
    }
}

#[test]
fn what_is_not_finite_shows() {
    everywhere(NotFinite);
}

#[derive(Clone, Copy)]
struct Prepared(Case);

impl Prepared {
    /// Activations that a product prepares are those of its results.
    fn check<S: Simd, P: Product<S>>(self, simd: S, matrix: &Matrix)
    where
        P::Group: PartialEq + std::fmt::Debug,
        P::RowScale: PartialEq + std::fmt::Debug,
    {
        let Self(case) = self;
        let activations = case.activations();
        let (mut stored, prepared) = multiply::<S, P>(simd, case, matrix, &activations, Store);
        stored.iter_mut().for_each(|number| *number = number.max(0.0));
        let mut wanted = Activations::<S, P>::default();
        simd.run(Prepare { rows: &stored, columns: case.outputs, out: &mut wanted });
        let mut out = Activations::default();
        let mut poisoned = Lines::default();
        poisoned.resize(7);
        poisoned.fill(f32::NAN);
        simd.run(MultiplyPrepare {
            activations: &prepared,
            linear: &Linear::<S, P>::new(simd, matrix, &case.bias()),
            activation: crate::kernels::Relu,
            out: &mut out,
            scratch: &mut MultiplyScratch { panel: P::Memory::default(), results: poisoned },
        });
        assert_eq!((out.width, out.blocks), (wanted.width, wanted.blocks));
        let rows = |activations: &Activations<S, P>| -> Vec<Vec<P::Group>> {
            let row = |row| {
                let (start, step) = activations.place(row);
                let groups = activations.groups[start..].iter().step_by(step);
                groups.take(activations.width).copied().collect()
            };
            (0..case.rows).map(row).collect()
        };
        assert_eq!(rows(&out), rows(&wanted), "{}", S::NAME);
        assert_eq!(out.scales, wanted.scales, "{}", S::NAME);
    }
}

impl ForSimd for Prepared {
    type Output = ();

    fn call<S: Simd>(self, simd: S) {
        let Self(case) = self;
        self.check::<S, Single>(simd, &case.f32());
        self.check::<S, Bf16>(simd, &case.f32());
        self.check::<S, W8A16>(simd, &case.int8());
        self.check::<S, W8A8>(simd, &case.small_int8());
    }
}

impl ForTiles for Prepared {
    fn call<S: Tiles>(self, simd: S) {
        let Self(case) = self;
        self.check::<S, TiledBf16>(simd, &case.f32());
        self.check::<S, TiledSingle>(simd, &case.f32());
        self.check::<S, TiledW8A16>(simd, &case.int8());
    }
}

#[derive(Clone, Copy)]
struct Epilogues(Case);

impl ForSimd for Epilogues {
    type Output = ();

    fn call<S: Simd>(self, simd: S) {
        let Self(case) = self;
        let (matrix, activations) = (case.int8(), case.activations());
        let (stored, prepared) = multiply::<S, W8A16>(simd, case, &matrix, &activations, Store);
        let mut residual = case.numbers(6, stored.len());
        let wanted: Vec<_> = residual.iter().zip(&stored).map(|(r, s)| r + s).collect();
        let linear = Linear::<S, W8A16>::new(simd, &matrix, &case.bias());
        simd.run(Multiply {
            activations: &prepared,
            linear: &linear,
            epilogue: Accumulate,
            out: &mut residual,
            scratch: &mut MultiplyScratch::default(),
        });
        assert_eq!(residual, wanted);
    }
}

fn check(case: Case) {
    everywhere(SinglePrecision(case));
    everywhere(BrainFloats(case));
    everywhere(ExactIntegers(case));
    everywhere(ExactBytes(case));
    everywhere(Prepared(case));
    everywhere(Epilogues(case));
    with_tiles(SinglePrecision(case));
    with_tiles(BrainFloats(case));
    with_tiles(ExactIntegers(case));
    with_tiles(Prepared(case));
}

#[test]
fn edges() {
    for (rows, inputs, outputs) in [
        (0, 8, 8),
        (1, 1, 1),
        (1, 384, 17),
        (6, 2, 16),
        (7, 3, 33),
        (13, 31, 1),
        (5, 1, 47),
        (3, 1_536, 16),
        (1, 4_096, 2),
        (25, 20, 300),
        (33, 130, 65),
        (48, 64, 32),
    ] {
        check(Case { rows, inputs, outputs, seed: 7 });
    }
}

#[test]
fn weights_too_large_for_bytes_are_rounded() {
    // Of the first two of every four, 128 of each sign.
    let fitting = [[[64, -64, 3, 0]; 2]; 16];
    let mut block = fitting;
    assert_eq!(w8a8::make_small(&mut block), 1.0);
    assert_eq!(block, fitting);

    // One group that is too large in a block of small weights: nothing else changes.
    let mut block = [[[0, 0, 1, -1]; 2]; 16];
    block[3][0] = [127, 127, 10, -10];
    let mut wanted = block;
    wanted[3][0] = [64, 64, 10, -10];
    assert_eq!(w8a8::make_small(&mut block), 1.0);
    assert_eq!(block, wanted);

    let mut rng = fastrand::Rng::with_seed(1);
    let mut large: [[[i8; 4]; 2]; 16] = [(); 16]
        .map(|()| [(); 2].map(|()| [(); 4].map(|()| (0..3).map(|_| rng.i8(-42..=42)).sum())));
    // A group that stays too large when all is rounded.
    large[5] = [[126, 126, -126, 126]; 2];
    let mut block = large;
    let factor = w8a8::make_small(&mut block);
    assert!(factor > 2.0);
    let (mut as_rounded, mut smaller) = (0, 0);
    for (group, large) in block.iter().zip(&large) {
        for half in [0, 1] {
            let places =
                || [0, 1].into_iter().flat_map(|quad| [(quad, 2 * half), (quad, 2 * half + 1)]);
            let rounded = |(quad, at): (usize, usize)| {
                (f32::from(large[quad][at]) / factor).round_ties_even()
            };
            for sign in [1.0, -1.0] {
                let wanted: f32 = places().map(|place| (sign * rounded(place)).max(0.0)).sum();
                let is = |(quad, at): (usize, usize)| (sign * f32::from(group[quad][at])).max(0.0);
                assert_eq!(places().map(is).sum::<f32>(), wanted.min(128.0));
                assert!(places().all(|place| is(place) <= (sign * rounded(place)).max(0.0)));
                if wanted > 128.0 { smaller += 1 } else { as_rounded += 1 }
            }
        }
    }
    assert!(as_rounded > 50 && smaller > 0, "{as_rounded} {smaller}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_shapes(rows in 0_usize..40, inputs in 1_usize..90, outputs in 1_usize..70, seed: u64) {
        check(Case { rows, inputs, outputs, seed });
    }
}
