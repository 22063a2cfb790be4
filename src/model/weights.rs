//! Tensors of `model.safetensors`, or of several such files: in f32, f16 or bf16, or in int8 with scales.
//!
//! An int8 tensor `NAME` of shape `[rows, columns]` has an f32 tensor `NAME_scale` of shape `[rows]`
//! beside it; the weight is `value * scale[row]`. Rows are output channels of a linear layer, or
//! entries of an embedding table.

use std::{borrow::Cow, collections::HashMap};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::kernels::{Matrix, MatrixValues};

/// The tensors of a model.
pub(crate) struct Weights<'a>(HashMap<String, TensorView<'a>>);

/// A dimension that a tensor must have: the field of `config.json` that asks for it, and its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dimension(pub(crate) &'static str, pub(crate) usize);

impl<'a> Weights<'a> {
    /// Reads the header of every file and checks it against the data.
    pub(crate) fn parse(files: &'a [Cow<'static, [u8]>]) -> Result<Self, WeightsError> {
        let mut all = HashMap::new();
        for file in files {
            for (name, tensor) in SafeTensors::deserialize(file)?.tensors() {
                if all.insert(name.clone(), tensor).is_some() {
                    return Err(WeightsError::Twice { name });
                }
            }
        }
        Ok(Self(all))
    }

    /// Whether any are stored in int8.
    pub(crate) fn in_int8(&self) -> bool {
        self.0.values().any(|tensor| tensor.dtype() == Dtype::I8)
    }

    /// A weight in f32, row-major, of the given shape.
    pub(crate) fn f32(&self, name: &str, shape: &[Dimension]) -> Result<Vec<f32>, WeightsError> {
        let tensor = self.shaped(name, shape)?;
        match tensor.dtype() {
            Dtype::I8 => Ok(self.int8(name, tensor)?.to_f32()),
            _ => f32_values(name, tensor),
        }
    }

    /// A weight of the given outputs and inputs, as it is stored if that is in int8.
    pub(crate) fn matrix(
        &self,
        name: &str,
        outputs: Dimension,
        inputs: Dimension,
    ) -> Result<Matrix, WeightsError> {
        let tensor = self.shaped(name, &[outputs, inputs])?;
        match tensor.dtype() {
            Dtype::I8 => self.int8(name, tensor),
            _ => {
                let values = MatrixValues::F32(f32_values(name, tensor)?);
                Ok(Matrix { outputs: outputs.1, inputs: inputs.1, values })
            }
        }
    }

    /// A weight by name, or by what the first BERT checkpoints call it.
    fn find(&self, name: &str) -> Option<&TensorView<'a>> {
        self.0.get(name).or_else(|| {
            let old = match name.strip_suffix("LayerNorm.weight") {
                Some(prefix) => format!("{prefix}LayerNorm.gamma"),
                None => format!("{}LayerNorm.beta", name.strip_suffix("LayerNorm.bias")?),
            };
            self.0.get(&old)
        })
    }

    fn shaped(&self, name: &str, shape: &[Dimension]) -> Result<&TensorView<'a>, WeightsError> {
        let missing = || WeightsError::Missing { name: name.to_owned() };
        let tensor = self.find(name).ok_or_else(missing)?;
        if !tensor.shape().iter().eq(shape.iter().map(|Dimension(_, size)| size)) {
            let sizes: Vec<_> = shape.iter().map(|Dimension(_, size)| size).collect();
            let fields: Vec<_> =
                shape.iter().map(|Dimension(field, size)| format!("{field} {size}")).collect();
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                shape: tensor.shape().to_vec(),
                wanted: format!("config.json wants {sizes:?} ({})", fields.join(", ")),
            });
        }
        Ok(tensor)
    }

    fn int8(&self, name: &str, tensor: &TensorView<'a>) -> Result<Matrix, WeightsError> {
        let [outputs, inputs] = *tensor.shape() else {
            return Err(WeightsError::Dtype { name: name.to_owned(), dtype: tensor.dtype() });
        };
        let scale_name = format!("{name}_scale");
        let missing = || WeightsError::Missing { name: scale_name.clone() };
        let scale = self.0.get(&scale_name).ok_or_else(missing)?;
        if scale.dtype() != Dtype::F32 || scale.shape() != [outputs] {
            return Err(WeightsError::Shape {
                name: scale_name,
                shape: scale.shape().to_vec(),
                wanted: format!("one f32 scale is needed for each of {outputs} rows"),
            });
        }
        let values = tensor.data().iter().map(|byte| byte.cast_signed()).collect();
        let scales = f32_values(&scale_name, scale)?;
        Ok(Matrix { outputs, inputs, values: MatrixValues::Int8 { values, scales } })
    }
}

/// The values of a tensor of floating-point numbers; safetensors are little-endian.
fn f32_values(name: &str, tensor: &TensorView<'_>) -> Result<Vec<f32>, WeightsError> {
    fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks().0.iter().map(|&bytes| read(bytes)).collect()
    }
    let data = tensor.data();
    let values = match tensor.dtype() {
        Dtype::F32 => numbers(data, f32::from_le_bytes),
        Dtype::F16 => numbers(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Dtype::BF16 => numbers(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        dtype => return Err(WeightsError::Dtype { name: name.to_owned(), dtype }),
    };
    match values.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(WeightsError::NotFinite { name: name.to_owned(), value }),
        None => Ok(values),
    }
}

/// What is wrong with `model.safetensors`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file is cut or damaged.
    #[error("model.safetensors: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// A tensor is not there.
    #[error(
        "model.safetensors has no tensor {name}, which config.json's model_type and architectures ask for"
    )]
    Missing {
        /// The tensor's name.
        name: String,
    },
    /// Two files hold a tensor of the same name.
    #[error("model.safetensors: {name} is in two of the model's files")]
    Twice {
        /// The tensor's name.
        name: String,
    },
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
    #[error(
        "model.safetensors: {name} is stored as {dtype:?}; F32, F16, BF16, and I8 with scales, are read"
    )]
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

    fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Cow<'static, [u8]> {
        let views = tensors.iter().map(|&(name, dtype, shape, data)| {
            (name, TensorView::new(dtype, shape.to_vec(), data).unwrap())
        });
        safetensors::serialize(views, None).unwrap().into()
    }

    fn shape<const N: usize>(sizes: [usize; N]) -> [Dimension; N] {
        sizes.map(|size| Dimension("hidden_size", size))
    }

    #[test]
    fn int8_rows_are_scaled_each_by_their_own() {
        let scales: Vec<u8> = [0.5_f32, 2.0].iter().flat_map(|s| s.to_le_bytes()).collect();
        let values = [1_i8, -127, 0, 3, 4, -5].map(i8::cast_unsigned);
        let files =
            [file(&[("w", Dtype::I8, &[2, 3], &values), ("w_scale", Dtype::F32, &[2], &scales)])];
        let weights = Weights::parse(&files).unwrap();
        let values = weights.f32("w", &shape([2, 3])).unwrap();
        assert_eq!(values, [0.5, -63.5, 0.0, 6.0, 8.0, -10.0]);
    }

    #[test]
    fn halves_are_read_and_files_are_joined() {
        let halves: Vec<u8> = [1.5_f32, -2.0].map(f16::from_f32).map(f16::to_le_bytes).concat();
        let brains: Vec<u8> = [1.5_f32, -3.0].map(bf16::from_f32).map(bf16::to_le_bytes).concat();
        let files = [
            file(&[("a", Dtype::F16, &[2], &halves)]),
            file(&[("b.LayerNorm.gamma", Dtype::BF16, &[1, 2], &brains)]),
        ];
        let weights = Weights::parse(&files).unwrap();
        assert_eq!(weights.f32("a", &shape([2])).unwrap(), [1.5, -2.0]);
        assert_eq!(weights.f32("b.LayerNorm.weight", &shape([1, 2])).unwrap(), [1.5, -3.0]);
        let twice = Weights::parse(&[files[0].clone(), files[0].clone()]).err().unwrap();
        assert!(twice.to_string().contains("a is in two"), "{twice}");
    }

    #[test]
    fn faults_are_named() {
        let scales = [0; 8];
        let nan = f32::NAN.to_le_bytes();
        let bytes = file(&[
            ("short", Dtype::I8, &[3, 1], &[0; 3]),
            ("short_scale", Dtype::F32, &[2], &scales),
            ("bare", Dtype::I8, &[2, 1], &[0; 2]),
            ("long", Dtype::I64, &[1], &[0; 8]),
            ("nan", Dtype::F32, &[1], &nan),
        ]);
        let files = [bytes.clone()];
        let weights = Weights::parse(&files).unwrap();
        let error = |name, shape: &[Dimension]| weights.f32(name, shape).unwrap_err().to_string();
        assert!(error("short", &shape([3, 1])).contains("short_scale has shape [2]"));
        assert!(error("bare", &shape([2, 1])).contains("no tensor bare_scale"));
        assert!(error("long", &shape([1])).contains("I64"));
        assert!(error("nan", &shape([1])).contains("nan holds NaN"));
        assert!(error("absent", &[]).contains("no tensor absent"));
        let other = error("nan", &[Dimension("id2label", 3), Dimension("hidden_size", 8)]);
        assert!(
            other.contains("nan has shape [1]")
                && other.contains("[3, 8] (id2label 3, hidden_size 8)")
        );
        assert!(Weights::parse(&[bytes[..bytes.len() - 1].to_vec().into()]).is_err());
    }
}
