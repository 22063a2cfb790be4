//! Scores a labelled file, for the subcommands that measure.

use indicatif::{ProgressBar, ProgressStyle};

use super::{CliError, report};
use crate::{
    classifier::Classifier,
    evaluate::{Labelled, Labels},
    files::{Input, LabelledFile},
    policy::PolicyData,
};

/// How many bad rows are reported one by one; all are counted.
const REPORTED_BAD_ROWS: usize = 20;

/// A labelled file with its scores.
pub(super) struct Measured {
    /// The rows that have both, in order.
    pub(super) rows: Vec<Labelled>,
    /// The file, and what became of its rows.
    pub(super) data: PolicyData,
}

struct LabelledText {
    line: u64,
    text: String,
    labels: Labels,
}

impl AsRef<str> for LabelledText {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Reads and scores a labelled file. Rows that have no labels or cannot be scored are reported and
/// counted.
pub(super) fn measure(
    classifier: &Classifier,
    input: &Input,
    text_field: &str,
    quiet: bool,
) -> Result<Measured, CliError> {
    let file = LabelledFile::read(input, text_field)?;
    let bar = ProgressBar::new(file.rows.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} texts, {eta} left") {
        bar.set_style(style);
    }
    let mut bad = 0;
    let mut report_bad = |line: u64, reason: &str| {
        bad += 1;
        if bad <= REPORTED_BAD_ROWS && !quiet {
            bar.suspend(|| report(format_args!("{input}:{line}: {reason}")));
        }
    };
    let mut texts = Vec::new();
    for row in file.rows {
        match row.content {
            Ok((text, labels)) => texts.push(LabelledText { line: row.line, text, labels }),
            Err(reason) => report_bad(row.line, &reason),
        }
    }
    let mut rows = Vec::with_capacity(texts.len());
    for scored in classifier.stream(texts) {
        let (LabelledText { line, labels, .. }, scores) = scored?;
        bar.inc(1);
        match scores.unscored {
            Some(reason) => report_bad(line, &reason.to_string()),
            None => rows.push(Labelled { labels, probabilities: scores.probabilities }),
        }
    }
    bar.finish_and_clear();
    if rows.is_empty() {
        return Err(CliError::NothingLabelled { input: input.clone() });
    }
    if bad > 0 && !quiet {
        report(format_args!("dignity: {bad} bad rows are left out of all figures"));
    }
    let name = match input {
        Input::Stdin => input.to_string(),
        Input::Path(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let positives = rows.iter().filter(|row| row.labels.dehumanization).count();
    let data = PolicyData { name, digest: file.digest, rows: rows.len(), positives, bad_rows: bad };
    Ok(Measured { rows, data })
}
