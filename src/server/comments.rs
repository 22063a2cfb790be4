//! `POST /v1alpha1/comments:analyze`, in the shape of the Perspective API.
//!
//! `begin` and `end` of spans count characters, that is Unicode scalar values, from 0; `end` is the first
//! character after the span. A span is the whole comment, or with `spanAnnotations` a window of it:
//! the stretch of text that the model read at once.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    body::JsonBody,
    fault::{Fault, Kind},
    service::{RequestInfo, Service},
};
use crate::{
    model::Labels,
    scores::{Probabilities, Scores},
    taxonomy::Role,
};

/// A request of the Perspective API.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "part of the API and not looked at: nothing is stored")]
pub(super) struct AnalyzeRequest {
    comment: TextEntry,
    /// `DEHUMANIZATION`, `IDENTITY_ATTACK` (the score `hate`), or `DEHUMANIZATION_RELIGION` and so
    /// on for each category.
    requested_attributes: BTreeMap<String, AttributeParameters>,
    /// Echoed; nothing is detected or refused by language.
    #[serde(default)]
    languages: Vec<String>,
    /// Echoed.
    client_token: Option<String>,
    /// Whether a long comment's windows are spans of their own.
    #[serde(default)]
    span_annotations: bool,
    do_not_store: Option<bool>,
    session_id: Option<String>,
    community_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    context: Option<Value>,
}

/// The comment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TextEntry {
    #[serde(default)]
    text: String,
    /// `PLAIN_TEXT`, or `HTML`, which is read as plain text too.
    #[serde(rename = "type")]
    #[expect(dead_code, reason = "part of the API")]
    kind: Option<String>,
}

/// How an attribute is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AttributeParameters {
    score_type: Option<String>,
    /// Scores below are left out.
    #[serde(default)]
    score_threshold: f32,
}

/// A response of the Perspective API.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnalyzeResponse {
    attribute_scores: BTreeMap<String, AttributeScores>,
    languages: Vec<String>,
    /// Empty: no language is detected.
    detected_languages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
}

/// The scores of one attribute.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttributeScores {
    span_scores: Vec<SpanScore>,
    summary_score: Score,
}

/// The score of a stretch of the comment.
#[derive(Debug, Serialize, ToSchema)]
struct SpanScore {
    /// Its first character.
    begin: usize,
    /// The first character after it.
    end: usize,
    score: Score,
}

/// A probability.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct Score {
    value: f32,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Score {
    const fn probability(value: f32) -> Self {
        Self { value, kind: "PROBABILITY" }
    }
}

/// The attributes that a model has scores for, by name.
fn attributes(labels: &Labels) -> impl Iterator<Item = (String, Role)> {
    Role::all().filter(|&role| labels.has(role)).filter_map(|role| Some((attribute(role)?, role)))
}

/// The name of a score; ways have none.
fn attribute(role: Role) -> Option<String> {
    match role {
        Role::Dehumanization => Some("DEHUMANIZATION".to_owned()),
        Role::Hate => Some("IDENTITY_ATTACK".to_owned()),
        Role::Category(category) => {
            Some(format!("DEHUMANIZATION_{}", category.name().to_ascii_uppercase()))
        }
        Role::Way(_) => None,
    }
}

/// Score a comment, in the shape of the Perspective API.
#[utoipa::path(
    post, path = "/v1alpha1/comments:analyze", tag = "compatible",
    request_body = AnalyzeRequest,
    responses(
        (status = 200, description = "The requested attributes", body = AnalyzeResponse),
        (status = "4XX", description = "An error in Google's shape"),
    ),
    security((), ("bearer" = []), ("key" = [])),
)]
pub(super) async fn analyze(
    State(service): State<Arc<Service>>,
    info: RequestInfo,
    JsonBody(request): JsonBody<AnalyzeRequest>,
) -> Result<Json<AnalyzeResponse>, Fault> {
    let wanted = wanted(&request.requested_attributes, service.classifier().labels())?;
    let scored = service.score(info, vec![request.comment.text], None).await?;
    // One text in, one out.
    let (Some(text), Some(scores)) = (scored.texts.first(), scored.scores.first()) else {
        return Err(Fault::internal());
    };
    if let Some(reason) = scores.unscored {
        let message = format!("Comment must be non-empty: {reason}.");
        return Err(invalid("COMMENT_EMPTY", message));
    }
    let spans = spans(text, scores, request.span_annotations);
    let attribute_scores = wanted.into_iter().filter_map(|(name, role, threshold)| {
        let summary = scores.probabilities.of(role);
        let span_scores = spans.iter().map(|(span, probabilities)| SpanScore {
            begin: span.start,
            end: span.end,
            score: Score::probability(probabilities.of(role)),
        });
        let scores = AttributeScores {
            span_scores: span_scores.filter(|span| span.score.value >= threshold).collect(),
            summary_score: Score::probability(summary),
        };
        (summary >= threshold).then_some((name, scores))
    });
    Ok(Json(AnalyzeResponse {
        attribute_scores: attribute_scores.collect(),
        languages: request.languages,
        detected_languages: Vec::new(),
        client_token: request.client_token,
    }))
}

/// The requested attributes with their thresholds.
fn wanted(
    requested: &BTreeMap<String, AttributeParameters>,
    labels: &Labels,
) -> Result<Vec<(String, Role, f32)>, Fault> {
    if requested.is_empty() {
        let message = "No attributes were requested.".to_owned();
        return Err(invalid("INVALID_REQUESTED_ATTRIBUTES", message));
    }
    let attribute = |(name, parameters): (&String, &AttributeParameters)| {
        let Some((name, role)) = attributes(labels).find(|(known, _)| known == name) else {
            let known: Vec<_> = attributes(labels).map(|(known, _)| known).collect();
            let message = format!("Unknown requested attribute; there are {}.", known.join(", "));
            return Err(invalid("UNKNOWN_ATTRIBUTE", message));
        };
        if parameters.score_type.as_deref().is_some_and(|kind| kind != "PROBABILITY") {
            let message = format!("The score type of {name} can only be PROBABILITY.");
            return Err(invalid("INVALID_SCORE_TYPE", message));
        }
        Ok((name, role, parameters.score_threshold))
    };
    requested.iter().map(attribute).collect()
}

fn invalid(error_type: &'static str, message: String) -> Fault {
    Fault::new(Kind::Invalid, error_type, message).with_details(json!({
        "@type": "type.googleapis.com/google.commentanalyzer.v1alpha1.Error",
        "errorType": error_type,
    }))
}

/// The spans of a comment in characters: its windows, or the whole.
fn spans(text: &str, scores: &Scores, windows: bool) -> Vec<(Range<usize>, Probabilities)> {
    if !windows {
        return vec![(0..text.chars().count(), scores.probabilities.clone())];
    }
    let windows = scores.windows.iter();
    let mut spans: Vec<_> =
        windows.map(|window| (window.bytes.clone(), window.probabilities.clone())).collect();
    // Those of the raw text and of its normalized view, together in text order.
    spans.sort_by_key(|(bytes, _)| (bytes.start, bytes.end));
    let mut starts = text.char_indices().map(|(byte, _)| byte).collect::<Vec<_>>();
    starts.push(text.len());
    let character = |byte: usize| starts.partition_point(|&start| start < byte);
    spans
        .into_iter()
        .map(|(bytes, probabilities)| (character(bytes.start)..character(bytes.end), probabilities))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::{TextView, WindowScores};

    #[test]
    fn spans_count_characters() {
        let window = |bytes: Range<usize>| WindowScores {
            view: TextView::Raw,
            bytes,
            probabilities: Probabilities::default(),
        };
        let text = "é😀 ab";
        let scores = Scores::from_windows(vec![window(7..9), window(0..6)], &Arc::default());
        let found = |windows| -> Vec<_> {
            spans(text, &scores, windows).into_iter().map(|(span, _)| span).collect()
        };
        assert_eq!(found(true), [0..2, 3..5]);
        assert_eq!(found(false).as_slice(), std::slice::from_ref(&(0..5)));
    }

    #[test]
    fn attributes_are_named_after_categories() {
        let names: Vec<_> = attributes(&Labels::default()).map(|(name, _)| name).collect();
        assert_eq!(names.len(), 12);
        assert!(names.contains(&"DEHUMANIZATION_NATIONAL_ORIGIN".to_owned()));
        assert!(names.contains(&"IDENTITY_ATTACK".to_owned()));
    }
}
