//! Products of activations and weights that are packed once.
//!
//! Weights `[outputs, inputs]` are packed into panels, each of as many outputs as two vectors have
//! lanes, so that the inner loop reads them in order. A tile of at most [`Simd::TILE_ROWS`] rows by
//! one panel is summed in registers over the whole inner dimension and handed to an [`Epilogue`]
//! while it is there. Every sum is taken in the same order whatever the rows beside it, so that a
//! row's result depends on that row alone.

mod int8;
mod single;
#[cfg(test)]
mod tests;

pub(crate) use int8::Int8;
pub(crate) use single::Single;

use super::{
    activation::Activation,
    matrix::Matrix,
    simd::{MAX_LANES, Operation, Simd, load, store},
};

/// Evaluates an expression with a constant equal to a number of rows.
macro_rules! with_rows {
    ($simd:ty, $count:expr, $rows:ident => $body:expr) => {
        with_rows!(@ $simd, $count, $rows => $body; 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    (@ $simd:ty, $count:expr, $rows:ident => $body:expr; $($n:literal)*) => {
        match $count {
            $($n if $n <= <$simd>::TILE_ROWS => {
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

/// How numbers are stored and multiplied.
pub(crate) trait Product<S: Simd>: Copy + Send + Sync + 'static {
    /// Activations in a group.
    const GROUP: usize;

    /// Neighbouring activations of a row that are multiplied at once.
    type Group: Copy + Default + Send + Sync;
    /// What a group of activations was divided by, for the whole row.
    type RowScale: Copy + Default + Send + Sync;
    /// A group of activations in every lane, or a vector of weights.
    type Vector: Copy + Send + Sync;
    /// A vector of sums.
    type Sum: Copy;
    /// All weights of a layer.
    type Weights: Send + Sync;
    /// What a panel's sums are multiplied by.
    type ColumnScale: Copy + Send + Sync;

    /// Packs weights.
    fn pack(simd: S, weights: &Matrix) -> Self::Weights;

    /// The weights of a panel, one entry for each group of inputs; `scratch` may hold them.
    fn panel<'a>(
        simd: S,
        weights: &'a Self::Weights,
        panel: usize,
        scratch: &'a mut Vec<Panel<Self::Vector>>,
    ) -> (&'a [Panel<Self::Vector>], Self::ColumnScale);

    /// Brings a row of activations into the form that is multiplied. `out` has a group for every
    /// `GROUP` numbers of `row`.
    fn prepare(simd: S, row: &[f32], out: &mut [Self::Group]) -> Self::RowScale;

    /// What a sum begins with.
    fn zero(simd: S) -> Self::Sum;

    /// A group of activations in every lane.
    fn splat(simd: S, group: Self::Group) -> Self::Vector;

    /// Adds the product of activations and weights.
    fn multiply_add(
        simd: S,
        sum: Self::Sum,
        activations: Self::Vector,
        weights: Self::Vector,
    ) -> Self::Sum;

    /// A finished sum of a panel's given vector in single precision, `bias` added.
    fn finish(
        simd: S,
        sum: Self::Sum,
        row: Self::RowScale,
        column: Self::ColumnScale,
        vector: usize,
        bias: S::F32,
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
}

impl<S: Simd, P: Product<S>> Default for Activations<S, P> {
    fn default() -> Self {
        Self { groups: Vec::new(), scales: Vec::new(), width: 1 }
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
        let count = rows.len() / columns;
        out.width = columns.div_ceil(P::GROUP);
        out.groups.resize(count * out.width, P::Group::default());
        out.scales.resize(count, P::RowScale::default());
        let prepared = out.groups.chunks_exact_mut(out.width).zip(&mut out.scales);
        for (row, (groups, scale)) in rows.chunks_exact(columns).zip(prepared) {
            *scale = P::prepare(simd, row, groups);
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

/// Writes what an activation function makes of the values.
pub(crate) struct Activate<A>(pub(crate) A);

impl<S: Simd, A: Activation> Epilogue<S> for Activate<A> {
    #[inline(always)]
    fn apply(&self, simd: S, values: S::F32, out: &mut [f32]) {
        store(simd, self.0.apply(simd, values), out);
    }
}

/// Multiplies rows of activations by a layer's weights.
pub(crate) struct Multiply<'a, S: Simd, P: Product<S>, E> {
    pub(crate) activations: &'a Activations<S, P>,
    pub(crate) linear: &'a Linear<S, P>,
    pub(crate) epilogue: E,
    /// `[rows, outputs]`
    pub(crate) out: &'a mut [f32],
    pub(crate) scratch: &'a mut Vec<Panel<P::Vector>>,
}

impl<S: Simd, P: Product<S>, E: Epilogue<S>> Operation<S> for Multiply<'_, S, P, E> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: S) {
        let Self { activations: Activations { groups, scales, width }, linear, .. } = self;
        let outputs = linear.outputs;
        assert_eq!(*width, linear.inputs.div_ceil(P::GROUP), "activations of another layer");
        assert_eq!(self.out.len(), scales.len() * outputs, "rows of output");
        for (index, &bias) in linear.bias.iter().enumerate() {
            let (panel, column) = P::panel(simd, &linear.weights, index, self.scratch);
            let first = index * PANEL_VECTORS * S::LANES;
            let tiles = groups.chunks(S::TILE_ROWS * width).zip(scales.chunks(S::TILE_ROWS));
            for ((groups, scales), out) in tiles.zip(self.out.chunks_mut(S::TILE_ROWS * outputs)) {
                with_rows!(S, scales.len(), ROWS => {
                    let sums = tile::<S, P, ROWS>(simd, groups, *width, panel);
                    for row in 0..ROWS {
                        for vector in 0..PANEL_VECTORS {
                            let value = P::finish(
                                simd, sums[row][vector], scales[row], column, vector, bias[vector],
                            );
                            let at = row * outputs + first + vector * S::LANES;
                            let end = (at + S::LANES).min((row + 1) * outputs);
                            if at < end {
                                self.epilogue.apply(simd, value, &mut out[at..end]);
                            }
                        }
                    }
                });
            }
        }
    }
}

/// Sums of products of `ROWS` rows and a panel. Rows lie `stride` groups apart.
#[inline(always)]
pub(super) fn tile<S: Simd, P: Product<S>, const ROWS: usize>(
    simd: S,
    rows: &[P::Group],
    stride: usize,
    panel: &[Panel<P::Vector>],
) -> [Panel<P::Sum>; ROWS] {
    // Plain loops: what closures and iterators hide may miss the instruction set.
    let mut slices: [&[P::Group]; ROWS] = [&[]; ROWS];
    for (row, slice) in slices.iter_mut().enumerate() {
        *slice = &rows[row * stride..][..panel.len()];
    }
    let mut sums = [[P::zero(simd); PANEL_VECTORS]; ROWS];
    for (group, weights) in panel.iter().enumerate() {
        for row in 0..ROWS {
            let activations = P::splat(simd, slices[row][group]);
            for vector in 0..PANEL_VECTORS {
                sums[row][vector] =
                    P::multiply_add(simd, sums[row][vector], activations, weights[vector]);
            }
        }
    }
    sums
}
