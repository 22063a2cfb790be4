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
        engine::{EngineKind, on_this_cpu},
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
    let (set, precisions) = on_this_cpu().map_err(Error::from)?;
    let engine = EngineKind::Packed;
    write!(out, "on this CPU: engine {engine} with {set}, precision ")?;
    for (index, precision) in precisions.iter().enumerate() {
        let before = match index {
            0 => "",
            1 => ", or ",
            _ => " or ",
        };
        write!(out, "{before}{precision}")?;
    }
    writeln!(out, " if asked for")?;
    Ok(())
}

#[cfg(not(feature = "shipped"))]
pub(super) fn run(_: &Arguments) -> Result<(), CliError> {
    super::report(format_args!("no model ships with this build; name a directory with --model"));
    Ok(())
}
