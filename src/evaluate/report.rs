//! All figures of a labelled set.

use std::collections::BTreeMap;

use enum_map::EnumMap;
use serde::Serialize;

use super::{
    bootstrap::{Bootstrap, Figure, MINIMUM},
    confusion::Confusion,
    labels::{Group, Labels},
    ranking::Ranking,
    reliability::Reliability,
};
use crate::{
    policy::{Decision, Level, Policy},
    scores::Probabilities,
    taxonomy::{Category, Way},
};

/// A policy has no thresholds for ways; a way is taken as named where it is more probable than not.
pub const WAY_THRESHOLD: f32 = 0.5;

/// How many points of the precision-recall curve a report keeps.
const CURVE_POINTS: usize = 400;

/// A text's labels and its scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// What people said.
    pub labels: Labels,
    /// What the classifier says.
    pub probabilities: Probabilities,
}

/// How well scores and a policy meet the labels of a set of texts.
///
/// Serializes to the JSON that `dignity evaluate --json` writes. Figures are shares in `[0, 1]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How many texts.
    pub n: usize,
    /// How many of them dehumanize.
    pub positives: usize,
    /// How intervals were drawn.
    pub bootstrap: Bootstrap,
    /// Figures that rest on fewer rows are left out.
    pub minimum: usize,
    /// The score for dehumanization on all texts.
    pub dehumanization: RankingFigures,
    /// The same among the texts labelled hateful: dehumanizing against other hatred.
    pub dehumanization_among_hate: RankingFigures,
    /// The auxiliary score for hate, on the texts where hate is labelled.
    pub hate: RankingFigures,
    /// The policy's decision to flag.
    pub flag: DecisionFigures,
    /// The policy's decision to review or flag.
    pub review: DecisionFigures,
    /// Calibration of the score for dehumanization.
    pub reliability: Reliability,
    /// By category on account of which a text dehumanizes.
    pub categories: EnumMap<Category, LabelFigures>,
    /// By way of dehumanizing.
    pub ways: EnumMap<Way, LabelFigures>,
    /// By group that a text mentions, dehumanized or not.
    pub groups: Vec<GroupFigures>,
    /// By the field `function`, in order of name; empty where no text has it.
    pub by_function: Vec<SliceFigures>,
    /// By the field `category`, in order of name; empty where no text has it.
    pub by_category: Vec<SliceFigures>,
    /// The precision-recall curve of the score for dehumanization, from the highest threshold down.
    pub precision_recall: Vec<CurvePoint>,
}

/// How well a score puts positives first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankingFigures {
    /// How many texts.
    pub n: usize,
    /// How many are positive.
    pub positives: usize,
    /// See [`Ranking::average_precision`]; it depends on the share of positives.
    pub average_precision: Figure,
    /// See [`Ranking::roc_auc`]; it does not.
    pub roc_auc: Figure,
}

/// How a decision at a threshold meets the labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionFigures {
    /// The threshold, inclusive.
    pub threshold: f32,
    /// The counts.
    #[serde(flatten)]
    pub confusion: Confusion,
    /// See [`Confusion::precision`].
    pub precision: Figure,
    /// See [`Confusion::recall`].
    pub recall: Figure,
    /// See [`Confusion::f1`].
    pub f1: Figure,
    /// See [`Confusion::false_positive_rate`].
    pub false_positive_rate: Figure,
}

/// One category or way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelFigures {
    /// The label's own score.
    #[serde(flatten)]
    pub ranking: RankingFigures,
    /// The label's score at its threshold: of a category the one at which the policy names it as a
    /// cause, of a way [`WAY_THRESHOLD`].
    pub named: DecisionFigures,
    /// Of the texts that have this label, the share that the policy flags.
    pub flagged: Figure,
    /// Of the texts that have this label, the share that the policy reviews or flags.
    pub reviewed: Figure,
}

/// How the score for dehumanization treats texts that mention a group (D. Borkan et al., "Nuanced
/// Metrics for Measuring Unintended Bias with Real Data for Text Classification", WWW 2019).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupFigures {
    /// The group.
    pub group: Group,
    /// How many texts mention it.
    pub n: usize,
    /// How many of these dehumanize (on account of whatever group).
    pub positives: usize,
    /// ROC AUC among the texts that mention the group.
    pub subgroup_auc: Figure,
    /// Background positive, subgroup negative: ROC AUC of dehumanizing texts that do not mention the
    /// group against harmless ones that do. Low where the mention itself raises the score.
    pub bpsn_auc: Figure,
    /// Background negative, subgroup positive: ROC AUC of dehumanizing texts that mention the group
    /// against harmless ones that do not. Low where the mention lowers the score.
    pub bnsp_auc: Figure,
}

/// The texts of one function, or of one division of the data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SliceFigures {
    /// The value of the field.
    pub name: String,
    /// How many texts.
    pub n: usize,
    /// How many dehumanize, and so should be flagged.
    pub positives: usize,
    /// The decision to flag.
    pub flag: SliceDecision,
    /// The decision to review or flag.
    pub review: SliceDecision,
}

/// A decision about the texts of a slice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SliceDecision {
    /// The counts.
    #[serde(flatten)]
    pub confusion: Confusion,
    /// The share decided as labelled.
    pub accuracy: Figure,
    /// See [`Confusion::recall`].
    pub recall: Figure,
    /// See [`Confusion::false_positive_rate`].
    pub false_positive_rate: Figure,
}

/// A point of a precision-recall curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The threshold, inclusive.
    pub threshold: f32,
    /// Precision at it.
    pub precision: f64,
    /// Recall at it.
    pub recall: f64,
}

impl Report {
    /// Computes all figures. Texts that could not be scored do not belong here; count them apart.
    /// Nothing is decided at the thresholds of a policy that has none for dehumanization.
    pub fn new(rows: &[Labelled], policy: &Policy, bootstrap: Bootstrap) -> Self {
        let figures = Figures { rows, policy, bootstrap };
        let threshold = |level: &Level| level.dehumanization.unwrap_or(f32::INFINITY);
        let dehumanization: Vec<_> =
            rows.iter().map(|row| (row.probabilities.dehumanization, row.truth())).collect();
        let among_hate = rows.iter().filter(|row| row.labels.hate == Some(true));
        let hate = rows.iter().filter_map(|row| Some((row.probabilities.hate, row.labels.hate?)));
        let all = Ranking::new(dehumanization.iter().copied());
        let curve = all.precision_recall(CURVE_POINTS).into_iter();
        Self {
            n: rows.len(),
            positives: all.positives(),
            bootstrap,
            minimum: MINIMUM,
            dehumanization_among_hate: figures
                .ranking(among_hate.map(|row| (row.probabilities.dehumanization, row.truth()))),
            hate: figures.ranking(hate),
            flag: figures.decision(threshold(policy.flag()), &dehumanization),
            review: figures.decision(threshold(policy.review()), &dehumanization),
            reliability: Reliability::new(&dehumanization, &bootstrap),
            dehumanization: figures.ranking(dehumanization),
            categories: EnumMap::from_fn(|category| {
                figures.label(
                    policy.because(category),
                    |p| p.categories[category],
                    |labels| labels.category(category),
                )
            }),
            ways: EnumMap::from_fn(|way| {
                figures.label(WAY_THRESHOLD, |p| p.ways[way], |labels| labels.way(way))
            }),
            groups: Group::all().map(|group| figures.group(group)).collect(),
            by_function: figures.slices(|labels| labels.function.as_deref()),
            by_category: figures.slices(|labels| labels.category.as_deref()),
            precision_recall: curve
                .map(|(threshold, precision, recall)| CurvePoint { threshold, precision, recall })
                .collect(),
        }
    }
}

impl Labelled {
    fn truth(&self) -> bool {
        self.labels.dehumanization
    }
}

/// What all figures of a report are computed from.
struct Figures<'a> {
    rows: &'a [Labelled],
    policy: &'a Policy,
    bootstrap: Bootstrap,
}

impl Figures<'_> {
    fn ranking(&self, pairs: impl IntoIterator<Item = (f32, bool)>) -> RankingFigures {
        let ranking = Ranking::new(pairs);
        let rests_on = [ranking.rarer(); 2];
        let [average_precision, roc_auc] =
            self.bootstrap.figures(ranking.len(), rests_on, |counts| {
                [ranking.average_precision_of(counts), ranking.roc_auc_of(counts)]
            });
        let (n, positives) = (ranking.len(), ranking.positives());
        RankingFigures { n, positives, average_precision, roc_auc }
    }

    /// The decision to choose every score that reaches `threshold`.
    fn decision(&self, threshold: f32, pairs: &[(f32, bool)]) -> DecisionFigures {
        let decisions: Vec<_> =
            pairs.iter().map(|&(score, truth)| (score >= threshold, truth)).collect();
        decision_figures(threshold, &decisions, &self.bootstrap)
    }

    fn label(
        &self,
        threshold: f32,
        score: impl Fn(&Probabilities) -> f32,
        truth: impl Fn(&Labels) -> Option<bool>,
    ) -> LabelFigures {
        let pairs: Vec<_> = self
            .rows
            .iter()
            .filter_map(|row| Some((score(&row.probabilities), truth(&row.labels)?)))
            .collect();
        let having = self.rows.iter().filter(|row| truth(&row.labels) == Some(true));
        let reached: Vec<_> = having.map(|row| self.policy.decide(&row.probabilities)).collect();
        let share = |least: Decision| {
            let share = |counts: &[u32]| {
                let decisions = reached.iter().zip(counts);
                let (mut chosen, mut all) = (0, 0);
                for (&decision, &count) in decisions {
                    chosen += if decision >= least { count } else { 0 };
                    all += count;
                }
                [(all > 0).then(|| f64::from(chosen) / f64::from(all))]
            };
            let [figure] = self.bootstrap.figures(reached.len(), [reached.len()], share);
            figure
        };
        LabelFigures {
            named: self.decision(threshold, &pairs),
            ranking: self.ranking(pairs),
            flagged: share(Decision::Flag),
            reviewed: share(Decision::Review),
        }
    }

    fn group(&self, group: Group) -> GroupFigures {
        // (mentions the group, score, truth), where mentions are labelled.
        let rows: Vec<_> = self
            .rows
            .iter()
            .filter_map(|row| {
                let mentions = row.labels.groups?[group];
                Some((mentions, row.probabilities.dehumanization, row.truth()))
            })
            .collect();
        let auc = |keep: fn(bool, bool) -> bool| {
            let kept = rows.iter().filter(|&&(mentions, _, truth)| keep(mentions, truth));
            self.ranking(kept.map(|&(_, score, truth)| (score, truth))).roc_auc
        };
        GroupFigures {
            group,
            n: rows.iter().filter(|row| row.0).count(),
            positives: rows.iter().filter(|row| row.0 && row.2).count(),
            subgroup_auc: auc(|mentions, _| mentions),
            bpsn_auc: auc(|mentions, truth| mentions != truth),
            bnsp_auc: auc(|mentions, truth| mentions == truth),
        }
    }

    fn slices(&self, field: impl Fn(&Labels) -> Option<&str>) -> Vec<SliceFigures> {
        let mut slices: BTreeMap<&str, Vec<(Decision, bool)>> = BTreeMap::new();
        for row in self.rows {
            if let Some(name) = field(&row.labels) {
                slices
                    .entry(name)
                    .or_default()
                    .push((self.policy.decide(&row.probabilities), row.truth()));
            }
        }
        let figures = |(name, rows): (&str, Vec<(Decision, bool)>)| SliceFigures {
            name: name.to_owned(),
            n: rows.len(),
            positives: rows.iter().filter(|row| row.1).count(),
            flag: self.slice_decision(Decision::Flag, &rows),
            review: self.slice_decision(Decision::Review, &rows),
        };
        slices.into_iter().map(figures).collect()
    }

    fn slice_decision(&self, least: Decision, rows: &[(Decision, bool)]) -> SliceDecision {
        let decisions: Vec<_> = rows.iter().map(|&(d, truth)| (d >= least, truth)).collect();
        let confusion = Confusion::new(decisions.iter().copied());
        let rests_on = [confusion.total(), confusion.positives(), confusion.negatives()];
        let [accuracy, recall, false_positive_rate] =
            self.bootstrap.figures(rows.len(), rests_on.map(|n| n as usize), |counts| {
                let c = weighted(&decisions, counts);
                [c.accuracy(), c.recall(), c.false_positive_rate()]
            });
        SliceDecision { confusion, accuracy, recall, false_positive_rate }
    }
}

/// The figures of pairs of decision and truth.
pub(crate) fn decision_figures(
    threshold: f32,
    decisions: &[(bool, bool)],
    bootstrap: &Bootstrap,
) -> DecisionFigures {
    let confusion = Confusion::new(decisions.iter().copied());
    let positives = confusion.positives();
    // Without positives to find, a low precision says nothing of the classifier.
    let precision_of = if positives < MINIMUM as u64 { positives } else { confusion.chosen() };
    let rests_on = [precision_of, positives, positives, confusion.negatives()];
    let [precision, recall, f1, false_positive_rate] =
        bootstrap.figures(decisions.len(), rests_on.map(|n| n as usize), |counts| {
            let c = weighted(decisions, counts);
            [c.precision(), c.recall(), c.f1(), c.false_positive_rate()]
        });
    DecisionFigures { threshold, confusion, precision, recall, f1, false_positive_rate }
}

fn weighted(decisions: &[(bool, bool)], counts: &[u32]) -> Confusion {
    let mut confusion = Confusion::default();
    for (&(chosen, truth), &count) in decisions.iter().zip(counts) {
        confusion.add(chosen, truth, count);
    }
    confusion
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        format = 1
        name = "test"
        version = "1"
        model = "tiny"
        [flag]
        dehumanization = 0.75
        [review]
        dehumanization = 0.25
        [because]
        default = 0.5
    "#;

    /// Twenty texts, of which every second mentions an age group.
    fn rows() -> Vec<Labelled> {
        let row = |at: u8| {
            let dehum = u8::from(at % 4 < 2 && at != 1);
            let groups = if at.is_multiple_of(2) { "age" } else { "rel" };
            let hate = if at < 3 { "null" } else { "1" };
            let json = format!(
                r#"{{"dehum":{dehum},"groups":"{groups}","ways":"a","hate":{hate},"function":"{}"}}"#,
                if at < 8 { "first" } else { "second" }
            );
            // Descending, with ties.
            let score = f32::from(20 - at - at % 3 / 2) / 20.0;
            let mut probabilities = Probabilities { dehumanization: score, ..Default::default() };
            probabilities.categories[Category::Age] = score;
            probabilities.ways[Way::Animal] = 1.0 - score;
            Labelled { labels: serde_json::from_str(&json).unwrap(), probabilities }
        };
        (0..20).map(row).collect()
    }

    fn report() -> Report {
        let policy = Policy::from_toml(POLICY).unwrap();
        Report::new(&rows(), &policy, Bootstrap { resamples: 50, seed: 1 })
    }

    #[test]
    fn figures_are_those_of_scikit_learn() {
        // scikit-learn 1.9.1 on the same rows: average_precision_score and roc_auc_score, the latter
        // on the subsets that Borkan et al. define for the group.
        let report = report();
        let near = |figure: &Figure, value: f64| {
            let found = figure.value.unwrap();
            assert!((found - value).abs() < 1e-6, "{found} {value}");
            let interval = figure.interval.unwrap();
            assert!(interval.low <= found && found <= interval.high, "{figure:?}");
        };
        near(&report.dehumanization.average_precision, 0.526042482);
        near(&report.dehumanization.roc_auc, 0.510101010);
        near(&report.dehumanization_among_hate.roc_auc, 0.548611111);
        near(&report.categories[Category::Age].ranking.roc_auc, 0.600000000);
        near(&report.ways[Way::Animal].ranking.roc_auc, 0.489898990);
        let age = report.groups.iter().find(|g| g.group == Group::Category(Category::Age)).unwrap();
        assert_eq!((age.n, age.positives), (10, 5));
        near(&age.subgroup_auc, 0.600000000);
        assert_eq!((age.bpsn_auc.value, age.bpsn_auc.n), (None, 4));
        near(&age.bnsp_auc, 0.550000000);
    }

    #[test]
    fn decisions_are_counted_at_the_thresholds() {
        let report = report();
        let rows = rows();
        let count = |threshold: f32, truth: bool| {
            let chosen = rows.iter().filter(|row| row.probabilities.dehumanization >= threshold);
            chosen.filter(|row| row.labels.dehumanization == truth).count() as u64
        };
        for (figures, threshold) in [(&report.flag, 0.75), (&report.review, 0.25)] {
            assert_eq!(figures.threshold, threshold);
            assert_eq!(figures.confusion.true_positives, count(threshold, true));
            assert_eq!(figures.confusion.false_positives, count(threshold, false));
            assert_eq!(figures.confusion.total(), 20);
        }
        let age = &report.categories[Category::Age];
        let aged = rows.iter().filter(|row| row.labels.category(Category::Age) == Some(true));
        let flagged = aged.clone().filter(|row| row.probabilities.dehumanization >= 0.75).count();
        assert_eq!(age.flagged.n, aged.count());
        assert_eq!(age.flagged.value, Some(flagged as f64 / age.flagged.n as f64));
        assert_eq!(age.named.threshold, 0.5);
        let caste = &report.categories[Category::Caste].named;
        assert_eq!((caste.precision.value, caste.precision.n), (None, 0), "none to find");

        let [first, second] = report.by_function.as_slice() else { panic!("two functions") };
        assert_eq!((first.name.as_str(), first.n, second.n), ("first", 8, 12));
        assert_eq!(first.positives + second.positives, report.positives);
        assert_eq!(first.flag.recall.value, None, "it rests on 3");
        assert!(first.flag.accuracy.value.is_some());
        assert!(report.by_category.is_empty());
    }
}
