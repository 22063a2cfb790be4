//! Scores the rows of files.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use super::{
    Arguments,
    manifest::manifest,
    outputs::Outputs,
    progress::RunProgress,
    targets::{TargetError, Targets},
    work::{Identity, Position, Work},
};
use crate::{
    classifier::Classifier,
    cli::{CliError, report},
    evaluate::Named,
    files::{self, Column, FieldNames, Form, Input, Outcome, Row, Scored, Source, write_whole},
    policy::Policy,
    scores::Scores,
    summary::{Document, Provenance, Summary, html},
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
    policy: &Policy,
    several: &[Policy],
) -> Result<(), CliError> {
    let sources = match arguments.files.as_slice() {
        [] => files::sources(&[Input::Stdin])?,
        named => files::sources(named)?,
    };
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
    let form = forms(arguments, &run, several, &sources, &targets)?;
    let mut outputs = Outputs::new(&targets, form, work, manifest_path.is_some());
    let mut position = Position::default();
    let mut summary = Summary::new(several);
    if let Some((checkpoint, finished)) = begun {
        outputs.go_on(&checkpoint, finished)?;
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
    if let Err(error) = done.and_then(|()| outputs.finish(position, &summary)) {
        if let Some(directory) = outputs.kept().filter(|_| !arguments.run.quiet) {
            report(format_args!(
                "dignity: what was scored is kept in {}; the same command goes on from there",
                directory.display()
            ));
        }
        return Err(error);
    }
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
    if let Some(path) = manifest_path {
        let (figures, text_field) = (&summary.figures, &arguments.text_field);
        let json =
            manifest(&date, &run, text_field, figures, &sources, &targets, outputs.finished())
                .map_err(io::Error::from)?;
        write(&path, &json)?;
    }
    let figures = &summary.figures;
    let document = Document { run: &run, date, inputs: sources.len(), figures, summary: &summary };
    for path in &arguments.report {
        write_report(path, &document)?;
    }
    if !arguments.run.quiet {
        report_left_out(outputs.left_out());
        report(format_args!("dignity: {}", progress.summary(figures)));
    }
    Ok(())
}

/// What a run scores with.
struct Scoring<'a> {
    arguments: &'a Arguments,
    classifier: &'a Classifier,
    policy: &'a Policy,
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
            summary.count(&row, self.shows_texts().then_some(&line));
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
                let verdict = self.policy.verdict(&scores);
                Outcome::Scored(scores, verdict)
            }
        };
        Scored { row, outcome, policies }
    }

    /// Whether texts are shown anywhere but in the outputs.
    fn shows_texts(&self) -> bool {
        shows_texts(self.arguments)
    }
}

fn shows_texts(arguments: &Arguments) -> bool {
    arguments.report.iter().any(|path| path.extension().is_some_and(|name| name == "html"))
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

fn provenance(
    arguments: &Arguments,
    classifier: &Classifier,
    policy: &Policy,
    several: &[Policy],
) -> Provenance {
    let policies = match several {
        [] => vec![Named::from(policy)],
        several => several.iter().map(Named::from).collect(),
    };
    Provenance {
        dignity: env!("CARGO_PKG_VERSION"),
        model: Named {
            name: classifier.model_name().to_owned(),
            version: classifier.model_version().to_owned(),
            digest: classifier.model_digest(),
        },
        engine: classifier.engine().to_string(),
        precision: classifier.precision().to_string(),
        device: classifier.device().to_string(),
        policies,
        shard: arguments.shard.map(|shard| shard.to_string()),
    }
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
    several: &[Policy],
    sources: &'a [Source],
    targets: &'a Targets,
) -> Result<Box<dyn Fn(usize) -> Result<Form, CliError> + 'a>, CliError> {
    let policies: Vec<_> = several.iter().map(Policy::name).collect();
    let columns: Arc<[Column]> = Column::all(&policies).into();
    let run: Arc<str> = serde_json::to_string(run).map_err(io::Error::from)?.into();
    #[cfg(not(feature = "parquet"))]
    let _ = (arguments, sources);
    Ok(Box::new(move |at| {
        let Some(target) = targets.get(at) else {
            return Err(io::Error::other("there is no such output").into());
        };
        Ok(Form {
            format: target.format,
            compression: target.compression,
            columns: Arc::clone(&columns),
            run: Arc::clone(&run),
            #[cfg(feature = "parquet")]
            table: targets.table(at, sources, arguments.format)?,
        })
    }))
}

/// What a later run must have in common with this one to go on with it.
fn identity(
    arguments: &Arguments,
    run: &Provenance,
    sources: &[Source],
    targets: &Targets,
) -> Identity {
    let named = |named: &Named| format!("{} {} {}", named.name, named.version, named.digest);
    let policies: Vec<_> = run.policies.iter().map(named).collect();
    let mut identity = Identity::new();
    let mut tell = |what: &str, value: String| identity.insert(what.to_owned(), value);
    tell("dignity", run.dignity.to_owned());
    tell("the model", named(&run.model));
    tell("the engine", run.engine.clone());
    tell("the precision", run.precision.clone());
    tell("the device", run.device.clone());
    tell("the policy", policies.join(", "));
    tell("--shard", format!("{:?}", run.shard));
    tell("--format", format!("{:?}", arguments.format));
    tell("--output-format", format!("{:?}", arguments.output_format));
    tell("--text-field", format!("{:?}", arguments.text_field));
    tell("--id-field", format!("{:?}", arguments.id_field));
    tell("a report with texts", shows_texts(arguments).to_string());
    tell("a manifest", (arguments.manifest.is_some() || targets.is_each()).to_string());
    tell("the number of inputs", sources.len().to_string());
    for (number, source) in sources.iter().enumerate() {
        let Input::Path(path) = &source.input else { continue };
        let changed = fs::metadata(path).and_then(|found| Ok((found.len(), found.modified()?)));
        let state = match changed {
            Ok((bytes, modified)) => match jiff::Timestamp::try_from(modified) {
                Ok(modified) => format!("{bytes} bytes of {modified}"),
                Err(_) => format!("{bytes} bytes"),
            },
            Err(error) => error.to_string(),
        };
        tell(&format!("input {} ({})", number + 1, path.display()), state);
    }
    identity
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
