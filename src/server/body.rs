//! Reading a request's body: within a size and a time, as JSON in UTF-8.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequest, Request},
    http::header,
};
use serde::de::DeserializeOwned;

use super::{
    fault::{Fault, Kind},
    service::Service,
};

/// How much of a body that is too large is read and dropped, so that the client comes to read why.
const DRAINED_BYTES: usize = 64 << 20;

/// A body, parsed.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Service>> for JsonBody<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Fault> {
        let limits = service.limits();
        if !is_json(&request) {
            return Err(Fault::new(
                Kind::MediaType,
                "unsupported_media_type",
                "send JSON, with the header Content-Type: application/json",
            ));
        }
        let bytes = read(request.into_body(), limits.body_bytes, limits.read_timeout).await?;
        parse(&bytes).map(Self)
    }
}

fn is_json(request: &Request) -> bool {
    let named = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = named.and_then(|named| named.split(';').next()).map(str::trim);
    // Browsers ask the server first before a page of another origin may send this type.
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

async fn read(mut body: Body, limit: usize, patience: Duration) -> Result<Vec<u8>, Fault> {
    let collect = async {
        let mut bytes = Vec::new();
        let mut seen = 0_usize;
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let Ok(frame) = frame else {
                return Err(Fault::new(Kind::Syntax, "incomplete_body", "the body is cut off"));
            };
            let Ok(data) = frame.into_data() else { continue };
            seen = seen.saturating_add(data.len());
            if seen <= limit {
                bytes.extend_from_slice(&data);
            } else {
                bytes = Vec::new();
            }
            if seen > limit.saturating_add(DRAINED_BYTES) {
                break;
            }
        }
        if seen > limit {
            return Err(Fault::new(
                Kind::TooLarge,
                "body_too_large",
                format!("the body has more than {limit} bytes; send fewer texts at once"),
            ));
        }
        Ok(bytes)
    };
    match tokio::time::timeout(patience, collect).await {
        Ok(read) => read,
        Err(_) => Err(Fault::new(
            Kind::Slow,
            "slow_body",
            format!("the body did not come within {} s", patience.as_secs_f64()),
        )),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let message = format!("the body is not UTF-8: invalid after {at} valid bytes");
        Fault::new(Kind::Syntax, "invalid_utf8", message)
    })?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.classify() == serde_json::error::Category::Data {
            let (code, message) = told(&error.to_string());
            let fault = Fault::new(Kind::Shape, code, message);
            if path == "." { fault } else { fault.with_param(path) }
        } else {
            Fault::new(Kind::Syntax, "invalid_json", format!("the body is not JSON: {error}"))
        }
    })?;
    deserializer.end().map_err(|error| {
        Fault::new(Kind::Syntax, "invalid_json", format!("the body is not JSON: {error}"))
    })?;
    Ok(value)
}

/// A code and a message for what serde says of the data. Its messages quote a string that stands
/// where another type should, and what is quoted may be a text.
fn told(error: &str) -> (&'static str, String) {
    let quoted = error.starts_with("invalid type: string ") || error.starts_with("invalid value");
    if let Some((_, expected)) = error.split_once(", expected ").filter(|_| quoted) {
        return ("invalid_value", format!("not the right type or value: expected {expected}"));
    }
    let code = match () {
        () if error.starts_with("unknown field") => "unknown_parameter",
        () if error.starts_with("missing field") => "missing_required_parameter",
        () => "invalid_type",
    };
    (code, error.to_owned())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nested {
        #[expect(dead_code, reason = "only its type matters")]
        number: u8,
    }

    #[test]
    fn messages_name_the_place_and_never_quote_strings() {
        let fault = |body: &[u8]| parse::<Vec<Nested>>(body).unwrap_err();
        let shown = |body: &str| format!("{:?}", fault(body.as_bytes()));
        let wrong = shown(r#"[{"number": 1}, {"number": "secret"}]"#);
        assert!(wrong.contains("[1].number") && wrong.contains("expected u8"), "{wrong}");
        assert!(!wrong.contains("secret"));
        assert!(shown(r#"[{"numbers": 1}]"#).contains("unknown_parameter"));
        assert!(shown("[{}]").contains("missing_required_parameter"));
        assert!(shown("[").contains("invalid_json"));
        assert!(shown("[] []").contains("invalid_json"));
        assert!(format!("{:?}", fault(b"[\"\xff\"]")).contains("invalid_utf8"));
    }
}
