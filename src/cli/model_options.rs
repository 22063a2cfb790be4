//! The options that say which model runs, and how.

use std::path::PathBuf;

use super::{CliError, report};
use crate::{classifier::Classifier, engine::Device, policy::Policy};

#[derive(clap::Args)]
pub(super) struct ModelOptions {
    /// A policy file in place of the model's own
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// A model that ships, or a model directory [default: the first of `dignity models`]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// What computes: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: Device,

    /// Worker threads [default: one for every core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,

    /// Tokens computed at once by a thread [default: by device]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    max_batch_tokens: usize,
}

impl ModelOptions {
    /// Builds the classifier and reads the policy. Unless `quiet`, the first line on standard error
    /// says what the run is made with.
    pub(super) fn load(&self, quiet: bool) -> Result<(Classifier, Policy), CliError> {
        let mut builder = Classifier::builder()
            .device(self.device)
            .threads(self.threads)
            .max_batch_tokens(self.max_batch_tokens);
        if let Some(model) = &self.model {
            builder = builder.model(model.as_str());
        }
        let classifier = builder.build()?;
        let policy = match &self.policy {
            None => classifier.policy().clone(),
            Some(path) => Policy::from_file(path)
                .map_err(|source| CliError::Policy { path: path.clone(), source })?,
        };
        if !quiet {
            report(format_args!("{}", header(&classifier, &policy)));
            if policy.model() != classifier.model_name() {
                report(format_args!(
                    "dignity: the policy's thresholds were chosen for the model {}, not {}",
                    policy.model(),
                    classifier.model_name()
                ));
            }
        }
        Ok((classifier, policy))
    }
}

fn header(classifier: &Classifier, policy: &Policy) -> String {
    format!(
        "dignity {}; model {} {} {}; precision {}; device {}; policy {} {} {}",
        env!("CARGO_PKG_VERSION"),
        classifier.model_name(),
        classifier.model_version(),
        classifier.model_digest(),
        classifier.precision(),
        classifier.device(),
        policy.name(),
        policy.version(),
        policy.digest(),
    )
}
