//! What is counted, in the text form that Prometheus reads. No label ever holds a text.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::api::Api;
use crate::{
    classifier::Classifier,
    policy::{Decision, Policy},
};

/// The content type of [`Metrics::encode`].
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    api: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    api: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    policy: String,
    decision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// Every metric, registered.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<ApiLabels, Histogram>,
    texts: Family<ApiLabels, Counter>,
    verdicts: Family<VerdictLabels, Counter>,
    rounds: Counter,
    round_windows: Histogram,
    round_seconds: Histogram,
    windows: Counter,
    tokens: Counter,
    queue_texts: Gauge,
    reloads: Family<OutcomeLabels, Counter>,
    audit_records: Family<OutcomeLabels, Counter>,
}

impl Metrics {
    /// All at zero; `classifier` is named in an info metric.
    pub(super) fn new(classifier: &Classifier) -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let mut metrics = Self {
            registry: Registry::with_prefix("dignity"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            texts: Family::default(),
            verdicts: Family::default(),
            rounds: Counter::default(),
            round_windows: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            round_seconds: seconds(),
            windows: Counter::default(),
            tokens: Counter::default(),
            queue_texts: Gauge::default(),
            reloads: Family::default(),
            audit_records: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from the head of a request to the head of its response",
            Unit::Seconds,
            metrics.request_seconds.clone(),
        );
        registry.register("texts", "Texts scored", metrics.texts.clone());
        registry.register("verdicts", "Verdicts given", metrics.verdicts.clone());
        registry.register("rounds", "Rounds computed", metrics.rounds.clone());
        registry.register(
            "round_windows",
            "Windows in a round, of all requests",
            metrics.round_windows.clone(),
        );
        registry.register_with_unit(
            "round_duration",
            "Time that a round was computed for",
            Unit::Seconds,
            metrics.round_seconds.clone(),
        );
        registry.register("windows", "Windows computed", metrics.windows.clone());
        registry.register("tokens", "Tokens computed", metrics.tokens.clone());
        registry.register(
            "queue_texts",
            "Texts that wait or are being computed",
            metrics.queue_texts.clone(),
        );
        registry.register(
            "policy_reloads",
            "Times that policy files were read again",
            metrics.reloads.clone(),
        );
        registry.register("audit_records", "Audit records", metrics.audit_records.clone());
        let build = Info::new([
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("model", classifier.model_name().to_owned()),
            ("model_version", classifier.model_version().to_owned()),
            ("model_digest", classifier.model_digest().to_string()),
            ("engine", classifier.engine().to_string()),
            ("precision", classifier.precision().to_string()),
        ]);
        registry.register("build", "What answers", build);
        metrics
    }

    /// Counts a request that was answered.
    pub(super) fn request(&self, api: Api, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { api: api.name(), status }).inc();
        self.request_seconds
            .get_or_create(&ApiLabels { api: api.name() })
            .observe(took.as_secs_f64());
    }

    /// Counts texts that were scored.
    pub(super) fn texts(&self, api: Api, count: usize) {
        self.texts.get_or_create(&ApiLabels { api: api.name() }).inc_by(count as u64);
    }

    /// Counts a verdict.
    pub(super) fn verdict(&self, policy: &Policy, decision: Decision) {
        let labels = VerdictLabels { policy: policy.name().to_owned(), decision: decision.name() };
        self.verdicts.get_or_create(&labels).inc();
    }

    /// Counts a round of the scoring thread.
    pub(super) fn round(&self, windows: usize, tokens: usize, took: Duration) {
        self.rounds.inc();
        self.round_windows.observe(windows as f64);
        self.round_seconds.observe(took.as_secs_f64());
        self.windows.inc_by(windows as u64);
        self.tokens.inc_by(tokens as u64);
    }

    /// Counts a reload of policies.
    pub(super) fn reload(&self, succeeded: bool) {
        self.reloads.get_or_create(&outcome(succeeded)).inc();
    }

    /// Counts an audit record.
    pub(super) fn audit_record(&self, written: bool) {
        self.audit_records.get_or_create(&outcome(written)).inc();
    }

    /// All metrics as text; `waiting` texts are in the queue.
    pub(super) fn encode(&self, waiting: usize) -> Result<String, fmt::Error> {
        self.queue_texts.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn outcome(succeeded: bool) -> OutcomeLabels {
    OutcomeLabels { outcome: if succeeded { "success" } else { "failure" } }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
