//! What became of the rows of a run, in figures: counted while it runs, told at its end.

mod html;
mod mask;
mod plot;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub(crate) use self::html::html;
use crate::{
    evaluate::{Named, WAY_THRESHOLD},
    files::{Outcome, Scored},
    policy::{Decision, Policy, Verdict},
    scores::Scores,
    taxonomy::{Category, Way},
};

/// How many bins the distribution of scores has.
const BINS: usize = 20;
/// How many texts are shown at most.
const EXAMPLES: usize = 10;

/// What became of rows. Sums add up: rows are bad or scored, and the scored ones are in one bin and
/// have one decision, or are counted as undecided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) figures: Figures,
    /// The texts with the highest scores among those not allowed, masked, the highest first.
    examples: Vec<Example>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) rows: u64,
    pub(crate) scored: u64,
    pub(crate) bad: u64,
    pub(crate) decisions: Decisions,
    /// Scored without a policy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) undecided: u64,
    /// How many texts have a probability of dehumanization in each twentieth.
    pub(crate) distribution: [u64; BINS],
    /// How often each category is named as a cause.
    pub(crate) categories: IndexMap<String, Chosen>,
    /// How many texts that are not allowed are more probably so than not.
    pub(crate) ways: IndexMap<String, Chosen>,
    /// The decisions of each policy, where there are several.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub(crate) policies: IndexMap<String, Decisions>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decisions {
    pub(crate) allow: u64,
    pub(crate) review: u64,
    pub(crate) flag: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chosen {
    pub(crate) review: u64,
    pub(crate) flag: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Example {
    probability: f32,
    decision: Decision,
    /// The file and the line.
    place: String,
    /// What is shown of the text; see [`mask::mask`].
    masked: String,
    because: Vec<Category>,
}

/// What a run was made with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Provenance {
    /// dignity's version.
    pub(crate) dignity: &'static str,
    pub(crate) model: Named,
    pub(crate) engine: String,
    pub(crate) precision: String,
    pub(crate) device: String,
    /// The one that decides first.
    pub(crate) policies: Vec<Named>,
    /// The part of the rows that the run is of, where it is not of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<String>,
}

/// What is written at the end of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Document<'a> {
    #[serde(flatten)]
    pub(crate) run: &'a Provenance,
    /// When it ended, in UTC.
    pub(crate) date: String,
    /// How many files were read.
    pub(crate) inputs: usize,
    #[serde(flatten)]
    pub(crate) figures: &'a Figures,
    #[serde(skip)]
    pub(crate) summary: &'a Summary,
}

impl Summary {
    /// Nothing yet, of a run with `several` policies if there are.
    pub(crate) fn new(several: &[Policy]) -> Self {
        let chosen = |name: &str| (name.to_owned(), Chosen::default());
        let figures = Figures {
            categories: Category::ALL.iter().map(|c| chosen(c.name())).collect(),
            ways: Way::ALL.iter().map(|way| chosen(way.name())).collect(),
            policies: several
                .iter()
                .map(|policy| (policy.name().to_owned(), Decisions::default()))
                .collect(),
            ..Figures::default()
        };
        Self { figures, examples: Vec::new() }
    }

    /// Counts a row; where `place` is given, its text may become an example.
    pub(crate) fn count(&mut self, row: &Scored, place: Option<&dyn Fn() -> String>) {
        let figures = &mut self.figures;
        figures.rows += 1;
        let Outcome::Scored(scores, verdict) = &row.outcome else {
            figures.bad += 1;
            return;
        };
        figures.scored += 1;
        match verdict {
            Some(verdict) => figures.decisions.count(verdict.decision),
            None => figures.undecided += 1,
        }
        let bin = (scores.dehumanization() * BINS as f32) as usize;
        figures.distribution[bin.min(BINS - 1)] += 1;
        if let Some(Verdict { decision, because }) = verdict {
            for category in because {
                if let Some(chosen) = figures.categories.get_mut(category.name()) {
                    chosen.count(*decision);
                }
            }
            for way in Way::ALL.into_iter().filter(|&way| scores.way(way) >= WAY_THRESHOLD) {
                if let Some(chosen) = figures.ways.get_mut(way.name()) {
                    chosen.count(*decision);
                }
            }
        }
        for (name, verdict) in &row.policies {
            if let Some(decisions) = figures.policies.get_mut(name.as_ref()) {
                decisions.count(verdict.decision);
            }
        }
        if let (Some(place), Some(verdict)) = (place, verdict) {
            self.show(row.row.as_ref(), scores, verdict, place);
        }
    }

    /// Takes a text as an example, if it is one of the highest.
    fn show(&mut self, text: &str, scores: &Scores, verdict: &Verdict, place: &dyn Fn() -> String) {
        let probability = scores.dehumanization();
        // Among equals the first come stays.
        let at = self.examples.partition_point(|example| example.probability >= probability);
        if verdict.decision == Decision::Allow || at >= EXAMPLES {
            return;
        }
        let highest = scores.windows.iter().max_by(|a, b| {
            a.probabilities.dehumanization.total_cmp(&b.probabilities.dehumanization)
        });
        let part = highest.map_or(0..text.len(), |window| window.bytes.clone());
        let masked = mask::mask(text, &part);
        if self.examples.iter().any(|example| example.masked == masked) {
            return;
        }
        let Verdict { decision, because } = verdict.clone();
        self.examples
            .insert(at, Example { probability, decision, place: place(), masked, because });
        self.examples.truncate(EXAMPLES);
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Decisions {
    fn count(&mut self, decision: Decision) {
        match decision {
            Decision::Allow => self.allow += 1,
            Decision::Review => self.review += 1,
            Decision::Flag => self.flag += 1,
        }
    }
}

impl Chosen {
    fn count(&mut self, decision: Decision) {
        match decision {
            Decision::Allow => {}
            Decision::Review => self.review += 1,
            Decision::Flag => self.flag += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        files::{Fields, Row},
        scores::{Probabilities, TextView, WindowScores},
    };

    fn scored(text: &str, dehumanization: f32, decision: Decision) -> Scored {
        let mut probabilities = Probabilities { dehumanization, ..Probabilities::default() };
        probabilities.ways[Way::Animal] = dehumanization;
        let window = WindowScores { view: TextView::Raw, bytes: 0..text.len(), probabilities };
        let because = match decision {
            Decision::Allow => Vec::new(),
            _ => vec![Category::Age],
        };
        let row = Row { line: 1, id: None, text: Ok(text.into()), fields: Fields::Unknown };
        let scores = Scores::from_windows(vec![window], &Default::default());
        let outcome = Outcome::Scored(scores, Some(Verdict { decision, because }));
        Scored { row, outcome, policies: Vec::new() }
    }

    #[test]
    fn figures_add_up_and_examples_are_the_highest_masked() {
        let mut summary = Summary::new(&[]);
        let place = || "a.txt:1".to_owned();
        let mut count = |row: &Scored| summary.count(row, Some(&place));
        for step in 0..=100_u8 {
            let probability = f32::from(step) / 100.0;
            let decision = match step {
                0..50 => Decision::Allow,
                50..80 => Decision::Review,
                _ => Decision::Flag,
            };
            count(&scored(&format!("spoons {}", "x".repeat(step.into())), probability, decision));
        }
        let bad =
            Scored { outcome: Outcome::Failed("bad".into()), ..scored("", 0.0, Decision::Allow) };
        count(&bad);
        let Figures { rows, scored, bad, decisions, distribution, categories, ways, .. } =
            &summary.figures;
        assert_eq!((*rows, *scored, *bad), (102, 101, 1));
        assert_eq!(*decisions, Decisions { allow: 50, review: 30, flag: 21 });
        assert_eq!(distribution.iter().sum::<u64>(), 101);
        assert_eq!(distribution[BINS - 1], 6, "1 is in the last");
        assert_eq!(categories["age"], Chosen { review: 30, flag: 21 });
        assert_eq!(ways["animal"], Chosen { review: 30, flag: 21 });
        // Long words have as many stars as one another: the texts look the same.
        assert_eq!(summary.examples.len(), 1);
        assert_eq!(summary.examples[0].masked, "s***** x************");
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), summary);
    }
}
