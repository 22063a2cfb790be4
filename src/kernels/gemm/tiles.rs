//! Products by tiles, where the CPU has them.
//!
//! Weights in int8 are integers of a tile as they are, in bf16 too, which has eight bits; what is rounded is activations.
//! Those in 16 bits are two bytes each, of which one is multiplied unsigned and the other signed: the sums are those
//! of [`W8A16`](super::W8A16), exact.

use half::bf16;

use super::{Epilogue, Factors, Place, Product, w8a16};
use crate::kernels::{
    matrix::{Matrix, MatrixValues},
    simd::{Simd, load},
    tiles::{COLUMNS, TILE, Tile, TileMultiplier, TileRow, TileSums, Tiles},
};

/// Products of bf16 numbers, and sums in single precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TiledBf16;

/// Products of weights in int8 and activations in 16 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TiledW8A16;

/// Weights of a layer.
pub(crate) struct TiledWeights {
    /// Panels one after another: for each step, two tiles.
    tiles: Vec<[Tile; 2]>,
    /// Of each panel's columns.
    scales: Vec<[f32; COLUMNS]>,
}

impl TiledWeights {
    /// Packs weights, of which a row of a tile has `inputs`, with a scale for each output.
    fn new<const NUMBERS: usize>(
        weights: &Matrix,
        row: impl Fn(usize) -> (Vec<[u8; NUMBERS]>, f32),
    ) -> Self {
        let (units, inputs) = (4 / NUMBERS, weights.inputs);
        let steps = inputs.div_ceil(units * TILE);
        let mut packed = Self { tiles: Vec::new(), scales: Vec::new() };
        for first in (0..weights.outputs).step_by(COLUMNS) {
            let mut scales = [0.0; COLUMNS];
            let panel = packed.tiles.len();
            packed.tiles.resize(panel + steps, [[TileRow::default(); TILE]; 2]);
            for (column, output) in (first..weights.outputs).take(COLUMNS).enumerate() {
                let (numbers, scale) = row(output);
                scales[column] = scale;
                for (at, unit) in numbers.chunks(units).enumerate() {
                    let tile = &mut packed.tiles[panel + at / TILE][column / TILE];
                    let bytes = &mut tile[at % TILE].0[column % TILE];
                    bytes[..unit.as_flattened().len()].copy_from_slice(unit.as_flattened());
                }
            }
            packed.scales.push(scales);
        }
        packed
    }

    /// The weights of a panel.
    fn panel(&self, panel: usize) -> &[[Tile; 2]] {
        let steps = self.tiles.len() / self.scales.len();
        &self.tiles[panel * steps..][..steps]
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
        panel: &[[Tile; 2]],
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
    let (weights, scales) = (linear.weights.panel(panel), &linear.weights.scales[panel]);
    let mut columns = [(simd.splat(0.0), simd.splat(0.0)); COLUMNS / MIN_LANES];
    let biases = linear.bias.as_flattened()[panel * COLUMNS / S::LANES..].iter();
    for ((scale, bias), (scales, biases)) in
        columns.iter_mut().zip(scales.chunks_exact(S::LANES).zip(biases))
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
            P::multiply(multiplier, groups, activations.width, weights, sums);
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

impl<S: Tiles> Product<S> for TiledBf16 {
    const GROUP: usize = 2 * TILE;
    const EIGHT_BITS: bool = true;
    const STRIP_COLUMNS: usize = COLUMNS;

    by_tiles!(S);

    type Group = TileRow;
    type RowScale = ();
    type Memory = [TileSums<f32>; 2];

    fn pack(_: S, weights: &Matrix) -> TiledWeights {
        TiledWeights::new(weights, |output| {
            let (numbers, scale) = match weights.values {
                MatrixValues::Int8 { .. } => {
                    let (row, scale) = weights.quantized(output);
                    (row.into_iter().map(f32::from).collect(), scale)
                }
                MatrixValues::F32(_) => (weights.row(output), 1.0),
            };
            let bytes = |number| bf16::from_f32(number).to_bits().to_le_bytes();
            (numbers.into_iter().map(bytes).collect(), scale)
        })
    }

    #[inline(always)]
    fn prepare(simd: S, row: &[f32], out: &mut [TileRow], step: usize, _: &mut [()]) {
        for (numbers, out) in row.chunks(2 * TILE).zip(out.chunks_mut(step)) {
            out[0] = match numbers.as_array() {
                Some(numbers) => simd.round_to_bf16(numbers),
                None => {
                    let mut padded = [0.0; 2 * TILE];
                    padded[..numbers.len()].copy_from_slice(numbers);
                    simd.round_to_bf16(&padded)
                }
            };
        }
    }
}

impl<S: Tiles> TiledProduct<S, f32> for TiledBf16 {
    const TILES: usize = 2;

    #[inline(always)]
    fn multiply(
        multiplier: &S::Multiplier,
        groups: &[TileRow],
        width: usize,
        panel: &[[Tile; 2]],
        sums: &mut TileSums<f32>,
    ) {
        let tiles = groups.as_chunks().0;
        match tiles.split_at(width) {
            (only, []) => multiplier.multiply_bf16([only], panel, sums),
            (first, second) => multiplier.multiply_bf16([first, second], panel, sums),
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

    by_tiles!(S);

    type Group = Halves;
    type RowScale = f32;
    type Memory = [TileSums<i32>; 2];

    fn pack(_: S, weights: &Matrix) -> TiledWeights {
        TiledWeights::new(weights, |output| {
            let (row, scale) = weights.quantized(output);
            (row.into_iter().map(|weight| [weight.cast_unsigned()]).collect(), scale)
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
        panel: &[[Tile; 2]],
        sums: &mut TileSums<i32>,
    ) {
        multiplier.multiply_bytes(groups.as_chunks().0, panel, sums);
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
