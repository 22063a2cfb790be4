//! What a run is made with, and what makes it the same as an earlier one.

use std::fs;

use super::{Arguments, targets::Targets, work::Identity};
use crate::{
    classifier::Classifier,
    evaluate::Named,
    files::{Input, Source},
    policy::Policy,
    summary::Provenance,
};

/// What a run is made with.
pub(super) fn provenance(
    arguments: &Arguments,
    classifier: &Classifier,
    policy: Option<&Policy>,
    several: &[Policy],
) -> Provenance {
    let policies = match several {
        [] => policy.map(Named::from).into_iter().collect(),
        several => several.iter().map(Named::from).collect(),
    };
    Provenance {
        dignity: env!("CARGO_PKG_VERSION"),
        model: Named {
            name: classifier.model_name().to_owned(),
            version: classifier.model_version().to_owned(),
            digest: classifier.model_digest(),
        },
        engine: classifier.engine().to_string(),
        precision: classifier.precision().to_string(),
        device: classifier.device().to_string(),
        policies,
        shard: arguments.shard.map(|shard| shard.to_string()),
    }
}

/// What a later run must have in common with this one to go on with it.
pub(super) fn identity(
    arguments: &Arguments,
    run: &Provenance,
    sources: &[Source],
    targets: &Targets,
) -> Identity {
    let named = |named: &Named| format!("{} {} {}", named.name, named.version, named.digest);
    let policies: Vec<_> = run.policies.iter().map(named).collect();
    let mut identity = Identity::new();
    let mut tell = |what: &str, value: String| identity.insert(what.to_owned(), value);
    tell("dignity", run.dignity.to_owned());
    tell("the model", named(&run.model));
    tell("the engine", run.engine.clone());
    tell("the precision", run.precision.clone());
    tell("the device", run.device.clone());
    tell("the policy", policies.join(", "));
    tell("--shard", format!("{:?}", run.shard));
    tell("--format", format!("{:?}", arguments.format));
    tell("--output-format", format!("{:?}", arguments.output_format));
    tell("--text-field", format!("{:?}", arguments.text_field));
    tell("--id-field", format!("{:?}", arguments.id_field));
    tell("a report with texts", shows_texts(arguments).to_string());
    tell("a manifest", (arguments.manifest.is_some() || targets.is_each()).to_string());
    tell("the number of inputs", sources.len().to_string());
    for (number, source) in sources.iter().enumerate() {
        let Input::Path(path) = &source.input else { continue };
        let changed = fs::metadata(path).and_then(|found| Ok((found.len(), found.modified()?)));
        let state = match changed {
            Ok((bytes, modified)) => match jiff::Timestamp::try_from(modified) {
                Ok(modified) => format!("{bytes} bytes of {modified}"),
                Err(_) => format!("{bytes} bytes"),
            },
            Err(error) => error.to_string(),
        };
        tell(&format!("input {} ({})", number + 1, path.display()), state);
    }
    identity
}

/// Whether texts are shown anywhere but in the outputs.
pub(super) fn shows_texts(arguments: &Arguments) -> bool {
    arguments.report.iter().any(|path| path.extension().is_some_and(|name| name == "html"))
}
