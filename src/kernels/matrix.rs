//! Weights as a model directory stores them.

/// Weights `[outputs, inputs]`, row-major.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) values: MatrixValues,
}

/// The numbers of a [`Matrix`].
#[derive(Clone, Debug)]
pub(crate) enum MatrixValues {
    /// In single precision.
    F32(Vec<f32>),
    /// In int8, each output's times its scale.
    Int8 {
        /// The numbers, unscaled.
        values: Vec<i8>,
        /// A scale for each output.
        scales: Vec<f32>,
    },
}

impl Matrix {
    /// The outputs of several matrices with the same inputs, one after another; in int8 if all are.
    pub(crate) fn stacked(inputs: usize, matrices: &[Self]) -> Self {
        let int8 = matrices.iter().map(|matrix| match &matrix.values {
            MatrixValues::Int8 { values, scales } => Some((values.as_slice(), scales.as_slice())),
            MatrixValues::F32(_) => None,
        });
        let values = match int8.collect::<Option<Vec<_>>>() {
            Some(parts) => {
                let (values, scales): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
                MatrixValues::Int8 { values: values.concat(), scales: scales.concat() }
            }
            None => MatrixValues::F32(matrices.iter().flat_map(Self::to_f32).collect()),
        };
        Self { outputs: matrices.iter().map(|matrix| matrix.outputs).sum(), inputs, values }
    }

    /// All weights in single precision.
    pub(crate) fn to_f32(&self) -> Vec<f32> {
        (0..self.outputs).flat_map(|output| self.row(output)).collect()
    }

    /// An output's weights in int8 and their scale: those that are stored, or the nearest multiples of
    /// a 127th of the greatest.
    pub(super) fn quantized(&self, output: usize) -> (Vec<i8>, f32) {
        if let MatrixValues::Int8 { values, scales } = &self.values {
            let range = output * self.inputs..(output + 1) * self.inputs;
            return (values[range].to_vec(), scales[output]);
        }
        let row = self.row(output);
        let greatest = row.iter().fold(0.0_f32, |greatest, weight| greatest.max(weight.abs()));
        let scale = if greatest > 0.0 { greatest / 127.0 } else { 1.0 };
        (row.iter().map(|weight| (weight / scale).round_ties_even() as i8).collect(), scale)
    }

    /// An output's weights in single precision.
    pub(super) fn row(&self, output: usize) -> Vec<f32> {
        let range = output * self.inputs..(output + 1) * self.inputs;
        match &self.values {
            MatrixValues::F32(values) => values[range].to_vec(),
            MatrixValues::Int8 { values, scales } => {
                values[range].iter().map(|&value| f32::from(value) * scales[output]).collect()
            }
        }
    }
}
