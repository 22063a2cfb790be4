//! Weights and activations in bf16, sums in single precision.

use half::bf16;

use super::{
    Epilogue, Factors, Place, Product,
    vectors::{PANEL_VECTORS, PackedPanel, Panel, VectorProduct, by_vectors, multiply_panel},
};
use crate::kernels::{matrix::Matrix, simd::Simd};

/// Products of bf16 numbers, and sums in single precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bf16;

/// Panels one after another, an entry for each pair of inputs.
pub(crate) struct Bf16Weights<S: Simd> {
    panels: Vec<Panel<S::I32>>,
    /// Pairs of inputs.
    pairs: usize,
}

/// The nearest bf16 numbers to a pair; the second of one number alone is zero.
#[inline(always)]
fn rounded(pair: &[f32]) -> [i16; 2] {
    let second = pair.get(1).copied().unwrap_or_default();
    [pair[0], second].map(|number| bf16::from_f32(number).to_bits().cast_signed())
}

impl<S: Simd> Product<S> for Bf16 {
    const GROUP: usize = 2;
    const TILE_ROWS: usize = S::TILE_ROWS;
    const BATCH_TOKENS: usize = 256;

    by_vectors!(S);

    type Group = [i16; 2];
    type RowScale = ();
    type Weights = Bf16Weights<S>;

    fn pack(simd: S, weights: &Matrix) -> Self::Weights {
        let Matrix { inputs, outputs, .. } = *weights;
        let (width, pairs) = (PANEL_VECTORS * S::LANES, inputs.div_ceil(2));
        let mut panels = Vec::with_capacity(pairs * outputs.div_ceil(width));
        for first in (0..outputs).step_by(width) {
            let rows: Vec<Vec<_>> = (first..outputs.min(first + width))
                .map(|output| weights.row(output).chunks(2).map(rounded).collect())
                .collect();
            for pair in 0..pairs {
                let mut column = rows.iter().map(|row| row[pair]).collect::<Vec<_>>();
                column.resize(width, [0; 2]);
                panels.push([simd.load_pairs(&column), simd.load_pairs(&column[S::LANES..])]);
            }
        }
        Bf16Weights { panels, pairs }
    }

    #[inline(always)]
    fn prepare(_: S, row: &[f32], out: &mut [[i16; 2]], _: usize, _: &mut [()]) {
        for (pair, out) in row.chunks(2).zip(out) {
            *out = rounded(pair);
        }
    }
}

impl<S: Simd> VectorProduct<S> for Bf16 {
    type Activation = S::I32;
    type Vector = S::I32;
    type Sum = S::F32;
    type ColumnScale = ();

    #[inline(always)]
    fn panel<'a>(
        _: S,
        weights: &'a Self::Weights,
        panel: usize,
        _: &'a mut Vec<Panel<S::I32>>,
    ) -> PackedPanel<'a, S::I32, ()> {
        (&weights.panels[panel * weights.pairs..][..weights.pairs], &[[(); PANEL_VECTORS]])
    }

    #[inline(always)]
    fn zero(simd: S) -> S::F32 {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn splat(simd: S, group: &[i16; 2]) -> S::I32 {
        simd.splat_pair(*group)
    }

    #[inline(always)]
    fn multiply_add(simd: S, sum: S::F32, activations: S::I32, weights: S::I32) -> S::F32 {
        simd.dot_bf16(sum, activations, weights)
    }

    #[inline(always)]
    fn finish(simd: S, sum: S::F32, (): &(), (): &(), total: S::F32) -> S::F32 {
        simd.add(sum, total)
    }
}
