//! BERT and the families of its shape, which differ in the names of tensors, in where positions begin,
//! and in the head.

use serde::Deserialize;

use super::{ConfigError, Encoder, Head, HiddenAct, Pooling, Transform};

/// The geometry of an encoder of BERT's shape.
#[derive(Clone, Debug)]
pub(crate) struct BertConfig {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) hidden_act: HiddenAct,
    pub(crate) max_position_embeddings: usize,
    /// Which row of the table of positions a sequence's first token has.
    pub(crate) first_position: usize,
    /// 0 where the family has no token types.
    pub(crate) type_vocab_size: usize,
    /// The size of embeddings; where it is not `hidden_size`, a projection follows them.
    pub(crate) embedding_size: usize,
    pub(crate) layer_norm_eps: f64,
    names: Names,
}

/// How a family names its tensors.
#[derive(Clone, Copy, Debug)]
enum Names {
    /// As transformers' `BertModel`, after a prefix.
    Bert(&'static str),
    DistilBert,
}

/// The names of a layer's linear layers and normalizations, to which `.weight` and `.bias` are added.
pub(crate) struct LayerNames {
    pub(crate) query: String,
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) output: OutputNames,
}

/// The same of what follows attention.
pub(crate) struct OutputNames {
    pub(crate) attention_output: String,
    pub(crate) attention_norm: String,
    pub(crate) intermediate: String,
    pub(crate) output: String,
    pub(crate) norm: String,
}

impl OutputNames {
    /// As transformers' `BertModel` names them in the layer that begins with `layer`.
    pub(super) fn of_bert(layer: &str) -> Self {
        Self {
            attention_output: format!("{layer}.attention.output.dense"),
            attention_norm: format!("{layer}.attention.output.LayerNorm"),
            intermediate: format!("{layer}.intermediate.dense"),
            output: format!("{layer}.output.dense"),
            norm: format!("{layer}.output.LayerNorm"),
        }
    }
}

impl BertConfig {
    /// The same encoder in a file of which it is all but the head: names have no prefix.
    pub(crate) fn without_prefix(self) -> Self {
        Self { names: Names::Bert(""), ..self }
    }

    /// The name of a tensor of the embeddings: `word_embeddings`, `position_embeddings`,
    /// `token_type_embeddings`, `LayerNorm`.
    pub(crate) fn embedding(&self, tensor: &str) -> String {
        format!("{}embeddings.{tensor}", self.prefix())
    }

    /// The name of the projection from `embedding_size` to `hidden_size`, where there is one.
    pub(crate) fn projection(&self) -> Option<String> {
        let needed = self.embedding_size != self.hidden_size;
        needed.then(|| format!("{}embeddings_project", self.prefix()))
    }

    /// The names of a layer's tensors.
    pub(crate) fn layer(&self, index: usize) -> LayerNames {
        match self.names {
            Names::Bert(prefix) => {
                let layer = format!("{prefix}encoder.layer.{index}");
                LayerNames {
                    query: format!("{layer}.attention.self.query"),
                    key: format!("{layer}.attention.self.key"),
                    value: format!("{layer}.attention.self.value"),
                    output: OutputNames::of_bert(&layer),
                }
            }
            Names::DistilBert => {
                let name = |part: &str| format!("distilbert.transformer.layer.{index}.{part}");
                LayerNames {
                    query: name("attention.q_lin"),
                    key: name("attention.k_lin"),
                    value: name("attention.v_lin"),
                    output: OutputNames {
                        attention_output: name("attention.out_lin"),
                        attention_norm: name("sa_layer_norm"),
                        intermediate: name("ffn.lin1"),
                        output: name("ffn.lin2"),
                        norm: name("output_layer_norm"),
                    },
                }
            }
        }
    }

    fn prefix(&self) -> &'static str {
        match self.names {
            Names::Bert(prefix) => prefix,
            Names::DistilBert => "distilbert.",
        }
    }
}

#[derive(Deserialize)]
struct File {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    #[serde(default)]
    hidden_act: HiddenAct,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "bert_epsilon")]
    layer_norm_eps: f64,
    #[serde(default)]
    pad_token_id: Option<usize>,
    #[serde(default)]
    embedding_size: Option<usize>,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

fn two() -> usize {
    2
}

fn bert_epsilon() -> f64 {
    1e-12
}

/// Reads the configuration of a family that names its fields as BERT does.
pub(super) fn read(model_type: &str, json: &[u8]) -> Result<(Encoder, Head), ConfigError> {
    let file: File = serde_json::from_slice(json)?;
    if let Some(kind) = file.position_embedding_type.as_deref()
        && kind != "absolute"
    {
        return Err(ConfigError::unsupported("position_embedding_type", kind));
    }
    let transform =
        |dense, activation| Some(Transform { dense, bias: true, activation, norm: None });
    let (prefix, transform, classifier) = match model_type {
        "bert" => ("bert.", transform("bert.pooler.dense", HiddenAct::Tanh), "classifier"),
        "electra" => {
            ("electra.", transform("classifier.dense", HiddenAct::Gelu), "classifier.out_proj")
        }
        _ => ("roberta.", transform("classifier.dense", HiddenAct::Tanh), "classifier.out_proj"),
    };
    // RoBERTa counts positions from the one after the padding token's id.
    let first_position = match prefix {
        "roberta." => file.pad_token_id.unwrap_or(1) + 1,
        _ => 0,
    };
    let embedding_size = match model_type {
        "electra" => file.embedding_size.unwrap_or(128),
        _ => file.hidden_size,
    };
    let encoder = Encoder::Bert(BertConfig {
        vocab_size: file.vocab_size,
        hidden_size: file.hidden_size,
        num_hidden_layers: file.num_hidden_layers,
        num_attention_heads: file.num_attention_heads,
        intermediate_size: file.intermediate_size,
        hidden_act: file.hidden_act,
        max_position_embeddings: file.max_position_embeddings,
        first_position,
        type_vocab_size: file.type_vocab_size,
        embedding_size,
        layer_norm_eps: file.layer_norm_eps,
        names: Names::Bert(prefix),
    });
    Ok((encoder, Head { pooling: Pooling::Cls, transform, classifier }))
}

#[derive(Deserialize)]
struct DistilBertFile {
    vocab_size: usize,
    dim: usize,
    n_layers: usize,
    n_heads: usize,
    hidden_dim: usize,
    #[serde(default)]
    activation: HiddenAct,
    max_position_embeddings: usize,
}

/// Reads the configuration of DistilBERT.
pub(super) fn read_distilbert(json: &[u8]) -> Result<(Encoder, Head), ConfigError> {
    let file: DistilBertFile = serde_json::from_slice(json)?;
    let encoder = Encoder::Bert(BertConfig {
        vocab_size: file.vocab_size,
        hidden_size: file.dim,
        num_hidden_layers: file.n_layers,
        num_attention_heads: file.n_heads,
        intermediate_size: file.hidden_dim,
        hidden_act: file.activation,
        max_position_embeddings: file.max_position_embeddings,
        first_position: 0,
        type_vocab_size: 0,
        embedding_size: file.dim,
        // A constant in transformers' DistilBERT.
        layer_norm_eps: 1e-12,
        names: Names::DistilBert,
    });
    let transform =
        Transform { dense: "pre_classifier", bias: true, activation: HiddenAct::Relu, norm: None };
    let head = Head { pooling: Pooling::Cls, transform: Some(transform), classifier: "classifier" };
    Ok((encoder, head))
}
