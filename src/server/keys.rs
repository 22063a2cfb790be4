//! API keys: who may ask.

use std::{fmt, sync::Arc};

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::{
    api::Api,
    fault::{Fault, Kind},
    service::Service,
};

/// The keys that are let in, as digests: all of one length, so that comparing takes one time. None
/// lets everybody in.
#[derive(Clone, Default)]
pub(crate) struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// These keys; surrounding white space and empty keys do not count.
    pub(crate) fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        let digest = |key: K| {
            let key = key.as_ref().trim();
            (!key.is_empty()).then(|| Sha256::digest(key).into())
        };
        Self(keys.into_iter().filter_map(digest).collect())
    }

    /// Whether anybody may ask.
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `key` is one of them, in a time that does not tell how near it is.
    fn admit(&self, key: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let same = |admitted: Choice, key: &[u8; 32]| admitted | key.ct_eq(&digest);
        self.0.iter().fold(Choice::from(0), same).into()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

/// Lets requests with a key in; all where there are no keys.
pub(super) async fn check(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let keys = service.keys();
    if keys.is_open() {
        return next.run(request).await;
    }
    let fault = match presented(&request) {
        Some(key) if keys.admit(&key) => return next.run(request).await,
        Some(_) => Fault::new(Kind::Unauthorized, "invalid_api_key", "the API key is not valid"),
        None => Fault::new(
            Kind::Unauthorized,
            "missing_api_key",
            "an API key is needed: send the header Authorization: Bearer KEY",
        ),
    };
    fault.into_response()
}

/// The key of a request: a bearer token, or as Google's clients send it.
fn presented(request: &Request) -> Option<String> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(authorization) = text(header::AUTHORIZATION.as_str()) {
        let (scheme, key) = authorization.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned());
    }
    if Api::of(request.uri().path()) != Api::Comments {
        return None;
    }
    if let Some(key) = text("x-goog-api-key") {
        return Some(key.to_owned());
    }
    let query: axum::extract::Query<Vec<(String, String)>> =
        axum::extract::Query::try_from_uri(request.uri()).ok()?;
    query.0.into_iter().find(|(name, _)| name == "key").map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_keys_are_admitted() {
        let keys = Keys::new(["first", " second \n", "", "  "]);
        assert_eq!(format!("{keys:?}"), "2 keys");
        assert!(keys.admit("first") && keys.admit("second"));
        for wrong in ["", "firs", "first ", "FIRST", "third"] {
            assert!(!keys.admit(wrong), "{wrong}");
        }
        assert!(!keys.is_open() && Keys::new([""]).is_open());
    }
}
