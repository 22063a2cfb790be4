//! Requests to the hub: redirects, who gets the token, retries, and what a refusal means.

use std::{thread, time::Duration};

use hf_hub::{Repo, RepoType, api::RepoInfo};
use ureq::{
    Agent, Body,
    http::{HeaderMap, Response, StatusCode, Uri},
};

use super::{HubError, HubModel, HubOptions, cache::is_commit};
use crate::digest::Digest;

/// How often a request is made before its failure counts.
pub(super) const ATTEMPTS: u32 = 4;
/// Redirects that are followed for one request.
const MAX_REDIRECTS: usize = 8;
/// What connecting, or the next bytes of an answer, may take.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Head,
}

/// What the hub knows about a file without its content.
pub(super) struct Metadata {
    /// Names the content in the cache.
    pub(super) etag: String,
    /// In bytes.
    pub(super) size: u64,
}

impl Metadata {
    /// The content's SHA-256, which large files have for an ETag.
    pub(super) fn digest(&self) -> Option<Digest> {
        format!("sha256:{}", self.etag).parse().ok()
    }
}

/// Asks the hub about one model.
pub(super) struct Client<'a> {
    agent: Agent,
    model: &'a HubModel,
    options: &'a HubOptions,
    hub: Uri,
}

impl<'a> Client<'a> {
    pub(super) fn new(model: &'a HubModel, options: &'a HubOptions) -> Result<Self, HubError> {
        let no_address = || HubError::Endpoint { endpoint: options.endpoint.clone() };
        let hub: Uri = options.endpoint.parse().map_err(|_| no_address())?;
        if !matches!(hub.scheme_str(), Some("http" | "https")) || hub.host().is_none() {
            return Err(no_address());
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, so that the token stays with the hub.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The bytes as they are stored: sizes, ranges and digests are about those.
            .accept_encoding("identity")
            .user_agent(concat!("dignity/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(TIMEOUT))
            .timeout_recv_response(Some(TIMEOUT))
            .timeout_per_read(Some(TIMEOUT));
        // A hub on this machine is not behind a proxy.
        if hub.host().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]")) {
            config = config.proxy(None);
        }
        Ok(Self { agent: config.build().into(), model, options, hub })
    }

    /// The commit of the model's revision, and all files of the repository.
    pub(super) fn info(&self, attempts: u32) -> Result<(String, Vec<String>), HubError> {
        let repo = Repo::with_revision(
            self.model.id().to_owned(),
            RepoType::Model,
            self.model.revision().to_owned(),
        );
        let url = format!("{}/api/{}", self.options.endpoint, repo.api_url());
        self.retry(attempts, || {
            let mut response = self.send(Method::Get, &url, None, 0)?;
            let info: RepoInfo = response.body_mut().read_json().map_err(|error| match error {
                ureq::Error::Json(fault) if !fault.is_io() => {
                    HubError::Answer { url: url.clone(), fault: fault.to_string() }
                }
                lost => HubError::Connection { url: url.clone(), source: lost.into() },
            })?;
            if !is_commit(&info.sha) {
                let fault = format!("{:?} is no commit hash", info.sha);
                return Err(HubError::Answer { url: url.clone(), fault });
            }
            Ok((info.sha, info.siblings.into_iter().map(|file| file.rfilename).collect()))
        })
    }

    /// The ETag and size of a file at a commit.
    pub(super) fn metadata(&self, commit: &str, file: &str) -> Result<Metadata, HubError> {
        let url = self.file_url(commit, file);
        self.retry(ATTEMPTS, || {
            let response = self.send(Method::Head, &url, Some(file), 0)?;
            let headers = response.headers();
            let lacks = |what| HubError::Answer { url: url.clone(), fault: format!("no {what}") };
            let etag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag"));
            let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
            // It becomes a file name.
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let etag = etag
                .filter(|etag| !etag.is_empty() && etag.chars().all(plain))
                .ok_or_else(|| lacks("usable ETag"))?;
            let length = || header(headers, "content-length");
            // The length of a redirect's answer is not the file's.
            let size = header(headers, "x-linked-size")
                .or_else(|| length().filter(|_| response.status().is_success()))
                .and_then(|size| size.parse().ok())
                .ok_or_else(|| lacks("size"))?;
            Ok(Metadata { etag: etag.to_owned(), size })
        })
    }

    /// The content of a file at a commit from byte `from` on: with status 206, or with 200 from the
    /// start where the server knows no ranges, or with 416 where there is no such byte.
    pub(super) fn content(
        &self,
        commit: &str,
        file: &str,
        from: u64,
    ) -> Result<Response<Body>, HubError> {
        self.send(Method::Get, &self.file_url(commit, file), Some(file), from)
    }

    pub(super) fn file_url(&self, commit: &str, file: &str) -> String {
        let mut path = String::new();
        for byte in file.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                    path.push(char::from(byte));
                }
                _ => path.push_str(&format!("%{byte:02X}")),
            }
        }
        format!("{}/{}/resolve/{commit}/{path}", self.options.endpoint, self.model.id())
    }

    /// The pause after so many failures in a row.
    pub(super) fn wait(&self, failures: u32) {
        thread::sleep(self.options.retry_delay * 2_u32.saturating_pow(failures.saturating_sub(1)));
    }

    fn retry<T>(
        &self,
        attempts: u32,
        mut request: impl FnMut() -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut failures = 0;
        loop {
            match request() {
                Err(error) if error.is_transient() && failures + 1 < attempts => failures += 1,
                done => return done,
            }
            self.wait(failures);
        }
    }

    fn send(
        &self,
        method: Method,
        url: &str,
        file: Option<&str>,
        from: u64,
    ) -> Result<Response<Body>, HubError> {
        let answer = |url: &Uri, fault: &str| HubError::Answer {
            url: without_query(url),
            fault: fault.to_owned(),
        };
        let mut url: Uri = url.parse().map_err(|_| HubError::Answer {
            url: url.to_owned(),
            fault: "the address cannot be read".to_owned(),
        })?;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = match method {
                Method::Get => self.agent.get(&url),
                Method::Head => self.agent.head(&url),
            };
            if from > 0 {
                request = request.header("Range", format!("bytes={from}-"));
            }
            if let Some(token) = &self.options.token
                && self.is_hub(&url)
            {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let response = request.call().map_err(|source| HubError::Connection {
                url: without_query(&url),
                source: source.into(),
            })?;
            if !response.status().is_redirection() {
                return self.checked(response, &url, file, from);
            }
            // On the way to the content, the hub itself tells about it.
            if method == Method::Head && response.headers().contains_key("x-linked-etag") {
                return Ok(response);
            }
            url = header(response.headers(), "location")
                .and_then(|location| joined(&url, location))
                .ok_or_else(|| answer(&url, "a redirect to nowhere"))?;
        }
        Err(answer(&url, "too many redirects"))
    }

    /// Whether the token may go there.
    fn is_hub(&self, url: &Uri) -> bool {
        let place = |url: &Uri| {
            let scheme = url.scheme_str().map(str::to_owned);
            let port = url.port_u16().or(match scheme.as_deref() {
                Some("https") => Some(443),
                _ => Some(80),
            });
            (scheme, url.host().map(str::to_ascii_lowercase), port)
        };
        place(url) == place(&self.hub)
    }

    /// The answer, unless its status is an error.
    fn checked(
        &self,
        response: Response<Body>,
        url: &Uri,
        file: Option<&str>,
        from: u64,
    ) -> Result<Response<Body>, HubError> {
        let status = response.status();
        if status.is_success() || (from > 0 && status == StatusCode::RANGE_NOT_SATISFIABLE) {
            return Ok(response);
        }
        let model = self.model.clone();
        let endpoint = self.options.endpoint.clone();
        let (url, at_hub) = (without_query(url), self.is_hub(url));
        let code = header(response.headers(), "x-error-code").unwrap_or_default();
        Err(match (status.as_u16(), code, file) {
            (429, ..) => HubError::TooManyRequests,
            (500.., ..) => HubError::Server { url, status: status.as_u16() },
            // Another host's refusal says nothing about the model.
            _ if !at_hub => HubError::Status { url, status: status.as_u16() },
            (_, "GatedRepo", _) => HubError::Gated { model },
            (_, "RepoNotFound", _) => HubError::NoRepository { model, endpoint },
            (_, "RevisionNotFound", _) => HubError::NoRevision { model },
            (404, "" | "EntryNotFound", Some(file)) => {
                HubError::NoFile { model, file: file.to_owned() }
            }
            (404, "", None) => HubError::NoRepository { model, endpoint },
            (401, ..) => HubError::Unauthorized { model },
            (403, ..) => HubError::Forbidden { model },
            _ => HubError::Status { url, status: status.as_u16() },
        })
    }
}

pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Where a redirect from `base` leads.
fn joined(base: &Uri, location: &str) -> Option<Uri> {
    let (scheme, host) = (base.scheme_str()?, base.authority()?);
    let absolute = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{host}{location}")
    } else {
        location.to_owned()
    };
    absolute.parse().ok().filter(|url: &Uri| matches!(url.scheme_str(), Some("http" | "https")))
}

/// The address as messages tell it: what comes after the path may be a signature.
fn without_query(url: &Uri) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let (scheme, host) = (url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default());
    format!("{scheme}://{host}{port}{}", url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let base: Uri = "http://hub:81/a/b?c".parse().unwrap();
        for (location, expected) in [
            ("/x?y", Some("http://hub:81/x?y")),
            ("//cdn/x", Some("http://cdn/x")),
            ("https://cdn/x", Some("https://cdn/x")),
            ("file:///etc/passwd", None),
            ("x", None),
            ("", None),
        ] {
            let found = joined(&base, location).map(|url| url.to_string());
            assert_eq!(found.as_deref(), expected, "{location}");
        }
        assert_eq!(without_query(&base), "http://hub:81/a/b");
    }

    #[test]
    fn the_token_goes_to_the_hub_alone() {
        let model = "owner/name".parse().unwrap();
        let options = HubOptions::new("cache").endpoint("https://hub.example/mirror");
        let client = Client::new(&model, &options).unwrap();
        for (url, is_hub) in [
            ("https://hub.example/x", true),
            ("https://HUB.example:443/x", true),
            ("http://hub.example/x", false),
            ("https://hub.example:8443/x", false),
            ("https://cdn.hub.example/x", false),
            ("https://hub.example.org/x", false),
            ("https://hub.example@cdn.example/x", false),
        ] {
            assert_eq!(client.is_hub(&url.parse().unwrap()), is_hub, "{url}");
        }
        assert_eq!(
            client.file_url("c0ffee", "policies/a b.toml"),
            "https://hub.example/mirror/owner/name/resolve/c0ffee/policies/a%20b.toml"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let model = "owner/name".parse().unwrap();
        for bad in ["", "hub.example", "ftp://hub.example", "file:///models", "https://"] {
            let options = HubOptions::new("cache").endpoint(bad);
            let refused = matches!(Client::new(&model, &options), Err(HubError::Endpoint { .. }));
            assert!(refused, "{bad:?}");
        }
    }
}
