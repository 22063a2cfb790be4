//! What is written about a run when its outputs are complete: the manifest and reports.

use std::{io, path::Path};

use super::{Arguments, manifest::manifest, outputs::Outputs, targets::Targets};
use crate::{
    cli::CliError,
    files::{Source, write_whole},
    summary::{Document, Provenance, Summary, html},
};

/// A run whose outputs are complete.
pub(super) struct About<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) run: &'a Provenance,
    pub(super) sources: &'a [Source],
    pub(super) targets: &'a Targets,
}

impl About<'_> {
    /// Writes what was asked for.
    pub(super) fn write(
        &self,
        manifest_path: Option<&Path>,
        outputs: &Outputs<'_>,
        summary: &Summary,
    ) -> Result<(), CliError> {
        let Self { arguments, run, sources, targets } = *self;
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
        let figures = &summary.figures;
        if let Some(path) = manifest_path {
            let (field, finished) = (&arguments.text_field, outputs.finished());
            let json = manifest(&date, run, field, figures, sources, targets, finished)
                .map_err(io::Error::from)?;
            write(path, &json)?;
        }
        let document = Document { run, date, inputs: sources.len(), figures, summary };
        arguments.report.iter().try_for_each(|path| write_report(path, &document))
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), CliError> {
    write_whole(path, content).map_err(|source| CliError::Create { path: path.to_owned(), source })
}

fn write_report(path: &Path, document: &Document<'_>) -> Result<(), CliError> {
    if path.extension().is_some_and(|name| name == "html") {
        return write(path, html(document).as_bytes());
    }
    let mut json = serde_json::to_vec_pretty(document).map_err(io::Error::from)?;
    json.push(b'\n');
    write(path, &json)
}
