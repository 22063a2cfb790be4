//! `POST /predict`, in the shape of text-embeddings-inference.

use std::{fmt, sync::Arc};

use axum::{Json, extract::State};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};
use utoipa::ToSchema;

use super::{
    body::JsonBody,
    fault::{Fault, Kind},
    service::{RequestInfo, Service},
};
use crate::{scores::Scores, taxonomy::Role};

/// A request of text-embeddings-inference. Fields that it does not know it does not refuse.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct PredictRequest {
    /// A text, or a batch: `[["one text"], ["another"]]`. `["one text"]` is the text. Pairs, which
    /// an array of two strings is there, cannot be scored.
    #[schema(value_type = PredictInputSchema)]
    inputs: PredictInput,
    /// Nothing is ever truncated.
    #[serde(default)]
    #[expect(dead_code, reason = "part of the API")]
    truncate: Option<bool>,
    /// Scores are probabilities; there are no raw ones.
    #[serde(default)]
    #[expect(dead_code, reason = "part of the API")]
    raw_scores: Option<bool>,
}

/// What `inputs` may be.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what a visitor reads")]
enum PredictInputSchema {
    Text(String),
    TextInArray(Vec<String>),
    Batch(Vec<Vec<String>>),
}

#[derive(Debug)]
enum PredictInput {
    One(String),
    Batch(Vec<String>),
}

const PAIR: &str = "pairs of texts cannot be scored; a batch is an array of arrays of one text";

impl<'de> Deserialize<'de> for PredictInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Element {
            Text(String),
            Texts(Vec<String>),
        }

        struct Inputs;
        impl<'de> Visitor<'de> for Inputs {
            type Value = PredictInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a batch [[string], [string], …]")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(PredictInput::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut alone = None;
                let mut batch = Vec::new();
                while let Some(element) = seq.next_element()? {
                    match element {
                        Element::Text(text) if alone.is_none() && batch.is_empty() => {
                            alone = Some(text);
                        }
                        Element::Texts(mut texts) if alone.is_none() => {
                            let text = texts.pop().filter(|_| texts.is_empty());
                            batch.push(text.ok_or_else(|| de::Error::custom(PAIR))?);
                        }
                        Element::Text(_) | Element::Texts(_) => {
                            return Err(de::Error::custom(PAIR));
                        }
                    }
                }
                Ok(alone.map_or(PredictInput::Batch(batch), PredictInput::One))
            }
        }
        deserializer.deserialize_any(Inputs)
    }
}

/// A label with its probability.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Prediction {
    label: String,
    score: f32,
}

/// Predictions, the most probable first: of one text, or of each text of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum PredictResponse {
    One(Vec<Prediction>),
    Batch(Vec<Vec<Prediction>>),
}

/// Score texts, in the shape of text-embeddings-inference.
#[utoipa::path(
    post, path = "/predict", tag = "compatible",
    request_body = PredictRequest,
    responses(
        (status = 200, description = "Every label, most probable first", body = PredictResponse),
        (status = "4XX", description = "An error in the shape of text-embeddings-inference"),
    ),
    security((), ("bearer" = [])),
)]
pub(super) async fn predict(
    State(service): State<Arc<Service>>,
    info: RequestInfo,
    JsonBody(request): JsonBody<PredictRequest>,
) -> Result<Json<PredictResponse>, Fault> {
    let (texts, batch) = match request.inputs {
        PredictInput::One(text) => (vec![text], false),
        PredictInput::Batch(texts) => (texts, true),
    };
    if texts.is_empty() {
        return Err(Fault::new(Kind::Invalid, "empty", "`inputs` cannot be empty"));
    }
    let scored = service.score(info, texts, None).await?;
    // This shape has no place for the mark of a text without content.
    for (index, scores) in scored.scores.iter().enumerate() {
        if let Some(reason) = scores.unscored {
            let message = format!("`inputs` {index}: {reason}");
            return Err(Fault::new(Kind::Invalid, "empty", message));
        }
    }
    let mut predictions = scored.scores.iter().map(predictions);
    Ok(Json(if batch {
        PredictResponse::Batch(predictions.collect())
    } else {
        PredictResponse::One(predictions.next().unwrap_or_default())
    }))
}

/// Every label by its own name, or where labels have none by that of its role.
fn predictions(scores: &Scores) -> Vec<Prediction> {
    let Scores { probabilities, .. } = scores;
    let named = scores.labels().names().zip(&probabilities.labels);
    let mut predictions: Vec<_> =
        named.map(|(name, &score)| Prediction { label: name.to_owned(), score }).collect();
    if predictions.is_empty() {
        let name = |role| match role {
            Role::Category(category) => category.name().to_owned(),
            Role::Way(way) => way.name().to_owned(),
            overall => overall.to_string(),
        };
        let roles = Role::all().filter(|&role| scores.labels().has(role));
        predictions.extend(
            roles.map(|role| Prediction { label: name(role), score: probabilities.of(role) }),
        );
    }
    predictions.sort_by(|a, b| b.score.total_cmp(&a.score));
    predictions
}
