//! ModernBERT: rotary positions, gated feed-forward layers, attention to neighbours in most layers.

use serde::Deserialize;

use super::{ConfigError, Encoder, Head, HiddenAct, Norm, Pooling, Transform};

/// The geometry of a ModernBERT encoder.
#[derive(Clone, Debug)]
pub(crate) struct ModernBertConfig {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) hidden_activation: HiddenAct,
    pub(crate) max_position_embeddings: usize,
    pub(crate) norm_eps: f64,
    pub(crate) norm_bias: bool,
    pub(crate) attention_bias: bool,
    pub(crate) mlp_bias: bool,
    /// Which tokens each layer attends to.
    pub(crate) layers: Vec<LayerAttention>,
    /// The base of rotary frequencies in layers that attend to all tokens.
    pub(crate) global_rope_theta: f64,
    /// The same in the other layers.
    pub(crate) local_rope_theta: f64,
    /// How many tokens to each side of a token the others attend to.
    pub(crate) sliding_window: usize,
}

/// Which tokens a layer attends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum LayerAttention {
    /// To all.
    #[serde(rename = "full_attention")]
    Full,
    /// To those near by.
    #[serde(rename = "sliding_attention")]
    Sliding,
}

#[derive(Deserialize)]
struct File {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    #[serde(default)]
    hidden_activation: HiddenAct,
    max_position_embeddings: usize,
    #[serde(default = "epsilon")]
    norm_eps: f64,
    #[serde(default)]
    norm_bias: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    layer_types: Option<Vec<LayerAttention>>,
    #[serde(default = "three")]
    global_attn_every_n_layers: usize,
    #[serde(default)]
    rope_parameters: Option<RopeParameters>,
    #[serde(default)]
    rope_scaling: Option<Rope>,
    #[serde(default = "global_theta")]
    global_rope_theta: f64,
    #[serde(default = "local_theta")]
    local_rope_theta: f64,
    #[serde(default = "local_attention")]
    local_attention: usize,
    #[serde(default)]
    classifier_pooling: Pooling,
    #[serde(default)]
    classifier_bias: bool,
    #[serde(default)]
    classifier_activation: HiddenAct,
}

#[derive(Deserialize)]
struct RopeParameters {
    #[serde(default)]
    full_attention: Rope,
    #[serde(default)]
    sliding_attention: Rope,
}

#[derive(Default, Deserialize)]
struct Rope {
    #[serde(default)]
    rope_type: Option<String>,
    #[serde(default)]
    rope_theta: Option<f64>,
}

fn epsilon() -> f64 {
    1e-5
}

fn three() -> usize {
    3
}

fn global_theta() -> f64 {
    160_000.0
}

fn local_theta() -> f64 {
    10_000.0
}

fn local_attention() -> usize {
    128
}

pub(super) fn read(json: &[u8]) -> Result<(Encoder, Head), ConfigError> {
    let file: File = serde_json::from_slice(json)?;
    let [mut global_rope_theta, mut local_rope_theta] =
        [file.global_rope_theta, file.local_rope_theta];
    if let Some(RopeParameters { full_attention, sliding_attention }) = &file.rope_parameters {
        global_rope_theta = full_attention.rope_theta.unwrap_or(global_rope_theta);
        local_rope_theta = sliding_attention.rope_theta.unwrap_or(local_rope_theta);
    }
    let ropes = file.rope_parameters.iter().flat_map(|p| [&p.full_attention, &p.sliding_attention]);
    for rope in ropes.chain(&file.rope_scaling) {
        if let Some(kind) = rope.rope_type.as_deref().filter(|kind| *kind != "default") {
            return Err(ConfigError::unsupported("rope_type", kind));
        }
    }
    let every = file.global_attn_every_n_layers.max(1);
    let layers = file.layer_types.unwrap_or_else(|| {
        let attention = |layer: usize| match layer.is_multiple_of(every) {
            true => LayerAttention::Full,
            false => LayerAttention::Sliding,
        };
        (0..file.num_hidden_layers).map(attention).collect()
    });
    if layers.len() != file.num_hidden_layers {
        let value = format!("of {} layers", layers.len());
        return Err(ConfigError::unsupported("layer_types", &value));
    }
    let heads = file.num_attention_heads;
    if heads > 0 && !(file.hidden_size / heads).is_multiple_of(2) {
        // Rotation is of pairs.
        return Err(ConfigError::unsupported("num_attention_heads", &heads.to_string()));
    }
    let norm = |name| Norm { name, epsilon: file.norm_eps, bias: file.norm_bias };
    let head = Head {
        pooling: file.classifier_pooling,
        transform: Some(Transform {
            dense: "head.dense",
            bias: file.classifier_bias,
            activation: file.classifier_activation,
            norm: Some(norm("head.norm")),
        }),
        classifier: "classifier",
    };
    let encoder = Encoder::ModernBert(ModernBertConfig {
        vocab_size: file.vocab_size,
        hidden_size: file.hidden_size,
        num_attention_heads: heads,
        intermediate_size: file.intermediate_size,
        hidden_activation: file.hidden_activation,
        max_position_embeddings: file.max_position_embeddings,
        norm_eps: file.norm_eps,
        norm_bias: file.norm_bias,
        attention_bias: file.attention_bias,
        mlp_bias: file.mlp_bias,
        layers,
        global_rope_theta,
        local_rope_theta,
        sliding_window: file.local_attention / 2,
    });
    Ok((encoder, head))
}
