//! The list of a run's outputs, by which they can be checked.

use std::path::Path;

use serde::Serialize;

use super::{targets::Targets, work::Finished};
use crate::{
    digest::Digest,
    files::Source,
    summary::{Figures, Provenance},
};

const FORMAT: u32 = 1;

#[derive(Serialize)]
pub(super) struct Manifest<'a> {
    format: u32,
    /// When the run ended, in UTC.
    date: &'a str,
    run: &'a Provenance,
    /// The field that held the texts.
    text_field: &'a str,
    rows: u64,
    bad: u64,
    /// All inputs, in the order of their rows.
    inputs: Vec<String>,
    outputs: Vec<OutputEntry<'a>>,
}

#[derive(Serialize)]
struct OutputEntry<'a> {
    /// Relative to the output directory, where there is one.
    path: String,
    /// The input that its rows are of, where it has an output of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
    rows: u64,
    bad: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

/// The manifest as JSON.
pub(super) fn manifest(
    date: &str,
    run: &Provenance,
    text_field: &str,
    figures: &Figures,
    sources: &[Source],
    targets: &Targets,
    finished: &[Finished],
) -> serde_json::Result<Vec<u8>> {
    let inputs: Vec<_> = sources.iter().map(|source| source.input.to_string()).collect();
    let path = |finished: &Finished| {
        let path = targets.get(finished.target).and_then(|target| target.path.as_deref());
        let path = path.unwrap_or(Path::new("-"));
        let relative = targets.directory().and_then(|directory| path.strip_prefix(directory).ok());
        relative.unwrap_or(path).display().to_string()
    };
    let outputs = finished.iter().map(|finished| OutputEntry {
        path: path(finished),
        input: match targets.is_each() {
            true => inputs.get(finished.target).map(String::as_str),
            false => None,
        },
        rows: finished.rows,
        bad: finished.bad,
        bytes: finished.content.map(|content| content.bytes),
        digest: finished.content.map(|content| content.digest),
    });
    let outputs = outputs.collect();
    let mut json = serde_json::to_vec_pretty(&Manifest {
        format: FORMAT,
        date,
        run,
        text_field,
        rows: figures.rows,
        bad: figures.bad,
        inputs: inputs.clone(),
        outputs,
    })?;
    json.push(b'\n');
    Ok(json)
}
