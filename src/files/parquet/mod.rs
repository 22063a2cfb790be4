//! Parquet: a table of typed columns, read and written in batches of rows.
//!
//! A row keeps a reference to its batch, and an output takes its rows out of the batches again, so
//! that columns of any type are written as they were read. The scores are one column more, the
//! struct `dignity`, of the same form as the object that JSON lines gain: a query language finds
//! `dignity.categories.caste` in both, and `flatten()` of pyarrow gives the names of the CSV columns.

mod read;
mod scores;
mod write;

use std::{fs::File, io, path::Path, sync::Arc};

use ::parquet::{
    arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    file::metadata::{KeyValue, ParquetMetaData},
};
use arrow_array::RecordBatch;
use arrow_json::{WriterBuilder, writer::LineDelimited};
use arrow_schema::{ArrowError, FieldRef};

pub(super) use self::{
    read::rows,
    write::{TableOutput, remove_segments},
};
use super::jsonl::{Object, SCORES_FIELD};

/// A row of a batch.
#[derive(Clone, Debug)]
pub(crate) struct TableRow {
    batch: Arc<RecordBatch>,
    at: usize,
}

impl TableRow {
    /// The row as JSON has it.
    pub(super) fn object(&self) -> io::Result<Object> {
        let mut json = Vec::new();
        let builder = WriterBuilder::new().with_explicit_nulls(true);
        let mut writer = builder.build::<_, LineDelimited>(&mut json);
        writer.write(&self.batch.slice(self.at, 1)).map_err(arrow_error)?;
        writer.finish().map_err(arrow_error)?;
        drop(writer);
        Ok(serde_json::from_slice(&json)?)
    }
}

/// The columns of a file, without those of scores that it may have from before.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    fields: Vec<FieldRef>,
    /// What its writer noted, as pandas does.
    metadata: Vec<KeyValue>,
}

impl Table {
    /// The table of a file; none where the file cannot be read as one.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let fields = builder.schema().fields().iter();
        let noted = builder.metadata().file_metadata().key_value_metadata();
        let own = [::parquet::arrow::ARROW_SCHEMA_META_KEY, write::RUN_KEY];
        Ok(Self {
            fields: fields.filter(|field| field.name() != SCORES_FIELD).cloned().collect(),
            metadata: noted
                .into_iter()
                .flatten()
                .filter(|entry| !own.contains(&entry.key.as_str()))
                .cloned()
                .collect(),
        })
    }

    /// Whether the rows of both can stand in one file.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

/// How many rows are read at once: few where they are large.
fn batch_rows(metadata: &ParquetMetaData) -> usize {
    const BYTES: i64 = 4 << 20;
    let rows = metadata.file_metadata().num_rows().max(1);
    let bytes: i64 = metadata.row_groups().iter().map(|group| group.total_byte_size()).sum();
    let rows = BYTES / (bytes / rows).max(1);
    rows.clamp(1, 1_024) as usize
}

fn arrow_error(error: ArrowError) -> io::Error {
    io::Error::other(error)
}
