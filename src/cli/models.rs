//! `dignity models`: what ships with this build.

use super::CliError;

/// List the models that ship with this build, with their policies and digests, and what computes them.
#[derive(clap::Args)]
pub(super) struct Arguments {}

#[cfg(feature = "shipped")]
pub(super) fn run(_: &Arguments) -> Result<(), CliError> {
    use std::io::{self, Write};

    use crate::{
        classifier::Error,
        digest::Digest,
        engine::{EngineError, EngineKind, Precision},
        instruction_set,
        model::{Model, ModelSource, ShippedModel},
    };

    let mut out = io::stdout().lock();
    for (index, shipped) in ShippedModel::ALL.into_iter().enumerate() {
        let default = if index == 0 { " (default)" } else { "" };
        let Model { name, version, policies, .. } =
            Model::load(&ModelSource::Shipped(shipped), None)?;
        writeln!(out, "{name} {version}{default}")?;
        for policy in policies.iter() {
            writeln!(
                out,
                "  policy {} {}: flag at {}, review at {}",
                policy.name(),
                policy.version(),
                policy.flag(),
                policy.review(),
            )?;
        }
        for (file, content) in shipped.files() {
            writeln!(out, "  {} {:>9} bytes  {file}", Digest::of(content), content.len())?;
        }
    }
    let set = instruction_set().map_err(EngineError::from).map_err(Error::from)?;
    writeln!(
        out,
        "on this CPU: engine {} with {set}, precision {}, or {} or {} if asked for",
        EngineKind::Packed,
        Precision::Int8,
        Precision::W8A16,
        Precision::F32,
    )?;
    Ok(())
}

#[cfg(not(feature = "shipped"))]
pub(super) fn run(_: &Arguments) -> Result<(), CliError> {
    super::report(format_args!("no model ships with this build; name a directory with --model"));
    Ok(())
}
