//! Which rows go to which output.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    cli::CliError,
    files::{Compression, Input, OutputFormat, Source, replaceable, target},
};

/// The outputs of a run: one for all inputs, or one for each.
pub(super) struct Targets {
    list: Vec<Target>,
    /// The directory that they are in, where there is one for each input.
    directory: Option<PathBuf>,
}

/// An output.
pub(super) struct Target {
    /// Its file; none for standard output.
    pub(super) path: Option<PathBuf>,
    pub(super) format: OutputFormat,
    pub(super) compression: Compression,
}

/// Why outputs cannot be where they should.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum TargetError {
    #[error(
        "{first} and {second} would both be written to {}; score them in runs of their own",
        target.display()
    )]
    Same { target: PathBuf, first: Input, second: Input },
    #[error("{}: the output would take the place of an input; name another --output-dir", path.display())]
    OverInput { path: PathBuf },
    #[cfg(feature = "parquet")]
    #[error(
        "{first} and {second} have not the same columns, so their rows cannot stand in one Parquet \
         file; give --output-dir, or another format"
    )]
    Columns { first: Input, second: Input },
    #[error("--manifest tells of output files; give --output or --output-dir")]
    ManifestOfStdout,
}

impl Targets {
    /// One output, a file or standard output.
    pub(super) fn one(path: Option<&Path>, format: Option<OutputFormat>) -> Self {
        let format = format.or(path.map(OutputFormat::of)).unwrap_or(OutputFormat::Jsonl);
        let compression = match format {
            // Its columns are compressed inside.
            OutputFormat::Parquet => Compression::None,
            _ => path.map(|path| Compression::of(path).0).unwrap_or_default(),
        };
        let target = Target { path: path.map(Path::to_owned), format, compression };
        Self { list: vec![target], directory: None }
    }

    /// Leaves out inputs that were found in the output directory, where earlier outputs are; not
    /// those of a directory that is to be written over itself, which is refused later.
    pub(super) fn without_outputs(
        directory: &Path,
        named: &[Input],
        sources: Vec<Source>,
    ) -> Vec<Source> {
        let directory = target(directory);
        let is = |input: &Input| matches!(input, Input::Path(path) if target(path) == directory);
        if named.iter().any(is) {
            return sources;
        }
        let inside = |source: &Source| match &source.input {
            Input::Path(path) => target(path).starts_with(&directory),
            Input::Stdin => false,
        };
        sources.into_iter().filter(|source| !source.found || !inside(source)).collect()
    }

    /// An output in `directory` for every input, of the same relative name.
    pub(super) fn each(
        directory: &Path,
        sources: &[Source],
        format: Option<OutputFormat>,
    ) -> Result<Self, CliError> {
        let failed = |source| CliError::Create { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let inputs: std::collections::HashSet<_> = sources
            .iter()
            .filter_map(|source| match &source.input {
                Input::Path(path) => Some(target(path)),
                Input::Stdin => None,
            })
            .collect();
        let mut by_path: HashMap<PathBuf, &Input> = HashMap::new();
        let mut list = Vec::with_capacity(sources.len());
        for source in sources {
            let (relative, format, compression) = name(&source.relative, format);
            let path = directory.join(relative);
            if inputs.contains(&target(&path)) {
                return Err(TargetError::OverInput { path }.into());
            }
            if let Some(first) = by_path.insert(path.clone(), &source.input) {
                let (first, second) = (first.clone(), source.input.clone());
                return Err(TargetError::Same { target: path, first, second }.into());
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            list.push(Target { path: Some(path), format, compression });
        }
        Ok(Self { list, directory: Some(directory.to_owned()) })
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, target: usize) -> Option<&Target> {
        self.list.get(target)
    }

    /// Whether every input has an output of its own.
    pub(super) fn is_each(&self) -> bool {
        self.directory.is_some()
    }

    /// The directory of the outputs, where there is one for each input.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// The output that the rows of an input go to.
    pub(super) fn of(&self, input: usize) -> usize {
        if self.is_each() { input } else { 0 }
    }

    /// Where a run keeps what is not finished; none where no later run could go on, since an input
    /// or an output is not an ordinary file.
    pub(super) fn work_directory(&self, sources: &[Source]) -> Option<PathBuf> {
        let is_file = |source: &Source| match &source.input {
            Input::Path(path) => fs::metadata(path).is_ok_and(|found| found.is_file()),
            Input::Stdin => false,
        };
        let can_be_replaced = |target: &Target| target.path.as_deref().is_some_and(replaceable);
        if !sources.iter().all(is_file) || !self.list.iter().all(can_be_replaced) {
            return None;
        }
        match &self.directory {
            Some(directory) => Some(directory.join(".unfinished")),
            None => {
                let path = target(self.list.first()?.path.as_deref()?);
                // Where the directory is missing, the error is to name the output.
                let parent = path.parent().filter(|parent| *parent != Path::new(""));
                if parent.is_some_and(|parent| !parent.is_dir()) {
                    return None;
                }
                let mut name = path.file_name()?.to_owned();
                name.push(".unfinished");
                Some(path.with_file_name(name))
            }
        }
    }

    /// The table that the rows of an output come from, if it is to be one.
    #[cfg(feature = "parquet")]
    pub(super) fn table(
        &self,
        target: usize,
        sources: &[Source],
        format: Option<crate::files::Format>,
    ) -> Result<Option<crate::files::Table>, CliError> {
        use crate::files::{FileError, Format, Table};
        if self.get(target).is_none_or(|target| target.format != OutputFormat::Parquet) {
            return Ok(None);
        }
        let sources = match self.is_each() {
            true => sources.get(target..=target).unwrap_or_default(),
            false => sources,
        };
        let mut first: Option<(&Input, Option<Table>)> = None;
        for source in sources {
            let table = match &source.input {
                Input::Path(path) if format.or(Format::of(path)) == Some(Format::Parquet) => {
                    Some(Table::of(path).map_err(|error| FileError::Parquet {
                        input: source.input.clone(),
                        source: error.into(),
                    })?)
                }
                _ => None,
            };
            match &first {
                None => first = Some((&source.input, table)),
                Some((_, None)) if table.is_none() => {}
                Some((_, Some(columns))) if table.as_ref().is_some_and(|t| columns.fits(t)) => {}
                Some((input, _)) => {
                    let (first, second) = ((*input).clone(), source.input.clone());
                    return Err(TargetError::Columns { first, second }.into());
                }
            }
        }
        Ok(first.and_then(|(_, table)| table))
    }
}

/// The name of an input's output. An input of a format that is not written, or not the one asked
/// for, has the output's extension added.
fn name(relative: &Path, wanted: Option<OutputFormat>) -> (PathBuf, OutputFormat, Compression) {
    let (compression, inner) = Compression::of(relative);
    let told = OutputFormat::told(relative);
    let format = wanted.or(told).unwrap_or(OutputFormat::Jsonl);
    let compression = match format {
        OutputFormat::Parquet => Compression::None,
        _ => compression,
    };
    let mut name = inner.into_os_string();
    if told != Some(format) {
        name.push(".");
        name.push(format.extension());
    }
    name.push(compression.extension());
    (name.into(), format, compression)
}

/// Where an output is written that no later run could go on with.
pub(super) fn create_error(path: Option<&Path>, source: io::Error) -> CliError {
    match path {
        Some(path) => CliError::Create { path: path.to_owned(), source },
        None => CliError::Write(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_named_after_inputs() {
        let named = |relative: &str, wanted| {
            name(Path::new(relative), wanted).0.to_string_lossy().into_owned()
        };
        assert_eq!(named("a/posts.jsonl", None), "a/posts.jsonl");
        assert_eq!(named("posts.csv.gz", None), "posts.csv.gz");
        assert_eq!(named("posts.tsv", None), "posts.tsv.jsonl");
        assert_eq!(named("posts.txt.zst", None), "posts.txt.jsonl.zst");
        assert_eq!(named("posts.jsonl.gz", Some(OutputFormat::Csv)), "posts.jsonl.csv.gz");
        assert_eq!(named("posts.csv.gz", Some(OutputFormat::Parquet)), "posts.csv.parquet");
        assert_eq!(named("posts.parquet", None), "posts.parquet");
    }
}
