//! `roles.toml`: which labels of a foreign model are which of dignity's scores.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use crate::taxonomy::{ParseRoleError, Role};

/// Gives a model's labels the roles of dignity's scores, so that policies apply. Read from TOML.
///
/// ```toml
/// [roles]
/// identity_hate = "hate"             # a label of the model, and what it is to dignity
/// dehumanizing = "dehumanization"
/// religion = "categories.religion"
/// vermin = "ways.animal"
/// ```
///
/// Several labels may have the same role: the most probable counts. Labels that are not named keep
/// their own names only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    roles: BTreeMap<String, Role>,
    text: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    roles: BTreeMap<String, String>,
}

impl Roles {
    /// Reads roles from their TOML text.
    ///
    /// # Errors
    /// When the text is not TOML of the form above, or names no role of dignity's.
    pub fn from_toml(text: &str) -> Result<Self, RolesError> {
        let file: File = toml::from_str(text).map_err(Box::new)?;
        let role = |(label, role): (String, String)| match role.parse() {
            Ok(role) => Ok((label, role)),
            Err(source) => Err(RolesError::Role { label, source }),
        };
        let roles = file.roles.into_iter().map(role).collect::<Result<_, _>>()?;
        Ok(Self { roles, text: text.to_owned() })
    }

    /// Reads roles from a TOML file.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Roles::from_toml`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RolesError> {
        Self::from_toml(&fs::read_to_string(path)?)
    }

    /// The role of a label.
    pub(super) fn of(&self, label: &str) -> Option<Role> {
        self.roles.get(label).copied()
    }

    /// The labels that have a role.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(String::as_str)
    }

    /// The text that they were read from.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// What is wrong with a file of roles.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolesError {
    /// The file could not be read.
    #[error("the roles could not be read: {0}")]
    Read(#[from] std::io::Error),
    /// Not TOML of the documented form.
    #[error("the roles are not of the documented form: {0}")]
    Toml(#[from] Box<toml::de::Error>),
    /// A label is given something that is no role.
    #[error("the role of the label {label:?}: {source}")]
    Role {
        /// The label.
        label: String,
        /// The fault.
        source: ParseRoleError,
    },
    /// The model has no such label.
    #[error("the roles name the label {label:?}; the model has {}", names.join(", "))]
    UnknownLabel {
        /// The label.
        label: String,
        /// The model's labels.
        names: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named() {
        let error = |text| Roles::from_toml(text).unwrap_err().to_string();
        assert!(
            error("[roles]\ninsult = 'rudeness'").contains("\"insult\": \"rudeness\" is no role")
        );
        assert!(error("[role]\ninsult = 'hate'").contains("role"));
        assert!(error("[roles]\ninsult = 3").contains("line 2"));
        assert!(Roles::from_file("no/such/roles.toml").is_err());
        assert_eq!(Roles::from_toml("[roles]\nx = 'hate'").unwrap().of("x"), Some(Role::Hate));
    }
}
