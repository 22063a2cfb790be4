//! DeBERTa-v2 and v3: attention scores of content with content, of content with relative position, and
//! of relative position with content.
//!
//! He et al., "DeBERTa: Decoding-enhanced BERT with Disentangled Attention", 2021; and "DeBERTaV3",
//! 2021.

use candle_core::{DType, Device, Result, Tensor};

use super::{
    Encode,
    attention::{merge_heads, split_heads, weigh},
    layers::{LayerNorm, LayerOutput, Linear, Loader, activate, residual},
    sequences::Sequences,
};
use crate::{
    engine::EngineError,
    model::{DebertaConfig, Dimension, HiddenAct, RelativePositions},
};

/// A DeBERTa-v2 encoder.
pub(super) struct Deberta {
    /// `[vocabulary, embedding]`
    words: Tensor,
    /// `[positions, embedding]`, where tokens know their place.
    positions: Option<Tensor>,
    /// `[1, embedding]`: of the first token type, where there are types.
    first_type: Option<Tensor>,
    /// From the embeddings' size to the hidden size.
    projection: Option<Linear>,
    norm: LayerNorm,
    relative: Option<RelativePositions>,
    layers: Vec<Layer>,
    convolution: Option<ConvolutionLayer>,
}

struct Layer {
    attention: Disentangled,
    output: LayerOutput,
}

/// Disentangled attention.
struct Disentangled {
    heads: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    /// `[heads, size of a head, 2 span]`: what queries meet of each relative position.
    position_key: Option<Tensor>,
    /// The same for keys.
    position_query: Option<Tensor>,
    /// What scores are divided by.
    scale: f64,
}

/// A convolution of the embeddings, beside the first layer.
struct ConvolutionLayer {
    /// `[hidden, hidden / groups, kernel]`
    kernel: Tensor,
    /// `[hidden, 1]`
    bias: Tensor,
    groups: usize,
    activation: HiddenAct,
    norm: LayerNorm,
}

impl Deberta {
    pub(super) fn new(
        loader: &Loader<'_>,
        config: &DebertaConfig,
    ) -> std::result::Result<Self, EngineError> {
        let embedding = Dimension("embedding_size", config.embedding_size);
        let hidden = Dimension("hidden_size", config.hidden_size);
        let table = |name: &str, rows| {
            loader.embedding(&format!("deberta.embeddings.{name}"), rows, embedding)
        };
        let norm = |name: &str| loader.norm(name, hidden, config.layer_norm_eps, true);
        let positions = Dimension("max_position_embeddings", config.max_position_embeddings);
        let types = Dimension("type_vocab_size", config.type_vocab_size);
        let relative_embeddings = match config.relative {
            Some(relative) => Some(relative_embeddings(loader, config, relative)?),
            None => None,
        };
        let layer = |index| Layer::new(loader, config, index, relative_embeddings.as_ref());
        Ok(Self {
            words: table("word_embeddings", Dimension("vocab_size", config.vocab_size))?,
            positions: match config.position_biased_input {
                true => Some(table("position_embeddings", positions)?),
                false => None,
            },
            first_type: match config.type_vocab_size {
                0 => None,
                _ => Some(table("token_type_embeddings", types)?.narrow(0, 0, 1)?),
            },
            projection: match config.embedding_size == config.hidden_size {
                true => None,
                false => {
                    let name = "deberta.embeddings.embed_proj";
                    Some(loader.linear(&[name], hidden, embedding, false)?)
                }
            },
            norm: norm("deberta.embeddings.LayerNorm")?,
            relative: config.relative,
            layers: (0..config.num_hidden_layers)
                .map(layer)
                .collect::<std::result::Result<_, _>>()?,
            convolution: ConvolutionLayer::new(loader, config)?,
        })
    }
}

impl Encode for Deberta {
    fn forward(&self, sequences: &Sequences) -> Result<Tensor> {
        let mut embedded = self.words.index_select(&sequences.ids, 0)?.to_dtype(DType::F32)?;
        if let Some(positions) = &self.positions {
            embedded = residual(&embedded, &positions.index_select(&sequences.positions, 0)?)?;
        }
        if let Some(first_type) = &self.first_type {
            embedded = embedded.broadcast_add(&first_type.to_dtype(DType::F32)?)?;
        }
        if let Some(projection) = &self.projection {
            embedded = projection.forward(&embedded)?;
        }
        let embedded = self.norm.forward(&embedded)?;
        let device = embedded.device();
        let distances = self.relative.map(|r| Distances::new(r, sequences.longest, device));
        let distances = distances.transpose()?;
        let mut hidden = embedded.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden, sequences, distances.as_ref())?;
            if index == 0
                && let Some(convolution) = &self.convolution
            {
                hidden = convolution.forward(&embedded, &hidden, sequences)?;
            }
        }
        Ok(hidden)
    }
}

/// The embeddings of relative positions, `[2 span, hidden]`, from the farthest behind to the farthest
/// ahead.
fn relative_embeddings(
    loader: &Loader<'_>,
    config: &DebertaConfig,
    relative: RelativePositions,
) -> std::result::Result<Tensor, EngineError> {
    let hidden = Dimension("hidden_size", config.hidden_size);
    let rows = match relative.buckets {
        Some(buckets) => Dimension("2 position_buckets", 2 * buckets),
        None => Dimension("2 max_relative_positions", 2 * relative.most),
    };
    let table = loader.embedding("deberta.encoder.rel_embeddings", rows, hidden)?;
    if !relative.normalized {
        return Ok(table);
    }
    let norm = loader.norm("deberta.encoder.LayerNorm", hidden, config.layer_norm_eps, true)?;
    Ok(norm.forward(&table)?)
}

impl Layer {
    fn new(
        loader: &Loader<'_>,
        config: &DebertaConfig,
        index: usize,
        relative_embeddings: Option<&Tensor>,
    ) -> std::result::Result<Self, EngineError> {
        let hidden = Dimension("hidden_size", config.hidden_size);
        let intermediate = Dimension("intermediate_size", config.intermediate_size);
        let attention = |part: &str| {
            let name = format!("{}.attention.self.{part}", DebertaConfig::layer(index));
            loader.linear(&[&name], hidden, hidden, true)
        };
        let (query, key) = (attention("query_proj")?, attention("key_proj")?);
        let heads = config.num_attention_heads;
        let (mut position_key, mut position_query) = (None, None);
        if let (Some(relative), Some(embeddings)) = (config.relative, relative_embeddings) {
            let split = |projected: Tensor| {
                let (rows, columns) = projected.dims2()?;
                projected.reshape((rows, heads, columns / heads))?.permute((1, 2, 0))?.contiguous()
            };
            let project = |shared: &Linear, part: &str| {
                let projected = match relative.share_att_key {
                    true => shared.forward(embeddings)?,
                    false => attention(part)?.forward(embeddings)?,
                };
                Ok::<_, EngineError>(Some(split(projected)?))
            };
            if config.c2p {
                position_key = project(&key, "pos_key_proj")?;
            }
            if config.p2c {
                position_query = project(&query, "pos_query_proj")?;
            }
        }
        let terms = 1 + usize::from(config.c2p) + usize::from(config.p2c);
        Ok(Self {
            attention: Disentangled {
                heads,
                query,
                key,
                value: attention("value_proj")?,
                position_key,
                position_query,
                scale: ((config.hidden_size / heads * terms) as f64).sqrt(),
            },
            output: LayerOutput::new(
                loader,
                &DebertaConfig::output(index),
                hidden,
                intermediate,
                config.hidden_act,
                config.layer_norm_eps,
            )?,
        })
    }

    fn forward(
        &self,
        hidden: &Tensor,
        sequences: &Sequences,
        distances: Option<&Distances>,
    ) -> Result<Tensor> {
        let context = self.attention.forward(hidden, sequences, distances)?;
        self.output.forward(hidden, &context)
    }
}

impl Disentangled {
    fn forward(
        &self,
        hidden: &Tensor,
        sequences: &Sequences,
        distances: Option<&Distances>,
    ) -> Result<Tensor> {
        let project =
            |linear: &Linear| split_heads(sequences, &linear.forward(hidden)?, self.heads);
        let (query, value) = (project(&self.query)?, project(&self.value)?);
        // Scaled before the product, which a half of a number's bits may not hold otherwise.
        let (query, key) = ((query / self.scale)?, project(&self.key)?);
        let mut scores = query.matmul(&key.t()?)?.to_dtype(DType::F32)?;
        if let Some(distances) = distances {
            if let Some(position_key) = &self.position_key {
                let by_distance = query.broadcast_matmul(position_key)?.to_dtype(DType::F32)?;
                scores = (scores + gather(&by_distance, &distances.of_keys)?)?;
            }
            if let Some(position_query) = &self.position_query {
                let key = (key / self.scale)?;
                let by_distance = key.broadcast_matmul(position_query)?.to_dtype(DType::F32)?;
                let by_key = gather(&by_distance, &distances.of_queries)?;
                scores = (scores + by_key.transpose(2, 3)?)?;
            }
        }
        merge_heads(sequences, &weigh(sequences, &scores.contiguous()?, &value)?)
    }
}

/// Which relative position's embedding each pair of tokens meets.
struct Distances {
    /// `[query, key]`
    of_keys: Tensor,
    /// `[key, query]`
    of_queries: Tensor,
}

impl Distances {
    fn new(relative: RelativePositions, longest: usize, device: &Device) -> Result<Self> {
        let span = relative.span() as i64;
        let embedding = |query: i64, key: i64| {
            // Ids of embeddings, which are few.
            (bucket(relative, query - key) + span).clamp(0, 2 * span - 1) as u32
        };
        let longest = longest as i64;
        let table: Vec<u32> = (0..longest)
            .flat_map(|query| (0..longest).map(move |key| embedding(query, key)))
            .collect();
        let of_keys = Tensor::from_vec(table, (longest as usize, longest as usize), device)?;
        Ok(Self { of_queries: of_keys.t()?.contiguous()?, of_keys })
    }
}

/// The numbers `[windows, heads, longest, 2 span]` by which pairs of tokens meet: for each pair that of
/// its distance, `[windows, heads, longest, longest]`.
fn gather(by_distance: &Tensor, distances: &Tensor) -> Result<Tensor> {
    let (windows, heads, longest, _) = by_distance.dims4()?;
    let indices = distances.broadcast_as((windows, heads, longest, longest))?.contiguous()?;
    by_distance.gather(&indices, 3)
}

/// The relative position that stands for a distance between tokens: itself, or, of distances beyond
/// half the buckets, one for each step of their logarithm.
fn bucket(relative: RelativePositions, distance: i64) -> i64 {
    let Some(buckets) = relative.buckets else { return distance };
    let middle = (buckets / 2) as i64;
    if distance.abs() <= middle {
        return distance;
    }
    // In single precision, as the embeddings were trained.
    let ratio = |number: i64| (number as f32 / middle as f32).ln();
    let steps = ratio(distance.abs()) / ratio(relative.most as i64 - 1) * (middle - 1) as f32;
    (steps.ceil() as i64 + middle) * distance.signum()
}

impl ConvolutionLayer {
    fn new(
        loader: &Loader<'_>,
        config: &DebertaConfig,
    ) -> std::result::Result<Option<Self>, EngineError> {
        let Some(convolution) = config.convolution else { return Ok(None) };
        let hidden = Dimension("hidden_size", config.hidden_size);
        let inputs =
            Dimension("hidden_size / conv_groups", config.hidden_size / convolution.groups);
        let size = Dimension("conv_kernel_size", convolution.kernel_size);
        let name = |part: &str| format!("deberta.encoder.conv.{part}");
        Ok(Some(Self {
            kernel: loader.tensor(&name("conv.weight"), &[hidden, inputs, size])?,
            bias: loader.tensor(&name("conv.bias"), &[hidden])?.unsqueeze(1)?,
            groups: convolution.groups,
            activation: convolution.activation,
            norm: loader.norm(&name("LayerNorm"), hidden, config.layer_norm_eps, true)?,
        }))
    }

    /// Adds the activated convolution of `embedded` to `hidden`, both `[tokens, hidden]`.
    fn forward(&self, embedded: &Tensor, hidden: &Tensor, sequences: &Sequences) -> Result<Tensor> {
        // What stands for padding must be nothing to the last tokens' neighbours.
        let embedded = embedded.to_dtype(self.kernel.dtype())?;
        let channels = sequences.zero_padded(&embedded)?.transpose(1, 2)?.contiguous()?;
        let around = (self.kernel.dim(2)? - 1) / 2;
        let summed = channels.conv1d(&self.kernel, around, 1, 1, self.groups)?;
        let summed = summed.broadcast_add(&self.bias)?.transpose(1, 2)?;
        let activated = activate(self.activation, &sequences.rows(&summed)?)?;
        self.norm.forward(&residual(hidden, &activated)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `make_log_bucket_position` of transformers gives them, for buckets 8 of at most 80 and
    /// buckets 256 of at most 512.
    #[test]
    fn far_distances_share_buckets() {
        let relative = |buckets, most| RelativePositions {
            most,
            buckets: Some(buckets),
            share_att_key: false,
            normalized: false,
        };
        let few = relative(8, 80);
        for (distance, wanted) in FEW {
            assert_eq!(bucket(few, distance), wanted, "{distance}");
            assert_eq!(bucket(few, -distance), -wanted, "{distance}");
        }
        let many = relative(256, 512);
        for (distance, wanted) in MANY {
            assert_eq!(bucket(many, distance), wanted, "{distance}");
        }
        assert_eq!(bucket(RelativePositions { buckets: None, ..few }, 70), 70);
    }

    const FEW: [(i64, i64); 11] = [
        (0, 0),
        (3, 3),
        (4, 4),
        (5, 5),
        (6, 5),
        (7, 5),
        (9, 5),
        (12, 6),
        (20, 6),
        (36, 7),
        (79, 7),
    ];
    const MANY: [(i64, i64); 8] = [
        (64, 64),
        (128, 128),
        (129, 129),
        (150, 143),
        (200, 169),
        (256, 192),
        (400, 233),
        (511, 255),
    ];
}
