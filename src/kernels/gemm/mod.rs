//! Products of activations and weights that are packed once.
//!
//! Weights `[outputs, inputs]` are packed into panels, each of as many outputs as two vectors have
//! lanes, so that the inner loop reads them in order. A tile of at most [`Simd::TILE_ROWS`] rows by
//! one panel is summed in registers over the whole inner dimension and handed to an [`Epilogue`]
//! while it is there. Every sum is taken in the same order whatever the rows beside it, so that a
//! row's result depends on that row alone.

mod bf16;
mod single;
#[cfg(test)]
mod tests;
mod w8a16;
mod w8a8;

pub(crate) use bf16::Bf16;
pub(crate) use single::Single;
pub(crate) use w8a8::W8A8;
pub(crate) use w8a16::W8A16;

use std::ops::Range;

use super::{
    activation::{Activation, activate},
    matrix::Matrix,
    simd::{MAX_LANES, Operation, Simd, load, store},
};

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
pub(super) use with_rows;

/// Vectors across a panel.
pub(super) const PANEL_VECTORS: usize = 2;

/// Numbers across a panel, by vectors.
pub(crate) type Panel<T> = [T; PANEL_VECTORS];

/// A panel's weights, an entry for each group of inputs, and its scales, one for each block.
type PackedPanel<'a, V, C> = (&'a [Panel<V>], &'a [Panel<C>]);

/// How numbers are stored and multiplied.
pub(crate) trait Product<S: Simd>: Copy + Send + Sync + 'static {
    /// Activations in a group.
    const GROUP: usize;
    /// Groups in a block, the last of a row excepted: sums are made numbers at the end of each.
    const BLOCK: usize = usize::MAX;
    /// The most rows of a register tile.
    const TILE_ROWS: usize = S::TILE_ROWS;
    /// Whether the groups of a tile's rows lie side by side, as they are multiplied: the first of each row, then the
    /// second. Else rows lie one after another.
    const INTERLEAVED: bool = false;
    /// Whether activations are rounded to bytes, so that computing them more exactly than that is in vain.
    const BYTES: bool = false;
    /// Rows that [`MultiplyPrepare`] computes one after another, in whole tiles: as many as the nearest memory
    /// holds with a block of their results.
    const STRIP_ROWS: usize = usize::MAX;

    /// Neighbouring activations of a row that are multiplied at once.
    type Group: Copy + Default + Send + Sync;
    /// How a row's block of activations was brought into its form.
    type RowScale: Copy + Default + Send + Sync;
    /// A group of activations in every lane.
    type Activation: Copy;
    /// A vector of weights.
    type Vector: Copy + Send + Sync;
    /// A vector of sums.
    type Sum: Copy;
    /// All weights of a layer.
    type Weights: Send + Sync;
    /// What a block's sums of a vector of outputs are multiplied by.
    type ColumnScale: Copy + Send + Sync;

    /// Packs weights.
    fn pack(simd: S, weights: &Matrix) -> Self::Weights;

    /// The weights of a panel, an entry for each group of inputs, and the scales of its blocks;
    /// `scratch` may hold weights.
    fn panel<'a>(
        simd: S,
        weights: &'a Self::Weights,
        panel: usize,
        scratch: &'a mut Vec<Panel<Self::Vector>>,
    ) -> PackedPanel<'a, Self::Vector, Self::ColumnScale>;

    /// Brings a row of activations into the form that is multiplied. There is a group for every `GROUP` numbers of
    /// `row`, each `step` after the one before, and a scale for every `BLOCK` groups.
    fn prepare(
        simd: S,
        row: &[f32],
        out: &mut [Self::Group],
        step: usize,
        scales: &mut [Self::RowScale],
    );

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

/// A linear layer with packed weights: `outputs = inputs * weights + bias`.
pub(crate) struct Linear<S: Simd, P: Product<S>> {
    inputs: usize,
    outputs: usize,
    weights: P::Weights,
    bias: Vec<Panel<S::F32>>,
}

impl<S: Simd, P: Product<S>> Linear<S, P> {
    /// Packs a layer; `bias` has a number for every output.
    pub(crate) fn new(simd: S, matrix: &Matrix, bias: &[f32]) -> Self {
        assert_eq!(bias.len(), matrix.outputs);
        let width = PANEL_VECTORS * S::LANES;
        let bias = bias.chunks(width).map(|columns| {
            let mut padded = [0.0; PANEL_VECTORS * MAX_LANES];
            padded[..columns.len()].copy_from_slice(columns);
            [simd.load(&padded), simd.load(&padded[S::LANES..])]
        });
        Self {
            inputs: matrix.inputs,
            outputs: matrix.outputs,
            bias: bias.collect(),
            weights: P::pack(simd, matrix),
        }
    }

    /// Numbers in a row of output.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }
}

/// Rows of activations in the form that a product takes.
pub(crate) struct Activations<S: Simd, P: Product<S>> {
    groups: Vec<P::Group>,
    scales: Vec<P::RowScale>,
    /// Groups in a row.
    width: usize,
    /// Blocks in a row.
    blocks: usize,
}

impl<S: Simd, P: Product<S>> Activations<S, P> {
    /// Makes room for rows of so many numbers.
    fn resize(&mut self, rows: usize, columns: usize) {
        self.width = columns.div_ceil(P::GROUP);
        self.blocks = self.width.div_ceil(P::BLOCK);
        self.groups.resize(rows * self.width, P::Group::default());
        self.scales.resize(rows * self.blocks, P::RowScale::default());
    }

    /// Brings a row's numbers into their form, from column `first` on, with which a block begins.
    #[inline(always)]
    fn prepare(&mut self, simd: S, row: usize, first: usize, numbers: &[f32]) {
        let (first, groups) = (first / P::GROUP, numbers.len().div_ceil(P::GROUP));
        let (block, blocks) = (first / P::BLOCK, groups.div_ceil(P::BLOCK));
        let (start, step) = self.place(row);
        let groups = &mut self.groups[start + first * step..][..(groups - 1) * step + 1];
        let scales = &mut self.scales[row * self.blocks + block..][..blocks];
        P::prepare(simd, numbers, groups, step, scales);
    }

    /// Where the first group of a row is, and how far the second is from it.
    #[inline(always)]
    fn place(&self, row: usize) -> (usize, usize) {
        if !P::INTERLEAVED {
            return (row * self.width, 1);
        }
        let above = row - row % P::TILE_ROWS;
        let rows = self.scales.len() / self.blocks;
        (above * self.width + row - above, P::TILE_ROWS.min(rows - above))
    }

    /// How many rows there are, which a layer is to take.
    #[inline(always)]
    fn rows_for(&self, linear: &Linear<S, P>) -> usize {
        assert_eq!(self.width, linear.inputs.div_ceil(P::GROUP), "activations of another layer");
        self.scales.len() / self.blocks
    }
}

impl<S: Simd, P: Product<S>> Default for Activations<S, P> {
    fn default() -> Self {
        Self { groups: Vec::new(), scales: Vec::new(), width: 1, blocks: 1 }
    }
}

/// Brings rows of `columns` numbers into the form that a product takes.
pub(crate) struct Prepare<'a, S: Simd, P: Product<S>> {
    pub(crate) rows: &'a [f32],
    pub(crate) columns: usize,
    pub(crate) out: &'a mut Activations<S, P>,
}

impl<S: Simd, P: Product<S>> Operation<S> for Prepare<'_, S, P> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Self { rows, columns, out } = self;
        out.resize(rows.len() / columns, columns);
        for (row, numbers) in rows.chunks_exact(columns).enumerate() {
            out.prepare(simd, row, 0, numbers);
        }
    }
}

/// What becomes of a tile's finished values.
pub(crate) trait Epilogue<S: Simd> {
    /// Takes the values of one row and panel; `out` is where they belong, a vector's lanes or, at
    /// the end of a row, fewer.
    fn apply(&self, simd: S, values: S::F32, out: &mut [f32]);
}

/// Writes the values.
pub(crate) struct Store;

impl<S: Simd> Epilogue<S> for Store {
    #[inline(always)]
    fn apply(&self, simd: S, values: S::F32, out: &mut [f32]) {
        store(simd, values, out);
    }
}

/// Adds the values to what is there: a residual connection.
pub(crate) struct Accumulate;

impl<S: Simd> Epilogue<S> for Accumulate {
    #[inline(always)]
    fn apply(&self, simd: S, values: S::F32, out: &mut [f32]) {
        store(simd, simd.add(load(simd, out, 0.0), values), out);
    }
}

/// Memory that products work in.
pub(crate) struct MultiplyScratch<S: Simd, P: Product<S>> {
    panel: Vec<Panel<P::Vector>>,
    /// Results in single precision, before they are activated.
    results: Vec<f32>,
}

impl<S: Simd, P: Product<S>> Default for MultiplyScratch<S, P> {
    fn default() -> Self {
        Self { panel: Vec::new(), results: Vec::new() }
    }
}

/// Multiplies rows of activations by a layer's weights.
pub(crate) struct Multiply<'a, S: Simd, P: Product<S>, E> {
    pub(crate) activations: &'a Activations<S, P>,
    pub(crate) linear: &'a Linear<S, P>,
    pub(crate) epilogue: E,
    /// `[rows, outputs]`
    pub(crate) out: &'a mut [f32],
    pub(crate) scratch: &'a mut MultiplyScratch<S, P>,
}

impl<S: Simd, P: Product<S>, E: Epilogue<S>> Operation<S> for Multiply<'_, S, P, E> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Self { activations, linear, epilogue, out, scratch } = self;
        let (rows, width) = (activations.rows_for(linear), linear.outputs);
        assert_eq!(out.len(), rows * width, "rows of output");
        for panel in 0..linear.bias.len() {
            let first = panel * PANEL_VECTORS * S::LANES;
            let place = Place { out: &mut *out, width, first };
            let memory = &mut scratch.panel;
            multiply_panel(simd, activations, 0..rows, linear, panel, &epilogue, place, memory);
        }
    }
}

/// Multiplies rows of activations by a layer's weights, puts the results through an activation function,
/// and brings them into the form that the next product takes.
pub(crate) struct MultiplyPrepare<'a, S: Simd, P: Product<S>, A> {
    pub(crate) activations: &'a Activations<S, P>,
    pub(crate) linear: &'a Linear<S, P>,
    pub(crate) activation: A,
    pub(crate) out: &'a mut Activations<S, P>,
    pub(crate) scratch: &'a mut MultiplyScratch<S, P>,
}

impl<S: Simd, P: Product<S>, A: Activation> Operation<S> for MultiplyPrepare<'_, S, P, A> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Self { activations, linear, activation, out, scratch } = self;
        let MultiplyScratch { panel: memory, results } = scratch;
        let rows = activations.rows_for(linear);
        out.resize(rows, linear.outputs);
        // What a block of results needs is computed for a strip of rows, and prepared while it is near.
        const { assert!(!P::INTERLEAVED || P::STRIP_ROWS % P::TILE_ROWS == 0, "whole tiles") };
        let columns = P::GROUP.saturating_mul(P::BLOCK).min(linear.outputs);
        let (panel_columns, strip) = (PANEL_VECTORS * S::LANES, P::STRIP_ROWS.min(rows.max(1)));
        results.resize(strip * columns, 0.0);
        for first in (0..linear.outputs).step_by(columns) {
            let width = columns.min(linear.outputs - first);
            for start in (0..rows).step_by(strip) {
                let rows = start..rows.min(start + strip);
                let results = &mut results[..rows.len() * width];
                for at in (0..width).step_by(panel_columns) {
                    let panel = (first + at) / panel_columns;
                    let place = Place { out: &mut *results, width, first: at };
                    let rows = rows.clone();
                    multiply_panel(simd, activations, rows, linear, panel, &Store, place, memory);
                }
                for (row, results) in rows.zip(results.chunks_exact_mut(width)) {
                    activate(simd, activation, results);
                    out.prepare(simd, row, first, results);
                }
            }
        }
    }
}

/// Where a panel's results belong: rows of `width` numbers, from the number `first` of each.
struct Place<'a> {
    out: &'a mut [f32],
    width: usize,
    first: usize,
}

/// Multiplies some rows by a panel.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
// Iterators over vectors may miss the instruction set.
#[allow(clippy::needless_range_loop)]
fn multiply_panel<S: Simd, P: Product<S>, E: Epilogue<S>>(
    simd: S,
    activations: &Activations<S, P>,
    rows: Range<usize>,
    linear: &Linear<S, P>,
    panel: usize,
    epilogue: &E,
    place: Place<'_>,
    memory: &mut Vec<Panel<P::Vector>>,
) {
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
