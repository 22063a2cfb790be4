//! Chooses a threshold by what is wished of it.

use std::fmt;

use super::confusion::Confusion;

/// A choice that rests on fewer rows than this is worth little.
pub const FEW: usize = 50;

/// Thresholds are multiples of one over this.
const STEPS: u16 = 1_000;

/// What is wished of a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Wish {
    /// At least this precision, and then the most recall.
    Precision(f64),
    /// At least this recall, with the highest threshold.
    Recall(f64),
    /// At most this false-positive rate, and then the most recall.
    FalsePositiveRate(f64),
    /// The highest F1.
    F1,
    /// The highest balanced accuracy: misses and false alarms weigh alike, however common either
    /// class is (Youden's index).
    BalancedAccuracy,
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Precision(least) => write!(f, "precision >= {least}"),
            Self::Recall(least) => write!(f, "recall >= {least}"),
            Self::FalsePositiveRate(most) => write!(f, "false-positive rate <= {most}"),
            Self::F1 => f.write_str("best F1"),
            Self::BalancedAccuracy => f.write_str("best balanced accuracy"),
        }
    }
}

impl Wish {
    /// What is wished for, at what `confusion` gives; none where that has no number.
    pub fn reached(self, confusion: &Confusion) -> Option<f64> {
        match self {
            Self::Precision(_) => confusion.precision(),
            Self::Recall(_) => confusion.recall(),
            Self::FalsePositiveRate(_) => confusion.false_positive_rate(),
            Self::F1 => confusion.f1(),
            Self::BalancedAccuracy => confusion.balanced_accuracy(),
        }
    }

    /// Whether `confusion` keeps the wish.
    pub fn is_kept(self, confusion: &Confusion) -> bool {
        self.reached(confusion).is_some_and(|reached| match self {
            Self::Precision(least) | Self::Recall(least) => reached >= least,
            Self::FalsePositiveRate(most) => reached <= most,
            Self::F1 | Self::BalancedAccuracy => true,
        })
    }

    /// How many rows the choice rests on: those that the wished figure is a share of, and of a
    /// false-positive rate the false alarms that it allows.
    pub fn rests_on(self, confusion: &Confusion) -> usize {
        let rows = match self {
            Self::Precision(_) => confusion.chosen(),
            Self::Recall(_) | Self::F1 | Self::BalancedAccuracy => confusion.positives(),
            Self::FalsePositiveRate(most) => (most * confusion.negatives() as f64) as u64,
        };
        rows as usize
    }

    /// Which of two cuts serves the wish better; thresholds break ties. Larger is better.
    fn merit(self, kept: bool, cut: &Cut) -> (bool, f64, f64, u16) {
        let number = |figure: Option<f64>| figure.unwrap_or(0.0);
        let (precision, recall) =
            (number(cut.confusion.precision()), number(cut.confusion.recall()));
        match self {
            // What cannot be kept is approached.
            Self::Precision(_) if !kept => (false, precision, recall, cut.high),
            Self::FalsePositiveRate(_) if !kept => {
                (false, -number(cut.confusion.false_positive_rate()), recall, cut.high)
            }
            Self::Recall(_) if !kept => (false, recall, precision, cut.high),
            Self::Precision(_) | Self::FalsePositiveRate(_) => (true, recall, precision, cut.high),
            Self::Recall(_) => (true, f64::from(cut.high), precision, cut.high),
            Self::F1 | Self::BalancedAccuracy => {
                (true, number(self.reached(&cut.confusion)), precision, cut.high)
            }
        }
    }
}

/// A threshold that was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The threshold, inclusive, with three decimals.
    pub threshold: f32,
    /// What it does to the rows it was chosen on.
    pub confusion: Confusion,
    /// Whether the wish is kept, or only approached.
    pub kept: bool,
}

/// Thresholds between two neighbouring scores: all make the same decisions. In steps, inclusive.
struct Cut {
    low: u16,
    high: u16,
    confusion: Confusion,
}

/// Chooses the threshold on `scored`, pairs of score and truth, that serves the wish best.
///
/// Thresholds have three decimals, since finer ones would be noise; of those that make the same
/// decisions, the middle one is taken, so that a score's rounding decides nothing. At least `least`
/// rows must reach the threshold. With `nearest`, a wish that cannot be kept is approached.
///
/// The figures at the threshold are those of the rows it was chosen on, and so a little too good.
///
/// # Errors
/// When the rows lack positives or negatives, the wish is no share in `[0, 1]`, or it cannot be kept
/// (without `nearest`).
pub fn choose(
    scored: &[(f32, bool)],
    wish: Wish,
    least: usize,
    nearest: bool,
) -> Result<Choice, TuneError> {
    if let Wish::Precision(share) | Wish::Recall(share) | Wish::FalsePositiveRate(share) = wish
        && !(0.0..=1.0).contains(&share)
    {
        return Err(TuneError::NoShare { wish });
    }
    let positives = scored.iter().filter(|(_, truth)| *truth).count();
    if positives == 0 || positives == scored.len() {
        return Err(TuneError::OneClass { rows: scored.len(), positives });
    }
    let best = cuts(scored)
        .into_iter()
        .filter(|cut| cut.confusion.chosen() >= least.max(1) as u64)
        .map(|cut| (wish.merit(wish.is_kept(&cut.confusion), &cut), cut))
        .max_by(|(a, _), (b, _)| {
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2)).then(a.3.cmp(&b.3))
        });
    let Some(((kept, ..), cut)) = best else {
        return Err(TuneError::TooFew { least, rows: scored.len() });
    };
    if !kept && !nearest {
        let nearest = wish.reached(&cut.confusion).unwrap_or_default();
        return Err(TuneError::OutOfReach { wish, least, nearest });
    }
    // Where the middle lies between two steps, to the side that is safer for the wish.
    let middle = match wish {
        Wish::Recall(_) | Wish::F1 | Wish::BalancedAccuracy => (cut.low + cut.high) / 2,
        Wish::Precision(_) | Wish::FalsePositiveRate(_) => (cut.low + cut.high).div_ceil(2),
    };
    Ok(Choice { threshold: threshold(middle), confusion: cut.confusion, kept })
}

fn threshold(step: u16) -> f32 {
    f32::from(step) / f32::from(STEPS)
}

/// Every decision that thresholds can make, from the highest threshold down.
fn cuts(scored: &[(f32, bool)]) -> Vec<Cut> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut confusion = Confusion::new(sorted.iter().map(|&(_, truth)| (false, truth)));
    let mut rows = sorted.into_iter().peekable();
    let mut cuts: Vec<Cut> = Vec::new();
    for step in (0..=STEPS).rev() {
        while let Some((_, truth)) = rows.next_if(|row| row.0 >= threshold(step)) {
            if truth {
                confusion.true_positives += 1;
                confusion.false_negatives -= 1;
            } else {
                confusion.false_positives += 1;
                confusion.true_negatives -= 1;
            }
        }
        match cuts.last_mut() {
            Some(cut) if cut.confusion == confusion => cut.low = step,
            _ => cuts.push(Cut { low: step, high: step, confusion }),
        }
    }
    cuts
}

/// Why no threshold could be chosen.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// The wish is not a share.
    #[error("{wish} cannot be wished for: it is a share between 0 and 1")]
    NoShare {
        /// The wish.
        wish: Wish,
    },
    /// Nothing can be told apart.
    #[error("{positives} of {rows} rows are positive; a threshold needs positives and negatives")]
    OneClass {
        /// How many rows there are.
        rows: usize,
        /// How many are positive.
        positives: usize,
    },
    /// There are not as many rows as are asked for.
    #[error("no threshold is reached by {least} of the {rows} rows")]
    TooFew {
        /// How many rows should reach a threshold.
        least: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// No threshold keeps the wish.
    #[error(
        "{wish} is out of reach with at least {least} rows chosen; the nearest is {nearest:.3}"
    )]
    OutOfReach {
        /// The wish.
        wish: Wish,
        /// How many rows should reach a threshold.
        least: usize,
        /// What can be reached.
        nearest: f64,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Positives and negatives by falling score: + + - + - - + -
    const ROWS: [(f32, bool); 8] = [
        (0.95, true),
        (0.85, true),
        (0.75, false),
        (0.65, true),
        (0.55, false),
        (0.45, false),
        (0.35, true),
        (0.25, false),
    ];

    fn chosen(wish: Wish) -> f32 {
        let choice = choose(&ROWS, wish, 1, false).unwrap();
        assert!(choice.kept);
        let again = Confusion::new(ROWS.iter().map(|&(score, t)| (score >= choice.threshold, t)));
        assert_eq!(choice.confusion, again);
        choice.threshold
    }

    #[test]
    fn thresholds_lie_midway_between_neighbouring_scores() {
        // 0.85 reaches all thresholds from 0.751 to 0.850; the middle is 0.8005.
        assert_eq!(chosen(Wish::Precision(1.0)), 0.801);
        assert_eq!(chosen(Wish::FalsePositiveRate(0.0)), 0.801);
        assert_eq!(chosen(Wish::Recall(0.5)), 0.8);
        assert_eq!(chosen(Wish::Precision(0.75)), 0.601);
        assert_eq!(chosen(Wish::FalsePositiveRate(0.25)), 0.601);
        assert_eq!(chosen(Wish::Recall(0.75)), 0.6);
        assert_eq!(chosen(Wish::Recall(1.0)), 0.3);
        // F1 of 3 of 4 at 0.6: 2 * 3 / (4 + 4) = 0.75; at 0.8: 2 * 2 / (2 + 4) = 0.667.
        assert_eq!(chosen(Wish::F1), 0.6);
        // (3/4 + 3/4) / 2 at 0.6 and (2/4 + 4/4) / 2 at 0.8 are alike: the more precise is taken.
        assert_eq!(chosen(Wish::BalancedAccuracy), 0.8);
    }

    #[test]
    fn what_cannot_be_kept_is_an_error_or_approached() {
        let wish = Wish::Precision(0.9);
        let error = choose(&ROWS, wish, 4, false).unwrap_err();
        assert_eq!(error, TuneError::OutOfReach { wish, least: 4, nearest: 0.75 });
        let choice = choose(&ROWS, wish, 4, true).unwrap();
        assert_eq!((choice.threshold, choice.kept), (0.601, false));
        let error = choose(&ROWS, wish, 9, true).unwrap_err();
        assert_eq!(error, TuneError::TooFew { least: 9, rows: 8 });
        let error = choose(&[(0.5, true)], Wish::F1, 1, false).unwrap_err();
        assert_eq!(error, TuneError::OneClass { rows: 1, positives: 1 });
        let error = choose(&ROWS, Wish::Recall(1.5), 1, false).unwrap_err();
        assert!(error.to_string().contains("recall >= 1.5"), "{error}");
        assert!(choose(&ROWS, Wish::Recall(f64::NAN), 1, true).is_err());
    }

    #[test]
    fn a_choice_rests_on_the_rows_of_its_figure() {
        let confusion = Confusion::new(ROWS.iter().map(|&(score, t)| (score > 0.6, t)));
        assert_eq!(Wish::Precision(0.5).rests_on(&confusion), 4);
        assert_eq!(Wish::F1.rests_on(&confusion), 4);
        assert_eq!(Wish::FalsePositiveRate(0.5).rests_on(&confusion), 2);
    }

    #[test]
    fn thresholds_are_what_their_decimals_read_as() {
        for step in 0..=STEPS {
            let written = format!("{}", threshold(step));
            assert!(written.len() <= "0.001".len(), "{written}");
            assert_eq!(written.parse::<f64>().unwrap() as f32, threshold(step));
        }
    }

    proptest! {
        #[test]
        fn a_wish_that_is_granted_is_kept_and_none_better_is_missed(
            rows in prop::collection::vec((0.0_f32..=1.0, any::<bool>()), 2..50),
            share in 0.0_f64..=1.0,
        ) {
            for wish in [
                Wish::Precision(share),
                Wish::Recall(share),
                Wish::FalsePositiveRate(share),
                Wish::F1,
                Wish::BalancedAccuracy,
            ] {
                let Ok(choice) = choose(&rows, wish, 1, false) else { continue };
                let at = |t: f32| Confusion::new(rows.iter().map(|&(score, truth)| (score >= t, truth)));
                prop_assert_eq!(choice.confusion, at(choice.threshold));
                prop_assert!(wish.is_kept(&choice.confusion));
                for step in 0..=STEPS {
                    let other = at(threshold(step));
                    if other.chosen() == 0 || !wish.is_kept(&other) {
                        continue;
                    }
                    match wish {
                        Wish::F1 => prop_assert!(other.f1() <= choice.confusion.f1()),
                        Wish::BalancedAccuracy => prop_assert!(
                            other.balanced_accuracy() <= choice.confusion.balanced_accuracy()
                        ),
                        Wish::Recall(_) => prop_assert!(other.chosen() >= choice.confusion.chosen()),
                        _ => prop_assert!(other.recall() <= choice.confusion.recall()),
                    }
                }
            }
        }
    }
}
