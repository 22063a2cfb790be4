//! Why a request was refused or failed, told in the shape of the API that was asked.

use axum::{
    Json,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{api::Api, scoring::ScoringError};

/// What is wrong, and whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The body is not JSON in UTF-8.
    Syntax,
    /// The body is JSON, but not what is asked for.
    Shape,
    /// The body has the right shape and asks for what there is not.
    Invalid,
    Unauthorized,
    NotFound,
    Method,
    /// The client was too slow.
    Slow,
    TooLarge,
    MediaType,
    /// The queue is full.
    Busy,
    Internal,
    /// The answer took too long.
    Overdue,
}

/// A refusal. The message never holds a text that was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Fault {
    kind: Kind,
    message: String,
    /// A stable word for programs.
    code: &'static str,
    /// The part of the request that is at fault.
    param: Option<String>,
    /// Google's details, for that API.
    details: Option<Value>,
}

impl Fault {
    pub(super) fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code, param: None, details: None }
    }

    pub(super) fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(super) fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Something that is ours to mend; the log has more.
    pub(super) fn internal() -> Self {
        Self::new(Kind::Internal, "internal", "the server failed; its log tells why")
    }

    fn status(&self, api: Api) -> StatusCode {
        match self.kind {
            Kind::Shape if api == Api::Predict => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Syntax | Kind::Shape | Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Slow => StatusCode::REQUEST_TIMEOUT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Overdue => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn body(&self, api: Api) -> Value {
        match api {
            Api::Comments => {
                let status = self.status(api);
                let mut error = json!({
                    "code": status.as_u16(),
                    "message": self.message,
                    "status": self.google_status(),
                });
                if let Some(details) = &self.details {
                    error["details"] = json!([details]);
                }
                json!({ "error": error })
            }
            Api::Predict => json!({ "error": self.message, "error_type": self.tei_type() }),
            Api::Moderations | Api::Score | Api::Other => json!({ "error": {
                "message": self.message,
                "type": self.openai_type(),
                "param": self.param,
                "code": self.code,
            }}),
        }
    }

    fn openai_type(&self) -> &'static str {
        match self.kind {
            Kind::Busy => "rate_limit_error",
            Kind::Internal | Kind::Overdue => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn google_status(&self) -> &'static str {
        match self.kind {
            Kind::Syntax | Kind::Shape | Kind::Invalid | Kind::TooLarge | Kind::MediaType => {
                "INVALID_ARGUMENT"
            }
            Kind::Unauthorized => "UNAUTHENTICATED",
            Kind::NotFound => "NOT_FOUND",
            Kind::Method => "UNIMPLEMENTED",
            Kind::Slow => "DEADLINE_EXCEEDED",
            Kind::Busy => "RESOURCE_EXHAUSTED",
            Kind::Internal => "INTERNAL",
            Kind::Overdue => "UNAVAILABLE",
        }
    }

    fn tei_type(&self) -> &'static str {
        match self.kind {
            Kind::Busy => "Overloaded",
            Kind::Internal => "Backend",
            Kind::Overdue => "Unhealthy",
            _ if self.code == "empty" => "Empty",
            _ => "Validation",
        }
    }
}

impl From<ScoringError> for Fault {
    fn from(error: ScoringError) -> Self {
        match error {
            ScoringError::Full => Self::new(
                Kind::Busy,
                "queue_full",
                "the queue is full; try again in a moment, or send fewer texts at once",
            ),
            ScoringError::Classifier(_) | ScoringError::Lost => {
                tracing::error!(%error, "scoring failed");
                Self::internal()
            }
        }
    }
}

/// Carries the fault to [`render`], which knows what API was asked.
impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.status(Api::Other).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// With a realm, without which some clients take the header for malformed.
const BEARER: &str = "Bearer realm=\"dignity\"";

/// Gives faults their body.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let api = Api::of(request.uri().path());
    let mut response = next.run(request).await;
    let Some(fault) = response.extensions_mut().remove::<Fault>() else { return response };
    let mut rendered = (fault.status(api), Json(fault.body(api))).into_response();
    let headers = rendered.headers_mut();
    match fault.kind {
        Kind::Busy | Kind::Overdue => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Kind::Unauthorized => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(BEARER));
        }
        // What is left of the body is not worth reading.
        Kind::Slow | Kind::TooLarge => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Kind::Method => {
            if let Some(allowed) = response.headers_mut().remove(header::ALLOW) {
                headers.insert(header::ALLOW, allowed);
            }
        }
        _ => {}
    }
    rendered
}
