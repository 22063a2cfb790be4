//! Weights in int8, with a scale for each output; activations in bytes; sums of their products in integers, exact.
//!
//! A few activations are far larger than the rest, and make coarse what shares their scale, so few should. But to finish a
//! sum for every few activations would take long. Hence the scales of a block's sub-blocks are integers, the multipliers,
//! times one scale, and sums of the whole block can stay integers. An activation `x` in a sub-block is
//!
//! `x = scale (multiplier byte + offset)`
//!
//! and a block's product with weights `w`, with sums over its sub-blocks and, inside, over a sub-block's activations,
//!
//! `scale (sum of multiplier (sum of byte w) + sum of offset (sum of w))`
//!
//! where AVX2 multiplies by `multiplier` in the instruction that widens partial sums anyway. Where VNNI has summed a sub-block in
//! 32 bits, that sum is made a number, and multiplied and added in single precision, as is then the block's. (llama.cpp's
//! "k-quants" divide blocks of weights alike.)
//!
//! AVX2 multiplies bytes in 16 bits, which saturate, so weights have to be small: of four that are summed in
//! 16 bits, those of one sign are at most 128 together. Larger ones are rounded to about seven bits when
//! they are packed, with a scale for each block, on every instruction set.

use super::{
    Epilogue, Factors, Place, Product,
    vectors::{PANEL_VECTORS, PackedPanel, Panel, VectorProduct, by_vectors, multiply_panel},
};
use crate::kernels::{
    matrix::Matrix,
    simd::{MAX_LANES, Simd},
};

/// Products of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct W8A8;

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

/// Groups in a block: 384 activations, which share a scale.
const BLOCK: usize = OFFSET_GROUPS * OFFSETS;

/// Groups that share an offset: 64 activations.
const OFFSET_GROUPS: usize = 8;

/// Offsets in a block.
const OFFSETS: usize = 6;

/// Groups in a sub-block, which share a multiplier: 16 activations. (32 are 7% faster with VNNI, and move
/// scores by up to 0.034.)
const SUB_BLOCK: usize = 2;

/// Activations in a sub-block.
pub(super) const SUB_BLOCK_SIZE: usize = GROUP * SUB_BLOCK;

/// Room for what a block's sub-blocks have, in whole vectors.
const SUB_BLOCKS_MAX: usize = 32;

/// The greatest multiplier of a sub-block: offsets are within 16 bits, and a block's sums within 32.
const MULTIPLIER_MAX: f32 = 127.0;

/// Steps from a sub-block's least activation to its greatest: one less than bytes have, since rounding the offset
/// moves all by half a step at most.
const STEPS: f32 = 254.0;

/// Panels one after another.
pub(crate) struct ByteWeights<S: Simd> {
    /// For each group of inputs, for each vector of the panel, the quads of weights for each output.
    quads: Vec<Panel<[S::I32; QUADS]>>,
    /// For each block of inputs.
    scales: Vec<Panel<ByteColumns<S>>>,
    /// Panels.
    count: usize,
}

/// What a block's sums need of the weights, for each output of a vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteColumns<S: Simd> {
    scale: S::F32,
    /// The sums of the weights that an offset is for, as pairs.
    sums: [S::I32; OFFSETS / 2],
}

/// A group of activations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ByteGroup {
    pub(super) quads: [[u8; 4]; QUADS],
    /// Of its sub-block, as the instruction set takes it.
    pub(super) multiplier: [u8; 4],
}

/// A block of activations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ByteScale {
    pub(super) scale: f32,
    /// What is added to bytes times multipliers.
    pub(super) offsets: [[i16; 2]; OFFSETS / 2],
}

impl<S: Simd> Product<S> for W8A8 {
    const GROUP: usize = GROUP;
    const BLOCK: usize = BLOCK;
    const TILE_ROWS: usize = S::BYTE_TILE_ROWS;
    const INTERLEAVED: bool = true;
    const EIGHT_BITS: bool = true;
    const STRIP_ROWS: usize = 24;

    by_vectors!(S);

    type Group = ByteGroup;
    type RowScale = ByteScale;
    type Weights = ByteWeights<S>;

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
                    let mut scales = [0.0; MAX_LANES];
                    let mut sums = [[[0; 2]; MAX_LANES]; OFFSETS / 2];
                    for (lane, column) in columns.iter().enumerate() {
                        scales[lane] = column.scales[block];
                        let of_block = column.sums(block);
                        for (sums, pair) in sums.iter_mut().zip(of_block.as_chunks().0) {
                            sums[lane] = *pair;
                        }
                    }
                    ByteColumns {
                        scale: simd.load(&scales),
                        sums: sums.map(|pairs| simd.load_pairs(&pairs)),
                    }
                }));
            }
        }
        ByteWeights { quads, scales, count }
    }

    #[inline(always)]
    fn prepare(simd: S, row: &[f32], out: &mut [ByteGroup], step: usize, scales: &mut [ByteScale]) {
        let blocks = row.chunks(GROUP * BLOCK).zip(out.chunks_mut(BLOCK * step)).zip(scales);
        for ((numbers, groups), scale) in blocks {
            *scale = prepare_block(simd, numbers, groups, step);
        }
    }
}

impl<S: Simd> VectorProduct<S> for W8A8 {
    type Activation = ([S::I32; QUADS], [u8; 4]);
    type Vector = [S::I32; QUADS];
    type Sum = S::Gathered;
    type ColumnScale = ByteColumns<S>;

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
    fn zero(simd: S) -> S::Gathered {
        simd.nothing_gathered()
    }

    #[inline(always)]
    fn splat(simd: S, group: &ByteGroup) -> Self::Activation {
        let mut quads = [simd.zeros(); QUADS];
        for (splat, quad) in quads.iter_mut().zip(&group.quads) {
            *splat = simd.splat_quad(*quad);
        }
        (quads, group.multiplier)
    }

    #[inline(always)]
    fn multiply_add(
        simd: S,
        sum: S::Gathered,
        (activations, multiplier): Self::Activation,
        weights: Self::Vector,
    ) -> S::Gathered {
        let mut partial = simd.multiply_quads(activations[0], weights[0]);
        for quad in 1..QUADS {
            partial = simd.add_quads(partial, activations[quad], weights[quad]);
        }
        simd.gather(sum, partial, multiplier)
    }

    /// Where partial sums have 32 bits, they are those of a whole sub-block.
    #[inline(always)]
    fn tile<const ROWS: usize>(
        simd: S,
        rows: &[ByteGroup],
        _: usize,
        panel: &[Panel<Self::Vector>],
    ) -> [Panel<S::Gathered>; ROWS] {
        // Plain loops: what closures and iterators hide may miss the instruction set.
        let mut sums = [[simd.nothing_gathered(); PANEL_VECTORS]; ROWS];
        let rows = rows.as_chunks::<ROWS>().0;
        if !S::WIDE_PARTIAL_SUMS {
            for (rows, weights) in rows.iter().zip(panel) {
                for row in 0..ROWS {
                    let activations = Self::splat(simd, &rows[row]);
                    for vector in 0..PANEL_VECTORS {
                        sums[row][vector] = Self::multiply_add(
                            simd,
                            sums[row][vector],
                            activations,
                            weights[vector],
                        );
                    }
                }
            }
            return sums;
        }
        for (rows, panel) in rows.chunks(SUB_BLOCK).zip(panel.chunks(SUB_BLOCK)) {
            let mut partial = [[simd.zeros(); PANEL_VECTORS]; ROWS];
            for (rows, weights) in rows.iter().zip(panel) {
                for row in 0..ROWS {
                    let (activations, _) = Self::splat(simd, &rows[row]);
                    for vector in 0..PANEL_VECTORS {
                        for (activations, weights) in activations.iter().zip(&weights[vector]) {
                            let sum = &mut partial[row][vector];
                            *sum = simd.add_quads(*sum, *activations, *weights);
                        }
                    }
                }
            }
            for row in 0..ROWS {
                let multiplier = rows[0][row].multiplier;
                for vector in 0..PANEL_VECTORS {
                    let sum = &mut sums[row][vector];
                    *sum = simd.gather(*sum, partial[row][vector], multiplier);
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn finish(
        simd: S,
        sum: S::Gathered,
        row: &ByteScale,
        column: &ByteColumns<S>,
        total: S::F32,
    ) -> S::F32 {
        let mut offsets = simd.zeros();
        for pair in 0..OFFSETS / 2 {
            offsets = simd.dot(offsets, simd.splat_pair(row.offsets[pair]), column.sums[pair]);
        }
        let scale = simd.mul(simd.splat(row.scale), column.scale);
        simd.mul_add(simd.gathered(sum, offsets), scale, total)
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

    /// The sums of a block's weights that each offset is for, without their scale.
    fn sums(&self, block: usize) -> [i16; OFFSETS] {
        let mut sums = [0; OFFSETS];
        let groups = self.groups.chunks(BLOCK).nth(block).unwrap_or_default();
        for (sum, groups) in sums.iter_mut().zip(groups.chunks(OFFSET_GROUPS)) {
            let weights = groups.as_flattened().as_flattened();
            *sum = weights.iter().map(|&weight| i16::from(weight)).sum();
        }
        sums
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

/// A block of activations as bytes, each group `step` after the one before.
#[inline(always)]
fn prepare_block<S: Simd>(
    simd: S,
    numbers: &[f32],
    out: &mut [ByteGroup],
    step: usize,
) -> ByteScale {
    let scales = Scales::new(simd, numbers);
    let padded = &mut [0.0; SUB_BLOCK_SIZE];
    let sub_blocks = numbers.chunks(SUB_BLOCK_SIZE).zip(out.chunks_mut(SUB_BLOCK * step));
    for (index, (numbers, out)) in sub_blocks.enumerate() {
        let inverse = simd.splat(scales.inverses[index]);
        let offset = simd.splat(scales.byte_offsets[index]);
        let numbers = whole(numbers, padded);
        let mut quads = [[[0; 4]; QUADS]; SUB_BLOCK];
        for at in (0..SUB_BLOCK_SIZE).step_by(S::LANES) {
            let bytes = simd.mul_add(simd.load(&numbers[at..]), inverse, offset);
            simd.narrow_to_bytes(simd.round(bytes), &mut quads.as_flattened_mut()[at / 4..]);
        }
        let multiplier = simd.kept_multiplier(scales.multipliers.as_flattened()[index]);
        for (group, quads) in out.iter_mut().step_by(step).zip(quads) {
            *group = ByteGroup { quads, multiplier };
        }
    }
    let mut block = ByteScale { scale: scales.scale, offsets: [[0; 2]; OFFSETS / 2] };
    let offsets = scales.offsets.as_flattened().iter().step_by(OFFSET_GROUPS / SUB_BLOCK);
    for (shared, offset) in block.offsets.as_flattened_mut().iter_mut().zip(offsets) {
        *shared = *offset;
    }
    block
}

/// How the sub-blocks of a block become bytes.
struct Scales {
    scale: f32,
    /// One over scale times multiplier, a number for each sub-block.
    inverses: [f32; SUB_BLOCKS_MAX],
    /// What zero is as a byte, not rounded.
    byte_offsets: [f32; SUB_BLOCKS_MAX],
    multipliers: [[i16; 2]; SUB_BLOCKS_MAX / 2],
    offsets: [[i16; 2]; SUB_BLOCKS_MAX / 2],
}

impl Scales {
    /// The finest that a block's numbers allow.
    #[inline(always)]
    fn new<S: Simd>(simd: S, numbers: &[f32]) -> Self {
        let (mut leasts, mut greatests) = ([0.0_f32; SUB_BLOCKS_MAX], [0.0_f32; SUB_BLOCKS_MAX]);
        let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
        // Zeros; or what is not a number, which comparisons may pass over.
        let mut zeros = zero;
        let padded = &mut [0.0; SUB_BLOCK_SIZE];
        for (index, numbers) in numbers.chunks(SUB_BLOCK_SIZE).enumerate() {
            let numbers = whole(numbers, padded);
            let (mut least, mut greatest) = (zero, zero);
            for at in (0..SUB_BLOCK_SIZE).step_by(S::LANES) {
                let values = simd.load(&numbers[at..]);
                least = simd.min(values, least);
                greatest = simd.max(values, greatest);
                zeros = simd.mul_add(values, zero, zeros);
            }
            leasts[index] = -simd.greatest(simd.sub(zero, least));
            greatests[index] = simd.greatest(greatest);
        }
        let (mut most, mut ranges) = (0.0_f32, [0.0; SUB_BLOCKS_MAX]);
        let sharing = OFFSET_GROUPS / SUB_BLOCK;
        let shared = leasts.chunks_mut(sharing).zip(greatests.chunks(sharing));
        for ((leasts, greatests), ranges) in shared.zip(ranges.chunks_mut(sharing)) {
            leasts.fill(leasts.iter().copied().fold(0.0, f32::min));
            for (range, greatest) in ranges.iter_mut().zip(greatests) {
                *range = greatest - leasts[0];
                most = most.max(*range);
            }
        }
        let scale = most / (STEPS * MULTIPLIER_MAX) + simd.sum(zeros);
        // Numbers that are all zero need no bytes; and no factor may be infinite.
        let inverse = if scale >= f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 };
        let mut scales = Self {
            scale,
            inverses: [0.0; SUB_BLOCKS_MAX],
            byte_offsets: [0.0; SUB_BLOCKS_MAX],
            multipliers: [[0; 2]; SUB_BLOCKS_MAX / 2],
            offsets: [[0; 2]; SUB_BLOCKS_MAX / 2],
        };
        let (inverse, inverse_steps) = (simd.splat(inverse), simd.splat(inverse / STEPS));
        for at in (0..SUB_BLOCKS_MAX).step_by(S::LANES) {
            // Rounded up, but for what the step to spare has room for.
            let needed = simd.mul(simd.load(&ranges[at..]), inverse_steps);
            let rounded = simd.float(simd.round(simd.add(needed, simd.splat(0.499))));
            let multiplier = simd.max(rounded, one);
            let offset = simd.float(simd.round(simd.mul(simd.load(&leasts[at..]), inverse)));
            let byte_offset = simd.div(simd.sub(zero, offset), multiplier);
            simd.store(simd.div(inverse, multiplier), &mut scales.inverses[at..]);
            simd.store(byte_offset, &mut scales.byte_offsets[at..]);
            simd.narrow(simd.round(multiplier), &mut scales.multipliers[at / 2..]);
            simd.narrow(simd.round(offset), &mut scales.offsets[at / 2..]);
        }
        scales
    }
}

/// A sub-block's numbers, and zeros where there are fewer.
#[inline(always)]
fn whole<'a>(numbers: &'a [f32], padded: &'a mut [f32; SUB_BLOCK_SIZE]) -> &'a [f32] {
    if numbers.len() == SUB_BLOCK_SIZE {
        return numbers;
    }
    *padded = [0.0; SUB_BLOCK_SIZE];
    padded[..numbers.len()].copy_from_slice(numbers);
    padded
}

/// Activations `[rows, inputs]` as the bytes tell them, and the step between two in the same place.
#[cfg(test)]
pub(super) fn restored<S: Simd>(
    simd: S,
    activations: &super::Activations<S, W8A8>,
    inputs: usize,
) -> Vec<Vec<(f64, f64)>> {
    let super::Activations { groups, scales, width, blocks } = activations;
    let rows = scales.chunks(*blocks).enumerate().map(|(row, scales)| {
        let (start, step) = activations.place(row);
        let groups: Vec<_> = groups[start..].iter().step_by(step).take(*width).copied().collect();
        (groups, scales)
    });
    let number = |(at, byte): (usize, u8), groups: &[ByteGroup], scales: &[ByteScale]| {
        let group = at / GROUP;
        let ByteScale { scale, offsets } = &scales[group / BLOCK];
        let offset = offsets.as_flattened()[group % BLOCK / OFFSET_GROUPS];
        let as_taken = groups[group].multiplier;
        let multiplier = (0..=127).find(|&value| simd.kept_multiplier(value) == as_taken).unwrap();
        let product = i32::from(byte) * i32::from(multiplier) + i32::from(offset);
        let scale = f64::from(*scale);
        (f64::from(product) * scale, f64::from(multiplier) * scale)
    };
    rows.map(|(groups, scales)| {
        let bytes = groups.iter().flat_map(|group| group.quads).flatten().take(inputs);
        bytes.enumerate().map(|byte| number(byte, &groups, scales)).collect()
    })
    .collect()
}
