//! Products by tiles, where the CPU has them.
//!
//! Weights in int8 are integers of a tile as they are, in bf16 too, which has eight bits; what is rounded is activations.
//! Those in 16 bits are two bytes each, of which one is multiplied unsigned and the other signed: the sums are those
//! of [`W8A16`](super::W8A16), exact.
//!
//! A number in single precision, which has 24 bits, is the sum of three bf16 numbers. Three products with a weight in int8 lose
//! none of it; two numbers need those six of nine that reach 24 bits. (Henry, Tang and Heinecke, "Leveraging the bfloat16
//! Artificial Intelligence Datatype For Higher-Precision Computations", 2019.)

use half::bf16;

use super::{Epilogue, Factors, Place, Product, w8a16};
use crate::kernels::{
    matrix::{Matrix, MatrixValues},
    simd::{Simd, load},
    tiles::{COLUMNS, Parts, TILE, Tile, TileMultiplier, TileRow, TileSums, Tiles},
};

/// Products of activations that are the sum of `PARTS` bf16 numbers, and sums in single precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TiledFloats<const PARTS: usize>;

/// Products of bf16 numbers.
pub(crate) type TiledBf16 = TiledFloats<1>;

/// Products in single precision.
pub(crate) type TiledSingle = TiledFloats<3>;

/// Products of weights in int8 and activations in 16 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TiledW8A16;

/// Weights of a layer.
pub(crate) struct TiledWeights {
    /// Panels one after another: for each step, for each part, two tiles.
    tiles: Vec<[Tile; 2]>,
    /// Numbers that make a weight in sum.
    parts: usize,
    /// Of each panel's columns.
    scales: Vec<[f32; COLUMNS]>,
}

impl TiledWeights {
    /// Packs weights, of which an output has a row for each of `parts` and a scale; a weight takes `BYTES` of a tile.
    fn new<const BYTES: usize>(
        weights: &Matrix,
        parts: usize,
        rows: impl Fn(usize) -> (Vec<Vec<[u8; BYTES]>>, f32),
    ) -> Self {
        let (units, inputs) = (4 / BYTES, weights.inputs);
        let steps = inputs.div_ceil(units * TILE);
        let mut packed = Self { tiles: Vec::new(), scales: Vec::new(), parts };
        for first in (0..weights.outputs).step_by(COLUMNS) {
            let mut scales = [0.0; COLUMNS];
            let panel = packed.tiles.len();
            packed.tiles.resize(panel + steps * parts, [[TileRow::default(); TILE]; 2]);
            for (column, output) in (first..weights.outputs).take(COLUMNS).enumerate() {
                let (rows, scale) = rows(output);
                scales[column] = scale;
                for (part, numbers) in rows.iter().enumerate() {
                    for (at, unit) in numbers.chunks(units).enumerate() {
                        let step = at / TILE * parts + part;
                        let tile = &mut packed.tiles[panel + step][column / TILE];
                        let bytes = &mut tile[at % TILE].0[column % TILE];
                        bytes[..unit.as_flattened().len()].copy_from_slice(unit.as_flattened());
                    }
                }
            }
            packed.scales.push(scales);
        }
        packed
    }

    /// The weights of a panel.
    fn panel(&self, panel: usize) -> &[[Tile; 2]] {
        let tiles = self.tiles.len() / self.scales.len();
        &self.tiles[panel * tiles..][..tiles]
    }
}

/// The least lanes of a set.
const MIN_LANES: usize = 4;

/// The scales and the bias of a vector of outputs.
type Column<S> = (<S as Simd>::F32, <S as Simd>::F32);

/// A product that differs from others of tiles in what a row of a tile holds.
trait TiledProduct<S: Tiles, T>:
    Product<S, Weights = TiledWeights, Multiplier = S::Multiplier, Memory = [TileSums<T>; 2]>
{
    /// Tiles of rows that are multiplied at once.
    const TILES: usize;

    /// Multiplies at most so many tiles of rows, each of `width` steps, by a panel.
    fn multiply(
        multiplier: &S::Multiplier,
        groups: &[Self::Group],
        width: usize,
        weights: &TiledWeights,
        panel: usize,
        sums: &mut TileSums<T>,
    );

    /// A row's results from number `at` on: its sums, scaled, and the bias.
    fn finish(
        simd: S,
        sums: &TileSums<T>,
        row: usize,
        at: usize,
        scale: &Self::RowScale,
        column: Column<S>,
    ) -> S::F32;
}

/// Multiplies some rows by a panel.
#[inline(always)]
// Iterators over vectors may miss the instruction set.
#[allow(clippy::needless_range_loop)]
fn multiply_panel<S: Tiles, T, P: TiledProduct<S, T>, E: Epilogue<S>>(
    simd: S,
    multiplier: &S::Multiplier,
    factors: Factors<'_, S, P>,
    epilogue: &E,
    place: Place<'_>,
    memory: &mut [TileSums<T>; 2],
) {
    let Factors { activations, rows, linear, panel } = factors;
    let weights = &linear.weights;
    let mut columns = [(simd.splat(0.0), simd.splat(0.0)); COLUMNS / MIN_LANES];
    let biases = linear.bias.as_flattened()[panel * COLUMNS / S::LANES..].iter();
    for ((scale, bias), (scales, biases)) in
        columns.iter_mut().zip(weights.scales[panel].chunks_exact(S::LANES).zip(biases))
    {
        (*scale, *bias) = (simd.load(scales), *biases);
    }
    let whole = place.first + COLUMNS <= place.width;
    let count = |first: usize| (rows.end - first).min(P::TILES * TILE);
    let mut blocks = rows.clone().step_by(P::TILES * TILE);
    let [mut sums, mut finished] = memory.each_mut();
    let mut before: Option<usize> = None;
    // While tiles are multiplied, the sums of those before are made numbers.
    loop {
        let block = blocks.next();
        if let Some(first) = block {
            let groups = &activations.groups[first * activations.width..];
            let groups = &groups[..count(first).next_multiple_of(TILE) * activations.width];
            P::multiply(multiplier, groups, activations.width, weights, panel, sums);
        }
        if let Some(first) = before {
            let scales = &activations.scales[first..first + count(first)];
            let out = &mut place.out[(first - rows.start) * place.width..];
            let out = out.chunks_mut(place.width);
            for (row, (scale, out)) in scales.iter().zip(out).enumerate() {
                let out = &mut out[place.first..];
                if whole {
                    let out = &mut out[..COLUMNS];
                    for vector in 0..COLUMNS / S::LANES {
                        let (at, column) = (vector * S::LANES, columns[vector]);
                        let total = P::finish(simd, finished, row, at, scale, column);
                        epilogue.apply(simd, total, &mut out[at..][..S::LANES]);
                    }
                } else {
                    for (vector, out) in out.chunks_mut(S::LANES).enumerate() {
                        let at = vector * S::LANES;
                        let total = P::finish(simd, finished, row, at, scale, columns[vector]);
                        epilogue.apply(simd, total, out);
                    }
                }
            }
        }
        if block.is_none() {
            return;
        }
        (sums, finished) = (finished, sums);
        before = block;
    }
}

/// What a [`TiledProduct`] is as a [`Product`].
macro_rules! by_tiles {
    ($simd:ident) => {
        const TILE_ROWS: usize = TILE;
        const PANEL_COLUMNS: usize = COLUMNS;
        const INTERLEAVED: bool = true;
        const WHOLE_TILES: bool = true;
        const STRIP_ROWS: usize = 8 * TILE;

        type Weights = TiledWeights;
        type Multiplier = $simd::Multiplier;

        #[inline(always)]
        fn multiplier(simd: $simd) -> $simd::Multiplier {
            simd.multiplier()
        }

        #[inline(always)]
        fn multiply_panel<E: Epilogue<$simd>>(
            simd: $simd,
            multiplier: &$simd::Multiplier,
            factors: Factors<'_, $simd, Self>,
            epilogue: &E,
            place: Place<'_>,
            memory: &mut Self::Memory,
        ) {
            multiply_panel(simd, multiplier, factors, epilogue, place, memory);
        }
    };
}

impl<S: Tiles, const PARTS: usize> Product<S> for TiledFloats<PARTS> {
    const GROUP: usize = 2 * TILE;
    const EIGHT_BITS: bool = PARTS == 1;
    const BATCH_TOKENS: usize = if PARTS == 1 { 256 } else { 128 };
    const STRIP_COLUMNS: usize = COLUMNS;

    by_tiles!(S);

    type Group = Parts<PARTS>;
    type RowScale = ();
    type Memory = [TileSums<f32>; 2];

    fn pack(_: S, weights: &Matrix) -> TiledWeights {
        let parts = match weights.values {
            MatrixValues::Int8 { .. } => 1,
            MatrixValues::F32(_) => PARTS,
        };
        TiledWeights::new(weights, parts, |output| {
            let (mut numbers, scale) = match weights.values {
                MatrixValues::Int8 { .. } => {
                    let (row, scale) = weights.quantized(output);
                    (row.into_iter().map(f32::from).collect(), scale)
                }
                MatrixValues::F32(_) => (weights.row(output), 1.0),
            };
            let mut part = || {
                let part = numbers.iter_mut().map(|number| {
                    let nearest = bf16::from_f32(*number);
                    *number -= nearest.to_f32();
                    nearest.to_bits().to_le_bytes()
                });
                part.collect()
            };
            ((0..parts).map(|_| part()).collect(), scale)
        })
    }

    #[inline(always)]
    fn prepare(simd: S, row: &[f32], out: &mut [Parts<PARTS>], step: usize, _: &mut [()]) {
        for (numbers, out) in row.chunks(2 * TILE).zip(out.chunks_mut(step)) {
            let mut rest = [0.0; 2 * TILE];
            match numbers.as_array() {
                Some(numbers) => rest = *numbers,
                None => rest[..numbers.len()].copy_from_slice(numbers),
            }
            for part in 0..PARTS {
                let nearest = simd.round_to_bf16(&rest);
                out[0].0[part] = nearest;
                if part + 1 < PARTS {
                    let bits = nearest.0.as_flattened().as_chunks().0;
                    for (number, bits) in rest.iter_mut().zip(bits) {
                        *number -= f32::from_bits(u32::from(u16::from_le_bytes(*bits)) << 16);
                    }
                }
            }
        }
    }
}

impl<S: Tiles, const PARTS: usize> TiledProduct<S, f32> for TiledFloats<PARTS> {
    const TILES: usize = 2;

    #[inline(always)]
    fn multiply(
        multiplier: &S::Multiplier,
        groups: &[Parts<PARTS>],
        width: usize,
        linear: &TiledWeights,
        panel: usize,
        sums: &mut TileSums<f32>,
    ) {
        let tiles = groups.as_chunks().0;
        let panel = linear.panel(panel);
        match (tiles.split_at(width), linear.parts) {
            ((only, []), 1) => {
                multiplier.multiply_bf16([only], panel.as_chunks::<1>().0, sums);
            }
            ((only, []), _) => {
                multiplier.multiply_bf16([only], panel.as_chunks::<PARTS>().0, sums);
            }
            ((first, second), 1) => {
                multiplier.multiply_bf16([first, second], panel.as_chunks::<1>().0, sums);
            }
            ((first, second), _) => {
                multiplier.multiply_bf16([first, second], panel.as_chunks::<PARTS>().0, sums);
            }
        }
    }

    #[inline(always)]
    fn finish(
        simd: S,
        sums: &TileSums<f32>,
        row: usize,
        at: usize,
        (): &(),
        (scale, bias): Column<S>,
    ) -> S::F32 {
        simd.mul_add(simd.load(&sums.0.as_flattened()[row][at..]), scale, bias)
    }
}

/// The lower bytes of 64 activations, unsigned, and their upper bytes, signed.
type Halves = [TileRow; 2];

impl<S: Tiles> Product<S> for TiledW8A16 {
    const GROUP: usize = 4 * TILE;
    const BATCH_TOKENS: usize = 256;

    by_tiles!(S);

    type Group = Halves;
    type RowScale = f32;
    type Memory = [TileSums<i32>; 2];

    fn pack(_: S, weights: &Matrix) -> TiledWeights {
        TiledWeights::new(weights, 1, |output| {
            let (row, scale) = weights.quantized(output);
            (vec![row.into_iter().map(|weight| [weight.cast_unsigned()]).collect()], scale)
        })
    }

    #[inline(always)]
    fn prepare(simd: S, row: &[f32], out: &mut [Halves], step: usize, scales: &mut [f32]) {
        let (scale, inverse) = w8a16::scale(simd, row);
        let inverse = simd.splat(inverse);
        scales[0] = scale;
        for (numbers, out) in row.chunks(4 * TILE).zip(out.chunks_mut(step)) {
            let mut halves = Halves::default();
            let [low, high] = &mut halves;
            let (low, high) = (low.0.as_flattened_mut(), high.0.as_flattened_mut());
            for (at, values) in numbers.chunks(S::LANES).enumerate() {
                let quantized = simd.round(simd.mul(load(simd, values, 0.0), inverse));
                let at = at * S::LANES;
                simd.split(quantized, &mut low[at..], &mut high[at..]);
            }
            out[0] = halves;
        }
    }
}

impl<S: Tiles> TiledProduct<S, i32> for TiledW8A16 {
    const TILES: usize = 1;

    #[inline(always)]
    fn multiply(
        multiplier: &S::Multiplier,
        groups: &[Halves],
        _: usize,
        weights: &TiledWeights,
        panel: usize,
        sums: &mut TileSums<i32>,
    ) {
        multiplier.multiply_bytes(groups.as_chunks().0, weights.panel(panel), sums);
    }

    #[inline(always)]
    fn finish(
        simd: S,
        sums: &TileSums<i32>,
        row: usize,
        at: usize,
        row_scale: &f32,
        (scale, bias): Column<S>,
    ) -> S::F32 {
        let [low, high] = &sums.0;
        let sum = simd.join(&low[row][at..], &high[row][at..]);
        simd.mul_add(sum, simd.mul(simd.splat(*row_scale), scale), bias)
    }
}

/// Quantized activations `[rows, inputs]`, and the scale of each row.
#[cfg(test)]
pub(super) fn quantized_rows<S: Tiles>(
    activations: &super::Activations<S, TiledW8A16>,
    inputs: usize,
) -> Vec<(Vec<i16>, f32)> {
    let row = |(row, &scale): (usize, &f32)| {
        let (start, step) = activations.place(row);
        let groups = activations.groups[start..].iter().step_by(step).take(activations.width);
        let numbers = groups.flat_map(|[low, high]| {
            let bytes = low.0.as_flattened().iter().zip(high.0.as_flattened());
            bytes.map(|(low, high)| i16::from_le_bytes([*low, *high]))
        });
        (numbers.take(inputs).collect(), scale)
    };
    activations.scales.iter().enumerate().map(row).collect()
}
