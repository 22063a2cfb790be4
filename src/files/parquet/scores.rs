//! Scores as a column.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_json::{ReaderBuilder, reader::Decoder};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use serde::Serialize;

use crate::files::{
    Scored,
    columns::{Column, ColumnKind},
    jsonl::SCORES_FIELD,
};

/// The column's field: a struct of structs, as the paths of the columns say.
pub(super) fn field(columns: &[Column]) -> Field {
    let paths: Vec<_> =
        columns.iter().map(|column| (column.path.as_slice(), column.kind)).collect();
    Field::new(SCORES_FIELD, DataType::Struct(fields(&paths)), true)
}

fn fields(paths: &[(&[String], ColumnKind)]) -> Fields {
    let mut names: Vec<&String> = Vec::new();
    for (path, _) in paths {
        if let Some(name) = path.first()
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    let field = |name: &String| {
        let below: Vec<_> = paths
            .iter()
            .filter(|(path, _)| path.first() == Some(name))
            .map(|(path, kind)| (&path[1..], *kind))
            .collect();
        let kind = match below.as_slice() {
            [([], kind)] => data_type(*kind),
            _ => DataType::Struct(fields(&below)),
        };
        Field::new(name, kind, true)
    };
    names.into_iter().map(field).collect()
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        // Six decimals, as every output has them, are well within.
        ColumnKind::Probability => DataType::Float32,
        ColumnKind::Text => DataType::Utf8,
        ColumnKind::Names => DataType::new_list(DataType::Utf8, true),
        ColumnKind::Count => DataType::UInt32,
    }
}

/// Makes the column of rows.
pub(super) struct ScoresColumn(Decoder);

impl ScoresColumn {
    pub(super) fn new(field: Field) -> Result<Self, ArrowError> {
        let schema = Arc::new(Schema::new(vec![field]));
        Ok(Self(ReaderBuilder::new(schema).build_decoder()?))
    }

    /// The column of `rows`, of which there is at least one.
    pub(super) fn of(&mut self, rows: &[Scored]) -> Result<ArrayRef, ArrowError> {
        #[derive(Serialize)]
        struct Gained<'a> {
            dignity: &'a Scored,
        }
        let rows: Vec<_> = rows.iter().map(|dignity| Gained { dignity }).collect();
        self.0.serialize(&rows)?;
        let batch = self.0.flush()?;
        let column = batch.and_then(|batch| batch.columns().first().cloned());
        column.ok_or_else(|| ArrowError::InvalidArgumentError("no rows".to_owned()))
    }
}
