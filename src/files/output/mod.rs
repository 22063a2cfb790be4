//! Where scored rows go, and in which form.

mod sink;
mod text;

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

#[cfg(feature = "parquet")]
pub(super) use self::sink::Sink;
pub(crate) use self::sink::{Place, publish, replaceable, target, write_whole};
use self::text::TextOutput;
#[cfg(feature = "parquet")]
use super::parquet::{Table, TableOutput};
use super::{Column, Compression, Scored, compression::Compressor};

/// A format that scored rows are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values under a header.
    Csv,
    /// Apache Parquet, where this dignity is built with it.
    Parquet,
}

impl OutputFormat {
    /// What a file's extension says, below that of its compression.
    pub(crate) fn told(path: &Path) -> Option<Self> {
        let (_, path) = Compression::of(path);
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// CSV or Parquet for a file whose extension says so, JSON lines for everything else.
    pub(crate) fn of(path: &Path) -> Self {
        Self::told(path).unwrap_or(Self::Jsonl)
    }

    /// The extension that tells it.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// The form of an output.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) format: OutputFormat,
    pub(crate) compression: Compression,
    /// The columns that rows gain.
    pub(crate) columns: Arc<[Column]>,
    /// What the run is made with, as JSON; for formats that have a place for it.
    #[cfg(feature = "parquet")]
    pub(crate) run: Arc<str>,
    /// The table that the rows come from, where they come from one.
    #[cfg(feature = "parquet")]
    pub(crate) table: Option<Table>,
}

/// How far an output was written when it was cut: all of that is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Bytes of a text.
    pub(crate) bytes: u64,
    /// Complete files that are joined when the last is there, for Parquet.
    pub(crate) segments: u32,
}

/// Takes scored rows, in order.
pub(crate) struct Output(Kind);

enum Kind {
    Text(TextOutput),
    #[cfg(feature = "parquet")]
    Table(Box<TableOutput>),
}

impl Output {
    pub(crate) fn create(place: Place, form: &Form) -> io::Result<Self> {
        Ok(Self(match form.format {
            OutputFormat::Jsonl | OutputFormat::Csv => {
                Kind::Text(TextOutput::create(&place, form)?)
            }
            #[cfg(feature = "parquet")]
            OutputFormat::Parquet => Kind::Table(Box::new(TableOutput::create(place, form, 0)?)),
            #[cfg(not(feature = "parquet"))]
            OutputFormat::Parquet => return Err(no_parquet()),
        }))
    }

    /// Goes on with a part that holds `rows`, as it was when it was cut.
    pub(crate) fn go_on(part: &Path, form: &Form, written: Written, rows: u64) -> io::Result<Self> {
        Ok(Self(match form.format {
            OutputFormat::Jsonl | OutputFormat::Csv => {
                Kind::Text(TextOutput::go_on(part, form, written, rows)?)
            }
            #[cfg(feature = "parquet")]
            OutputFormat::Parquet => {
                let place = Place::Part(part.to_owned());
                Kind::Table(Box::new(TableOutput::create(place, form, written.segments)?))
            }
            #[cfg(not(feature = "parquet"))]
            OutputFormat::Parquet => return Err(no_parquet()),
        }))
    }

    /// Writes a row.
    pub(crate) fn write(&mut self, row: &Scored) -> io::Result<()> {
        match &mut self.0 {
            Kind::Text(output) => output.write(row),
            #[cfg(feature = "parquet")]
            Kind::Table(output) => output.write(row),
        }
    }

    /// Whether a later run can go on after the rows written so far.
    pub(crate) fn can_be_cut(&self) -> bool {
        match &self.0 {
            Kind::Text(output) => output.can_be_cut(),
            #[cfg(feature = "parquet")]
            Kind::Table(output) => output.can_be_cut(),
        }
    }

    /// Puts everything on disk, so that a later run can go on from here.
    pub(crate) fn cut(&mut self) -> io::Result<Written> {
        match &mut self.0 {
            Kind::Text(output) => output.cut(),
            #[cfg(feature = "parquet")]
            Kind::Table(output) => output.cut(),
        }
    }

    /// The names of input fields that the output has no column for.
    pub(crate) fn left_out(&self) -> &BTreeSet<String> {
        match &self.0 {
            Kind::Text(output) => &output.left_out,
            #[cfg(feature = "parquet")]
            Kind::Table(output) => &output.left_out,
        }
    }

    /// Completes the output; a file appears under its final name, a part is on disk.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.0 {
            Kind::Text(mut output) => output.finish(),
            #[cfg(feature = "parquet")]
            Kind::Table(output) => output.finish(),
        }
    }
}

/// Removes what a part was joined from, if anything.
pub(crate) fn remove_segments(part: &Path) -> io::Result<()> {
    #[cfg(feature = "parquet")]
    super::parquet::remove_segments(part)?;
    #[cfg(not(feature = "parquet"))]
    let _ = part;
    Ok(())
}

#[cfg(not(feature = "parquet"))]
fn no_parquet() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this dignity was built without Parquet; build it with --features parquet",
    )
}
