//! The columns that an output gains.

use crate::taxonomy::{Category, Way};

/// A column of scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its place in the object that JSON lines gain.
    pub(super) path: Vec<String>,
    pub(super) kind: ColumnKind,
}

/// What a column of scores holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Probability,
    Text,
    /// A list of names.
    Names,
    Count,
}

impl Column {
    fn new(path: &[&str], kind: ColumnKind) -> Self {
        Self { path: path.iter().map(|&part| part.to_owned()).collect(), kind }
    }

    /// Its name in a flat table.
    pub(super) fn name(&self) -> String {
        format!("dignity.{}", self.path.join("."))
    }

    /// The columns of an output, in order; of `policies`, the names, where there are several.
    pub(crate) fn all(policies: &[&str]) -> Vec<Self> {
        use ColumnKind::{Count, Names, Probability, Text};
        let mut columns =
            vec![Self::new(&["dehumanization"], Probability), Self::new(&["hate"], Probability)];
        columns.extend(Category::ALL.map(|c| Self::new(&["categories", c.name()], Probability)));
        columns.extend(Way::ALL.map(|way| Self::new(&["ways", way.name()], Probability)));
        columns.extend([
            Self::new(&["verdict"], Text),
            Self::new(&["because"], Names),
            Self::new(&["windows"], Count),
            Self::new(&["error"], Text),
        ]);
        for policy in policies {
            columns.push(Self::new(&["policies", policy, "verdict"], Text));
            columns.push(Self::new(&["policies", policy, "because"], Names));
        }
        columns
    }
}
