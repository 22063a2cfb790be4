//! `dignity evaluate`: measures the model and a policy on a labelled file.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    CliError,
    labelled::{Measured, measure},
    options::RunOptions,
};
use crate::{
    evaluate::{Bootstrap, Document, Named, Report, html, write_table},
    files::{Input, write_whole},
};

/// Measure the model and a policy on a labelled file.
///
/// The file is JSON lines with the fields text and dehum (1 or 0), and optionally hate (1, 0 or
/// null), ways (letters a d o m n), groups (codes rel cas age dis sick nat rac eth gen ori oth ind),
/// function and category (any names). Rows that cannot be used are reported and counted. No text of
/// the file is in the report.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The labelled file; - is standard input
    #[arg(value_name = "FILE")]
    file: Input,

    /// The field that holds the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,

    /// Write the figures to this file as JSON; - prints JSON in place of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the report to this file, one page of HTML with plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Resamples for the 95% intervals; 0 for none
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().resamples)]
    bootstrap: usize,

    /// The seed that resamples are drawn by
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().seed)]
    seed: u64,

    #[command(flatten)]
    run: RunOptions,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let (classifier, policy) = arguments.run.start_measuring()?;
    let Measured { rows, data } =
        measure(&classifier, &arguments.file, &arguments.text_field, arguments.run.quiet)?;
    let bootstrap = Bootstrap { resamples: arguments.bootstrap, seed: arguments.seed };
    let document = Document {
        dignity: env!("CARGO_PKG_VERSION"),
        date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        model: Named {
            name: classifier.model_name().to_owned(),
            version: classifier.model_version().to_owned(),
            digest: classifier.model_digest(),
        },
        policy: Named::from(&policy),
        data,
        report: Report::new(&rows, &policy, bootstrap),
    };
    let write = |path: &Path, content: &[u8]| {
        write_whole(path, content)
            .map_err(|source| CliError::Create { path: path.to_owned(), source })
    };
    let mut out = io::stdout().lock();
    let json_to_stdout = arguments.json.as_deref() == Some(Path::new("-"));
    if let Some(path) = &arguments.json {
        let mut json = serde_json::to_vec_pretty(&document).map_err(io::Error::from)?;
        json.push(b'\n');
        if json_to_stdout {
            out.write_all(&json)?;
        } else {
            write(path, &json)?;
        }
    }
    if let Some(path) = &arguments.html {
        write(path, html(&document).as_bytes())?;
    }
    if !json_to_stdout {
        write_table(&mut out, &document)?;
    }
    out.flush()?;
    Ok(())
}
