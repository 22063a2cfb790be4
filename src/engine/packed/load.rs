//! A model's tensors to packed layers.

use super::{PackedEngine, embeddings::Embeddings, encoder::Layer};
use crate::{
    engine::{EngineError, Precision},
    kernels::{LayerNorm, Linear, Matrix, Product, Simd},
    model::{BertConfig, Dimension, Encoder, Model, Weights, WeightsError},
};

impl<S: Simd, P: Product<S>> PackedEngine<S, P> {
    /// Packs the model's weights; `precision` is what `P` computes in.
    pub(super) fn new(simd: S, model: &Model, precision: Precision) -> Result<Self, EngineError> {
        let Encoder::Bert(config) = &model.config.encoder else {
            return Err(EngineError::PackedFamily { family: model.config.encoder.family() });
        };
        let hidden = Dimension("hidden_size", config.hidden_size);
        let embedding = Dimension("embedding_size", config.embedding_size);
        let intermediate = Dimension("intermediate_size", config.intermediate_size);
        let tensors = Tensors { weights: model.weights()?, epsilon: config.layer_norm_eps };
        let layer = |index| -> Result<Layer<S, P>, WeightsError> {
            let names = config.layer(index);
            Ok(Layer {
                heads: config.num_attention_heads,
                query: tensors.linear(simd, &[&names.query], hidden, hidden)?,
                key_value: tensors.linear(simd, &[&names.key, &names.value], hidden, hidden)?,
                attention_output: tensors.linear(
                    simd,
                    &[&names.output.attention_output],
                    hidden,
                    hidden,
                )?,
                attention_norm: tensors.norm(&names.output.attention_norm, hidden)?,
                intermediate: tensors.linear(
                    simd,
                    &[&names.output.intermediate],
                    intermediate,
                    hidden,
                )?,
                activation: config.hidden_act,
                output: tensors.linear(simd, &[&names.output.output], hidden, intermediate)?,
                norm: tensors.norm(&names.output.norm, hidden)?,
            })
        };
        let head = &model.config.head;
        let projection = config.projection();
        let transform = head.transform.as_ref().map(|transform| {
            let dense = tensors.linear(simd, &[transform.dense], hidden, hidden)?;
            Ok::<_, WeightsError>((dense, transform.activation))
        });
        let labels = Dimension("id2label", model.labels.len());
        Ok(Self {
            simd,
            embeddings: tensors.embeddings(config)?,
            projection: projection
                .map(|name| tensors.linear(simd, &[&name], hidden, embedding))
                .transpose()?,
            hidden_size: config.hidden_size,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            pooling: head.pooling,
            transform: transform.transpose()?,
            head: tensors.linear(simd, &[head.classifier], labels, hidden)?,
            precision,
            scratch: Default::default(),
        })
    }
}

/// The tensors of a model, each of the shape that is asked for.
struct Tensors<'a> {
    weights: Weights<'a>,
    epsilon: f64,
}

impl Tensors<'_> {
    /// Linear layers `[outputs, inputs]` with the same inputs, as one layer.
    fn linear<S: Simd, P: Product<S>>(
        &self,
        simd: S,
        names: &[&str],
        outputs: Dimension,
        inputs: Dimension,
    ) -> Result<Linear<S, P>, WeightsError> {
        let mut bias = Vec::with_capacity(names.len() * outputs.1);
        let mut matrices = Vec::with_capacity(names.len());
        for name in names {
            bias.extend(self.weights.f32(&format!("{name}.bias"), &[outputs])?);
            matrices.push(self.weights.matrix(&format!("{name}.weight"), outputs, inputs)?);
        }
        Ok(Linear::new(simd, &Matrix::stacked(inputs.1, &matrices), &bias))
    }

    fn norm(&self, name: &str, columns: Dimension) -> Result<LayerNorm, WeightsError> {
        Ok(LayerNorm {
            gamma: self.weights.f32(&format!("{name}.weight"), &[columns])?,
            beta: self.weights.f32(&format!("{name}.bias"), &[columns])?,
            epsilon: self.epsilon as f32,
        })
    }

    fn embeddings(&self, config: &BertConfig) -> Result<Embeddings, WeightsError> {
        let columns = Dimension("embedding_size", config.embedding_size);
        let table = |name, rows| {
            let name = format!("{}.weight", config.embedding(name));
            self.weights.matrix(&name, rows, columns)
        };
        let rows = Dimension("max_position_embeddings", config.max_position_embeddings);
        let mut positions = table("position_embeddings", rows)?.to_f32();
        positions.drain(..config.first_position * config.embedding_size);
        if config.type_vocab_size > 0 {
            let rows = Dimension("type_vocab_size", config.type_vocab_size);
            let types = table("token_type_embeddings", rows)?.to_f32();
            for position in positions.chunks_exact_mut(config.embedding_size) {
                for (sum, first_type) in position.iter_mut().zip(&types) {
                    *sum += first_type;
                }
            }
        }
        Ok(Embeddings {
            words: table("word_embeddings", Dimension("vocab_size", config.vocab_size))?.values,
            positions,
            norm: self.norm(&config.embedding("LayerNorm"), columns)?,
        })
    }
}
