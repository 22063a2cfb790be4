//! The thread that explains: one text at a time, its windows in rounds with those of all requests.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::scoring::{Scoring, ScoringError};
use crate::{
    classifier::{Classifier, Tokenized},
    explain::{ExplainOptions, Explanation},
    scores::Scores,
};

/// How many texts may wait to be explained; an explanation costs as much as scoring a hundred short
/// texts.
const WAITING: usize = 64;

/// The way to the explaining thread. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Explaining {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Job {
    texts: Arc<[String]>,
    index: usize,
    scores: Scores,
    answer: oneshot::Sender<Result<Explanation, ScoringError>>,
    _place: OwnedSemaphorePermit,
}

impl Explaining {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        classifier: Arc<Classifier>,
        scoring: Arc<Scoring>,
    ) -> std::io::Result<Self> {
        let (jobs, arrivals) = mpsc::channel::<Job>();
        let run = move || {
            for Job { texts, index, scores, answer, _place } in arrivals {
                if answer.is_closed() {
                    continue;
                }
                let text = texts.get(index).map_or("", String::as_str);
                let explained = explain(&classifier, &scoring, text, scores, &answer);
                let _ = answer.send(explained);
            }
        };
        let thread = thread::Builder::new().name("dignity-explain".to_owned()).spawn(run)?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            places: Arc::new(Semaphore::new(WAITING)),
        })
    }

    /// Explains the `scores` of one of the texts.
    ///
    /// # Errors
    /// When too many wait, or the classifier fails.
    pub(super) async fn explain(
        &self,
        texts: Arc<[String]>,
        index: usize,
        scores: Scores,
    ) -> Result<Explanation, ScoringError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| ScoringError::Full)?;
        let (answer, explanation) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(ScoringError::Lost)?;
        let job = Job { texts, index, scores, answer, _place: place };
        jobs.send(job).map_err(|_| ScoringError::Lost)?;
        explanation.await.map_err(|_| ScoringError::Lost)?
    }
}

impl Drop for Explaining {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn explain(
    classifier: &Classifier,
    scoring: &Scoring,
    text: &str,
    scores: Scores,
    answer: &oneshot::Sender<Result<Explanation, ScoringError>>,
) -> Result<Explanation, ScoringError> {
    let tokenized = classifier.tokenize(&[text])?;
    classifier.explain_scored(text, &tokenized, scores, &ExplainOptions::default(), |contents| {
        if contents.is_empty() || answer.is_closed() {
            return Ok(vec![Default::default(); contents.len()]);
        }
        let windows = Tokenized::of_windows(contents, tokenized.special_tokens, &tokenized.labels);
        let scores = scoring.score_windows(windows)?;
        Ok(scores.windows.into_iter().map(|window| window.probabilities).collect())
    })
}
