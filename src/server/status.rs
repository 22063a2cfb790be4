//! `GET /health`, `/ready`, `/metrics` and `/v1/policies`: how the service is and decides.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use indexmap::IndexMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{fault::Fault, metrics, service::Service};
use crate::taxonomy::Category;

/// Whether the service is as it should be.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    status: &'static str,
}

/// Whether the process can score; if not, start it anew.
#[utoipa::path(
    get, path = "/health", tag = "status",
    responses((status = 200, description = "It can", body = Status), (status = 503, description = "It cannot", body = Status)),
)]
pub(super) async fn health(State(service): State<Arc<Service>>) -> Response {
    answer(service.is_healthy(), "ok", "failed")
}

/// Whether new requests are welcome; they are not during shutdown.
#[utoipa::path(
    get, path = "/ready", tag = "status",
    responses((status = 200, description = "They are", body = Status), (status = 503, description = "They are not", body = Status)),
)]
pub(super) async fn ready(State(service): State<Arc<Service>>) -> Response {
    answer(service.is_ready(), "ready", "draining")
}

fn answer(good: bool, yes: &'static str, no: &'static str) -> Response {
    let (code, status) =
        if good { (StatusCode::OK, yes) } else { (StatusCode::SERVICE_UNAVAILABLE, no) };
    (code, Json(Status { status })).into_response()
}

/// Counters and histograms, as Prometheus reads them.
#[utoipa::path(
    get, path = "/metrics", tag = "status",
    responses((status = 200, description = "OpenMetrics text", body = String)),
    security((), ("bearer" = [])),
)]
pub(super) async fn metrics(State(service): State<Arc<Service>>) -> Result<Response, Fault> {
    let text = service.metrics().encode(service.waiting()).map_err(|error| {
        tracing::error!(%error, "metrics cannot be written");
        Fault::internal()
    })?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// A policy's thresholds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyInfo {
    name: String,
    version: String,
    digest: String,
    /// Whether it decides where a request names none.
    default: bool,
    /// A text is flagged at this probability of dehumanization or above, if the policy decides by it.
    flag: Option<f32>,
    /// A person should look at this probability or above.
    review: Option<f32>,
    /// A category is named as a cause at this probability or above.
    #[schema(value_type = BTreeMap<String, f32>)]
    because: IndexMap<&'static str, f32>,
}

/// The policies that a request may name.
#[utoipa::path(
    get, path = "/v1/policies", tag = "dignity",
    responses((status = 200, description = "In order of name", body = Vec<PolicyInfo>)),
    security((), ("bearer" = [])),
)]
pub(super) async fn policies(State(service): State<Arc<Service>>) -> Json<Vec<PolicyInfo>> {
    let policies = service.policies();
    let info = policies.iter().map(|policy| PolicyInfo {
        name: policy.name().to_owned(),
        version: policy.version().to_owned(),
        digest: policy.digest().to_string(),
        default: Arc::ptr_eq(policy, policies.default_policy()),
        flag: policy.flag().dehumanization,
        review: policy.review().dehumanization,
        because: Category::ALL.map(|category| (category.name(), policy.because(category))).into(),
    });
    Json(info.collect())
}
