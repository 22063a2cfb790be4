//! Options that several subcommands share: which model, which policy, how to compute.

use std::path::Path;

use super::{CliError, report};
use crate::{
    classifier::{Classifier, Error},
    digest::Digest,
    engine::{Device, EngineKind, Precision},
    model::{Model, ModelSource},
    policy::Policy,
};

#[derive(clap::Args)]
pub(super) struct ModelOption {
    /// A model that ships, or a model directory [default: the first of `dignity models`]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
}

#[derive(clap::Args)]
struct ClassifierOptions {
    #[command(flatten)]
    model: ModelOption,

    /// What computes: cpu, cuda, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: Device,

    /// What computes there: packed or candle [default: packed on a CPU, else candle]
    #[arg(long, value_name = "ENGINE")]
    engine: Option<EngineKind>,

    /// The number format of products: int8, bf16 or f32 [default: the fastest there is]
    #[arg(long, value_name = "PRECISION")]
    precision: Option<Precision>,

    /// Worker threads [default: one for every core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,

    /// Tokens computed at once by a thread [default: by device]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    max_batch_tokens: usize,
}

#[derive(clap::Args)]
struct PolicyOption {
    /// One of the model's policies by name, or a policy file [default: balanced]
    #[arg(long, value_name = "NAME|FILE")]
    policy: Vec<String>,
}

/// What every subcommand that scores takes.
#[derive(clap::Args)]
pub(super) struct RunOptions {
    #[command(flatten)]
    policy: PolicyOption,

    #[command(flatten)]
    classifier: ClassifierOptions,

    /// Print nothing but errors to standard error
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl RunOptions {
    /// The classifier and the policy, told on standard error unless `quiet`.
    pub(super) fn start(&self) -> Result<(Classifier, Policy), CliError> {
        if self.policy.policy.len() > 1 {
            return Err(CliError::OnePolicy);
        }
        let (classifier, policy, _) = self.start_with_policies()?;
        Ok((classifier, policy))
    }

    /// The classifier, the policy that decides, and where several were named all of them.
    pub(super) fn start_with_policies(
        &self,
    ) -> Result<(Classifier, Policy, Vec<Policy>), CliError> {
        let classifier = self.classifier.build()?;
        let named = &self.policy.policy;
        let first = choose_policy(named.first().map(String::as_str), classifier.policies())?;
        let mut several = Vec::new();
        if named.len() > 1 {
            for name in named {
                let policy = choose_policy(Some(name), classifier.policies())?;
                if several.iter().any(|other: &Policy| other.name() == policy.name()) {
                    return Err(CliError::SamePolicy { name: policy.name().to_owned() });
                }
                several.push(policy);
            }
        }
        if !self.quiet {
            report_run(&classifier, &first, several.get(1..).unwrap_or_default());
            self.classifier.report_fallback(&classifier);
        }
        Ok((classifier, first, several))
    }
}

impl ModelOption {
    /// The model's files, without what computes.
    pub(super) fn load(&self) -> Result<Model, CliError> {
        let named = self.model.as_deref().map(ModelSource::from);
        let source = named.or_else(ModelSource::default_shipped).ok_or(Error::NoModel)?;
        Ok(Model::load(&source)?)
    }
}

impl ClassifierOptions {
    fn build(&self) -> Result<Classifier, CliError> {
        let mut builder = Classifier::builder()
            .device(self.device)
            .threads(self.threads)
            .max_batch_tokens(self.max_batch_tokens);
        if let Some(model) = &self.model.model {
            builder = builder.model(model.as_str());
        }
        if let Some(engine) = self.engine {
            builder = builder.engine(engine);
        }
        if let Some(precision) = self.precision {
            builder = builder.precision(precision);
        }
        Ok(builder.build()?)
    }

    /// Says where the precision that was asked for is not what computes.
    fn report_fallback(&self, classifier: &Classifier) {
        let computed = classifier.precision();
        if let Some(wanted) = self.precision.filter(|&wanted| wanted != computed) {
            report(format_args!(
                "warning: {wanted} is not to be had here; computing in {computed}"
            ));
        }
    }
}

/// The policy asked for, among the model's `policies` (the default first) or from a file.
pub(super) fn choose_policy<'p>(
    wanted: Option<&str>,
    policies: impl Iterator<Item = &'p Policy>,
) -> Result<Policy, CliError> {
    let mut names = Vec::new();
    for policy in policies {
        if wanted.is_none_or(|wanted| wanted == policy.name()) {
            return Ok(policy.clone());
        }
        names.push(policy.name().to_owned());
    }
    let wanted = wanted.unwrap_or_default();
    let path = Path::new(wanted);
    // What is written like a path is one, so that a missing file is called that.
    let like_a_path = path.components().count() > 1 || path.extension().is_some();
    if like_a_path || path.exists() {
        return policy_file(path);
    }
    Err(CliError::UnknownPolicy { wanted: wanted.to_owned(), names })
}

/// Reads a policy file.
pub(super) fn policy_file(path: &Path) -> Result<Policy, CliError> {
    Policy::from_file(path).map_err(|source| CliError::Policy { path: path.to_owned(), source })
}

/// What a run was made with: the first line on standard error; and what does not fit.
fn report_run(classifier: &Classifier, policy: &Policy, more: &[Policy]) {
    let more: String = more
        .iter()
        .map(|policy| format!(", {} {} {}", policy.name(), policy.version(), policy.digest()))
        .collect();
    report(format_args!(
        "dignity {}; model {} {} {}; engine {}; precision {}; device {}; policy {} {} {}{more}",
        env!("CARGO_PKG_VERSION"),
        classifier.model_name(),
        classifier.model_version(),
        classifier.model_digest(),
        classifier.engine(),
        classifier.precision(),
        classifier.device(),
        policy.name(),
        policy.version(),
        policy.digest(),
    ));
    report_mismatch(policy, classifier.model_name(), classifier.model_digest());
}

/// Says where a policy was made for another model.
pub(super) fn report_mismatch(policy: &Policy, model: &str, digest: Digest) {
    if policy.model() != model {
        report(format_args!(
            "dignity: the policy's thresholds were chosen for the model {}, not {model}",
            policy.model(),
        ));
    } else if let Some(other) = policy.model_digest().filter(|other| *other != digest) {
        report(format_args!(
            "dignity: the policy's thresholds were chosen for another {model}: {other}, not {digest}",
        ));
    }
}
