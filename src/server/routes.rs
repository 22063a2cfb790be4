//! Which path leads where, and the description of it all at `/openapi.json`.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::{HeaderValue, header},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    comments,
    fault::{self, Fault, Kind},
    keys, log, moderations, page, predict, score,
    service::{self, Service},
    status,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "dignity", description = "Scores text for dehumanizing language by protected category"),
    tags(
        (name = "dignity", description = "Everything that is known of a text"),
        (name = "compatible", description = "In the shape of other services' APIs"),
        (name = "status", description = "How the service is"),
    ),
    modifiers(&Security),
)]
struct Description;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let key = SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::new("key")));
        components.add_security_scheme("key", key);
    }
}

/// All routes, with what every request passes.
pub(super) fn router(service: Arc<Service>) -> Router {
    let keyed = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(score::score))
        .routes(routes!(moderations::moderate))
        .routes(routes!(comments::analyze))
        .routes(routes!(predict::predict))
        .routes(routes!(status::policies))
        .routes(routes!(status::metrics))
        .route_layer(from_fn_with_state(service.clone(), keys::check));
    let open = OpenApiRouter::new().routes(routes!(status::health)).routes(routes!(status::ready));
    let (router, description) = keyed.merge(open).split_for_parts();
    let describe = move || async move { Json(description) };
    let no_sniff = HeaderValue::from_static("nosniff");
    router
        .route("/openapi.json", get(describe))
        .merge(page::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(fault::render))
        .layer(from_fn(service::name_request))
        .layer(from_fn_with_state(service.clone(), log::observe))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, no_sniff))
        .with_state(service)
}

async fn unknown_path() -> Fault {
    Fault::new(Kind::NotFound, "unknown_path", "there is nothing at this path; see /openapi.json")
}

async fn wrong_method() -> Fault {
    Fault::new(Kind::Method, "method_not_allowed", "this path does not take this method")
}

/// What panicked wrote where and why to standard error.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Fault::internal().into_response()
}
