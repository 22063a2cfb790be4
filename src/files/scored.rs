//! A row and what became of it: the form that output rows take.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Row, columns::Column};
use crate::{
    policy::{Decision, Verdict},
    scores::{Scores, six_decimals},
    taxonomy::{Category, Way},
};

/// A row with its outcome.
#[derive(Clone, Debug)]
pub(crate) struct Scored {
    pub(crate) row: Row,
    pub(crate) outcome: Outcome,
    /// Where several policies decide, each one's name and verdict; none for a row that was not
    /// scored.
    pub(crate) policies: Vec<(Arc<str>, Verdict)>,
}

/// What became of a row.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It was scored.
    Scored(Scores, Verdict),
    /// It was not, for this reason.
    Failed(String),
}

/// The values of `columns` in a flat table; several causes are separated by spaces.
pub(super) fn values(row: &Scored, columns: &[Column]) -> Vec<String> {
    match &row.outcome {
        Outcome::Scored(scores, verdict) => {
            let mut values = Vec::with_capacity(columns.len());
            let probability = |p: f32| six_decimals(p).to_string();
            let because = |verdict: &Verdict| {
                verdict.because.iter().map(|c| c.name()).collect::<Vec<_>>().join(" ")
            };
            values.push(probability(scores.dehumanization()));
            values.push(probability(scores.hate()));
            values.extend(Category::ALL.map(|category| probability(scores.category(category))));
            values.extend(Way::ALL.map(|way| probability(scores.way(way))));
            values.push(verdict.decision.to_string());
            values.push(because(verdict));
            values.push(scores.windows.len().to_string());
            values.push(String::new());
            for (_, verdict) in &row.policies {
                values.push(verdict.decision.to_string());
                values.push(because(verdict));
            }
            values
        }
        Outcome::Failed(reason) => {
            let value = |column: &Column| match column.path.as_slice() {
                [name] if name == "error" => reason.clone(),
                _ => String::new(),
            };
            columns.iter().map(value).collect()
        }
    }
}

/// The object that JSON lines gain.
impl Serialize for Scored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Object<'a> {
            #[serde(flatten)]
            outcome: &'a Outcome,
            #[serde(skip_serializing_if = "Verdicts::is_empty")]
            policies: Verdicts<'a>,
        }
        let policies = Verdicts(&self.policies);
        Object { outcome: &self.outcome, policies }.serialize(serializer)
    }
}

/// The verdicts of several policies by name.
struct Verdicts<'a>(&'a [(Arc<str>, Verdict)]);

impl Verdicts<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Verdicts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Decided<'a> {
            verdict: Decision,
            because: &'a [Category],
        }
        serializer.collect_map(self.0.iter().map(|(name, Verdict { decision, because })| {
            (name.as_ref(), Decided { verdict: *decision, because })
        }))
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Scored(scores, verdict) => {
                scores.serialize_probabilities(&mut map)?;
                map.serialize_entry("verdict", &verdict.decision)?;
                map.serialize_entry("because", &verdict.because)?;
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
        scores::{Probabilities, TextView, WindowScores},
    };

    fn scored(outcome: Outcome) -> Scored {
        let row = Row { line: 1, id: None, text: Ok("x".into()), fields: Fields::Unknown };
        Scored { row, outcome, policies: Vec::new() }
    }

    #[test]
    fn columns_and_values_agree() {
        let mut probabilities = Probabilities { dehumanization: 0.75, ..Default::default() };
        probabilities.categories[Category::Caste] = 0.5;
        let scores = Scores::from_windows(vec![WindowScores {
            view: TextView::Raw,
            bytes: 0..1,
            probabilities,
        }]);
        let because = vec![Category::Caste, Category::Age];
        let verdict = Verdict { decision: Decision::Flag, because };
        let good = scored(Outcome::Scored(scores, verdict.clone()));
        let columns = Column::all(&[]);
        let row: std::collections::HashMap<_, _> =
            columns.iter().map(Column::name).zip(values(&good, &columns)).collect();
        assert_eq!(row.len(), 2 + 10 + 5 + 4);
        assert_eq!(row["dignity.dehumanization"], "0.75");
        assert_eq!(row["dignity.categories.caste"], "0.5");
        assert_eq!(row["dignity.ways.animal"], "0");
        assert_eq!(row["dignity.verdict"], "flag");
        assert_eq!(row["dignity.because"], "caste age");
        let bad = values(&scored(Outcome::Failed("broken".into())), &columns);
        assert_eq!(bad.len(), columns.len());
        assert_eq!(bad.last().map(String::as_str), Some("broken"));
        assert_eq!(bad.concat(), "broken");

        let several = Scored { policies: vec![("a.b".into(), verdict)], ..good };
        let columns = Column::all(&["a.b"]);
        let row: std::collections::HashMap<_, _> =
            columns.iter().map(Column::name).zip(values(&several, &columns)).collect();
        assert_eq!(row.len(), 2 + 10 + 5 + 4 + 2);
        assert_eq!(row["dignity.policies.a.b.verdict"], "flag");
        let json = serde_json::to_value(&several).unwrap();
        assert_eq!(json["policies"]["a.b"]["because"], serde_json::json!(["caste", "age"]));
        assert_eq!((&json["verdict"], &json["windows"]), (&"flag".into(), &1.into()));
    }
}
