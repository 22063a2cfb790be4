//! A packed batch in, logits out.

mod candle;
mod device;
#[cfg(test)]
mod golden;
mod packed;
mod precision;

use std::{fmt, str::FromStr};

pub(crate) use candle::CandleEngine;
pub use device::{Device, ParseDeviceError};
#[cfg(all(feature = "cli", feature = "shipped"))]
pub(crate) use packed::on_this_cpu;
pub use precision::{ParsePrecisionError, Precision};

use crate::{
    batch::PackedBatch,
    kernels::InstructionSetError,
    model::{Encoder, Model, WeightsError},
};

/// The forward pass of a classifier.
///
/// A window's logits depend on its own ids alone; engines state how far rounding may make them
/// differ with what else is in the batch.
pub(crate) trait Engine: Send + Sync {
    /// Computes the logits of every window of `batch`; may share the work out among `threads` of
    /// the rayon pool that it is called in.
    fn forward(&self, batch: &PackedBatch, threads: usize) -> Result<Logits, EngineError>;

    /// The number format that products are computed in.
    fn precision(&self) -> Precision;

    /// Tokens in a batch that it is fastest with.
    fn batch_tokens(&self) -> usize;
}

/// An implementation of the forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineKind {
    /// dignity's own, for CPUs: packed weights, no padding, fused kernels.
    Packed,
    /// candle's, for any device that candle knows; the reference.
    Candle,
}

impl EngineKind {
    /// All engines.
    pub const ALL: [Self; 2] = [Self::Packed, Self::Candle];

    /// The name, as it is written in options and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Candle => "candle",
        }
    }

    /// The engine that is best for an encoder on a device.
    pub(crate) fn best(encoder: &Encoder, device: Device) -> Self {
        match (encoder, device) {
            (Encoder::Bert(_), Device::Cpu) => Self::Packed,
            _ => Self::Candle,
        }
    }

    /// Puts a model onto a device, to compute in the given precision or, where the engine or the
    /// device cannot, in single precision.
    pub(crate) fn load(
        self,
        model: &Model,
        device: Device,
        precision: Option<Precision>,
    ) -> Result<Box<dyn Engine>, EngineError> {
        match (self, device) {
            (Self::Candle, _) => Ok(Box::new(CandleEngine::new(model, device, precision)?)),
            (Self::Packed, Device::Cpu) => packed::load(model, precision),
            (Self::Packed, _) => Err(EngineError::PackedDevice { device }),
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no engine; write packed or candle")]
pub struct ParseEngineKindError(String);

impl FromStr for EngineKind {
    type Err = ParseEngineKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |kind: &Self| kind.name() == text;
        Self::ALL.into_iter().find(named).ok_or_else(|| ParseEngineKindError(text.to_owned()))
    }
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

/// Refuses tokens that a model of this vocabulary has no embedding for.
fn check_tokens(batch: &PackedBatch, vocabulary: usize) -> Result<(), EngineError> {
    match batch.windows().flatten().find(|&&id| id as usize >= vocabulary) {
        Some(&id) => Err(EngineError::Token { id, vocabulary }),
        None => Ok(()),
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
    /// The packed engine was asked for on another device than the CPU.
    #[error("the engine packed runs on the CPU only, not on {device}; use the engine candle there")]
    PackedDevice {
        /// The device asked for.
        device: Device,
    },
    /// The tokenizer gave a token that the model has no embedding for.
    #[error(
        "token {id} is beyond the model's {vocabulary} embeddings; \
         tokenizer.json and model.safetensors are of different models"
    )]
    Token {
        /// The token's id.
        id: u32,
        /// Embeddings of the model.
        vocabulary: usize,
    },
    /// The packed engine was asked for an encoder that it does not compute.
    #[error(
        "the engine packed computes encoders of BERT's shape, not {family}; use the engine candle"
    )]
    PackedFamily {
        /// The encoder's family.
        family: &'static str,
    },
    /// The environment asks for an instruction set that this CPU lacks.
    #[error(transparent)]
    InstructionSet(#[from] InstructionSetError),
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
