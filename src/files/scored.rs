//! A row and what became of it: the form that output rows take.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::{Row, columns::Column};
use crate::{
    policy::{Decision, Verdict},
    scores::Scores,
    taxonomy::Category,
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
    /// It was scored, and judged where there is a policy.
    Scored(Scores, Option<Verdict>),
    /// It was not, for this reason.
    Failed(String),
}

/// The values of `columns` in a flat table, as they are in the object that JSON lines gain; several
/// causes are separated by spaces.
pub(super) fn values(row: &Scored, columns: &[Column]) -> serde_json::Result<Vec<String>> {
    let object = serde_json::to_value(row)?;
    let found = |column: &Column| {
        let value = column.path.iter().try_fold(&object, |value, name| value.get(name));
        value.map(text).unwrap_or_default()
    };
    Ok(columns.iter().map(found).collect())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        // Without the decimals that JSON gives whole numbers.
        Value::Number(number) => number.as_f64().map_or_else(String::new, |n| n.to_string()),
        _ => String::new(),
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
                if let Some(verdict) = verdict {
                    map.serialize_entry("verdict", &verdict.decision)?;
                    map.serialize_entry("because", &verdict.because)?;
                }
                scores.serialize_windows(&mut map)?;
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
        model::Labels,
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
        let window = WindowScores { view: TextView::Raw, bytes: 0..1, probabilities };
        let scores = Scores::from_windows(vec![window], &Default::default());
        let because = vec![Category::Caste, Category::Age];
        let verdict = Verdict { decision: Decision::Flag, because };
        let good = scored(Outcome::Scored(scores, Some(verdict.clone())));
        let columns = Column::all(&Labels::default(), true, &[]);
        let row: std::collections::HashMap<_, _> =
            columns.iter().map(Column::name).zip(values(&good, &columns).unwrap()).collect();
        assert_eq!(row.len(), 2 + 10 + 5 + 6);
        assert_eq!(row["dignity.dehumanization"], "0.75");
        assert_eq!(row["dignity.categories.caste"], "0.5");
        assert_eq!(row["dignity.ways.animal"], "0");
        assert_eq!(row["dignity.verdict"], "flag");
        assert_eq!(row["dignity.because"], "caste age");
        assert_eq!((&*row["dignity.highest.start"], &*row["dignity.highest.end"]), ("0", "1"));
        let bad = values(&scored(Outcome::Failed("broken".into())), &columns).unwrap();
        assert_eq!(bad.len(), columns.len());
        assert_eq!(bad.last().map(String::as_str), Some("broken"));
        assert_eq!(bad.concat(), "broken");

        let several = Scored { policies: vec![("a.b".into(), verdict)], ..good };
        let columns = Column::all(&Labels::default(), true, &["a.b"]);
        let row: std::collections::HashMap<_, _> =
            columns.iter().map(Column::name).zip(values(&several, &columns).unwrap()).collect();
        assert_eq!(row.len(), 2 + 10 + 5 + 6 + 2);
        assert_eq!(row["dignity.policies.a.b.verdict"], "flag");
        let json = serde_json::to_value(&several).unwrap();
        assert_eq!(json["policies"]["a.b"]["because"], serde_json::json!(["caste", "age"]));
        assert_eq!((&json["verdict"], &json["windows"]), (&"flag".into(), &1.into()));
    }
}
