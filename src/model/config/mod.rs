//! `config.json`: an encoder's geometry, its head and its labels, as Hugging Face transformers writes
//! them.
//!
//! One file a shape of encoder. What a field's absence means is what it means to transformers.

mod bert;
mod deberta;
mod modernbert;

use std::collections::BTreeMap;

use serde::Deserialize;

pub(crate) use self::{
    bert::{BertConfig, OutputNames},
    deberta::{DebertaConfig, RelativePositions},
    modernbert::{LayerAttention, ModernBertConfig},
};
/// A sequence classifier: encoder, pooling, head, labels.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) encoder: Encoder,
    pub(crate) head: Head,
    /// The names of the labels, in logit order.
    pub(crate) labels: Vec<String>,
    pub(crate) problem_type: Option<ProblemType>,
    pub(crate) pad_token_id: u32,
}

/// The geometry of an encoder, by its shape.
#[derive(Clone, Debug)]
pub(crate) enum Encoder {
    /// BERT, RoBERTa, XLM-RoBERTa, DistilBERT, ELECTRA.
    Bert(BertConfig),
    /// DeBERTa-v2 and v3.
    Deberta(DebertaConfig),
    ModernBert(ModernBertConfig),
}

/// From hidden states to logits: pooling, often a dense layer, and a linear one.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) pooling: Pooling,
    pub(crate) transform: Option<Transform>,
    /// The tensors of the last layer, `[labels, hidden]`, with a bias.
    pub(crate) classifier: &'static str,
}

/// How the hidden states of a window's tokens become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pooling {
    /// Their mean over the tokens that are not padding.
    Mean,
    /// The first token's.
    #[default]
    Cls,
}

/// A dense layer `[hidden, hidden]` over the pooled vector.
#[derive(Clone, Debug)]
pub(crate) struct Transform {
    pub(crate) dense: &'static str,
    pub(crate) bias: bool,
    pub(crate) activation: HiddenAct,
    /// A normalization after the activation.
    pub(crate) norm: Option<Norm>,
}

/// A layer normalization.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) name: &'static str,
    pub(crate) epsilon: f64,
    pub(crate) bias: bool,
}

/// What `problem_type` says of the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProblemType {
    SingleLabelClassification,
    MultiLabelClassification,
    Regression,
}

/// An activation function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum HiddenAct {
    /// With the error function.
    #[default]
    #[serde(rename = "gelu")]
    Gelu,
    /// With the tanh approximation.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh")]
    GeluTanh,
    #[serde(rename = "relu")]
    Relu,
    /// `x / (1 + exp(-x))`.
    #[serde(rename = "silu", alias = "swish")]
    Silu,
    #[serde(rename = "tanh")]
    Tanh,
}

/// The fields that every family has.
#[derive(Deserialize)]
struct Common {
    model_type: String,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    id2label: Option<BTreeMap<usize, String>>,
    #[serde(default)]
    num_labels: Option<usize>,
    #[serde(default)]
    problem_type: Option<ProblemType>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    pad_token_id: Option<u32>,
}

impl Config {
    /// Reads and checks the `config.json` of a model with `dignity.json`: a linear head over pooled
    /// hidden states, and tensors named without a family's prefix.
    pub(crate) fn with_linear_head(json: &[u8], pooling: Pooling) -> Result<Self, ConfigError> {
        let Self { encoder, labels, problem_type, pad_token_id, .. } = Self::from_json(json)?;
        let Encoder::Bert(encoder) = encoder else {
            return Err(ConfigError::unsupported("model_type", encoder.family()));
        };
        let encoder = Encoder::Bert(encoder.without_prefix());
        let head = Head { pooling, transform: None, classifier: "classifier" };
        Ok(Self { encoder, head, labels, problem_type, pad_token_id })
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let common: Common = serde_json::from_slice(json)?;
        let (encoder, head) = match common.model_type.as_str() {
            "bert" | "roberta" | "xlm-roberta" | "electra" => bert::read(&common.model_type, json)?,
            "distilbert" => bert::read_distilbert(json)?,
            "deberta-v2" => deberta::read(json)?,
            "modernbert" => modernbert::read(json)?,
            other => return Err(ConfigError::unsupported("model_type", other)),
        };
        encoder.check()?;
        if let Some(names) = &common.architectures
            && !names.iter().any(|name| name.ends_with("ForSequenceClassification"))
        {
            return Err(ConfigError::NoClassifier { architectures: names.join(", ") });
        }
        if common.is_decoder {
            return Err(ConfigError::unsupported("is_decoder", "true"));
        }
        if common.problem_type == Some(ProblemType::Regression) {
            return Err(ConfigError::unsupported("problem_type", "regression"));
        }
        Ok(Self {
            encoder,
            head,
            labels: labels(common.id2label, common.num_labels)?,
            problem_type: common.problem_type,
            pad_token_id: common.pad_token_id.unwrap_or(0),
        })
    }
}

/// The names of labels in logit order; without names, transformers' own, of which there are two
/// unless told.
fn labels(
    names: Option<BTreeMap<usize, String>>,
    count: Option<usize>,
) -> Result<Vec<String>, ConfigError> {
    let Some(names) = names else {
        return Ok((0..count.unwrap_or(2)).map(|index| format!("LABEL_{index}")).collect());
    };
    if names.is_empty() || !names.keys().copied().eq(0..names.len()) {
        let ids: Vec<_> = names.keys().map(usize::to_string).collect();
        return Err(ConfigError::Labels { ids: ids.join(", ") });
    }
    let names: Vec<_> = names.into_values().collect();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(ConfigError::LabelTwice { name: name.clone() });
        }
    }
    Ok(names)
}

impl Encoder {
    /// The name of its shape.
    pub(crate) fn family(&self) -> &'static str {
        match self {
            Self::Bert(_) => "BERT",
            Self::Deberta(_) => "DeBERTa-v2",
            Self::ModernBert(_) => "ModernBERT",
        }
    }

    /// The size of a hidden state.
    pub(crate) fn hidden_size(&self) -> usize {
        match self {
            Self::Bert(config) => config.hidden_size,
            Self::Deberta(config) => config.hidden_size,
            Self::ModernBert(config) => config.hidden_size,
        }
    }

    /// How many tokens have an embedding.
    pub(crate) fn vocab_size(&self) -> usize {
        match self {
            Self::Bert(config) => config.vocab_size,
            Self::Deberta(config) => config.vocab_size,
            Self::ModernBert(config) => config.vocab_size,
        }
    }

    /// The longest sequence, special tokens included.
    pub(crate) fn max_tokens(&self) -> usize {
        match self {
            Self::Bert(config) => {
                config.max_position_embeddings.saturating_sub(config.first_position)
            }
            Self::Deberta(config) => config.max_position_embeddings,
            Self::ModernBert(config) => config.max_position_embeddings,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let (heads, intermediate) = match self {
            Self::Bert(config) => (config.num_attention_heads, config.intermediate_size),
            Self::Deberta(config) => (config.num_attention_heads, config.intermediate_size),
            Self::ModernBert(config) => (config.num_attention_heads, config.intermediate_size),
        };
        let sizes = [
            ("hidden_size", self.hidden_size()),
            ("intermediate_size", intermediate),
            ("max_position_embeddings", self.max_tokens()),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|&(_, size)| size == 0) {
            return Err(ConfigError::unsupported(field, "0"));
        }
        if heads == 0 || !self.hidden_size().is_multiple_of(heads) {
            return Err(ConfigError::Heads { hidden_size: self.hidden_size(), heads });
        }
        Ok(())
    }
}

/// What is wrong with `config.json`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON of the expected form.
    #[error("not of the expected form: {0}")]
    Json(#[from] serde_json::Error),
    /// A value that no engine here computes.
    #[error("{field} is {value:?}, which this version of dignity does not compute")]
    Unsupported {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// The hidden size cannot be shared out among the heads.
    #[error("hidden_size {hidden_size} is not a multiple of num_attention_heads {heads}")]
    Heads {
        /// `hidden_size`.
        hidden_size: usize,
        /// `num_attention_heads`.
        heads: usize,
    },
    /// The model was made for something else than classifying texts.
    #[error(
        "architectures is {architectures}; a sequence classifier (…ForSequenceClassification) is needed"
    )]
    NoClassifier {
        /// The names given.
        architectures: String,
    },
    /// The labels' ids leave some out.
    #[error("id2label names the labels {ids}; they must be numbered from 0 without a gap")]
    Labels {
        /// The ids there are.
        ids: String,
    },
    /// Two labels cannot be told apart.
    #[error("id2label gives the name {name:?} to two labels")]
    LabelTwice {
        /// The name.
        name: String,
    },
}

impl ConfigError {
    fn unsupported(field: &'static str, value: &str) -> Self {
        Self::Unsupported { field, value: value.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(family: &str) -> serde_json::Value {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/families");
        let json = std::fs::read_to_string(format!("{root}/{family}/config.json")).unwrap();
        serde_json::from_str(&json).unwrap()
    }

    fn read(json: &serde_json::Value) -> Result<Config, ConfigError> {
        Config::from_json(json.to_string().as_bytes())
    }

    /// The error that a changed field of a family's configuration gives.
    fn error(family: &str, field: &str, value: impl Into<serde_json::Value>) -> String {
        let mut json = fixture(family);
        json[field] = value.into();
        read(&json).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_computed_is_refused_by_field() {
        assert!(error("bert", "model_type", "t5").contains("model_type is \"t5\""));
        for family in ["bert", "roberta", "electra"] {
            let relative = error(family, "position_embedding_type", "relative_key");
            assert!(relative.contains("position_embedding_type is \"relative_key\""));
        }
        assert!(error("bert", "num_attention_heads", 5).contains("num_attention_heads 5"));
        assert!(error("bert", "num_attention_heads", 0).contains("num_attention_heads 0"));
        assert!(error("bert", "hidden_act", "mish").contains("mish"));
        assert!(error("bert", "hidden_size", 0).contains("hidden_size is \"0\""));
        assert!(error("bert", "intermediate_size", 0).contains("intermediate_size is \"0\""));
        assert!(error("bert", "vocab_size", -1).contains("-1"));
        assert!(error("bert", "is_decoder", true).contains("is_decoder is \"true\""));
        assert!(error("bert", "problem_type", "regression").contains("problem_type"));
        assert!(error("roberta", "max_position_embeddings", 2).contains("max_position_embeddings"));
        assert!(error("distilbert", "dim", 30).contains("hidden_size 30"));
        assert!(error("deberta-v3", "pos_att_type", "p2p").contains("pos_att_type is \"p2p\""));
        assert!(error("deberta-v3", "attention_head_size", 9).contains("attention_head_size"));
        assert!(error("deberta-v2", "conv_kernel_size", 4).contains("conv_kernel_size is \"4\""));
        assert!(error("modernbert", "layer_types", vec!["full_attention"]).contains("layer_types"));
        let mut yarn = fixture("modernbert");
        yarn["rope_parameters"]["full_attention"]["rope_type"] = "yarn".into();
        assert!(read(&yarn).unwrap_err().to_string().contains("rope_type is \"yarn\""));
        let other = error("bert", "architectures", vec!["BertForMaskedLM"]);
        assert!(other.contains("architectures is BertForMaskedLM"), "{other}");
    }

    #[test]
    fn labels_are_numbered_without_gaps_and_named_apart() {
        let labels = |value: serde_json::Value| {
            let mut json = fixture("bert");
            json["id2label"] = value;
            read(&json).map(|config| config.labels)
        };
        assert_eq!(labels(serde_json::json!({"1": "b", "0": "a"})).unwrap(), ["a", "b"]);
        assert_eq!(labels(serde_json::Value::Null).unwrap(), ["LABEL_0", "LABEL_1"]);
        let gap = labels(serde_json::json!({"0": "a", "2": "b"})).unwrap_err().to_string();
        assert!(gap.contains("id2label names the labels 0, 2"), "{gap}");
        let twice = labels(serde_json::json!({"0": "a", "1": "a"})).unwrap_err().to_string();
        assert!(twice.contains("id2label gives the name \"a\" to two labels"), "{twice}");
        assert!(labels(serde_json::json!({})).is_err());
    }

    #[test]
    fn positions_begin_after_the_padding_token_in_roberta() {
        assert_eq!(read(&fixture("bert")).unwrap().encoder.max_tokens(), 80);
        assert_eq!(read(&fixture("roberta")).unwrap().encoder.max_tokens(), 78);
        assert_eq!(read(&fixture("xlm-roberta")).unwrap().encoder.max_tokens(), 78);
    }

    #[test]
    fn modernbert_is_read_as_older_versions_of_transformers_wrote_it() {
        let new = read(&fixture("modernbert")).unwrap().encoder;
        let mut json = fixture("modernbert");
        let fields = json.as_object_mut().unwrap();
        fields.remove("layer_types");
        fields.remove("rope_parameters");
        fields.insert("global_attn_every_n_layers".into(), 3.into());
        fields.insert("global_rope_theta".into(), 160_000.0.into());
        fields.insert("local_rope_theta".into(), 10_000.0.into());
        let old = read(&json).unwrap().encoder;
        assert_eq!(format!("{old:?}"), format!("{new:?}"));
    }
}
