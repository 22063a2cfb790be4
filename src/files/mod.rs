//! Readers and writers for offline scoring: one file per format.
//!
//! Every line or record of an input is one [`Row`], good or bad, and every row has one place in the
//! output, in order, with the fields it came with.

mod delimited;
mod jsonl;
mod labelled;
mod lines;
mod output;
mod scored;

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

pub(crate) use labelled::LabelledFile;
pub(crate) use output::{Output, OutputFormat, write_whole};
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
}

impl Format {
    /// The format that a file's extension tells.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "txt" | "text" => Some(Self::Lines),
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
    #[error("{input}: its name does not tell its format; give --format jsonl, csv, tsv or lines")]
    UnknownFormat { input: Input },
    #[error("{input}: no column {field:?}; the header has {}", header.join(", "))]
    NoColumn { input: Input, field: String, header: Vec<String> },
}

/// The rows of an input. Only a failure of the input as a whole is an error and ends it.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<Row, FileError>>>;

/// Opens an input. `format` overrides what its name tells; standard input is lines unless told.
/// Bytes are counted by `wrap`, which may stand between the file and its reader.
pub(crate) fn open(
    input: &Input,
    format: Option<Format>,
    names: &FieldNames,
    wrap: impl FnOnce(Box<dyn Read>) -> Box<dyn Read>,
) -> Result<Rows, FileError> {
    let read_error = |source| FileError::Read { input: input.clone(), source };
    let (raw, told): (Box<dyn Read>, _) = match input {
        Input::Stdin => (Box::new(io::stdin().lock()), Some(Format::Lines)),
        Input::Path(path) => {
            let file = File::open(path).map_err(read_error)?;
            if file.metadata().map_err(read_error)?.is_dir() {
                return Err(read_error(io::ErrorKind::IsADirectory.into()));
            }
            (Box::new(file), Format::of(path))
        }
    };
    let Some(format) = format.or(told) else {
        return Err(FileError::UnknownFormat { input: input.clone() });
    };
    let mut reader = BufReader::with_capacity(1 << 16, wrap(raw));
    skip_byte_order_mark(&mut reader).map_err(read_error)?;
    Ok(match format {
        Format::Jsonl => Box::new(jsonl::rows(reader, input.clone(), names.clone())),
        Format::Lines => Box::new(lines::rows(reader, input.clone())),
        Format::Csv => Box::new(delimited::rows(reader, b',', input.clone(), names)?),
        Format::Tsv => Box::new(delimited::rows(reader, b'\t', input.clone(), names)?),
    })
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
