//! Activation functions and the functions that they are made of, with bounds of their errors.

use super::simd::{Simd, load, store};

/// An array of `$value` for each `$x` of an array; a closure might miss the instruction set.
macro_rules! each {
    ($x:ident in $array:expr => $value:expr) => {{
        let mut array = $array;
        for place in &mut array {
            let $x = *place;
            *place = $value;
        }
        array
    }};
}

/// A function of each number alone.
pub(crate) trait Activation: Copy + Send + Sync {
    /// The function's values of some vectors, computed side by side: they share constants, and none waits for another.
    fn apply<S: Simd, const N: usize>(self, simd: S, x: [S::F32; N]) -> [S::F32; N];
}

/// `x Φ(x)`, Φ being the normal distribution's; within 5e-6 of |x|.
///
/// Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gelu;

/// As [`Gelu`], within 1e-5 of |x| and in a quarter fewer operations: for results that are rounded to bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortGelu;

/// GELU's approximation by tanh, from the same paper; within 1e-6 of |x| + 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GeluTanh;

/// `max(x, 0)`
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relu;

/// `x / (1 + exp(-x))`, within 1e-6 of |x| + 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silu;

/// The hyperbolic tangent, within 1e-6.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tanh;

impl Activation for Tanh {
    #[inline(always)]
    fn apply<S: Simd, const N: usize>(self, simd: S, x: [S::F32; N]) -> [S::F32; N] {
        tanh(simd, x)
    }
}

impl Activation for Gelu {
    #[inline(always)]
    fn apply<S: Simd, const N: usize>(self, simd: S, x: [S::F32; N]) -> [S::F32; N] {
        let scale = simd.splat(std::f32::consts::FRAC_1_SQRT_2);
        half_of_one_and(simd, x, erf(simd, each!(x in x => simd.mul(x, scale))))
    }
}

impl Activation for ShortGelu {
    #[inline(always)]
    fn apply<S: Simd, const N: usize>(self, simd: S, x: [S::F32; N]) -> [S::F32; N] {
        let mut product = normal(simd, x);
        for (product, x) in product.iter_mut().zip(x) {
            *product = simd.mul(x, *product);
        }
        product
    }
}

impl Activation for GeluTanh {
    #[inline(always)]
    fn apply<S: Simd, const N: usize>(self, simd: S, x: [S::F32; N]) -> [S::F32; N] {
        let (cube, one) = (simd.splat(0.044_715), simd.splat(1.0));
        let scale = simd.splat(std::f32::consts::FRAC_2_PI.sqrt());
        let inner = each!(x in x => {
            simd.mul(simd.mul(x, simd.mul_add(simd.mul(x, x), cube, one)), scale)
        });
        half_of_one_and(simd, x, tanh(simd, inner))
    }
}

/// `x (1 + factor) / 2`
#[inline(always)]
fn half_of_one_and<S: Simd, const N: usize>(
    simd: S,
    x: [S::F32; N],
    factor: [S::F32; N],
) -> [S::F32; N] {
    let half = simd.splat(0.5);
    let mut product = factor;
    for (product, x) in product.iter_mut().zip(x) {
        let half = simd.mul(x, half);
        *product = simd.mul_add(half, *product, half);
    }
    product
}

impl Activation for Relu {
    #[inline(always)]
    fn apply<S: Simd, const N: usize>(self, simd: S, x: [S::F32; N]) -> [S::F32; N] {
        each!(x in x => simd.max(x, simd.splat(0.0)))
    }
}

impl Activation for Silu {
    #[inline(always)]
    fn apply<S: Simd, const N: usize>(self, simd: S, x: [S::F32; N]) -> [S::F32; N] {
        let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
        let mut quotient = exp(simd, each!(x in x => simd.sub(zero, x)));
        for (quotient, x) in quotient.iter_mut().zip(x) {
            *quotient = simd.div(x, simd.add(one, *quotient));
        }
        quotient
    }
}

/// Vectors that functions are computed of side by side.
const AT_ONCE: usize = 4;

/// Replaces numbers by a function's values.
#[inline(always)]
pub(super) fn activate<S: Simd>(simd: S, activation: impl Activation, numbers: &mut [f32]) {
    let mut chunks = numbers.chunks_exact_mut(AT_ONCE * S::LANES);
    for chunk in &mut chunks {
        let mut values = [simd.splat(0.0); AT_ONCE];
        for (values, numbers) in values.iter_mut().zip(chunk.chunks_exact(S::LANES)) {
            *values = simd.load(numbers);
        }
        let values = activation.apply(simd, values);
        for (values, numbers) in values.into_iter().zip(chunk.chunks_exact_mut(S::LANES)) {
            simd.store(values, numbers);
        }
    }
    for chunk in chunks.into_remainder().chunks_mut(S::LANES) {
        let [values] = activation.apply(simd, [load(simd, chunk, 0.0)]);
        store(simd, values, chunk);
    }
}

/// Beyond this, [`erf`] is what it is here: one but for 4.3e-6.
const ERF_BOUND: f32 = 3.25;

/// `erf(x) = x p(2 x² / ERF_BOUND² - 1)`: the least greatest error for |x| at most `ERF_BOUND`,
/// found by reweighted least squares. Powers in ascending order.
const ERF: [f32; 11] = [
    0.434_640_8,
    -0.214_459_87,
    0.153_243_44,
    -0.114_175_78,
    0.082_590_17,
    -0.056_849_15,
    0.034_431_98,
    -0.016_806_858,
    0.010_106_123,
    -0.008_044_911,
    0.003_015_657,
];

/// The error function, within 7e-6.
#[inline(always)]
pub(super) fn erf<S: Simd, const N: usize>(simd: S, x: [S::F32; N]) -> [S::F32; N] {
    let (least, most) = (simd.splat(-ERF_BOUND), simd.splat(ERF_BOUND));
    let x = each!(x in x => simd.min(simd.max(x, least), most));
    let (scale, one) = (simd.splat(2.0 / (ERF_BOUND * ERF_BOUND)), simd.splat(-1.0));
    let t = each!(x in x => simd.mul_add(simd.mul(x, x), scale, one));
    let mut product = polynomial(simd, &ERF, t);
    for (product, x) in product.iter_mut().zip(x) {
        *product = simd.mul(x, *product);
    }
    product
}

/// Beyond this, [`normal`] is what it is here: zero or one but for 1e-5.
const NORMAL_BOUND: f32 = 4.2;

/// `Φ(x) = 1/2 + x p(x²)`: the least greatest error for |x| at most `NORMAL_BOUND`, found by reweighted
/// least squares. Powers in ascending order.
const NORMAL: [f32; 9] = [
    0.398_907_45,
    -0.066_360_37,
    0.009_830_13,
    -0.001_114_148_1,
    9.457_441e-5,
    -5.760_770_4e-6,
    2.343_674_8e-7,
    -5.633_319_6e-9,
    5.998_071e-11,
];

/// Φ, the normal distribution's share below a number, within 1e-5: `(1 + erf(x / √2)) / 2` in fewer operations.
#[inline(always)]
fn normal<S: Simd, const N: usize>(simd: S, x: [S::F32; N]) -> [S::F32; N] {
    let (least, most) = (simd.splat(-NORMAL_BOUND), simd.splat(NORMAL_BOUND));
    let x = each!(x in x => simd.min(simd.max(x, least), most));
    let mut product = polynomial(simd, &NORMAL, each!(x in x => simd.mul(x, x)));
    for (product, x) in product.iter_mut().zip(x) {
        *product = simd.mul_add(x, *product, simd.splat(0.5));
    }
    product
}

/// The powers of [`exp`]'s Taylor series, ascending.
const EXP: [f32; 7] = [1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0];

/// The exponential function, within 3e-7 of its value; of numbers below -87, 1.6e-38, and above 88,
/// 1.7e38.
///
/// `exp(x) = 2^n exp(r)`, where n is the integer next to `x / ln 2` and |r| is at most `ln 2 / 2`.
#[inline(always)]
pub(super) fn exp<S: Simd, const N: usize>(simd: S, x: [S::F32; N]) -> [S::F32; N] {
    // ln 2 in two parts, the first of so few digits that its product with n is exact.
    const LN_2: [f32; 2] = [-0.693_359_4, 2.121_944_4e-4];
    let (least, most) = (simd.splat(-87.0), simd.splat(88.0));
    let mut r = each!(x in x => simd.min(simd.max(x, least), most));
    let mut powers = r;
    for (r, power) in r.iter_mut().zip(&mut powers) {
        let n = simd.round(simd.mul(*r, simd.splat(std::f32::consts::LOG2_E)));
        *power = simd.power_of_two(n);
        let whole = simd.float(n);
        *r = simd.mul_add(whole, simd.splat(LN_2[0]), *r);
        *r = simd.mul_add(whole, simd.splat(LN_2[1]), *r);
    }
    let mut product = polynomial(simd, &EXP, r);
    for (product, power) in product.iter_mut().zip(powers) {
        *product = simd.mul(*product, power);
    }
    product
}

/// The hyperbolic tangent, within 1e-6.
#[inline(always)]
pub(super) fn tanh<S: Simd, const N: usize>(simd: S, x: [S::F32; N]) -> [S::F32; N] {
    let (one, two) = (simd.splat(1.0), simd.splat(2.0));
    let exp = exp(simd, each!(x in x => simd.mul(x, two)));
    each!(exp in exp => simd.sub(one, simd.div(two, simd.add(exp, one))))
}

/// A polynomial by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const TERMS: usize, const N: usize>(
    simd: S,
    coefficients: &[f32; TERMS],
    x: [S::F32; N],
) -> [S::F32; N] {
    let mut sums = [simd.splat(coefficients[TERMS - 1]); N];
    for power in (0..TERMS - 1).rev() {
        let coefficient = simd.splat(coefficients[power]);
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = simd.mul_add(*sum, x, coefficient);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{InstructionSet, instruction_set::ForSimd, simd::Operation};

    /// A function on numbers, compiled for an instruction set.
    struct Apply<'a, F>(&'a mut [f32], F);

    impl<S: Simd, F: Activation> Operation<S> for Apply<'_, F> {
        type Output = ();

        #[inline(always)]
        fn run(self, simd: S) {
            for chunk in self.0.chunks_exact_mut(S::LANES) {
                let [values] = self.1.apply(simd, [simd.load(chunk)]);
                simd.store(values, chunk);
            }
        }
    }

    #[derive(Clone, Copy)]
    struct Exp;

    impl Activation for Exp {
        #[inline(always)]
        fn apply<S: Simd, const N: usize>(self, simd: S, x: [S::F32; N]) -> [S::F32; N] {
            exp(simd, x)
        }
    }

    #[derive(Clone, Copy)]
    struct Erf;

    impl Activation for Erf {
        #[inline(always)]
        fn apply<S: Simd, const N: usize>(self, simd: S, x: [S::F32; N]) -> [S::F32; N] {
            erf(simd, x)
        }
    }

    /// Checks a function on every instruction set, from -100 to 100, most closely near zero.
    #[derive(Clone, Copy)]
    struct Check<F> {
        function: F,
        oracle: fn(f64) -> f64,
        /// How large an error may be, given the argument and the true value.
        bound: fn(f64, f64) -> f64,
    }

    impl<F: Activation> ForSimd for Check<F> {
        type Output = ();

        fn call<S: Simd>(self, simd: S) {
            let arguments: Vec<f32> =
                (-80_000..80_000).map(|n| n as f32 / 80_000.0).map(|x| 100.0 * x * x * x).collect();
            let mut values = arguments.clone();
            simd.run(Apply(&mut values, self.function));
            for (x, value) in arguments.into_iter().zip(values) {
                let (x, value) = (f64::from(x), f64::from(value));
                let wanted = (self.oracle)(x);
                let bound = (self.bound)(x, wanted);
                assert!((value - wanted).abs() <= bound, "{x}: {value}, not {wanted}; {}", S::NAME);
            }
        }
    }

    fn check<F: Activation>(function: F, oracle: fn(f64) -> f64, bound: fn(f64, f64) -> f64) {
        let check = Check { function, oracle, bound };
        InstructionSet::available().iter().for_each(|set| set.with(check));
    }

    /// `2 / sqrt(pi)` times the sum of `(-1)^n x^(2n+1) / (n! (2n+1))`; one where that is exact to
    /// single precision.
    fn exact_erf(x: f64) -> f64 {
        if x.abs() > 5.0 {
            return x.signum();
        }
        let (mut sum, mut power) = (0.0, x);
        for n in 0..200 {
            sum += power / f64::from(2 * n + 1);
            power *= -x * x / f64::from(n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn functions_keep_their_bounds() {
        check(Erf, exact_erf, |_, _| 7e-6);
        check(Exp, |x| x.clamp(-87.0, 88.0).exp(), |_, exp| 3e-7 * exp);
        check(Tanh, f64::tanh, |_, _| 1e-6);
        check(Relu, |x| x.max(0.0), |_, _| 0.0);
        check(Silu, |x| x / (1.0 + (-x).exp()), |x, _| 1e-6 * (x.abs() + 1.0));
        let gelu = |x: f64| x / 2.0 * (1.0 + exact_erf(x * std::f64::consts::FRAC_1_SQRT_2));
        check(Gelu, gelu, |x, _| 5e-6 * x.abs());
        check(ShortGelu, gelu, |x, _| 1e-5 * x.abs());
        let gelu_tanh = |x: f64| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            x / 2.0 * (1.0 + inner.tanh())
        };
        check(GeluTanh, gelu_tanh, |x, _| 1e-6 * (x.abs() + 1.0));
    }
}
