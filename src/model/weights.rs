//! `model.safetensors`: tensors in f32, or in int8 with scales.
//!
//! An int8 tensor `NAME` of shape `[rows, columns]` has an f32 tensor `NAME_scale` of shape `[rows]`
//! beside it; the weight is `value * scale[row]`. Rows are output channels of a linear layer, or
//! entries of an embedding table.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::kernels::{Matrix, MatrixValues};

/// The tensors of a `model.safetensors`.
pub(crate) struct Weights<'a>(SafeTensors<'a>);

/// A tensor in f32, row-major.
pub(crate) struct F32Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl<'a> Weights<'a> {
    /// Reads the header and checks it against the data.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        Ok(Self(SafeTensors::deserialize(bytes)?))
    }

    /// The names of all weights; scales are not weights.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names().into_iter().filter(|name| !name.ends_with(SCALE))
    }

    /// A weight in f32, dequantized where it is stored in int8.
    pub(crate) fn f32(&self, name: &str) -> Result<F32Tensor, WeightsError> {
        let tensor = self.0.tensor(name)?;
        let values = match tensor.dtype() {
            Dtype::F32 => f32_values(name, &tensor)?,
            _ => self.matrix(name)?.to_f32(),
        };
        Ok(F32Tensor { shape: tensor.shape().to_vec(), values })
    }

    /// A weight of two dimensions, as it is stored.
    pub(crate) fn matrix(&self, name: &str) -> Result<Matrix, WeightsError> {
        let tensor = self.0.tensor(name)?;
        let dtype = tensor.dtype();
        if !matches!(dtype, Dtype::F32 | Dtype::I8) {
            return Err(WeightsError::Dtype { name: name.to_owned(), dtype });
        }
        let [outputs, inputs] = *tensor.shape() else {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                shape: tensor.shape().to_vec(),
                wanted: "it must have rows and columns".to_owned(),
            });
        };
        let values = match dtype {
            Dtype::F32 => MatrixValues::F32(f32_values(name, &tensor)?),
            _ => {
                let scale_name = format!("{name}{SCALE}");
                let scale = self.0.tensor(&scale_name)?;
                if scale.dtype() != Dtype::F32 || scale.shape() != [outputs] {
                    return Err(WeightsError::Shape {
                        name: scale_name,
                        shape: scale.shape().to_vec(),
                        wanted: format!("one f32 scale for each of {outputs} rows"),
                    });
                }
                let values = tensor.data().iter().map(|byte| byte.cast_signed()).collect();
                MatrixValues::Int8 { values, scales: f32_values(&scale_name, &scale)? }
            }
        };
        Ok(Matrix { outputs, inputs, values })
    }
}

/// What the name of a weight's scales ends with.
const SCALE: &str = "_scale";

/// The values of an f32 tensor; safetensors are little-endian.
fn f32_values(name: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>, WeightsError> {
    let (values, _) = tensor.data().as_chunks();
    let values: Vec<_> = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    match values.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(WeightsError::NotFinite { name: name.to_owned(), value }),
        None => Ok(values),
    }
}

/// What is wrong with `model.safetensors`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file is cut or damaged, or lacks a tensor.
    #[error("model.safetensors: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// A tensor has a shape that does not fit.
    #[error("model.safetensors: {name} has shape {shape:?}, but {wanted}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What was expected.
        wanted: String,
    },
    /// A weight is NaN or infinite.
    #[error("model.safetensors: {name} holds {value}; the file is damaged, or training failed")]
    NotFinite {
        /// The tensor's name.
        name: String,
        /// The weight.
        value: f32,
    },
    /// A tensor is of a type that this version does not read.
    #[error("model.safetensors: {name} is stored as {dtype:?}; F32 and I8 with scales are read")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// Its type.
        dtype: Dtype,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
        let views = tensors.iter().map(|&(name, dtype, shape, data)| {
            (name, TensorView::new(dtype, shape.to_vec(), data).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn int8_rows_are_scaled_each_by_their_own() {
        let scales: Vec<u8> = [0.5_f32, 2.0].iter().flat_map(|s| s.to_le_bytes()).collect();
        let values = [1_i8, -127, 0, 3, 4, -5].map(i8::cast_unsigned);
        let bytes =
            file(&[("w", Dtype::I8, &[2, 3], &values), ("w_scale", Dtype::F32, &[2], &scales)]);
        let weights = Weights::parse(&bytes).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["w"]);
        let tensor = weights.f32("w").unwrap();
        assert_eq!(tensor.shape, [2, 3]);
        assert_eq!(tensor.values, [0.5, -63.5, 0.0, 6.0, 8.0, -10.0]);
    }

    #[test]
    fn faults_are_named() {
        let scales = [0; 8];
        let bytes = file(&[
            ("short", Dtype::I8, &[3, 1], &[0; 3]),
            ("short_scale", Dtype::F32, &[2], &scales),
            ("bare", Dtype::I8, &[2, 1], &[0; 2]),
            ("half", Dtype::F16, &[1], &[0; 2]),
        ]);
        let weights = Weights::parse(&bytes).unwrap();
        let error = |name| weights.f32(name).err().unwrap().to_string();
        assert!(error("short").contains("short_scale has shape [2]"));
        assert!(error("bare").contains("bare_scale"));
        assert!(error("half").contains("F16"));
        assert!(error("absent").contains("absent"));
        assert!(Weights::parse(&bytes[..bytes.len() - 1]).is_err());
    }
}
