//! BERT and the families of its shape.

use candle_core::{DType, Result, Tensor};

use super::{
    Encode,
    attention::attend,
    layers::{LayerNorm, LayerOutput, Linear, Loader, residual},
    sequences::Sequences,
};
use crate::{
    engine::EngineError,
    model::{BertConfig, Dimension},
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

struct Layer {
    heads: usize,
    query_key_value: Linear,
    output: LayerOutput,
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
        let (activation, epsilon) = (config.hidden_act, config.layer_norm_eps);
        let projections = [names.query.as_str(), &names.key, &names.value];
        Ok(Self {
            heads: config.num_attention_heads,
            query_key_value: loader.linear(&projections, hidden, hidden, true)?,
            output: LayerOutput::new(
                loader,
                &names.output,
                hidden,
                intermediate,
                activation,
                epsilon,
            )?,
        })
    }

    fn forward(&self, hidden: &Tensor, sequences: &Sequences) -> Result<Tensor> {
        let projected = self.query_key_value.forward(hidden)?;
        let columns = hidden.dim(1)?;
        let part = |index: usize| projected.narrow(1, index * columns, columns);
        let context = attend(sequences, [&part(0)?, &part(1)?, &part(2)?], self.heads, None)?;
        self.output.forward(hidden, &context)
    }
}
