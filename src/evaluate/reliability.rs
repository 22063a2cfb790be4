//! Whether a probability means what it says.

use serde::Serialize;

use super::bootstrap::{Bootstrap, Figure};

/// How many bins of equal width divide `[0, 1]`.
const BINS: usize = 15;

/// Probabilities against what came true.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reliability {
    /// Expected calibration error: the mean over rows of the distance between the mean probability
    /// and the share of positives in the row's bin (C. Guo et al., "On Calibration of Modern Neural
    /// Networks", ICML 2017, equation 5; 15 bins of equal width). Resampling adds noise to every
    /// bin, so its interval lies high.
    pub expected_calibration_error: Figure,
    /// The bins, in order, empty ones too. A bin holds its lower bound; the last holds 1 as well.
    pub bins: Vec<ReliabilityBin>,
}

/// One bin of a [`Reliability`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Lower bound.
    pub from: f64,
    /// Upper bound.
    pub to: f64,
    /// How many rows have a probability in the bin.
    pub n: usize,
    /// Their mean probability; none for an empty bin.
    pub mean_probability: Option<f64>,
    /// The share of them that are positive; none for an empty bin.
    pub positive_share: Option<f64>,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    n: f64,
    probability: f64,
    positives: f64,
}

impl Reliability {
    /// Compares probabilities in `[0, 1]` with the truth.
    pub fn new(pairs: &[(f32, bool)], bootstrap: &Bootstrap) -> Self {
        let sums = |counts: &[u32]| {
            let mut sums = [Sums::default(); BINS];
            for (&(probability, truth), &count) in pairs.iter().zip(counts) {
                let sum = &mut sums[bin(probability)];
                let count = f64::from(count);
                sum.n += count;
                sum.probability += count * f64::from(probability);
                sum.positives += count * f64::from(u8::from(truth));
            }
            sums
        };
        let [error] = bootstrap.figures(pairs.len(), [pairs.len()], |counts| {
            let distance: f64 =
                sums(counts).iter().map(|sum| (sum.probability - sum.positives).abs()).sum();
            [(!pairs.is_empty()).then(|| distance / pairs.len() as f64)]
        });
        let bins = sums(&vec![1; pairs.len()]).into_iter().enumerate().map(|(at, sum)| {
            let mean = |of: f64| (sum.n > 0.0).then(|| of / sum.n);
            ReliabilityBin {
                from: at as f64 / BINS as f64,
                to: (at + 1) as f64 / BINS as f64,
                n: sum.n as usize,
                mean_probability: mean(sum.probability),
                positive_share: mean(sum.positives),
            }
        });
        Self { expected_calibration_error: error, bins: bins.collect() }
    }
}

fn bin(probability: f32) -> usize {
    ((f64::from(probability) * BINS as f64) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(pairs: &[(f32, bool)]) -> f64 {
        let bootstrap = Bootstrap { resamples: 0, seed: 0 };
        Reliability::new(pairs, &bootstrap).expected_calibration_error.value.unwrap()
    }

    #[test]
    fn known_errors() {
        // All in one bin: mean probability 0.5, share of positives 1/5.
        let one_bin = [(0.5, true), (0.5, false), (0.5, false), (0.5, false), (0.5, false)];
        assert!((error(&one_bin) - 0.3).abs() < 1e-7);
        // Two bins, of weight 2/6 and 4/6: |0.95 - 0.5| / 3 + |0.1 - 0.25| * 2 / 3.
        let two_bins =
            [(0.95, true), (0.95, false), (0.1, true), (0.1, false), (0.1, false), (0.1, false)];
        assert!((error(&two_bins) - (0.45 + 0.3) / 3.0).abs() < 1e-7);
        assert!((error(&[(1.0, false); 5]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn bins_hold_their_lower_bound_and_every_row() {
        let pairs = [(0.0, false), (0.2, true), (1.0, true), (0.999, true), (0.19, false)];
        let reliability = Reliability::new(&pairs, &Bootstrap { resamples: 0, seed: 0 });
        let n: Vec<_> = reliability.bins.iter().map(|bin| bin.n).collect();
        assert_eq!(n, [1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(reliability.bins[1].mean_probability, None);
        assert_eq!(reliability.bins[14].positive_share, Some(1.0));
    }

    proptest! {
        #[test]
        fn calibrated_bins_have_no_error(
            bins in prop::collection::vec((0_u32..=16, 1_usize..3), 1..15),
        ) {
            // In each bin k of 16 rows are positive and the probability is k/16, exact in binary.
            let rows = bins.into_iter().flat_map(|(k, times)| {
                (0..16 * times as u32).map(move |at| (k as f32 / 16.0, at % 16 < k))
            });
            let pairs: Vec<_> = rows.collect();
            prop_assert!(error(&pairs) < 1e-12);
        }
    }
}
