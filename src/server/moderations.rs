//! `POST /v1/moderations`, in the shape of OpenAI's moderation API.

use std::{fmt, sync::Arc};

use axum::{Json, extract::State};
use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use utoipa::ToSchema;

use super::{
    body::JsonBody,
    fault::{Fault, Kind},
    service::{RequestInfo, Scored, Service},
};
use crate::{
    policy::{Decision, Verdict},
    scores::Scores,
    taxonomy::{Category, Role},
};

/// At this probability `categories.hate` is true, whatever the policy decides by.
const HATE: f32 = 0.5;

/// A request of OpenAI's moderation API.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModerationRequest {
    /// A text, an array of texts, or an array of `{"type": "text", "text": …}`.
    #[schema(value_type = ModerationInputSchema)]
    input: ModerationInput,
    /// Taken and not looked at: there is one model.
    #[serde(default)]
    #[expect(dead_code, reason = "part of the API")]
    model: Option<String>,
    /// The policy that decides; an addition to OpenAI's API.
    #[serde(default)]
    policy: Option<String>,
}

/// What `input` may be.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what a visitor reads")]
enum ModerationInputSchema {
    Text(String),
    Texts(Vec<String>),
    Objects(Vec<TextObject>),
}

#[derive(Debug)]
struct ModerationInput(Vec<String>);

/// `{"type": "text", "text": …}`
#[derive(Debug, Deserialize, ToSchema)]
struct TextObject {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

impl<'de> Deserialize<'de> for ModerationInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Inputs;
        impl<'de> Visitor<'de> for Inputs {
            type Value = ModerationInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, an array of strings, or an array of text objects")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ModerationInput(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(Element(text)) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(ModerationInput(texts))
            }
        }
        deserializer.deserialize_any(Inputs)
    }
}

/// One element of an array: a text however it is written.
struct Element(String);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or {\"type\": \"text\", \"text\": string}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Element(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let object = TextObject::deserialize(MapAccessDeserializer::new(map))?;
                match object {
                    TextObject { kind, text: Some(text) } if kind == "text" => Ok(Element(text)),
                    TextObject { kind, .. } if kind == "text" => {
                        Err(de::Error::missing_field("text"))
                    }
                    _ => Err(de::Error::custom("only objects of type \"text\" can be scored")),
                }
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// A response of OpenAI's moderation API.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModerationResponse {
    id: String,
    model: String,
    /// One for each text, in order.
    results: Vec<ModerationResult>,
}

/// What is said of one text.
#[derive(Debug, Serialize, ToSchema)]
struct ModerationResult {
    /// Whether the policy's verdict is `flag`.
    flagged: bool,
    /// `dehumanization`, when flagged; the categories that caused it; `hate`, at a probability of
    /// 0.5 or above.
    #[schema(value_type = BTreeMap<String, bool>)]
    categories: IndexMap<&'static str, bool>,
    /// Probabilities.
    #[schema(value_type = BTreeMap<String, f32>)]
    category_scores: IndexMap<&'static str, f32>,
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    category_applied_input_types: IndexMap<&'static str, [&'static str; 1]>,
    /// Why the text could not be scored; an addition to OpenAI's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    unscored: Option<String>,
}

/// Score texts, in the shape of OpenAI's moderation API.
#[utoipa::path(
    post, path = "/v1/moderations", tag = "compatible",
    request_body = ModerationRequest,
    responses(
        (status = 200, description = "One result for each text, in order", body = ModerationResponse),
        (status = "4XX", description = "An error in OpenAI's shape"),
    ),
    security((), ("bearer" = [])),
)]
pub(super) async fn moderate(
    State(service): State<Arc<Service>>,
    info: RequestInfo,
    JsonBody(request): JsonBody<ModerationRequest>,
) -> Result<Json<ModerationResponse>, Fault> {
    let ModerationInput(texts) = request.input;
    if texts.is_empty() {
        let fault = Fault::new(Kind::Invalid, "empty", "the input is an empty array");
        return Err(fault.with_param("input"));
    }
    let id = format!("modr-{}", info.id);
    let scored = service.score(info, texts, request.policy.as_deref()).await?;
    let Scored { scores, verdicts, .. } = scored;
    let results = scores.iter().zip(&verdicts).map(|(scores, verdict)| result(scores, verdict));
    Ok(Json(ModerationResponse { id, model: service.model(), results: results.collect() }))
}

fn result(scores: &Scores, verdict: &Verdict) -> ModerationResult {
    let flagged = verdict.decision == Decision::Flag;
    let mut result = ModerationResult {
        flagged,
        categories: IndexMap::new(),
        category_scores: IndexMap::new(),
        category_applied_input_types: IndexMap::new(),
        unscored: scores.unscored.map(|reason| reason.to_string()),
    };
    let mut add = |name, role, applies| {
        if scores.labels().has(role) {
            result.categories.insert(name, applies);
            result.category_scores.insert(name, scores.probabilities.of(role));
            result.category_applied_input_types.insert(name, ["text"]);
        }
    };
    add("dehumanization", Role::Dehumanization, flagged);
    add("hate", Role::Hate, scores.hate() >= HATE);
    for category in Category::ALL {
        let applies = flagged && verdict.because.contains(&category);
        add(category.name(), Role::Category(category), applies);
    }
    result
}
