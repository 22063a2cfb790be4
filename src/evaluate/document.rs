//! A report with what it was made from and with.

use serde::Serialize;

use super::Report;
use crate::{
    digest::Digest,
    policy::{Policy, PolicyData},
};

/// What `dignity evaluate` writes.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    /// dignity's version.
    pub(crate) dignity: &'static str,
    /// When the report was made, in UTC.
    pub(crate) date: String,
    pub(crate) model: Named,
    pub(crate) policy: Named,
    pub(crate) data: PolicyData,
    #[serde(flatten)]
    pub(crate) report: Report,
}

/// A model or a policy, named exactly.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) digest: Digest,
}

impl From<&Policy> for Named {
    fn from(policy: &Policy) -> Self {
        Self {
            name: policy.name().to_owned(),
            version: policy.version().to_owned(),
            digest: policy.digest(),
        }
    }
}
