//! JSON lines: an object a line.

use std::io::{self, BufRead, Write};

use indexmap::IndexMap;
use serde_json::value::{RawValue, to_raw_value};

use super::{FieldNames, Fields, FileError, Input, Row, RowError, Scored, named, numbered_lines};

/// A JSON object, its fields in order and its values as they were written.
pub(super) type Object = IndexMap<String, Box<RawValue>>;

/// The name of the object that output rows gain. An input's field of this name, as of a file scored
/// before, is replaced.
pub(super) const SCORES_FIELD: &str = "dignity";

/// The rows of a file of JSON lines.
pub(super) fn rows(
    reader: impl BufRead,
    input: Input,
    names: FieldNames,
) -> impl Iterator<Item = Result<Row, FileError>> {
    numbered_lines(reader, input).map(move |line| {
        let (line, bytes) = line?;
        Ok(match parse(&bytes) {
            Ok(object) => {
                let id = names.id.as_deref().and_then(|id| object.get(id)).map(|value| {
                    // A string's own text; of any other value, its JSON.
                    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
                });
                let text = match &names.id {
                    Some(name) if id.is_none() => Err(RowError::NoField(name.clone())),
                    _ => text(&object, &names.text),
                };
                Row { line, id, text, fields: Fields::Json(object) }
            }
            Err(error) => Row { line, id: None, text: Err(error), fields: Fields::Unknown },
        })
    })
}

fn parse(line: &[u8]) -> Result<Object, RowError> {
    let line = str::from_utf8(line)?;
    serde_json::from_str(line).map_err(|error| RowError::Json(message(&error)))
}

fn text(object: &Object, field: &str) -> Result<String, RowError> {
    let value = object.get(field).ok_or_else(|| RowError::NoField(field.to_owned()))?.get();
    serde_json::from_str(value).map_err(|error| match value.starts_with('"') {
        // An escape may stand for half a character.
        true => RowError::BadString { field: field.to_owned(), fault: message(&error) },
        false => RowError::NotString(field.to_owned()),
    })
}

/// What is wrong and in which column; the line is always 1 here, and told with the row.
fn message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match message.strip_suffix(&place) {
        Some(bare) => format!("{bare} at column {}", error.column()),
        None => message,
    }
}

/// Writes a row with its scores as a line.
pub(super) fn write(out: &mut impl Write, row: &Scored) -> io::Result<()> {
    let scores = to_raw_value(row)?;
    let mut object = match &row.row.fields {
        Fields::Json(object) => object.clone(),
        Fields::Delimited { header, record } => {
            let value = |bytes| to_raw_value(&String::from_utf8_lossy(bytes));
            named(header, record)
                .map(|(name, bytes)| Ok((name, value(bytes)?)))
                .collect::<io::Result<_>>()?
        }
        #[cfg(feature = "parquet")]
        Fields::Columns(place) => place.object()?,
        Fields::Unknown => Object::new(),
    };
    object.shift_remove(SCORES_FIELD);
    object.insert(SCORES_FIELD.to_owned(), scores);
    serde_json::to_writer(&mut *out, &object)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: &[u8], id: Option<&str>) -> Row {
        let names = FieldNames { text: "text".into(), id: id.map(str::to_owned) };
        let mut rows: Vec<_> = rows(line, Input::Stdin, names).map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    }

    #[test]
    fn text_and_id_are_found() {
        let row = row(br#"{"id": 7, "text": "caf\u00e9 \ud83d\ude00", "n": 1.50}"#, Some("id"));
        assert_eq!(row.text.as_deref(), Ok("café 😀"));
        assert_eq!(row.id.as_deref(), Some("7"));
    }

    #[test]
    fn every_kind_of_bad_row_is_told_apart() {
        let error = |line: &[u8]| row(line, None).text.unwrap_err();
        assert!(matches!(error(b"{\"text\": \"a"), RowError::Json(m) if m.contains("column")));
        assert!(matches!(error(b"[1]"), RowError::Json(_)));
        assert!(matches!(error(b"\n"), RowError::Json(_)));
        assert!(matches!(error(b"{\"text\": \"a\"} x"), RowError::Json(_)));
        assert_eq!(error(b"{\"text\": \"\xff\"}"), RowError::Utf8(10));
        assert_eq!(error(b"{\"body\": \"a\"}"), RowError::NoField("text".into()));
        assert_eq!(error(b"{\"text\": null}"), RowError::NotString("text".into()));
        assert!(matches!(error(br#"{"text": "\ud83d"}"#), RowError::BadString { .. }));
        let without_id = row(b"{\"text\": \"a\"}", Some("id"));
        assert_eq!(without_id.text, Err(RowError::NoField("id".into())));
    }
}
