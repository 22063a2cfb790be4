//! Which API a request speaks to, told by its path.

/// A family of paths that answers, and fails, in one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// As OpenAI's moderation API.
    Moderations,
    /// As the Perspective API.
    Comments,
    /// As text-embeddings-inference.
    Predict,
    /// Our own.
    Score,
    /// Everything else: the page, health, metrics, unknown paths.
    Other,
}

impl Api {
    /// The API of a path.
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/v1/moderations" => Self::Moderations,
            _ if path.starts_with("/v1alpha1/") => Self::Comments,
            "/predict" => Self::Predict,
            "/v1/score" => Self::Score,
            _ => Self::Other,
        }
    }

    /// A name for logs, metrics and audit records.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Moderations => "moderations",
            Self::Comments => "comments",
            Self::Predict => "predict",
            Self::Score => "score",
            Self::Other => "other",
        }
    }
}
