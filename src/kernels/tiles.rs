//! Tiles: what some CPUs multiply whole, 16 rows of 64 bytes by 64 bytes of 16 columns.

use super::simd::{MAX_LANES, Simd};

/// Rows of a tile, columns of another, and numbers of 32 bits in a row of either.
pub(crate) const TILE: usize = 16;

/// Four bytes: four integers, or two bf16 numbers.
pub(crate) type Unit = [u8; 4];

/// A row of a tile of activations; or, of each column of a tile of weights, what is multiplied by the same four bytes of
/// a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct TileRow(pub(crate) [Unit; TILE]);

/// A tile.
pub(crate) type Tile = [TileRow; TILE];

/// A row of each of some tiles of bf16 numbers, which in sum are the activations.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
pub(crate) struct Parts<const PARTS: usize>(pub(crate) [TileRow; PARTS]);

impl<const PARTS: usize> Default for Parts<PARTS> {
    fn default() -> Self {
        Self([TileRow::default(); PARTS])
    }
}

/// Two tiles of weights side by side, that many columns.
pub(crate) const COLUMNS: usize = 2 * TILE;

/// Sums of products of two tiles of activations and two of weights: of each row, for each column.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct TileSums<T>(pub(crate) [[[T; COLUMNS]; TILE]; 2]);

impl<T: Copy + Default> Default for TileSums<T> {
    fn default() -> Self {
        Self([[[T::default(); COLUMNS]; TILE]; 2])
    }
}

/// An instruction set with tiles.
pub(crate) trait Tiles: Simd {
    /// What multiplies them.
    type Multiplier: TileMultiplier;

    /// Sets it up for this thread, until it is dropped.
    fn multiplier(self) -> Self::Multiplier;

    /// The nearest bf16 numbers.
    fn round_to_bf16(self, numbers: &[f32; COLUMNS]) -> TileRow;

    /// The lower byte of each 16-bit integer, unsigned, and its upper one, signed; panics if there is no room for them.
    fn split(self, values: Self::I32, low: &mut [u8], high: &mut [u8]) {
        let mut pairs = [[0; 2]; MAX_LANES / 2];
        self.narrow(values, &mut pairs);
        let numbers = pairs.as_flattened().iter().zip(low).zip(high).take(Self::LANES);
        for ((number, low), high) in numbers {
            [*low, *high] = number.to_le_bytes();
        }
    }

    /// `low + 256 high` of the first `LANES` numbers, which is within 32 bits, in single precision; panics if there are
    /// fewer.
    fn join(self, low: &[i32], high: &[i32]) -> Self::F32;
}

/// Multiplies tiles.
pub(crate) trait TileMultiplier {
    /// Sums, over all steps, of the products of bf16 numbers, of which `PARTS` make an activation and `WEIGHT_PARTS` a
    /// weight, both one or three: of one or two tiles of activations a step, the rows of whose parts alternate, and two of
    /// weights. Products of parts that are, counted from zero, later than the second in sum are left out.
    fn multiply_bf16<const ROWS: usize, const PARTS: usize, const WEIGHT_PARTS: usize>(
        &self,
        activations: [&[[Parts<PARTS>; TILE]]; ROWS],
        weights: &[[[Tile; 2]; WEIGHT_PARTS]],
        sums: &mut TileSums<f32>,
    );

    /// Sums, over all steps, of the products of bytes: of a tile of unsigned and one of signed activations a step,
    /// whose rows alternate, and two of signed weights.
    fn multiply_bytes(
        &self,
        activations: &[[[TileRow; 2]; TILE]],
        weights: &[[Tile; 2]],
        sums: &mut TileSums<i32>,
    );

    /// Multiplies so many times two tiles by two that it has at hand, of bf16 numbers.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    fn repeat_bf16(&self, times: usize);

    /// The same, of bytes.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    fn repeat_bytes(&self, times: usize);
}

/// Plain loops, which other sets are tested against.
#[cfg(test)]
mod plain {
    use half::bf16;

    use super::*;
    use crate::kernels::arch::Portable;

    pub(crate) struct Loops;

    impl Tiles for Portable {
        type Multiplier = Loops;

        fn multiplier(self) -> Loops {
            Loops
        }

        fn round_to_bf16(self, numbers: &[f32; COLUMNS]) -> TileRow {
            let mut row = TileRow::default();
            let units = row.0.as_flattened_mut().as_chunks_mut().0;
            for (bytes, number) in units.iter_mut().zip(numbers) {
                *bytes = bf16::from_f32(*number).to_bits().to_le_bytes();
            }
            row
        }

        fn join(self, low: &[i32], high: &[i32]) -> Self::F32 {
            std::array::from_fn(|lane| (low[lane] + 256 * high[lane]) as f32)
        }
    }

    /// The sum of the products of what `numbers` makes of the units of a row and those of a column.
    fn sum<const NUMBERS: usize>(
        row: &TileRow,
        tiles: &[Tile; 2],
        column: usize,
        numbers: impl Fn(Unit) -> [f64; NUMBERS],
        weights: impl Fn(Unit) -> [f64; NUMBERS],
    ) -> f64 {
        let units = row.0.iter().zip(&tiles[column / TILE]);
        let products = units.flat_map(|(row, weight)| {
            let (a, b) = (numbers(*row), weights(weight.0[column % TILE]));
            std::array::from_fn::<_, NUMBERS, _>(|at| a[at] * b[at])
        });
        products.sum()
    }

    impl TileMultiplier for Loops {
        fn multiply_bf16<const ROWS: usize, const PARTS: usize, const WEIGHT_PARTS: usize>(
            &self,
            activations: [&[[Parts<PARTS>; TILE]]; ROWS],
            weights: &[[[Tile; 2]; WEIGHT_PARTS]],
            sums: &mut TileSums<f32>,
        ) {
            let numbers = |unit: Unit| {
                let [a, b, c, d] = unit;
                [[a, b], [c, d]].map(|bytes| bf16::from_bits(u16::from_le_bytes(bytes)).to_f64())
            };
            for (tiles, sums) in activations.into_iter().zip(&mut sums.0) {
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (column, out) in sums.iter_mut().enumerate() {
                        let mut total = 0.0;
                        for (tile, weights) in tiles.iter().zip(weights) {
                            for (part, weights) in weights.iter().enumerate() {
                                for row in &tile[row].0[..PARTS - part] {
                                    total += sum(row, weights, column, numbers, numbers);
                                }
                            }
                        }
                        *out = total as f32;
                    }
                }
            }
        }

        fn multiply_bytes(
            &self,
            activations: &[[[TileRow; 2]; TILE]],
            weights: &[[Tile; 2]],
            sums: &mut TileSums<i32>,
        ) {
            let signed = |unit: Unit| unit.map(|byte| f64::from(byte.cast_signed()));
            let unsigned = |unit: Unit| unit.map(f64::from);
            for row in 0..TILE {
                for column in 0..COLUMNS {
                    let steps = || activations.iter().zip(weights);
                    let low =
                        steps().map(|(rows, w)| sum(&rows[row][0], w, column, unsigned, signed));
                    let high =
                        steps().map(|(rows, w)| sum(&rows[row][1], w, column, signed, signed));
                    sums.0[0][row][column] = low.sum::<f64>() as i32;
                    sums.0[1][row][column] = high.sum::<f64>() as i32;
                }
            }
        }

        fn repeat_bf16(&self, _: usize) {}

        fn repeat_bytes(&self, _: usize) {}
    }
}
