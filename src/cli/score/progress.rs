//! How far a run is.

use std::{
    fmt, fs,
    rc::Rc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    files::{Input, Progress, Source},
    summary::{Decisions, Figures},
};

/// Shows on a terminal only: bytes read of all files, texts a second, time left.
pub(super) struct RunProgress {
    bar: ProgressBar,
    started: Instant,
    /// The rows that an earlier run scored.
    before: u64,
}

impl RunProgress {
    /// Of a run over `sources` that goes on at the input `first`, after `before` rows were scored.
    pub(super) fn new(sources: &[Source], first: usize, before: u64) -> Self {
        let sizes: Option<Vec<u64>> = sources.iter().map(size).collect();
        let (bar, template) = match &sizes {
            Some(sizes) => {
                let bar = ProgressBar::new(sizes.iter().sum());
                bar.inc(sizes.iter().take(first).sum());
                (bar, "{wide_bar} {percent}% {msg}, {eta} left")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {elapsed} {msg}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, started: Instant::now(), before }
    }

    /// Takes the bytes that are read.
    pub(super) fn bytes(&self) -> Progress {
        let bar = self.bar.clone();
        Rc::new(move |bytes| bar.inc(bytes))
    }

    /// The rows before have been left out: what is read from now on takes time.
    pub(super) fn begin(&mut self) {
        self.bar.reset_eta();
        self.started = Instant::now();
    }

    pub(super) fn count(&self, rows: u64) {
        if rows.is_multiple_of(64) {
            self.bar.set_message(format!("{} texts/s", self.rate(rows)));
        }
    }

    /// Prints what `print` prints without tearing the bar.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Rows of this run a second, rounded.
    fn rate(&self, rows: u64) -> u64 {
        let seconds = self.started.elapsed().as_secs_f64();
        ((rows - self.before.min(rows)) as f64 / seconds.max(1e-3)).round() as u64
    }

    /// The last line of a run.
    pub(super) fn summary<'a>(&'a self, figures: &'a Figures) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            write!(f, "{} rows", figures.rows)?;
            if self.before > 0 {
                write!(f, ", {} of them in an earlier run,", self.before)?;
            }
            let seconds = self.started.elapsed().as_secs_f64();
            write!(f, " in {seconds:.1} s ({} a second): ", self.rate(figures.rows))?;
            let Decisions { flag, review, allow } = figures.decisions;
            match figures.undecided {
                0 => write!(f, "{flag} flag, {review} review, {allow} allow, ")?,
                scored => write!(f, "{scored} scored, ")?,
            }
            write!(f, "{} bad", figures.bad)
        })
    }
}

fn size(source: &Source) -> Option<u64> {
    match &source.input {
        Input::Path(path) => {
            fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.len())
        }
        Input::Stdin => None,
    }
}
