//! Scored rows as a Parquet file.
//!
//! A Parquet file ends with its index, so that one that is not complete cannot be read or gone on
//! with. A part is therefore written in segments, each a complete file, which are joined at the end.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ::parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    file::{metadata::KeyValue, properties::WriterProperties},
};
use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::take::take;

use super::{Table, TableRow, arrow_error, batch_rows, scores, scores::ScoresColumn};
use crate::files::{
    Fields, Form, Place, Scored, Written, delimited::texts, jsonl::SCORES_FIELD, output::Sink,
};

/// The key under which a file tells what run it is of, as JSON.
pub(super) const RUN_KEY: &str = "dignity";
/// How many rows, and how many bytes of texts, are made into columns at once.
const PENDING_ROWS: usize = 1_024;
const PENDING_BYTES: usize = 4 << 20;
/// Row groups are held in memory until they are complete; readers like them large.
const GROUP_ROWS: usize = 1 << 17;
const GROUP_BYTES: usize = 32 << 20;

/// How many rows a segment has at least: each costs an index.
const SEGMENT_ROWS: usize = 2_048;

/// Takes rows and writes them as a table.
pub(in crate::files) struct TableOutput {
    place: Place,
    scores: Field,
    column: ScoresColumn,
    metadata: Vec<KeyValue>,
    columns: Option<Columns>,
    pending: Vec<Scored>,
    pending_bytes: usize,
    /// How many rows the segment has.
    rows: usize,
    writer: Option<ArrowWriter<Sink>>,
    /// How many segments are complete.
    segments: u32,
    /// How many of them a later run may rely on.
    relied_on: u32,
    pub(in crate::files) left_out: BTreeSet<String>,
}

/// The columns that rows come with.
enum Columns {
    /// Those of a table.
    Table(Vec<FieldRef>),
    /// The fields of the first row that has any, as texts.
    Texts(Vec<String>),
}

impl TableOutput {
    /// An output that goes on after some `segments`, if there are any.
    pub(in crate::files) fn create(place: Place, form: &Form, segments: u32) -> io::Result<Self> {
        let scores = scores::field(&form.columns);
        let mut metadata = vec![KeyValue::new(RUN_KEY.to_owned(), form.run.to_string())];
        let columns = match &form.table {
            Some(table) => {
                metadata.extend(table.metadata.iter().cloned());
                Some(Columns::Table(table.fields.clone()))
            }
            None if segments > 0 => {
                let written = Table::of(&segment(&place, 0))?;
                let names = written.fields.iter().map(|field| field.name().clone());
                Some(Columns::Texts(names.collect()))
            }
            None => None,
        };
        let mut output = Self {
            place,
            column: ScoresColumn::new(scores.clone()).map_err(arrow_error)?,
            scores,
            metadata,
            columns,
            pending: Vec::new(),
            pending_bytes: 0,
            rows: 0,
            writer: None,
            segments,
            relied_on: segments,
            left_out: BTreeSet::new(),
        };
        if output.columns.is_some() && segments == 0 {
            // What cannot be written should show before anything is scored.
            output.open()?;
        }
        Ok(output)
    }

    pub(in crate::files) fn write(&mut self, row: &Scored) -> io::Result<()> {
        self.pending_bytes += row.row.as_ref().len();
        self.pending.push(row.clone());
        self.rows += 1;
        if self.pending.len() >= PENDING_ROWS || self.pending_bytes >= PENDING_BYTES {
            self.write_pending()?;
        }
        Ok(())
    }

    /// Whether the segment is long enough.
    pub(in crate::files) fn can_be_cut(&self) -> bool {
        self.rows >= SEGMENT_ROWS
    }

    /// Completes the segment.
    pub(in crate::files) fn cut(&mut self) -> io::Result<Written> {
        self.complete_segment()?;
        self.relied_on = self.segments;
        Ok(Written { bytes: 0, segments: self.segments })
    }

    pub(in crate::files) fn finish(mut self) -> io::Result<()> {
        self.write_pending()?;
        if self.segments == 0 && self.writer.is_none() {
            self.open()?;
        }
        self.complete_segment()?;
        let Place::Part(part) = &self.place else { return Ok(()) };
        if self.segments == 1 && self.relied_on == 0 {
            return fs::rename(segment(&self.place, 0), part);
        }
        self.join(part)
    }

    /// Writes the rows of all segments into one file.
    fn join(&self, part: &Path) -> io::Result<()> {
        let mut writer = None;
        for number in 0..self.segments {
            let file = File::open(segment(&self.place, number))?;
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
            let writer = match &mut writer {
                Some(writer) => writer,
                none => none.insert(ArrowWriter::try_new(
                    File::create(part)?,
                    self.noted(builder.schema().fields().to_vec()),
                    Some(self.properties()),
                )?),
            };
            let rows = batch_rows(builder.metadata());
            for batch in builder.with_batch_size(rows).build()? {
                writer.write(&batch.map_err(arrow_error)?)?;
            }
        }
        if let Some(writer) = writer {
            writer.into_inner()?.sync_all()?;
        }
        Ok(())
    }

    fn complete_segment(&mut self) -> io::Result<()> {
        self.write_pending()?;
        if let Some(writer) = self.writer.take() {
            writer.into_inner()?.complete()?;
            self.segments += 1;
            self.rows = 0;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        if self.columns.is_none() {
            self.columns = Some(Columns::Texts(text_columns(&rows)?));
        }
        if self.writer.is_none() {
            self.open()?;
        }
        let same_batch = |a: &Scored, b: &Scored| match (&a.row.fields, &b.row.fields) {
            (Fields::Columns(a), Fields::Columns(b)) => Arc::ptr_eq(&a.batch, &b.batch),
            (Fields::Columns(_), _) | (_, Fields::Columns(_)) => false,
            _ => true,
        };
        // Batches are not joined: each may have dictionaries of its own.
        for rows in rows.chunk_by(same_batch) {
            let mut columns = match &self.columns {
                Some(Columns::Table(fields)) => table_columns(rows, fields)?,
                Some(Columns::Texts(names)) => text_arrays(rows, names, &mut self.left_out)?,
                None => Vec::new(),
            };
            columns.push(self.column.of(rows).map_err(arrow_error)?);
            let batch = RecordBatch::try_new(self.schema(), columns).map_err(arrow_error)?;
            if let Some(writer) = &mut self.writer {
                writer.write(&batch)?;
            }
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        let place = match &self.place {
            Place::Part(_) => Place::Part(segment(&self.place, self.segments)),
            other => other.clone(),
        };
        let writer = ArrowWriter::try_new(place.open()?, self.schema(), Some(self.properties()))?;
        self.writer = Some(writer);
        Ok(())
    }

    fn schema(&self) -> SchemaRef {
        let mut fields: Vec<FieldRef> = match &self.columns {
            Some(Columns::Table(fields)) => fields.clone(),
            Some(Columns::Texts(names)) => {
                names.iter().map(|name| Arc::new(Field::new(name, DataType::Utf8, true))).collect()
            }
            None => Vec::new(),
        };
        fields.push(Arc::new(self.scores.clone()));
        self.noted(fields)
    }

    /// A schema that tells what the file's metadata tell: pyarrow reads them there.
    fn noted(&self, fields: Vec<FieldRef>) -> SchemaRef {
        let metadata = self.metadata.iter().filter_map(|entry| {
            entry.value.as_ref().map(|value| (entry.key.clone(), value.clone()))
        });
        Arc::new(Schema::new_with_metadata(fields, metadata.collect::<HashMap<_, _>>()))
    }

    fn properties(&self) -> WriterProperties {
        WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .set_key_value_metadata(Some(self.metadata.clone()))
            .build()
    }
}

/// The file of a part's segment.
fn segment(place: &Place, number: u32) -> PathBuf {
    match place {
        Place::Part(path) | Place::File(path) => path.with_extension(number.to_string()),
        Place::Stdout => PathBuf::new(),
    }
}

/// Removes the segments of a part, which are in it when it is complete.
pub(in crate::files) fn remove_segments(part: &Path) -> io::Result<()> {
    let place = Place::Part(part.to_owned());
    for number in 0.. {
        match fs::remove_file(segment(&place, number)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The columns of rows that are all of one batch.
fn table_columns(rows: &[Scored], fields: &[FieldRef]) -> io::Result<Vec<ArrayRef>> {
    let places: Vec<&TableRow> = rows
        .iter()
        .filter_map(|row| match &row.row.fields {
            Fields::Columns(place) => Some(place),
            _ => None,
        })
        .collect();
    let Some(TableRow { batch, .. }) = places.first() else {
        return Err(io::Error::other("a row without columns cannot stand in a table of columns"));
    };
    let indices = UInt64Array::from_iter_values(places.iter().map(|place| place.at as u64));
    let column = |field: &FieldRef| {
        let column = batch
            .column_by_name(field.name())
            .ok_or_else(|| io::Error::other(format!("a row has no column {:?}", field.name())))?;
        take(column, &indices, None).map_err(arrow_error)
    };
    fields.iter().map(column).collect()
}

/// The names of the fields of the first row that has any.
fn text_columns(rows: &[Scored]) -> io::Result<Vec<String>> {
    for row in rows {
        let names: Vec<_> = texts(&row.row.fields)?.into_iter().map(|(name, _)| name).collect();
        if !names.is_empty() {
            return Ok(names.into_iter().filter(|name| name != SCORES_FIELD).collect());
        }
    }
    Ok(Vec::new())
}

fn text_arrays(
    rows: &[Scored],
    names: &[String],
    left_out: &mut BTreeSet<String>,
) -> io::Result<Vec<ArrayRef>> {
    let mut columns = vec![Vec::with_capacity(rows.len()); names.len()];
    for row in rows {
        let mut fields = texts(&row.row.fields)?;
        for (name, column) in names.iter().zip(&mut columns) {
            let found = fields.iter().position(|(field, _)| field == name);
            let value = found.and_then(|at| fields.swap_remove(at).1);
            column.push(value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        }
        fields.retain(|(name, _)| name != SCORES_FIELD);
        left_out.extend(fields.into_iter().map(|(name, _)| name));
    }
    Ok(columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect())
}
