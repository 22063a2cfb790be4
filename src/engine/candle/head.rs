//! From hidden states to logits.

use candle_core::{Result, Tensor};

use super::{
    layers::{LayerNorm, Linear, Loader, activate},
    sequences::Sequences,
};
use crate::{
    engine::EngineError,
    model::{Dimension, HeadConfig, HiddenAct, Pooling},
};

/// Pooling, often a dense layer, and a linear one, in f32.
pub(super) struct Head {
    pooling: Pooling,
    transform: Option<(Linear, HiddenAct, Option<LayerNorm>)>,
    classifier: Linear,
}

impl Head {
    pub(super) fn new(
        loader: &Loader<'_>,
        config: &HeadConfig,
        hidden_size: usize,
        labels: usize,
    ) -> std::result::Result<Self, EngineError> {
        // A row a window: single precision costs nothing here.
        let loader = &loader.in_f32();
        let hidden = Dimension("hidden_size", hidden_size);
        let transform = match &config.transform {
            Some(transform) => {
                let dense = loader.linear(&[transform.dense], hidden, hidden, transform.bias)?;
                let norm = transform.norm.as_ref();
                let norm = norm.map(|norm| loader.norm(norm.name, hidden, norm.epsilon, norm.bias));
                Some((dense, transform.activation, norm.transpose()?))
            }
            None => None,
        };
        let labels = Dimension("id2label", labels);
        Ok(Self {
            pooling: config.pooling,
            transform,
            classifier: loader.linear(&[config.classifier], labels, hidden, true)?,
        })
    }

    /// Logits `[windows, labels]` of hidden states `[tokens, hidden]`.
    pub(super) fn forward(&self, hidden: &Tensor, sequences: &Sequences) -> Result<Tensor> {
        let mut pooled = match self.pooling {
            Pooling::Mean => sequences.means(hidden)?,
            Pooling::Cls => hidden.index_select(&sequences.first_tokens, 0)?,
        };
        if let Some((dense, activation, norm)) = &self.transform {
            pooled = activate(*activation, &dense.forward(&pooled)?)?;
            if let Some(norm) = norm {
                pooled = norm.forward(&pooled)?;
            }
        }
        self.classifier.forward(&pooled)
    }
}
