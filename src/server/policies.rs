//! The policies that verdicts are given under, by name.

use std::{collections::BTreeMap, sync::Arc};

use super::fault::{Fault, Kind};
use crate::policy::Policy;

/// The default policy and those that a request may name.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    default: Arc<Policy>,
    named: BTreeMap<String, Arc<Policy>>,
}

impl Policies {
    /// `default` decides where a request names no policy. Of policies with one name, the last counts.
    pub(crate) fn new(default: Policy, others: impl IntoIterator<Item = Policy>) -> Self {
        let default = Arc::new(default);
        let others = others.into_iter().map(Arc::new);
        let named = others
            .chain([default.clone()])
            .map(|policy| (policy.name().to_owned(), policy))
            .collect();
        Self { default, named }
    }

    /// The policy of this name, or the default one.
    pub(super) fn get(&self, name: Option<&str>) -> Result<Arc<Policy>, Fault> {
        let Some(name) = name else { return Ok(self.default.clone()) };
        self.named.get(name).cloned().ok_or_else(|| {
            let names: Vec<_> = self.named.keys().map(String::as_str).collect();
            let message = format!("there is no such policy; there are {}", names.join(", "));
            Fault::new(Kind::Invalid, "unknown_policy", message).with_param("policy")
        })
    }

    /// The default policy.
    pub(crate) fn default_policy(&self) -> &Arc<Policy> {
        &self.default
    }

    /// Every policy, in order of name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.named.values()
    }
}
