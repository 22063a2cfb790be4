//! Right and wrong decisions, counted.

use serde::Serialize;

/// How decisions meet the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Positives that were chosen.
    pub true_positives: u64,
    /// Negatives that were chosen: false alarms.
    pub false_positives: u64,
    /// Positives that were missed.
    pub false_negatives: u64,
    /// Negatives that were left alone.
    pub true_negatives: u64,
}

impl Confusion {
    /// Counts pairs of decision and truth.
    pub fn new(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut confusion = Self::default();
        for (chosen, truth) in pairs {
            confusion.add(chosen, truth, 1);
        }
        confusion
    }

    pub(super) fn add(&mut self, chosen: bool, truth: bool, count: u32) {
        let cell = match (chosen, truth) {
            (true, true) => &mut self.true_positives,
            (true, false) => &mut self.false_positives,
            (false, true) => &mut self.false_negatives,
            (false, false) => &mut self.true_negatives,
        };
        *cell += u64::from(count);
    }

    /// How many were chosen.
    pub fn chosen(&self) -> u64 {
        self.true_positives + self.false_positives
    }

    /// How many are positive.
    pub fn positives(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// How many are negative.
    pub fn negatives(&self) -> u64 {
        self.false_positives + self.true_negatives
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.positives() + self.negatives()
    }

    /// The share of the chosen that are positive; none where nothing was chosen.
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.chosen())
    }

    /// The share of the positives that were chosen; none without positives.
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.positives())
    }

    /// The harmonic mean of precision and recall; none without positives.
    pub fn f1(&self) -> Option<f64> {
        self.recall()?;
        share(2 * self.true_positives, self.chosen() + self.positives())
    }

    /// The mean of the recall of the positives and that of the negatives; none where either class
    /// is empty.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        Some(f64::midpoint(self.recall()?, 1.0 - self.false_positive_rate()?))
    }

    /// The share of the negatives that were chosen; none without negatives.
    pub fn false_positive_rate(&self) -> Option<f64> {
        share(self.false_positives, self.negatives())
    }

    /// The share of right decisions; none without any.
    pub fn accuracy(&self) -> Option<f64> {
        share(self.true_positives + self.true_negatives, self.total())
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand() {
        let pairs = [(true, true), (true, false), (false, true), (false, false), (true, true)];
        let confusion = Confusion::new(pairs);
        assert_eq!((confusion.chosen(), confusion.positives(), confusion.total()), (3, 3, 5));
        assert_eq!(confusion.precision(), Some(2.0 / 3.0));
        assert_eq!(confusion.recall(), Some(2.0 / 3.0));
        assert_eq!(confusion.f1(), Some(2.0 / 3.0));
        assert_eq!(confusion.false_positive_rate(), Some(0.5));
        assert_eq!(confusion.accuracy(), Some(0.6));
    }

    #[test]
    fn a_share_of_nothing_is_no_number() {
        let nothing = Confusion::default();
        assert_eq!((nothing.precision(), nothing.recall(), nothing.f1()), (None, None, None));
        assert_eq!((nothing.false_positive_rate(), nothing.accuracy()), (None, None));
        let missed = Confusion::new([(false, true)]);
        assert_eq!(
            (missed.precision(), missed.recall(), missed.f1()),
            (None, Some(0.0), Some(0.0))
        );
    }
}
