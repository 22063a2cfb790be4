//! Plain text: every line is a text.

use std::{
    io::BufRead,
    sync::{Arc, LazyLock},
};

use super::{Fields, FileError, Input, Row, RowError, numbered_lines};

/// The one field of a line, by which outputs name it.
static HEADER: LazyLock<Arc<[String]>> = LazyLock::new(|| Arc::new(["text".to_owned()]));

/// The rows of a file of plain lines.
pub(super) fn rows(
    reader: impl BufRead,
    input: Input,
) -> impl Iterator<Item = Result<Row, FileError>> {
    numbered_lines(reader, input).map(|line| {
        let (line, bytes) = line?;
        let record = csv::ByteRecord::from(vec![&bytes]);
        let text = String::from_utf8(bytes).map_err(|e| RowError::from(e.utf8_error()));
        let fields = Fields::Delimited { header: Arc::clone(&HEADER), record };
        Ok(Row { line, id: None, text, fields })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Vec<(u64, Result<String, RowError>)> {
        rows(bytes, Input::Stdin).map(|row| row.map(|row| (row.line, row.text)).unwrap()).collect()
    }

    #[test]
    fn every_line_is_a_row_blank_ones_and_bad_ones_too() {
        assert_eq!(
            texts(b"one\r\n\n  \nb\xffd\nlast"),
            [
                (1, Ok("one".into())),
                (2, Ok(String::new())),
                (3, Ok("  ".into())),
                (4, Err(RowError::Utf8(1))),
                (5, Ok("last".into())),
            ]
        );
        assert_eq!(texts(b""), []);
        assert_eq!(texts(b"a\n").len(), 1);
        assert_eq!(texts(b"\n").len(), 1);
    }
}
