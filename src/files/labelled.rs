//! Labelled rows of JSON lines.

use std::{
    fs,
    io::{self, Read},
};

use super::{FieldNames, Fields, FileError, Input, jsonl, skip_byte_order_mark};
use crate::{digest::Digest, evaluate::Labels};

/// A file of labelled rows, in memory: people labelled them, so there are not many.
pub(crate) struct LabelledFile {
    /// SHA-256 of the file.
    pub(crate) digest: Digest,
    pub(crate) rows: Vec<LabelledRow>,
}

/// A row with its labels, or with what is wrong with it.
pub(crate) struct LabelledRow {
    /// The line that the row stands on, from 1.
    pub(crate) line: u64,
    /// The row's text and labels, or what is wrong with it.
    pub(crate) content: Result<(String, Labels), String>,
}

impl LabelledFile {
    /// Reads all rows. A row that cannot be read is kept with its fault.
    pub(crate) fn read(input: &Input, text_field: &str) -> Result<Self, FileError> {
        let bytes = match input {
            Input::Path(path) => fs::read(path),
            Input::Stdin => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            }
        };
        let read_error = |source| FileError::Read { input: input.clone(), source };
        let bytes = bytes.map_err(read_error)?;
        let mut reader = bytes.as_slice();
        skip_byte_order_mark(&mut reader).map_err(read_error)?;
        let names = FieldNames { text: text_field.to_owned(), id: None };
        let rows = jsonl::rows(reader, input.clone(), names).map(|row| {
            let row = row?;
            let content = match row.text {
                Ok(text) => labels(&row.fields).map(|labels| (text, labels)),
                Err(error) => Err(error.to_string()),
            };
            Ok(LabelledRow { line: row.line, content })
        });
        Ok(Self { digest: Digest::of(&bytes), rows: rows.collect::<Result<_, FileError>>()? })
    }
}

fn labels(fields: &Fields) -> Result<Labels, String> {
    let Fields::Json(object) = fields else { return Err("no fields".to_owned()) };
    let fault = |error: serde_json::Error| {
        // The place is one in the object as written anew, of no use to the reader.
        let message = error.to_string();
        message.split(" at line ").next().unwrap_or_default().to_owned()
    };
    let json = serde_json::to_string(object).map_err(fault)?;
    serde_json::from_str(&json).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_row_with_labels_or_a_fault() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = concat!(
            "\u{feff}{\"text\":\"one\",\"dehum\":0,\"groups\":[\"age\"]}\n",
            "{\"text\":\"two\"}\n",
            "{\"dehum\":1}\n",
            "{\"text\":\"three\",\"dehum\":1,\"ways\":\"q\"}\n",
            "\n",
        );
        fs::write(file.path(), lines).unwrap();
        let read = LabelledFile::read(&Input::Path(file.path().into()), "text").unwrap();
        assert_eq!(read.digest, Digest::of(lines.as_bytes()));
        let faults: Vec<_> = read.rows.iter().map(|row| row.content.as_ref().err()).collect();
        assert_eq!(faults[0], None);
        let fault = |at: usize| faults[at].map(String::as_str).unwrap_or_default();
        assert_eq!(fault(1), "missing field `dehum`");
        assert_eq!(fault(2), "no field \"text\"");
        assert_eq!(fault(3), "the field \"ways\" has the unknown code \"q\"");
        assert!(fault(4).contains("not a JSON object"));
        assert_eq!(read.rows.len(), 5);
        assert_eq!(read.rows[4].line, 5);
    }
}
