//! The reference engine: candle's BERT, in f32, on any device that candle knows.
//!
//! It dequantizes int8 weights at load. Probabilities of a window differ by rounding with what else
//! is in its batch (padding changes the shapes of products, and so the order of sums), by less than
//! 1e-5.

use std::collections::HashMap;

use candle_core::{DType, Tensor};
use candle_nn::{Linear, Module, VarBuilder};
use candle_transformers::models::bert;

use super::{Device, Engine, EngineError, Logits, Precision};
use crate::{
    batch::PackedBatch,
    model::{BertConfig, HiddenAct, Model, Pooling, WeightsError},
};

/// A BERT encoder, pooling over its last hidden states, and a linear head.
pub(crate) struct CandleEngine {
    device: candle_core::Device,
    encoder: bert::BertModel,
    head: Linear,
    pooling: Pooling,
    pad_token_id: u32,
    labels: usize,
}

impl CandleEngine {
    /// Puts the model's weights onto `device`.
    pub(crate) fn new(model: &Model, device: Device) -> Result<Self, EngineError> {
        let device = open(device)?;
        let labels = model.manifest.label_count();
        let weights = model.weights()?;
        let mut tensors = HashMap::new();
        for name in weights.names() {
            let tensor = weights.f32(name)?;
            let tensor = Tensor::from_vec(tensor.values, tensor.shape, &device)?;
            tensors.insert(name.to_owned(), tensor);
        }
        let head = head(&tensors, labels, model.config.hidden_size)?;
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &device);
        let encoder = bert::BertModel::load(weights, &candle_config(&model.config)?)?;
        Ok(Self {
            device,
            encoder,
            head,
            pooling: model.manifest.pooling,
            pad_token_id: model.config.pad_token_id,
            labels,
        })
    }

    /// Ids and attention mask, both `[windows, longest window]`: ids padded at the end, the mask 1
    /// for a token and 0 for padding.
    fn padded(&self, batch: &PackedBatch) -> candle_core::Result<(Tensor, Tensor)> {
        let shape = (batch.len(), batch.longest());
        let mut ids = Vec::with_capacity(shape.0 * shape.1);
        let mut mask = Vec::with_capacity(shape.0 * shape.1);
        for window in batch.windows() {
            let padding = shape.1 - window.len();
            ids.extend_from_slice(window);
            ids.extend(std::iter::repeat_n(self.pad_token_id, padding));
            mask.extend(std::iter::repeat_n(1.0_f32, window.len()));
            mask.extend(std::iter::repeat_n(0.0_f32, padding));
        }
        Ok((
            Tensor::from_vec(ids, shape, &self.device)?,
            Tensor::from_vec(mask, shape, &self.device)?,
        ))
    }

    /// One vector a window, `[windows, hidden]`, from `hidden` `[windows, longest window, hidden]`.
    fn pool(&self, hidden: &Tensor, mask: &Tensor) -> candle_core::Result<Tensor> {
        match self.pooling {
            Pooling::Mean => {
                // [windows, 1, longest] times [windows, longest, hidden].
                let sums = mask.unsqueeze(1)?.matmul(hidden)?.squeeze(1)?;
                sums.broadcast_div(&mask.sum_keepdim(1)?)
            }
            Pooling::Cls => hidden.narrow(1, 0, 1)?.squeeze(1)?.contiguous(),
        }
    }
}

impl Engine for CandleEngine {
    fn forward(&self, batch: &PackedBatch, _: usize) -> Result<Logits, EngineError> {
        if batch.is_empty() {
            return Logits::new(Vec::new(), self.labels);
        }
        let (ids, mask) = self.padded(batch)?;
        let hidden = self.encoder.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let logits = self.head.forward(&self.pool(&hidden, &mask)?)?;
        Logits::new(logits.flatten_all()?.to_vec1()?, self.labels)
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}

/// The linear head: `classifier.weight` `[labels, hidden]` and `classifier.bias` `[labels]`.
fn head(
    tensors: &HashMap<String, Tensor>,
    labels: usize,
    hidden_size: usize,
) -> Result<Linear, EngineError> {
    let get = |name: &str, shape: &[usize]| {
        let wanted = format!("{labels} labels and hidden_size {hidden_size} want {shape:?}");
        match tensors.get(name) {
            Some(tensor) if tensor.dims() == shape => Ok(tensor.clone()),
            found => Err(WeightsError::Shape {
                name: name.to_owned(),
                shape: found.map_or_else(Vec::new, |tensor| tensor.dims().to_vec()),
                wanted,
            }),
        }
    };
    let weight = get("classifier.weight", &[labels, hidden_size])?;
    let bias = get("classifier.bias", &[labels])?;
    Ok(Linear::new(weight, Some(bias)))
}

fn open(device: Device) -> Result<candle_core::Device, EngineError> {
    let (opened, hint) = match device {
        Device::Cpu => return Ok(candle_core::Device::Cpu),
        Device::Cuda(number) => (
            candle_core::Device::new_cuda(number),
            "it needs an NVIDIA GPU and a build with --features cuda",
        ),
        Device::Metal(number) => (
            candle_core::Device::new_metal(number),
            "it needs an Apple GPU and a build with --features metal",
        ),
    };
    opened.map_err(|source| EngineError::Device { device, source: Box::new(source), hint })
}

/// Candle's form of the configuration; dropout and initialization play no part in inference.
fn candle_config(config: &BertConfig) -> Result<bert::Config, EngineError> {
    Ok(bert::Config {
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        intermediate_size: config.intermediate_size,
        hidden_act: match config.hidden_act {
            HiddenAct::Gelu => bert::HiddenAct::Gelu,
            HiddenAct::GeluTanh => bert::HiddenAct::GeluApproximate,
            HiddenAct::Relu => bert::HiddenAct::Relu,
            HiddenAct::Silu => return Err(EngineError::CandleActivation),
        },
        hidden_dropout_prob: 0.0,
        max_position_embeddings: config.max_position_embeddings,
        type_vocab_size: config.type_vocab_size,
        initializer_range: 0.0,
        layer_norm_eps: config.layer_norm_eps,
        pad_token_id: config.pad_token_id as usize,
        position_embedding_type: bert::PositionEmbeddingType::Absolute,
        use_cache: false,
        classifier_dropout: None,
        model_type: None,
    })
}
