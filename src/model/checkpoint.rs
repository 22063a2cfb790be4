//! The files of a model's weights: one `model.safetensors`, or several by an index, or a
//! `pytorch_model.bin`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use candle_core::{DType, pickle};
use safetensors::{Dtype, tensor::TensorView};
use serde::Deserialize;

use super::ModelError;

/// The weights in one file.
pub(super) const SAFETENSORS: &str = "model.safetensors";
/// Which files the weights are spread over.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// The weights as old models have them.
pub(super) const PICKLE: &str = "pytorch_model.bin";

/// A file of weights, by name.
pub(super) type WeightFile = (String, Cow<'static, [u8]>);

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    /// The file that each tensor is in.
    weight_map: BTreeMap<String, String>,
}

/// Reads the weights in `directory`, every file as safetensors.
pub(super) fn read(directory: &Path) -> Result<Vec<WeightFile>, ModelError> {
    let file = |name: &str| match fs::read(directory.join(name)) {
        Ok(bytes) => Ok((name.to_owned(), bytes.into())),
        Err(source) => Err(ModelError::Read {
            file: name.to_owned(),
            place: directory.display().to_string(),
            source,
        }),
    };
    if directory.join(SAFETENSORS).exists() {
        return Ok(vec![file(SAFETENSORS)?]);
    }
    if directory.join(INDEX).exists() {
        let (_, index) = file(INDEX)?;
        return shards(&index)?.iter().map(|name| file(name)).collect();
    }
    if directory.join(PICKLE).exists() {
        let bytes = from_pickle(&directory.join(PICKLE))?;
        return Ok(vec![(PICKLE.to_owned(), bytes.into())]);
    }
    Err(ModelError::Read {
        file: SAFETENSORS.to_owned(),
        place: directory.display().to_string(),
        source: io::ErrorKind::NotFound.into(),
    })
}

/// The files that an index names, all beside it.
pub(super) fn shards(index: &[u8]) -> Result<BTreeSet<String>, WeightIndexError> {
    let index: Index = serde_json::from_slice(index)?;
    let names: BTreeSet<_> = index.weight_map.into_values().collect();
    if names.is_empty() {
        return Err(WeightIndexError::Empty);
    }
    // A name that is a path could be of any file of the machine.
    match names.iter().find(|name| !is_file_name(name)) {
        Some(name) => Err(WeightIndexError::Name { name: name.clone() }),
        None => Ok(names),
    }
}

/// Whether a name stays in the folder that it is joined to, on every system.
pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | ':'))
}

/// Why `model.safetensors.index.json` does not tell where the weights are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightIndexError {
    /// Not JSON of the expected form.
    #[error("{INDEX}: not of the expected form: {0}")]
    Json(#[from] serde_json::Error),
    /// It names no file.
    #[error("{INDEX}: it names no file")]
    Empty,
    /// A name is a path, which could lead elsewhere.
    #[error("{INDEX}: it names {name:?}, which is not a plain file name")]
    Name {
        /// The name.
        name: String,
    },
}

/// A `pytorch_model.bin` as safetensors. Candle takes tensors out of the pickle and runs nothing of
/// it.
fn from_pickle(path: &Path) -> Result<Vec<u8>, ModelError> {
    let mut tensors = BTreeMap::new();
    for (name, tensor) in pickle::read_all(path).map_err(pickle_error)? {
        // Buffers such as position ids are integers; they are no weights.
        if tensor.dtype().is_float() {
            let shape = tensor.dims().to_vec();
            let values: Vec<f32> = tensor
                .to_dtype(DType::F32)
                .and_then(|tensor| tensor.flatten_all())
                .and_then(|tensor| tensor.to_vec1())
                .map_err(pickle_error)?;
            let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            tensors.insert(name, (shape, data));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| Ok((name, TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    let bytes = views.and_then(|views| safetensors::serialize(views, None));
    bytes.map_err(|error| ModelError::Pickle(Box::new(error)))
}

fn pickle_error(error: candle_core::Error) -> ModelError {
    ModelError::Pickle(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_names_files_beside_it_only() {
        let names = |files: [&str; 2]| {
            let index = serde_json::json!({"weight_map": {"a": files[0], "b": files[1]}});
            shards(index.to_string().as_bytes())
        };
        let two = names(["2.safetensors", "1.safetensors"]).unwrap();
        assert!(two.iter().eq(["1.safetensors", "2.safetensors"]));
        assert_eq!(names(["1.safetensors", "1.safetensors"]).unwrap().len(), 1);
        for bad in ["", ".", "..", "../x", "/x", "a/b", "a\\b", "C:x", "a\nb", "a\0"] {
            let error = names(["1.safetensors", bad]).unwrap_err();
            assert!(matches!(&error, WeightIndexError::Name { name } if name == bad), "{error}");
        }
        assert!(shards(b"{}").is_err() && shards(br#"{"weight_map": {}}"#).is_err());
    }
}
