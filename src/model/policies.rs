//! A model's policies.

use super::{Labels, ModelError, ModelSource};
use crate::policy::Policy;

/// The name of the policy that decides where none is named.
pub const DEFAULT_POLICY: &str = "balanced";

/// A model's policies: the default one first, then others in order of name. A model of another maker
/// may have none.
#[derive(Clone, Debug)]
pub(crate) struct Policies(Vec<Policy>);

impl Policies {
    /// Reads and checks the policies of the model at `source`.
    pub(super) fn read(source: &ModelSource, labels: &Labels) -> Result<Self, ModelError> {
        let mut policies = Vec::new();
        for (name, text) in source.policies()? {
            let policy = match Policy::from_toml(&text) {
                Ok(policy) if policy.name() == name => policy,
                Ok(policy) => {
                    let found = policy.name().to_owned();
                    return Err(ModelError::PolicyName { file: name, name: found });
                }
                Err(source) => return Err(ModelError::Policy { name, source }),
            };
            if let Err(source) = policy.check_labels(labels) {
                return Err(ModelError::Policy { name, source });
            }
            policies.push(policy);
        }
        if !policies.is_empty() {
            let default = policies.iter().position(|policy| policy.name() == DEFAULT_POLICY);
            policies[..=default.ok_or(ModelError::NoDefaultPolicy)?].rotate_right(1);
        }
        Ok(Self(policies))
    }

    /// The policy that decides where none is named.
    pub(crate) fn default(&self) -> Option<&Policy> {
        self.0.first()
    }

    /// Every policy, the default first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.0.iter()
    }
}
