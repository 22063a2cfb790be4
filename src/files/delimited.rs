//! Comma- and tab-separated values under a header.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use csv::{ByteRecord, ReaderBuilder, Writer};

use super::{
    FieldNames, Fields, FileError, Input, Row, RowError, Scored, columns::Column, jsonl::Object,
    named, scored::values,
};

/// The rows of a file whose first record is a header.
pub(super) fn rows<R: Read>(
    reader: R,
    delimiter: u8,
    input: Input,
    names: &FieldNames,
) -> Result<impl Iterator<Item = Result<Row, FileError>> + use<R>, FileError> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        // CSV quotes (RFC 4180). Tab-separated values do not (IANA's text/tab-separated-values): a
        // text that begins with a quotation mark must not swallow the rows after it.
        .quoting(delimiter == b',')
        .flexible(true)
        .from_reader(reader);
    let csv_error = |source| FileError::Csv { input: input.clone(), source };
    let header: Arc<[String]> = reader
        .byte_headers()
        .map_err(csv_error)?
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    let place = |field: &String| {
        header.iter().position(|name| name == field).ok_or_else(|| FileError::NoColumn {
            input: input.clone(),
            field: field.clone(),
            header: header.to_vec(),
        })
    };
    // A file without a single byte has no header, and no rows either.
    let empty = header.is_empty();
    let text_at = if empty { 0 } else { place(&names.text)? };
    let id_at = names.id.as_ref().filter(|_| !empty).map(place).transpose()?;
    Ok(std::iter::from_fn(move || {
        let mut record = ByteRecord::new();
        match reader.read_byte_record(&mut record) {
            Ok(false) => None,
            Ok(true) => Some(Ok(row(&header, record, text_at, id_at))),
            Err(source) => Some(Err(FileError::Csv { input: input.clone(), source })),
        }
    }))
}

fn row(header: &Arc<[String]>, record: ByteRecord, text_at: usize, id_at: Option<usize>) -> Row {
    let text = if record.len() == header.len() {
        str::from_utf8(&record[text_at]).map(str::to_owned).map_err(RowError::from)
    } else {
        Err(RowError::FieldCount { found: record.len(), wanted: header.len() })
    };
    let id = id_at.and_then(|at| record.get(at));
    Row {
        line: record.position().map_or(0, csv::Position::line),
        id: id.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        text,
        fields: Fields::Delimited { header: Arc::clone(header), record },
    }
}

/// Writes rows as CSV. The columns are those of the first row that has any, then the scores'.
pub(super) struct CsvWriter<W: Write> {
    writer: Writer<W>,
    /// The scores' columns, and their names.
    scores: Arc<[Column]>,
    score_names: Vec<String>,
    columns: Option<Vec<String>>,
}

impl<W: Write> CsvWriter<W> {
    pub(super) fn new(out: W, scores: Arc<[Column]>) -> Self {
        let score_names = scores.iter().map(Column::name).collect();
        Self { writer: Writer::from_writer(out), scores, score_names, columns: None }
    }

    /// Goes on with a file that `written` holds the beginning of.
    pub(super) fn go_on(&mut self, written: impl Read) -> Result<(), csv::Error> {
        let mut reader = ReaderBuilder::new().from_reader(written);
        let header = reader.byte_headers()?;
        let own = header.len().saturating_sub(self.scores.len());
        if !header.is_empty() {
            let names = header.iter().take(own);
            let text = |name| String::from_utf8_lossy(name).into_owned();
            self.columns = Some(names.map(text).collect());
        }
        Ok(())
    }

    /// Writes a row with its scores. Gives the names of fields that have no column, and so are not
    /// in the output; the caller says so.
    pub(super) fn write(&mut self, row: &Scored) -> io::Result<Vec<String>> {
        let is_score = |name: &String| self.score_names.contains(name);
        let mut fields = texts(&row.row.fields)?;
        if self.columns.is_none() {
            let names: Vec<_> = fields
                .iter()
                .map(|(name, _)| name.clone())
                .filter(|name| !is_score(name))
                .collect();
            self.writer.write_record(names.iter().chain(&self.score_names))?;
            self.columns = Some(names);
        }
        let names = self.columns.as_deref().unwrap_or_default();
        for name in names {
            let found = fields.iter().position(|(field, _)| field == name);
            let value = found.and_then(|at| fields.remove(at).1);
            self.writer.write_field(value.unwrap_or_default())?;
        }
        for value in values(row, &self.scores)? {
            self.writer.write_field(value)?;
        }
        self.writer.write_record(None::<&[u8]>)?;
        fields.retain(|(name, _)| !is_score(name));
        Ok(fields.into_iter().map(|(name, _)| name).collect())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A row's fields as a table of texts holds them: JSON strings by their text, other JSON values as
/// JSON, null as nothing.
pub(super) fn texts(fields: &Fields) -> io::Result<Vec<(String, Option<Vec<u8>>)>> {
    let of_object = |object: &Object| {
        let text = |json: &str| match json {
            "null" => None,
            _ => {
                let text = serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
                Some(text.into_bytes())
            }
        };
        object.iter().map(|(name, value)| (name.clone(), text(value.get()))).collect()
    };
    Ok(match fields {
        Fields::Json(object) => of_object(object),
        Fields::Delimited { header, record } => {
            named(header, record).map(|(name, value)| (name, Some(value.to_vec()))).collect()
        }
        #[cfg(feature = "parquet")]
        Fields::Columns(place) => of_object(&place.object()?),
        Fields::Unknown => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], delimiter: u8) -> Result<Vec<Row>, FileError> {
        let names = FieldNames { text: "text".into(), id: Some("id".into()) };
        rows(bytes, delimiter, Input::Stdin, &names)?.collect()
    }

    #[test]
    fn quotes_line_breaks_and_line_numbers() {
        let rows = read(b"id,text\n1,\"two\nlines, \"\"quoted\"\"\"\n2,plain\n", b',').unwrap();
        assert_eq!(rows[0].text.as_deref(), Ok("two\nlines, \"quoted\""));
        assert_eq!((rows[0].line, rows[1].line), (2, 4));
        assert_eq!(rows[1].id.as_deref(), Some("2"));
        let tabs = read(b"text\tid\n\"a, b\t3\nc\t4\n", b'\t').unwrap();
        assert_eq!(tabs[0].text.as_deref(), Ok("\"a, b"));
        assert_eq!(tabs[1].text.as_deref(), Ok("c"));
    }

    #[test]
    fn bad_records_are_rows_and_bad_headers_are_errors() {
        let rows = read(b"id,text\n1\n2,b\xff\n3,c,d\n4,ok\n", b',').unwrap();
        let texts: Vec<_> = rows.iter().map(|row| row.text.clone()).collect();
        assert_eq!(
            texts,
            [
                Err(RowError::FieldCount { found: 1, wanted: 2 }),
                Err(RowError::Utf8(1)),
                Err(RowError::FieldCount { found: 3, wanted: 2 }),
                Ok("ok".into()),
            ]
        );
        let error = read(b"id,body\n1,a\n", b',').unwrap_err().to_string();
        assert!(error.contains("no column \"text\"; the header has id, body"), "{error}");
        assert!(read(b"", b',').unwrap().is_empty());
    }
}
