//! `dignity.json`: what each logit means, how it is calibrated, how long windows are, and the digests
//! of the files beside it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Calibration, Labels, Pooling};
use crate::{
    digest::Digest,
    taxonomy::{Category, Role, Way},
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
    pub(crate) labels: Labels,
    files: BTreeMap<String, Digest>,
}

/// How `dignity.json` writes a [`Role`].
#[derive(Clone, Copy, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
enum WrittenRole {
    Dehumanization,
    Hate,
    Category { category: Category },
    Way { way: Way },
}

impl From<WrittenRole> for Role {
    fn from(role: WrittenRole) -> Self {
        match role {
            WrittenRole::Dehumanization => Self::Dehumanization,
            WrittenRole::Hate => Self::Hate,
            WrittenRole::Category { category } => Self::Category(category),
            WrittenRole::Way { way } => Self::Way(way),
        }
    }
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
    role: WrittenRole,
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
        for role in Role::all() {
            let count = file.labels.iter().filter(|label| Role::from(label.role) == role).count();
            if count != 1 {
                return Err(ManifestError::Roles { role, count });
            }
        }
        let calibrated = |(index, label): (usize, Label)| {
            let Label { role, slope, intercept } = label;
            if slope > 0.0 && slope.is_finite() && intercept.is_finite() {
                Ok((role.into(), Calibration { slope, intercept }))
            } else {
                Err(ManifestError::Calibration { index, slope, intercept })
            }
        };
        let labels: Vec<_> =
            file.labels.into_iter().enumerate().map(calibrated).collect::<Result<_, _>>()?;
        Ok(Self {
            name: file.name,
            version: file.version,
            pooling: file.pooling,
            max_window_tokens: file.max_window_tokens,
            window_overlap_tokens: file.window_overlap_tokens,
            labels: Labels::of_roles(labels.into_iter()),
            files: file.files,
        })
    }

    /// The digest of a file beside the manifest, where it lists one.
    pub(crate) fn digest(&self, file: &str) -> Option<Digest> {
        self.files.get(file).copied()
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
        role: Role,
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
    fn labels_keep_the_order_of_the_logits_and_their_calibration() {
        let mut json: serde_json::Value = serde_json::from_str(TINY).unwrap();
        json["labels"].as_array_mut().unwrap().swap(0, 1);
        let labels = Manifest::from_json(json.to_string().as_bytes()).unwrap().labels;
        let roles: Vec<_> = labels.iter().take(2).map(|label| label.role()).collect();
        assert_eq!(roles, [Some(Role::Hate), Some(Role::Dehumanization)]);
        let nothing = labels.probabilities(&vec![0.0; labels.len()]);
        // The tiny model's first calibration, now the second, has intercept -0.6.
        assert!((nothing.dehumanization - 0.354_343_7).abs() < 1e-6);
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
        assert!(missing.to_string().contains("0 entries for the role dehumanization"));
        let twice = error(|json| {
            let label = json["labels"][3].clone();
            json["labels"].as_array_mut().unwrap().push(label);
        });
        assert!(twice.to_string().contains("2 entries for the role categories."));
        let flat = error(|json| json["labels"][2]["slope"] = 0.into());
        assert!(flat.to_string().contains("labels[2] is calibrated with slope 0"));
        let unknown = error(|json| json["labels"][2]["category"] = "height".into());
        assert!(unknown.to_string().contains("height"));
        let field = error(|json| json["windows"] = 3.into());
        assert!(field.to_string().contains("windows"));
    }
}
