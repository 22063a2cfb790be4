//! Vectors of 32-bit numbers, whatever the instruction set.

/// The instruction set that a kernel is compiled for.
///
/// Kernels are written once, generic over this trait; `arch` holds one implementation per
/// instruction set. A value of the type is the proof that the CPU has the set, so that every method
/// is safe.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// The name that people know the set by.
    const NAME: &'static str;
    /// Numbers in a vector.
    const LANES: usize;
    /// The most rows of a register tile, two vectors wide, that leave registers for its operands.
    const TILE_ROWS: usize;
    /// The same for products of bytes, which take more operands.
    const BYTE_TILE_ROWS: usize;
    /// Whether partial sums of products of bytes have 32 bits, so that any number of them can be added.
    const WIDE_PARTIAL_SUMS: bool;
    /// Whether the set multiplies bf16 numbers itself; else single precision is faster.
    const BF16_PRODUCTS: bool = false;
    /// `LANES` numbers in single precision.
    type F32: Copy + Send + Sync;
    /// `LANES` integers, or pairs of 16-bit integers, or quads of bytes.
    type I32: Copy + Send + Sync;
    /// `LANES` sums of products of bytes and multipliers: integers, or, where it takes fewer instructions, numbers in single
    /// precision.
    type Gathered: Copy;

    /// Runs `operation` compiled for this set.
    fn run<O: Operation<Self>>(self, operation: O) -> O::Output;

    /// The first `LANES` numbers of `values`; panics if there are fewer.
    fn load(self, values: &[f32]) -> Self::F32;
    /// Writes the first `LANES` numbers of `out`; panics if there are fewer.
    fn store(self, values: Self::F32, out: &mut [f32]);
    /// One number in every lane.
    fn splat(self, value: f32) -> Self::F32;
    /// The columns of four rows of four.
    #[inline(always)]
    fn transpose(self, rows: [&[f32; FOUR]; FOUR]) -> [[f32; FOUR]; FOUR] {
        std::array::from_fn(|column| rows.map(|row| row[column]))
    }
    /// `a + b`.
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`.
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`.
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a / b`.
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once where the set can.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The lesser of each pair; of a NaN and a number, either.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The greater of each pair; of a NaN and a number, either.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The sum of the lanes.
    fn sum(self, values: Self::F32) -> f32;
    /// The greatest of the lanes.
    fn greatest(self, values: Self::F32) -> f32;
    /// The nearest integers, halves to even.
    fn round(self, values: Self::F32) -> Self::I32;
    /// Integers as numbers, rounded to nearest.
    fn float(self, values: Self::I32) -> Self::F32;
    /// Two to the power of each lane, which is between -126 and 127.
    fn power_of_two(self, exponents: Self::I32) -> Self::F32;

    /// Zero in every lane.
    fn zeros(self) -> Self::I32;
    /// `LANES` integers as pairs of 16-bit ones, of which they are within the range; panics if `out`
    /// has fewer than `LANES / 2` pairs.
    fn narrow(self, values: Self::I32, out: &mut [[i16; 2]]);
    /// `LANES` pairs; panics if there are fewer.
    fn load_pairs(self, pairs: &[[i16; 2]]) -> Self::I32;
    /// A pair in every lane.
    fn splat_pair(self, pair: [i16; 2]) -> Self::I32;
    /// `LANES` pairs of bytes, widened; panics if there are fewer.
    fn widen(self, bytes: &[[i8; 2]]) -> Self::I32;
    /// Adds to each lane the exact dot product of a pair of `a` and a pair of `b`.
    fn dot(self, sums: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32;

    /// The first bf16 number of each pair in single precision.
    fn low_bf16(self, pairs: Self::I32) -> Self::F32;
    /// The second bf16 number of each pair in single precision.
    fn high_bf16(self, pairs: Self::I32) -> Self::F32;
    /// Adds to each lane the dot product of a pair of bf16 numbers of `a` and one of `b`, in single precision.
    #[inline(always)]
    fn dot_bf16(self, sums: Self::F32, a: Self::I32, b: Self::I32) -> Self::F32 {
        let sums = self.mul_add(self.low_bf16(a), self.low_bf16(b), sums);
        self.mul_add(self.high_bf16(a), self.high_bf16(b), sums)
    }

    /// `LANES` integers as bytes, of which they are within the range; panics if `out` has fewer than
    /// `LANES / 4` quads.
    fn narrow_to_bytes(self, values: Self::I32, out: &mut [[u8; 4]]);
    /// A quad in every lane.
    fn splat_quad(self, quad: [u8; 4]) -> Self::I32;
    /// `LANES` quads; panics if there are fewer.
    fn load_quads(self, quads: &[[i8; 4]]) -> Self::I32;
    /// The products of a quad of unsigned bytes and one of signed bytes in each lane: partial sums, which
    /// have a form of their own.
    fn multiply_quads(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Adds such products to partial sums. Where these have 16 bits, it is exact while the signed bytes of one sign in
    /// the first two places of the quads, and those in the last two, are at most 128 in sum.
    fn add_quads(self, partial: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32;
    /// An integer that is not below zero, as `gather` takes it.
    fn kept_multiplier(self, value: i16) -> [u8; 4];
    /// What `gather` begins with.
    fn nothing_gathered(self) -> Self::Gathered;
    /// Adds partial sums, times a multiplier, to sums.
    fn gather(
        self,
        sums: Self::Gathered,
        partial: Self::I32,
        multiplier: [u8; 4],
    ) -> Self::Gathered;
    /// Such sums plus integers, in single precision.
    fn gathered(self, sums: Self::Gathered, rest: Self::I32) -> Self::F32;
}

/// A kernel with its arguments, ready to be compiled for an instruction set.
///
/// Everything that `run` calls must be inlined into it: what is not is compiled for the least
/// instruction set that the build allows.
pub(crate) trait Operation<S: Simd> {
    /// What the kernel gives back.
    type Output;

    /// Runs the kernel.
    fn run(self, simd: S) -> Self::Output;
}

/// Rows that are transposed at once, and numbers of each.
pub(super) const FOUR: usize = 4;

/// The most lanes that any instruction set has.
pub(super) const MAX_LANES: usize = 16;

/// Loads a vector, or fewer numbers and `rest` in the other lanes.
#[inline(always)]
pub(super) fn load<S: Simd>(simd: S, values: &[f32], rest: f32) -> S::F32 {
    if values.len() >= S::LANES {
        return simd.load(values);
    }
    let mut padded = [rest; MAX_LANES];
    padded[..values.len()].copy_from_slice(values);
    simd.load(&padded)
}

/// Writes a vector, or of its first lanes as many as there is room for.
#[inline(always)]
pub(super) fn store<S: Simd>(simd: S, values: S::F32, out: &mut [f32]) {
    if out.len() >= S::LANES {
        return simd.store(values, out);
    }
    let mut padded = [0.0; MAX_LANES];
    simd.store(values, &mut padded);
    out.copy_from_slice(&padded[..out.len()]);
}
