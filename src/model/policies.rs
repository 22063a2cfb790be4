//! A model's policies.

use super::{ModelError, ModelSource};
use crate::policy::Policy;

/// The name of the policy that decides where none is named.
pub const DEFAULT_POLICY: &str = "balanced";

/// A model's policies: the default one, and others in order of name.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    default: Policy,
    others: Vec<Policy>,
}

impl Policies {
    /// Reads and checks the policies of the model at `source`.
    pub(super) fn read(source: &ModelSource) -> Result<Self, ModelError> {
        let (mut default, mut others) = (None, Vec::new());
        for (name, text) in source.policies()? {
            let policy = match Policy::from_toml(&text) {
                Ok(policy) if policy.name() == name => policy,
                Ok(policy) => {
                    let found = policy.name().to_owned();
                    return Err(ModelError::PolicyName { file: name, name: found });
                }
                Err(source) => return Err(ModelError::Policy { name, source }),
            };
            if name == DEFAULT_POLICY {
                default = Some(policy);
            } else {
                others.push(policy);
            }
        }
        Ok(Self { default: default.ok_or(ModelError::NoDefaultPolicy)?, others })
    }

    /// The policy that decides where none is named.
    pub(crate) fn default(&self) -> &Policy {
        &self.default
    }

    /// Every policy, the default first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Policy> {
        std::iter::once(&self.default).chain(&self.others)
    }
}
