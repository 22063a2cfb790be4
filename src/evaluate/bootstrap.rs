//! How far a figure could have come out otherwise: the percentile bootstrap.

use std::ops::RangeInclusive;

use fastrand::Rng;
use serde::{Serialize, Serializer};

/// Figures that rest on fewer rows than this are not given, only counted.
pub const MINIMUM: usize = 5;

/// How resamples are drawn.
///
/// The percentile bootstrap (B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993,
/// chapter 13): the rows of a figure are drawn with replacement, as many as there are, the figure is
/// computed anew, and the 2.5th and 97.5th percentiles of the results bound a 95% interval. It tells
/// what the choice of rows does, not what other data would. A share of exactly 0 or 1 has no width,
/// which does not make it certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// How many resamples; with 0 there are no intervals.
    pub resamples: usize,
    /// Equal seeds give equal intervals.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 1,000 resamples.
    fn default() -> Self {
        Self { resamples: 1_000, seed: 20_261_122 }
    }
}

/// The bounds of a 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// Serializes as `[low, high]`, with six decimals.
impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [six_decimals(self.low), six_decimals(self.high)].serialize(serializer)
    }
}

/// A figure with what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The figure, in `[0, 1]`; none where `n` is below [`MINIMUM`] or the figure has no meaning.
    #[serde(serialize_with = "optional_six_decimals")]
    pub value: Option<f64>,
    /// Its 95% interval, where it was asked for.
    pub interval: Option<Interval>,
    /// How many rows it rests on: for a ranking those of the rarer class, for a share those that it
    /// is a share of (for a precision the positives, where these are below [`MINIMUM`]).
    pub n: usize,
}

impl Bootstrap {
    /// Figures that one pass over `rows` rows computes together. `compute` is given how often each
    /// row counts; `rests_on` says how many rows each figure rests on.
    pub(super) fn figures<const K: usize>(
        &self,
        rows: usize,
        rests_on: [usize; K],
        compute: impl Fn(&[u32]) -> [Option<f64>; K],
    ) -> [Figure; K] {
        let values = compute(&vec![1; rows]);
        let wanted = (0..K).any(|at| rests_on[at] >= MINIMUM && values[at].is_some());
        let mut drawn: [Vec<f64>; K] = std::array::from_fn(|_| Vec::new());
        let mut rng = Rng::with_seed(self.seed);
        let mut counts = vec![0; rows];
        for _ in 0..if wanted { self.resamples } else { 0 } {
            counts.fill(0);
            for _ in 0..rows {
                counts[rng.usize(..rows)] += 1;
            }
            // A resample in which a figure has no meaning is left out of its interval.
            for (drawn, value) in drawn.iter_mut().zip(compute(&counts)) {
                drawn.extend(value);
            }
        }
        let mut drawn = drawn.into_iter();
        std::array::from_fn(|at| {
            let value = values[at].filter(|_| rests_on[at] >= MINIMUM);
            let drawn = drawn.next().unwrap_or_default();
            Figure { value, interval: value.and_then(|_| interval(drawn)), n: rests_on[at] }
        })
    }
}

const LEVEL: RangeInclusive<f64> = 0.025..=0.975;

fn interval(mut drawn: Vec<f64>) -> Option<Interval> {
    drawn.sort_by(f64::total_cmp);
    let low = percentile(&drawn, *LEVEL.start())?;
    Some(Interval { low, high: percentile(&drawn, *LEVEL.end())? })
}

/// The percentile of ascending values, interpolated linearly between neighbours (numpy's default).
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

pub(super) fn six_decimals(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn optional_six_decimals<S: Serializer>(value: &Option<f64>, s: S) -> Result<S::Ok, S::Error> {
    value.map(six_decimals).serialize(s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64], counts: &[u32]) -> Option<f64> {
        let sum: f64 = values.iter().zip(counts).map(|(v, &n)| v * f64::from(n)).sum();
        Some(sum / f64::from(counts.iter().sum::<u32>()))
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        // numpy.percentile([1, 2, 4, 8], [2.5, 97.5, 50])
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert!((percentile(&sorted, 0.025).unwrap() - 1.075).abs() < 1e-12);
        assert!((percentile(&sorted, 0.975).unwrap() - 7.7).abs() < 1e-12);
        assert!((percentile(&sorted, 0.5).unwrap() - 3.0).abs() < 1e-12);
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn the_interval_of_a_share_is_near_the_binomial_one() {
        // 60 of 200: the normal interval is 0.3 -+ 1.96 * sqrt(0.3 * 0.7 / 200), 0.2365 to 0.3635.
        let values: Vec<f64> = (0..200).map(|at| f64::from(u8::from(at < 60))).collect();
        let bootstrap = Bootstrap { resamples: 2_000, seed: 7 };
        let figures = || bootstrap.figures(200, [200], |counts| [mean(&values, counts)]);
        let [figure] = figures();
        let interval = figure.interval.unwrap();
        assert!((interval.low - 0.2365).abs() < 0.015, "{interval:?}");
        assert!((interval.high - 0.3635).abs() < 0.015, "{interval:?}");
        assert_eq!(figures(), [figure], "equal seeds, equal intervals");
        let other = Bootstrap { seed: 8, ..bootstrap };
        assert_ne!(other.figures(200, [200], |counts| [mean(&values, counts)]), [figure]);
    }

    #[test]
    fn too_few_rows_give_a_count_and_no_figure() {
        let figures = Bootstrap::default().figures(9, [4, 5], |_| [Some(0.5), Some(0.5)]);
        assert_eq!(figures[0], Figure { value: None, interval: None, n: 4 });
        assert_eq!(figures[1].value, Some(0.5));
        let none = Bootstrap { resamples: 0, seed: 0 }.figures(9, [9], |_| [Some(0.5)]);
        assert_eq!((none[0].value, none[0].interval), (Some(0.5), None));
        let json = serde_json::to_string(&figures).unwrap();
        assert_eq!(
            json,
            r#"[{"value":null,"interval":null,"n":4},{"value":0.5,"interval":[0.5,0.5],"n":5}]"#
        );
    }
}
