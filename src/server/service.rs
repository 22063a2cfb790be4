//! What every handler shares: the classifier behind its queue, the policies, the limits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderName, HeaderValue, request::Parts},
    middleware::Next,
    response::Response,
};
use tokio::time::timeout;

use super::{
    api::Api,
    audit::{Audit, Record},
    explaining::Explaining,
    fault::{Fault, Kind},
    keys::Keys,
    metrics::Metrics,
    policies::Policies,
    scoring::{Scoring, ScoringLimits},
};
use crate::{
    classifier::Classifier,
    explain::Explanation,
    policy::{Policy, Verdict},
    scores::Scores,
};

/// What a request may ask, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a body.
    pub(crate) body_bytes: usize,
    /// Bytes of a text.
    pub(crate) text_bytes: usize,
    /// Texts of a request.
    pub(crate) texts: usize,
    /// For the head of a request, and for its body.
    pub(crate) read_timeout: Duration,
    /// For scoring and explaining.
    pub(crate) answer_timeout: Duration,
    pub(crate) scoring: ScoringLimits,
}

/// The texts of a request with what is said of them.
pub(super) struct Scored {
    pub(super) texts: Arc<[String]>,
    pub(super) scores: Vec<Scores>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) policy: Arc<Policy>,
}

/// One for all requests.
pub(crate) struct Service {
    classifier: Arc<Classifier>,
    scoring: Arc<Scoring>,
    explaining: Explaining,
    policies: ArcSwap<Policies>,
    keys: Keys,
    limits: Limits,
    metrics: Arc<Metrics>,
    audit: Option<Audit>,
    draining: AtomicBool,
}

impl Service {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        classifier: Arc<Classifier>,
        policies: Policies,
        keys: Keys,
        limits: Limits,
        metrics: Arc<Metrics>,
        audit: Option<Audit>,
    ) -> std::io::Result<Self> {
        let scoring =
            Arc::new(Scoring::start(classifier.clone(), metrics.clone(), limits.scoring)?);
        let explaining = Explaining::start(classifier.clone(), scoring.clone())?;
        let policies = ArcSwap::from_pointee(policies);
        let draining = AtomicBool::new(false);
        Ok(Self {
            classifier,
            scoring,
            explaining,
            policies,
            keys,
            limits,
            metrics,
            audit,
            draining,
        })
    }

    pub(super) fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// Name and version of the model in one word.
    pub(super) fn model(&self) -> String {
        match (self.classifier.model_name(), self.classifier.model_version()) {
            (name, "") => name.to_owned(),
            (name, version) => format!("{name}-{version}"),
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn audit(&self) -> Option<&Audit> {
        self.audit.as_ref()
    }

    pub(super) fn policies(&self) -> Arc<Policies> {
        self.policies.load_full()
    }

    /// Requests that come from now on are decided by `policies`.
    pub(super) fn replace_policies(&self, policies: Policies) {
        self.policies.store(Arc::new(policies));
    }

    /// How many texts wait or are being computed.
    pub(super) fn waiting(&self) -> usize {
        self.scoring.waiting()
    }

    /// Whether texts can be scored.
    pub(super) fn is_healthy(&self) -> bool {
        self.scoring.is_alive()
    }

    /// Whether new requests are welcome.
    pub(super) fn is_ready(&self) -> bool {
        self.is_healthy() && !self.draining.load(Ordering::Relaxed)
    }

    /// New requests are not welcome any more.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Scores the texts of a request and decides about them.
    pub(super) async fn score(
        &self,
        request: RequestInfo,
        texts: Vec<String>,
        policy: Option<&str>,
    ) -> Result<Scored, Fault> {
        let policy = self.policies.load().get(policy)?;
        self.check(&texts)?;
        let texts: Arc<[String]> = texts.into();
        let scoring = self.scoring.score(texts.clone());
        let scores = self.within_time(scoring).await??;
        let verdicts: Vec<Verdict> = scores.iter().map(|scores| policy.verdict(scores)).collect();
        self.metrics.texts(request.api, texts.len());
        for verdict in &verdicts {
            self.metrics.verdict(&policy, verdict.decision);
        }
        if let Some(audit) = &self.audit {
            for ((text, scores), verdict) in texts.iter().zip(&scores).zip(&verdicts) {
                let record =
                    Record::new(&request, &self.classifier, &policy, text, scores, verdict);
                // What has no record has no answer.
                audit.append(&record).await.map_err(|error| {
                    tracing::error!(%error, "the audit record cannot be written");
                    Fault::internal()
                })?;
            }
        }
        Ok(Scored { texts, scores, verdicts, policy })
    }

    /// Explains the scores of text number `index`.
    pub(super) async fn explain(
        &self,
        scored: &Scored,
        index: usize,
    ) -> Result<Explanation, Fault> {
        let texts = scored.texts.clone();
        let Some(scores) = scored.scores.get(index).cloned() else { return Err(Fault::internal()) };
        self.within_time(self.explaining.explain(texts, index, scores)).await?.map_err(Fault::from)
    }

    async fn within_time<T>(&self, answer: impl Future<Output = T>) -> Result<T, Fault> {
        let patience = self.limits.answer_timeout;
        timeout(patience, answer).await.map_err(|_| {
            let message = format!("not scored within {} s", patience.as_secs_f64());
            Fault::new(Kind::Overdue, "timeout", message)
        })
    }

    fn check(&self, texts: &[String]) -> Result<(), Fault> {
        let Limits { texts: most, text_bytes, .. } = self.limits;
        if texts.len() > most {
            let message = format!("{} texts in one request; at most {most} are taken", texts.len());
            return Err(Fault::new(Kind::TooLarge, "too_many_texts", message));
        }
        if let Some(index) = texts.iter().position(|text| text.len() > text_bytes) {
            let message = format!(
                "text {index} has {} bytes; at most {text_bytes} are taken",
                texts[index].len()
            );
            return Err(Fault::new(Kind::TooLarge, "text_too_long", message));
        }
        Ok(())
    }
}

/// A request's name and the API that it asks.
#[derive(Clone, Debug)]
pub(super) struct RequestInfo {
    pub(super) id: Arc<str>,
    pub(super) api: Api,
}

/// The header that tells a request's name.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl RequestInfo {
    fn new(api: Api) -> Self {
        Self { id: format!("{:032x}", fastrand::u128(..)).into(), api }
    }
}

/// Names requests, for handlers, logs, audit records and clients.
pub(super) async fn name_request(mut request: Request, next: Next) -> Response {
    let info = RequestInfo::new(Api::of(request.uri().path()));
    request.extensions_mut().insert(info.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&info.id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.extensions_mut().insert(info);
    response
}

impl<S: Sync> FromRequestParts<S> for RequestInfo {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let named = parts.extensions.get::<Self>().cloned();
        Ok(named.unwrap_or_else(|| Self::new(Api::of(parts.uri.path()))))
    }
}
