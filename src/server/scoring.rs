//! The thread that scores: requests of all connections share rounds of windows.
//!
//! A round tokenizes texts that wait, takes windows of all requests in turn until its token budget is
//! spent, computes them, and answers the requests that are complete. A large request is thus spread
//! over many rounds, in each of which every other request has its turn. When the thread is idle, a
//! request begins a round at once; after a round that several requests shared, the thread waits a
//! moment for company, since the clients it has just answered are about to ask again.

use std::{
    collections::VecDeque,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    job::{Job, Taken},
    metrics::Metrics,
};
use crate::{
    classifier::{Classifier, Error, Tokenized},
    repeats::{Remembered, without_repeats},
    scores::{Probabilities, Scores},
};

/// How many bytes of text a round tokenizes, and one text more: tokenizing must not keep the others'
/// windows waiting either.
const ROUND_BYTES: usize = 128 * 1024;
/// What a permit of the queue's bytes stands for.
const BYTES_A_PERMIT: usize = 1024;

/// How much the queue takes and how rounds are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoringLimits {
    /// Texts that may wait, of all requests.
    pub(crate) queue_texts: usize,
    /// Bytes of text that may wait.
    pub(crate) queue_bytes: usize,
    /// Tokens in a round.
    pub(crate) round_tokens: usize,
    /// How long a round waits for company after one that was shared.
    pub(crate) max_wait: Duration,
}

/// The way to the scoring thread. It ends when this is dropped and everything taken is answered.
#[derive(Debug)]
pub(super) struct Scoring {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    texts: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    limits: ScoringLimits,
}

/// Why texts were not scored.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScoringError {
    /// The queue has no room for them.
    #[error("the queue is full")]
    Full,
    /// The classifier failed.
    #[error("the classifier failed: {0}")]
    Classifier(#[from] Error),
    /// The thread lost the request; its log tells why.
    #[error("the request was lost")]
    Lost,
}

/// A job's place in the queue, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _texts: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Scoring {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        classifier: Arc<Classifier>,
        metrics: Arc<Metrics>,
        limits: ScoringLimits,
    ) -> std::io::Result<Self> {
        let (jobs, arrivals) = mpsc::channel();
        let rounds = Rounds {
            classifier,
            metrics,
            arrivals,
            limits,
            turns: VecDeque::new(),
            remembered: Remembered::default(),
        };
        let thread =
            thread::Builder::new().name("dignity-rounds".to_owned()).spawn(move || rounds.run())?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            texts: Arc::new(Semaphore::new(limits.queue_texts.min(Semaphore::MAX_PERMITS))),
            bytes: Arc::new(Semaphore::new(limits.queue_bytes.div_ceil(BYTES_A_PERMIT))),
            limits,
        })
    }

    /// Scores texts in rounds with those of others. A caller that stops waiting gives up its place.
    ///
    /// # Errors
    /// When the queue is full or the classifier fails.
    pub(super) async fn score(&self, texts: Arc<[String]>) -> Result<Vec<Scores>, ScoringError> {
        let place = self.place(&texts)?;
        let (answer, scores) = oneshot::channel();
        let job = Job::new(texts, place, answer);
        let jobs = self.jobs.as_ref().ok_or(ScoringError::Lost)?;
        jobs.send(job).map_err(|_| ScoringError::Lost)?;
        scores.await.map_err(|_| ScoringError::Lost)?
    }

    /// Computes windows that are of no text, in rounds with those of others; not for async threads.
    ///
    /// # Errors
    /// When the queue is full or the classifier fails.
    pub(super) fn score_windows(&self, windows: Tokenized) -> Result<Scores, ScoringError> {
        let place = self.place(&[])?;
        let (answer, scores) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(ScoringError::Lost)?;
        jobs.send(Job::of_tokenized(windows, place, answer)).map_err(|_| ScoringError::Lost)?;
        let scores = scores.blocking_recv().map_err(|_| ScoringError::Lost)??;
        scores.into_iter().next().ok_or(ScoringError::Lost)
    }

    /// How many texts wait or are being computed.
    pub(super) fn waiting(&self) -> usize {
        self.limits.queue_texts.saturating_sub(self.texts.available_permits())
    }

    /// Whether the thread lives.
    pub(super) fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn place(&self, texts: &[String]) -> Result<Place, ScoringError> {
        let bytes: usize = texts.iter().map(String::len).sum();
        let permits = |semaphore: &Arc<Semaphore>, count: usize| {
            let count = u32::try_from(count).map_err(|_| ScoringError::Full)?;
            semaphore.clone().try_acquire_many_owned(count).map_err(|_| ScoringError::Full)
        };
        Ok(Place {
            _texts: permits(&self.texts, texts.len())?,
            _bytes: permits(&self.bytes, bytes.div_ceil(BYTES_A_PERMIT))?,
        })
    }
}

impl Drop for Scoring {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was logged where it happened.
            let _ = thread.join();
        }
    }
}

/// The thread's own: the jobs that it has taken, in the order of their turns.
struct Rounds {
    classifier: Arc<Classifier>,
    metrics: Arc<Metrics>,
    arrivals: mpsc::Receiver<Job>,
    limits: ScoringLimits,
    turns: VecDeque<Job>,
    remembered: Remembered,
}

impl Rounds {
    /// Until nobody can send a job any more and all are answered.
    fn run(mut self) {
        let mut shared = false;
        loop {
            if self.turns.is_empty() {
                let patience = if shared { self.limits.max_wait } else { Duration::MAX };
                match self.arrivals.recv_timeout(patience) {
                    Ok(job) => self.turns.push_back(job),
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        shared = false;
                        continue;
                    }
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                }
            }
            self.turns.extend(self.arrivals.try_iter());
            if shared {
                self.wait_for_company();
            }
            self.turns.retain(|job| !job.is_given_up());
            shared = self.turns.len() > 1;
            let round = panic::catch_unwind(AssertUnwindSafe(|| self.round()));
            if round.is_err() {
                // Whatever the state of these jobs, their callers are told that they are lost.
                tracing::error!("a round panicked; its requests are lost");
                self.turns.clear();
            }
        }
    }

    /// Takes in jobs until they fill a round or the time is over.
    fn wait_for_company(&mut self) {
        let until = Instant::now() + self.limits.max_wait;
        let mut waiting: usize = self.turns.iter().map(Job::estimated_tokens).sum();
        while waiting < self.limits.round_tokens {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(job) = self.arrivals.recv_timeout(left) else { return };
            waiting += job.estimated_tokens();
            self.turns.push_back(job);
        }
    }

    fn round(&mut self) {
        self.tokenize();
        let taken = take(self.turns.make_contiguous(), self.limits.round_tokens);
        self.compute(&taken);
        for index in (0..self.turns.len()).rev() {
            if self.turns[index].is_complete()
                && let Some(job) = self.turns.remove(index)
            {
                job.finish();
            }
        }
    }

    /// Tokenizes a text of every job that has nothing to compute, then more in turn, as far as the
    /// round may need them.
    fn tokenize(&mut self) {
        let jobs = self.turns.make_contiguous();
        let mut tokens: usize = jobs.iter().map(|job| job.ready_tokens()).sum();
        let mut bytes = 0;
        let mut chosen: Vec<(usize, usize)> = Vec::new();
        let mut ahead = vec![0; jobs.len()];
        for turn in 0.. {
            let before = chosen.len();
            for (index, job) in jobs.iter().enumerate() {
                let wanted =
                    tokens < self.limits.round_tokens || (turn == 0 && job.ready_tokens() == 0);
                let Some(text) = job.untokenized(ahead[index]).filter(|_| wanted) else { continue };
                if bytes > ROUND_BYTES {
                    break;
                }
                bytes += text.len();
                tokens += Job::estimate(text);
                chosen.push((index, ahead[index]));
                ahead[index] += 1;
            }
            if chosen.len() == before {
                break;
            }
        }
        let texts: Vec<&str> =
            chosen.iter().filter_map(|&(index, ahead)| jobs[index].untokenized(ahead)).collect();
        match self.classifier.tokenize(&texts) {
            Ok(tokenized) => {
                for ((index, _), tokenized) in chosen.into_iter().zip(tokenized.into_texts()) {
                    jobs[index].push_tokenized(tokenized);
                }
            }
            Err(_) => {
                // One of them is at fault; the others must not suffer for it.
                for (index, _) in chosen {
                    let job = &mut jobs[index];
                    let Some(text) = job.untokenized(0) else { continue };
                    match self.classifier.tokenize(&[text]) {
                        Ok(tokenized) => job.push_tokenized(tokenized),
                        Err(error) => job.fail(error.into()),
                    }
                }
            }
        }
    }

    fn compute(&mut self, taken: &[Taken]) {
        if taken.is_empty() {
            return;
        }
        let started = Instant::now();
        let jobs = self.turns.make_contiguous();
        let contents: Vec<&[u32]> =
            taken.iter().filter_map(|taken| jobs[taken.job].content(taken)).collect();
        let tokens: usize = taken.iter().map(|taken| taken.tokens).sum();
        let classifier = &self.classifier;
        let computed = without_repeats(&contents, Some(&mut self.remembered), |fresh| {
            classifier.probabilities(fresh)
        });
        match computed {
            Ok(probabilities) => {
                for (taken, probabilities) in taken.iter().zip(probabilities) {
                    jobs[taken.job].push_computed(probabilities);
                }
            }
            Err(_) => {
                // One window is at fault; the others must not suffer for it.
                let alone = |content: &&[u32]| classifier.probabilities(&[content]);
                let computed: Vec<Result<Vec<Probabilities>, Error>> =
                    contents.iter().map(alone).collect();
                for (taken, computed) in taken.iter().zip(computed) {
                    match computed {
                        Ok(probabilities) => {
                            probabilities
                                .into_iter()
                                .for_each(|p| jobs[taken.job].push_computed(p));
                        }
                        Err(error) => jobs[taken.job].fail(error.into()),
                    }
                }
            }
        }
        self.metrics.round(taken.len(), tokens, started.elapsed());
        // The job after the last one served is the next one's first.
        if let Some(last) = taken.last() {
            self.turns.rotate_left((last.job + 1) % self.turns.len());
        }
    }
}

/// Windows of all jobs in turn, one each, until the budget is spent; at least one if there is any.
fn take(jobs: &mut [Job], mut budget: usize) -> Vec<Taken> {
    let mut taken = Vec::new();
    loop {
        let before = taken.len();
        for (index, job) in jobs.iter_mut().enumerate() {
            let Some(tokens) = job.next_window_tokens() else { continue };
            if tokens > budget && !taken.is_empty() {
                return taken;
            }
            budget = budget.saturating_sub(tokens);
            taken.extend(job.take_window(index));
        }
        if taken.len() == before {
            return taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job of windows with so many tokens each, two special ones included.
    fn job(lengths: &[usize]) -> (Job, oneshot::Receiver<Result<Vec<Scores>, ScoringError>>) {
        let permit = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let contents: Vec<Vec<u32>> = lengths.iter().map(|&length| vec![7; length - 2]).collect();
        let contents: Vec<&[u32]> = contents.iter().map(Vec::as_slice).collect();
        let (answer, scores) = oneshot::channel();
        let place = Place { _texts: permit(), _bytes: permit() };
        (
            Job::of_tokenized(Tokenized::of_windows(&contents, 2, &Arc::default()), place, answer),
            scores,
        )
    }

    fn taken(jobs: &mut [Job], budget: usize) -> Vec<(usize, usize)> {
        take(jobs, budget).into_iter().map(|taken| (taken.job, taken.tokens)).collect()
    }

    #[test]
    fn jobs_have_their_turns_window_by_window() {
        let ((huge, _h), (small, _s), (other, _o)) = (job(&[9; 100]), job(&[4]), job(&[3, 5]));
        let mut jobs = [huge, small, other];
        assert_eq!(taken(&mut jobs, 30), [(0, 9), (1, 4), (2, 3), (0, 9), (2, 5)]);
        assert_eq!(taken(&mut jobs, 18), [(0, 9), (0, 9)]);
        // A window that is larger than a round is one.
        assert_eq!(taken(&mut jobs, 1), [(0, 9)]);
        assert!(taken(&mut jobs[1..], 30).is_empty());
    }

    #[test]
    fn a_job_is_complete_when_its_last_window_is_computed() {
        let (mut job, mut scores) = job(&[3, 4, 5]);
        let all = take(std::slice::from_mut(&mut job), 100);
        assert_eq!(all.len(), 3);
        assert_eq!(job.content(&all[2]), Some(&[7, 7, 7][..]));
        for part in [0.1, 0.3, 0.2] {
            assert!(!job.is_complete() && scores.try_recv().is_err());
            job.push_computed(Probabilities { hate: part, ..Probabilities::default() });
        }
        assert!(job.is_complete() && !job.is_given_up());
        job.finish();
        let scores = scores.try_recv().unwrap().unwrap();
        let parts: Vec<_> = scores[0].windows.iter().map(|w| w.probabilities.hate).collect();
        assert_eq!(parts, [0.1, 0.3, 0.2]);
        assert_eq!(scores[0].hate(), 0.3);
    }

    #[test]
    fn a_caller_that_leaves_or_was_told_a_failure_is_not_waited_for() {
        let (left, scores) = job(&[3]);
        drop(scores);
        assert!(left.is_given_up());
        let (mut failed, mut scores) = job(&[3]);
        failed.fail(ScoringError::Lost);
        assert!(failed.is_given_up() && failed.is_complete());
        assert!(matches!(scores.try_recv(), Ok(Err(ScoringError::Lost))));
    }
}
