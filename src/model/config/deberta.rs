//! DeBERTa-v2 and v3: attention by content and by relative position.

use serde::Deserialize;

use super::{ConfigError, Encoder, Head, HiddenAct, OutputNames, Pooling, Transform};

/// The geometry of a DeBERTa-v2 encoder.
#[derive(Clone, Debug)]
pub(crate) struct DebertaConfig {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) embedding_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) hidden_act: HiddenAct,
    pub(crate) max_position_embeddings: usize,
    pub(crate) type_vocab_size: usize,
    pub(crate) layer_norm_eps: f64,
    /// Whether tokens have an embedding of their absolute position.
    pub(crate) position_biased_input: bool,
    pub(crate) relative: Option<RelativePositions>,
    /// From content to position.
    pub(crate) c2p: bool,
    /// From position to content.
    pub(crate) p2c: bool,
    /// A convolution beside the first layer.
    pub(crate) convolution: Option<Convolution>,
}

impl DebertaConfig {
    /// What the names of a layer's tensors begin with.
    pub(crate) fn layer(index: usize) -> String {
        format!("deberta.encoder.layer.{index}")
    }

    /// The names of what follows a layer's attention.
    pub(crate) fn output(index: usize) -> OutputNames {
        OutputNames::of_bert(&Self::layer(index))
    }
}

/// How relative positions are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelativePositions {
    /// Positions this far apart, or farther, are the same.
    pub(crate) most: usize,
    /// Where given, positions farther apart than half of it are told apart by their logarithm.
    pub(crate) buckets: Option<usize>,
    /// Whether projections of content serve for positions too.
    pub(crate) share_att_key: bool,
    /// Whether the embeddings of positions are normalized.
    pub(crate) normalized: bool,
}

impl RelativePositions {
    /// Half the number of relative positions that have an embedding.
    pub(crate) fn span(self) -> usize {
        self.buckets.unwrap_or(self.most)
    }
}

/// A convolution over neighbouring tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    pub(crate) kernel_size: usize,
    pub(crate) groups: usize,
    pub(crate) activation: HiddenAct,
}

#[derive(Deserialize)]
struct File {
    vocab_size: usize,
    hidden_size: usize,
    #[serde(default)]
    embedding_size: Option<usize>,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    #[serde(default)]
    attention_head_size: Option<usize>,
    intermediate_size: usize,
    hidden_act: HiddenAct,
    max_position_embeddings: usize,
    #[serde(default)]
    type_vocab_size: usize,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
    #[serde(default)]
    relative_attention: bool,
    #[serde(default = "unset")]
    max_relative_positions: i64,
    #[serde(default = "unset")]
    position_buckets: i64,
    #[serde(default = "yes")]
    position_biased_input: bool,
    #[serde(default)]
    pos_att_type: Option<PositionAttention>,
    #[serde(default)]
    share_att_key: bool,
    #[serde(default)]
    norm_rel_ebd: Option<String>,
    #[serde(default)]
    conv_kernel_size: usize,
    #[serde(default = "one")]
    conv_groups: usize,
    #[serde(default = "tanh")]
    conv_act: HiddenAct,
    #[serde(default)]
    pooler_hidden_act: HiddenAct,
    #[serde(default)]
    pooler_hidden_size: Option<usize>,
}

/// `p2c|c2p`, or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum PositionAttention {
    Joined(String),
    List(Vec<String>),
}

fn epsilon() -> f64 {
    1e-7
}

fn unset() -> i64 {
    -1
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

fn tanh() -> HiddenAct {
    HiddenAct::Tanh
}

pub(super) fn read(json: &[u8]) -> Result<(Encoder, Head), ConfigError> {
    let file: File = serde_json::from_slice(json)?;
    let unsupported = |field, value: usize| ConfigError::unsupported(field, &value.to_string());
    let heads = file.num_attention_heads;
    if let Some(size) = file.attention_head_size
        && size * heads != file.hidden_size
    {
        return Err(unsupported("attention_head_size", size));
    }
    if let Some(size) = file.pooler_hidden_size.filter(|&size| size != file.hidden_size) {
        return Err(unsupported("pooler_hidden_size", size));
    }
    // An even kernel would give each sequence another number of tokens.
    if file.conv_kernel_size != 0 && file.conv_kernel_size.is_multiple_of(2) {
        return Err(unsupported("conv_kernel_size", file.conv_kernel_size));
    }
    if file.conv_groups == 0 || !file.hidden_size.is_multiple_of(file.conv_groups) {
        return Err(unsupported("conv_groups", file.conv_groups));
    }
    let kinds: Vec<String> = match file.pos_att_type {
        None => Vec::new(),
        Some(PositionAttention::List(kinds)) => kinds,
        Some(PositionAttention::Joined(kinds)) => {
            kinds.to_lowercase().split('|').map(|kind| kind.trim().to_owned()).collect()
        }
    };
    if let Some(kind) = kinds.iter().find(|kind| !["c2p", "p2c", ""].contains(&kind.as_str())) {
        return Err(ConfigError::unsupported("pos_att_type", kind));
    }
    let positive = |number: i64| usize::try_from(number).ok().filter(|&number| number > 0);
    let normalized = file.norm_rel_ebd.is_some_and(|kinds| {
        kinds.to_lowercase().split('|').any(|kind| kind.trim() == "layer_norm")
    });
    let relative = file.relative_attention.then(|| RelativePositions {
        most: positive(file.max_relative_positions).unwrap_or(file.max_position_embeddings),
        buckets: positive(file.position_buckets),
        share_att_key: file.share_att_key,
        normalized,
    });
    let convolution = (file.conv_kernel_size > 0).then_some(Convolution {
        kernel_size: file.conv_kernel_size,
        groups: file.conv_groups,
        activation: file.conv_act,
    });
    let encoder = Encoder::Deberta(DebertaConfig {
        vocab_size: file.vocab_size,
        hidden_size: file.hidden_size,
        embedding_size: file.embedding_size.unwrap_or(file.hidden_size),
        num_hidden_layers: file.num_hidden_layers,
        num_attention_heads: heads,
        intermediate_size: file.intermediate_size,
        hidden_act: file.hidden_act,
        max_position_embeddings: file.max_position_embeddings,
        type_vocab_size: file.type_vocab_size,
        layer_norm_eps: file.layer_norm_eps,
        position_biased_input: file.position_biased_input,
        relative,
        c2p: kinds.iter().any(|kind| kind == "c2p"),
        p2c: kinds.iter().any(|kind| kind == "p2c"),
        convolution,
    });
    let transform = Transform {
        dense: "pooler.dense",
        bias: true,
        activation: file.pooler_hidden_act,
        norm: None,
    };
    let head = Head { pooling: Pooling::Cls, transform: Some(transform), classifier: "classifier" };
    Ok((encoder, head))
}
