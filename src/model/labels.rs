//! What a model's logits mean.

use std::fmt;

use super::{Calibration, Roles, RolesError, config::ProblemType};
use crate::{scores::Probabilities, taxonomy::Role};

/// The labels of a model, in logit order, and how a logit becomes a probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    labels: Vec<Label>,
    activation: OutputActivation,
    /// Whether labels go by names of their own, beside their roles.
    named: bool,
}

/// A label of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    name: String,
    role: Option<Role>,
    calibration: Calibration,
}

impl Label {
    /// The name: in a model of another maker its own, else that of its role.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a score of this label is about, where it is one of dignity's scores.
    pub fn role(&self) -> Option<Role> {
        self.role
    }
}

/// How logits become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputActivation {
    /// Each logit by itself, so that a text may have several labels.
    Sigmoid,
    /// All logits together, so that a text has one label.
    Softmax,
}

impl fmt::Display for OutputActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sigmoid => "sigmoid",
            Self::Softmax => "softmax",
        })
    }
}

impl Default for Labels {
    /// Dignity's own labels.
    fn default() -> Self {
        let plain = Calibration { slope: 1.0, intercept: 0.0 };
        Self::of_roles(Role::all().map(|role| (role, plain)))
    }
}

impl Labels {
    /// Labels that go by their roles, each calibrated.
    pub(super) fn of_roles(roles: impl Iterator<Item = (Role, Calibration)>) -> Self {
        let label = |(role, calibration): (Role, _)| Label {
            name: role.to_string(),
            role: Some(role),
            calibration,
        };
        let activation = OutputActivation::Sigmoid;
        Self { labels: roles.map(label).collect(), activation, named: false }
    }

    /// The labels of a model of another maker, some with roles.
    ///
    /// Where `problem_type` does not tell, one label means a sigmoid and several a softmax, as in
    /// transformers' pipeline for text classification.
    pub(super) fn of_names(
        names: Vec<String>,
        problem_type: Option<ProblemType>,
        roles: &Roles,
    ) -> Result<Self, RolesError> {
        if let Some(unknown) = roles.labels().find(|label| !names.iter().any(|n| n == label)) {
            return Err(RolesError::UnknownLabel { label: unknown.to_owned(), names });
        }
        let activation = match problem_type {
            Some(ProblemType::MultiLabelClassification) => OutputActivation::Sigmoid,
            None if names.len() == 1 => OutputActivation::Sigmoid,
            _ => OutputActivation::Softmax,
        };
        let calibration = Calibration { slope: 1.0, intercept: 0.0 };
        let label = |name: String| Label { role: roles.of(&name), name, calibration };
        Ok(Self { labels: names.into_iter().map(label).collect(), activation, named: true })
    }

    /// Every label, in logit order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Label> {
        self.labels.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// How logits become probabilities.
    pub fn activation(&self) -> OutputActivation {
        self.activation
    }

    /// Whether a label has this role: where none has, its score is always 0.
    pub fn has(&self, role: Role) -> bool {
        self.labels.iter().any(|label| label.role == Some(role))
    }

    /// The names of labels that go by names of their own, in the order of
    /// [`Probabilities::labels`]; none where all go by their roles.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        let named = if self.named { self.labels.as_slice() } else { &[] };
        named.iter().map(|label| label.name.as_str())
    }

    /// The probabilities of one window's logits. Of labels with the same role, the largest counts.
    pub(crate) fn probabilities(&self, logits: &[f32]) -> Probabilities {
        debug_assert_eq!(logits.len(), self.labels.len());
        let mut all = Probabilities::default();
        let values: Vec<f32> = match self.activation {
            OutputActivation::Sigmoid => self
                .labels
                .iter()
                .zip(logits)
                .map(|(label, &logit)| label.calibration.probability(logit))
                .collect(),
            OutputActivation::Softmax => softmax(logits),
        };
        for (label, &value) in self.labels.iter().zip(&values) {
            if let Some(role) = label.role {
                let probability = all.of_mut(role);
                *probability = probability.max(value);
            }
        }
        if self.named {
            all.labels = values.into();
        }
        all
    }
}

/// Shares of one, each as large as its logit's exponential.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<_> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| value / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::taxonomy::Category;

    fn labels(names: &[&str], problem_type: Option<ProblemType>, roles: &str) -> Labels {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Labels::of_names(names, problem_type, &Roles::from_toml(roles).unwrap()).unwrap()
    }

    #[test]
    fn every_logit_reaches_its_own_score() {
        let labels = Labels::default();
        for (index, role) in Role::all().enumerate() {
            let mut logits = vec![f32::NEG_INFINITY; labels.len()];
            logits[index] = f32::INFINITY;
            let probabilities = labels.probabilities(&logits);
            for other in Role::all() {
                let wanted = if other == role { 1.0 } else { 0.0 };
                assert_eq!(probabilities.of(other), wanted, "{other} of {role}");
            }
            assert!(probabilities.labels.is_empty());
        }
    }

    #[test]
    fn problem_type_and_else_the_number_of_labels_decide() {
        let (single, multi) =
            (ProblemType::SingleLabelClassification, ProblemType::MultiLabelClassification);
        for (names, problem_type, wanted) in [
            (&["a", "b"][..], None, OutputActivation::Softmax),
            (&["a"], None, OutputActivation::Sigmoid),
            (&["a", "b"], Some(multi), OutputActivation::Sigmoid),
            (&["a"], Some(single), OutputActivation::Softmax),
        ] {
            assert_eq!(labels(names, problem_type, "").activation(), wanted, "{names:?}");
        }
        let softmax = labels(&["a", "b"], None, "").probabilities(&[1.0, 3.0]);
        assert!((softmax.labels[1] - 0.880_797).abs() < 1e-6);
        assert!((softmax.labels.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let far = labels(&["a", "b"], None, "").probabilities(&[1e30, -1e30]);
        assert_eq!(*far.labels, [1.0, 0.0]);
    }

    #[test]
    fn roles_reach_dignitys_scores_and_the_largest_counts() {
        let roles = "[roles]\nthreat = 'hate'\nidentity_hate = 'hate'\nage = 'categories.age'";
        let names = ["toxic", "threat", "identity_hate", "age"];
        let multi = Some(ProblemType::MultiLabelClassification);
        let labels = labels(&names, multi, roles);
        assert!(labels.has(Role::Hate) && !labels.has(Role::Dehumanization));
        let p = labels.probabilities(&[9.0, 0.0, 2.0, -1.0]);
        assert_eq!(p.hate, p.labels[2]);
        assert_eq!(p.categories[Category::Age], p.labels[3]);
        assert_eq!(p.dehumanization, 0.0);
        assert!(labels.names().eq(names));
    }

    #[test]
    fn roles_of_labels_that_are_not_there_are_refused() {
        let roles = Roles::from_toml("[roles]\nhatred = 'hate'").unwrap();
        let error = Labels::of_names(vec!["a".into(), "b".into()], None, &roles).unwrap_err();
        assert!(error.to_string().contains("\"hatred\""), "{error}");
        assert!(error.to_string().contains("a, b"), "{error}");
    }
}
