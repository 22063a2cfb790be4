//! A model's tensors to packed layers. Names and shapes are those of transformers' `BertModel`.

use super::{PackedEngine, embeddings::Embeddings, encoder::Layer};
use crate::{
    engine::{EngineError, Precision},
    kernels::{LayerNorm, Linear, Matrix, Product, Simd},
    model::{BertConfig, Model, Weights, WeightsError},
};

impl<S: Simd, P: Product<S>> PackedEngine<S, P> {
    /// Packs the model's weights; `precision` is what `P` computes in.
    pub(super) fn new(simd: S, model: &Model, precision: Precision) -> Result<Self, EngineError> {
        let BertConfig { hidden_size: hidden, intermediate_size: intermediate, .. } = model.config;
        let labels = model.manifest.label_count();
        let tensors = Tensors { weights: model.weights()?, epsilon: model.config.layer_norm_eps };
        let layer = |index| -> Result<Layer<S, P>, WeightsError> {
            let name = |part: &str| format!("encoder.layer.{index}.{part}");
            let linear =
                |part: &str, outputs, inputs| tensors.linear(simd, &[&name(part)], outputs, inputs);
            let (key, value) = (name("attention.self.key"), name("attention.self.value"));
            Ok(Layer {
                heads: model.config.num_attention_heads,
                query: linear("attention.self.query", hidden, hidden)?,
                key_value: tensors.linear(simd, &[&key, &value], hidden, hidden)?,
                attention_output: linear("attention.output.dense", hidden, hidden)?,
                attention_norm: tensors.norm(&name("attention.output.LayerNorm"), hidden)?,
                intermediate: linear("intermediate.dense", intermediate, hidden)?,
                activation: model.config.hidden_act,
                output: linear("output.dense", hidden, intermediate)?,
                norm: tensors.norm(&name("output.LayerNorm"), hidden)?,
            })
        };
        Ok(Self {
            simd,
            embeddings: tensors.embeddings(&model.config)?,
            layers: (0..model.config.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            head: tensors.linear(simd, &["classifier"], labels, hidden)?,
            pooling: model.manifest.pooling,
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
        outputs: usize,
        inputs: usize,
    ) -> Result<Linear<S, P>, WeightsError> {
        let mut bias = Vec::with_capacity(names.len() * outputs);
        let mut matrices = Vec::with_capacity(names.len());
        for name in names {
            bias.extend(self.vector(&format!("{name}.bias"), outputs)?);
            matrices.push(self.matrix(&format!("{name}.weight"), outputs, inputs)?);
        }
        Ok(Linear::new(simd, &Matrix::stacked(inputs, &matrices), &bias))
    }

    fn norm(&self, name: &str, columns: usize) -> Result<LayerNorm, WeightsError> {
        Ok(LayerNorm {
            gamma: self.vector(&format!("{name}.weight"), columns)?,
            beta: self.vector(&format!("{name}.bias"), columns)?,
            epsilon: self.epsilon as f32,
        })
    }

    fn embeddings(&self, config: &BertConfig) -> Result<Embeddings, WeightsError> {
        let table = |name, rows| {
            self.matrix(&format!("embeddings.{name}_embeddings.weight"), rows, config.hidden_size)
        };
        let mut positions = table("position", config.max_position_embeddings)?.to_f32();
        let types = table("token_type", config.type_vocab_size)?.to_f32();
        for position in positions.chunks_exact_mut(config.hidden_size) {
            for (sum, first_type) in position.iter_mut().zip(&types) {
                *sum += first_type;
            }
        }
        Ok(Embeddings {
            words: table("word", config.vocab_size)?.values,
            positions,
            norm: self.norm("embeddings.LayerNorm", config.hidden_size)?,
        })
    }

    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix, WeightsError> {
        let matrix = self.weights.matrix(name)?;
        if (matrix.outputs, matrix.inputs) != (rows, columns) {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                shape: vec![matrix.outputs, matrix.inputs],
                wanted: format!("config.json wants [{rows}, {columns}]"),
            });
        }
        Ok(matrix)
    }

    fn vector(&self, name: &str, columns: usize) -> Result<Vec<f32>, WeightsError> {
        let tensor = self.weights.f32(name)?;
        if tensor.shape != [columns] {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                shape: tensor.shape,
                wanted: format!("config.json wants [{columns}]"),
            });
        }
        Ok(tensor.values)
    }
}
