//! Where scored rows go: standard output, or a file that appears under its name only when complete.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Stdout, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{Scored, delimited::CsvWriter, jsonl};

/// A format that scored rows are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values under a header.
    Csv,
}

impl OutputFormat {
    /// CSV for a file whose extension says so, JSON lines for everything else.
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("csv") => Self::Csv,
            _ => Self::Jsonl,
        }
    }
}

/// Takes scored rows, in order.
pub(crate) struct Output {
    writer: Writer,
    left_out: BTreeSet<String>,
}

enum Writer {
    Jsonl(BufWriter<Sink>),
    Csv(Box<CsvWriter<Sink>>),
}

enum Sink {
    Stdout(Stdout),
    /// A device or a pipe, which cannot be replaced.
    Special(File),
    /// A file beside the final one, renamed when complete.
    Temporary {
        file: NamedTempFile,
        target: PathBuf,
    },
}

impl Output {
    /// Opens the output: a file, or standard output.
    pub(crate) fn create(path: Option<&Path>, format: OutputFormat) -> io::Result<Self> {
        let sink = match path {
            None => Sink::Stdout(io::stdout()),
            Some(path) => Sink::create(path)?,
        };
        let writer = match format {
            OutputFormat::Jsonl => Writer::Jsonl(BufWriter::with_capacity(1 << 16, sink)),
            OutputFormat::Csv => Writer::Csv(Box::new(CsvWriter::new(sink))),
        };
        Ok(Self { writer, left_out: BTreeSet::new() })
    }

    /// Writes a row.
    pub(crate) fn write(&mut self, row: &Scored) -> io::Result<()> {
        match &mut self.writer {
            Writer::Jsonl(out) => jsonl::write(out, row),
            Writer::Csv(out) => {
                self.left_out.extend(out.write(row)?);
                Ok(())
            }
        }
    }

    /// Hands what has been written on to the system.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Writer::Jsonl(out) => out.flush(),
            Writer::Csv(out) => out.flush(),
        }
    }

    /// Completes the output; a file appears under its final name. Gives the names of input fields
    /// that the output has no column for.
    pub(crate) fn finish(self) -> io::Result<BTreeSet<String>> {
        let sink = match self.writer {
            Writer::Jsonl(out) => out.into_inner().map_err(io::IntoInnerError::into_error)?,
            Writer::Csv(out) => out.finish()?,
        };
        sink.complete()?;
        Ok(self.left_out)
    }
}

/// Writes a whole file, which appears under its name when it is complete.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut sink = Sink::create(path)?;
    sink.write_all(content)?;
    sink.complete()
}

impl Sink {
    fn create(path: &Path) -> io::Result<Self> {
        // Of a link, what it points to is replaced, not the link.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut builder = tempfile::Builder::new();
        builder.prefix(".dignity-");
        match fs::metadata(&target) {
            Ok(found) if found.is_file() => builder.permissions(found.permissions()),
            Ok(_) => return Ok(Self::Special(File::options().write(true).open(&target)?)),
            // Temporary files are private to their user by default; a new output is like any file.
            #[cfg(unix)]
            Err(_) => {
                use std::os::unix::fs::PermissionsExt;
                builder.permissions(fs::Permissions::from_mode(0o666))
            }
            #[cfg(not(unix))]
            Err(_) => &mut builder,
        };
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        Ok(Self::Temporary { file: builder.tempfile_in(directory)?, target })
    }

    fn complete(mut self) -> io::Result<()> {
        self.flush()?;
        match self {
            Self::Stdout(_) | Self::Special(_) => Ok(()),
            Self::Temporary { file, target } => {
                // The name must not outlive a crash that the content did not.
                file.as_file().sync_all()?;
                file.persist(target).map_err(|error| error.error)?;
                Ok(())
            }
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Special(out) => out.write(bytes),
            Self::Temporary { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Special(out) => out.flush(),
            Self::Temporary { file, .. } => file.flush(),
        }
    }
}
