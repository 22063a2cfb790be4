//! Products of activations and weights that are packed once.
//!
//! Weights `[outputs, inputs]` are packed into panels of outputs, so that the inner loop reads them in order. Some
//! rows by one panel are summed over the whole inner dimension, by vectors in registers (`vectors.rs`) or by the
//! CPU's tiles (`tiles.rs`), and handed to an [`Epilogue`] while they are near. Every sum is taken in the same order
//! whatever the rows beside it, so that a row's result depends on that row alone.

mod bf16;
mod single;
#[cfg(test)]
mod tests;
#[cfg(any(test, target_arch = "x86_64"))]
mod tiles;
mod vectors;
mod w8a16;
mod w8a8;

pub(crate) use bf16::Bf16;
pub(crate) use single::Single;
#[cfg(target_arch = "x86_64")]
pub(crate) use tiles::{TiledBf16, TiledSingle, TiledW8A16};
pub(super) use vectors::{PANEL_VECTORS, Panel, VectorProduct, with_rows};
pub(crate) use w8a8::W8A8;
pub(crate) use w8a16::W8A16;

use std::ops::Range;

use super::{
    activation::{Activation, activate},
    lines::Lines,
    matrix::Matrix,
    simd::{MAX_LANES, Operation, Simd, load, store},
};

/// How numbers are stored and multiplied.
pub(crate) trait Product<S: Simd>: Copy + Send + Sync + 'static {
    /// Activations in a group.
    const GROUP: usize;
    /// Groups in a block, the last of a row excepted: sums are made numbers at the end of each.
    const BLOCK: usize = usize::MAX;
    /// The most rows that are summed at once.
    const TILE_ROWS: usize;
    /// Outputs in a panel.
    const PANEL_COLUMNS: usize;
    /// Whether the groups of a tile's rows lie side by side, as they are multiplied: the first of each row, then the
    /// second. Else rows lie one after another.
    const INTERLEAVED: bool = false;
    /// Whether the last tile has room for as many rows as the others.
    const WHOLE_TILES: bool = false;
    /// Whether activations are rounded to eight bits, so that computing them more exactly than that is in vain.
    const EIGHT_BITS: bool = false;
    /// Rows that [`MultiplyPrepare`] computes one after another, in whole tiles: as many as the nearest memory
    /// holds with a strip of their results.
    const STRIP_ROWS: usize = usize::MAX;
    /// Results of a row that [`MultiplyPrepare`] computes before it prepares them, in whole blocks.
    const STRIP_COLUMNS: usize = Self::GROUP.saturating_mul(Self::BLOCK);

    /// Rows, of a token each, in a batch: few enough that their activations stay in a core's cache, more where the
    /// weights that are read for each batch are larger.
    const BATCH_TOKENS: usize = 128;

    /// Neighbouring activations of a row that are multiplied at once.
    type Group: Copy + Default + Send + Sync;
    /// How a row's block of activations was brought into its form.
    type RowScale: Copy + Default + Send + Sync;
    /// All weights of a layer.
    type Weights: Send + Sync;
    /// Memory that a panel is multiplied in.
    type Memory: Default + Send;
    /// What multiplies, set up for it.
    type Multiplier;

    /// Packs weights.
    fn pack(simd: S, weights: &Matrix) -> Self::Weights;

    /// Brings a row of activations into the form that is multiplied. There is a group for every `GROUP` numbers of
    /// `row`, each `step` after the one before, and a scale for every `BLOCK` groups.
    fn prepare(
        simd: S,
        row: &[f32],
        out: &mut [Self::Group],
        step: usize,
        scales: &mut [Self::RowScale],
    );

    /// Sets up what multiplies.
    fn multiplier(simd: S) -> Self::Multiplier;

    /// Multiplies some rows by a panel.
    fn multiply_panel<E: Epilogue<S>>(
        simd: S,
        multiplier: &Self::Multiplier,
        factors: Factors<'_, S, Self>,
        epilogue: &E,
        place: Place<'_>,
        memory: &mut Self::Memory,
    );
}

/// Some rows of activations, and a panel of weights.
pub(crate) struct Factors<'a, S: Simd, P: Product<S>> {
    activations: &'a Activations<S, P>,
    rows: Range<usize>,
    linear: &'a Linear<S, P>,
    panel: usize,
}

/// Where a panel's results belong: rows of `width` numbers, from the number `first` of each.
pub(crate) struct Place<'a> {
    out: &'a mut [f32],
    width: usize,
    first: usize,
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
        let room = if P::WHOLE_TILES { rows.next_multiple_of(P::TILE_ROWS) } else { rows };
        self.groups.resize(room * self.width, P::Group::default());
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
        let rows = self.groups.len() / self.width;
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
    panel: P::Memory,
    /// Results in single precision, before they are activated.
    results: Lines,
}

impl<S: Simd, P: Product<S>> Default for MultiplyScratch<S, P> {
    fn default() -> Self {
        Self { panel: P::Memory::default(), results: Lines::default() }
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
        let multiplier = P::multiplier(simd);
        for (panel, first) in (0..width).step_by(P::PANEL_COLUMNS).enumerate() {
            let factors = Factors { activations, rows: 0..rows, linear, panel };
            let place = Place { out: &mut *out, width, first };
            P::multiply_panel(simd, &multiplier, factors, &epilogue, place, &mut scratch.panel);
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
        // Some results are computed for a strip of rows, and prepared while they are near.
        const { assert!(!P::INTERLEAVED || P::STRIP_ROWS % P::TILE_ROWS == 0, "whole tiles") };
        let (columns, strip) =
            (P::STRIP_COLUMNS.min(linear.outputs), P::STRIP_ROWS.min(rows.max(1)));
        results.resize(strip * columns);
        let multiplier = P::multiplier(simd);
        for first in (0..linear.outputs).step_by(columns) {
            let width = columns.min(linear.outputs - first);
            for start in (0..rows).step_by(strip) {
                let rows = start..rows.min(start + strip);
                let results = &mut results[..rows.len() * width];
                for at in (0..width).step_by(P::PANEL_COLUMNS) {
                    let panel = (first + at) / P::PANEL_COLUMNS;
                    let factors = Factors { activations, rows: rows.clone(), linear, panel };
                    let place = Place { out: &mut *results, width, first: at };
                    P::multiply_panel(simd, &multiplier, factors, &Store, place, memory);
                }
                for (row, results) in rows.zip(results.chunks_exact_mut(width)) {
                    activate(simd, activation, results);
                    out.prepare(simd, row, first, results);
                }
            }
        }
    }
}
