//! How well scores put positives before negatives.

/// Scores with their truths, sorted once, so that figures of many resamples cost one pass each.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Descending by score.
    pairs: Vec<(f32, bool)>,
}

/// A run of equal scores, and what lies above it.
struct Tie {
    score: f32,
    positives: u64,
    negatives: u64,
    positives_above: u64,
    negatives_above: u64,
}

impl Ranking {
    /// Sorts scores with their truths.
    pub fn new(pairs: impl IntoIterator<Item = (f32, bool)>) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self { pairs }
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// How many are positive.
    pub fn positives(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.1).count()
    }

    /// The size of the rarer class, which decides how much a figure is worth.
    pub fn rarer(&self) -> usize {
        self.positives().min(self.len() - self.positives())
    }

    /// Average precision: the sum over thresholds of precision times the step in recall, equal
    /// scores at one threshold (as scikit-learn's `average_precision_score`; no interpolation).
    /// None without a positive.
    pub fn average_precision(&self) -> Option<f64> {
        self.average_precision_of(&self.once())
    }

    /// The area under the ROC curve: the probability that a positive scores above a negative, equal
    /// scores counting half. None without a positive or without a negative.
    pub fn roc_auc(&self) -> Option<f64> {
        self.roc_auc_of(&self.once())
    }

    /// The precision-recall curve from the highest threshold to the lowest: threshold, precision,
    /// recall, at most `points` of them, evenly taken. Empty without a positive.
    pub fn precision_recall(&self, points: usize) -> Vec<(f32, f64, f64)> {
        let all = self.positives() as f64;
        if all == 0.0 {
            return Vec::new();
        }
        let once = self.once();
        let curve: Vec<_> = self
            .ties(&once)
            .map(|tie| {
                let found = (tie.positives_above + tie.positives) as f64;
                let chosen = found + (tie.negatives_above + tie.negatives) as f64;
                (tie.score, found / chosen, found / all)
            })
            .collect();
        let last = curve.len() - 1;
        if last < points {
            return curve;
        }
        let steps = points.max(2) - 1;
        (0..=steps).map(|step| curve[step * last / steps]).collect()
    }

    /// [`Ranking::average_precision`] of a resample: how often each pair was drawn, in sorted order.
    pub(super) fn average_precision_of(&self, counts: &[u32]) -> Option<f64> {
        let all: u64 = self.weight_of_positives(counts);
        let sum: f64 = self
            .ties(counts)
            .filter(|tie| tie.positives > 0)
            .map(|tie| {
                let found = (tie.positives_above + tie.positives) as f64;
                let chosen = found + (tie.negatives_above + tie.negatives) as f64;
                tie.positives as f64 * found / chosen
            })
            .sum();
        (all > 0).then(|| sum / all as f64)
    }

    /// [`Ranking::roc_auc`] of a resample.
    pub(super) fn roc_auc_of(&self, counts: &[u32]) -> Option<f64> {
        let positives = self.weight_of_positives(counts);
        let negatives = counts.iter().map(|&n| u64::from(n)).sum::<u64>() - positives;
        let ordered: f64 = self
            .ties(counts)
            .map(|tie| {
                tie.negatives as f64 * (tie.positives_above as f64 + tie.positives as f64 / 2.0)
            })
            .sum();
        (positives > 0 && negatives > 0).then(|| ordered / (positives as f64 * negatives as f64))
    }

    fn once(&self) -> Vec<u32> {
        vec![1; self.pairs.len()]
    }

    fn weight_of_positives(&self, counts: &[u32]) -> u64 {
        let positives = self.pairs.iter().zip(counts).filter(|(pair, _)| pair.1);
        positives.map(|(_, &count)| u64::from(count)).sum()
    }

    fn ties<'a>(&'a self, counts: &'a [u32]) -> impl Iterator<Item = Tie> + 'a {
        let mut pairs = self.pairs.iter().zip(counts).peekable();
        let (mut positives_above, mut negatives_above) = (0, 0);
        std::iter::from_fn(move || {
            let score = pairs.peek()?.0.0;
            let mut tie =
                Tie { score, positives: 0, negatives: 0, positives_above, negatives_above };
            while let Some(((_, positive), count)) = pairs.next_if(|(pair, _)| pair.0 == score) {
                *(if *positive { &mut tie.positives } else { &mut tie.negatives }) +=
                    u64::from(*count);
            }
            positives_above += tie.positives;
            negatives_above += tie.negatives;
            Some(tie)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Twelve scores with ties. The figures below are those of scikit-learn 1.9.1:
    /// `average_precision_score(TRUTH, SCORES)` and `roc_auc_score(TRUTH, SCORES)`.
    const SCORES: [f32; 12] = [0.9, 0.8, 0.8, 0.7, 0.6, 0.55, 0.5, 0.5, 0.5, 0.3, 0.2, 0.1];
    const TRUTH: [bool; 12] =
        [true, true, false, true, false, true, false, true, false, false, true, false];
    const AVERAGE_PRECISION: f64 = 0.697390572391;
    const ROC_AUC: f64 = 0.680555555556;

    fn close(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-9)
    }

    #[test]
    fn known_values_with_ties() {
        let ranking = Ranking::new(SCORES.into_iter().zip(TRUTH));
        assert!(close(ranking.average_precision(), AVERAGE_PRECISION));
        assert!(close(ranking.roc_auc(), ROC_AUC));
        // By hand: positives at ranks 1 and 3 of 4.
        let small = Ranking::new([(0.2, false), (0.4, true), (0.9, true), (0.6, false)]);
        assert!(close(small.average_precision(), (1.0 + 2.0 / 3.0) / 2.0));
        assert!(close(small.roc_auc(), 0.75));
        let tied = Ranking::new([(0.5, true), (0.5, false)]);
        assert!(close(tied.roc_auc(), 0.5) && close(tied.average_precision(), 0.5));
    }

    #[test]
    fn without_both_classes_there_is_no_order() {
        let positives = Ranking::new([(0.5, true)]);
        assert_eq!((positives.roc_auc(), positives.average_precision()), (None, Some(1.0)));
        let negatives = Ranking::new([(0.5, false)]);
        assert_eq!((negatives.roc_auc(), negatives.average_precision()), (None, None));
        assert!(negatives.precision_recall(10).is_empty());
        assert_eq!(Ranking::new([]).roc_auc(), None);
    }

    #[test]
    fn counts_are_repetitions() {
        let counts = [2, 0, 1, 3, 1, 1, 0, 2, 1, 1, 4, 1];
        let repeated = SCORES.into_iter().zip(TRUTH).zip(counts);
        let repeated = repeated.flat_map(|(pair, n)| std::iter::repeat_n(pair, n as usize));
        let (ranking, repeated) =
            (Ranking::new(SCORES.into_iter().zip(TRUTH)), Ranking::new(repeated));
        assert!(close(ranking.roc_auc_of(&counts), repeated.roc_auc().unwrap()));
        let precision = repeated.average_precision().unwrap();
        assert!(close(ranking.average_precision_of(&counts), precision));
    }

    #[test]
    fn the_curve_ends_at_full_recall_however_few_points_it_has() {
        let ranking = Ranking::new(SCORES.into_iter().zip(TRUTH));
        let curve = ranking.precision_recall(100);
        assert_eq!(curve.len(), 9, "equal scores are one point");
        assert_eq!(curve[1], (0.8, 2.0 / 3.0, 2.0 / 6.0));
        let few = ranking.precision_recall(3);
        assert_eq!((few.len(), few[2]), (3, (0.1, 0.5, 1.0)));
    }

    proptest! {
        #[test]
        fn figures_are_shares_and_depend_on_the_order_alone(
            pairs in prop::collection::vec((0_u8..20, any::<bool>()), 2..60),
        ) {
            let plain = Ranking::new(pairs.iter().map(|&(s, t)| (f32::from(s) / 20.0, t)));
            // Strictly monotone: equal scores stay equal and order is kept.
            let bent = Ranking::new(pairs.iter().map(|&(s, t)| (f32::from(s).powi(3) - 7.0, t)));
            prop_assert_eq!(plain.roc_auc(), bent.roc_auc());
            prop_assert_eq!(plain.average_precision(), bent.average_precision());
            if let (Some(auc), Some(precision)) = (plain.roc_auc(), plain.average_precision()) {
                prop_assert!((0.0..=1.0).contains(&auc));
                prop_assert!(precision > 0.0 && precision <= 1.0 + 1e-12);
                let mirrored = Ranking::new(pairs.iter().map(|&(s, t)| (-f32::from(s), t)));
                prop_assert!((auc + mirrored.roc_auc().unwrap() - 1.0).abs() < 1e-9);
            }
        }
    }
}
