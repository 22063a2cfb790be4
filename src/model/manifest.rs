//! `dignity.json`: what each logit means, how it is calibrated, how long windows are, and the digests
//! of the files beside it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Calibration;
use crate::{
    digest::Digest,
    scores::Probabilities,
    taxonomy::{Category, Way},
};

/// The manifest format that this version of dignity reads.
const FORMAT: u32 = 1;

/// `dignity.json`, checked.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) pooling: Pooling,
    /// The length of a window, special tokens included.
    pub(crate) max_window_tokens: usize,
    /// How many tokens of content neighbouring windows share at least.
    pub(crate) window_overlap_tokens: usize,
    /// In logit order.
    labels: Vec<(Role, Calibration)>,
    files: BTreeMap<String, Digest>,
}

/// How the hidden states of a window's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pooling {
    /// Their mean over the tokens that are not padding.
    Mean,
    /// The first token's.
    Cls,
}

/// What a logit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub(crate) enum Role {
    Dehumanization,
    Hate,
    Category { category: Category },
    Way { way: Way },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    name: String,
    version: String,
    pooling: Pooling,
    max_window_tokens: usize,
    window_overlap_tokens: usize,
    labels: Vec<Label>,
    files: BTreeMap<String, Digest>,
}

#[derive(Deserialize)]
struct Label {
    #[serde(flatten)]
    role: Role,
    slope: f32,
    intercept: f32,
}

impl Manifest {
    /// Reads and checks `dignity.json`.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ManifestError> {
        let file: File = serde_json::from_slice(json)?;
        if file.format != FORMAT {
            return Err(ManifestError::Format { found: file.format });
        }
        let mut wanted = vec![Role::Dehumanization, Role::Hate];
        wanted.extend(Category::ALL.map(|category| Role::Category { category }));
        wanted.extend(Way::ALL.map(|way| Role::Way { way }));
        for role in wanted {
            let count = file.labels.iter().filter(|label| label.role == role).count();
            if count != 1 {
                return Err(ManifestError::Roles { role: format!("{role:?}"), count });
            }
        }
        let calibrated = |(index, label): (usize, Label)| {
            let Label { role, slope, intercept } = label;
            if slope > 0.0 && slope.is_finite() && intercept.is_finite() {
                Ok((role, Calibration { slope, intercept }))
            } else {
                Err(ManifestError::Calibration { index, slope, intercept })
            }
        };
        Ok(Self {
            name: file.name,
            version: file.version,
            pooling: file.pooling,
            max_window_tokens: file.max_window_tokens,
            window_overlap_tokens: file.window_overlap_tokens,
            labels: file
                .labels
                .into_iter()
                .enumerate()
                .map(calibrated)
                .collect::<Result<_, _>>()?,
            files: file.files,
        })
    }

    /// How many logits the model gives.
    pub(crate) fn label_count(&self) -> usize {
        self.labels.len()
    }

    /// The digest of a file beside the manifest, where it lists one.
    pub(crate) fn digest(&self, file: &str) -> Option<Digest> {
        self.files.get(file).copied()
    }

    /// The calibrated probabilities of one window's logits, which are in label order.
    pub(crate) fn probabilities(&self, logits: &[f32]) -> Probabilities {
        debug_assert_eq!(logits.len(), self.labels.len());
        let mut probabilities = Probabilities::default();
        for (&(role, calibration), &logit) in self.labels.iter().zip(logits) {
            *match role {
                Role::Dehumanization => &mut probabilities.dehumanization,
                Role::Hate => &mut probabilities.hate,
                Role::Category { category } => &mut probabilities.categories[category],
                Role::Way { way } => &mut probabilities.ways[way],
            } = calibration.probability(logit);
        }
        probabilities
    }
}

/// What is wrong with `dignity.json`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON of the documented form.
    #[error("not of the documented form: {0}")]
    Json(#[from] serde_json::Error),
    /// A format that this version does not know.
    #[error("format is {found}; this version of dignity reads format {FORMAT}")]
    Format {
        /// The `format` field.
        found: u32,
    },
    /// A role must be held by exactly one logit.
    #[error("labels has {count} entries for the role {role}; it needs exactly one")]
    Roles {
        /// The role.
        role: String,
        /// How many logits hold it.
        count: usize,
    },
    /// A calibration would not keep the order of logits.
    #[error(
        "labels[{index}] is calibrated with slope {slope} and intercept {intercept}; \
         the slope must be positive and both finite"
    )]
    Calibration {
        /// The place in `labels`.
        index: usize,
        /// Its `slope`.
        slope: f32,
        /// Its `intercept`.
        intercept: f32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = include_str!("../../tests/fixtures/tiny-bert/dignity.json");

    fn error(change: impl Fn(&mut serde_json::Value)) -> ManifestError {
        let mut json = serde_json::from_str(TINY).unwrap();
        change(&mut json);
        Manifest::from_json(json.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn every_logit_reaches_its_own_score() {
        let manifest = Manifest::from_json(TINY.as_bytes()).unwrap();
        let nothing = vec![f32::NEG_INFINITY; manifest.label_count()];
        for (index, &(role, _)) in manifest.labels.iter().enumerate() {
            let mut logits = nothing.clone();
            logits[index] = f32::INFINITY;
            let p = manifest.probabilities(&logits);
            let own = match role {
                Role::Dehumanization => p.dehumanization,
                Role::Hate => p.hate,
                Role::Category { category } => p.categories[category],
                Role::Way { way } => p.ways[way],
            };
            let sum = p.dehumanization
                + p.hate
                + p.categories.values().sum::<f32>()
                + p.ways.values().sum::<f32>();
            assert_eq!((own, sum), (1.0, 1.0), "{role:?}");
        }
    }

    #[test]
    fn faults_are_named() {
        assert!(matches!(
            error(|json| json["format"] = 9.into()),
            ManifestError::Format { found: 9 }
        ));
        let missing = error(|json| {
            json["labels"].as_array_mut().unwrap().remove(0);
        });
        assert!(missing.to_string().contains("0 entries for the role Dehumanization"));
        let twice = error(|json| {
            let label = json["labels"][3].clone();
            json["labels"].as_array_mut().unwrap().push(label);
        });
        assert!(twice.to_string().contains("2 entries for the role Category"));
        let flat = error(|json| json["labels"][2]["slope"] = 0.into());
        assert!(flat.to_string().contains("labels[2] is calibrated with slope 0"));
        let unknown = error(|json| json["labels"][2]["category"] = "height".into());
        assert!(unknown.to_string().contains("height"));
        let field = error(|json| json["windows"] = 3.into());
        assert!(field.to_string().contains("windows"));
    }
}
