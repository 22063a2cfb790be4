//! A model of the hub, fetched with a progress bar.

use indicatif::{ProgressBar, ProgressStyle};

use super::{CliError, report};
use crate::model::{DownloadProgress, HubModel, HubOptions, HubSnapshot, ModelError};

/// Fetches the model as the environment says; tells how that goes unless `quiet`.
pub(super) fn fetch(model: &HubModel, quiet: bool) -> Result<HubSnapshot, CliError> {
    // Hidden by itself where standard error is no terminal.
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}")
    {
        bar.set_style(style);
    }
    let fetched = HubOptions::from_env().and_then(|options| model.fetch(&options, &mut Bar(&bar)));
    bar.finish_and_clear();
    let snapshot = fetched.map_err(ModelError::from)?;
    if let Some(reason) = snapshot.unreachable().filter(|_| !quiet) {
        report(format_args!("dignity: {reason}; the cache's hub:{snapshot} is used"));
    }
    Ok(snapshot)
}

/// One bar for all files, one after another.
struct Bar<'a>(&'a ProgressBar);

impl DownloadProgress for Bar<'_> {
    fn start(&mut self, file: &str, done: u64, total: u64) {
        self.0.reset();
        self.0.set_length(total);
        self.0.set_position(done);
        self.0.set_message(file.to_owned());
    }

    fn advance(&mut self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn finish(&mut self) {}
}
