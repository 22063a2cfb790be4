//! `dignity score`: scores files of texts, or one text.

mod about;
mod files;
mod identity;
mod manifest;
mod one;
mod outputs;
mod progress;
mod shard;
mod targets;
mod work;

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use clap::{CommandFactory, error::ErrorKind};

use self::{files::score_files, one::score_text, shard::Shard};
pub(super) use self::{targets::TargetError, work::WorkError};
use super::{
    CliError,
    options::{RunOptions, require_dehumanization},
};
use crate::files::{Format, Input, OutputFormat};

/// Score files of texts (JSONL, CSV, TSV, plain lines, Parquet), or one text.
///
/// Every input row gets one output row, in order, with its fields kept and the scores added. Rows
/// that cannot be scored say why and do not stop the run. Files may be compressed (.gz, .zst).
///
/// A run from files to files that was killed goes on where it was when the same command is run
/// again; what it needs for that is in NAME.unfinished beside the output until it is complete.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Files to score, directories (all files of known formats in and below them) and patterns; - is
    /// standard input (plain lines, unless --format tells)
    #[arg(value_name = "FILE")]
    files: Vec<Input>,

    /// Score this one text and print a table
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with_all = ["files", "output", "output_dir", "format", "report", "manifest", "shard"]
    )]
    text: Option<String>,

    /// The inputs' format, where their names do not tell it
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,

    /// The field or column that holds the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,

    /// A field or column that names a row in messages; a row without it is bad
    #[arg(long, value_name = "NAME")]
    id_field: Option<String>,

    /// Write to this file, which appears when it is complete [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write a file for each input to this directory, of the same relative name
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    output_dir: Option<PathBuf>,

    /// The outputs' format [default: as a file is named, else jsonl]
    #[arg(long, value_name = "FORMAT")]
    output_format: Option<OutputFormat>,

    /// Score a part of the rows: those whose number, from 0 over all inputs, gives I-1 when divided
    /// by N
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// Write a report of all rows to this file, a page (.html) or figures (.json); may be repeated
    #[arg(long, value_name = "FILE", value_parser = report_file)]
    report: Vec<PathBuf>,

    /// Write sizes, row counts and SHA-256 digests of the outputs to this file [default with
    /// --output-dir: DIR/manifest.json]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// Begin anew, whatever a killed run has left
    #[arg(long)]
    restart: bool,

    /// How much work a killed run loses at most
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    checkpoint_every: Duration,

    #[command(flatten)]
    run: RunOptions,

    /// Stop at the first bad row
    #[arg(long)]
    strict: bool,
}

fn report_file(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "json") => Ok(path),
        _ => Err("a report is a file named .html or .json".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let nothing_named = arguments.files.is_empty() && arguments.text.is_none();
    if nothing_named && io::stdin().is_terminal() {
        super::Arguments::command()
            .error(
                ErrorKind::MissingRequiredArgument,
                "nothing to score: name a FILE, - for standard input, or --text",
            )
            .exit();
    }
    let (classifier, policy, several) = arguments.run.start_with_policies()?;
    if !arguments.report.is_empty() {
        require_dehumanization(&classifier)?;
    }
    match &arguments.text {
        Some(text) => score_text(&classifier, policy.as_ref(), text),
        None => score_files(arguments, &classifier, policy.as_ref(), &several),
    }
}
