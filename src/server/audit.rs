//! Audit records: what was said of which input, by which model, under which policy; never the text.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
    thread,
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{metrics::Metrics, service::RequestInfo};
use crate::{
    classifier::Classifier,
    digest::Digest,
    policy::{Decision, Policy, Verdict},
    scores::Scores,
    taxonomy::Category,
};

/// How many records may wait for the disk.
const WAITING: usize = 4_096;

/// One line of the audit file.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    time: Timestamp,
    request: &'a str,
    api: &'static str,
    /// SHA-256 of the text's bytes.
    input: Digest,
    model: Named<'a>,
    tokenizer: Digest,
    policy: Named<'a>,
    /// Probabilities, or why there are none.
    scores: &'a Scores,
    verdict: Decision,
    because: &'a [Category],
}

#[derive(Debug, Serialize)]
struct Named<'a> {
    name: &'a str,
    version: &'a str,
    digest: Digest,
}

impl<'a> Record<'a> {
    pub(super) fn new(
        request: &'a RequestInfo,
        classifier: &'a Classifier,
        policy: &'a Policy,
        text: &str,
        scores: &'a Scores,
        verdict: &'a Verdict,
    ) -> Self {
        Self {
            time: Timestamp::now(),
            request: &request.id,
            api: request.api.name(),
            input: Digest::of(text.as_bytes()),
            model: Named {
                name: classifier.model_name(),
                version: classifier.model_version(),
                digest: classifier.model_digest(),
            },
            tokenizer: classifier.tokenizer_digest(),
            policy: Named {
                name: policy.name(),
                version: policy.version(),
                digest: policy.digest(),
            },
            scores,
            verdict: verdict.decision,
            because: &verdict.because,
        }
    }
}

/// The way to the thread that writes records. It ends, and the file is whole, when this is dropped.
#[derive(Debug)]
pub(crate) struct Audit {
    messages: Option<mpsc::Sender<Message>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// The file was moved away: begin another of its name.
    Reopen,
}

/// Why a record is not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuditError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("the thread that writes records has ended")]
    Ended,
}

impl Audit {
    /// Opens the file, to append to it, and starts the thread.
    ///
    /// # Errors
    /// When the file cannot be opened or the system gives no thread.
    pub(super) fn start(path: PathBuf, metrics: Arc<Metrics>) -> io::Result<Self> {
        let mut file = BufWriter::new(open(&path)?);
        let (messages, mut arrivals) = mpsc::channel(WAITING);
        let run = move || {
            while let Some(message) = arrivals.blocking_recv() {
                match message {
                    Message::Line(line) => {
                        let written = file
                            .write_all(&line)
                            .and_then(|()| if arrivals.is_empty() { file.flush() } else { Ok(()) });
                        if let Err(error) = &written {
                            tracing::error!(%error, "an audit record was not written");
                        }
                        metrics.audit_record(written.is_ok());
                    }
                    Message::Reopen => match file.flush().and_then(|()| open(&path)) {
                        Ok(opened) => file = BufWriter::new(opened),
                        Err(error) => tracing::error!(%error, "the audit file was not reopened"),
                    },
                }
            }
            if let Err(error) = file.flush() {
                tracing::error!(%error, "audit records were not written");
            }
        };
        let thread = thread::Builder::new().name("dignity-audit".to_owned()).spawn(run)?;
        Ok(Self { messages: Some(messages), thread: Some(thread) })
    }

    /// Hands a record to the thread; waits where the disk is slow.
    ///
    /// # Errors
    /// When the thread has ended.
    pub(super) async fn append(&self, record: &Record<'_>) -> Result<(), AuditError> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.send(Message::Line(line)).await
    }

    /// Opens the file again, after it was moved away.
    ///
    /// # Errors
    /// When the thread has ended.
    pub(super) async fn reopen(&self) -> Result<(), AuditError> {
        self.send(Message::Reopen).await
    }

    async fn send(&self, message: Message) -> Result<(), AuditError> {
        let messages = self.messages.as_ref().ok_or(AuditError::Ended)?;
        messages.send(message).await.map_err(|_| AuditError::Ended)
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.messages = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
