//! `dignity score`: scores files of texts, or one text.

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::{self, IsTerminal, Write},
    ops::Range,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{CommandFactory, error::ErrorKind};
use indicatif::{ProgressBar, ProgressStyle};

use super::{CliError, options::RunOptions, report};
use crate::{
    classifier::Classifier,
    files::{self, FieldNames, Format, Input, Outcome, Output, OutputFormat, Row, Scored},
    policy::{Decision, Policy},
    scores::{Scores, TextView},
    taxonomy::{Category, Role, Way},
};

/// How many bad rows are reported one by one; all are marked in the output.
const REPORTED_BAD_ROWS: u64 = 20;

/// Score files of texts (JSONL, CSV, TSV or plain lines), or one text.
///
/// Every input row gets one output row, in order, with its fields kept and the scores added. Rows
/// that cannot be scored say why and do not stop the run.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Files to score; - is standard input (plain lines, unless --format tells)
    #[arg(value_name = "FILE")]
    files: Vec<Input>,

    /// Score this one text and print a table
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["files", "output", "format"])]
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

    /// The output's format [default: csv for a file named so, else jsonl]
    #[arg(long, value_name = "FORMAT")]
    output_format: Option<OutputFormat>,

    #[command(flatten)]
    run: RunOptions,

    /// Stop at the first bad row
    #[arg(long)]
    strict: bool,
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
    let (classifier, policy) = arguments.run.start()?;
    match &arguments.text {
        Some(text) => score_text(&classifier, policy.as_ref(), text),
        None => score_files(arguments, &classifier, policy.as_ref()),
    }
}

/// A row and which input it is from.
struct FileRow {
    input: usize,
    row: Row,
}

impl AsRef<str> for FileRow {
    fn as_ref(&self) -> &str {
        self.row.as_ref()
    }
}

fn score_files(
    arguments: &Arguments,
    classifier: &Classifier,
    policy: Option<&Policy>,
) -> Result<(), CliError> {
    let inputs = match arguments.files.as_slice() {
        [] => &[Input::Stdin],
        files => files,
    };
    let names = FieldNames { text: arguments.text_field.clone(), id: arguments.id_field.clone() };
    // What is wrong with the last file should show before the first is scored. Pipes and devices
    // may give their content only once.
    for input in inputs {
        if let Input::Path(path) = input
            && fs::metadata(path).map_or(true, |found| found.is_file() || found.is_dir())
        {
            drop(files::open(input, arguments.format, &names, |reader| reader)?);
        }
    }
    let path = arguments.output.as_deref().filter(|path| path.as_os_str() != "-");
    let format =
        arguments.output_format.or(path.map(OutputFormat::of)).unwrap_or(OutputFormat::Jsonl);
    let mut output = Output::create(path, format).map_err(|source| match path {
        Some(path) => CliError::Create { path: path.to_owned(), source },
        None => CliError::Write(source),
    })?;

    let bar = progress_bar(inputs);
    let mut failure = None;
    let rows = inputs.iter().enumerate().flat_map(|(index, input)| {
        let wrap = |reader| Box::new(bar.wrap_read(reader)) as Box<dyn io::Read>;
        let (rows, error) = match files::open(input, arguments.format, &names, wrap) {
            Ok(rows) => (Some(rows), None),
            Err(error) => (None, Some(Err(error))),
        };
        let rows = rows.into_iter().flatten().chain(error);
        rows.map(move |row| row.map(|row| FileRow { input: index, row }))
    });
    // A stream is of rows alone: the first failure of a file is kept aside and ends it.
    let rows = rows.map_while(|row| row.map_err(|error| failure = Some(error)).ok());

    let mut tally = Tally::default();
    for scored in classifier.stream(rows) {
        let (FileRow { input, row }, scores) = scored?;
        let outcome = match (&row.text, scores.unscored) {
            (Err(error), _) => Outcome::Failed(error.to_string()),
            (Ok(_), Some(reason)) => Outcome::Failed(reason.to_string()),
            (Ok(_), None) => {
                let verdict = policy.map(|policy| policy.verdict(&scores));
                Outcome::Scored(scores, verdict)
            }
        };
        let row = Scored { row, outcome };
        if let Outcome::Failed(reason) = &row.outcome {
            let message = bad_row(&inputs[input], &row.row, reason);
            if arguments.strict {
                bar.finish_and_clear();
                return Err(CliError::Strict(message));
            }
            if tally.bad < REPORTED_BAD_ROWS && !arguments.run.quiet {
                bar.suspend(|| report(format_args!("{message}")));
            }
        }
        tally.count(&row.outcome);
        output.write(&row)?;
        if tally.rows().is_multiple_of(64) {
            bar.set_message(format!("{} texts/s", tally.rate()));
        }
    }
    bar.finish_and_clear();
    if let Some(error) = failure {
        return Err(error.into());
    }
    output.flush()?;
    let left_out = output.finish()?;
    if !arguments.run.quiet {
        if tally.bad > REPORTED_BAD_ROWS {
            let more = tally.bad - REPORTED_BAD_ROWS;
            report(format_args!("dignity: {more} more bad rows, marked in the output"));
        }
        report_left_out(&left_out);
        report(format_args!("dignity: {tally}"));
    }
    Ok(())
}

/// `FILE:LINE: (ID) REASON`, as compilers and grep name a place.
fn bad_row(input: &Input, row: &Row, reason: &str) -> String {
    match &row.id {
        Some(id) => format!("{input}:{}: ({id}) {reason}", row.line),
        None => format!("{input}:{}: {reason}", row.line),
    }
}

fn report_left_out(fields: &BTreeSet<String>) {
    if !fields.is_empty() {
        let names: Vec<_> = fields.iter().map(String::as_str).collect();
        report(format_args!(
            "dignity: not in the output, since the first row has no such field: {}",
            names.join(", ")
        ));
    }
}

/// Shows on a terminal only: bytes read of all files, texts a second, time left.
fn progress_bar(inputs: &[Input]) -> ProgressBar {
    let size = |input: &Input| match input {
        Input::Path(path) => {
            fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.len())
        }
        Input::Stdin => None,
    };
    let (bar, template) = match inputs.iter().map(size).sum::<Option<u64>>() {
        Some(bytes) => (ProgressBar::new(bytes), "{wide_bar} {percent}% {msg}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {elapsed} {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What became of the rows of a run.
struct Tally {
    started: Instant,
    decisions: [u64; 3],
    /// Scored without a policy.
    undecided: u64,
    bad: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { started: Instant::now(), decisions: [0; 3], undecided: 0, bad: 0 }
    }
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Scored(_, Some(verdict)) => self.decisions[verdict.decision as usize] += 1,
            Outcome::Scored(_, None) => self.undecided += 1,
            Outcome::Failed(_) => self.bad += 1,
        }
    }

    fn rows(&self) -> u64 {
        self.decisions.iter().sum::<u64>() + self.undecided + self.bad
    }

    /// Rows a second, rounded.
    fn rate(&self) -> u64 {
        let seconds = self.started.elapsed().as_secs_f64();
        (self.rows() as f64 / seconds.max(1e-3)).round() as u64
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.started.elapsed().as_secs_f64();
        write!(f, "{} rows in {seconds:.1} s ({} a second): ", self.rows(), self.rate())?;
        if self.undecided > 0 {
            write!(f, "{} scored, ", self.undecided)?;
        } else {
            for decision in [Decision::Flag, Decision::Review, Decision::Allow] {
                write!(f, "{} {decision}, ", self.decisions[decision as usize])?;
            }
        }
        write!(f, "{} bad", self.bad)
    }
}

/// Prints the scores of one text as a table.
fn score_text(
    classifier: &Classifier,
    policy: Option<&Policy>,
    text: &str,
) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for scores in classifier.score(&[text])? {
        match scores.unscored {
            Some(reason) => writeln!(out, "not scored: {reason}")?,
            None => write_table(&mut out, &scores, policy)?,
        }
    }
    Ok(())
}

fn write_table(out: &mut impl Write, scores: &Scores, policy: Option<&Policy>) -> io::Result<()> {
    if let Some(verdict) = policy.map(|policy| policy.verdict(scores)) {
        let because: Vec<_> = verdict.because.iter().map(|category| category.name()).collect();
        let reason = if because.is_empty() { "" } else { ", because of " };
        writeln!(out, "verdict: {}{reason}{}", verdict.decision, because.join(", "))?;
    }
    let mut row = |indent: &str, name: &str, probability: f32| {
        let bar = "#".repeat((probability * 20.0).round() as usize);
        let line =
            format!("{indent}{name:<width$} {probability:.3} {bar}", width = 26 - indent.len());
        writeln!(out, "{}", line.trim_end())
    };
    let categories = Category::ALL.map(|category| (Role::Category(category), category.name()));
    let ways = Way::ALL.map(|way| (Role::Way(way), way.name()));
    let overall = [(Role::Dehumanization, "dehumanization")];
    let rows = overall.into_iter().chain(categories).chain(ways).chain([(Role::Hate, "hate")]);
    for (role, name) in rows.filter(|&(role, _)| scores.labels().has(role)) {
        let part = matches!(role, Role::Category(_) | Role::Way(_));
        row(if part { "  " } else { "" }, name, scores.probabilities.of(role))?;
    }
    for (name, &probability) in scores.labels().names().zip(&scores.probabilities.labels) {
        row("", name, probability)?;
    }
    if scores.windows.len() > 1 {
        writeln!(out, "windows (bytes of the text)")?;
        for window in &scores.windows {
            let view = match window.view {
                TextView::Raw => "",
                TextView::Normalized => " (normalized view)",
            };
            let probabilities = &window.probabilities;
            let own = probabilities.labels.iter().map(|p| format!("{p:.3}"));
            let shown = match scores.labels().has(Role::Dehumanization) {
                true => format!("{:.3}", probabilities.dehumanization),
                false => own.collect::<Vec<_>>().join(" "),
            };
            let Range { start, end } = window.bytes;
            writeln!(out, "  {start}..{end}: {shown}{view}")?;
        }
    }
    Ok(())
}
