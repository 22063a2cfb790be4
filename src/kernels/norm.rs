//! Layer normalization.

use super::simd::{Operation, Simd, load, store};

/// The parameters of a layer normalization, a number each for every column.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

/// Replaces each row by `gamma (x - mean) / sqrt(variance + epsilon) + beta`, the variance being
/// that of the numbers less their mean.
///
/// Ba, Kiros and Hinton, "Layer Normalization", 2016.
pub(crate) struct Normalize<'a> {
    pub(crate) rows: &'a mut [f32],
    pub(crate) norm: &'a LayerNorm,
}

impl<S: Simd> Operation<S> for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let LayerNorm { gamma, beta, epsilon } = self.norm;
        let columns = gamma.len();
        for row in self.rows.chunks_exact_mut(columns) {
            let (sum, _) = sums_of_powers(simd, row, 0.0);
            let mean = sum / columns as f32;
            // What rounding the mean left out.
            let (sum, squares) = sums_of_powers(simd, row, mean);
            let rest = sum / columns as f32;
            let variance = (squares / columns as f32 - rest * rest).max(0.0);
            let means = (simd.splat(mean), simd.splat(rest));
            let scale = simd.splat(1.0 / (variance + epsilon).sqrt());
            let normal = |x, gamma, beta| {
                let centred = simd.sub(simd.sub(x, means.0), means.1);
                simd.mul_add(simd.mul(centred, scale), gamma, beta)
            };
            let whole = columns - columns % S::LANES;
            for at in (0..whole).step_by(S::LANES) {
                let x = &mut row[at..][..S::LANES];
                let (gamma, beta) = (simd.load(&gamma[at..]), simd.load(&beta[at..]));
                simd.store(normal(simd.load(x), gamma, beta), x);
            }
            let x = &mut row[whole..];
            if !x.is_empty() {
                let (gamma, beta) =
                    (load(simd, &gamma[whole..], 0.0), load(simd, &beta[whole..], 0.0));
                store(simd, normal(load(simd, x, 0.0), gamma, beta), x);
            }
        }
    }
}

/// The sums of all numbers' differences from `mean`, and of their squares.
#[inline(always)]
fn sums_of_powers<S: Simd>(simd: S, values: &[f32], mean: f32) -> (f32, f32) {
    let means = simd.splat(mean);
    let (mut sums, mut squares) = ([simd.splat(0.0); 2], [simd.splat(0.0); 2]);
    let mut add = |place: usize, values| {
        let difference = simd.sub(values, means);
        sums[place] = simd.add(sums[place], difference);
        squares[place] = simd.mul_add(difference, difference, squares[place]);
    };
    let mut pairs = values.chunks_exact(2 * S::LANES);
    for pair in &mut pairs {
        add(0, simd.load(pair));
        add(1, simd.load(&pair[S::LANES..]));
    }
    for values in pairs.remainder().chunks(S::LANES) {
        add(0, load(simd, values, mean));
    }
    (simd.sum(simd.add(sums[0], sums[1])), simd.sum(simd.add(squares[0], squares[1])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::{ForSimd, InstructionSet};

    #[derive(Clone, Copy)]
    struct Check<'a> {
        rows: &'a [f32],
        norm: &'a LayerNorm,
    }

    impl ForSimd for Check<'_> {
        type Output = ();

        fn call<S: Simd>(self, simd: S) {
            let Self { rows, norm } = self;
            let mut out = rows.to_vec();
            simd.run(Normalize { rows: &mut out, norm });
            let columns = norm.gamma.len();
            for (row, out) in rows.chunks_exact(columns).zip(out.chunks_exact(columns)) {
                let row: Vec<_> = row.iter().copied().map(f64::from).collect();
                let mean = row.iter().sum::<f64>() / columns as f64;
                let squares = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
                let deviation = (squares / columns as f64 + f64::from(norm.epsilon)).sqrt();
                for (column, (x, out)) in row.iter().zip(out).enumerate() {
                    let (gamma, beta) =
                        (f64::from(norm.gamma[column]), f64::from(norm.beta[column]));
                    let wanted = (x - mean) / deviation * gamma + beta;
                    let apart = (f64::from(*out) - wanted).abs();
                    assert!(apart < 2e-5, "{out} {wanted} {}", S::NAME);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A mean far from zero would show a variance that is computed in one pass.
        #[test]
        fn rows_are_normalized(rows in 0_usize..5, columns in 2_usize..90, mean in -9.0..9.0_f32, seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut numbers = |count, mean: f32| -> Vec<f32> {
                (0..count).map(|_| mean + rng.f32() * 2.0 - 1.0).collect()
            };
            let rows = numbers(rows * columns, mean);
            let (gamma, beta) = (numbers(columns, 1.0), numbers(columns, 0.0));
            let norm = LayerNorm { gamma, beta, epsilon: 1e-5 };
            let check = Check { rows: &rows, norm: &norm };
            InstructionSet::available().iter().for_each(|set| set.with(check));
        }
    }
}
