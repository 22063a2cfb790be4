//! `dignity models`: what ships with this build.

use super::CliError;

/// List the models that ship with this build, with their policies and digests.
#[derive(clap::Args)]
pub(super) struct Arguments {}

#[cfg(feature = "shipped")]
pub(super) fn run(_: &Arguments) -> Result<(), CliError> {
    use std::io::{self, Write};

    use crate::{
        digest::Digest,
        model::{Model, ModelSource, ShippedModel},
    };

    let mut out = io::stdout().lock();
    for (index, shipped) in ShippedModel::ALL.into_iter().enumerate() {
        let default = if index == 0 { " (default)" } else { "" };
        let Model { manifest, policies, .. } = Model::load(&ModelSource::Shipped(shipped))?;
        writeln!(out, "{} {}{default}", manifest.name, manifest.version)?;
        for policy in policies.iter() {
            writeln!(
                out,
                "  policy {} {}: flag at {}, review at {}",
                policy.name(),
                policy.version(),
                policy.flag().dehumanization,
                policy.review().dehumanization,
            )?;
        }
        for (file, content) in shipped.files() {
            writeln!(out, "  {} {:>9} bytes  {file}", Digest::of(content), content.len())?;
        }
    }
    Ok(())
}

#[cfg(not(feature = "shipped"))]
pub(super) fn run(_: &Arguments) -> Result<(), CliError> {
    super::report(format_args!("no model ships with this build; name a directory with --model"));
    Ok(())
}
