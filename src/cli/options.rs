//! Options that several subcommands share: which model, which policy, how to compute.

use std::path::{Path, PathBuf};

#[cfg(feature = "hub")]
use super::hub;
use super::{CliError, report};
use crate::{
    classifier::{Classifier, Error},
    digest::Digest,
    engine::{Device, EngineKind, Precision},
    model::{Labels, Model, ModelSource, Roles},
    policy::Policy,
    taxonomy::Role,
};

#[derive(clap::Args)]
pub(super) struct ModelOption {
    /// A model that ships, the directory of a sequence classifier, or hub:OWNER/NAME[@REVISION]
    /// [default: the first of `dignity models`]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// A TOML file that gives labels of a model of another maker the roles of dignity's scores
    /// [default: roles.toml beside the model]
    #[arg(long, value_name = "FILE")]
    roles: Option<PathBuf>,
}

#[derive(clap::Args)]
struct ClassifierOptions {
    #[command(flatten)]
    model: ModelOption,

    /// What computes: auto, cpu, cuda (every GPU), cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: Device,

    /// What computes there: packed or candle [default: packed on a CPU where it knows the model's
    /// family, else candle]
    #[arg(long, value_name = "ENGINE")]
    engine: Option<EngineKind>,

    /// The number format of products: int8, w8a16, bf16, f16 or f32 [default: int8 or w8a16 on a CPU]
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
    /// The classifier and the policy, told on standard error unless `quiet`. A model of another
    /// maker may come without policies: then none decides unless one is named.
    pub(super) fn start(&self) -> Result<(Classifier, Option<Policy>), CliError> {
        if self.policy.policy.len() > 1 {
            return Err(CliError::OnePolicy);
        }
        let (classifier, policy, _) = self.start_with_policies()?;
        Ok((classifier, policy))
    }

    /// The classifier, the policy that decides, and where several were named all of them.
    pub(super) fn start_with_policies(
        &self,
    ) -> Result<(Classifier, Option<Policy>, Vec<Policy>), CliError> {
        let (classifier, hub) = self.classifier.build(self.quiet)?;
        let mut policies: Vec<Policy> = Vec::new();
        for name in &self.policy.policy {
            let policy = choose_policy(Some(name), classifier.policies())?;
            if policies.iter().any(|other| other.name() == policy.name()) {
                return Err(CliError::SamePolicy { name: policy.name().to_owned() });
            }
            policies.push(policy);
        }
        if policies.is_empty() {
            policies.extend(classifier.policy().cloned());
        }
        for policy in &policies {
            policy.check_labels(classifier.labels()).map_err(CliError::Decide)?;
        }
        if !self.quiet {
            report_run(&classifier, hub.as_deref(), &policies);
            self.classifier.report_fallback(&classifier);
        }
        let first = policies.first().cloned();
        Ok((classifier, first, if policies.len() > 1 { policies } else { Vec::new() }))
    }

    /// The same for what measures a policy by the score of dehumanization, and cannot do without.
    pub(super) fn start_measuring(&self) -> Result<(Classifier, Policy), CliError> {
        let (classifier, policy) = self.start()?;
        require_dehumanization(&classifier)?;
        match policy {
            Some(policy) if policy.flag().dehumanization.is_some() => Ok((classifier, policy)),
            _ => Err(CliError::NoPolicy),
        }
    }
}

/// Refuses a model without the score that everything else is compared with.
pub(super) fn require_dehumanization(classifier: &Classifier) -> Result<(), CliError> {
    match classifier.labels().has(Role::Dehumanization) {
        true => Ok(()),
        false => Err(CliError::NoDehumanization),
    }
}

impl ModelOption {
    /// The model's files, without what computes.
    pub(super) fn load(&self) -> Result<Model, CliError> {
        let (named, _) = self.source(false)?;
        let source = named.or_else(ModelSource::default_shipped).ok_or(Error::NoModel)?;
        Ok(Model::load(&source, self.roles()?.as_ref())?)
    }

    fn roles(&self) -> Result<Option<Roles>, CliError> {
        self.roles.as_deref().map(roles_file).transpose()
    }

    /// The model that is named, fetched if it is of the hub; then also which it is exactly.
    #[cfg_attr(not(feature = "hub"), expect(unused_variables, reason = "nothing is fetched"))]
    fn source(&self, quiet: bool) -> Result<(Option<ModelSource>, Option<String>), CliError> {
        let source = self.model.as_deref().map(ModelSource::from);
        #[cfg(feature = "hub")]
        if let Some(ModelSource::Hub(model)) = &source {
            let snapshot = hub::fetch(model, quiet)?;
            let exactly = format!("hub:{snapshot}");
            return Ok((Some(snapshot.into()), Some(exactly)));
        }
        Ok((source, None))
    }
}

impl ClassifierOptions {
    /// The classifier, and which model it has exactly if that is of the hub.
    fn build(&self, quiet: bool) -> Result<(Classifier, Option<String>), CliError> {
        let (source, hub) = self.model.source(quiet)?;
        let mut builder = Classifier::builder()
            .device(self.device)
            .threads(self.threads)
            .max_batch_tokens(self.max_batch_tokens);
        if let Some(source) = source {
            builder = builder.model(source);
        }
        if let Some(roles) = self.model.roles()? {
            builder = builder.roles(roles);
        }
        if let Some(engine) = self.engine {
            builder = builder.engine(engine);
        }
        if let Some(precision) = self.precision {
            builder = builder.precision(precision);
        }
        Ok((builder.build()?, hub))
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

/// Reads a file of roles.
pub(super) fn roles_file(path: &Path) -> Result<Roles, CliError> {
    Roles::from_file(path).map_err(|source| CliError::Roles { path: path.to_owned(), source })
}

/// What a run was made with: the first line on standard error; and what does not fit.
fn report_run(classifier: &Classifier, hub: Option<&str>, policies: &[Policy]) {
    let version = match classifier.model_version() {
        "" => String::new(),
        version => format!(" {version}"),
    };
    let from = hub.map(|hub| format!(" from {hub}")).unwrap_or_default();
    let exactly =
        |policy: &Policy| format!("{} {} {}", policy.name(), policy.version(), policy.digest());
    let decided = match policies {
        [] => "no policy".to_owned(),
        policies => {
            format!("policy {}", policies.iter().map(exactly).collect::<Vec<_>>().join(", "))
        }
    };
    report(format_args!(
        "dignity {}; model {}{version} {}{from}; engine {}; precision {}; device {}; {decided}",
        env!("CARGO_PKG_VERSION"),
        classifier.model_name(),
        classifier.model_digest(),
        classifier.engine(),
        classifier.precision(),
        classifier.device(),
    ));
    report_labels(classifier.labels());
    for policy in policies {
        report_mismatch(policy, classifier.model_name(), classifier.model_digest());
    }
}

/// What a model's labels mean, where they go by names of their own.
fn report_labels(labels: &Labels) {
    if labels.names().len() == 0 {
        return;
    }
    let named = labels.iter().map(|label| match label.role() {
        Some(role) => format!("{} ({role})", label.name()),
        None => label.name().to_owned(),
    });
    report(format_args!(
        "dignity: labels by {}: {}",
        labels.activation(),
        named.collect::<Vec<_>>().join(", ")
    ));
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
