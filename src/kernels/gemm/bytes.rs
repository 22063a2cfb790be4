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
//! AVX2 multiplies bytes in 16 bits, which saturate, so weights have to be small: of four that are summed in
//! 16 bits, those of one sign are at most 128 together. Larger ones are rounded to about seven bits when
//! they are packed, with a scale for each block, on every instruction set, so that all compute the same.

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

/// The most that weights of one sign are together in the first two places of a group's quads, and in the
/// last two: products with unsigned bytes are within 16 bits in sum.
const WEIGHTS_MAX: i16 = 128;

/// The root mean square of a block's weights that are rounded: smaller, and more is lost by rounding;
/// larger, and more by weights that are made smaller.
const ROOT_MEAN_SQUARE: f32 = 17.0;

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
            let columns: Vec<_> =
                (first..first + width).map(|output| Column::new(weights, output)).collect();
            let (left, right) = columns.split_at(S::LANES);
            for group in 0..groups {
                quads.push([left, right].map(|columns| {
                    std::array::from_fn(|quad| {
                        let mut quads = [[0; 4]; MAX_LANES];
                        for (lane, column) in quads.iter_mut().zip(columns) {
                            *lane = column.groups[group][quad];
                        }
                        simd.load_quads(&quads[..S::LANES])
                    })
                }));
            }
            for block in 0..groups.div_ceil(BLOCK) {
                scales.push([left, right].map(|columns| {
                    let (mut scales, mut sums) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
                    for (lane, column) in columns.iter().enumerate() {
                        scales[lane] = column.scales[block];
                        sums[lane] = column.scales[block] * column.block_sum(block);
                    }
                    ByteColumns { scale: simd.load(&scales), sum: simd.load(&sums) }
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

/// An output's weights, small enough for exact sums.
struct Column {
    groups: Vec<[[i8; 4]; QUADS]>,
    /// For each block.
    scales: Vec<f32>,
}

impl Column {
    /// Nothing but zeros for an output that there is not.
    fn new(weights: &Matrix, output: usize) -> Self {
        let groups = weights.inputs.div_ceil(GROUP);
        let mut column = Self {
            groups: vec![[[0; 4]; QUADS]; groups],
            scales: vec![0.0; groups.div_ceil(BLOCK)],
        };
        if output < weights.outputs {
            let (row, scale) = weights.quantized(output);
            column.groups.as_flattened_mut().as_flattened_mut()[..row.len()].copy_from_slice(&row);
            for (block, block_scale) in column.groups.chunks_mut(BLOCK).zip(&mut column.scales) {
                *block_scale = scale * make_small(block);
            }
        }
        column
    }

    /// The sum of a block's weights, without their scale.
    fn block_sum(&self, block: usize) -> f32 {
        let groups = self.groups.chunks(BLOCK).nth(block).unwrap_or_default();
        groups.as_flattened().as_flattened().iter().map(|&weight| f32::from(weight)).sum()
    }
}

/// Makes a block's weights small enough for exact sums, where they are not, and returns by what they are to
/// be multiplied for that: the nearest multiples of it, of which few have to be made smaller.
pub(super) fn make_small(groups: &mut [[[i8; 4]; QUADS]]) -> f32 {
    let fits = |group| sums(group).as_flattened().iter().all(|&sum| sum <= WEIGHTS_MAX);
    if groups.iter().all(fits) {
        return 1.0;
    }
    let weights = groups.as_flattened_mut().as_flattened_mut();
    let squares: f32 = weights.iter().map(|&weight| f32::from(weight).powi(2)).sum();
    let root_mean_square = (squares / weights.len() as f32).sqrt();
    let factor = (root_mean_square / ROOT_MEAN_SQUARE).max(1.0);
    for weight in weights {
        *weight = nearest(f32::from(*weight) / factor);
    }
    for group in groups {
        for (half, sums) in sums(group).into_iter().enumerate() {
            for (sum, sign) in sums.into_iter().zip([1, -1]) {
                for _ in WEIGHTS_MAX..sum {
                    let summed = group.iter_mut().flat_map(|quad| &mut quad[2 * half..][..2]);
                    if let Some(largest) = summed.max_by_key(|weight| sign * i16::from(**weight)) {
                        *largest -= sign as i8;
                    }
                }
            }
        }
    }
    factor
}

/// The sums of what is summed in 16 bits, signs left out: of the first two weights of a group's quads and of
/// the last two, those above zero and those below.
fn sums(group: &[[i8; 4]; QUADS]) -> [[i16; 2]; 2] {
    let mut sums = [[0; 2]; 2];
    for quad in group {
        for (at, &weight) in quad.iter().enumerate() {
            let weight = i16::from(weight);
            sums[at / 2][0] += weight.max(0);
            sums[at / 2][1] -= weight.min(0);
        }
    }
    sums
}

/// The nearest integer of a small number; of two as near, the even one. Adding so large a number leaves
/// no room for a fraction, and is faster than what targets without an instruction for it call.
fn nearest(number: f32) -> i8 {
    // 1.5 * 2^23
    const LARGE: f32 = 12_582_912.0;
    (number + LARGE - LARGE) as i8
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
