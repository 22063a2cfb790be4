//! Readers and writers for offline scoring: one file per format.
//!
//! Every line or record of an input is one [`Row`], good or bad, and every row has one place in the
//! output, in order, with the fields it came with.

mod columns;
mod compression;
mod delimited;
mod inputs;
mod jsonl;
mod labelled;
mod lines;
mod output;
#[cfg(feature = "parquet")]
mod parquet;
mod scored;

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    rc::Rc,
    str::FromStr,
    sync::Arc,
};

pub(crate) use columns::Column;
pub(crate) use compression::Compression;
pub(crate) use inputs::{Source, sources};
pub(crate) use labelled::LabelledFile;
pub(crate) use output::{
    Form, Output, OutputFormat, Place, Written, publish, remove_segments, replaceable, target,
    write_whole,
};
#[cfg(feature = "parquet")]
pub(crate) use parquet::Table;
pub(crate) use scored::{Outcome, Scored};

/// A format that texts are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values under a header.
    Csv,
    /// Tab-separated values under a header, without quoting.
    Tsv,
    /// A text a line.
    Lines,
    /// Apache Parquet, where this dignity is built with it.
    Parquet,
}

impl Format {
    /// The format that a file's extension tells, below that of its compression.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let (_, path) = Compression::of(path);
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "txt" | "text" => Some(Self::Lines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Where an input comes from: a file, or `-` for standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    Path(PathBuf),
}

impl FromStr for Input {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdin } else { Self::Path(text.into()) })
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// Which fields of a row matter.
#[derive(Clone, Debug)]
pub(crate) struct FieldNames {
    /// The field that holds the text.
    pub(crate) text: String,
    /// The field that names a row in messages; a row without it is bad if it was asked for.
    pub(crate) id: Option<String>,
}

/// One row of an input: its text, and all its fields as they came.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The line that the row begins on, from 1.
    pub(crate) line: u64,
    /// The row's name, where one was asked for.
    pub(crate) id: Option<String>,
    /// Its text, or what is wrong with the row.
    pub(crate) text: Result<String, RowError>,
    /// Its fields; none where the row could not be taken apart.
    pub(crate) fields: Fields,
}

impl AsRef<str> for Row {
    fn as_ref(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

/// A row's fields in the order they came.
#[derive(Clone, Debug)]
pub(crate) enum Fields {
    /// Of a JSON object, each value as it was written.
    Json(jsonl::Object),
    /// Of a record; the header is shared by the rows of a file.
    Delimited { header: Arc<[String]>, record: csv::ByteRecord },
    /// Of a table; a batch of rows is shared.
    #[cfg(feature = "parquet")]
    Columns(parquet::TableRow),
    /// The row could not be taken apart.
    Unknown,
}

/// The fields of a record by name; those that the header has no name for go by their number.
fn named<'a>(
    header: &'a [String],
    record: &'a csv::ByteRecord,
) -> impl Iterator<Item = (String, &'a [u8])> {
    record.iter().enumerate().map(|(at, value)| {
        (header.get(at).cloned().unwrap_or_else(|| format!("#{}", at + 1)), value)
    })
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowError {
    #[error("invalid UTF-8 after {0} valid bytes")]
    Utf8(usize),
    #[error("not a JSON object: {0}")]
    Json(String),
    #[error("no field {0:?}")]
    NoField(String),
    #[error("the field {0:?} is not a string")]
    NotString(String),
    #[cfg(feature = "parquet")]
    #[error("the field {0:?} is null")]
    Null(String),
    #[error("the field {field:?} holds no valid string: {fault}")]
    BadString { field: String, fault: String },
    #[error("a field count of {found}, where the header has {wanted}")]
    FieldCount { found: usize, wanted: usize },
}

impl From<std::str::Utf8Error> for RowError {
    fn from(error: std::str::Utf8Error) -> Self {
        Self::Utf8(error.valid_up_to())
    }
}

/// Why an input could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{input}: {source}")]
    Read { input: Input, source: io::Error },
    #[error("{input}: {source}")]
    Csv { input: Input, source: csv::Error },
    #[cfg(feature = "parquet")]
    #[error("{input}: cannot be read as Parquet: {source}")]
    Parquet { input: Input, source: Box<dyn std::error::Error + Send + Sync> },
    #[cfg(not(feature = "parquet"))]
    #[error("{input}: this dignity was built without Parquet; build it with --features parquet")]
    NoParquet { input: Input },
    #[cfg(feature = "parquet")]
    #[error("{input}: Parquet is read from a file by its name, not compressed as a whole")]
    NotAFile { input: Input },
    #[error(
        "{input}: its name does not tell its format; give --format jsonl, csv, tsv, lines or parquet"
    )]
    UnknownFormat { input: Input },
    #[error("{input}: no column {field:?}; the header has {}", header.join(", "))]
    NoColumn { input: Input, field: String, header: Vec<String> },
    #[cfg(feature = "parquet")]
    #[error(
        "{input}: the column {field:?} is {found}, not text; the file has {}", columns.join(", ")
    )]
    NotText { input: Input, field: String, found: String, columns: Vec<String> },
    #[error("{}: there is no file of a known format in or below it", directory.display())]
    EmptyDirectory { directory: PathBuf },
    #[error("{pattern}: {fault}")]
    Pattern { pattern: String, fault: String },
    #[error("{input}: it has ended after {found} rows, where {wanted} were read before")]
    Shorter { input: Input, found: u64, wanted: u64 },
}

/// The rows of an input. Only a failure of the input as a whole is an error and ends it.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<Row, FileError>>>;

/// Is told how many bytes more of an input's file have been read.
pub(crate) type Progress = Rc<dyn Fn(u64)>;

/// Opens an input. `format` overrides what its name tells; standard input is lines unless told. Its
/// first `skipped` rows are left out.
pub(crate) fn open(
    input: &Input,
    format: Option<Format>,
    names: &FieldNames,
    skipped: u64,
    progress: Progress,
) -> Result<Rows, FileError> {
    let read_error = |source| FileError::Read { input: input.clone(), source };
    let (raw, told, compression): (Box<dyn Read>, _, _) = match input {
        Input::Stdin => (Box::new(io::stdin().lock()), Some(Format::Lines), Compression::None),
        Input::Path(path) => {
            let file = File::open(path).map_err(read_error)?;
            if file.metadata().map_err(read_error)?.is_dir() {
                return Err(read_error(io::ErrorKind::IsADirectory.into()));
            }
            let (told, compression) = (Format::of(path), Compression::of(path).0);
            if format.or(told) == Some(Format::Parquet) && compression == Compression::None {
                return table(file, input, names, skipped, progress);
            }
            (Box::new(file), told, compression)
        }
    };
    let Some(format) = format.or(told) else {
        return Err(FileError::UnknownFormat { input: input.clone() });
    };
    let counted = Box::new(Counted { inner: raw, progress });
    let reader = compression.reader(counted).map_err(read_error)?;
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    skip_byte_order_mark(&mut reader).map_err(read_error)?;
    let rows: Rows = match format {
        Format::Jsonl => Box::new(jsonl::rows(reader, input.clone(), names.clone())),
        Format::Lines => Box::new(lines::rows(reader, input.clone())),
        Format::Csv => Box::new(delimited::rows(reader, b',', input.clone(), names)?),
        Format::Tsv => Box::new(delimited::rows(reader, b'\t', input.clone(), names)?),
        #[cfg(feature = "parquet")]
        Format::Parquet => return Err(FileError::NotAFile { input: input.clone() }),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => return Err(FileError::NoParquet { input: input.clone() }),
    };
    skip(rows, skipped, input)
}

#[cfg(feature = "parquet")]
fn table(
    file: File,
    input: &Input,
    names: &FieldNames,
    skipped: u64,
    progress: Progress,
) -> Result<Rows, FileError> {
    Ok(Box::new(parquet::rows(file, input, names, skipped, progress)?))
}

#[cfg(not(feature = "parquet"))]
fn table(_: File, input: &Input, _: &FieldNames, _: u64, _: Progress) -> Result<Rows, FileError> {
    Err(FileError::NoParquet { input: input.clone() })
}

/// Leaves out the first rows, which were there before.
fn skip(mut rows: Rows, skipped: u64, input: &Input) -> Result<Rows, FileError> {
    for found in 0..skipped {
        if rows.next().transpose()?.is_none() {
            return Err(FileError::Shorter { input: input.clone(), found, wanted: skipped });
        }
    }
    Ok(rows)
}

/// A reader that tells how much is read.
struct Counted<R> {
    inner: R,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        (self.progress)(length as u64);
        Ok(length)
    }
}

fn skip_byte_order_mark(reader: &mut impl BufRead) -> io::Result<()> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if reader.fill_buf()?.starts_with(MARK) {
        reader.consume(MARK.len());
    }
    Ok(())
}

/// The lines of a reader with their numbers, line ends (`\n`, `\r\n`) taken off.
fn numbered_lines(
    mut reader: impl BufRead,
    input: Input,
) -> impl Iterator<Item = Result<(u64, Vec<u8>), FileError>> {
    let mut number = 0;
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                number += 1;
                if line.last() == Some(&b'\n') {
                    line.pop();
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                }
                Some(Ok((number, line)))
            }
            Err(source) => Some(Err(FileError::Read { input: input.clone(), source })),
        }
    })
}
