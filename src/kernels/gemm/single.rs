//! Single precision.

use super::{
    Epilogue, Factors, Place, Product,
    vectors::{PANEL_VECTORS, PackedPanel, Panel, VectorProduct, by_vectors, multiply_panel},
};
use crate::kernels::{matrix::Matrix, simd::Simd};

/// Products and sums in single precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single;

/// Panels one after another, an entry for each input.
pub(crate) struct SingleWeights<S: Simd> {
    panels: Vec<Panel<S::F32>>,
    inputs: usize,
}

impl<S: Simd> Product<S> for Single {
    const GROUP: usize = 1;
    const TILE_ROWS: usize = S::TILE_ROWS;
    const BATCH_TOKENS: usize = 512;

    by_vectors!(S);

    type Group = f32;
    type RowScale = ();
    type Weights = SingleWeights<S>;

    fn pack(simd: S, weights: &Matrix) -> Self::Weights {
        let Matrix { inputs, outputs, .. } = *weights;
        let width = PANEL_VECTORS * S::LANES;
        let mut panels = Vec::with_capacity(inputs * outputs.div_ceil(width));
        for first in (0..outputs).step_by(width) {
            let rows: Vec<_> =
                (first..outputs.min(first + width)).map(|o| weights.row(o)).collect();
            for input in 0..inputs {
                let mut column = rows.iter().map(|row| row[input]).collect::<Vec<_>>();
                column.resize(width, 0.0);
                panels.push([simd.load(&column), simd.load(&column[S::LANES..])]);
            }
        }
        SingleWeights { panels, inputs }
    }

    #[inline(always)]
    fn prepare(_: S, row: &[f32], out: &mut [f32], _: usize, _: &mut [()]) {
        out.copy_from_slice(row);
    }
}

impl<S: Simd> VectorProduct<S> for Single {
    type Activation = S::F32;
    type Vector = S::F32;
    type Sum = S::F32;
    type ColumnScale = ();

    #[inline(always)]
    fn panel<'a>(
        _: S,
        weights: &'a Self::Weights,
        panel: usize,
        _: &'a mut Vec<Panel<S::F32>>,
    ) -> PackedPanel<'a, S::F32, ()> {
        (&weights.panels[panel * weights.inputs..][..weights.inputs], &[[(); PANEL_VECTORS]])
    }

    #[inline(always)]
    fn zero(simd: S) -> S::F32 {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn splat(simd: S, group: &f32) -> S::F32 {
        simd.splat(*group)
    }

    #[inline(always)]
    fn multiply_add(simd: S, sum: S::F32, activations: S::F32, weights: S::F32) -> S::F32 {
        simd.mul_add(activations, weights, sum)
    }

    #[inline(always)]
    fn finish(simd: S, sum: S::F32, (): &(), (): &(), total: S::F32) -> S::F32 {
        simd.add(sum, total)
    }
}
