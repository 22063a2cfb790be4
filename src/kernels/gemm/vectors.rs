//! Products by vectors: tiles of rows by a panel two vectors wide, summed in registers.

use super::{Activations, Epilogue, Factors, Place, Product};
use crate::kernels::simd::Simd;

/// Evaluates an expression with a constant equal to a number of rows, at most `$most`.
macro_rules! with_rows {
    ($most:expr, $count:expr, $rows:ident => $body:expr) => {
        with_rows!(@ $most, $count, $rows => $body; 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    (@ $most:expr, $count:expr, $rows:ident => $body:expr; $($n:literal)*) => {
        match $count {
            $($n if $n <= $most => {
                const $rows: usize = $n;
                $body
            })*
            count => unreachable!("a tile of {count} rows"),
        }
    };
}
pub(crate) use with_rows;

/// Vectors across a panel.
pub(crate) const PANEL_VECTORS: usize = 2;

/// Numbers across a panel, by vectors.
pub(crate) type Panel<T> = [T; PANEL_VECTORS];

/// A panel's weights, an entry for each group of inputs, and its scales, one for each block.
pub(super) type PackedPanel<'a, V, C> = (&'a [Panel<V>], &'a [Panel<C>]);

/// A product whose activations are in every lane of a vector, and whose weights are a lane each.
pub(crate) trait VectorProduct<S: Simd>: Product<S> {
    /// A group of activations in every lane.
    type Activation: Copy;
    /// A vector of weights.
    type Vector: Copy + Send + Sync;
    /// A vector of sums.
    type Sum: Copy;
    /// What a block's sums of a vector of outputs are multiplied by.
    type ColumnScale: Copy + Send + Sync;

    /// The weights of a panel, an entry for each group of inputs, and the scales of its blocks;
    /// `scratch` may hold weights.
    fn panel<'a>(
        simd: S,
        weights: &'a Self::Weights,
        panel: usize,
        scratch: &'a mut Vec<Panel<Self::Vector>>,
    ) -> PackedPanel<'a, Self::Vector, Self::ColumnScale>;

    /// What a sum begins with.
    fn zero(simd: S) -> Self::Sum;

    /// A group of activations in every lane.
    fn splat(simd: S, group: &Self::Group) -> Self::Activation;

    /// Adds the product of activations and weights.
    fn multiply_add(
        simd: S,
        sum: Self::Sum,
        activations: Self::Activation,
        weights: Self::Vector,
    ) -> Self::Sum;

    /// Sums of products of `ROWS` rows and a block of a panel. Rows lie `stride` groups apart, if they are not
    /// interleaved.
    #[inline(always)]
    fn tile<const ROWS: usize>(
        simd: S,
        rows: &[Self::Group],
        stride: usize,
        panel: &[Panel<Self::Vector>],
    ) -> [Panel<Self::Sum>; ROWS] {
        // Plain loops: what closures and iterators hide may miss the instruction set.
        let rows = row_slices::<_, ROWS>(rows, stride, panel.len());
        let mut sums = [[Self::zero(simd); PANEL_VECTORS]; ROWS];
        for (group, weights) in panel.iter().enumerate() {
            for row in 0..ROWS {
                let activations = Self::splat(simd, &rows[row][group]);
                for vector in 0..PANEL_VECTORS {
                    sums[row][vector] =
                        Self::multiply_add(simd, sums[row][vector], activations, weights[vector]);
                }
            }
        }
        sums
    }

    /// Adds a block's finished sum, in single precision, to what came before: the bias at first.
    fn finish(
        simd: S,
        sum: Self::Sum,
        row: &Self::RowScale,
        column: &Self::ColumnScale,
        total: S::F32,
    ) -> S::F32;
}

/// What a [`VectorProduct`] is as a [`Product`].
macro_rules! by_vectors {
    ($simd:ident) => {
        const PANEL_COLUMNS: usize = PANEL_VECTORS * $simd::LANES;

        type Memory = Vec<Panel<<Self as VectorProduct<$simd>>::Vector>>;
        type Multiplier = ();

        #[inline(always)]
        fn multiplier(_: $simd) {}

        #[inline(always)]
        fn multiply_panel<E: Epilogue<$simd>>(
            simd: $simd,
            (): &(),
            factors: Factors<'_, $simd, Self>,
            epilogue: &E,
            place: Place<'_>,
            memory: &mut Self::Memory,
        ) {
            multiply_panel(simd, factors, epilogue, place, memory);
        }
    };
}
pub(super) use by_vectors;

/// Multiplies some rows by a panel.
#[inline(always)]
// Iterators over vectors may miss the instruction set.
#[allow(clippy::needless_range_loop)]
pub(super) fn multiply_panel<S: Simd, P: VectorProduct<S>, E: Epilogue<S>>(
    simd: S,
    factors: Factors<'_, S, P>,
    epilogue: &E,
    place: Place<'_>,
    memory: &mut Vec<Panel<P::Vector>>,
) {
    let Factors { activations, rows, linear, panel } = factors;
    let Activations { groups, scales, width, blocks } = activations;
    let bias = linear.bias[panel];
    let (panel, columns) = P::panel(simd, &linear.weights, panel, memory);
    let tiles = groups[rows.start * width..rows.end * width].chunks(P::TILE_ROWS * width);
    let scales = scales[rows.start * blocks..rows.end * blocks].chunks(P::TILE_ROWS * blocks);
    let out = place.out.chunks_mut(P::TILE_ROWS * place.width);
    let whole = place.first + PANEL_VECTORS * S::LANES <= place.width;
    for ((groups, scales), out) in tiles.zip(scales).zip(out) {
        with_rows!(P::TILE_ROWS, scales.len() / blocks, ROWS => {
            let mut totals = [bias; ROWS];
            for (block, weights) in panel.chunks(P::BLOCK).enumerate() {
                let interleaved = if P::INTERLEAVED { ROWS } else { 1 };
                let groups = &groups[block * P::BLOCK * interleaved..];
                let sums = P::tile::<ROWS>(simd, groups, *width, weights);
                for row in 0..ROWS {
                    let scale = &scales[row * blocks + block];
                    for vector in 0..PANEL_VECTORS {
                        let (column, total) = (&columns[block][vector], totals[row][vector]);
                        totals[row][vector] =
                            P::finish(simd, sums[row][vector], scale, column, total);
                    }
                }
            }
            for row in 0..ROWS {
                let out = &mut out[row * place.width..][place.first..place.width];
                if whole {
                    let out = &mut out[..PANEL_VECTORS * S::LANES];
                    for vector in 0..PANEL_VECTORS {
                        let out = &mut out[vector * S::LANES..][..S::LANES];
                        epilogue.apply(simd, totals[row][vector], out);
                    }
                } else {
                    for (values, out) in totals[row].iter().zip(out.chunks_mut(S::LANES)) {
                        epilogue.apply(simd, *values, out);
                    }
                }
            }
        });
    }
}

/// The first `length` groups of each of `ROWS` rows that lie `stride` groups apart.
#[inline(always)]
fn row_slices<T, const ROWS: usize>(rows: &[T], stride: usize, length: usize) -> [&[T]; ROWS] {
    let mut slices: [&[T]; ROWS] = [&[]; ROWS];
    for (row, slice) in slices.iter_mut().enumerate() {
        *slice = &rows[row * stride..][..length];
    }
    slices
}
