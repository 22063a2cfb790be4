//! Multi-head attention of one sequence over its own length.
//!
//! Vaswani et al., "Attention Is All You Need", 2017: `softmax(Q K^T / sqrt(head size)) V` for each
//! head.

use super::{
    activation::exp,
    gemm::{PANEL_VECTORS, Panel, Single, VectorProduct, with_rows},
    lines::Lines,
    simd::{FOUR, Operation, Simd, load, store},
};

/// Memory that attention works in, reused from one sequence to the next.
pub(crate) struct AttentionScratch<S: Simd> {
    keys: Vec<Panel<S::F32>>,
    values: Vec<Panel<S::F32>>,
    /// `[head size, panel]`: a panel of keys, before they are vectors.
    columns: Lines,
    /// The key of no token.
    blank: Vec<f32>,
    /// A tile's scores, each row as long as the panels of keys.
    scores: Lines,
}

impl<S: Simd> Default for AttentionScratch<S> {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            values: Vec::new(),
            columns: Lines::default(),
            blank: Vec::new(),
            scores: Lines::default(),
        }
    }
}

/// Attention of some of a sequence's tokens to all of them.
pub(crate) struct Attend<'a, S: Simd> {
    /// `[queries, hidden]`
    pub(crate) queries: &'a [f32],
    /// `[tokens, 2 hidden]`: each token's key, and after it its value.
    pub(crate) keys_values: &'a [f32],
    pub(crate) heads: usize,
    /// A multiple of `heads`.
    pub(crate) hidden: usize,
    /// `[queries, hidden]`
    pub(crate) out: &'a mut [f32],
    pub(crate) scratch: &'a mut AttentionScratch<S>,
}

impl<S: Simd> Operation<S> for Attend<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Self { queries, keys_values, heads, hidden, out, .. } = self;
        let AttentionScratch { keys: key_panels, values: value_panels, columns, blank, scores } =
            self.scratch;
        let (head_size, stride) = (hidden / heads, 2 * hidden);
        let tokens = keys_values.len() / stride;
        if tokens == 0 {
            return;
        }
        let width = PANEL_VECTORS * S::LANES;
        let padded = tokens.next_multiple_of(width);
        let scale = simd.splat(1.0 / (head_size as f32).sqrt());
        columns.resize(head_size * width);
        blank.resize(head_size, 0.0);
        scores.resize(S::TILE_ROWS * padded);
        for at in (0..hidden).step_by(head_size) {
            key_panels.clear();
            for first in (0..tokens).step_by(width) {
                for (index, columns_of_four) in (first..first + width).step_by(FOUR).enumerate() {
                    let key = |token: usize| match token < tokens {
                        true => &keys_values[token * stride + at..][..head_size],
                        false => &blank[..head_size],
                    };
                    let keys = std::array::from_fn(|offset| key(columns_of_four + offset));
                    transpose(simd, keys, &mut columns[index * FOUR..], width);
                }
                for columns in columns.chunks_exact(width) {
                    key_panels.push([simd.load(columns), simd.load(&columns[S::LANES..])]);
                }
            }
            let panels = head_size.div_ceil(width);
            value_panels.resize(panels * tokens, [simd.splat(0.0); PANEL_VECTORS]);
            for (first, panel) in
                (0..head_size).step_by(width).zip(value_panels.chunks_exact_mut(tokens))
            {
                for (token, values) in panel.iter_mut().enumerate() {
                    let value = &keys_values[token * stride + hidden + at..][first..head_size];
                    let (left, right) = value.split_at(value.len().min(S::LANES));
                    *values = [load(simd, left, 0.0), load(simd, right, 0.0)];
                }
            }
            let tiles = out.chunks_mut(S::TILE_ROWS * hidden);
            for (out, queries) in tiles.zip(queries.chunks(S::TILE_ROWS * hidden)) {
                with_rows!(S::TILE_ROWS, out.len() / hidden, ROWS => {
                    for (panel, keys) in key_panels.chunks_exact(head_size).enumerate() {
                        let sums = <Single as VectorProduct<S>>::tile::<ROWS>(simd, &queries[at..], hidden, keys);
                        for row in 0..ROWS {
                            let scores = &mut scores[row * padded + panel * width..][..width];
                            simd.store(sums[row][0], scores);
                            simd.store(sums[row][1], &mut scores[S::LANES..]);
                        }
                    }
                    let mut sums = [0.0; ROWS];
                    for row in 0..ROWS {
                        let scores = &mut scores[row * padded..][..padded];
                        sums[row] = exponentials(simd, scores, tokens, scale);
                    }
                    for (panel, values) in value_panels.chunks_exact(tokens).enumerate() {
                        let tile = <Single as VectorProduct<S>>::tile::<ROWS>(simd, scores, padded, values);
                        for row in 0..ROWS {
                            let out = &mut out[row * hidden + at..][..head_size][panel * width..];
                            let inverse = simd.splat(1.0 / sums[row]);
                            let (left, right) = out.split_at_mut(out.len().min(S::LANES));
                            store(simd, simd.mul(tile[row][0], inverse), left);
                            store(simd, simd.mul(tile[row][1], inverse), right);
                        }
                    }
                });
            }
        }
    }
}

/// Writes the numbers of four rows as columns, `width` numbers apart.
#[inline(always)]
fn transpose<S: Simd>(simd: S, rows: [&[f32]; FOUR], out: &mut [f32], width: usize) {
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = rows.map(<[f32]>::as_chunks::<FOUR>);
    let mut out = out.chunks_mut(width);
    for ((a, b), (c, d)) in a.iter().zip(b).zip(c.iter().zip(d)) {
        let columns = simd.transpose([a, b, c, d]);
        for (column, out) in columns.iter().zip(out.by_ref()) {
            out[..FOUR].copy_from_slice(column);
        }
    }
    let rests = a_rest.iter().zip(b_rest).zip(c_rest.iter().zip(d_rest));
    for (((a, b), (c, d)), out) in rests.zip(out) {
        out[..FOUR].copy_from_slice(&[*a, *b, *c, *d]);
    }
}

/// Replaces the scores of a row's tokens by `exp(scale (score - greatest score))`; gives their sum. Softmax but
/// for the division. The row is as long as panels are; beyond its tokens, nothing is read.
#[inline(always)]
fn exponentials<S: Simd>(simd: S, row: &mut [f32], tokens: usize, scale: S::F32) -> f32 {
    row[tokens..].fill(f32::NEG_INFINITY);
    let mut greatest = simd.splat(f32::NEG_INFINITY);
    for scores in row.chunks_exact(S::LANES) {
        greatest = simd.max(simd.load(scores), greatest);
    }
    let greatest = simd.splat(simd.greatest(greatest));
    let mut sums = simd.splat(0.0);
    for panel in row.chunks_exact_mut(PANEL_VECTORS * S::LANES) {
        let mut scores = [simd.load(panel), simd.load(&panel[S::LANES..])];
        for scores in &mut scores {
            *scores = simd.mul(simd.sub(*scores, greatest), scale);
        }
        let [left, right] = exp(simd, scores);
        sums = simd.add(simd.add(sums, left), right);
        simd.store(left, panel);
        simd.store(right, &mut panel[S::LANES..]);
    }
    simd.sum(sums)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::{ForSimd, InstructionSet};

    #[derive(Clone, Copy, Debug)]
    struct Case {
        queries: usize,
        tokens: usize,
        heads: usize,
        head_size: usize,
        seed: u64,
    }

    impl Case {
        /// In double precision.
        fn oracle(self, queries: &[f32], keys_values: &[f32]) -> Vec<f64> {
            let hidden = self.heads * self.head_size;
            let mut out = vec![0.0; self.queries * hidden];
            for query in 0..self.queries {
                for first in (0..hidden).step_by(self.head_size) {
                    let score = |token: usize| {
                        let products = (first..first + self.head_size).map(|column| {
                            f64::from(queries[query * hidden + column])
                                * f64::from(keys_values[token * 2 * hidden + column])
                        });
                        (products.sum::<f64>() / (self.head_size as f64).sqrt()).exp()
                    };
                    let scores: Vec<_> = (0..self.tokens).map(score).collect();
                    let sum: f64 = scores.iter().sum();
                    for column in first..first + self.head_size {
                        let values = scores.iter().enumerate().map(|(token, score)| {
                            score / sum * f64::from(keys_values[(token * 2 + 1) * hidden + column])
                        });
                        out[query * hidden + column] = values.sum();
                    }
                }
            }
            out
        }
    }

    impl ForSimd for Case {
        type Output = ();

        fn call<S: Simd>(self, simd: S) {
            let mut rng = fastrand::Rng::with_seed(self.seed);
            let mut numbers =
                |count| -> Vec<f32> { (0..count).map(|_| rng.f32() * 4.0 - 2.0).collect() };
            let hidden = self.heads * self.head_size;
            let queries = numbers(self.queries * hidden);
            let keys_values = numbers(self.tokens * 2 * hidden);
            let mut out = vec![f32::NAN; queries.len()];
            let mut scratch = AttentionScratch::default();
            // Twice, so that what the first run left behind would show.
            for _ in 0..2 {
                simd.run(Attend {
                    queries: &queries,
                    keys_values: &keys_values,
                    heads: self.heads,
                    hidden,
                    out: &mut out,
                    scratch: &mut scratch,
                });
            }
            for (out, wanted) in out.iter().zip(self.oracle(&queries, &keys_values)) {
                assert!((f64::from(*out) - wanted).abs() < 1e-5, "{out} {wanted} {}", S::NAME);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn tokens_attend(
            queries in 0_usize..15, tokens in 1_usize..50, heads in 1_usize..4,
            head_size in 1_usize..40, seed: u64,
        ) {
            let case = Case { queries, tokens, heads, head_size, seed };
            InstructionSet::available().iter().for_each(|set| set.with(case));
        }
    }
}
