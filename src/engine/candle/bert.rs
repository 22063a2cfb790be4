//! BERT and the families of its shape.

use candle_core::{DType, Result, Tensor};

use super::{
    Encode,
    attention::attend,
    layers::{LayerNorm, Linear, Loader, activate, residual},
    sequences::Sequences,
};
use crate::{
    engine::EngineError,
    model::{BertConfig, Dimension, HiddenAct},
};

/// An encoder of BERT's shape.
pub(super) struct Bert {
    /// `[vocabulary, embedding]`
    words: Tensor,
    /// `[positions, embedding]`, from a sequence's first on, the first token type added.
    positions: Tensor,
    norm: LayerNorm,
    /// From the embeddings' size to the hidden size.
    projection: Option<Linear>,
    layers: Vec<Layer>,
}

/// A layer, normalized after each residual connection.
///
/// Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
/// Understanding", 2019.
struct Layer {
    heads: usize,
    query_key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    activation: HiddenAct,
    output: Linear,
    norm: LayerNorm,
}

impl Bert {
    pub(super) fn new(
        loader: &Loader<'_>,
        config: &BertConfig,
    ) -> std::result::Result<Self, EngineError> {
        let embedding = Dimension("embedding_size", config.embedding_size);
        let table = |name: &str, rows| loader.embedding(&config.embedding(name), rows, embedding);
        let rows = Dimension("max_position_embeddings", config.max_position_embeddings);
        let mut positions = table("position_embeddings", rows)?.narrow(
            0,
            config.first_position,
            config.max_position_embeddings - config.first_position,
        )?;
        if config.type_vocab_size > 0 {
            let rows = Dimension("type_vocab_size", config.type_vocab_size);
            let types = table("token_type_embeddings", rows)?;
            positions = positions.broadcast_add(&types.narrow(0, 0, 1)?)?;
        }
        let hidden = Dimension("hidden_size", config.hidden_size);
        let projection = config.projection();
        let projection =
            projection.map(|name| loader.linear(&[&name], hidden, embedding, true)).transpose()?;
        let layers = (0..config.num_hidden_layers).map(|index| Layer::new(loader, config, index));
        Ok(Self {
            words: table("word_embeddings", Dimension("vocab_size", config.vocab_size))?,
            positions,
            norm: loader.norm(
                &config.embedding("LayerNorm"),
                embedding,
                config.layer_norm_eps,
                true,
            )?,
            projection,
            layers: layers.collect::<std::result::Result<_, _>>()?,
        })
    }
}

impl Encode for Bert {
    fn forward(&self, sequences: &Sequences) -> Result<Tensor> {
        let words = self.words.index_select(&sequences.ids, 0)?;
        let positions = self.positions.index_select(&sequences.positions, 0)?;
        let mut hidden = self.norm.forward(&residual(&words.to_dtype(DType::F32)?, &positions)?)?;
        if let Some(projection) = &self.projection {
            hidden = projection.forward(&hidden)?.to_dtype(DType::F32)?;
        }
        for layer in &self.layers {
            hidden = layer.forward(&hidden, sequences)?;
        }
        Ok(hidden)
    }
}

impl Layer {
    fn new(
        loader: &Loader<'_>,
        config: &BertConfig,
        index: usize,
    ) -> std::result::Result<Self, EngineError> {
        let names = config.layer(index);
        let hidden = Dimension("hidden_size", config.hidden_size);
        let intermediate = Dimension("intermediate_size", config.intermediate_size);
        let norm = |name: &str| loader.norm(name, hidden, config.layer_norm_eps, true);
        let linear = |names: &[&str], outputs, inputs| loader.linear(names, outputs, inputs, true);
        Ok(Self {
            heads: config.num_attention_heads,
            query_key_value: linear(&[&names.query, &names.key, &names.value], hidden, hidden)?,
            attention_output: linear(&[&names.attention_output], hidden, hidden)?,
            attention_norm: norm(&names.attention_norm)?,
            intermediate: linear(&[&names.intermediate], intermediate, hidden)?,
            activation: config.hidden_act,
            output: linear(&[&names.output], hidden, intermediate)?,
            norm: norm(&names.norm)?,
        })
    }

    fn forward(&self, hidden: &Tensor, sequences: &Sequences) -> Result<Tensor> {
        let projected = self.query_key_value.forward(hidden)?;
        let [query, key, value] = projected.chunk(3, 1)?.try_into().map_err(|_| {
            candle_core::Error::Msg("queries, keys and values are not of one size".to_owned())
        })?;
        let context = attend(sequences, [&query, &key, &value], self.heads, None)?;
        let attended = self.attention_output.forward(&context)?;
        let hidden = self.attention_norm.forward(&residual(hidden, &attended)?)?;
        let expanded = activate(self.activation, &self.intermediate.forward(&hidden)?)?;
        self.norm.forward(&residual(&hidden, &self.output.forward(&expanded)?)?)
    }
}
