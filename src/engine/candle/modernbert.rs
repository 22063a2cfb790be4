//! ModernBERT: rotary positions, gated feed-forward layers, normalized before each residual connection.
//!
//! Warner et al., "Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder for Fast, Memory
//! Efficient, and Long Context Finetuning and Inference", 2024.

use candle_core::{DType, Result, Tensor};

use super::{
    Encode,
    attention::attend,
    layers::{LayerNorm, Linear, Loader, activate, residual},
    sequences::Sequences,
};
use crate::{
    engine::EngineError,
    model::{Dimension, HiddenAct, LayerAttention, ModernBertConfig},
};

/// A ModernBERT encoder.
pub(super) struct ModernBert {
    /// `[vocabulary, hidden]`
    words: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
    /// Of layers that attend to all tokens.
    global_rotary: Rotary,
    /// Of the others.
    local_rotary: Rotary,
}

struct Layer {
    heads: usize,
    /// None in the first layer, which follows the embeddings' own.
    attention_norm: Option<LayerNorm>,
    query_key_value: Linear,
    attention_output: Linear,
    mlp_norm: LayerNorm,
    /// To what is activated, and after it to its gates.
    expand: Linear,
    activation: HiddenAct,
    contract: Linear,
    sliding_window: Option<usize>,
}

impl ModernBert {
    pub(super) fn new(
        loader: &Loader<'_>,
        config: &ModernBertConfig,
    ) -> std::result::Result<Self, EngineError> {
        let hidden = Dimension("hidden_size", config.hidden_size);
        let norm = |name: &str| loader.norm(name, hidden, config.norm_eps, config.norm_bias);
        let layer = |(index, attention): (usize, &LayerAttention)| {
            let name = |part: &str| format!("model.layers.{index}.{part}");
            let linear = |part: &str, outputs, inputs, bias| {
                loader.linear(&[&name(part)], outputs, inputs, bias)
            };
            let three = Dimension("3 hidden_size", 3 * config.hidden_size);
            let intermediate = Dimension("intermediate_size", config.intermediate_size);
            let two = Dimension("2 intermediate_size", 2 * config.intermediate_size);
            Ok::<_, EngineError>(Layer {
                heads: config.num_attention_heads,
                attention_norm: match index {
                    0 => None,
                    _ => Some(norm(&name("attn_norm"))?),
                },
                query_key_value: linear("attn.Wqkv", three, hidden, config.attention_bias)?,
                attention_output: linear("attn.Wo", hidden, hidden, config.attention_bias)?,
                mlp_norm: norm(&name("mlp_norm"))?,
                expand: linear("mlp.Wi", two, hidden, config.mlp_bias)?,
                activation: config.hidden_activation,
                contract: linear("mlp.Wo", hidden, intermediate, config.mlp_bias)?,
                sliding_window: match attention {
                    LayerAttention::Full => None,
                    LayerAttention::Sliding => Some(config.sliding_window),
                },
            })
        };
        let vocabulary = Dimension("vocab_size", config.vocab_size);
        let rotary = |theta| Rotary::new(loader, config, theta);
        Ok(Self {
            words: loader.embedding("model.embeddings.tok_embeddings", vocabulary, hidden)?,
            norm: norm("model.embeddings.norm")?,
            layers: config
                .layers
                .iter()
                .enumerate()
                .map(layer)
                .collect::<std::result::Result<_, _>>()?,
            final_norm: norm("model.final_norm")?,
            global_rotary: rotary(config.global_rope_theta)?,
            local_rotary: rotary(config.local_rope_theta)?,
        })
    }
}

impl Encode for ModernBert {
    fn forward(&self, sequences: &Sequences) -> Result<Tensor> {
        let global = self.global_rotary.at(sequences)?;
        let local = self.local_rotary.at(sequences)?;
        let mut hidden = self.norm.forward(&self.words.index_select(&sequences.ids, 0)?)?;
        for layer in &self.layers {
            let rotation = if layer.sliding_window.is_some() { &local } else { &global };
            hidden = layer.forward(&hidden, sequences, rotation)?;
        }
        self.final_norm.forward(&hidden)
    }
}

impl Layer {
    fn forward(
        &self,
        hidden: &Tensor,
        sequences: &Sequences,
        rotation: &Rotation,
    ) -> Result<Tensor> {
        let normal = match &self.attention_norm {
            Some(norm) => &norm.forward(hidden)?,
            None => hidden,
        };
        let columns = hidden.dim(1)?;
        let projected = self.query_key_value.forward(normal)?;
        let part = |index: usize| projected.narrow(1, index * columns, columns);
        let query = rotation.apply(&part(0)?, self.heads)?;
        let key = rotation.apply(&part(1)?, self.heads)?;
        let context =
            attend(sequences, [&query, &key, &part(2)?], self.heads, self.sliding_window)?;
        let hidden = residual(hidden, &self.attention_output.forward(&context)?)?;
        let expanded = self.expand.forward(&self.mlp_norm.forward(&hidden)?)?;
        let size = expanded.dim(1)? / 2;
        let activated = activate(self.activation, &expanded.narrow(1, 0, size)?)?;
        let gated = (activated * expanded.narrow(1, size, size)?)?;
        residual(&hidden, &self.contract.forward(&gated)?)
    }
}

/// Rotations of pairs of a head's numbers by angles that grow with a token's position.
///
/// Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
struct Rotary {
    /// `[positions, half a head]`, in f32.
    cos: Tensor,
    sin: Tensor,
}

/// The rotations of a batch's tokens, `[tokens, 1, half a head]`, in f32.
struct Rotation {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    fn new(loader: &Loader<'_>, config: &ModernBertConfig, theta: f64) -> Result<Self> {
        let size = config.hidden_size / config.num_attention_heads;
        let positions = config.max_position_embeddings;
        let frequency = |pair: usize| (1.0 / theta.powf(2.0 * pair as f64 / size as f64)) as f32;
        let angles: Vec<f32> = (0..positions)
            .flat_map(|position| (0..size / 2).map(move |pair| position as f32 * frequency(pair)))
            .collect();
        let angles = Tensor::from_vec(angles, (positions, size / 2), &loader.device)?;
        Ok(Self { cos: angles.cos()?, sin: angles.sin()? })
    }

    fn at(&self, sequences: &Sequences) -> Result<Rotation> {
        let select = |table: &Tensor| table.index_select(&sequences.positions, 0)?.unsqueeze(1);
        Ok(Rotation { cos: select(&self.cos)?, sin: select(&self.sin)? })
    }
}

impl Rotation {
    /// Rotates `[tokens, hidden]`, head by head: the first half of a head against the second.
    fn apply(&self, rows: &Tensor, heads: usize) -> Result<Tensor> {
        let (tokens, hidden) = rows.dims2()?;
        let size = hidden / heads;
        let split = rows.reshape((tokens, heads, size))?.to_dtype(DType::F32)?;
        let (first, second) = (split.narrow(2, 0, size / 2)?, split.narrow(2, size / 2, size / 2)?);
        let turned = [
            (first.broadcast_mul(&self.cos)? - second.broadcast_mul(&self.sin)?)?,
            (second.broadcast_mul(&self.cos)? + first.broadcast_mul(&self.sin)?)?,
        ];
        Tensor::cat(&turned, 2)?.reshape((tokens, hidden))?.to_dtype(rows.dtype())
    }
}
