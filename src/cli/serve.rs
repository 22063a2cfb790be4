//! `dignity serve`: the classifier over HTTP.
//!
//! Every setting can be a flag, an environment variable or a line of the configuration file; where
//! several tell it, the flag counts before the environment, and that before the file.

use std::{
    fs,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{
    CliError,
    options::{choose_policy, policy_file, require_dehumanization, roles_file},
};
use crate::{
    classifier::Classifier,
    engine::{Device, EngineKind, Precision},
    policy::Policy,
    server::{self, Keys, Limits, Options, Policies, ScoringLimits, TlsFiles},
};

/// Answer over HTTP: in the shapes of OpenAI's moderation API, the Perspective API and
/// text-embeddings-inference, with everything at /v1/score, and with a page for people at /.
///
/// Listens on this machine alone unless told otherwise. SIGHUP reads policies, the certificate and
/// the audit file's name again; SIGTERM and SIGINT end it when what was taken is answered. API keys
/// come from the configuration file (api_keys), the environment (DIGNITY_API_KEYS, separated by
/// commas) or a file of their own, never from the command line, which others can see.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A TOML file of settings, named like the flags with _ for -
    #[arg(long, value_name = "FILE", env = "DIGNITY_CONFIG")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

/// Settings that the flags, the environment and the file share.
#[derive(clap::Args, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// The address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", env = "DIGNITY_HOST")]
    host: Option<IpAddr>,

    /// The port; 0 is any that is free [default: 8080]
    #[arg(long, value_name = "PORT", env = "DIGNITY_PORT")]
    port: Option<u16>,

    /// Serve HTTPS with this certificate chain, in PEM
    #[arg(long, value_name = "FILE", env = "DIGNITY_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", env = "DIGNITY_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// Let only requests with a key of this file in, one a line
    #[arg(long, value_name = "FILE", env = "DIGNITY_API_KEYS_FILE")]
    api_keys_file: Option<PathBuf>,

    #[arg(skip)]
    api_keys: Option<Vec<String>>,

    /// A model that ships, the directory of a sequence classifier with a label for dehumanization, or
    /// hub:OWNER/NAME[@REVISION] [default: the first of `dignity models`]
    #[arg(long, value_name = "MODEL", env = "DIGNITY_MODEL")]
    model: Option<String>,

    /// A TOML file that gives labels of a model of another maker the roles of dignity's scores
    /// [default: roles.toml beside the model]
    #[arg(long, value_name = "FILE", env = "DIGNITY_ROLES")]
    roles: Option<PathBuf>,

    /// What computes: auto, cpu, cuda (every GPU), cuda:N or metal [default: auto]
    #[arg(long, value_name = "DEVICE", env = "DIGNITY_DEVICE")]
    #[serde(deserialize_with = "parsed")]
    device: Option<Device>,

    /// What computes there: packed or candle [default: packed on a CPU where it knows the model's
    /// family, else candle]
    #[arg(long, value_name = "ENGINE", env = "DIGNITY_ENGINE")]
    #[serde(deserialize_with = "parsed")]
    engine: Option<EngineKind>,

    /// The number format of products: int8, w8a16, bf16, f16 or f32 [default: int8 or w8a16 on a CPU]
    #[arg(long, value_name = "PRECISION", env = "DIGNITY_PRECISION")]
    #[serde(deserialize_with = "parsed")]
    precision: Option<Precision>,

    /// Threads that score [default: one for every core]
    #[arg(long, value_name = "N", env = "DIGNITY_THREADS")]
    threads: Option<usize>,

    /// Tokens computed at once by a thread [default: by device]
    #[arg(long, value_name = "N", env = "DIGNITY_MAX_BATCH_TOKENS")]
    max_batch_tokens: Option<usize>,

    /// The policy where a request names none: a name or a file [default: balanced]
    #[arg(long, value_name = "NAME|FILE", env = "DIGNITY_POLICY")]
    policy: Option<String>,

    /// A policy file that requests may name by the policy's name; may be given several times
    #[arg(
        long = "policy-file",
        value_name = "FILE",
        env = "DIGNITY_POLICY_FILES",
        value_delimiter = ','
    )]
    policy_files: Option<Vec<PathBuf>>,

    /// Append a record for every text to this file, as JSON lines without the text
    #[arg(long, value_name = "FILE", env = "DIGNITY_AUDIT")]
    audit: Option<PathBuf>,

    /// Log as JSON lines
    #[arg(long, env = "DIGNITY_LOG_JSON", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    log_json: Option<bool>,

    /// What to log: off, error, warn, info or debug [default: info]
    #[arg(long, value_name = "LEVEL", env = "DIGNITY_LOG_LEVEL")]
    log_level: Option<String>,

    /// Bytes of a request's body [default: 1048576]
    #[arg(long, value_name = "N", env = "DIGNITY_MAX_BODY_BYTES")]
    max_body_bytes: Option<usize>,

    /// Bytes of one text [default: 262144]
    #[arg(long, value_name = "N", env = "DIGNITY_MAX_TEXT_BYTES")]
    max_text_bytes: Option<usize>,

    /// Texts of one request [default: 1000]
    #[arg(long, value_name = "N", env = "DIGNITY_MAX_TEXTS")]
    max_texts: Option<usize>,

    /// Texts that may wait, of all requests; more are answered with 429 [default: 4096]
    #[arg(long, value_name = "N", env = "DIGNITY_QUEUE_TEXTS")]
    queue_texts: Option<usize>,

    /// Bytes of text that may wait [default: 16777216]
    #[arg(long, value_name = "N", env = "DIGNITY_QUEUE_BYTES")]
    queue_bytes: Option<usize>,

    /// Tokens in a round, which all requests share [default: 512 for every thread, 32768 on a GPU]
    #[arg(long, value_name = "N", env = "DIGNITY_ROUND_TOKENS")]
    round_tokens: Option<usize>,

    /// Milliseconds that a round waits for company, when the one before had some [default: 2]
    #[arg(long, value_name = "MS", env = "DIGNITY_MAX_WAIT_MS")]
    max_wait_ms: Option<u64>,

    /// Seconds for the head of a request, and for its body [default: 10]
    #[arg(long, value_name = "S", env = "DIGNITY_READ_TIMEOUT")]
    read_timeout: Option<f64>,

    /// Seconds for scoring, after which a request is answered with 503 [default: 60]
    #[arg(long, value_name = "S", env = "DIGNITY_ANSWER_TIMEOUT")]
    answer_timeout: Option<f64>,

    /// Seconds for what was taken when the end is asked for [default: 30]
    #[arg(long, value_name = "S", env = "DIGNITY_SHUTDOWN_TIMEOUT")]
    shutdown_timeout: Option<f64>,
}

/// Reads a value that the command line reads too, by the same rule.
fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    #[error("a certificate and its key go together: give both --tls-cert and --tls-key")]
    HalfTls,
    #[error("{setting} is {value}: not a number of seconds")]
    Seconds { setting: &'static str, value: f64 },
    #[error("log_level is {0:?}: off, error, warn, info or debug")]
    LogLevel(String),
    #[error("API keys are wanted, but the ones given are empty")]
    NoKeys,
}

impl Settings {
    /// These settings, and those of `other` where they tell nothing.
    fn or(self, other: Self) -> Self {
        macro_rules! first_told {
            ($($field:ident),* $(,)?) => { Self { $($field: self.$field.or(other.$field)),* } };
        }
        first_told!(
            host,
            port,
            tls_cert,
            tls_key,
            api_keys_file,
            api_keys,
            model,
            roles,
            device,
            engine,
            precision,
            threads,
            max_batch_tokens,
            policy,
            policy_files,
            audit,
            log_json,
            log_level,
            max_body_bytes,
            max_text_bytes,
            max_texts,
            queue_texts,
            queue_bytes,
            round_tokens,
            max_wait_ms,
            read_timeout,
            answer_timeout,
            shutdown_timeout,
        )
    }

    fn of_file(path: &Path) -> Result<Self, SettingsError> {
        let path = || path.to_owned();
        let text = fs::read_to_string(path())
            .map_err(|source| SettingsError::Read { path: path(), source })?;
        toml::from_str(&text)
            .map_err(|source| SettingsError::Toml { path: path(), source: Box::new(source) })
    }

    fn classifier(&self) -> Result<Classifier, CliError> {
        let mut builder = Classifier::builder()
            .device(self.device.unwrap_or_default())
            .threads(self.threads.unwrap_or_default())
            .max_batch_tokens(self.max_batch_tokens.unwrap_or_default());
        if let Some(model) = &self.model {
            builder = builder.model(model.as_str());
        }
        if let Some(path) = &self.roles {
            builder = builder.roles(roles_file(path)?);
        }
        if let Some(engine) = self.engine {
            builder = builder.engine(engine);
        }
        if let Some(precision) = self.precision {
            builder = builder.precision(precision);
        }
        Ok(builder.build()?)
    }

    fn keys(&self) -> Result<Keys, SettingsError> {
        let mut keys = self.api_keys.clone().unwrap_or_default();
        let mut wanted = !keys.is_empty();
        if let Some(path) = &self.api_keys_file {
            let text = fs::read_to_string(path)
                .map_err(|source| SettingsError::Read { path: path.clone(), source })?;
            keys.extend(text.lines().map(str::to_owned));
            wanted = true;
        }
        let keys = Keys::new(keys);
        // An empty file or variable must not open the door.
        if wanted && keys.is_open() { Err(SettingsError::NoKeys) } else { Ok(keys) }
    }

    fn tls(&self) -> Result<Option<TlsFiles>, SettingsError> {
        match (self.tls_cert.clone(), self.tls_key.clone()) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (None, None) => Ok(None),
            _ => Err(SettingsError::HalfTls),
        }
    }

    fn limits(&self, classifier: &Classifier) -> Result<Limits, SettingsError> {
        let round_tokens = match classifier.device() {
            Device::Cpu => 512 * classifier.threads(),
            _ => 32_768,
        };
        let body_bytes = self.max_body_bytes.unwrap_or(1 << 20);
        let queue_texts = self.queue_texts.unwrap_or(4_096);
        Ok(Limits {
            body_bytes,
            text_bytes: self.max_text_bytes.unwrap_or(1 << 18),
            // What would never find room in the queue is not asked to try again.
            texts: self.max_texts.unwrap_or(1_000).min(queue_texts),
            read_timeout: seconds("read_timeout", self.read_timeout.unwrap_or(10.0))?,
            answer_timeout: seconds("answer_timeout", self.answer_timeout.unwrap_or(60.0))?,
            scoring: ScoringLimits {
                queue_texts,
                queue_bytes: self.queue_bytes.unwrap_or(1 << 24).max(body_bytes),
                round_tokens: self.round_tokens.unwrap_or(round_tokens),
                max_wait: Duration::from_millis(self.max_wait_ms.unwrap_or(2)),
            },
        })
    }

    fn log_level(&self) -> Result<tracing::level_filters::LevelFilter, SettingsError> {
        let level = self.log_level.as_deref().unwrap_or("info");
        level.parse().map_err(|_| SettingsError::LogLevel(level.to_owned()))
    }
}

fn seconds(setting: &'static str, value: f64) -> Result<Duration, SettingsError> {
    Duration::try_from_secs_f64(value).map_err(|_| SettingsError::Seconds { setting, value })
}

pub(super) fn run(arguments: Box<Arguments>) -> Result<(), CliError> {
    let Arguments { config, mut settings } = *arguments;
    settings.api_keys = std::env::var("DIGNITY_API_KEYS")
        .ok()
        .map(|keys| keys.split(',').map(str::to_owned).collect());
    if let Some(path) = config {
        settings = settings.or(Settings::of_file(&path)?);
    }
    server::start_log(settings.log_level()?, settings.log_json.unwrap_or(false));
    let (keys, tls) = (settings.keys()?, settings.tls()?);
    let classifier = settings.classifier()?;
    require_dehumanization(&classifier)?;
    let (policy, policy_files) = (settings.policy.clone(), settings.policy_files.clone());
    let reread = move |classifier: &Classifier| -> Result<Policies, CliError> {
        let default = match (&policy, classifier.policy()) {
            (None, None) => return Err(CliError::NoPolicy),
            (wanted, _) => choose_policy(wanted.as_deref(), classifier.policies())?,
        };
        let files = policy_files.iter().flatten().map(|path| policy_file(path));
        let files: Vec<Policy> = files.collect::<Result<_, _>>()?;
        for policy in files.iter().chain([&default]) {
            policy.check_labels(classifier.labels()).map_err(CliError::Decide)?;
        }
        Ok(Policies::new(default, classifier.policies().cloned().chain(files)))
    };
    let policies = reread(&classifier)?;
    let limits = settings.limits(&classifier)?;
    log_start(&classifier, policies.default_policy());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let host = settings.host.unwrap_or(Ipv4Addr::LOCALHOST.into());
    if !host.is_loopback() && keys.is_open() {
        tracing::warn!("anybody who reaches {host} can ask: there are no API keys");
    }
    let options = Options {
        address: SocketAddr::new(host, settings.port.unwrap_or(8080)),
        tls,
        keys,
        limits,
        shutdown_timeout: seconds("shutdown_timeout", settings.shutdown_timeout.unwrap_or(30.0))?,
        audit: settings.audit,
        policies,
        reread,
    };
    server::serve(classifier, options, |address| {
        // On standard output, for whoever started it on port 0.
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "listening on {scheme}://{address}").and_then(|()| out.flush());
    })?;
    Ok(())
}

/// Logs what answers are made with.
fn log_start(classifier: &Classifier, policy: &Policy) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        model = classifier.model_name(),
        model_version = classifier.model_version(),
        model_digest = %classifier.model_digest(),
        engine = %classifier.engine(),
        precision = %classifier.precision(),
        device = %classifier.device(),
        threads = classifier.threads(),
        policy = policy.name(),
        policy_version = policy.version(),
        policy_digest = %policy.digest(),
        "dignity",
    );
    if policy.model() != classifier.model_name() {
        tracing::warn!("the policy's thresholds were chosen for the model {}", policy.model());
    } else if policy.model_digest().is_some_and(|digest| digest != classifier.model_digest()) {
        tracing::warn!("the policy's thresholds were chosen for another version of the model");
    }
}
