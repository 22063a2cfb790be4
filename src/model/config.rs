//! `config.json`: the encoder's geometry, as Hugging Face transformers writes it.

use serde::Deserialize;

/// The geometry of a BERT encoder.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct BertConfig {
    model_type: String,
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) hidden_act: HiddenAct,
    pub(crate) max_position_embeddings: usize,
    pub(crate) type_vocab_size: usize,
    pub(crate) layer_norm_eps: f64,
    #[serde(default)]
    pub(crate) pad_token_id: u32,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

/// The activation between a layer's two products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum HiddenAct {
    /// With the error function.
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
}

impl BertConfig {
    /// Reads and checks `config.json`.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let config: Self = serde_json::from_slice(json)?;
        let unsupported =
            |field, value: &str| Err(ConfigError::Unsupported { field, value: value.to_owned() });
        if config.model_type != "bert" {
            return unsupported("model_type", &config.model_type);
        }
        if let Some(kind) = config.position_embedding_type.as_deref()
            && kind != "absolute"
        {
            return unsupported("position_embedding_type", kind);
        }
        let sizes = [
            ("hidden_size", config.hidden_size),
            ("intermediate_size", config.intermediate_size),
            ("max_position_embeddings", config.max_position_embeddings),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|&(_, size)| size == 0) {
            return unsupported(field, "0");
        }
        if config.num_attention_heads == 0
            || !config.hidden_size.is_multiple_of(config.num_attention_heads)
        {
            return Err(ConfigError::Heads {
                hidden_size: config.hidden_size,
                heads: config.num_attention_heads,
            });
        }
        Ok(config)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_geometry_is_refused_by_field() {
        let tiny = include_str!("../../tests/fixtures/tiny-bert/config.json");
        let error = |field: &str, value: serde_json::Value| {
            let mut json: serde_json::Value = serde_json::from_str(tiny).unwrap();
            json[field] = value;
            BertConfig::from_json(json.to_string().as_bytes()).unwrap_err().to_string()
        };
        assert!(BertConfig::from_json(tiny.as_bytes()).is_ok());
        assert!(error("model_type", "t5".into()).contains("model_type is \"t5\""));
        let relative = error("position_embedding_type", "relative_key".into());
        assert!(relative.contains("position_embedding_type is \"relative_key\""));
        assert!(error("num_attention_heads", 5.into()).contains("num_attention_heads 5"));
        assert!(error("num_attention_heads", 0.into()).contains("num_attention_heads 0"));
        assert!(error("hidden_act", "mish".into()).contains("mish"));
        assert!(error("hidden_size", 0.into()).contains("hidden_size is \"0\""));
        assert!(error("intermediate_size", 0.into()).contains("intermediate_size is \"0\""));
        assert!(error("vocab_size", (-1).into()).contains("-1"));
    }
}
