//! Scores the rows of files.

use std::{collections::BTreeSet, fs, io, path::PathBuf, rc::Rc, sync::Arc, time::Instant};

use super::{
    Arguments,
    about::About,
    identity::{identity, provenance, shows_texts},
    outputs::{Forms, Outputs},
    progress::RunProgress,
    targets::{TargetError, Targets},
    work::{Position, Work},
};
use crate::{
    classifier::Classifier,
    cli::{CliError, report},
    files::{self, Column, FieldNames, Form, Input, Outcome, Row, Scored, Source},
    policy::Policy,
    scores::Scores,
    summary::{Provenance, Summary},
};

/// How many bad rows are reported one by one; all are marked in the output.
const REPORTED_BAD_ROWS: u64 = 20;

/// A row and its place among all.
struct FileRow {
    position: Position,
    row: Row,
}

impl AsRef<str> for FileRow {
    fn as_ref(&self) -> &str {
        self.row.as_ref()
    }
}

pub(super) fn score_files(
    arguments: &Arguments,
    classifier: &Classifier,
    policy: Option<&Policy>,
    several: &[Policy],
) -> Result<(), CliError> {
    let named = match arguments.files.as_slice() {
        [] => &[Input::Stdin],
        named => named,
    };
    let mut sources = files::sources(named)?;
    if let Some(directory) = &arguments.output_dir {
        sources = Targets::without_outputs(directory, named, sources);
    }
    let names = FieldNames { text: arguments.text_field.clone(), id: arguments.id_field.clone() };
    check_inputs(arguments, &sources, &names)?;

    let run = provenance(arguments, classifier, policy, several);
    let targets = targets(arguments, &sources)?;
    let manifest_path = manifest_path(arguments, &targets)?;
    let work_directory = targets.work_directory(&sources);
    let (work, begun) = match &work_directory {
        Some(directory) => {
            let identity = identity(arguments, &run, &sources, &targets);
            let (work, begun) = Work::open(directory, &identity, arguments.restart)?;
            (Some(work), begun)
        }
        None => (None, None),
    };
    let columns = {
        let policies: Vec<_> = several.iter().map(Policy::name).collect();
        Column::all(classifier.labels(), policy.is_some(), &policies)
    };
    let forms = forms(arguments, &run, columns, &sources, &targets)?;
    let mut outputs = Outputs::new(&targets, forms, work, manifest_path.is_some());
    let mut position = Position::default();
    let mut summary = Summary::new(several);
    if let Some(mut checkpoint) = begun {
        outputs.go_on(&mut checkpoint)?;
        position = checkpoint.position;
        summary = checkpoint.summary;
        if !arguments.run.quiet {
            let rows = summary.figures.rows;
            report(format_args!("dignity: going on after {rows} rows of an earlier run"));
        }
    }
    outputs.begin()?;

    let mut progress = RunProgress::new(&sources, position.input, summary.figures.rows);
    let mut scoring = Scoring { arguments, classifier, policy, several, sources: &sources, names };
    let done = scoring.run(&targets, &mut outputs, &mut position, &mut summary, &mut progress);
    progress.finish();
    let about = About { arguments, run: &run, sources: &sources, targets: &targets };
    let done = done
        .and_then(|()| outputs.finish(position, &summary))
        .and_then(|()| about.write(manifest_path.as_deref(), &outputs, &summary));
    if let Err(error) = done {
        if let Some(directory) = outputs.kept().filter(|_| !arguments.run.quiet) {
            report(format_args!(
                "dignity: what was scored is kept in {}; the same command goes on from there",
                directory.display()
            ));
        }
        return Err(error);
    }
    outputs.discard();
    if !arguments.run.quiet {
        report_left_out(outputs.left_out());
        report(format_args!("dignity: {}", progress.summary(&summary.figures)));
    }
    Ok(())
}

/// What a run scores with.
struct Scoring<'a> {
    arguments: &'a Arguments,
    classifier: &'a Classifier,
    policy: Option<&'a Policy>,
    several: &'a [Policy],
    sources: &'a [Source],
    names: FieldNames,
}

impl Scoring<'_> {
    /// Scores all rows after `position`, which goes on with them.
    fn run(
        &mut self,
        targets: &Targets,
        outputs: &mut Outputs<'_>,
        position: &mut Position,
        summary: &mut Summary,
        progress: &mut RunProgress,
    ) -> Result<(), CliError> {
        let Arguments { format, shard, .. } = *self.arguments;
        let first = *position;
        let mut failure = None;
        let mut rows_of_all = first.rows;
        let bytes = progress.bytes();
        let open = |input: usize, source: &Source| {
            let skipped = if input == first.input { first.row } else { 0 };
            let rows = files::open(&source.input, format, &self.names, skipped, Rc::clone(&bytes));
            (skipped, rows)
        };
        let rows = self.sources.iter().enumerate().skip(first.input).flat_map(|(input, source)| {
            let (skipped, rows) = open(input, source);
            let (rows, error) = match rows {
                Ok(rows) => (Some(rows), None),
                Err(error) => (None, Some(Err(error))),
            };
            let rows = rows.into_iter().flatten().chain(error);
            rows.zip(skipped + 1..).map(move |(row, number)| row.map(|row| (input, number, row)))
        });
        // A stream is of rows alone: the first failure of a file is kept aside and ends it.
        let rows = rows.map_while(|row| row.map_err(|error| failure = Some(error)).ok());
        let rows = rows.filter_map(|(input, number, row)| {
            rows_of_all += 1;
            let position = Position { input, row: number, rows: rows_of_all };
            let wanted = shard.is_none_or(|shard| shard.has(rows_of_all - 1));
            wanted.then_some(FileRow { position, row })
        });

        progress.begin();
        let mut last_checkpoint = Instant::now();
        for scored in self.classifier.stream(rows) {
            let (FileRow { position: place, row }, scores) = scored?;
            let row = self.decide(row, scores);
            let input = &self.sources[place.input].input;
            if let Outcome::Failed(reason) = &row.outcome {
                let message = bad_row(input, &row.row, reason);
                if self.arguments.strict {
                    outputs.discard();
                    return Err(CliError::Strict(message));
                }
                if summary.figures.bad < REPORTED_BAD_ROWS && !self.arguments.run.quiet {
                    progress.suspend(|| report(format_args!("{message}")));
                }
            }
            let line = || format!("{input}:{}", row.row.line);
            summary.count(&row, shows_texts(self.arguments).then_some(&line));
            let bad = matches!(row.outcome, Outcome::Failed(_));
            outputs.write(targets.of(place.input), &row, bad)?;
            *position = place;
            progress.count(summary.figures.rows);
            if outputs.can_be_cut() && last_checkpoint.elapsed() >= self.arguments.checkpoint_every
            {
                outputs.checkpoint(place, summary)?;
                last_checkpoint = Instant::now();
            }
        }
        if let Some(error) = failure {
            return Err(error.into());
        }
        if summary.figures.bad > REPORTED_BAD_ROWS && !self.arguments.run.quiet {
            let more = summary.figures.bad - REPORTED_BAD_ROWS;
            progress.suspend(|| {
                report(format_args!("dignity: {more} more bad rows, marked in the output"));
            });
        }
        Ok(())
    }

    /// What became of a row.
    fn decide(&self, row: Row, scores: Scores) -> Scored {
        let mut policies = Vec::new();
        let outcome = match (&row.text, scores.unscored) {
            (Err(error), _) => Outcome::Failed(error.to_string()),
            (Ok(_), Some(reason)) => Outcome::Failed(reason.to_string()),
            (Ok(_), None) => {
                let verdict = |policy: &Policy| (policy.name().into(), policy.verdict(&scores));
                policies.extend(self.several.iter().map(verdict));
                let verdict = self.policy.map(|policy| policy.verdict(&scores));
                Outcome::Scored(scores, verdict)
            }
        };
        Scored { row, outcome, policies }
    }
}

/// What is wrong with the last file should show before the first is scored. Pipes and devices may
/// give their content only once.
fn check_inputs(
    arguments: &Arguments,
    sources: &[Source],
    names: &FieldNames,
) -> Result<(), CliError> {
    for Source { input, .. } in sources {
        if let Input::Path(path) = input
            && fs::metadata(path).map_or(true, |found| found.is_file() || found.is_dir())
        {
            drop(files::open(input, arguments.format, names, 0, Rc::new(|_| ()))?);
        }
    }
    Ok(())
}

fn targets(arguments: &Arguments, sources: &[Source]) -> Result<Targets, CliError> {
    match &arguments.output_dir {
        Some(directory) => Targets::each(directory, sources, arguments.output_format),
        None => {
            let path = arguments.output.as_deref().filter(|path| path.as_os_str() != "-");
            Ok(Targets::one(path, arguments.output_format))
        }
    }
}

fn manifest_path(arguments: &Arguments, targets: &Targets) -> Result<Option<PathBuf>, CliError> {
    let to_file = targets.get(0).is_some_and(|target| target.path.is_some());
    if arguments.manifest.is_some() && !to_file {
        return Err(TargetError::ManifestOfStdout.into());
    }
    let default = targets.directory().map(|directory| directory.join("manifest.json"));
    Ok(arguments.manifest.clone().or(default))
}

/// Gives the form of each output.
fn forms<'a>(
    arguments: &'a Arguments,
    run: &Provenance,
    columns: Vec<Column>,
    sources: &'a [Source],
    targets: &'a Targets,
) -> Result<Forms<'a>, CliError> {
    let columns: Arc<[Column]> = columns.into();
    #[cfg(feature = "parquet")]
    let run: Arc<str> = serde_json::to_string(run).map_err(io::Error::from)?.into();
    #[cfg(not(feature = "parquet"))]
    let _ = (arguments, run, sources);
    Ok(Box::new(move |at| {
        let Some(target) = targets.get(at) else {
            return Err(io::Error::other("there is no such output").into());
        };
        Ok(Form {
            format: target.format,
            compression: target.compression,
            columns: Arc::clone(&columns),
            #[cfg(feature = "parquet")]
            run: Arc::clone(&run),
            #[cfg(feature = "parquet")]
            table: targets.table(at, sources, arguments.format)?,
        })
    }))
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
