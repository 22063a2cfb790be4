//! The rows of a Parquet file.

use std::{fs::File, sync::Arc};

use ::parquet::{
    arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};
use arrow_array::{Array, ArrayRef, LargeStringArray, RecordBatch, cast::AsArray};
use arrow_cast::{cast, display::array_value_to_string};
use arrow_schema::{ArrowError, DataType, Schema};

use super::{TableRow, batch_rows};
use crate::files::{FieldNames, Fields, FileError, Input, Progress, Row, RowError};

/// The rows of a file after the first `skipped`.
pub(in crate::files) fn rows(
    file: File,
    input: &Input,
    names: &FieldNames,
    skipped: u64,
    progress: Progress,
) -> Result<impl Iterator<Item = Result<Row, FileError>> + use<>, FileError> {
    let parquet_error =
        |source: ParquetError| FileError::Parquet { input: input.clone(), source: source.into() };
    let length = file.metadata().map_err(|e| parquet_error(e.into()))?.len();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet_error)?;
    let schema = builder.schema().clone();
    let text_at = place(&schema, &names.text, input)?;
    if !is_text(schema.field(text_at).data_type()) {
        return Err(FileError::NotText {
            input: input.clone(),
            field: names.text.clone(),
            found: schema.field(text_at).data_type().to_string(),
            columns: schema
                .fields()
                .iter()
                .map(|field| format!("{} ({})", field.name(), field.data_type()))
                .collect(),
        });
    }
    let id_at = names.id.as_ref().map(|id| place(&schema, id, input)).transpose()?;
    let count = builder.metadata().file_metadata().num_rows().max(0).unsigned_abs();
    if count < skipped {
        return Err(FileError::Shorter { input: input.clone(), found: count, wanted: skipped });
    }
    let per_row = length as f64 / count.max(1) as f64;
    progress((per_row * skipped as f64) as u64);
    let at_once = batch_rows(builder.metadata());
    let skipped_rows = usize::try_from(skipped).unwrap_or(usize::MAX);
    let reader = builder
        .with_batch_size(at_once)
        .with_offset(skipped_rows)
        .build()
        .map_err(parquet_error)?;
    Ok(TableRows {
        reader,
        batch: None,
        text_at,
        id_at,
        line: skipped,
        input: input.clone(),
        text_field: names.text.clone(),
        per_row,
        progress,
    })
}

fn place(schema: &Schema, field: &str, input: &Input) -> Result<usize, FileError> {
    schema.index_of(field).map_err(|_| FileError::NoColumn {
        input: input.clone(),
        field: field.to_owned(),
        header: schema.fields().iter().map(|field| field.name().clone()).collect(),
    })
}

fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

struct TableRows {
    reader: ParquetRecordBatchReader,
    /// The batch in hand, its texts, and the next row in it.
    batch: Option<(Arc<RecordBatch>, LargeStringArray, usize)>,
    text_at: usize,
    id_at: Option<usize>,
    line: u64,
    input: Input,
    text_field: String,
    /// Bytes of the file for each row, on average.
    per_row: f64,
    progress: Progress,
}

impl Iterator for TableRows {
    type Item = Result<Row, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((batch, texts, at)) = &mut self.batch
                && *at < batch.num_rows()
            {
                self.line += 1;
                let place = TableRow { batch: Arc::clone(batch), at: *at };
                let text = if texts.is_null(*at) {
                    Err(RowError::Null(self.text_field.clone()))
                } else {
                    Ok(texts.value(*at).to_owned())
                };
                let id = self.id_at.map(|column| {
                    array_value_to_string(batch.column(column), *at).unwrap_or_default()
                });
                *at += 1;
                return Some(Ok(Row { line: self.line, id, text, fields: Fields::Columns(place) }));
            }
            match self.reader.next()? {
                Ok(batch) => match texts(batch.column(self.text_at)) {
                    Ok(texts) => {
                        (self.progress)((self.per_row * batch.num_rows() as f64) as u64);
                        self.batch = Some((Arc::new(batch), texts, 0));
                    }
                    Err(error) => return Some(Err(self.error(error))),
                },
                Err(error) => return Some(Err(self.error(error))),
            }
        }
    }
}

impl TableRows {
    fn error(&self, error: ArrowError) -> FileError {
        FileError::Parquet { input: self.input.clone(), source: error.into() }
    }
}

/// The texts of a column, whatever kind of text they are stored as. The large kind holds them all.
fn texts(column: &ArrayRef) -> Result<LargeStringArray, ArrowError> {
    let texts = cast(column, &DataType::LargeUtf8)?;
    Ok(texts.as_string::<i64>().clone())
}
