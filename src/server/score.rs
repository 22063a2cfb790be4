//! `POST /v1/score`: everything that is known of texts.

use std::sync::Arc;

use axum::{Json, extract::State};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    body::JsonBody,
    fault::{Fault, Kind},
    service::{RequestInfo, Service},
};
use crate::{
    explain::{Explanation, WordAttribution},
    model::Labels,
    policy::Verdict,
    scores::{Probabilities, Scores, TextView},
    taxonomy::Role,
};

/// At most so many texts of a request are explained.
const EXPLAINED: usize = 16;

/// What to score, and what to tell of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreRequest {
    /// A text, or an array of texts.
    texts: Texts,
    /// The policy that decides, by name; by default the server's.
    policy: Option<String>,
    /// Whether to tell which words the scores rest on; for 16 texts at most.
    #[serde(default)]
    explain: bool,
}

/// One text or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a string or an array of strings")]
enum Texts {
    One(String),
    Many(Vec<String>),
}

/// What is said of the texts, and by what.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScoreResponse {
    id: String,
    model: Named,
    policy: Named,
    /// One for each text, in order.
    results: Vec<ScoreResult>,
}

/// Something with its exact version.
#[derive(Debug, Serialize, ToSchema)]
struct Named {
    name: String,
    version: String,
    /// `sha256:` and 64 hexadecimal digits.
    digest: String,
}

/// What is said of one text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum ScoreResult {
    Scored(Box<ScoredText>),
    /// The text has nothing to score.
    Unscored {
        error: String,
    },
}

#[derive(Debug, Serialize, ToSchema)]
struct ScoredText {
    #[serde(flatten)]
    numbers: Numbers,
    /// `allow`, `review` or `flag`.
    verdict: &'static str,
    /// The categories that caused it, most probable first.
    because: Vec<&'static str>,
    /// The stretches of the text that the model read at once.
    windows: Vec<WindowResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationResult>,
}

/// A number for each score that the model gives.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Numbers {
    #[serde(skip_serializing_if = "Option::is_none")]
    dehumanization: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hate: Option<f32>,
    #[schema(value_type = BTreeMap<String, f32>)]
    categories: IndexMap<&'static str, f32>,
    #[schema(value_type = BTreeMap<String, f32>)]
    ways: IndexMap<&'static str, f32>,
    /// Of labels that go by names of their own.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schema(value_type = BTreeMap<String, f32>)]
    labels: IndexMap<String, f32>,
}

/// Probabilities of a window.
#[derive(Debug, Serialize, ToSchema)]
struct WindowResult {
    /// `raw`, or `normalized` for the normalized view of the text.
    view: &'static str,
    /// Its first byte in the text's UTF-8.
    start: usize,
    /// The first byte after it.
    end: usize,
    #[serde(flatten)]
    numbers: Numbers,
}

/// Which words the scores rest on.
#[derive(Debug, Serialize, ToSchema)]
struct ExplanationResult {
    /// The form of the text that is explained.
    view: &'static str,
    /// The windows that are explained, in bytes of the text.
    windows: Vec<Span>,
    words: Vec<WordResult>,
}

/// A stretch of a text.
#[derive(Debug, Serialize, ToSchema)]
struct Span {
    start: usize,
    end: usize,
}

/// How far the log-odds of each label fall without this word, in nats.
#[derive(Debug, Serialize, ToSchema)]
struct WordResult {
    #[serde(flatten)]
    span: Span,
    #[serde(flatten)]
    numbers: Numbers,
}

/// Score texts; tell windows, verdict and, when asked, the words that scores rest on.
#[utoipa::path(
    post, path = "/v1/score", tag = "dignity",
    request_body = ScoreRequest,
    responses(
        (status = 200, description = "One result for each text, in order", body = ScoreResponse),
        (status = "4XX", description = "An error: {\"error\": {\"message\", \"type\", \"param\", \"code\"}}"),
    ),
    security((), ("bearer" = [])),
)]
pub(super) async fn score(
    State(service): State<Arc<Service>>,
    info: RequestInfo,
    JsonBody(request): JsonBody<ScoreRequest>,
) -> Result<Json<ScoreResponse>, Fault> {
    let texts = match request.texts {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    };
    if texts.is_empty() {
        let fault = Fault::new(Kind::Invalid, "empty", "there are no texts");
        return Err(fault.with_param("texts"));
    }
    if request.explain && texts.len() > EXPLAINED {
        let message = format!("{} texts to explain; at most {EXPLAINED} are", texts.len());
        return Err(Fault::new(Kind::TooLarge, "too_many_texts", message).with_param("texts"));
    }
    let id = info.id.to_string();
    let scored = service.score(info, texts, request.policy.as_deref()).await?;
    let mut results = Vec::with_capacity(scored.texts.len());
    for (index, (scores, verdict)) in scored.scores.iter().zip(&scored.verdicts).enumerate() {
        let explanation = if request.explain && scores.unscored.is_none() {
            Some(service.explain(&scored, index).await?)
        } else {
            None
        };
        results.push(result(scores, verdict, explanation));
    }
    let classifier = service.classifier();
    let model = Named {
        name: classifier.model_name().to_owned(),
        version: classifier.model_version().to_owned(),
        digest: classifier.model_digest().to_string(),
    };
    let policy = Named {
        name: scored.policy.name().to_owned(),
        version: scored.policy.version().to_owned(),
        digest: scored.policy.digest().to_string(),
    };
    Ok(Json(ScoreResponse { id, model, policy, results }))
}

fn result(scores: &Scores, verdict: &Verdict, explanation: Option<Explanation>) -> ScoreResult {
    if let Some(reason) = scores.unscored {
        return ScoreResult::Unscored { error: reason.to_string() };
    }
    let windows = scores.windows.iter().map(|window| WindowResult {
        view: view(window.view),
        start: window.bytes.start,
        end: window.bytes.end,
        numbers: Numbers::of(&window.probabilities, scores.labels()),
    });
    ScoreResult::Scored(Box::new(ScoredText {
        numbers: Numbers::of(&scores.probabilities, scores.labels()),
        verdict: verdict.decision.name(),
        because: verdict.because.iter().map(|category| category.name()).collect(),
        windows: windows.collect(),
        explanation: explanation.map(ExplanationResult::from),
    }))
}

const fn view(view: TextView) -> &'static str {
    match view {
        TextView::Raw => "raw",
        TextView::Normalized => "normalized",
    }
}

impl Numbers {
    fn of(probabilities: &Probabilities, labels: &Labels) -> Self {
        let mut numbers = Self::of_roles(labels, |role| probabilities.of(role));
        let named = labels.names().map(str::to_owned).zip(probabilities.labels.iter().copied());
        numbers.labels = named.collect();
        numbers
    }

    fn of_word(word: &WordAttribution, labels: &Labels) -> Self {
        Self::of_roles(labels, |role| match role {
            Role::Dehumanization => word.dehumanization,
            Role::Hate => word.hate,
            Role::Category(category) => word.categories[category],
            Role::Way(way) => word.ways[way],
        })
    }

    fn of_roles(labels: &Labels, number: impl Fn(Role) -> f32) -> Self {
        let mut numbers = Self::default();
        for role in Role::all().filter(|&role| labels.has(role)) {
            match role {
                Role::Dehumanization => numbers.dehumanization = Some(number(role)),
                Role::Hate => numbers.hate = Some(number(role)),
                Role::Category(category) => {
                    numbers.categories.insert(category.name(), number(role));
                }
                Role::Way(way) => {
                    numbers.ways.insert(way.name(), number(role));
                }
            }
        }
        numbers
    }
}

impl From<Explanation> for ExplanationResult {
    fn from(explanation: Explanation) -> Self {
        let span = |bytes: &std::ops::Range<usize>| Span { start: bytes.start, end: bytes.end };
        let labels = explanation.scores.labels();
        let words = explanation.words.iter().map(|word| WordResult {
            span: span(&word.bytes),
            numbers: Numbers::of_word(word, labels),
        });
        Self {
            view: view(explanation.view),
            windows: explanation.windows.iter().map(span).collect(),
            words: words.collect(),
        }
    }
}
