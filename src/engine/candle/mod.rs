//! The reference engine: every family, on any device that candle knows.
//!
//! The tokens of a batch's windows are the rows of one matrix, as in the packed engine; only attention
//! sees padding, and masks it. Int8 weights are dequantized at load. Hidden states, normalizations,
//! softmax and the head are in f32 whatever the precision of the other products. Probabilities of a window differ by rounding with what
//! else is in its batch (padding changes the shapes of products, and so the order of sums), in f32
//! by less than 1e-5.

mod attention;
mod bert;
mod deberta;
mod head;
mod layers;
mod modernbert;
mod sequences;

use candle_core::{DType, Tensor};

use self::{
    bert::Bert, deberta::Deberta, head::Head, layers::Loader, modernbert::ModernBert,
    sequences::Sequences,
};
use super::{Device, Engine, EngineError, Logits, Precision};
use crate::{
    batch::PackedBatch,
    model::{Encoder, Model},
};

/// An encoder, pooling over its last hidden states, and a head, on one device.
pub(crate) struct CandleEngine {
    device: candle_core::Device,
    precision: Precision,
    vocabulary: usize,
    encoder: Box<dyn Encode>,
    head: Head,
    labels: usize,
}

/// The forward pass of an encoder.
trait Encode: Send + Sync {
    /// The last hidden states, `[tokens, hidden]` in f32.
    fn forward(&self, sequences: &Sequences) -> candle_core::Result<Tensor>;
}

impl CandleEngine {
    /// Puts the model's weights onto `device`, in the precision asked for or in single precision.
    pub(crate) fn new(
        model: &Model,
        device: Device,
        precision: Option<Precision>,
    ) -> Result<Self, EngineError> {
        let opened = device.open()?;
        let precision = match precision {
            None if opened.is_cuda() => Precision::Bf16,
            Some(half @ (Precision::F16 | Precision::Bf16)) => half,
            None | Some(Precision::F32 | Precision::Int8 | Precision::W8A16) => Precision::F32,
        };
        let dtype = match precision {
            Precision::F16 => DType::F16,
            Precision::Bf16 => DType::BF16,
            Precision::F32 | Precision::Int8 | Precision::W8A16 => DType::F32,
        };
        let labels = model.labels.len();
        let weights = &model.weights()?;
        let loader = Loader { weights, device: opened.clone(), dtype };
        let encoder: Box<dyn Encode> = match &model.config.encoder {
            Encoder::Bert(config) => Box::new(Bert::new(&loader, config)?),
            Encoder::Deberta(config) => Box::new(Deberta::new(&loader, config)?),
            Encoder::ModernBert(config) => Box::new(ModernBert::new(&loader, config)?),
        };
        let hidden_size = model.config.encoder.hidden_size();
        Ok(Self {
            device: opened,
            precision,
            vocabulary: model.config.encoder.vocab_size(),
            encoder,
            head: Head::new(&loader, &model.config.head, hidden_size, labels)?,
            labels,
        })
    }
}

impl Engine for CandleEngine {
    fn forward(&self, batch: &PackedBatch, _: usize) -> Result<Logits, EngineError> {
        if batch.is_empty() {
            return Logits::new(Vec::new(), self.labels);
        }
        // A GPU would read beyond the table without a word.
        super::check_tokens(batch, self.vocabulary)?;
        let sequences = Sequences::new(batch, &self.device)?;
        let hidden = self.encoder.forward(&sequences)?;
        let logits = self.head.forward(&hidden, &sequences)?;
        Logits::new(logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?, self.labels)
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn batch_tokens(&self) -> usize {
        if self.device.is_cpu() { CPU_BATCH_TOKENS } else { GPU_BATCH_TOKENS }
    }
}

/// On a CPU an operation costs the same however small it is.
const CPU_BATCH_TOKENS: usize = 1_024;
const GPU_BATCH_TOKENS: usize = 16_384;
