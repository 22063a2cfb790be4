//! The columns that an output gains.

use crate::{
    model::Labels,
    taxonomy::{Category, Role, Way},
};

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

    /// The columns of an output, in order: of the scores that a model with `labels` gives, of the
    /// verdict where one is `decided`, and of `policies`, the names, where there are several.
    pub(crate) fn all(labels: &Labels, decided: bool, policies: &[&str]) -> Vec<Self> {
        use ColumnKind::{Count, Names, Probability, Text};
        let overall =
            [(Role::Dehumanization, ["dehumanization"]), (Role::Hate, ["hate"])].into_iter();
        let overall = overall.map(|(role, path)| (role, path.to_vec()));
        let categories = Category::ALL.map(|c| (Role::Category(c), vec!["categories", c.name()]));
        let ways = Way::ALL.map(|way| (Role::Way(way), vec!["ways", way.name()]));
        let mut columns: Vec<_> = overall
            .chain(categories)
            .chain(ways)
            .filter(|&(role, _)| labels.has(role))
            .map(|(_, path)| Self::new(&path, Probability))
            .collect();
        columns.extend(labels.names().map(|name| Self::new(&["labels", name], Probability)));
        if decided {
            columns.push(Self::new(&["verdict"], Text));
            columns.push(Self::new(&["because"], Names));
        }
        columns.push(Self::new(&["windows"], Count));
        if labels.has(Role::Dehumanization) {
            columns.push(Self::new(&["highest", "start"], Count));
            columns.push(Self::new(&["highest", "end"], Count));
        }
        columns.push(Self::new(&["error"], Text));
        for policy in policies {
            columns.push(Self::new(&["policies", policy, "verdict"], Text));
            columns.push(Self::new(&["policies", policy, "because"], Names));
        }
        columns
    }
}
