//! A packed batch in, logits out.

mod candle;
mod device;
#[cfg(test)]
mod golden;

pub(crate) use candle::CandleEngine;
pub use device::{Device, ParseDeviceError};

use crate::{batch::PackedBatch, model::WeightsError};

/// The forward pass of a classifier.
///
/// A window's logits depend on its own ids alone; engines state how far rounding may make them
/// differ with what else is in the batch.
pub(crate) trait Engine: Send + Sync {
    /// Computes the logits of every window of `batch`.
    fn forward(&self, batch: &PackedBatch) -> Result<Logits, EngineError>;

    /// The number format that products are computed in.
    fn precision(&self) -> &'static str;
}

/// Logits of a batch: one row a window, one column a label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Logits {
    values: Vec<f32>,
    labels: usize,
}

impl Logits {
    /// Takes logits in row-major order, `labels` to a row.
    ///
    /// NaN and infinities are refused: as a probability, they would pass for a real answer.
    fn new(values: Vec<f32>, labels: usize) -> Result<Self, EngineError> {
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(EngineError::NotFinite { label: at % labels }),
            None => Ok(Self { values, labels }),
        }
    }

    /// The logits of each window, in batch order.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.labels)
    }
}

/// Why an engine could not be built or could not compute.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The weights do not fit the configuration, or cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The device cannot be used.
    #[error("the device {device} cannot be used: {source}; {hint}")]
    Device {
        /// The device asked for.
        device: Device,
        /// What candle said.
        source: Box<candle_core::Error>,
        /// What to do.
        hint: &'static str,
    },
    /// Candle failed.
    #[error("the forward pass failed: {0}")]
    Candle(#[from] Box<candle_core::Error>),
    /// A logit is NaN or infinite.
    #[error("logit {label} is not a finite number; the weights are damaged")]
    NotFinite {
        /// The label's place.
        label: usize,
    },
}

impl From<candle_core::Error> for EngineError {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_refused() {
        let logits = Logits::new(vec![1.0, 2.0, 3.0, 4.0], 2).unwrap();
        assert_eq!(logits.rows().collect::<Vec<_>>(), [[1.0, 2.0], [3.0, 4.0]]);
        for bad in [f32::NAN, f32::INFINITY] {
            let error = Logits::new(vec![0.0, 0.0, 0.0, bad], 2).unwrap_err();
            assert!(matches!(error, EngineError::NotFinite { label: 1 }));
        }
    }
}
