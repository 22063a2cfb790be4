//! Where the hub and its cache are, and who asks.

use std::{env, fmt, fs, path::PathBuf, time::Duration};

use super::HubError;

const ENDPOINT: &str = "https://huggingface.co";

/// Where the hub and its cache are, and who asks.
#[derive(Clone)]
pub struct HubOptions {
    pub(super) endpoint: String,
    pub(super) cache: PathBuf,
    pub(super) token: Option<String>,
    pub(super) offline: bool,
    pub(super) retry_delay: Duration,
}

impl HubOptions {
    /// The public hub without a token, and a cache in the directory `cache`.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: ENDPOINT.to_owned(),
            cache: cache.into(),
            token: None,
            offline: false,
            retry_delay: Duration::from_millis(500),
        }
    }

    /// What the environment says, in the variables that other tools of the hub read: `HF_HOME`,
    /// `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `XDG_CACHE_HOME`; `HF_ENDPOINT`; `HF_TOKEN`,
    /// `HUGGING_FACE_HUB_TOKEN`, `HF_TOKEN_PATH`; `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`.
    ///
    /// # Errors
    /// When no directory for the cache is named, nor a home directory known.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_variables(|name| env::var(name).ok(), env::home_dir())
    }

    fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
        home: Option<PathBuf>,
    ) -> Result<Self, HubError> {
        let value = |name| variable(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let path = |name| {
            value(name).map(|path| match (path.strip_prefix("~/"), &home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => PathBuf::from(path),
            })
        };
        let hugging_face = path("HF_HOME")
            .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
            .or_else(|| home.as_ref().map(|home| home.join(".cache").join("huggingface")));
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| hugging_face.as_ref().map(|home| home.join("hub")))
            .ok_or(HubError::NoHome)?;
        let token_file =
            path("HF_TOKEN_PATH").or_else(|| hugging_face.map(|home| home.join("token")));
        let stored = || {
            let text = fs::read_to_string(token_file?).ok()?;
            Some(text.trim().to_owned()).filter(|token| !token.is_empty())
        };
        let token = value("HF_TOKEN").or_else(|| value("HUGGING_FACE_HUB_TOKEN")).or_else(stored);
        let on = |name| {
            let words = ["1", "true", "yes", "on"];
            value(name).is_some_and(|v| words.iter().any(|word| v.eq_ignore_ascii_case(word)))
        };
        let mut options = Self::new(cache)
            .token(token)
            .offline(on("HF_HUB_OFFLINE") || on("TRANSFORMERS_OFFLINE"));
        if let Some(endpoint) = value("HF_ENDPOINT") {
            options = options.endpoint(endpoint);
        }
        Ok(options)
    }

    /// The hub's address; by default that of the public hub.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into().trim_end_matches('/').to_owned();
        self
    }

    /// A token that proves who asks; it is sent to the hub's own host only.
    #[must_use]
    pub fn token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    /// Whether the cache alone is read, without any connection.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// How long to wait before a failed request is made a second time; each wait after is twice as
    /// long. By default half a second.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = delay;
        self
    }
}

/// Without the token, which is a secret.
impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .field("retry_delay", &self.retry_delay)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> HubOptions {
        let get = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        HubOptions::from_variables(get, Some("home".into())).unwrap()
    }

    #[test]
    fn the_cache_is_where_other_tools_have_it() {
        for (variables, cache) in [
            (&[][..], "home/.cache/huggingface/hub"),
            (&[("HF_HOME", "h")], "h/hub"),
            (&[("HF_HOME", "~/h")], "home/h/hub"),
            (&[("HF_HOME", "")], "home/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "x")], "x/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "x"), ("HF_HOME", "h")], "h/hub"),
            (&[("HF_HOME", "h"), ("HUGGINGFACE_HUB_CACHE", "old")], "old"),
            (&[("HF_HUB_CACHE", "new"), ("HUGGINGFACE_HUB_CACHE", "old")], "new"),
        ] {
            assert_eq!(options(variables).cache, PathBuf::from(cache), "{variables:?}");
        }
        let homeless = HubOptions::from_variables(|_| None, None);
        assert!(matches!(homeless, Err(HubError::NoHome)));
    }

    #[test]
    fn the_token_is_named_or_stored() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("token"), " stored\n").unwrap();
        fs::write(directory.path().join("other"), "other").unwrap();
        let home = directory.path().to_str().unwrap();
        let other = format!("{home}/other");
        let token = |variables: &[(&str, &str)]| {
            options(&[&[("HF_HOME", home)], variables].concat()).token.unwrap()
        };
        assert_eq!(token(&[]), "stored");
        assert_eq!(token(&[("HF_TOKEN_PATH", &other)]), "other");
        assert_eq!(token(&[("HUGGING_FACE_HUB_TOKEN", "old")]), "old");
        assert_eq!(token(&[("HF_TOKEN", "new"), ("HUGGING_FACE_HUB_TOKEN", "old")]), "new");
        assert_eq!(options(&[]).token, None);
        let shown = format!("{:?}", options(&[("HF_TOKEN", "secret")]));
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn offline_and_endpoint() {
        for (value, offline) in
            [("1", true), ("TRUE", true), ("yes", true), ("On", true), ("0", false), ("", false)]
        {
            for name in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
                assert_eq!(options(&[(name, value)]).offline, offline, "{name}={value}");
            }
        }
        assert_eq!(options(&[]).endpoint, ENDPOINT);
        assert_eq!(options(&[("HF_ENDPOINT", "http://mirror/")]).endpoint, "http://mirror");
    }
}
