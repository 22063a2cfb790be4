//! From a logit to a probability that means what it says.

/// Platt scaling: `p = 1 / (1 + exp(-(slope * logit + intercept)))`, fitted on the dev set
/// (J. Platt, "Probabilistic outputs for support vector machines", 1999).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Calibration {
    pub(crate) slope: f32,
    pub(crate) intercept: f32,
}

impl Calibration {
    /// The calibrated probability, in `[0, 1]`; it never falls when `logit` rises.
    pub(crate) fn probability(self, logit: f32) -> f32 {
        1.0 / (1.0 + (-(self.slope * logit + self.intercept)).exp())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values_and_the_ends() {
        let plain = Calibration { slope: 1.0, intercept: 0.0 };
        assert_eq!(plain.probability(0.0), 0.5);
        assert!((plain.probability(1.0) - 0.731_058_6).abs() < 1e-7);
        assert_eq!(plain.probability(f32::INFINITY), 1.0);
        assert_eq!(plain.probability(f32::MIN), 0.0);
        let shifted = Calibration { slope: 2.0, intercept: -1.0 };
        assert_eq!(shifted.probability(0.5), 0.5);
    }

    proptest! {
        #[test]
        fn is_a_probability_and_monotone(
            slope in 0.01_f32..10.0, intercept in -10.0_f32..10.0,
            a in -100.0_f32..100.0, b in -100.0_f32..100.0,
        ) {
            let calibration = Calibration { slope, intercept };
            let (low, high) = (calibration.probability(a.min(b)), calibration.probability(a.max(b)));
            prop_assert!(0.0 <= low && low <= high && high <= 1.0);
        }
    }
}
