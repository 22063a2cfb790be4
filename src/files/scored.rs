//! A row and what became of it: the form that output rows take.

use std::sync::LazyLock;

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::Row;
use crate::{
    policy::Verdict,
    scores::{Scores, six_decimals},
    taxonomy::{Category, Way},
};

/// A row with its outcome.
#[derive(Clone, Debug)]
pub(crate) struct Scored {
    pub(crate) row: Row,
    pub(crate) outcome: Outcome,
}

/// What became of a row.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It was scored, and judged where there is a policy.
    Scored(Scores, Option<Verdict>),
    /// It was not, for this reason.
    Failed(String),
}

/// The names of the columns that CSV outputs gain, in order.
pub(super) static COLUMNS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let categories = Category::ALL.map(|category| format!("categories.{category}"));
    let ways = Way::ALL.map(|way| format!("ways.{way}"));
    let fixed = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    [
        fixed(&["dehumanization", "hate"]),
        categories.to_vec(),
        ways.to_vec(),
        fixed(&["verdict", "because", "windows", "error"]),
    ]
    .concat()
    .into_iter()
    .map(|name| format!("dignity.{name}"))
    .collect()
});

/// The values of [`COLUMNS`]; several causes are separated by spaces.
pub(super) fn columns(row: &Scored) -> Vec<String> {
    let mut values = Vec::with_capacity(COLUMNS.len());
    match &row.outcome {
        Outcome::Scored(scores, verdict) => {
            let probability = |p: f32| six_decimals(p).to_string();
            values.push(probability(scores.dehumanization()));
            values.push(probability(scores.hate()));
            values.extend(Category::ALL.map(|category| probability(scores.category(category))));
            values.extend(Way::ALL.map(|way| probability(scores.way(way))));
            let because = |verdict: &Verdict| {
                verdict.because.iter().map(|c| c.name()).collect::<Vec<_>>().join(" ")
            };
            values.push(verdict.as_ref().map(|v| v.decision.to_string()).unwrap_or_default());
            values.push(verdict.as_ref().map(because).unwrap_or_default());
            values.push(scores.windows.len().to_string());
            values.push(String::new());
        }
        Outcome::Failed(reason) => {
            values.resize(COLUMNS.len() - 1, String::new());
            values.push(reason.clone());
        }
    }
    values
}

/// The object that JSON lines gain.
impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Scored(scores, verdict) => {
                scores.serialize_probabilities(&mut map)?;
                if let Some(verdict) = verdict {
                    map.serialize_entry("verdict", &verdict.decision)?;
                    map.serialize_entry("because", &verdict.because)?;
                }
                map.serialize_entry("windows", &scores.windows.len())?;
            }
            Self::Failed(reason) => map.serialize_entry("error", reason)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        files::Fields,
        policy::Decision,
        scores::{Probabilities, TextView, WindowScores},
    };

    fn scored(outcome: Outcome) -> Scored {
        let row = Row { line: 1, id: None, text: Ok("x".into()), fields: Fields::Unknown };
        Scored { row, outcome }
    }

    #[test]
    fn columns_and_values_agree() {
        let mut probabilities = Probabilities { dehumanization: 0.75, ..Default::default() };
        probabilities.categories[Category::Caste] = 0.5;
        let window = WindowScores { view: TextView::Raw, bytes: 0..1, probabilities };
        let scores = Scores::from_windows(vec![window], &Default::default());
        let because = vec![Category::Caste, Category::Age];
        let verdict = Verdict { decision: Decision::Flag, because };
        let good = scored(Outcome::Scored(scores, Some(verdict)));
        let row: std::collections::HashMap<_, _> = COLUMNS.iter().zip(columns(&good)).collect();
        assert_eq!(row.len(), 2 + 10 + 5 + 4);
        assert_eq!(row[&"dignity.dehumanization".to_owned()], "0.75");
        assert_eq!(row[&"dignity.categories.caste".to_owned()], "0.5");
        assert_eq!(row[&"dignity.ways.animal".to_owned()], "0");
        assert_eq!(row[&"dignity.verdict".to_owned()], "flag");
        assert_eq!(row[&"dignity.because".to_owned()], "caste age");
        let bad = columns(&scored(Outcome::Failed("broken".into())));
        assert_eq!(bad.len(), COLUMNS.len());
        assert_eq!(bad.last().map(String::as_str), Some("broken"));
        assert_eq!(bad.concat(), "broken");
    }
}
