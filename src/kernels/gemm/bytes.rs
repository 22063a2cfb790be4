//! Weights in int8, with a scale for each output; activations in bytes, with a scale for each block of a
//! row; sums of a block in integers, exact.
//!
//! A block of activations `x` becomes bytes `b` with `x = least + scale b`, so that all that has to be
//! known of the least is the sum of the weights:
//!
//! `sum of x w = scale (sum of b w) + least (sum of w)`
//!
//! Blocks are short, since a few activations are far larger than the rest, and make their neighbours
//! coarse.
//!
//! AVX2 multiplies bytes in 16 bits, which saturate, so weights have to be small: four that are summed in
//! 16 bits are at most 128 together. Weights of seven bits nearly always are. Larger ones are rounded to
//! that when they are packed, on every instruction set, so that all compute the same.

use super::{PANEL_VECTORS, PackedPanel, Panel, Product};
use crate::kernels::{
    matrix::Matrix,
    simd::{MAX_LANES, Simd, load},
};

/// Products of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes;

/// Quads in a group, whose products are summed in 16 bits.
const QUADS: usize = 2;

/// Activations in a group.
const GROUP: usize = 4 * QUADS;

/// The most that weights of a group are together, signs left out, in the first two places of its quads
/// and in the last two: products with unsigned bytes are within 16 bits in sum.
const WEIGHTS_MAX: u32 = 128;

/// The greatest weight of an output that is rounded.
const WEIGHT_MAX: f32 = 56.0;

/// Groups in a block: 128 activations.
const BLOCK: usize = 16;

/// Panels one after another.
pub(crate) struct ByteWeights<S: Simd> {
    /// For each group of inputs, for each vector of the panel, the quads of weights for each output.
    quads: Vec<Panel<[S::I32; QUADS]>>,
    /// For each block of inputs.
    scales: Vec<Panel<ByteColumns<S>>>,
    /// Panels.
    count: usize,
}

/// What a block's sums are multiplied by, for each output of a vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteColumns<S: Simd> {
    /// Of the weights.
    scale: S::F32,
    /// The sum of the block's weights, scaled.
    sum: S::F32,
}

/// A block's activations are `least`, and `scale` times its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ByteScale {
    pub(super) least: f32,
    pub(super) scale: f32,
}

impl<S: Simd> Product<S> for Bytes {
    const GROUP: usize = GROUP;
    const BLOCK: usize = BLOCK;
    const TILE_ROWS: usize = S::BYTE_TILE_ROWS;
    const STRIP_ROWS: usize = 24;

    type Group = [[u8; 4]; QUADS];
    type RowScale = ByteScale;
    type Vector = [S::I32; QUADS];
    type Sum = S::I32;
    type Weights = ByteWeights<S>;
    type ColumnScale = ByteColumns<S>;

    fn pack(simd: S, weights: &Matrix) -> Self::Weights {
        let Matrix { inputs, outputs, .. } = *weights;
        let width = PANEL_VECTORS * S::LANES;
        let groups = inputs.div_ceil(GROUP);
        let count = outputs.div_ceil(width);
        let mut quads = Vec::with_capacity(count * groups);
        let mut scales = Vec::with_capacity(count * groups.div_ceil(BLOCK));
        for first in (0..outputs).step_by(width) {
            let mut panel = vec![vec![[[0; 4]; QUADS]; groups]; width];
            let mut column_scales = vec![0.0; width];
            for (column, output) in (first..outputs.min(first + width)).enumerate() {
                let (row, scale) = small_weights(weights, output);
                panel[column].as_flattened_mut().as_flattened_mut()[..inputs].copy_from_slice(&row);
                column_scales[column] = scale;
            }
            for group in 0..groups {
                let vector = |columns: &[Vec<[[i8; 4]; QUADS]>]| {
                    std::array::from_fn(|quad| {
                        let quads = columns.iter().map(|column| column[group][quad]);
                        simd.load_quads(&quads.collect::<Vec<_>>())
                    })
                };
                let (left, right) = panel.split_at(S::LANES);
                quads.push([vector(left), vector(right)]);
            }
            for block in 0..groups.div_ceil(BLOCK) {
                let sums = panel.iter().zip(&column_scales).map(|(column, scale)| {
                    let groups = &column[block * BLOCK..groups.min((block + 1) * BLOCK)];
                    let weights = groups.as_flattened().as_flattened().iter();
                    scale * weights.map(|&weight| f32::from(weight)).sum::<f32>()
                });
                let sums: Vec<_> = sums.collect();
                scales.push([0, S::LANES].map(|lane| ByteColumns {
                    scale: simd.load(&column_scales[lane..]),
                    sum: simd.load(&sums[lane..]),
                }));
            }
        }
        ByteWeights { quads, scales, count }
    }

    #[inline(always)]
    fn panel<'a>(
        _: S,
        weights: &'a Self::Weights,
        panel: usize,
        _: &'a mut Vec<Panel<Self::Vector>>,
    ) -> PackedPanel<'a, Self::Vector, ByteColumns<S>> {
        let (groups, blocks) =
            (weights.quads.len() / weights.count, weights.scales.len() / weights.count);
        (&weights.quads[panel * groups..][..groups], &weights.scales[panel * blocks..][..blocks])
    }

    #[inline(always)]
    fn prepare(simd: S, row: &[f32], out: &mut [Self::Group], scales: &mut [ByteScale]) {
        let blocks = row.chunks(GROUP * BLOCK).zip(out.chunks_mut(BLOCK)).zip(scales);
        for ((numbers, groups), scale) in blocks {
            *scale = prepare_block(simd, numbers, groups.as_flattened_mut());
        }
    }

    #[inline(always)]
    fn zero(simd: S) -> S::I32 {
        simd.zeros()
    }

    #[inline(always)]
    fn splat(simd: S, group: &Self::Group) -> Self::Vector {
        let mut vector = [simd.zeros(); QUADS];
        for quad in 0..QUADS {
            vector[quad] = simd.splat_quad(group[quad]);
        }
        vector
    }

    #[inline(always)]
    fn multiply_add(
        simd: S,
        sum: S::I32,
        activations: Self::Vector,
        weights: Self::Vector,
    ) -> S::I32 {
        let mut partial = simd.multiply_quads(activations[0], weights[0]);
        for quad in 1..QUADS {
            partial = simd.add_quads(partial, activations[quad], weights[quad]);
        }
        simd.gather(sum, partial)
    }

    #[inline(always)]
    fn finish(
        simd: S,
        sum: S::I32,
        row: ByteScale,
        column: ByteColumns<S>,
        total: S::F32,
    ) -> S::F32 {
        let total = simd.mul_add(simd.splat(row.least), column.sum, total);
        let scale = simd.mul(simd.splat(row.scale), column.scale);
        simd.mul_add(simd.float(sum), scale, total)
    }
}

/// An output's weights, small enough for exact sums, and their scale: those that are stored where they
/// are, or else the nearest multiples of a 56th of the greatest, of which few have to be made smaller.
pub(super) fn small_weights(weights: &Matrix, output: usize) -> (Vec<i8>, f32) {
    let (stored, scale) = weights.quantized(output);
    if stored.chunks(GROUP).all(|group| [0, 1].into_iter().all(|half| excess(group, half) == 0)) {
        return (stored, scale);
    }
    let row = weights.row(output);
    let greatest = row.iter().fold(0.0_f32, |greatest, weight| greatest.max(weight.abs()));
    let scale = greatest / WEIGHT_MAX;
    let mut rounded: Vec<_> =
        row.iter().map(|weight| (weight / scale).round_ties_even() as i8).collect();
    for group in rounded.chunks_mut(GROUP) {
        for half in [0, 1] {
            for _ in 0..excess(group, half) {
                let largest = summed(group.len(), half).max_by_key(|&at| group[at].unsigned_abs());
                if let Some(largest) = largest {
                    group[largest] -= group[largest].signum();
                }
            }
        }
    }
    (rounded, scale)
}

/// The places of a group's weights whose products meet in one sum of 16 bits: the first two of every
/// quad, or the last two.
fn summed(length: usize, half: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |at| at % 4 / 2 == half)
}

/// By how much such weights are too large together.
fn excess(group: &[i8], half: usize) -> u32 {
    let sum: u32 = summed(group.len(), half).map(|at| u32::from(group[at].unsigned_abs())).sum();
    sum.saturating_sub(WEIGHTS_MAX)
}

/// A block of activations as quads of bytes.
#[inline(always)]
fn prepare_block<S: Simd>(simd: S, numbers: &[f32], out: &mut [[u8; 4]]) -> ByteScale {
    let zero = simd.splat(0.0);
    let (mut least, mut greatest) = (simd.splat(numbers[0]), simd.splat(numbers[0]));
    for values in numbers.chunks(S::LANES) {
        let values = load(simd, values, numbers[0]);
        least = simd.min(values, least);
        greatest = simd.max(values, greatest);
    }
    let (least, greatest) = (-simd.greatest(simd.sub(zero, least)), simd.greatest(greatest));
    let scale = (greatest - least) / 255.0;
    // Numbers that are all the same need no bytes; and no factor may be infinite.
    let inverse = if scale >= f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 };
    let (leasts, inverses) = (simd.splat(least), simd.splat(inverse));
    for (values, out) in numbers.chunks(S::LANES).zip(out.chunks_mut(S::LANES / 4)) {
        let above = simd.sub(load(simd, values, least), leasts);
        let bytes = simd.round(simd.mul(above, inverses));
        if out.len() == S::LANES / 4 {
            simd.narrow_to_bytes(bytes, out);
        } else {
            let mut padded = [[0; 4]; MAX_LANES / 4];
            simd.narrow_to_bytes(bytes, &mut padded);
            out.copy_from_slice(&padded[..out.len()]);
        }
    }
    ByteScale { least, scale }
}

/// Activations `[rows, inputs]` as bytes, and the scale of each block.
#[cfg(test)]
pub(super) fn byte_rows<S: Simd>(
    activations: &super::Activations<S, Bytes>,
    inputs: usize,
) -> Vec<(Vec<u8>, Vec<ByteScale>)> {
    let super::Activations { groups, scales, width, blocks } = activations;
    let rows = groups.chunks(*width).zip(scales.chunks(*blocks));
    rows.map(|(groups, scales)| {
        (groups.as_flattened().as_flattened()[..inputs].to_vec(), scales.to_vec())
    })
    .collect()
}
